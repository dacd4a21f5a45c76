/* A thread that is cancelled while it is in the library. The thread cancels itself and then calls: the
 * cancellation is pending, and comes at the first cancellation point where it is not put off. Until the
 * end this file reaches none of its own.
 *
 * cancelled KEYSTORE AUDIT_LOG */
#include "must.h"

#include <pthread.h>
#include <stdlib.h>

enum { KEY = 32, COUNT = 3 };

static const char *keystore, *audit_log;
static int finished, lines;

/* Has a cancellation point, as most functions that write a log. */
static int32_t keep(void *context, const char *line, size_t line_len)
{
    lines++;
    return write(*(int *)context, line, line_len) == (ssize_t)line_len ? 0 : 1;
}

static void expect_state(int expected, const char *after)
{
    int state = -1;
    pthread_setcancelstate(expected, &state);
    if (state != expected) die("the cancel state after %s is %d", after, state);
}

static void use(kms_client *client)
{
    kms_response response;
    char *document;
    char key_id[64], request[128];
    uint8_t key[COUNT * KEY], blob[COUNT * KMS_DATA_KEY_BLOB_MAX], other[sizeof blob];
    size_t key_len, blob_len, len, lens[COUNT];
    kms_status statuses[COUNT];
    void *secret;

    MUST(kms_call(client, "Action=CreateKey", &document, &len, &response));
    kms_document_free(document);
    memcpy(key_id, response.key_id, sizeof key_id);
    MUST(kms_generate_data_key(client, key_id, 0, 0, NULL, key, KEY, &key_len, blob, sizeof blob,
                               &blob_len, &response));
    MUST(kms_decrypt(client, NULL, blob, blob_len, NULL, key, KEY, &key_len, &response));
    MUST(kms_re_encrypt(client, NULL, blob, blob_len, NULL, key_id, NULL, other, sizeof other, &len,
                        &response));
    MUST(kms_encrypt(client, key_id, key, KEY, NULL, blob, sizeof blob, &blob_len, &response));
    MUST(kms_generate_data_key_without_plaintext(client, key_id, 0, 0, NULL, blob, sizeof blob,
                                                 &blob_len, &response));
    MUST(kms_generate_data_keys(client, key_id, 0, 0, NULL, COUNT, key, sizeof key, &key_len, blob,
                                sizeof blob, &blob_len, &response));
    for (int i = 0; i < COUNT; i++) lens[i] = blob_len / COUNT;
    MUST(kms_re_encrypt_many(client, blob, lens, COUNT, NULL, NULL, key_id, NULL, other,
                             sizeof other, &len, statuses, &response));
    MUST(kms_secret_alloc(1 << 16, &secret));
    kms_secret_free(secret);
    MUST(kms_client_describe(client, &document, &len));
    kms_document_free(document);

    const char *actions[] = {"CreateKeyVersion", "DisableKey", "EnableKey", "DescribeKey"};
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        snprintf(request, sizeof request, "Action=%s&KeyId=%s", actions[i], key_id);
        MUST(kms_call(client, request, &document, &len, &response));
        kms_document_free(document);
        expect_state(PTHREAD_CANCEL_ENABLE, actions[i]);
    }
    /* A refusal restores the state too, and what the host had disabled stays so. */
    HOLDS(kms_call(client, "Action=None", &document, &len, NULL) == KMS_ERR_UNSUPPORTED_OPERATION);
    kms_document_free(document);
    expect_state(PTHREAD_CANCEL_ENABLE, "a refusal");
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    MUST(kms_generate_data_key(client, key_id, 0, 0, NULL, key, KEY, &key_len, blob, sizeof blob,
                               &blob_len, &response));
    expect_state(PTHREAD_CANCEL_DISABLE, "a call without cancellation");
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
}

static kms_client *open_with(int *log)
{
    static const uint8_t root_key[KMS_ROOT_KEY_LEN] = {7, 1, 200};
    kms_options *options;
    kms_client *client;
    kms_response response;

    MUST(kms_options_new(&options));
    MUST(kms_options_set(options, "keystore", keystore, &response));
    MUST(kms_options_set(options, "create", "true", &response));
    MUST(kms_options_set_root_key(options, root_key, sizeof root_key, &response));
    if (log != NULL)
        MUST(kms_options_set_audit_callback(options, keep, log, &response));
    else
        MUST(kms_options_set(options, "audit_log", audit_log, &response));
    MUST(kms_client_open(options, &client, &response));
    kms_options_free(options);
    return client;
}

static void *cancelled(void *log)
{
    pthread_cancel(pthread_self());
    kms_client *client = open_with(log);
    use(client);
    kms_client_free(client);
    finished = 1;
    pthread_testcancel();
    return NULL;
}

int main(int argc, char **argv)
{
    HOLDS(argc == 3);
    keystore = argv[1];
    audit_log = argv[2];
    int fd[2];
    HOLDS(pipe(fd) == 0);
    int *logs[] = {NULL, &fd[1]}; /* the option audit_log, and the callback */
    for (size_t i = 0; i < sizeof logs / sizeof *logs; i++) {
        pthread_t thread;
        void *result = NULL;
        finished = 0;
        HOLDS(pthread_create(&thread, NULL, cancelled, logs[i]) == 0);
        HOLDS(pthread_join(thread, &result) == 0);
        HOLDS(finished);
        HOLDS(result == PTHREAD_CANCELED);
    }
    HOLDS(lines > 10);
    use(open_with(NULL));
    return 0;
}
