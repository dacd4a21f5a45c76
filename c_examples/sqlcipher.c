/*
 * An encrypted SQLite database whose key comes from kmsbox: SQLCipher, unmodified, gets a raw key.
 *
 *   sqlcipher DATABASE create CMK      makes the key and the database; CMK is an id or alias/NAME
 *   sqlcipher DATABASE put NAME VALUE
 *   sqlcipher DATABASE get NAME
 *   sqlcipher DATABASE rewrap [CMK]    wraps the key anew; not a byte of the database changes
 *
 * KMSBOX_KEYSTORE and KMSBOX_ROOT_KEY say which keystore, as for the command kmsbox. Exit status:
 * 0 done; 1 failed, and standard error says why; 2 usage.
 *
 * A raw key (x'...' with 64 hex digits) goes past SQLCipher's PBKDF2, which is there to slow down
 * guesses at passphrases and costs every opening its time. A data key is 256 random bits.
 *
 * DATABASE.key keeps the id of the CMK and the blob of the data key. Whoever loses it has lost the
 * database: back the two up together. The blob is bound to the file name of the database: it does
 * not open beside a database of another name, nor does it after the two have been renamed.
 *
 * A plain copy of a closed database is a good backup. sqlite3_backup encrypts by the key of the
 * connection that it writes to: give that connection the same key, or the copy is plaintext.
 */
#define _POSIX_C_SOURCE 200809L
#define SQLITE_HAS_CODEC /* or the header leaves sqlite3_key out */

#include <kmsbox.h>
#include <sqlcipher/sqlite3.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DONE = 0, FAILED = 1, USAGE = 2 };
enum { KEY_LEN = 32, RAW_KEY_LEN = 2 + 2 * KEY_LEN + 1 }; /* x'...' */
enum { BLOB_LEN = KEY_LEN + KMS_CIPHERTEXT_BLOB_OVERHEAD, ID_LEN = 36, PATH_SIZE = 4096 };

/* DATABASE.key, to the byte. */
struct key_file {
    char cmk[ID_LEN];
    char line_feed;
    uint8_t blob[BLOB_LEN];
};

struct place {
    const char *database;
    char key_path[PATH_SIZE];
    char context[PATH_SIZE];
    kms_client *client;
};

/* ---- Telling what went wrong --------------------------------------------------------------- */

static int complain(const char *what, const char *why)
{
    fprintf(stderr, "sqlcipher: %s: %s\n", what, why);
    return FAILED;
}

static int judge(const char *what, kms_status status, const kms_response *answer)
{
    char why[320];
    if (status == KMS_OK)
        return DONE;
    snprintf(why, sizeof why, "%s: %s", kms_status_name(status),
             *answer->error_message ? answer->error_message : kms_status_text(status));
    return complain(what, why);
}

/* ---- The file beside the database ----------------------------------------------------------- */

static int sync_directory_of(const char *path)
{
    char directory[PATH_SIZE] = ".";
    const char *slash = strrchr(path, '/');
    int fd, synced;
    if (slash != NULL)
        snprintf(directory, sizeof directory, "%.*s", (int)(slash - path) + 1, path);
    fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    synced = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return synced;
}

/* The file appears whole or not at all: in place of the old one where `replace`, else only where
 * there is none (one that is there, of a create that was cut short, serves as well). It is on the
 * disk before anything is encrypted with its key. */
static int store_key(const struct place *place, const struct key_file *file, int replace)
{
    char temporary[PATH_SIZE + 8];
    int fd, moved = 0, result = DONE;
    snprintf(temporary, sizeof temporary, "%s.XXXXXX", place->key_path);
    fd = mkstemp(temporary); /* mode 0600 */
    if (fd < 0)
        return complain(place->key_path, strerror(errno));
    errno = EIO; /* what a short write says */
    if (write(fd, file, sizeof *file) == (ssize_t)sizeof *file && fsync(fd) == 0)
        moved = (replace ? rename : link)(temporary, place->key_path) == 0
                || (!replace && errno == EEXIST);
    if (!moved || !sync_directory_of(place->key_path))
        result = complain(place->key_path, strerror(errno));
    close(fd);
    if (!moved || !replace)
        unlink(temporary);
    return result;
}

static int load_key(const struct place *place, struct key_file *file)
{
    FILE *stream = fopen(place->key_path, "rb");
    int whole;
    if (stream == NULL)
        return complain(place->key_path, strerror(errno));
    whole = fread(file, sizeof *file, 1, stream) == 1 && fgetc(stream) == EOF;
    fclose(stream);
    return whole && file->line_feed == '\n' ? DONE : complain(place->key_path, "is no key file");
}

/* ---- The database --------------------------------------------------------------------------- */

static int create_key(const struct place *place, const char *cmk)
{
    kms_response answer = {0};
    struct key_file file, stored;
    int result;
    size_t len = 0;
    kms_status status;
    if (access(place->database, F_OK) == 0) /* if its key file is lost, a new key is no help */
        return complain(place->database, "is there already");
    status = kms_generate_data_key_without_plaintext(place->client, cmk, KMS_KEY_SPEC_AES_256, 0,
                                                     place->context, file.blob, BLOB_LEN, &len,
                                                     &answer);
    if (status != KMS_OK)
        return judge(cmk, status, &answer);
    memcpy(file.cmk, answer.key_id, ID_LEN); /* the id: an alias can move */
    file.line_feed = '\n';
    result = store_key(place, &file, 0);
    if (result == DONE)
        result = load_key(place, &stored);
    if (result == DONE && memcmp(stored.cmk, file.cmk, ID_LEN) != 0)
        result = complain(place->key_path, "is there already, under another CMK");
    return result;
}

/* Unwraps the database's key and writes it as SQLCipher takes it. By hand: printf keeps copies. */
static int unwrap_key(const struct place *place, char raw_key[RAW_KEY_LEN])
{
    static const char digits[] = "0123456789abcdef";
    kms_response answer = {0};
    struct key_file file;
    char cmk[ID_LEN + 1] = "";
    uint8_t *key = NULL;
    void *secret = NULL;
    size_t len = 0, i;
    int result = load_key(place, &file);
    if (result == DONE)
        result = judge("locked memory", kms_secret_alloc(KEY_LEN, &secret), &answer);
    if (result != DONE)
        return result;
    memcpy(cmk, file.cmk, ID_LEN);
    result = judge(place->key_path,
                   kms_decrypt(place->client, cmk, file.blob, BLOB_LEN, place->context, secret,
                               KEY_LEN, &len, &answer),
                   &answer);
    key = secret;
    for (i = 0; result == DONE && i < KEY_LEN; i++) {
        raw_key[2 + 2 * i] = digits[key[i] >> 4];
        raw_key[3 + 2 * i] = digits[key[i] & 15];
    }
    raw_key[0] = 'x';
    raw_key[1] = raw_key[RAW_KEY_LEN - 1] = '\'';
    kms_secret_free(secret);
    return result;
}

/* The first look at the database, not sqlite3_key, shows whether the key is right: SQLCipher
 * then says SQLITE_NOTADB. */
static int open_database(const struct place *place, int flags, sqlite3 **database)
{
    const kms_response no_answer = {0};
    void *raw_key = NULL;
    int result = judge("locked memory", kms_secret_alloc(RAW_KEY_LEN, &raw_key), &no_answer);
    if (result == DONE)
        result = unwrap_key(place, raw_key);
    if (result == DONE
        && (sqlite3_open_v2(place->database, database, SQLITE_OPEN_READWRITE | flags, NULL)
                != SQLITE_OK
            || sqlite3_key(*database, raw_key, RAW_KEY_LEN) != SQLITE_OK
            || sqlite3_busy_timeout(*database, 5000) != SQLITE_OK
            || sqlite3_exec(*database, "CREATE TABLE IF NOT EXISTS entries (name TEXT PRIMARY KEY,"
                                       " value TEXT NOT NULL)", NULL, NULL, NULL) != SQLITE_OK))
        result = complain(place->database, sqlite3_errmsg(*database));
    kms_secret_free(raw_key);
    return result;
}

static int create_database(const struct place *place, const char *cmk)
{
    sqlite3 *database = NULL;
    int result = create_key(place, cmk);
    if (result == DONE)
        result = open_database(place, SQLITE_OPEN_CREATE, &database);
    sqlite3_close(database);
    return result;
}

/* Puts an entry, or, without a value, prints the one that is there. */
static int access_entry(const struct place *place, const char *name, const char *value)
{
    sqlite3 *database = NULL;
    sqlite3_stmt *statement = NULL;
    int step = SQLITE_ERROR, result = open_database(place, 0, &database);
    const char *sql = value != NULL ? "INSERT OR REPLACE INTO entries VALUES (?1, ?2)"
                                    : "SELECT value FROM entries WHERE name = ?1";
    if (result == DONE && sqlite3_prepare_v2(database, sql, -1, &statement, NULL) == SQLITE_OK
        && sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC) == SQLITE_OK
        && (value == NULL
            || sqlite3_bind_text(statement, 2, value, -1, SQLITE_STATIC) == SQLITE_OK))
        step = sqlite3_step(statement);
    if (step == SQLITE_ROW) {
        if (printf("%s\n", (const char *)sqlite3_column_text(statement, 0)) < 0
            || fflush(stdout) != 0)
            result = complain("standard output", strerror(errno));
    } else if (step == SQLITE_DONE && value == NULL)
        result = complain(name, "no such entry");
    else if (step != SQLITE_DONE && result == DONE)
        result = complain(place->database, sqlite3_errmsg(database));
    sqlite3_finalize(statement);
    sqlite3_close(database); /* SQLCipher wipes its copies of the key */
    return result;
}

/* After a rotation of the CMK: the blob moves to its present version, or to another CMK. */
static int rewrap(const struct place *place, const char *to)
{
    kms_response answer = {0};
    struct key_file file, fresh;
    char cmk[ID_LEN + 1] = "";
    size_t len = 0;
    kms_status status;
    if (load_key(place, &file) != DONE)
        return FAILED;
    memcpy(cmk, file.cmk, ID_LEN);
    status = kms_re_encrypt(place->client, cmk, file.blob, BLOB_LEN, place->context,
                            to != NULL ? to : cmk, place->context, fresh.blob, BLOB_LEN, &len,
                            &answer);
    if (status != KMS_OK)
        return judge(place->key_path, status, &answer);
    memcpy(fresh.cmk, answer.key_id, ID_LEN);
    fresh.line_feed = '\n';
    return store_key(place, &fresh, 1);
}

/* ---- The command ---------------------------------------------------------------------------- */

static int find_place(struct place *place, const char *database)
{
    const kms_response no_answer = {0};
    const char *slash = strrchr(database, '/'), *name = slash != NULL ? slash + 1 : database;
    const char *pairs[] = {"purpose", "sqlcipher", "database", name};
    size_t len = 0;
    place->database = database;
    /* SQLite takes these for databases that are gone when they are closed. */
    if (*name == '\0' || strcmp(database, ":memory:") == 0)
        return complain(database, "is no name of a file");
    len = (size_t)snprintf(place->key_path, sizeof place->key_path, "%s.key", database);
    if (len >= sizeof place->key_path)
        return complain(database, "the path is too long");
    return judge(database,
                 kms_encryption_context(pairs, 2, place->context, sizeof place->context, &len),
                 &no_answer);
}

static int open_client(kms_client **client)
{
    const char *keystore = getenv("KMSBOX_KEYSTORE"), *root_key = getenv("KMSBOX_ROOT_KEY");
    kms_response answer = {0};
    kms_options *options = NULL;
    kms_status status = kms_options_new(&options);
    if (status == KMS_OK)
        status = kms_options_set(options, "keystore", keystore, &answer);
    if (status == KMS_OK)
        status = kms_options_set(options, "root_key", root_key, &answer);
    if (status == KMS_OK)
        status = kms_client_open(options, client, &answer);
    kms_options_free(options);
    return judge("KMSBOX_KEYSTORE, KMSBOX_ROOT_KEY", status, &answer);
}

int main(int argc, char **argv)
{
    struct place place = {0};
    const char *command = argc > 2 ? argv[2] : "";
    int result;
    int create = strcmp(command, "create") == 0 && argc == 4;
    int put = strcmp(command, "put") == 0 && argc == 5;
    int get = strcmp(command, "get") == 0 && argc == 4;
    int wrap_anew = strcmp(command, "rewrap") == 0 && (argc == 3 || argc == 4);
    if (!create && !put && !get && !wrap_anew) {
        fputs("usage: sqlcipher DATABASE create CMK | put NAME VALUE | get NAME | rewrap [CMK]\n",
              stderr);
        return USAGE;
    }
    umask(077);
    result = find_place(&place, argv[1]);
    if (result == DONE)
        result = open_client(&place.client);
    if (result == DONE && create)
        result = create_database(&place, argv[3]);
    else if (result == DONE && wrap_anew)
        result = rewrap(&place, argc == 4 ? argv[3] : NULL);
    else if (result == DONE)
        result = access_entry(&place, argv[3], put ? argv[4] : NULL);
    kms_client_free(place.client);
    return result;
}
