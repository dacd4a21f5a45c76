/* A host without standard streams, one thread of which goes on warning on all three.
 * Usage: closed_descriptors KEYSTORE AUDIT_LOG REPORT */
#include "host.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>

static atomic_int done;

static void *warns(void *unused)
{
    while (!done)
        for (int stream = 0; stream < 3; stream++)
            if (write(stream, "warning: slow query\n", 20) < 0) continue;
    return unused;
}

int main(int argc, char **argv)
{
    if (argc != 4) return 2;
    for (int stream = 0; stream < 3; stream++) close(stream);
    kms_options *options = NULL;
    kms_client *client = NULL;
    kms_response response = {0};
    pthread_t thread;
    int made = 0;
    kms_status status = kms_options_new(&options);
    HOLDS(pthread_create(&thread, NULL, warns, NULL) == 0);
    if (status == KMS_OK) status = kms_options_set(options, "keystore", argv[1], &response);
    if (status == KMS_OK) status = kms_options_set(options, "create", "true", &response);
    if (status == KMS_OK) status = kms_options_set(options, "audit_log", argv[2], &response);
    if (status == KMS_OK) status = kms_options_set_root_key(options, host_root_key, 32, &response);
    if (status == KMS_OK) status = kms_client_open(options, &client, &response);
    while (status == KMS_OK && made < 50) {
        status = host_call(client, "Action=CreateKey", &response);
        if (status == KMS_OK) made++;
    }
    kms_client_free(client);
    kms_options_free(options);
    done = 1;
    HOLDS(pthread_join(thread, NULL) == 0);
    /* The numbers are free again, and a new file gets the first of them. */
    int report = open(argv[3], O_WRONLY | O_CREAT, 0600);
    dprintf(report, "%d made, then %s %s; report is %d", made, kms_status_name(status),
            response.error_message, report);
    return 0;
}
