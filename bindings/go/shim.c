#include "shim.h"

#include <stdlib.h>
#include <string.h>

#include "_cgo_export.h"

/* Room for every key id, ARN and alias there can be; only paths and nonsense are longer. */
#define USUAL_TEXT 320

/* A copy of text with a NUL at its end. */
typedef struct copy {
    const char *text; /* NULL where none is given */
    char *heap;
    char stack[USUAL_TEXT];
} copy;

static int copy_text(copy *to, const char *at, size_t len)
{
    char *text = to->stack;

    to->text = to->heap = NULL;
    if (at == NULL) return 1;
    if (len >= sizeof to->stack) {
        if (len == SIZE_MAX) return 0;
        text = to->heap = malloc(len + 1);
        if (text == NULL) return 0;
    }
    memcpy(text, at, len);
    text[len] = '\0';
    to->text = text;
    return 1;
}

static kmsgo_answer no_memory(void)
{
    kmsgo_answer answer = {.status = KMS_ERR_NO_MEMORY};
    return answer;
}

static kmsgo_answer answer_of(kms_status status, const kms_response *response)
{
    kmsgo_answer answer = {.status = status, .content = response->content};

    memcpy(answer.request_id, response->request_id, KMSGO_ID_LEN);
    memcpy(answer.key_id, response->key_id, KMSGO_ID_LEN);
    memcpy(answer.key_version_id, response->key_version_id, KMSGO_ID_LEN);
    if (status != KMS_OK) {
        answer.refusal = malloc(sizeof *response);
        if (answer.refusal != NULL) *answer.refusal = *response;
    }
    return answer;
}

void kmsgo_free(kms_response *refusal)
{
    free(refusal);
}

void kmsgo_zeroize(uint8_t *bytes, size_t len)
{
    kms_zeroize(bytes, len);
}

kmsgo_answer kmsgo_option(kms_options *options, KMSGO_TEXT(name), KMSGO_TEXT(value))
{
    copy name_copy, value_copy;
    kms_response response;
    kmsgo_answer answer = no_memory();

    if (!copy_text(&name_copy, name, name_len)) return answer;
    if (copy_text(&value_copy, value, value_len)) {
        answer = answer_of(kms_options_set(options, name_copy.text, value_copy.text, &response),
                           &response);
    }
    free(value_copy.heap);
    free(name_copy.heap);
    return answer;
}

kmsgo_answer kmsgo_root_key(kms_options *options, const uint8_t *root_key, size_t root_key_len)
{
    kms_response response;
    return answer_of(kms_options_set_root_key(options, root_key, root_key_len, &response),
                     &response);
}

/* The handle is a number, which Go must never see as a pointer. */
static int32_t tell_go(void *context, const char *line, size_t line_len)
{
    return kmsboxTakeAuditLine((uintptr_t)context, (char *)line, line_len);
}

kmsgo_answer kmsgo_audit(kms_options *options, uintptr_t handle)
{
    kms_response response;
    return answer_of(kms_options_set_audit_callback(options, tell_go, (void *)handle, &response),
                     &response);
}

kmsgo_answer kmsgo_open(const kms_options *options, kms_client **client)
{
    kms_response response;
    return answer_of(kms_client_open(options, client, &response), &response);
}

kmsgo_answer kmsgo_generate_data_key(const kms_client *client, KMSGO_TEXT(key_id), int32_t key_spec,
                                   uint32_t number_of_bytes, const char *context,
                                   uint8_t *plaintext, size_t plaintext_capacity,
                                   uint8_t *blob, size_t blob_capacity)
{
    copy key;
    kms_response response;
    size_t plaintext_len, blob_len;
    kms_status status;
    kmsgo_answer answer;

    if (!copy_text(&key, key_id, key_id_len)) return no_memory();
    status = kms_generate_data_key(client, key.text, key_spec, number_of_bytes, context,
                                   plaintext, plaintext_capacity, &plaintext_len,
                                   blob, blob_capacity, &blob_len, &response);
    answer = answer_of(status, &response);
    answer.plaintext_len = plaintext_len;
    answer.blob_len = blob_len;
    free(key.heap);
    return answer;
}

kmsgo_answer kmsgo_generate_data_key_without_plaintext(const kms_client *client, KMSGO_TEXT(key_id),
                                                     int32_t key_spec, uint32_t number_of_bytes,
                                                     const char *context,
                                                     uint8_t *blob, size_t blob_capacity)
{
    copy key;
    kms_response response;
    size_t blob_len;
    kms_status status;
    kmsgo_answer answer;

    if (!copy_text(&key, key_id, key_id_len)) return no_memory();
    status = kms_generate_data_key_without_plaintext(client, key.text, key_spec, number_of_bytes,
                                                     context, blob, blob_capacity, &blob_len,
                                                     &response);
    answer = answer_of(status, &response);
    answer.blob_len = blob_len;
    free(key.heap);
    return answer;
}

kmsgo_answer kmsgo_decrypt(const kms_client *client, KMSGO_TEXT(expected_key_id),
                         const uint8_t *blob, size_t blob_len, const char *context,
                         uint8_t *plaintext, size_t plaintext_capacity)
{
    copy key;
    kms_response response;
    size_t plaintext_len;
    kms_status status;
    kmsgo_answer answer;

    if (!copy_text(&key, expected_key_id, expected_key_id_len)) return no_memory();
    status = kms_decrypt(client, key.text, blob, blob_len, context, plaintext, plaintext_capacity,
                         &plaintext_len, &response);
    answer = answer_of(status, &response);
    answer.plaintext_len = plaintext_len;
    free(key.heap);
    return answer;
}

kmsgo_answer kmsgo_encrypt(const kms_client *client, KMSGO_TEXT(key_id),
                         const uint8_t *plaintext, size_t plaintext_len, const char *context,
                         uint8_t *blob, size_t blob_capacity)
{
    copy key;
    kms_response response;
    size_t blob_len;
    kms_status status;
    kmsgo_answer answer;

    if (!copy_text(&key, key_id, key_id_len)) return no_memory();
    status = kms_encrypt(client, key.text, plaintext, plaintext_len, context,
                         blob, blob_capacity, &blob_len, &response);
    answer = answer_of(status, &response);
    answer.blob_len = blob_len;
    free(key.heap);
    return answer;
}

kmsgo_answer kmsgo_re_encrypt(const kms_client *client, KMSGO_TEXT(expected_key_id),
                            const uint8_t *blob, size_t blob_len, const char *source_context,
                            KMSGO_TEXT(destination_key_id), const char *destination_context,
                            uint8_t *rewrapped, size_t rewrapped_capacity)
{
    copy expected, destination;
    kms_response response;
    size_t rewrapped_len;
    kms_status status;
    kmsgo_answer answer = no_memory();

    if (!copy_text(&expected, expected_key_id, expected_key_id_len)) return answer;
    if (copy_text(&destination, destination_key_id, destination_key_id_len)) {
        status = kms_re_encrypt(client, expected.text, blob, blob_len, source_context,
                                destination.text, destination_context,
                                rewrapped, rewrapped_capacity, &rewrapped_len, &response);
        answer = answer_of(status, &response);
        answer.blob_len = rewrapped_len;
    }
    free(destination.heap);
    free(expected.heap);
    return answer;
}

kmsgo_answer kmsgo_generate_data_keys(const kms_client *client, KMSGO_TEXT(key_id), int32_t key_spec,
                                    uint32_t number_of_bytes, const char *context, size_t count,
                                    int with_plaintext,
                                    uint8_t *plaintexts, size_t plaintexts_capacity,
                                    uint8_t *blobs, size_t blobs_capacity)
{
    copy key;
    kms_response response;
    size_t plaintexts_len = 0, blobs_len;
    kms_status status;
    kmsgo_answer answer;

    if (!copy_text(&key, key_id, key_id_len)) return no_memory();
    status = kms_generate_data_keys(client, key.text, key_spec, number_of_bytes, context, count,
                                    plaintexts, plaintexts_capacity,
                                    with_plaintext ? &plaintexts_len : NULL,
                                    blobs, blobs_capacity, &blobs_len, &response);
    answer = answer_of(status, &response);
    answer.plaintext_len = plaintexts_len;
    answer.blob_len = blobs_len;
    free(key.heap);
    return answer;
}

kmsgo_answer kmsgo_re_encrypt_many(const kms_client *client, const uint8_t *blobs,
                                 const size_t *lens, size_t count, KMSGO_TEXT(expected_key_id),
                                 const char *source_context, KMSGO_TEXT(destination_key_id),
                                 const char *destination_context,
                                 uint8_t *rewrapped, size_t rewrapped_capacity,
                                 kms_status *statuses)
{
    copy expected, destination;
    kms_response response;
    size_t rewrapped_len;
    kms_status status;
    kmsgo_answer answer = no_memory();

    if (!copy_text(&expected, expected_key_id, expected_key_id_len)) return answer;
    if (copy_text(&destination, destination_key_id, destination_key_id_len)) {
        status = kms_re_encrypt_many(client, blobs, lens, count, expected.text, source_context,
                                     destination.text, destination_context, rewrapped,
                                     rewrapped_capacity, &rewrapped_len, statuses, &response);
        answer = answer_of(status, &response);
        answer.blob_len = rewrapped_len;
    }
    free(destination.heap);
    free(expected.heap);
    return answer;
}

kmsgo_answer kmsgo_call(const kms_client *client, const char *request,
                      char **document, size_t *document_len)
{
    kms_response response;
    return answer_of(kms_call(client, request, document, document_len, &response), &response);
}
