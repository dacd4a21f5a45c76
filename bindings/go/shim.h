/*
 * What Go calls in place of the library's own functions. Go text has no NUL at its end and may hold one
 * (Go checks), so it comes with its length and is copied to the C stack. What a call answers is returned by
 * value: then Go allocates nothing for it.
 */
#ifndef KMSGO_SHIM_H
#define KMSGO_SHIM_H

#include <kmsbox.h>

#define KMSGO_ID_LEN 36

/* The part of a kms_response that every caller wants; ids are without a NUL, or begin with one. */
typedef struct kmsgo_answer {
    kms_status status;
    int32_t content;
    size_t plaintext_len;
    size_t blob_len;
    char request_id[KMSGO_ID_LEN];
    char key_id[KMSGO_ID_LEN];
    char key_version_id[KMSGO_ID_LEN];
    kms_response *refusal; /* to be freed with kmsgo_free; may be NULL in spite of a failure */
} kmsgo_answer;

/* Text of Go: `at` is NULL where none is given. */
#define KMSGO_TEXT(name) const char *name, size_t name##_len

void kmsgo_free(kms_response *refusal);

/* Bytes, not void: of a void pointer cgo checks the whole object that it points into, and panics where
 * a key lies in a struct that has pointers elsewhere. */
void kmsgo_zeroize(uint8_t *bytes, size_t len);

kmsgo_answer kmsgo_option(kms_options *options, KMSGO_TEXT(name), KMSGO_TEXT(value));
kmsgo_answer kmsgo_root_key(kms_options *options, const uint8_t *root_key, size_t root_key_len);
kmsgo_answer kmsgo_audit(kms_options *options, uintptr_t handle);
kmsgo_answer kmsgo_open(const kms_options *options, kms_client **client);

/* Contexts are NUL-terminated already, or NULL. */
kmsgo_answer kmsgo_generate_data_key(const kms_client *client, KMSGO_TEXT(key_id), int32_t key_spec,
                                   uint32_t number_of_bytes, const char *context,
                                   uint8_t *plaintext, size_t plaintext_capacity,
                                   uint8_t *blob, size_t blob_capacity);
kmsgo_answer kmsgo_generate_data_key_without_plaintext(const kms_client *client, KMSGO_TEXT(key_id),
                                                     int32_t key_spec, uint32_t number_of_bytes,
                                                     const char *context,
                                                     uint8_t *blob, size_t blob_capacity);
kmsgo_answer kmsgo_decrypt(const kms_client *client, KMSGO_TEXT(expected_key_id),
                         const uint8_t *blob, size_t blob_len, const char *context,
                         uint8_t *plaintext, size_t plaintext_capacity);
kmsgo_answer kmsgo_encrypt(const kms_client *client, KMSGO_TEXT(key_id),
                         const uint8_t *plaintext, size_t plaintext_len, const char *context,
                         uint8_t *blob, size_t blob_capacity);
kmsgo_answer kmsgo_re_encrypt(const kms_client *client, KMSGO_TEXT(expected_key_id),
                            const uint8_t *blob, size_t blob_len, const char *source_context,
                            KMSGO_TEXT(destination_key_id), const char *destination_context,
                            uint8_t *rewrapped, size_t rewrapped_capacity);
kmsgo_answer kmsgo_generate_data_keys(const kms_client *client, KMSGO_TEXT(key_id), int32_t key_spec,
                                    uint32_t number_of_bytes, const char *context, size_t count,
                                    int with_plaintext,
                                    uint8_t *plaintexts, size_t plaintexts_capacity,
                                    uint8_t *blobs, size_t blobs_capacity);
kmsgo_answer kmsgo_re_encrypt_many(const kms_client *client, const uint8_t *blobs,
                                 const size_t *lens, size_t count, KMSGO_TEXT(expected_key_id),
                                 const char *source_context, KMSGO_TEXT(destination_key_id),
                                 const char *destination_context,
                                 uint8_t *rewrapped, size_t rewrapped_capacity,
                                 kms_status *statuses);

/* The request is NUL-terminated already. *document is to be freed with kms_document_free. */
kmsgo_answer kmsgo_call(const kms_client *client, const char *request,
                      char **document, size_t *document_len);

#endif
