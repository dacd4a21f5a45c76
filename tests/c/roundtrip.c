/* A key made, wrapped and unwrapped: enough to prove that a linked library works. Valid C and C++. */
#include <kmsbox.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(kms_status status, const char *what, const kms_response *response)
{
    if (status != KMS_OK) {
        fprintf(stderr, "%s: %s: %s\n", what, kms_status_name(status), response->error_message);
        exit(1);
    }
}

#define MUST(call) must(call, #call, &response)

int main(void)
{
    static const uint8_t root_key[KMS_ROOT_KEY_LEN] = {1, 2, 3};
    const char *context = "{\"table\":\"orders\"}";
    kms_options *options = NULL;
    kms_client *client = NULL;
    kms_response response;
    char *document = NULL;
    char key_id[sizeof response.key_id];
    uint8_t key[32], again[32], blob[142];
    size_t document_len = 0, key_len = 0, again_len = 0, blob_len = 0;

    memset(&response, 0, sizeof response);
    MUST(kms_options_new(&options));
    MUST(kms_options_set(options, "keystore", "memory:", &response));
    MUST(kms_options_set_root_key(options, root_key, sizeof root_key, &response));
    MUST(kms_client_open(options, &client, &response));
    kms_options_free(options);

    MUST(kms_call(client, "Action=CreateKey", &document, &document_len, &response));
    kms_document_free(document);
    memcpy(key_id, response.key_id, sizeof key_id);

    MUST(kms_generate_data_key(client, key_id, KMS_KEY_SPEC_AES_256, 0, context, key, sizeof key,
                               &key_len, blob, sizeof blob, &blob_len, &response));
    MUST(kms_decrypt(client, key_id, blob, blob_len, context, again, sizeof again, &again_len,
                     &response));
    if (key_len != sizeof key || again_len != key_len || memcmp(key, again, sizeof key) != 0) {
        fprintf(stderr, "another key came back\n");
        return 1;
    }
    blob[blob_len - 1] ^= 1;
    if (kms_decrypt(client, key_id, blob, blob_len, context, again, sizeof again, &again_len,
                    &response) != KMS_ERR_CIPHERTEXT_INVALID) {
        fprintf(stderr, "an altered blob was opened\n");
        return 1;
    }
    kms_zeroize(key, sizeof key);
    kms_client_free(client);
    puts("round trip");
    return 0;
}
