/* Performs steps, each by the function of kmsbox.h that it is named after. */
#define _POSIX_C_SOURCE 200809L

#include "cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static kms_status set_option(call *made, kms_options *options, size_t i)
{
    const char *name = made->written->arguments.items[i].name;
    kms_response *response = &made->got->response;
    uint8_t *root_key;
    size_t len;
    kms_status status;
    if (strcmp(name, "root_key_bytes") != 0)
        return kms_options_set(options, name, made->values[i], response);
    root_key = from_hex(made->values[i], &len, made->written->line);
    status = kms_options_set_root_key(options, root_key, len, response);
    free(root_key);
    return status;
}

static kms_status perform_open(call *made)
{
    kms_options *options = NULL;
    kms_status status;
    kms_client_free(made->with->client);
    made->with->client = NULL;
    status = kms_options_new(&options);
    for (size_t i = 0; status == KMS_OK && i < made->written->arguments.count; i++)
        status = set_option(made, options, i);
    if (status == KMS_OK)
        status = kms_client_open(options, &made->with->client, &made->got->response);
    kms_options_free(options);
    return status;
}

static kms_status perform_call(call *made)
{
    char *request = copy_of("");
    kms_status status;
    made->got->is_document = 1;
    for (size_t i = 0; i < made->written->arguments.count; i++) {
        char *name = percent_encoded(made->written->arguments.items[i].name);
        char *value = percent_encoded(made->values[i]);
        char *longer = printed("%s%s%s=%s", request, i != 0 ? "&" : "", name, value);
        free(name);
        free(value);
        free(request);
        request = longer;
    }
    status = kms_call(made->with->client, request, &made->got->document, &made->got->document_len,
                      &made->got->response);
    free(request);
    return status;
}

static kms_status perform_generate(call *made, const char *json)
{
    answer *got = made->got;
    plaintext_buffer(made, KMS_DATA_KEY_MAX);
    blob_buffer(made, KMS_DATA_KEY_BLOB_MAX);
    return kms_generate_data_key(made->with->client, argument(made, "key_id"), key_spec(made),
                                 number_of_bytes(made), json, got->plaintext,
                                 got->plaintext_capacity, &got->plaintext_len, got->blob,
                                 got->blob_capacity, &got->blob_len, &got->response);
}

static kms_status perform_generate_without_plaintext(call *made, const char *json)
{
    answer *got = made->got;
    blob_buffer(made, KMS_DATA_KEY_BLOB_MAX);
    return kms_generate_data_key_without_plaintext(made->with->client, argument(made, "key_id"),
                                                   key_spec(made), number_of_bytes(made), json,
                                                   got->blob, got->blob_capacity, &got->blob_len,
                                                   &got->response);
}

static kms_status perform_generate_many(call *made, const char *json)
{
    answer *got = made->got;
    const char *without = argument(made, "without_plaintext");
    size_t count = size_or(made, "count", 0), key_len = number_of_bytes(made), room;
    kms_status status;
    if (without != NULL && strcmp(without, "true") != 0)
        bad_list(made->written->line, "without_plaintext is true, or not given");
    if (key_len == 0)
        key_len = key_spec(made) == KMS_KEY_SPEC_AES_128 ? 16 : 32;
    /* For a count or a length that is refused any room will do. */
    room = count > 1024 || key_len > KMS_DATA_KEY_MAX ? 1 : count;
    blob_buffer(made, room * kms_ciphertext_blob_len(key_len));
    if (without == NULL)
        plaintext_buffer(made, room * key_len);
    status = kms_generate_data_keys(made->with->client, argument(made, "key_id"), key_spec(made),
                                    number_of_bytes(made), json, count, got->plaintext,
                                    got->plaintext_capacity,
                                    without == NULL ? &got->plaintext_len : NULL, got->blob,
                                    got->blob_capacity, &got->blob_len, &got->response);
    got->count = status == KMS_OK ? count : 0;
    return status;
}

static kms_status perform_decrypt(call *made, const char *json)
{
    answer *got = made->got;
    size_t len;
    uint8_t *blob = blob_argument(made, &len);
    kms_status status;
    plaintext_buffer(made, KMS_PLAINTEXT_MAX);
    status = kms_decrypt(made->with->client, argument(made, "expected_key_id"), blob, len, json,
                         got->plaintext, got->plaintext_capacity, &got->plaintext_len,
                         &got->response);
    free(blob);
    return status;
}

static kms_status perform_encrypt(call *made, const char *json)
{
    answer *got = made->got;
    const char *hex = argument(made, "plaintext");
    size_t len;
    uint8_t *plaintext = from_hex(hex != NULL ? hex : "", &len, made->written->line);
    kms_status status;
    blob_buffer(made, KMS_CIPHERTEXT_BLOB_MAX);
    status = kms_encrypt(made->with->client, argument(made, "key_id"), plaintext, len, json,
                         got->blob, got->blob_capacity, &got->blob_len, &got->response);
    kms_zeroize(plaintext, len);
    free(plaintext);
    return status;
}

static kms_status perform_re_encrypt(call *made, const char *source, const char *destination)
{
    answer *got = made->got;
    size_t len;
    uint8_t *blob = blob_argument(made, &len);
    kms_status status;
    blob_buffer(made, KMS_CIPHERTEXT_BLOB_MAX);
    status = kms_re_encrypt(made->with->client, argument(made, "expected_key_id"), blob, len,
                            source, argument(made, "destination_key_id"), destination, got->blob,
                            got->blob_capacity, &got->blob_len, &got->response);
    free(blob);
    return status;
}

static kms_status perform_re_encrypt_many(call *made, const char *source, const char *destination)
{
    answer *got = made->got;
    size_t *lens, count, sum = 0;
    uint8_t *blobs = blobs_argument(made, &lens, &count);
    kms_status status;
    for (size_t i = 0; i < count; i++)
        sum += lens[i];
    blob_buffer(made, sum);
    got->blob_lens = lens;
    got->statuses = must_alloc(count * sizeof *got->statuses);
    status = kms_re_encrypt_many(made->with->client, blobs, lens, count,
                                 argument(made, "expected_key_id"), source,
                                 argument(made, "destination_key_id"), destination, got->blob,
                                 got->blob_capacity, &got->blob_len, got->statuses,
                                 &got->response);
    got->count = status == KMS_OK ? count : 0;
    free(blobs);
    return status;
}

/* ---- All steps ------------------------------------------------------------------------------ */

#define CONTEXT "context. context_json "
#define CONTEXTS "source_context. source_context_json destination_context. destination_context_json "
#define KEY "key_id key_version_id "

typedef kms_status (*performer)(call *made);
typedef kms_status (*performer_with_context)(call *made, const char *context);
typedef kms_status (*performer_with_two)(call *made, const char *source, const char *destination);

static const struct kind {
    const char *name, *arguments, *checks;
    performer plain; /* one of these three */
    performer_with_context with_context;
    performer_with_two with_two;
} kinds[] = {
    {"open", NULL, "", perform_open, NULL, NULL},
    {"call", NULL, KEY "member.", perform_call, NULL, NULL},
    {"generate_data_key",
     "key_id key_spec number_of_bytes plaintext_capacity blob_capacity " CONTEXT,
     "plaintext_len blob_len " KEY, NULL, perform_generate, NULL},
    {"generate_data_key_without_plaintext", "key_id key_spec number_of_bytes blob_capacity " CONTEXT,
     "blob_len " KEY, NULL, perform_generate_without_plaintext, NULL},
    {"generate_data_keys", "key_id key_spec number_of_bytes count without_plaintext " CONTEXT,
     "count plaintext_len blob_len key_id", NULL, perform_generate_many, NULL},
    {"decrypt", "blob expected_key_id plaintext_capacity flip cut " CONTEXT,
     "plaintext plaintext_len content " KEY, NULL, perform_decrypt, NULL},
    {"encrypt", "key_id plaintext blob_capacity " CONTEXT, "blob_len " KEY, NULL, perform_encrypt,
     NULL},
    {"re_encrypt", "blob expected_key_id destination_key_id blob_capacity flip cut " CONTEXTS,
     "blob_len " KEY, NULL, NULL, perform_re_encrypt},
    {"re_encrypt_many", "blobs expected_key_id destination_key_id " CONTEXTS, "statuses", NULL, NULL,
     perform_re_encrypt_many},
};

static const struct kind *kind_of(const step *written)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, written->name) == 0)
            return &kinds[i];
    bad_list(written->line, "%s is no step", written->name);
    return NULL;
}

void step_must_be_known(const step *written)
{
    const struct kind *kind = kind_of(written);
    for (size_t i = 0; kind->arguments != NULL && i < written->arguments.count; i++)
        if (!is_among(kind->arguments, written->arguments.items[i].name))
            bad_list(written->line, "%s takes no %s", kind->name, written->arguments.items[i].name);
    for (size_t i = 0; i < written->checks.count; i++)
        if (!is_among(kind->checks, written->checks.items[i].name))
            bad_list(written->line, "%s has no check %s", kind->name, written->checks.items[i].name);
}

/* Performs the step with the contexts that its kind has. */
static kms_status perform(call *made, const struct kind *kind)
{
    char *first = NULL, *second = NULL;
    kms_status status;
    if (kind->plain != NULL)
        return kind->plain(made);
    status = context_argument(made, kind->with_two != NULL ? "source_context" : "context", &first);
    if (status == KMS_OK && kind->with_two != NULL)
        status = context_argument(made, "destination_context", &second);
    if (status != KMS_OK)
        made->got->has_response = 0; /* kms_encryption_context gives a status and no more */
    else if (kind->with_two != NULL)
        status = kind->with_two(made, first, second);
    else
        status = kind->with_context(made, first);
    free(first);
    free(second);
    return status;
}

void step_perform(run *with, const step *written, answer *got)
{
    const struct kind *kind = kind_of(written);
    call made = {written, must_alloc(written->arguments.count * sizeof(char *)), with, got};
    memset(got, 0, sizeof *got);
    for (size_t i = 0; i < written->arguments.count; i++)
        made.values[i] = resolved(&with->fields, written->arguments.items[i].value, written->line);
    if (kind->plain != perform_open && with->client == NULL)
        bad_list(written->line, "there is no client: the open before failed");
    got->has_response = 1;
    got->status = perform(&made, kind);
    for (size_t i = 0; i < written->arguments.count; i++)
        free(made.values[i]);
    free(made.values);
}
