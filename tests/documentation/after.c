
/* What is declared for the piece: a client that may do everything, the options it was opened with, the id of
 * its CMK alias/orders, and the blob of a data key of 32 bytes under it, bound to {"table":"orders"}. */
static kms_status piece(const char *keystore, const char *root_key, kms_options *options, kms_client *client,
                        const char *key_id, const uint8_t *blob, size_t blob_len)
{
    kms_status status = KMS_OK;
    kms_response response = {0};
    char *document = NULL;
    size_t document_len = 0;
    {
STATEMENTS
    }
    kms_document_free(document);
    return status;
}

static kms_status prepare(const char *keystore, const char *root_key, kms_options **options,
                          kms_client **client, char *key_id, uint8_t *blob, size_t *blob_len)
{
    char *document = NULL, request[200];
    size_t len = 0;
    kms_response response;
    uint8_t key[32];
    kms_status status = kms_options_new(options);
    if (status == KMS_OK) status = kms_options_set(*options, "keystore", keystore, NULL);
    if (status == KMS_OK) status = kms_options_set(*options, "create", "true", NULL);
    if (status == KMS_OK) status = kms_options_set(*options, "root_key", root_key, NULL);
    if (status == KMS_OK) status = kms_client_open(*options, client, NULL);
    if (status == KMS_OK) status = kms_call(*client, "Action=CreateKey", &document, &len, &response);
    kms_document_free(document);
    if (status != KMS_OK) return status;
    strcpy(key_id, response.key_id);
    snprintf(request, sizeof request, "Action=CreateAlias&AliasName=alias/orders&KeyId=%s", key_id);
    status = kms_call(*client, request, &document, &len, NULL);
    kms_document_free(document);
    if (status != KMS_OK) return status;
    status = kms_generate_data_key(*client, key_id, 0, 0, "{\"table\":\"orders\"}", key, sizeof key, &len,
                                   blob, KMS_DATA_KEY_BLOB_MAX, blob_len, NULL);
    kms_zeroize(key, sizeof key);
    return status;
}

int main(int argc, char **argv)
{
    kms_options *options = NULL;
    kms_client *client = NULL;
    char root_key[4200], key_id[64];
    uint8_t blob[KMS_DATA_KEY_BLOB_MAX];
    size_t blob_len = 0;
    kms_status status;
    if (argc != 3) return 2;
    snprintf(root_key, sizeof root_key, "file:%s", argv[2]);
    status = prepare(argv[1], root_key, &options, &client, key_id, blob, &blob_len);
    if (status == KMS_OK) status = piece(argv[1], root_key, options, client, key_id, blob, blob_len);
    if (status != KMS_OK) fprintf(stderr, "%s\n", kms_status_name(status));
    kms_client_free(client);
    kms_options_free(options);
    return status == KMS_OK ? 0 : 1;
}
