/*
 * What `make demo` runs: a data key is wrapped in one process and unwrapped in another.
 *
 *     demo KEYSTORE ROOT_KEY_FILE BLOB_FILE         makes KEYSTORE and BLOB_FILE, which must be new
 *     demo KEYSTORE ROOT_KEY_FILE BLOB_FILE TABLE   what the first starts: unwraps the blob in the
 *                                                   context of TABLE, hands the key to its parent
 *
 * The new process is a new program (fork and exec), with nothing of the first but those three
 * paths. The key comes back through a pipe to be compared; a real program would never hand it on.
 */
#define _POSIX_C_SOURCE 200809L

#include <kmsbox.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ALIAS "alias/orders"

enum { KEY_LEN = 32, REFUSED = 1, FAILED = 3 };

static int step(const char *what, kms_status status, const kms_response *answer)
{
    const char *why = answer->error_message[0] != '\0' ? answer->error_message
                                                       : kms_status_text(status);
    if (status != KMS_OK)
        fprintf(stderr, "demo: %s: %s: %s\n", what, kms_status_name(status), why);
    return status == KMS_OK;
}

static int open_keystore(char **argv, const char *create, kms_client **client)
{
    char root_key[4200]; /* longer than a path can be */
    kms_options *options = NULL;
    kms_response answer = {0};
    int opened;
    snprintf(root_key, sizeof root_key, "file:%s", argv[2]);
    opened = step("options", kms_options_new(&options), &answer)
             && step("keystore", kms_options_set(options, "keystore", argv[1], &answer), &answer)
             && step("root_key", kms_options_set(options, "root_key", root_key, &answer), &answer)
             && step("create", kms_options_set(options, "create", create, &answer), &answer)
             && step("open", kms_client_open(options, client, &answer), &answer);
    kms_options_free(options);
    return opened;
}

static int make_context(const char *table, char *context, size_t capacity)
{
    const kms_response no_answer = {0};
    const char *const pairs[] = {"table", table};
    size_t len = 0;
    return step("context", kms_encryption_context(pairs, 1, context, capacity, &len), &no_answer);
}

/* ---- The new process ----------------------------------------------------------------------- */

static int unwrap(char **argv)
{
    uint8_t blob[KMS_DATA_KEY_BLOB_MAX];
    char context[256];
    kms_response answer = {0};
    kms_client *client = NULL;
    kms_status status;
    void *key = NULL;
    size_t blob_len = 0, key_len = 0;
    int result = FAILED;
    FILE *file = fopen(argv[3], "rb");

    if (file != NULL) {
        blob_len = fread(blob, 1, sizeof blob, file);
        fclose(file);
    }
    if (blob_len > 0 && make_context(argv[4], context, sizeof context)
        && open_keystore(argv, "false", &client)
        && step("memory", kms_secret_alloc(KEY_LEN, &key), &answer)) {
        status = kms_decrypt(client, ALIAS, blob, blob_len, context, key, KEY_LEN, &key_len,
                             &answer);
        if (status == KMS_ERR_CIPHERTEXT_INVALID)
            result = REFUSED;
        else if (step("decrypt", status, &answer)
                 && write(STDOUT_FILENO, key, key_len) == (ssize_t)key_len)
            result = 0;
    }
    kms_secret_free(key);
    kms_client_free(client);
    return result;
}

/* Starts this program anew for the context of `table`; its exit status, and the key it hands
 * back. */
static int unwrap_in_a_new_process(char **argv, char *table, uint8_t *key, size_t *key_len)
{
    char *new_argv[] = {argv[0], argv[1], argv[2], argv[3], table, NULL};
    int ends[2], status = 0;
    ssize_t n;
    pid_t child;
    *key_len = 0;
    fflush(NULL);
    if (pipe(ends) != 0 || (child = fork()) < 0)
        return FAILED;
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execv(argv[0], new_argv);
        _exit(FAILED);
    }
    close(ends[1]);
    while (*key_len < KEY_LEN && (n = read(ends[0], key + *key_len, KEY_LEN - *key_len)) > 0)
        *key_len += (size_t)n;
    close(ends[0]);
    return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : FAILED;
}

/* ---- The first process --------------------------------------------------------------------- */

static int make_cmk(const kms_client *client, char *key_id, size_t capacity)
{
    kms_response answer = {0};
    char request[256];
    char *document = NULL;
    size_t len = 0;
    int made = step(
        "CreateKey",
        kms_call(client, "Action=CreateKey&Description=Orders", &document, &len, &answer), &answer);
    kms_document_free(document);
    if (!made)
        return 0;
    snprintf(key_id, capacity, "%s", answer.key_id);
    snprintf(request, sizeof request, "Action=CreateAlias&AliasName=alias%%2Forders&KeyId=%s",
             key_id);
    made = step("CreateAlias", kms_call(client, request, &document, &len, &answer), &answer);
    kms_document_free(document);
    return made;
}

static int write_new_file(const char *path, const uint8_t *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int written = fd >= 0 && write(fd, bytes, len) == (ssize_t)len && fsync(fd) == 0;
    if (!written)
        perror(path);
    if (fd >= 0)
        close(fd);
    return written;
}

/* Whether the key lies in the file as it is; 1 also where the file cannot be read. */
static int holds(const char *path, const uint8_t *key)
{
    uint8_t window[KEY_LEN] = {0};
    FILE *file = fopen(path, "rb");
    int byte, found = file == NULL;
    while (!found && (byte = fgetc(file)) != EOF) {
        memmove(window, window + 1, KEY_LEN - 1);
        window[KEY_LEN - 1] = (uint8_t)byte;
        found = memcmp(window, key, KEY_LEN) == 0;
    }
    if (file != NULL)
        fclose(file);
    return found;
}

static int demonstrate(char **argv, const kms_client *client, uint8_t *key, uint8_t *again)
{
    uint8_t blob[KMS_DATA_KEY_BLOB_MAX];
    char context[256], key_id[64], orders[] = "orders", customers[] = "customers";
    kms_response answer = {0};
    size_t key_len = 0, again_len = 0, blob_len = 0;

    printf("keystore     %s, made and sealed\n", argv[1]);
    if (!make_cmk(client, key_id, sizeof key_id))
        return 0;
    printf("CMK          %s, also called " ALIAS "\n", key_id);
    if (!make_context(orders, context, sizeof context)
        || !step("generate",
                 kms_generate_data_key(client, ALIAS, KMS_KEY_SPEC_AES_256, 0, context, key,
                                       KEY_LEN, &key_len, blob, sizeof blob, &blob_len, &answer),
                 &answer)
        || !write_new_file(argv[3], blob, blob_len))
        return 0;
    printf("data key     %zu bytes, made in process %ld for the context %s\n", key_len,
           (long)getpid(), context);
    printf("blob         %zu bytes, in %s\n", blob_len, argv[3]);
    if (holds(argv[1], key) || holds(argv[3], key))
        return fprintf(stderr, "demo: the data key lies on the disk\n"), 0;
    puts("on disk      the data key is in neither file");
    if (unwrap_in_a_new_process(argv, orders, again, &again_len) != 0 || again_len != key_len
        || memcmp(key, again, key_len) != 0)
        return fprintf(stderr, "demo: another key came back\n"), 0;
    puts("new process  unwrapped the blob: the same key, byte for byte");
    if (unwrap_in_a_new_process(argv, customers, again, &again_len) != REFUSED || again_len != 0)
        return fprintf(stderr, "demo: another context was not refused\n"), 0;
    puts("new process  was refused for the context {\"table\":\"customers\"}");
    return 1;
}

int main(int argc, char **argv)
{
    const kms_response no_answer = {0};
    kms_client *client = NULL;
    void *keys = NULL;
    int done;
    if (argc == 5)
        return unwrap(argv);
    if (argc != 4)
        return fprintf(stderr, "usage: demo KEYSTORE ROOT_KEY_FILE BLOB_FILE\n"), 2;
    done = open_keystore(argv, "true", &client)
           && step("memory", kms_secret_alloc(2 * KEY_LEN, &keys), &no_answer)
           && demonstrate(argv, client, keys, (uint8_t *)keys + KEY_LEN);
    kms_secret_free(keys);
    kms_client_free(client);
    return done ? 0 : FAILED;
}
