/* Walks through an answer in JSON: every text, number, true and false that has a name. */
#include "cases.h"

#include <stdlib.h>
#include <string.h>

typedef struct walk {
    const char *at;
    member_visitor visit;
    void *context;
    int ended; /* what the visitor returned, or -1 */
} walk;

static void skip_white(walk *in)
{
    in->at += strspn(in->at, " \t\r\n");
}

static void expect(walk *in, char wanted)
{
    skip_white(in);
    if (in->ended == 0 && *in->at == wanted)
        in->at++;
    else if (in->ended == 0)
        in->ended = -1;
}

static unsigned four_digits(walk *in)
{
    char digits[5] = "", *end;
    unsigned long code;
    strncpy(digits, in->at, 4);
    code = strtoul(digits, &end, 16);
    if (end != digits + 4) {
        in->ended = -1;
        return 0;
    }
    in->at += 4;
    return (unsigned)code;
}

static char *put_utf8(char *to, unsigned long code)
{
    if (code < 0x80) {
        *to++ = (char)code;
    } else if (code < 0x800) {
        *to++ = (char)(0xc0 | code >> 6);
        *to++ = (char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        *to++ = (char)(0xe0 | code >> 12);
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    } else {
        *to++ = (char)(0xf0 | code >> 18);
        *to++ = (char)(0x80 | (code >> 12 & 0x3f));
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    }
    return to;
}

/* The character after a backslash. */
static char *put_escaped(walk *in, char *to)
{
    static const char escapes[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    const char *escape = *in->at != '\0' ? strchr(escapes, *in->at) : NULL;
    unsigned long code;
    if (escape != NULL) {
        in->at++;
        *to++ = meant[escape - escapes];
        return to;
    }
    expect(in, 'u');
    code = four_digits(in);
    if (code >= 0xd800 && code < 0xdc00 && in->at[0] == '\\' && in->at[1] == 'u') {
        in->at += 2;
        code = 0x10000 + ((code - 0xd800) << 10) + (four_digits(in) - 0xdc00UL);
    }
    return put_utf8(to, code);
}

/* A text without its quotes and escapes, to be freed; NULL where there is none. */
static char *text(walk *in)
{
    char *read, *to;
    expect(in, '"');
    if (in->ended != 0)
        return NULL;
    read = to = must_alloc(strlen(in->at) + 1); /* an escape is never shorter than what it means */
    while (in->ended == 0 && *in->at != '"') {
        if (*in->at == '\\') {
            in->at++;
            to = put_escaped(in, to);
        } else if ((unsigned char)*in->at < 0x20) {
            in->ended = -1;
        } else {
            *to++ = *in->at++;
        }
    }
    *to = '\0';
    expect(in, '"');
    return read;
}

static void tell(walk *in, const char *name, const char *value)
{
    if (in->ended == 0 && name != NULL)
        in->ended = in->visit(in->context, name, value);
}

/* A number, true, false or null, as it is written. */
static void literal(walk *in, const char *name)
{
    size_t len = strspn(in->at, "-+.0123456789abcdefghijklmnopqrstuvwxyzE");
    char *value = printed("%.*s", (int)len, in->at);
    in->at += len;
    if (len == 0)
        in->ended = -1;
    else if (strcmp(value, "null") != 0)
        tell(in, name, value);
    free(value);
}

static void value(walk *in, const char *name);

/* What stands between the brackets of an object or an array, and the brackets. */
static void items(walk *in, char opening, char closing)
{
    expect(in, opening);
    skip_white(in);
    if (*in->at == closing) {
        in->at++;
        return;
    }
    while (in->ended == 0) {
        char *member = opening == '{' ? text(in) : NULL;
        if (opening == '{')
            expect(in, ':');
        value(in, member);
        free(member);
        skip_white(in);
        if (*in->at != ',')
            break;
        in->at++;
    }
    expect(in, closing);
}

static void value(walk *in, const char *name)
{
    skip_white(in);
    if (*in->at == '{') {
        items(in, '{', '}');
    } else if (*in->at == '[') {
        items(in, '[', ']');
    } else if (*in->at == '"') {
        char *string = text(in);
        tell(in, name, string);
        free(string);
    } else {
        literal(in, name);
    }
}

int json_members(const char *document, member_visitor visit, void *context)
{
    walk in = {document, visit, context, 0};
    value(&in, NULL);
    skip_white(&in);
    if (in.ended == 0 && *in.at != '\0')
        in.ended = -1;
    return in.ended;
}
