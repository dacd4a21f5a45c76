/* The encodings of the list, and the fields that earlier steps saved. */
#define _POSIX_C_SOURCE 200809L

#include "cases.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *must_alloc(size_t len)
{
    void *memory = calloc(1, len != 0 ? len : 1);
    if (memory == NULL) {
        fputs("no memory\n", stderr);
        exit(2);
    }
    return memory;
}

char *copy_of(const char *text)
{
    return printed("%s", text);
}

char *printed(const char *format, ...)
{
    va_list rest;
    char *text;
    int len;
    va_start(rest, format);
    len = vsnprintf(NULL, 0, format, rest);
    va_end(rest);
    text = must_alloc((size_t)len + 1);
    va_start(rest, format);
    vsnprintf(text, (size_t)len + 1, format, rest);
    va_end(rest);
    return text;
}

/* ---- Percent-encoding ----------------------------------------------------------------------- */

static int hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

/* The character at *at, moved past it. */
static char decoded(const char **at, size_t line)
{
    const char *text = *at;
    int high, low;
    if (*text != '%') {
        *at += 1;
        return *text;
    }
    high = hex_digit(text[1]);
    low = high < 0 ? -1 : hex_digit(text[2]);
    if (low < 0)
        bad_list(line, "a %% without two hexadecimal digits");
    if (high == 0 && low == 0)
        bad_list(line, "a NUL, which no text in C has");
    *at += 3;
    return (char)(high * 16 + low);
}

void decode_name(char *name, size_t line)
{
    const char *from = name;
    while (*from != '\0')
        *name++ = decoded(&from, line);
    *name = '\0';
}

static const char *field_value(const saved *fields, const char *name, size_t len)
{
    for (size_t i = 0; i < fields->count; i++)
        if (strlen(fields->items[i].name) == len && memcmp(fields->items[i].name, name, len) == 0)
            return fields->items[i].value;
    return NULL;
}

char *resolved(const saved *fields, const char *value, size_t line)
{
    size_t len = strlen(value), at = 0;
    char *text = must_alloc(len + 1);
    while (*value != '\0') {
        const char *field, *end;
        size_t field_len;
        if (*value != '{') {
            text[at++] = decoded(&value, line);
            continue;
        }
        end = strchr(value, '}');
        field = end != NULL ? field_value(fields, value + 1, (size_t)(end - value) - 1) : NULL;
        if (field == NULL)
            bad_list(line, "nothing was saved that %s begins with", value);
        field_len = strlen(field);
        len += field_len;
        text = realloc(text, len + 1);
        if (text == NULL)
            bad_list(line, "no memory");
        memcpy(text + at, field, field_len);
        at += field_len;
        value = end + 1;
    }
    text[at] = '\0';
    return text;
}

char *percent_encoded(const char *text)
{
    char *encoded = must_alloc(3 * strlen(text) + 1), *at = encoded;
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        int plain = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z')
                    || (byte >= 'a' && byte <= 'z') || strchr("-._~", byte) != NULL;
        at += sprintf(at, plain ? "%c" : "%%%02X", byte);
    }
    return encoded;
}

/* ---- Bytes ---------------------------------------------------------------------------------- */

char *to_hex(const uint8_t *bytes, size_t len)
{
    char *hex = must_alloc(2 * len + 1);
    for (size_t i = 0; i < len; i++)
        sprintf(hex + 2 * i, "%02x", bytes[i]);
    return hex;
}

uint8_t *from_hex(const char *hex, size_t *len, size_t line)
{
    size_t digits = strlen(hex);
    uint8_t *bytes = must_alloc(digits / 2);
    for (size_t i = 0; i < digits; i++)
        if (hex_digit(hex[i]) < 0 || digits % 2 != 0)
            bad_list(line, "these are no bytes in hex: %s", hex);
    for (size_t i = 0; i < digits / 2; i++)
        bytes[i] = (uint8_t)(hex_digit(hex[2 * i]) * 16 + hex_digit(hex[2 * i + 1]));
    *len = digits / 2;
    return bytes;
}

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *to_base64(const uint8_t *bytes, size_t len)
{
    char *text = must_alloc(len / 3 * 4 + 5), *at = text;
    for (size_t i = 0; i < len; i += 3) {
        size_t left = len - i;
        unsigned group = (unsigned)bytes[i] << 16 | (left > 1 ? (unsigned)bytes[i + 1] << 8 : 0)
                         | (left > 2 ? bytes[i + 2] : 0U);
        *at++ = base64_digits[group >> 18];
        *at++ = base64_digits[group >> 12 & 63];
        *at++ = left > 1 ? base64_digits[group >> 6 & 63] : '=';
        *at++ = left > 2 ? base64_digits[group & 63] : '=';
    }
    return text;
}

uint8_t *from_base64(const char *base64, size_t *len)
{
    size_t digits = strcspn(base64, "="), all = strlen(base64);
    uint8_t *bytes;
    unsigned group = 0;
    *len = 0;
    if (all % 4 != 0 || all - digits > 2 || strspn(base64, base64_digits) != digits)
        return NULL;
    bytes = must_alloc(all / 4 * 3);
    for (size_t i = 0; i < digits; i++) {
        group = group << 6 | (unsigned)(strchr(base64_digits, base64[i]) - base64_digits);
        if (i % 4 != 0) /* the first digit of four completes no byte */
            bytes[(*len)++] = (uint8_t)(group >> (6 - i % 4 * 2));
    }
    return bytes;
}

/* ---- Saved fields --------------------------------------------------------------------------- */

void save_field(saved *fields, const char *name, const char *field, const char *value)
{
    char *full = field[0] != '\0' ? printed("%s.%s", name, field) : copy_of(name);
    word *place = NULL;
    for (size_t i = 0; i < fields->count && place == NULL; i++)
        if (strcmp(fields->items[i].name, full) == 0)
            place = &fields->items[i];
    if (place == NULL) {
        word *items = realloc(fields->items, (fields->count + 1) * sizeof *items);
        if (items == NULL)
            bad_list(0, "no memory");
        fields->items = items;
        place = &items[fields->count++];
    } else {
        free(place->name);
        free(place->value);
    }
    place->name = full;
    place->value = copy_of(value);
}

void saved_read(saved *fields, const char *path)
{
    static const saved none = {NULL, 0};
    char *line = NULL;
    size_t room = 0, number = 0;
    FILE *file = fopen(path, "r");
    if (file == NULL)
        bad_list(0, "%s cannot be opened", path);
    while (getline(&line, &room, file) > 0) {
        char *value = strchr(line, '='), *text;
        number++;
        line[strcspn(line, "\n")] = '\0';
        if (value == NULL)
            bad_list(0, "%s:%zu: this is no saved field", path, number);
        *value++ = '\0';
        decode_name(line, 0);
        text = resolved(&none, value, 0);
        save_field(fields, line, "", text);
        free(text);
    }
    free(line);
    fclose(file);
}

int saved_write(const saved *fields, const char *path)
{
    int written = 1;
    FILE *file = fopen(path, "w");
    if (file == NULL)
        return 0;
    for (size_t i = 0; i < fields->count; i++) {
        const word *field = &fields->items[i];
        char *value = percent_encoded(field->value);
        if (strcmp(field->name, "dir") != 0)
            written = fprintf(file, "%s=%s\n", field->name, value) > 0 && written;
        free(value);
    }
    return fclose(file) == 0 && written;
}

void saved_free(saved *fields)
{
    for (size_t i = 0; i < fields->count; i++) {
        free(fields->items[i].name);
        free(fields->items[i].value);
    }
    free(fields->items);
    fields->items = NULL;
    fields->count = 0;
}
