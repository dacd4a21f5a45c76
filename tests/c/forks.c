/* Forks of a process that uses the library, in the ways a database server forks:
 *
 *     forks crowd KEYSTORE RECORDS   eight threads at work, a ninth changing CMKs, two more forking
 *     forks partings KEYSTORE        a client freed on one side while the other goes on with it
 *     forks memory                   a keystore in memory, on both sides
 *     forks orphans KEYSTORE         children that free their client while their parent's threads work;
 *                                    each says its id, and stays until a line comes in
 */
#include "must.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/wait.h>

#define CONTEXT "{\"table\":\"orders\"}"
#define THREADS 8
#define FORKERS 2
#define FORKS_EACH 100
/* A child that has not done its work in so many seconds never will. */
#define CHILD_LIMIT 60

static const uint8_t root_key[KMS_ROOT_KEY_LEN] = "\x91 root key of the tests alone\x07\xfe\x13";

static kms_client *client;
static char key_id[64], side_key_id[64];
/* A data key from before any fork. */
static uint8_t known_key[32], known_blob[142];
static atomic_bool stop;
static int descriptors_at_start;

/* ---- Using the library ---- */

static kms_client *open_client(const char *keystore)
{
    kms_response response;
    kms_options *options = NULL;
    kms_client *opened = NULL;
    MUST(kms_options_new(&options));
    MUST(kms_options_set(options, "keystore", keystore, &response));
    MUST(kms_options_set(options, "create", "true", &response));
    /* Short, so that views are read anew all the time. */
    MUST(kms_options_set(options, "refresh_interval_ms", "10", &response));
    MUST(kms_options_set(options, "lock_timeout_ms", "50000", &response));
    MUST(kms_options_set_root_key(options, root_key, sizeof root_key, &response));
    MUST(kms_client_open(options, &opened, &response));
    kms_options_free(options);
    return opened;
}

/* Asks for something of the API; the response tells what came of it. */
static kms_status ask(const char *request, kms_response *response)
{
    char *document = NULL;
    size_t len = 0;
    kms_status status = kms_call(client, request, &document, &len, response);
    kms_document_free(document);
    return status;
}

static void create_key(char *made)
{
    kms_response response;
    MUST(ask("Action=CreateKey", &response));
    memcpy(made, response.key_id, sizeof response.key_id);
}

static void generate(uint8_t *key, uint8_t *blob, kms_response *into)
{
    kms_response response;
    size_t key_len = 0, blob_len = 0;
    MUST(kms_generate_data_key(client, key_id, KMS_KEY_SPEC_AES_256, 0, CONTEXT, key, 32, &key_len,
                               blob, 142, &blob_len, &response));
    HOLDS(key_len == 32 && blob_len == 142);
    if (into != NULL) *into = response;
}

static void check_decrypts(const uint8_t *blob, const uint8_t *key, kms_response *into)
{
    kms_response response;
    uint8_t again[32];
    size_t len = 0;
    MUST(kms_decrypt(client, key_id, blob, 142, CONTEXT, again, sizeof again, &len, &response));
    HOLDS(len == 32 && memcmp(again, key, 32) == 0);
    if (into != NULL) *into = response;
}

static void create_alias(const char *alias)
{
    kms_response response;
    char request[256];
    snprintf(request, sizeof request, "Action=CreateAlias&KeyId=%s&AliasName=alias/%s", key_id,
             alias);
    MUST(ask(request, &response));
}

static kms_status find(const char *name)
{
    kms_response response;
    char request[256];
    snprintf(request, sizeof request, "Action=DescribeKey&KeyId=%s", name);
    return ask(request, &response);
}

static void open_and_prepare(const char *keystore)
{
    client = open_client(keystore);
    create_key(key_id);
    create_key(side_key_id);
    generate(known_key, known_blob, NULL);
}

/* ---- What must never repeat ---- */

/* A call, and what it made if it made a data key; tests/forks.rs reads these. */
struct record {
    char request_id[36];
    uint8_t made_a_key;
    uint8_t key[32], nonce[24];
};

struct log {
    size_t count;
    struct record records[256];
};

static int records_file = -1;

static void log_flush(struct log *log)
{
    size_t len = log->count * sizeof log->records[0];
    /* In one piece: the file is shared and appended to. */
    if (records_file >= 0) HOLDS(write(records_file, log->records, len) == (ssize_t)len);
    log->count = 0;
}

static void log_call(struct log *log, const kms_response *response, const uint8_t *key,
                     const uint8_t *blob)
{
    struct record *record = &log->records[log->count++];
    memset(record, 0, sizeof *record);
    memcpy(record->request_id, response->request_id, sizeof record->request_id);
    if (key != NULL) {
        record->made_a_key = 1;
        memcpy(record->key, key, 32);
        memcpy(record->nonce, blob + 38, 24);
    }
    if (log->count == sizeof log->records / sizeof log->records[0]) log_flush(log);
}

/* Every kind of call that uses a CMK. */
static void work(struct log *log)
{
    kms_response response;
    uint8_t key[32], blob[142];
    char request[256];
    generate(key, blob, &response);
    log_call(log, &response, key, blob);
    check_decrypts(blob, key, &response);
    log_call(log, &response, NULL, NULL);
    check_decrypts(known_blob, known_key, &response);
    log_call(log, &response, NULL, NULL);
    snprintf(request, sizeof request, "Action=GenerateDataKey&KeyId=%s&Format=XML", key_id);
    MUST(ask(request, &response));
    log_call(log, &response, NULL, NULL);
}

/* ---- What the library may not leave about ---- */

static int entries(const char *directory)
{
    int count = 0;
    DIR *opened = opendir(directory);
    HOLDS(opened != NULL);
    while (readdir(opened) != NULL)
        count++;
    closedir(opened);
    return count - 2;
}

/* Without the one that is open to count them. */
static int descriptors(void)
{
    return entries("/proc/self/fd") - 1;
}

static void show_descriptors(void)
{
    for (int at = 0; at < 1024; at++) {
        char path[32], to[256];
        ssize_t len;
        snprintf(path, sizeof path, "/proc/self/fd/%d", at);
        len = readlink(path, to, sizeof to);
        if (len > 0) dprintf(STDERR_FILENO, "%d is %.*s\n", at, (int)len, to);
    }
}

static void check_nothing_is_open(void)
{
    if (descriptors() != descriptors_at_start) {
        show_descriptors();
        die("%d descriptors, and %d at the start", descriptors(), descriptors_at_start);
    }
}

static int threads(void)
{
    return entries("/proc/self/task");
}

/* A thread that was joined may be listed for a moment longer. */
static void wait_for_one_thread(void)
{
    for (int patience = 0; threads() != 1; patience++) {
        HOLDS(patience < 1000);
        usleep(1000);
    }
}

/* ---- Children ---- */

static void wait_for(pid_t child)
{
    int status = 0;
    HOLDS(child > 0);
    HOLDS(waitpid(child, &status, 0) == child);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        die("child %ld did not come to an end", (long)child);
    if (status != 0) die("child %ld ended with wait status %#x", (long)child, status);
}

static void tell(int pipe_end, const void *what, size_t len)
{
    HOLDS(write(pipe_end, what, len) == (ssize_t)len);
}

static void hear(int pipe_end, void *what, size_t len)
{
    HOLDS(read(pipe_end, what, len) == (ssize_t)len);
}

/* ---- crowd ---- */

static void *work_until_stopped(void *unused)
{
    struct log *log = calloc(1, sizeof *log);
    while (!stop) {
        work(log);
        /* Leaves the children a part of the machine. */
        usleep(300);
    }
    log_flush(log);
    free(log);
    return unused;
}

/* Mostly changes that do not make the file grow. */
static void *change_until_stopped(void *counter)
{
    kms_response response;
    char request[128];
    long *changes = counter;
    for (; !stop; ++*changes) {
        const char *action = *changes % 8 == 0   ? "CreateKeyVersion"
                             : *changes % 2 == 0 ? "EnableKey"
                                                 : "DisableKey";
        snprintf(request, sizeof request, "Action=%s&KeyId=%s", action,
                 *changes % 8 == 0 ? key_id : side_key_id);
        MUST(ask(request, &response));
        /* Whoever asks for the lock at random moments meets few where a writer always has it. */
        usleep(3000);
    }
    return NULL;
}

static void be_a_child(int forker, int at, int generation)
{
    static struct log log;
    char alias[64];
    alarm(CHILD_LIMIT);
    check_nothing_is_open();
    log.count = 0;
    check_decrypts(known_blob, known_key, NULL);
    for (int round = 0; round < 3; round++)
        work(&log);
    snprintf(alias, sizeof alias, "child-%d-%d-%d", forker, at, generation);
    create_alias(alias);
    HOLDS(threads() == 1);
    check_nothing_is_open();
    if (at % 10 == 0 && generation == 0) {
        pid_t grandchild = fork();
        if (grandchild == 0) {
            be_a_child(forker, at, generation + 1);
            _exit(0);
        }
        wait_for(grandchild);
    }
    work(&log);
    log_flush(&log);
}

static void *fork_often(void *number)
{
    int forker = *(int *)number;
    for (int at = 0; at < FORKS_EACH; at++) {
        pid_t child = fork();
        if (child == 0) {
            be_a_child(forker, at, 0);
            _exit(0);
        }
        wait_for(child);
    }
    return NULL;
}

static void crowd(const char *keystore, const char *records)
{
    pthread_t workers[THREADS], changer, forkers[FORKERS];
    int numbers[FORKERS];
    long changes = 0;
    records_file = open(records, O_WRONLY | O_CREAT | O_APPEND, 0600);
    HOLDS(records_file >= 0);
    descriptors_at_start = descriptors();
    open_and_prepare(keystore);
    HOLDS(threads() == 1);
    check_nothing_is_open();

    for (int at = 0; at < THREADS; at++)
        HOLDS(pthread_create(&workers[at], NULL, work_until_stopped, NULL) == 0);
    HOLDS(pthread_create(&changer, NULL, change_until_stopped, &changes) == 0);
    for (int at = 0; at < FORKERS; at++) {
        numbers[at] = at;
        HOLDS(pthread_create(&forkers[at], NULL, fork_often, &numbers[at]) == 0);
    }
    for (int at = 0; at < FORKERS; at++)
        HOLDS(pthread_join(forkers[at], NULL) == 0);
    stop = true;
    for (int at = 0; at < THREADS; at++)
        HOLDS(pthread_join(workers[at], NULL) == 0);
    HOLDS(pthread_join(changer, NULL) == 0);

    wait_for_one_thread();
    check_nothing_is_open();
    for (int forker = 0; forker < FORKERS; forker++)
        for (int at = 0; at < FORKS_EACH; at++)
            for (int generation = 0; generation <= (at % 10 == 0); generation++) {
                char alias[64];
                snprintf(alias, sizeof alias, "alias/child-%d-%d-%d", forker, at, generation);
                HOLDS(find(alias) == KMS_OK);
            }
    kms_client_free(client);
    check_nothing_is_open();
    printf("%ld changes beside the children's\n", changes);
}

/* ---- partings ---- */

static void partings(const char *keystore)
{
    descriptors_at_start = descriptors();
    open_and_prepare(keystore);
    for (int round = 0; round < 10; round++) {
        char done = 0;
        char alias[64];
        int ends[2];
        pid_t child;
        HOLDS(pipe(ends) == 0);

        /* The parent frees while the child writes. */
        child = fork();
        if (child == 0) {
            alarm(CHILD_LIMIT);
            for (int at = 0; at < 20; at++) {
                snprintf(alias, sizeof alias, "late-%d-%d", round, at);
                create_alias(alias);
                check_decrypts(known_blob, known_key, NULL);
                if (at == 0) tell(ends[1], &done, 1);
            }
            kms_client_free(client);
            _exit(0);
        }
        hear(ends[0], &done, 1);
        kms_client_free(client);
        wait_for(child);
        client = open_client(keystore);
        for (int at = 0; at < 20; at++) {
            snprintf(alias, sizeof alias, "alias/late-%d-%d", round, at);
            HOLDS(find(alias) == KMS_OK);
        }

        /* The child frees, which wipes its copy, while the parent goes on. */
        check_decrypts(known_blob, known_key, NULL);
        child = fork();
        if (child == 0) {
            alarm(CHILD_LIMIT);
            kms_client_free(client);
            tell(ends[1], &done, 1);
            _exit(0);
        }
        hear(ends[0], &done, 1);
        check_decrypts(known_blob, known_key, NULL);
        wait_for(child);
        check_decrypts(known_blob, known_key, NULL);
        snprintf(alias, sizeof alias, "after-%d", round);
        create_alias(alias);
        close(ends[0]);
        close(ends[1]);
    }
    kms_client_free(client);
    check_nothing_is_open();
}

/* ---- memory ---- */

static void memory(void)
{
    struct {
        char key_id[64];
        uint8_t key[32], blob[142];
    } childs, parents;
    kms_response response;
    char request[128];
    int up[2], down[2];
    pid_t child;
    descriptors_at_start = descriptors();
    open_and_prepare("memory:");
    HOLDS(pipe(up) == 0 && pipe(down) == 0);

    child = fork();
    if (child == 0) {
        alarm(CHILD_LIMIT);
        check_decrypts(known_blob, known_key, NULL);
        create_key(childs.key_id);
        generate(childs.key, childs.blob, NULL);
        tell(up[1], &childs, sizeof childs);
        snprintf(request, sizeof request, "Action=DisableKey&KeyId=%s", side_key_id);
        MUST(ask(request, &response));

        hear(down[0], &parents, sizeof parents);
        HOLDS(find(parents.key_id) == KMS_ERR_KEY_NOT_FOUND);
        check_decrypts(parents.blob, parents.key, NULL);
        kms_client_free(client);
        tell(up[1], "", 1);
        _exit(0);
    }
    create_key(parents.key_id);
    generate(parents.key, parents.blob, NULL);
    hear(up[0], &childs, sizeof childs);
    /* CMKs made on one side are not there on the other. Those from before are the same on both. */
    HOLDS(strcmp(parents.key_id, childs.key_id) != 0);
    HOLDS(find(childs.key_id) == KMS_ERR_KEY_NOT_FOUND);
    check_decrypts(childs.blob, childs.key, NULL);
    tell(down[1], &parents, sizeof parents);
    hear(up[0], &childs, 1);
    wait_for(child);

    snprintf(request, sizeof request,
             "Action=GenerateDataKeyWithoutPlaintext&KeyId=%s", side_key_id);
    MUST(ask(request, &response));
    check_decrypts(known_blob, known_key, NULL);
    kms_client_free(client);
    for (int at = 0; at < 2; at++) {
        close(up[at]);
        close(down[at]);
    }
    check_nothing_is_open();
}

/* ---- orphans ---- */

static void *use_until_stopped(void *unused)
{
    while (!stop)
        check_decrypts(known_blob, known_key, NULL);
    return unused;
}

static void orphans(const char *keystore)
{
    pthread_t workers[THREADS];
    pthread_attr_t small;
    open_and_prepare(keystore);
    /* There is less to search where the stacks are small. */
    HOLDS(pthread_attr_init(&small) == 0);
    HOLDS(pthread_attr_setstacksize(&small, 128 << 10) == 0);
    for (int at = 0; at < THREADS; at++)
        HOLDS(pthread_create(&workers[at], &small, use_until_stopped, NULL) == 0);
    for (int at = 0; at < 10; at++) {
        char byte;
        pid_t child = fork();
        if (child == 0) {
            alarm(CHILD_LIMIT);
            check_decrypts(known_blob, known_key, NULL);
            kms_client_free(client);
            dprintf(STDOUT_FILENO, "%ld\n", (long)getpid());
            hear(STDIN_FILENO, &byte, 1);
            _exit(0);
        }
        wait_for(child);
    }
    stop = true;
    for (int at = 0; at < THREADS; at++)
        HOLDS(pthread_join(workers[at], NULL) == 0);
    kms_client_free(client);
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "crowd") == 0)
        crowd(argv[2], argv[3]);
    else if (argc == 3 && strcmp(argv[1], "partings") == 0)
        partings(argv[2]);
    else if (argc == 2 && strcmp(argv[1], "memory") == 0)
        memory();
    else if (argc == 3 && strcmp(argv[1], "orphans") == 0)
        orphans(argv[2]);
    else
        return 2;
    return 0;
}
