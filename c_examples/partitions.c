/*
 * Encrypted partitions, with the work split into two roles, each in processes of its own:
 *
 *   the distributor   creates partitions. It performs GenerateDataKeyWithoutPlaintext only: it
 *                     stores a data key's blob in the new partition and never sees the key.
 *   the data plane    writes and reads records. It performs Decrypt only: it makes no keys, unwraps
 *                     the one that the partition has, and encrypts records by itself.
 *
 *   partitions admin       KEYSTORE ROOT_KEY          makes keystore and CMK, prints the CMK's id
 *   partitions distributor KEYSTORE ROOT_KEY KEY_ID STORE PARTITION...
 *   partitions writer      KEYSTORE ROOT_KEY KEY_ID STORE PARTITION RECORD TEXT
 *   partitions reader      KEYSTORE ROOT_KEY KEY_ID STORE PARTITION RECORD
 *   partitions overstep    KEYSTORE ROOT_KEY KEY_ID STORE PARTITION ROLE
 *                                                     tries all that is not ROLE's to do; 0 if
 *                                                     each of it is refused
 *   partitions demo        DIR                        all of these, each in a process of its own
 *
 * ROOT_KEY is a value of the option root_key, such as file:PATH. Exit status: 0 done; 1 refused;
 * 2 usage; 3 anything else.
 *
 * What this separates: a distributor that asks for a key in the clear is refused, and so is a
 * reader that makes a key nobody ordered. A mistake in one role cannot do the other's work. What
 * it does not separate: each process sets its `permissions` itself, and whoever can read the
 * keystore and the root key can open a client that may do everything. A distributor that an
 * attacker took over can unwrap every blob. Against that, only a server that alone holds the root
 * key would help.
 *
 * A partition is a directory. `key.blob` is the CiphertextBlob of its key; the partition's name
 * is in the context, so that the blob of one partition does not open in another. A record is a
 * file NAME.rec: a nonce of 12 bytes, the text encrypted with AES-256-GCM, a tag of 16 bytes; its
 * name is bound to it. So a record that was changed or renamed is refused. One that was deleted
 * is not missed: that takes a list of the records, which is a database's own business.
 */
#define _POSIX_C_SOURCE 200809L

#include <kmsbox.h>

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DONE = 0, REFUSED = 1, USAGE = 2, FAILED = 3 };
enum { KEY_LEN = 32, NONCE_LEN = 12, TAG_LEN = 16, TEXT_MAX = 1 << 20 };
enum { NAME_LEN_MAX = 64, CONTEXT_SIZE = 256, PATH_SIZE = 4096 };

/* The CMK's id comes from the operator and not from the store: who can put another blob into a
 * partition can put another id beside it. */
struct place {
    const char *keystore, *root_key, *key_id, *store, *partition;
};

static int command(int argc, const char *const *argv);
static int demonstrate(const char *directory);

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "demo") == 0)
        return demonstrate(argv[2]);
    return command(argc, (const char *const *)argv);
}

/* ---- Telling what went wrong --------------------------------------------------------------- */

static int complain(int result, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    fputs("partitions: ", stderr);
    vfprintf(stderr, format, values);
    fputc('\n', stderr);
    va_end(values);
    return result;
}

/* Some statuses refuse what was asked or given; the others say that nothing works at present. */
static int judge(const char *what, kms_status status, const kms_response *answer)
{
    const char *why = answer->error_message[0] != '\0' ? answer->error_message
                                                       : kms_status_text(status);
    int result = FAILED;
    switch (status) {
    case KMS_OK:
        return DONE;
    case KMS_ERR_NO_PERMISSION:
    case KMS_ERR_NOT_A_BLOB:
    case KMS_ERR_BUFFER_TOO_SMALL: /* a longer key: none of the distributor's */
    case KMS_ERR_KEY_MISMATCH:
    case KMS_ERR_KEY_VERSION_NOT_FOUND:
    case KMS_ERR_CIPHERTEXT_INVALID:
        result = REFUSED;
    }
    return complain(result, "%s: %s (%s)", what, why, kms_status_name(status));
}

/* ---- What the roles share ------------------------------------------------------------------ */

/* A client that performs `action` and nothing else. `create` is the administrator's; the
 * others never write the keystore. */
static int open_client(const struct place *place, const char *action, int create,
                       kms_client **client)
{
    kms_response answer = {0};
    kms_options *options = NULL;
    kms_status status = kms_options_new(&options);
    if (status == KMS_OK)
        status = kms_options_set(options, "keystore", place->keystore, &answer);
    if (status == KMS_OK)
        status = kms_options_set(options, "root_key", place->root_key, &answer);
    if (status == KMS_OK)
        status = kms_options_set(options, "permissions", action, &answer);
    if (status == KMS_OK)
        status = kms_options_set(options, create ? "create" : "read_only", "true", &answer);
    if (status == KMS_OK)
        status = kms_client_open(options, client, &answer);
    kms_options_free(options);
    return judge(place->keystore, status, &answer);
}

static int make_context(const char *partition, char context[CONTEXT_SIZE])
{
    const kms_response no_answer = {0};
    const char *const pairs[] = {"purpose", "partition", "partition", partition};
    size_t len = 0;
    return judge(partition, kms_encryption_context(pairs, 2, context, CONTEXT_SIZE, &len),
                 &no_answer);
}

/* STORE/PARTITION, or a file in it. The names must not lead anywhere else. */
static int make_path(char path[PATH_SIZE], const struct place *place, const char *file,
                     const char *ending)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    const char *names[] = {place->partition, file};
    int len;
    size_t i;
    for (i = 0; i < 2; i++) {
        size_t good = strspn(names[i], allowed);
        if (good == 0 || good > NAME_LEN_MAX || names[i][good] != '\0')
            return complain(USAGE, "\"%s\" cannot be a name", names[i]);
    }
    len = snprintf(path, PATH_SIZE, "%s/%s/%s%s", place->store, place->partition, file, ending);
    return len > 0 && len < PATH_SIZE ? DONE
                                      : complain(FAILED, "%s: the path is too long", place->store);
}

static int write_and_sync(int fd, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);
        if (n < 0 && errno != EINTR)
            return 0;
        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
        }
    }
    return fsync(fd) == 0;
}

static int sync_directory(const char *directory)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int synced = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return synced;
}

/* The file appears whole or not at all, and never in place of another: a partition that lost
 * its blob would have lost its data. */
static int store_file(const char *path, const uint8_t *bytes, size_t len)
{
    char temporary[PATH_SIZE + 8], directory[PATH_SIZE];
    int fd, result = DONE;
    snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);
    snprintf(directory, sizeof directory, "%.*s", (int)(strrchr(path, '/') - path), path);
    fd = mkstemp(temporary); /* mode 0600 */
    if (fd < 0)
        return complain(FAILED, "%s: %s", directory, strerror(errno));
    if (!write_and_sync(fd, bytes, len) || link(temporary, path) != 0)
        result = errno == EEXIST ? complain(REFUSED, "%s: is there already", path)
                                 : complain(FAILED, "%s: %s", path, strerror(errno));
    close(fd);
    unlink(temporary);
    if (result == DONE && !sync_directory(directory))
        result = complain(FAILED, "%s: %s", directory, strerror(errno));
    return result;
}

/* A file of at least one and at most `capacity` bytes. */
static int load_file(const char *path, uint8_t *bytes, size_t capacity, size_t *len)
{
    FILE *file = fopen(path, "rb");
    int whole;
    if (file == NULL)
        return complain(FAILED, "%s: %s", path, strerror(errno));
    *len = fread(bytes, 1, capacity, file);
    whole = *len > 0 && fgetc(file) == EOF && !ferror(file);
    fclose(file);
    return whole ? DONE : complain(REFUSED, "%s: empty, too long or unreadable", path);
}

/* ---- The administrator --------------------------------------------------------------------- */

static int administer(const struct place *place)
{
    kms_response answer = {0};
    kms_client *client = NULL;
    char *document = NULL;
    size_t document_len = 0;
    int result = open_client(place, "CreateKey", 1, &client);
    if (result == DONE)
        result = judge("CreateKey",
                       kms_call(client, "Action=CreateKey&Description=Partitions", &document,
                                &document_len, &answer),
                       &answer);
    if (result == DONE)
        printf("%s\n", answer.key_id);
    kms_document_free(document);
    kms_client_free(client);
    return result;
}

/* ---- The distributor ----------------------------------------------------------------------- */

static int create_partition(const struct place *place, const kms_client *client)
{
    kms_response answer = {0};
    char context[CONTEXT_SIZE], path[PATH_SIZE], directory[PATH_SIZE];
    uint8_t blob[KMS_DATA_KEY_BLOB_MAX];
    size_t blob_len = 0;
    kms_status status;
    int result = make_path(path, place, "key", ".blob");
    if (result == DONE)
        result = make_context(place->partition, context);
    if (result != DONE)
        return result;
    status = kms_generate_data_key_without_plaintext(client, place->key_id, KMS_KEY_SPEC_AES_256, 0,
                                                     context, blob, sizeof blob, &blob_len,
                                                     &answer);
    result = judge("GenerateDataKeyWithoutPlaintext", status, &answer);
    if (result != DONE)
        return result;
    snprintf(directory, sizeof directory, "%.*s", (int)(strrchr(path, '/') - path), path);
    if (mkdir(directory, 0700) != 0 && errno != EEXIST) /* perhaps left without a blob by a crash */
        return complain(FAILED, "%s: %s", directory, strerror(errno));
    if (!sync_directory(place->store))
        return complain(FAILED, "%s: %s", place->store, strerror(errno));
    return store_file(path, blob, blob_len);
}

static int distribute(struct place *place, const char *const *partitions)
{
    kms_client *client = NULL;
    int result = open_client(place, "GenerateDataKeyWithoutPlaintext", 0, &client);
    while (result == DONE && *partitions != NULL) {
        place->partition = *partitions++;
        result = create_partition(place, client);
    }
    kms_client_free(client);
    return result;
}

/* ---- The data plane ------------------------------------------------------------------------ */

/* Unwraps the partition's key for libcrypto. The key lies in locked memory, and only this
 * long; what libcrypto expands it to is wiped by EVP_CIPHER_CTX_free. */
static int unwrap_key(const struct place *place, int encrypt, EVP_CIPHER_CTX *cipher)
{
    kms_response answer = {0};
    kms_client *client = NULL;
    char context[CONTEXT_SIZE], path[PATH_SIZE];
    uint8_t blob[KMS_DATA_KEY_BLOB_MAX];
    size_t blob_len = 0, key_len = 0;
    void *key = NULL;
    int result = make_path(path, place, "key", ".blob");
    if (result == DONE)
        result = make_context(place->partition, context);
    if (result == DONE)
        result = load_file(path, blob, sizeof blob, &blob_len);
    if (result == DONE)
        result = open_client(place, "Decrypt", 0, &client);
    if (result == DONE)
        result = judge("locked memory", kms_secret_alloc(KEY_LEN, &key), &answer);
    if (result == DONE)
        result = judge(path,
                       kms_decrypt(client, place->key_id, blob, blob_len, context, key, KEY_LEN,
                                   &key_len, &answer),
                       &answer);
    if (result == DONE && key_len != KEY_LEN)
        result = complain(REFUSED, "%s: holds a shorter key", path);
    if (result == DONE
        && EVP_CipherInit_ex(cipher, EVP_aes_256_gcm(), NULL, key, NULL, encrypt) != 1)
        result = complain(FAILED, "AES-256-GCM does not work here");
    kms_secret_free(key);
    kms_client_free(client);
    return result;
}

/* Encrypts or decrypts the `len` bytes after the nonce in place; the tag follows them. */
static int crypt_record(EVP_CIPHER_CTX *cipher, const char *name, uint8_t *record, size_t len,
                        int encrypt)
{
    uint8_t *text = record + NONCE_LEN, *tag = text + len;
    int n = 0;
    if (EVP_CipherInit_ex(cipher, NULL, NULL, NULL, record, encrypt) != 1
        || EVP_CipherUpdate(cipher, NULL, &n, (const uint8_t *)name, (int)strlen(name)) != 1
        || EVP_CipherUpdate(cipher, text, &n, text, (int)len) != 1
        || (!encrypt && EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_SET_TAG, TAG_LEN, tag) != 1))
        return complain(FAILED, "AES-256-GCM does not work here");
    if (EVP_CipherFinal_ex(cipher, tag, &n) != 1)
        return complain(REFUSED, "%s: this record was changed or renamed", name);
    if (encrypt && EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, TAG_LEN, tag) != 1)
        return complain(FAILED, "AES-256-GCM does not work here");
    return DONE;
}

/* The nonce is random: a writer that counted would have to know, after a crash too, which
 * numbers were used. One partition's key is good for 2^32 records with random nonces. */
static int write_record(const struct place *place, const char *name, const char *text)
{
    char path[PATH_SIZE];
    size_t len = strlen(text), record_len = NONCE_LEN + len + TAG_LEN;
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    uint8_t *record = len <= TEXT_MAX ? malloc(record_len) : NULL;
    int result = cipher != NULL && record != NULL
                     ? DONE
                     : complain(FAILED, "too little memory, or too long a text");
    if (result == DONE)
        result = make_path(path, place, name, ".rec");
    if (result == DONE)
        result = unwrap_key(place, 1, cipher);
    if (result == DONE && RAND_bytes(record, NONCE_LEN) != 1)
        result = complain(FAILED, "no randomness");
    if (result == DONE) {
        memcpy(record + NONCE_LEN, text, len);
        result = crypt_record(cipher, name, record, len, 1);
    }
    if (result == DONE)
        result = store_file(path, record, record_len);
    if (record != NULL)
        kms_zeroize(record, record_len);
    free(record);
    EVP_CIPHER_CTX_free(cipher);
    return result;
}

static int read_record(const struct place *place, const char *name)
{
    const size_t capacity = NONCE_LEN + TEXT_MAX + TAG_LEN;
    char path[PATH_SIZE];
    size_t record_len = 0;
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    uint8_t *record = malloc(capacity);
    int result = cipher != NULL && record != NULL ? DONE : complain(FAILED, "no memory");
    if (result == DONE)
        result = make_path(path, place, name, ".rec");
    if (result == DONE)
        result = load_file(path, record, capacity, &record_len);
    if (result == DONE && record_len < NONCE_LEN + TAG_LEN)
        result = complain(REFUSED, "%s: cut short", path);
    if (result == DONE)
        result = unwrap_key(place, 0, cipher);
    if (result == DONE)
        result = crypt_record(cipher, name, record, record_len - NONCE_LEN - TAG_LEN, 0);
    if (result == DONE)
        printf("%.*s\n", (int)(record_len - NONCE_LEN - TAG_LEN), (const char *)record + NONCE_LEN);
    if (record != NULL)
        kms_zeroize(record, capacity);
    free(record);
    EVP_CIPHER_CTX_free(cipher);
    return result;
}

/* ---- What is not the role's ---------------------------------------------------------------- */

static kms_status try_action(const char *action, const struct place *place,
                             const kms_client *client, kms_response *answer)
{
    char context[CONTEXT_SIZE], path[PATH_SIZE], *document = NULL;
    uint8_t key[KEY_LEN], blob[KMS_DATA_KEY_BLOB_MAX];
    size_t key_len = 0, blob_len = 0, document_len = 0;
    kms_status status;
    if (make_path(path, place, "key", ".blob") != DONE
        || make_context(place->partition, context) != DONE
        || load_file(path, blob, sizeof blob, &blob_len) != DONE)
        return KMS_ERR_INVALID_ARGUMENT;
    if (strcmp(action, "Decrypt") == 0) {
        status = kms_decrypt(client, place->key_id, blob, blob_len, context, key, sizeof key,
                             &key_len, answer);
    } else if (strcmp(action, "GenerateDataKey") == 0) {
        status = kms_generate_data_key(client, place->key_id, KMS_KEY_SPEC_AES_256, 0, context, key,
                                       sizeof key, &key_len, blob, sizeof blob, &blob_len, answer);
    } else if (strcmp(action, "GenerateDataKeyWithoutPlaintext") == 0) {
        status = kms_generate_data_key_without_plaintext(client, place->key_id,
                                                         KMS_KEY_SPEC_AES_256, 0, context, blob,
                                                         sizeof blob, &blob_len, answer);
    } else {
        status = kms_call(client, "Action=CreateKey", &document, &document_len, answer);
        kms_document_free(document);
    }
    kms_zeroize(key, sizeof key);
    return status;
}

static const char *own_action(const char *role)
{
    if (strcmp(role, "distributor") == 0)
        return "GenerateDataKeyWithoutPlaintext";
    return strcmp(role, "writer") == 0 || strcmp(role, "reader") == 0 ? "Decrypt" : NULL;
}

static int overstep(const struct place *place, const char *role)
{
    static const char *const actions[] = {"Decrypt", "GenerateDataKey",
                                          "GenerateDataKeyWithoutPlaintext", "CreateKey"};
    const char *own = own_action(role);
    kms_client *client = NULL;
    int result = open_client(place, own, 0, &client);
    size_t i;
    for (i = 0; result == DONE && i < sizeof actions / sizeof *actions; i++) {
        kms_response answer = {0};
        kms_status status;
        if (strcmp(actions[i], own) == 0)
            continue;
        status = try_action(actions[i], place, client, &answer);
        printf("the %s tries %s: %s\n", role, actions[i], kms_status_name(status));
        if (status != KMS_ERR_NO_PERMISSION)
            result = complain(FAILED, "the %s was not refused %s", role, actions[i]);
    }
    kms_client_free(client);
    return result;
}

/* ---- The command line ---------------------------------------------------------------------- */

static int command(int argc, const char *const *argv)
{
    const char *role = argc > 3 ? argv[1] : "";
    struct place place = {0};
    if (argc > 3) {
        place.keystore = argv[2];
        place.root_key = argv[3];
    }
    if (argc > 6) {
        place.key_id = argv[4];
        place.store = argv[5];
        place.partition = argv[6];
    }
    if (argc == 4 && strcmp(role, "admin") == 0)
        return administer(&place);
    if (argc > 6 && strcmp(role, "distributor") == 0)
        return distribute(&place, argv + 6);
    if (argc == 9 && strcmp(role, "writer") == 0)
        return write_record(&place, argv[7], argv[8]);
    if (argc == 8 && strcmp(role, "reader") == 0)
        return read_record(&place, argv[7]);
    if (argc == 8 && strcmp(role, "overstep") == 0 && own_action(argv[7]) != NULL)
        return overstep(&place, argv[7]);
    fputs("usage: partitions admin KEYSTORE ROOT_KEY\n"
          "       partitions distributor KEYSTORE ROOT_KEY KEY_ID STORE PARTITION...\n"
          "       partitions writer KEYSTORE ROOT_KEY KEY_ID STORE PARTITION RECORD TEXT\n"
          "       partitions reader KEYSTORE ROOT_KEY KEY_ID STORE PARTITION RECORD\n"
          "       partitions overstep KEYSTORE ROOT_KEY KEY_ID STORE PARTITION ROLE\n"
          "       partitions demo DIR\n",
          stderr);
    return USAGE;
}

/* ---- The demonstration --------------------------------------------------------------------- */

/* Runs one command line in a process of its own. With `line`, keeps the first line that it
 * prints. */
static int in_a_process(const char *const *argv, char *line, size_t line_size)
{
    int argc = 0, ends[2] = {-1, -1}, status = 0;
    pid_t child;
    while (argv[argc] != NULL)
        argc++;
    if (line != NULL && pipe(ends) != 0)
        return complain(FAILED, "no pipe: %s", strerror(errno));
    fflush(NULL); /* else the child would print it once more */
    child = fork();
    if (child == 0) {
        if (line != NULL && dup2(ends[1], STDOUT_FILENO) < 0)
            exit(FAILED);
        exit(command(argc, argv));
    }
    if (line != NULL) {
        FILE *printed = fdopen(ends[0], "r");
        close(ends[1]);
        if (printed == NULL || fgets(line, (int)line_size, printed) == NULL)
            line[0] = '\0';
        line[strcspn(line, "\n")] = '\0';
        if (printed != NULL)
            fclose(printed);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
        return complain(FAILED, "a process did not end by itself");
    return WEXITSTATUS(status);
}

/* A root key for show. A real one comes from where the operator keeps secrets. */
static int make_root_key(const char *path)
{
    uint8_t root_key[32];
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int made = fd >= 0 && RAND_bytes(root_key, sizeof root_key) == 1
               && write_and_sync(fd, root_key, sizeof root_key);
    kms_zeroize(root_key, sizeof root_key);
    if (fd >= 0)
        close(fd);
    return made ? DONE : complain(FAILED, "%s: %s", path, strerror(errno));
}

static int demonstrate(const char *directory)
{
    static const struct {
        const char *says, *role, *arguments[3];
        int expected;
    } steps[] = {
        {"The distributor creates two partitions. It does not see their keys.",
         "distributor", {"orders-01", "orders-02"}, DONE},
        {"It cannot create one again: the key of the first would be lost.",
         "distributor", {"orders-01"}, REFUSED},
        {"The writer stores a record in each.",
         "writer", {"orders-01", "r1", "17 barrels to Lisbon"}, DONE},
        {NULL,
         "writer", {"orders-02", "r1", "9 crates to Tallinn"}, DONE},
        {"The reader gets one back.",
         "reader", {"orders-01", "r1"}, DONE},
        {"Neither role can do what is not its own.",
         "overstep", {"orders-01", "distributor"}, DONE},
        {NULL,
         "overstep", {"orders-01", "reader"}, DONE},
        {"A partition does not open under another's name.",
         "reader", {"orders-03", "r1"}, REFUSED},
    };
    char keystore[PATH_SIZE], root_key[PATH_SIZE], store[PATH_SIZE], key_id[64];
    char from[PATH_SIZE + 16], to[PATH_SIZE + 16];
    const char *const admin[] = {"partitions", "admin", keystore, root_key, NULL};
    size_t i;

    if (snprintf(store, sizeof store, "%s/store", directory) >= PATH_SIZE - 32)
        return complain(USAGE, "%s: the path is too long", directory);
    snprintf(keystore, sizeof keystore, "%s/keystore", directory);
    snprintf(root_key, sizeof root_key, "file:%s/root.key", directory);
    if (make_root_key(root_key + strlen("file:")) != DONE)
        return FAILED;
    if (mkdir(store, 0700) != 0)
        return complain(FAILED, "%s: %s", store, strerror(errno));
    snprintf(from, sizeof from, "%s/orders-02", store);
    snprintf(to, sizeof to, "%s/orders-03", store);

    puts("The administrator makes a keystore with a CMK; the roles are told its id.");
    if (in_a_process(admin, key_id, sizeof key_id) != DONE)
        return FAILED;
    printf("  %s\n", key_id);
    for (i = 0; i < sizeof steps / sizeof *steps; i++) {
        const char *const *last = steps[i].arguments;
        const char *const argv[] = {"partitions", steps[i].role, keystore, root_key, key_id, store,
                                    last[0], last[1], last[2], NULL};
        if (steps[i].says != NULL)
            puts(steps[i].says);
        if (strcmp(last[0], "orders-03") == 0 && rename(from, to) != 0)
            return complain(FAILED, "%s: %s", to, strerror(errno));
        if (in_a_process(argv, NULL, 0) != steps[i].expected)
            return complain(FAILED, "that was to end otherwise");
    }
    return DONE;
}
