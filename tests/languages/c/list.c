/* Reads a list of cases. Whatever the format does not say ends the program with 2. */
#define _POSIX_C_SOURCE 200809L

#include "cases.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void bad_list(size_t line, const char *format, ...)
{
    va_list rest;
    fputs("run_cases: ", stderr);
    if (line != 0)
        fprintf(stderr, "line %zu: ", line);
    va_start(rest, format);
    vfprintf(stderr, format, rest);
    va_end(rest);
    fputc('\n', stderr);
    exit(2);
}

int is_among(const char *names, const char *name)
{
    while (*names != '\0') {
        size_t len = strcspn(names, " ");
        if (names[len - 1] == '.' ? strncmp(names, name, len) == 0
                                  : strlen(name) == len && memcmp(names, name, len) == 0)
            return 1;
        names += len + strspn(names + len, " ");
    }
    return 0;
}

/* ---- Words ---------------------------------------------------------------------------------- */

static void add_word(words *to, word added, size_t line)
{
    word *items;
    for (size_t i = 0; i < to->count; i++)
        if (strcmp(to->items[i].name, added.name) == 0)
            bad_list(line, "%s is given twice", added.name);
    items = realloc(to->items, (to->count + 1) * sizeof *items);
    if (items == NULL)
        bad_list(line, "no memory");
    to->items = items;
    to->items[to->count++] = added;
}

/* The next word of a line, whose end becomes a NUL; NULL after the last. */
static char *next_word(char **rest, size_t line)
{
    char *found = *rest;
    if (found == NULL)
        return NULL;
    *rest = strchr(found, ' ');
    if (*rest != NULL)
        *(*rest)++ = '\0';
    if (*found == '\0')
        bad_list(line, "words have one space between them, and none at the end");
    return found;
}

/* Splits a word at its first '='. The value of a word without one is NULL. */
static word split(char *text, size_t line)
{
    word both = {text, strchr(text, '=')};
    if (both.value != NULL)
        *both.value++ = '\0';
    decode_name(both.name, line);
    return both;
}

/* ---- Steps ---------------------------------------------------------------------------------- */

static kms_status status_by_name(const char *name, size_t line)
{
    for (kms_status status = 0; status < 1000; status++)
        if (strcmp(kms_status_name(status), name) == 0 && strcmp(name, "KMS_ERR_UNKNOWN") != 0)
            return status;
    bad_list(line, "%s is no status of the header", name);
    return KMS_OK;
}

static void check_must_fit(const step *read, const char *check)
{
    int is_length = is_among("plaintext_len blob_len", check);
    if (read->expected == KMS_OK || (is_length && read->expected == KMS_ERR_BUFFER_TOO_SMALL))
        return;
    bad_list(read->line, "%s cannot be checked after %s", check, read->status);
}

/* What stands before the arrow; `rest` is then behind it. */
static void read_arguments(step *read, char **rest)
{
    char *text = next_word(rest, read->line);
    while (text != NULL && strcmp(text, "->") != 0) {
        word argument = split(text, read->line);
        if (argument.value == NULL)
            bad_list(read->line, "an argument is name=value, not %s", text);
        if (strcmp(argument.name, "save") == 0)
            read->save = argument.value;
        else
            add_word(&read->arguments, argument, read->line);
        text = next_word(rest, read->line);
    }
    if (text == NULL)
        bad_list(read->line, "there is no ->");
}

static step read_step(char *text, size_t line)
{
    step read = {0};
    char *next;
    read.line = line;
    read.name = next_word(&text, line);
    read_arguments(&read, &text);
    read.status = next_word(&text, line);
    if (read.status == NULL)
        bad_list(line, "there is no status");
    read.expected = status_by_name(read.status, line);
    read.code = "";
    if (read.expected != KMS_OK) {
        read.code = next_word(&text, line);
        if (read.code == NULL || strchr(read.code, '=') != NULL)
            bad_list(line, "there is no API code");
    }
    while ((next = next_word(&text, line)) != NULL) {
        word check = split(next, line);
        if (check.value == NULL)
            bad_list(line, "a check is name=value, not %s", next);
        check_must_fit(&read, check.name);
        add_word(&read.checks, check, line);
    }
    step_must_be_known(&read);
    return read;
}

/* ---- The list ------------------------------------------------------------------------------- */

static char *whole_file(const char *path)
{
    size_t len = 0, room = 1 << 16;
    char *text = must_alloc(room);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        bad_list(0, "%s cannot be opened", path);
    while (!feof(file) && !ferror(file)) {
        len += fread(text + len, 1, room - len - 1, file);
        if (room - len < room / 2)
            text = realloc(text, room *= 2);
        if (text == NULL)
            bad_list(0, "no memory");
    }
    if (ferror(file))
        bad_list(0, "%s cannot be read", path);
    fclose(file);
    text[len] = '\0';
    if (strlen(text) != len)
        bad_list(0, "%s has a NUL in it", path);
    return text;
}

static void begin_case(list *read, char *name, size_t line)
{
    test_case *cases = realloc(read->cases, (read->count + 1) * sizeof *cases);
    if (cases == NULL)
        bad_list(line, "no memory");
    read->cases = cases;
    if (*name == '\0' || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(name))
        bad_list(line, "%s is no name for a case", name);
    for (size_t i = 0; i < read->count; i++)
        if (strcmp(cases[i].name, name) == 0)
            bad_list(line, "%s is there twice", name);
    memset(&cases[read->count], 0, sizeof *cases);
    cases[read->count++].name = name;
}

static void add_step(list *read, char *text, size_t line)
{
    test_case *last;
    step *steps;
    if (read->count == 0)
        bad_list(line, "a step before the first case");
    last = &read->cases[read->count - 1];
    steps = realloc(last->steps, (last->step_count + 1) * sizeof *steps);
    if (steps == NULL)
        bad_list(line, "no memory");
    last->steps = steps;
    steps[last->step_count++] = read_step(text, line);
}

void list_read(list *read, const char *path)
{
    char *text;
    memset(read, 0, sizeof *read);
    read->text = text = whole_file(path);
    for (size_t line = 1; text != NULL; line++) {
        char *next = strchr(text, '\n');
        if (next != NULL)
            *next++ = '\0';
        if (strncmp(text, "case ", 5) == 0)
            begin_case(read, text + 5, line);
        else if (*text != '\0' && *text != '#')
            add_step(read, text, line);
        text = next;
    }
    for (size_t i = 0; i < read->count; i++)
        if (read->cases[i].step_count == 0)
            bad_list(0, "%s has no steps", read->cases[i].name);
    if (read->count == 0)
        bad_list(0, "%s has no cases", path);
}

void list_free(list *read)
{
    for (size_t i = 0; i < read->count; i++) {
        for (size_t j = 0; j < read->cases[i].step_count; j++) {
            free(read->cases[i].steps[j].arguments.items);
            free(read->cases[i].steps[j].checks.items);
        }
        free(read->cases[i].steps);
    }
    free(read->cases);
    free(read->text);
}
