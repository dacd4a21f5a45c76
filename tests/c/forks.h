/* What each role of forks.c does with the library, and what it may not leave about. */
#ifndef FORKS_H
#define FORKS_H

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

#endif
