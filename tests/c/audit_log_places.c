/* A host with the system's own signals, whose audit log is replaced by a FIFO while it runs.
 * Usage: audit_log_places KEYSTORE LOG */
#include "host.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

int main(int argc, char **argv)
{
    if (argc != 3) return 2;
    const char *keystore = argv[1], *log = argv[2];
    kms_response response = {0};
    uint8_t key[32];
    HOLDS(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    kms_client *plain = host_open(keystore);
    host_create_key(plain, &response);
    char key_id[64];
    memcpy(key_id, response.key_id, sizeof key_id);

    kms_options *options = NULL;
    kms_client *client = NULL;
    MUST(kms_options_new(&options));
    MUST(kms_options_set(options, "keystore", keystore, &response));
    MUST(kms_options_set_root_key(options, host_root_key, sizeof host_root_key, &response));
    MUST(kms_options_set(options, "audit_log", log, &response));
    MUST(kms_client_open(options, &client, &response));
    MUST(host_data_key(client, key_id, key, &response));

    /* Read and write, then write alone; without a reader, then with one. */
    for (int mode = 0600; mode >= 0200; mode -= 0400)
        for (int reader = 0; reader < 2; reader++) {
            unlink(log);
            HOLDS(mkfifo(log, (mode_t)mode) == 0);
            int fd = reader ? open(log, O_RDONLY | O_NONBLOCK) : -1;
            HOLDS(!reader || fd >= 0 || mode == 0200);
            HOLDS(host_data_key(client, key_id, key, &response) == KMS_ERR_AUDIT_FAILED);
            HOLDS(strstr(response.error_message, log) != NULL);
            HOLDS(host_call(client, "Action=CreateKey", &response) == KMS_ERR_AUDIT_FAILED);
            char byte;
            HOLDS(fd < 0 || read(fd, &byte, 1) <= 0);
            if (fd >= 0) close(fd);

            kms_client *other = NULL;
            HOLDS(kms_client_open(options, &other, &response) == KMS_ERR_INVALID_OPTION);
            HOLDS(other == NULL && strstr(response.error_message, "audit_log") != NULL);
        }
    /* A file again, and all is well again. */
    HOLDS(unlink(log) == 0);
    MUST(host_data_key(client, key_id, key, &response));
    HOLDS(host_call(plain, "Action=ListKeys", &response) == KMS_OK);
    kms_client_free(client);
    kms_client_free(plain);
    kms_options_free(options);
    return 0;
}
