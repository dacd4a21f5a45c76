/* What the hosts of tests/hosts have in common: a client of the keystore that the first argument names. */
#ifndef HOST_H
#define HOST_H

#include "must.h"

static const uint8_t host_root_key[32] = "\x91 root key of the tests alone\x07\xfe\x13";

static inline kms_client *host_open(const char *keystore)
{
    kms_response response = {0};
    kms_options *options = NULL;
    kms_client *client = NULL;
    MUST(kms_options_new(&options));
    MUST(kms_options_set(options, "keystore", keystore, &response));
    MUST(kms_options_set(options, "create", "true", &response));
    MUST(kms_options_set_root_key(options, host_root_key, sizeof host_root_key, &response));
    MUST(kms_client_open(options, &client, &response));
    kms_options_free(options);
    return client;
}

static inline kms_status host_call(const kms_client *client, const char *request, kms_response *response)
{
    char *document = NULL;
    size_t len = 0;
    kms_status status = kms_call(client, request, &document, &len, response);
    kms_document_free(document);
    return status;
}

/* A CMK; its id is in the response. */
static inline void host_create_key(const kms_client *client, kms_response *response)
{
    must(host_call(client, "Action=CreateKey", response), "CreateKey", response);
}

static inline kms_status host_data_key(const kms_client *client, const char *key_id, uint8_t key[32],
                                       kms_response *response)
{
    uint8_t blob[KMS_DATA_KEY_BLOB_MAX];
    size_t key_len, blob_len;
    return kms_generate_data_key(client, key_id, KMS_KEY_SPEC_AES_256, 0, NULL, key, 32, &key_len,
                                 blob, sizeof blob, &blob_len, response);
}

#endif
