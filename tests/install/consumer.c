/* A program outside the tree, that knows of kmsbox only what is installed: in the directory given to it, the
 * first run makes a keystore and a data key, and every later run opens the blob again. Valid C and C++. */
#include <kmsbox.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const uint8_t root_key[KMS_ROOT_KEY_LEN] = {0x91, 2, 3};
static const char context[] = "{\"table\":\"orders\"}";

static void must(kms_status status, const char *what, const kms_response *response)
{
    if (status != KMS_OK) {
        fprintf(stderr, "%s: %s: %s\n", what, kms_status_name(status), response->error_message);
        exit(1);
    }
}

#define MUST(call) must(call, #call, &response)

static void write_file(const char *name, const void *bytes, size_t len)
{
    FILE *file = fopen(name, "wb");
    if (file == NULL || fwrite(bytes, 1, len, file) != len || fclose(file) != 0) {
        perror(name);
        exit(1);
    }
}

static size_t read_file(const char *name, void *bytes, size_t room)
{
    FILE *file = fopen(name, "rb");
    size_t len = 0;
    if (file == NULL) {
        perror(name);
        exit(1);
    }
    len = fread(bytes, 1, room, file);
    fclose(file);
    return len;
}

int main(int argc, char **argv)
{
    kms_options *options = NULL;
    kms_client *client = NULL;
    kms_response response;
    uint8_t key[32], again[32], blob[KMS_DATA_KEY_BLOB_MAX];
    size_t key_len = 0, again_len = 0, blob_len = 0, document_len = 0;
    char *document = NULL;
    char id[64];
    int first = 0;

    if (argc != 2 || chdir(argv[1]) != 0) return 2;
    if (strcmp(kms_version(), KMS_VERSION_STRING) != 0) {
        fprintf(stderr, "the library is %s, the header " KMS_VERSION_STRING "\n", kms_version());
        return 1;
    }
    memset(&response, 0, sizeof response);
    MUST(kms_options_new(&options));
    MUST(kms_options_set(options, "keystore", "keystore", &response));
    MUST(kms_options_set(options, "create", "true", &response));
    MUST(kms_options_set_root_key(options, root_key, sizeof root_key, &response));
    MUST(kms_client_open(options, &client, &response));
    kms_options_free(options);

    first = access("blob", F_OK) != 0;
    if (first) {
        MUST(kms_call(client, "Action=CreateKey", &document, &document_len, &response));
        kms_document_free(document);
        MUST(kms_generate_data_key(client, response.key_id, KMS_KEY_SPEC_AES_256, 0, context, key,
                                   sizeof key, &key_len, blob, sizeof blob, &blob_len, &response));
        write_file("id", response.key_id, sizeof id);
        write_file("blob", blob, blob_len);
        write_file("key", key, key_len); /* as no engine would: for the next run to compare with */
    }
    if (read_file("id", id, sizeof id) != sizeof id || read_file("key", key, sizeof key) != sizeof key)
        return 1;
    blob_len = read_file("blob", blob, sizeof blob);
    MUST(kms_decrypt(client, id, blob, blob_len, context, again, sizeof again, &again_len, &response));
    if (again_len != sizeof key || memcmp(key, again, sizeof key) != 0) {
        fprintf(stderr, "another key came back\n");
        return 1;
    }
    if (kms_decrypt(client, id, blob, blob_len, NULL, again, sizeof again, &again_len, &response) !=
        KMS_ERR_CIPHERTEXT_INVALID) {
        fprintf(stderr, "the blob opened without its context\n");
        return 1;
    }
    kms_client_free(client);
    puts(first ? "made" : "opened");
    return 0;
}
