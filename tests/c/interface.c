/* The interface, written down a second time: every function must have exactly this type, as C and as
 * C++ see it, and kms_response exactly this layout. Compiled as C11 and as C++11. */
struct kms_client; /* the types have tags, so that a program's own header can declare them ahead */
struct kms_options;
struct kms_response;

#include <kmsbox.h>

#ifdef __cplusplus
#define HOLDS(condition) static_assert(condition, #condition)
#else
#define HOLDS(condition) _Static_assert(condition, #condition)
#endif

typedef struct interface {
    kms_status (*options_new)(kms_options **options);
    kms_status (*options_set)(kms_options *options, const char *name, const char *value,
                              kms_response *response);
    kms_status (*options_set_root_key)(kms_options *options, const uint8_t *root_key,
                                       size_t root_key_len, kms_response *response);
    void (*options_free)(kms_options *options);

    kms_status (*client_open)(const kms_options *options, kms_client **client,
                              kms_response *response);
    kms_status (*client_describe)(const kms_client *client, char **document, size_t *document_len);
    void (*client_free)(kms_client *client);

    kms_status (*generate_data_key)(const kms_client *client, const char *key_id, int32_t key_spec,
                                    uint32_t number_of_bytes, const char *encryption_context,
                                    uint8_t *plaintext, size_t plaintext_capacity,
                                    size_t *plaintext_len, uint8_t *ciphertext_blob,
                                    size_t ciphertext_blob_capacity, size_t *ciphertext_blob_len,
                                    kms_response *response);
    kms_status (*generate_data_key_without_plaintext)(
        const kms_client *client, const char *key_id, int32_t key_spec, uint32_t number_of_bytes,
        const char *encryption_context, uint8_t *ciphertext_blob, size_t ciphertext_blob_capacity,
        size_t *ciphertext_blob_len, kms_response *response);
    kms_status (*decrypt)(const kms_client *client, const char *expected_key_id,
                          const uint8_t *ciphertext_blob, size_t ciphertext_blob_len,
                          const char *encryption_context, uint8_t *plaintext,
                          size_t plaintext_capacity, size_t *plaintext_len, kms_response *response);
    kms_status (*encryption_context)(const char *const *pairs, size_t pair_count, char *json,
                                     size_t json_capacity, size_t *json_len);

    kms_status (*call)(const kms_client *client, const char *request, char **document,
                       size_t *document_len, kms_response *response);
    void (*document_free)(char *document);

    void (*zeroize)(void *bytes, size_t len);
    kms_status (*secret_alloc)(size_t len, void **secret);
    void (*secret_free)(void *secret);

    const char *(*status_name)(kms_status status);
    const char *(*status_text)(kms_status status);
    const char *(*version)(void);
    size_t (*ciphertext_blob_len)(size_t plaintext_len);
} interface;

static const interface library = {
    kms_options_new,
    kms_options_set,
    kms_options_set_root_key,
    kms_options_free,
    kms_client_open,
    kms_client_describe,
    kms_client_free,
    kms_generate_data_key,
    kms_generate_data_key_without_plaintext,
    kms_decrypt,
    kms_encryption_context,
    kms_call,
    kms_document_free,
    kms_zeroize,
    kms_secret_alloc,
    kms_secret_free,
    kms_status_name,
    kms_status_text,
    kms_version,
    kms_ciphertext_blob_len,
};

/* kms_status is int32_t itself: a pointer to the one is a pointer to the other. */
static kms_status a_status = KMS_OK;
static int32_t *const as_number = &a_status;

HOLDS(sizeof(kms_response) == 1024);
HOLDS(sizeof(struct kms_response) == sizeof(kms_response));
HOLDS(offsetof(kms_response, request_id) == 0);
HOLDS(offsetof(kms_response, key_id) == 40);
HOLDS(offsetof(kms_response, key_version_id) == 104);
HOLDS(offsetof(kms_response, error_code) == 168);
HOLDS(offsetof(kms_response, error_message) == 232);
HOLDS(offsetof(kms_response, http_status) == 488);
HOLDS(offsetof(kms_response, content) == 492);
HOLDS(offsetof(kms_response, reserved) == 496);
HOLDS(sizeof(((kms_response *)0)->request_id) == 40);
HOLDS(sizeof(((kms_response *)0)->error_message) == 256);
HOLDS(sizeof(((kms_response *)0)->reserved) == 528);

HOLDS(KMS_OK == 0);
HOLDS(KMS_KEY_SPEC_DEFAULT == 0);
HOLDS(KMS_KEY_SPEC_AES_256 == 1);
HOLDS(KMS_KEY_SPEC_AES_128 == 2);
HOLDS(KMS_CONTENT_BYTES == 0);
HOLDS(KMS_CONTENT_TEXT == 1);
HOLDS(KMS_ROOT_KEY_LEN == 32);
HOLDS(KMS_DATA_KEY_MAX == 1024);
HOLDS(KMS_DATA_KEY_BLOB_MAX == 1134);
HOLDS(KMS_PLAINTEXT_MAX == 6144);
HOLDS(KMS_CIPHERTEXT_BLOB_MAX == 6254);

int main(void)
{
    kms_response response;
    char *const text[] = {response.request_id,     response.key_id,        response.key_version_id,
                          response.error_code,     response.error_message, response.reserved};
    int32_t *const numbers[] = {&response.http_status, &response.content};
    int at_their_places = text[5] == (char *)&response + 496 && numbers[0] + 1 == numbers[1];

    return library.version() != NULL && *as_number == KMS_OK && at_their_places ? 0 : 1;
}
