/* What came of a step: its fields by name, what must hold for every answer, what later steps use. */
#define _POSIX_C_SOURCE 200809L

#include "cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Fields --------------------------------------------------------------------------------- */

/* The key or blob of this number in an answer with many; the only one in an answer with one. */
static const uint8_t *nth(const answer *from, int is_blob, size_t n, size_t *len)
{
    const uint8_t *all = is_blob ? from->blob : from->plaintext;
    size_t all_len = is_blob ? from->blob_len : from->plaintext_len, start = 0;
    if (from->count == 0) {
        *len = all_len;
        return all;
    }
    *len = all_len / from->count;
    if (is_blob && from->blob_lens != NULL) {
        for (size_t i = 0; i < n; i++)
            start += from->blob_lens[i];
        *len = from->blob_lens[n];
        return from->statuses[n] == KMS_OK ? all + start : NULL;
    }
    return all != NULL ? all + n * *len : NULL;
}

static char *bytes_field(const answer *from, size_t n, const char *name)
{
    int is_blob = strncmp(name, "blob", 4) == 0;
    const char *form = name + strlen(is_blob ? "blob" : "plaintext");
    size_t len = 0;
    const uint8_t *bytes = nth(from, is_blob, n, &len);
    if (bytes == NULL)
        return NULL;
    if (strcmp(form, "_base64") == 0)
        return to_base64(bytes, len);
    return *form == '\0' ? to_hex(bytes, len) : printed("%zu", len);
}

static char *statuses_field(const answer *from)
{
    char *all = copy_of("");
    for (size_t i = 0; i < from->count; i++) {
        char *longer = printed("%s%s%s", all, i != 0 ? "," : "", kms_status_name(from->statuses[i]));
        free(all);
        all = longer;
    }
    return all;
}

char *answer_field(const answer *from, const char *name)
{
    char *rest;
    unsigned long n = strtoul(name, &rest, 10);
    if (rest != name && *rest == '.')
        return n < from->count ? bytes_field(from, n, rest + 1) : NULL;
    if (strcmp(name, "key_id") == 0)
        return copy_of(from->response.key_id);
    if (strcmp(name, "key_version_id") == 0)
        return copy_of(from->response.key_version_id);
    if (strcmp(name, "content") == 0)
        return copy_of(from->response.content == KMS_CONTENT_TEXT ? "text" : "bytes");
    if (strcmp(name, "count") == 0)
        return printed("%zu", from->count);
    if (strcmp(name, "statuses") == 0)
        return statuses_field(from);
    return bytes_field(from, 0, name);
}

/* ---- Members of a document ------------------------------------------------------------------ */

static int is_member(void *context, const char *name, const char *value)
{
    const char *const *wanted = context;
    return strcmp(name, wanted[0]) == 0 && strcmp(value, wanted[1]) == 0;
}

int answer_has_member(const answer *from, const char *name, const char *value)
{
    const char *wanted[] = {name, value};
    return from->document != NULL && json_members(from->document, is_member, wanted) == 1;
}

typedef struct saving {
    saved *fields;
    const char *name;
    const char *seen; /* the members saved so far, each between newlines */
} saving;

static int save_member(void *context, const char *name, const char *value)
{
    saving *with = context;
    char *mark = printed("\n%s\n", name), *seen;
    if (strstr(with->seen, mark) == NULL) {
        save_field(with->fields, with->name, name, value);
        seen = printed("%s%s\n", with->seen, name);
        free((char *)with->seen);
        with->seen = seen;
        if (strcmp(name, "CiphertextBlob") == 0) {
            size_t len;
            uint8_t *blob = from_base64(value, &len);
            char *hex = to_hex(blob, blob != NULL ? len : 0);
            save_field(with->fields, with->name, "blob", hex);
            free(hex);
            free(blob);
        }
    }
    free(mark);
    return 0;
}

/* ---- Saving --------------------------------------------------------------------------------- */

static void save_bytes(const answer *from, saved *fields, const char *name)
{
    static const char *const one[] = {"plaintext", "plaintext_base64", "blob", "blob_base64"};
    static const char *const many[] = {"plaintext", "blob"};
    const char *const *names = from->count == 0 ? one : many;
    size_t name_count = from->count == 0 ? 4 : 2, count = from->count == 0 ? 1 : from->count;
    for (size_t n = 0; n < count; n++) {
        for (size_t i = 0; i < name_count; i++) {
            char *field = from->count == 0 ? copy_of(names[i]) : printed("%zu.%s", n, names[i]);
            char *value = answer_field(from, field);
            if (value != NULL)
                save_field(fields, name, field, value);
            free(value);
            free(field);
        }
    }
}

void answer_save(const answer *from, saved *fields, const char *name)
{
    if (from->document != NULL && from->document[0] == '{') {
        saving with = {fields, name, copy_of("\n")};
        json_members(from->document, save_member, &with);
        free((char *)with.seen);
    }
    save_field(fields, name, "key_id", from->response.key_id);
    save_field(fields, name, "key_version_id", from->response.key_version_id);
    save_bytes(from, fields, name);
}

/* ---- What holds for every answer ------------------------------------------------------------ */

static int is_uuid(const char *text)
{
    for (size_t i = 0; i < 36; i++) {
        int dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (text[i] == '\0' || strchr(dash ? "-" : "0123456789abcdef", text[i]) == NULL)
            return 0;
    }
    return text[36] == '\0';
}

static int is_zero(const void *bytes, size_t len)
{
    const uint8_t *each = bytes;
    while (len > 0 && each[len - 1] == 0)
        len--;
    return len == 0;
}

static const char *response_fault(const kms_response *response, kms_status status)
{
    int good = status == KMS_OK;
    if (!is_uuid(response->request_id))
        return "the request id is no lower-case UUID";
    if ((response->error_code[0] == '\0') != good || (response->error_message[0] == '\0') != good)
        return "code and message belong to errors, and to each of them";
    if ((response->http_status == 200) != good)
        return "the HTTP status is not that of the answer";
    return is_zero(response->reserved, sizeof response->reserved) ? NULL
                                                                  : "reserved bytes are not zero";
}

static int is_secret(void *context, const char *name, const char *value)
{
    (void)context;
    (void)value;
    return strcmp(name, "Plaintext") == 0 || strcmp(name, "CiphertextBlob") == 0;
}

static const char *document_fault(const answer *from)
{
    if (from->document == NULL)
        return "there is no document";
    if (strlen(from->document) != from->document_len)
        return "the document has another length";
    if (strstr(from->document, from->response.request_id) == NULL)
        return "the document has another request id";
    if (strstr(from->document, from->response.error_code) == NULL)
        return "the document has another code";
    if (from->status != KMS_OK && from->document[0] == '{'
        && json_members(from->document, is_secret, NULL) != 0)
        return "the document of a refusal holds what was asked for";
    return NULL;
}

/* Of many blobs, those that were not made anew are zeros. */
static int are_refused_blobs_zero(const answer *from)
{
    const uint8_t *at = from->blob;
    for (size_t i = 0; i < from->count; i++) {
        if (from->statuses[i] != KMS_OK && !is_zero(at, from->blob_lens[i]))
            return 0;
        at += from->blob_lens[i];
    }
    return 1;
}

char *answer_fault(const answer *from)
{
    const char *fault = NULL;
    if (from->has_response)
        fault = response_fault(&from->response, from->status);
    if (fault == NULL && from->is_document)
        fault = document_fault(from);
    if (fault == NULL && from->status == KMS_OK) {
        if (from->plaintext_len > from->plaintext_capacity || from->blob_len > from->blob_capacity)
            fault = "an output is longer than its room";
        else if (from->statuses != NULL && !are_refused_blobs_zero(from))
            fault = "there is something where a blob was refused";
    } else if (fault == NULL && from->status != KMS_ERR_BUFFER_TOO_SMALL) {
        if (from->plaintext_len != 0 || from->blob_len != 0)
            fault = "a length is not 0 after a failure";
        else if (from->plaintext != NULL && !is_zero(from->plaintext, from->plaintext_capacity))
            fault = "the plaintext buffer was not wiped after a failure";
    }
    return fault != NULL ? copy_of(fault) : NULL;
}

void answer_free(answer *used)
{
    if (used->plaintext != NULL)
        kms_zeroize(used->plaintext, used->plaintext_capacity);
    free(used->plaintext);
    free(used->blob);
    free((size_t *)used->blob_lens);
    free(used->statuses);
    kms_document_free(used->document);
    memset(used, 0, sizeof *used);
}
