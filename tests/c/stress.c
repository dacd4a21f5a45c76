/* An engine under load, to be watched by a sanitizer:
 *
 *     stress KEYSTORE SECONDS [forks]
 *
 * Sixteen threads make, unwrap and rewrap data keys through one client. One thread rotates a CMK, disables
 * another and enables it, and opens and frees a client of its own. Another process changes the same
 * keystore, so that its views are read anew all the time. With `forks` one more thread forks children, which
 * use the client and free it; older sanitizers hold locks of their own across a fork, and cannot do it. Then
 * all is joined, and the client is freed. */
#include "must.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

#define THREADS 16
#define MANY 8
#define BLOB 142
#define CONTEXT "{\"table\":\"orders\"}"

static const uint8_t root_key[KMS_ROOT_KEY_LEN] = "\x91 root key of the tests alone\x07\xfe\x13";

static const char *keystore;
static kms_client *client;
static char orders[64], customers[64];
static atomic_bool stop;
static atomic_long uses, changes, forks;

static kms_client *open_client(void)
{
    kms_response response;
    kms_options *options = NULL;
    kms_client *opened = NULL;
    MUST(kms_options_new(&options));
    MUST(kms_options_set(options, "keystore", keystore, &response));
    MUST(kms_options_set(options, "create", "true", &response));
    MUST(kms_options_set(options, "refresh_interval_ms", "5", &response));
    MUST(kms_options_set(options, "lock_timeout_ms", "60000", &response));
    /* So few slots that keys push each other out. */
    MUST(kms_options_set(options, "locked_memory_max", "16384", &response));
    MUST(kms_options_set_root_key(options, root_key, sizeof root_key, &response));
    MUST(kms_client_open(options, &opened, &response));
    kms_options_free(options);
    return opened;
}

static void ask(kms_client *whose, const char *format, const char *key_id, kms_response *into)
{
    kms_response response;
    char request[256], *document = NULL;
    size_t len = 0;
    snprintf(request, sizeof request, format, key_id);
    MUST(kms_call(whose, request, &document, &len, &response));
    kms_document_free(document);
    if (into != NULL) *into = response;
}

static void create_key(char *made)
{
    kms_response response;
    ask(client, "Action=CreateKey", "", &response);
    memcpy(made, response.key_id, sizeof response.key_id);
}

static void use(void)
{
    kms_response response;
    uint8_t key[32], blob[BLOB], again[32], keys[MANY][32], blobs[MANY][BLOB], rewrapped[MANY][BLOB];
    size_t key_len = 0, blob_len = 0, again_len = 0, keys_len = 0, blobs_len = 0, rewrapped_len = 0;
    size_t lens[MANY];
    kms_status statuses[MANY];
    MUST(kms_generate_data_key(client, orders, KMS_KEY_SPEC_AES_256, 0, CONTEXT, key, sizeof key,
                               &key_len, blob, sizeof blob, &blob_len, &response));
    MUST(kms_decrypt(client, orders, blob, blob_len, CONTEXT, again, sizeof again, &again_len,
                     &response));
    HOLDS(again_len == 32 && memcmp(key, again, 32) == 0);
    MUST(kms_generate_data_keys(client, orders, KMS_KEY_SPEC_AES_256, 0, CONTEXT, MANY, keys[0],
                                sizeof keys, &keys_len, blobs[0], sizeof blobs, &blobs_len,
                                &response));
    for (int at = 0; at < MANY; at++)
        lens[at] = BLOB;
    MUST(kms_re_encrypt_many(client, blobs[0], lens, MANY, orders, CONTEXT, orders, NULL,
                             rewrapped[0], sizeof rewrapped, &rewrapped_len, statuses, &response));
    for (int at = 0; at < MANY; at++) {
        HOLDS(statuses[at] == KMS_OK);
        MUST(kms_decrypt(client, orders, rewrapped[at], BLOB, NULL, again, sizeof again, &again_len,
                         &response));
        HOLDS(memcmp(keys[at], again, 32) == 0);
    }
    ask(client, "Action=DescribeKey&KeyId=%s", orders, NULL);
    ++uses;
}

static void *use_until_stopped(void *unused)
{
    while (!stop)
        use();
    return unused;
}

static void change(kms_client *whose)
{
    const char *const actions[] = {
        "Action=DisableKey&KeyId=%s",
        "Action=EnableKey&KeyId=%s",
        "Action=CreateKeyVersion&KeyId=%s",
        "Action=UpdateRotationPolicy&KeyId=%s&EnableAutomaticRotation=true&RotationInterval=7d",
    };
    for (size_t at = 0; at < sizeof actions / sizeof actions[0]; at++, ++changes)
        ask(whose, actions[at], customers, NULL);
    ask(whose, "Action=CreateKeyVersion&KeyId=%s", orders, NULL);
    usleep(2000);
}

static void *change_until_stopped(void *unused)
{
    while (!stop) {
        kms_client *own = open_client();
        change(own);
        kms_client_free(own);
    }
    return unused;
}

static int wait_for(pid_t child)
{
    int status = -1;
    HOLDS(child > 0 && waitpid(child, &status, 0) == child);
    return status;
}

static void *fork_until_stopped(void *unused)
{
    while (!stop) {
        pid_t child = fork();
        if (child == 0) {
            alarm(60);
            use();
            kms_client_free(client);
            _exit(0);
        }
        HOLDS(wait_for(child) == 0);
        ++forks;
        usleep(50000);
    }
    return unused;
}

/* The writing process: forked while there is one thread, it has a client of its own. */
static pid_t start_writer(void)
{
    pid_t writer = fork();
    if (writer == 0) {
        kms_client *own = open_client();
        while (getppid() != 1) {
            char request[64];
            snprintf(request, sizeof request, "writer-%ld", (long)changes++);
            ask(own, "Action=CreateKey&Description=%s", request, NULL);
            ask(own, "Action=CreateKeyVersion&KeyId=%s", orders, NULL);
            usleep(20000);
        }
        _exit(0);
    }
    HOLDS(writer > 0);
    return writer;
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS], changer, forker;
    pid_t writer;
    bool forking = argc == 4 && strcmp(argv[3], "forks") == 0;
    if (argc != 3 && !forking) return 2;
    keystore = argv[1];
    client = open_client();
    create_key(orders);
    create_key(customers);
    writer = start_writer();
    for (int at = 0; at < THREADS; at++)
        HOLDS(pthread_create(&threads[at], NULL, use_until_stopped, NULL) == 0);
    HOLDS(pthread_create(&changer, NULL, change_until_stopped, NULL) == 0);
    if (forking) HOLDS(pthread_create(&forker, NULL, fork_until_stopped, NULL) == 0);
    sleep((unsigned)atoi(argv[2]));
    stop = true;
    for (int at = 0; at < THREADS; at++)
        HOLDS(pthread_join(threads[at], NULL) == 0);
    HOLDS(pthread_join(changer, NULL) == 0);
    if (forking) HOLDS(pthread_join(forker, NULL) == 0);
    kill(writer, SIGKILL);
    wait_for(writer);
    kms_client_free(client);
    printf("%ld rounds of use, %ld changes, %ld forks\n", uses, changes, forks);
    return 0;
}
