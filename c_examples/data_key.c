/* The smallest useful program: make a data key, keep only its blob, get the key back from the blob.
 * Usage: data_key KEYSTORE ROOT_KEY_FILE    (each run makes a new key, its blob in data_key.blob) */
#include <kmsbox.h>
#include <stdio.h>
#include <string.h>

#define CMK "alias/orders"
#define CONTEXT "{\"table\":\"orders\"}" /* no secret: bound to the blob, but not stored in it */
#define TRY(call) do { if ((status = (call)) != KMS_OK) goto done; } while (0)

static kms_status call(const kms_client *client, const char *request, kms_response *answer)
{
    char *document = NULL; /* the API's JSON; the CMK's id, all this needs, is in the answer too */
    size_t len = 0;
    kms_status status = kms_call(client, request, &document, &len, answer);
    kms_document_free(document);
    return status;
}

/* The first run makes the CMK. Where another process was faster, its CMK serves as well. */
static kms_status have_cmk(const kms_client *client, kms_response *answer)
{
    char request[160];
    kms_status status = call(client, "Action=DescribeKey&KeyId=" CMK, answer);
    if (status != KMS_ERR_ALIAS_NOT_FOUND) return status;
    TRY(call(client, "Action=CreateKey", answer));
    snprintf(request, sizeof request, "Action=CreateAlias&AliasName=" CMK "&KeyId=%s",
             answer->key_id);
    status = call(client, request, answer);
done:
    return status == KMS_ERR_ALIAS_EXISTS ? KMS_OK : status;
}

int main(int argc, char **argv)
{
    kms_options *options = NULL;
    kms_client *client = NULL;
    kms_response answer = {0};
    kms_status status = KMS_OK;
    void *key = NULL, *again = NULL; /* locked memory where the system allows; wiped when freed */
    uint8_t blob[KMS_DATA_KEY_BLOB_MAX];
    size_t key_len = 0, again_len = 0, len = 0;
    char root_key[4200]; /* longer than a path can be */
    FILE *file = NULL;
    int same = 0;

    if (argc != 3) return fprintf(stderr, "usage: data_key KEYSTORE ROOT_KEY_FILE\n"), 2;
    snprintf(root_key, sizeof root_key, "file:%s", argv[2]);
    TRY(kms_options_new(&options));
    TRY(kms_options_set(options, "keystore", argv[1], &answer));
    TRY(kms_options_set(options, "create", "true", &answer));
    TRY(kms_options_set(options, "root_key", root_key, &answer));
    TRY(kms_client_open(options, &client, &answer));
    TRY(have_cmk(client, &answer));
    TRY(kms_secret_alloc(32, &key));
    TRY(kms_secret_alloc(32, &again));
    TRY(kms_generate_data_key(client, CMK, KMS_KEY_SPEC_AES_256, 0, CONTEXT, key, 32, &key_len,
                              blob, sizeof blob, &len, &answer));
    file = fopen("data_key.blob", "w+b");
    if (file == NULL || fwrite(blob, 1, len, file) != len || fflush(file) != 0) {
        perror("data_key.blob");
        goto done;
    }
    rewind(file); /* from here on, what a later process does with the blob and the CMK's id, kept too */
    len = fread(blob, 1, sizeof blob, file);
    TRY(kms_decrypt(client, answer.key_id, blob, len, CONTEXT, again, 32, &again_len, &answer));
    same = key_len == 32 && again_len == 32 && memcmp(key, again, 32) == 0;
done:
    if (status != KMS_OK)
        fprintf(stderr, "%s: %s\n", kms_status_name(status),
                *answer.error_message ? answer.error_message : kms_status_text(status));
    if (same) puts("the same data key came back from its blob");
    if (file != NULL) fclose(file);
    kms_secret_free(again);
    kms_secret_free(key);
    kms_client_free(client);
    kms_options_free(options);
    return same ? 0 : 1;
}
