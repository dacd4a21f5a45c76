/* A host that has used up its descriptors: data keys need none, a change is refused whole.
 * Usage: no_descriptors_left KEYSTORE */
#include "host.h"

#include <sys/resource.h>

static int count_keys(const kms_client *client)
{
    kms_response response = {0};
    char *document = NULL;
    size_t len = 0;
    int count = 0;
    MUST(kms_call(client, "Action=ListKeys", &document, &len, &response));
    HOLDS(sscanf(strstr(document, "\"TotalCount\""), "\"TotalCount\":%d", &count) == 1);
    kms_document_free(document);
    return count;
}

int main(int argc, char **argv)
{
    kms_response response = {0};
    uint8_t key[32];
    char key_id[64];
    if (argc != 2) return 2;
    kms_client *client = host_open(argv[1]);
    host_create_key(client, &response);
    memcpy(key_id, response.key_id, sizeof key_id);

    const struct rlimit limit = {16, 16};
    HOLDS(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    while (dup(0) >= 0) continue;
    kms_status status = KMS_OK;
    for (int left = 0; left <= 10; left++) {
        int before = count_keys(client);
        status = host_call(client, "Action=CreateKey", &response);
        int made = count_keys(client) - before;
        HOLDS(status == KMS_OK ? made == 1 : status == KMS_ERR_KEYSTORE_IO && made == 0);
        HOLDS(left > 0 || status == KMS_ERR_KEYSTORE_IO);
        HOLDS(host_data_key(client, key_id, key, &response) == KMS_OK);
        HOLDS(close(15 - left) == 0);
    }
    HOLDS(status == KMS_OK);
    kms_client_free(client);
    return 0;
}
