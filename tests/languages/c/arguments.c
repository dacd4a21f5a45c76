/* The arguments of a step as the functions of kmsbox.h take them. */
#define _POSIX_C_SOURCE 200809L

#include "cases.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

char *argument(const call *made, const char *name)
{
    for (size_t i = 0; i < made->written->arguments.count; i++)
        if (strcmp(made->written->arguments.items[i].name, name) == 0)
            return made->values[i];
    return NULL;
}

/* A number from `least` to `most`; what a function cannot be handed is an error of the list. */
static long long number_or(const call *made, const char *name, long long least, long long most,
                           long long otherwise)
{
    const char *text = argument(made, name);
    char *end;
    long long number;
    if (text == NULL)
        return otherwise;
    errno = 0;
    number = strtoll(text, &end, 10);
    if (strspn(text, "-0123456789") != strlen(text) || end == text || *end != '\0' || errno != 0
        || number < least || number > most)
        bad_list(made->written->line, "%s is no number for %s", text, name);
    return number;
}

size_t size_or(const call *made, const char *name, size_t otherwise)
{
    return (size_t)number_or(made, name, 0, LONG_MAX, (long long)otherwise);
}

int32_t key_spec(const call *made)
{
    const char *name = argument(made, "key_spec");
    if (name != NULL && strcmp(name, "AES_256") == 0)
        return KMS_KEY_SPEC_AES_256;
    if (name != NULL && strcmp(name, "AES_128") == 0)
        return KMS_KEY_SPEC_AES_128;
    return (int32_t)number_or(made, "key_spec", INT32_MIN, INT32_MAX, KMS_KEY_SPEC_DEFAULT);
}

uint32_t number_of_bytes(const call *made)
{
    return (uint32_t)number_or(made, "number_of_bytes", 0, UINT32_MAX, 0);
}

kms_status context_argument(const call *made, const char *name, char **json)
{
    const words *arguments = &made->written->arguments;
    const char **pairs = must_alloc(2 * arguments->count * sizeof *pairs);
    char *json_name = printed("%s_json", name);
    size_t count = 0, len, prefix = strlen(name) + 1;
    kms_status status = KMS_OK;
    for (size_t i = 0; i < arguments->count; i++) {
        const char *found = arguments->items[i].name;
        if (strncmp(found, name, prefix - 1) == 0 && found[prefix - 1] == '.') {
            pairs[2 * count] = found + prefix;
            pairs[2 * count++ + 1] = made->values[i];
        }
    }
    *json = argument(made, json_name) != NULL ? copy_of(argument(made, json_name)) : NULL;
    if (*json != NULL && count != 0)
        bad_list(made->written->line, "pairs and %s", json_name);
    if (count != 0) {
        *json = must_alloc(KMS_ENCRYPTION_CONTEXT_MAX);
        status = kms_encryption_context(pairs, count, *json, KMS_ENCRYPTION_CONTEXT_MAX, &len);
    }
    if (status != KMS_OK) {
        free(*json);
        *json = NULL;
    }
    free(pairs);
    free(json_name);
    return status;
}

uint8_t *blob_argument(const call *made, size_t *len)
{
    const char *hex = argument(made, "blob");
    uint8_t *blob = from_hex(hex != NULL ? hex : "", len, made->written->line);
    size_t cut = size_or(made, "cut", 0), flip = size_or(made, "flip", 0);
    if (cut > *len || (argument(made, "flip") != NULL && flip >= *len))
        bad_list(made->written->line, "the blob is not that long");
    if (argument(made, "flip") != NULL)
        blob[flip] ^= 1;
    *len -= cut;
    return blob;
}

/* There are commas between them; an empty text is no blob, and not an empty one. */
uint8_t *blobs_argument(const call *made, size_t **lens, size_t *count)
{
    char *texts = argument(made, "blobs"), *rest = texts;
    size_t room = texts != NULL ? strlen(texts) : 0, at = 0;
    uint8_t *all = must_alloc(room / 2);
    *lens = must_alloc((room + 1) * sizeof **lens);
    *count = 0;
    while (room != 0 && rest != NULL) {
        char *hex = rest;
        uint8_t *blob;
        rest = strchr(hex, ',');
        if (rest != NULL)
            *rest++ = '\0';
        blob = from_hex(hex, &(*lens)[*count], made->written->line);
        memcpy(all + at, blob, (*lens)[*count]);
        at += (*lens)[(*count)++];
        free(blob);
    }
    return all;
}

/* No length that any function has to say: every one must be set. */
enum { UNSET = 987654321 };

/* A buffer as it may come from anywhere. Its own allocation, so that valgrind sees its end. */
static uint8_t *buffer(size_t capacity)
{
    uint8_t *bytes = must_alloc(capacity);
    memset(bytes, 0xA5, capacity);
    return bytes;
}

void plaintext_buffer(const call *made, size_t usual)
{
    made->got->plaintext_capacity = size_or(made, "plaintext_capacity", usual);
    made->got->plaintext = buffer(made->got->plaintext_capacity);
    made->got->plaintext_len = UNSET;
}

void blob_buffer(const call *made, size_t usual)
{
    made->got->blob_capacity = size_or(made, "blob_capacity", usual);
    made->got->blob = buffer(made->got->blob_capacity);
    made->got->blob_len = UNSET;
}
