/*
 * Envelope encryption of a file of any size: every file has a data key of its own, whose blob
 * stands in the file's header. The data itself is encrypted here, by OpenSSL's libcrypto.
 *
 *   encrypt_file encrypt --keystore PATH --root-key SOURCE --key-id KEY
 *                        [--context NAME=VALUE]... IN OUT
 *   encrypt_file decrypt --keystore PATH --root-key SOURCE [--key-id KEY]
 *                        [--context NAME=VALUE]... IN OUT
 *
 * SOURCE is a value of the option root_key, such as file:PATH; KEY a CMK's id, ARN or alias.
 * Whoever decrypts gives the context of the encryption again, its pairs in any order; with
 * --key-id a file under another CMK is refused. Exit status: 0 done; 1 the file is refused; 2
 * usage; 3 anything else.
 *
 * The encrypted file, integers big-endian:
 *
 *   0      8   "kmsfile1"
 *   8      2   n, the length of the blob
 *   10     n   the CiphertextBlob of a 32-byte data key
 *   10+n       the chunks: 65536 bytes of the text each, the last one 0 to 65536, encrypted with
 *              AES-256-GCM, each followed by its 16-byte tag
 *
 * The nonce of a chunk is seven zero bytes, its number from 0 in four bytes, and a byte that is 1
 * for the last chunk and 0 for the others: the key serves one file only, so no nonce comes twice.
 * The additional data of every chunk is the header. So a chunk that was changed, moved, taken
 * away or added fails its tag, and so does the end of a file that was cut at a chunk.
 *
 * The output is written beside OUT under a temporary name, readable by its owner alone, and
 * renamed only when all of it is right: nobody ever reads text under OUT that was not verified to
 * the end. A regular file that is there is replaced; anything else is left alone, and refused. A failure removes the temporary; only a process that is killed leaves it there.
 */
#define _POSIX_C_SOURCE 200809L

#include <kmsbox.h>

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DONE = 0, REFUSED = 1, USAGE = 2, FAILED = 3 };
enum { KEY_LEN = 32, NONCE_LEN = 12, TAG_LEN = 16, CHUNK_LEN = 65536, MAGIC_LEN = 8, BLOB_AT = 10 };

static const char MAGIC[MAGIC_LEN + 1] = "kmsfile1";

struct arguments {
    int decrypt;
    const char *keystore, *root_key, *key_id;
    const char **pairs; /* name, value, name, value, ... */
    size_t pair_count;
    const char *in, *out;
};

struct header {
    uint8_t bytes[BLOB_AT + KMS_DATA_KEY_BLOB_MAX];
    size_t len;
    char key_id[64]; /* of a new file: the CMK that its data key is under */
};

static int parse(int argc, char **argv, struct arguments *arguments);
static int run(const struct arguments *arguments);

int main(int argc, char **argv)
{
    struct arguments arguments = {0};
    int result = parse(argc, argv, &arguments);
    if (result == DONE)
        result = run(&arguments);
    free(arguments.pairs);
    return result;
}

/* ---- Telling what went wrong --------------------------------------------------------------- */

static int complain(int result, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    fputs("encrypt_file: ", stderr);
    vfprintf(stderr, format, values);
    fputc('\n', stderr);
    va_end(values);
    return result;
}

/* The statuses that speak of the encrypted file, or of what was given along with it, are a
 * refusal of that file; the others say that the keystore or this machine cannot serve now. */
static int judge(const char *what, kms_status status, const kms_response *answer)
{
    const char *why = answer->error_message[0] != '\0' ? answer->error_message
                                                       : kms_status_text(status);
    int result = FAILED;
    switch (status) {
    case KMS_OK:
        return DONE;
    case KMS_ERR_NOT_A_BLOB:
    case KMS_ERR_BUFFER_TOO_SMALL: /* a longer key: not one that this program wrapped */
    case KMS_ERR_KEY_MISMATCH:
    case KMS_ERR_KEY_NOT_FOUND:
    case KMS_ERR_KEY_VERSION_NOT_FOUND:
    case KMS_ERR_CIPHERTEXT_INVALID:
        result = REFUSED;
    }
    return complain(result, "%s: %s (%s)", what, why, kms_status_name(status));
}

/* ---- The command line ---------------------------------------------------------------------- */

static int usage(void)
{
    fputs("usage: encrypt_file encrypt --keystore PATH --root-key SOURCE --key-id KEY"
          " [--context NAME=VALUE]... IN OUT\n"
          "       encrypt_file decrypt --keystore PATH --root-key SOURCE [--key-id KEY]"
          " [--context NAME=VALUE]... IN OUT\n",
          stderr);
    return USAGE;
}

static int add_pair(struct arguments *arguments, char *pair)
{
    char *equals = strchr(pair, '=');
    if (equals == NULL)
        return complain(USAGE, "--context %s: there is no '=' in it", pair);
    *equals = '\0';
    arguments->pairs[2 * arguments->pair_count] = pair;
    arguments->pairs[2 * arguments->pair_count + 1] = equals + 1;
    arguments->pair_count++;
    return DONE;
}

static int parse(int argc, char **argv, struct arguments *arguments)
{
    int i;
    if (argc < 2 || (strcmp(argv[1], "encrypt") != 0 && strcmp(argv[1], "decrypt") != 0))
        return usage();
    arguments->decrypt = argv[1][0] == 'd';
    arguments->pairs = calloc((size_t)argc, sizeof *arguments->pairs);
    if (arguments->pairs == NULL)
        return complain(FAILED, "no memory");

    for (i = 2; i + 1 < argc && strncmp(argv[i], "--", 2) == 0; i += 2) {
        char *value = argv[i + 1];
        if (strcmp(argv[i], "--keystore") == 0)
            arguments->keystore = value;
        else if (strcmp(argv[i], "--root-key") == 0)
            arguments->root_key = value;
        else if (strcmp(argv[i], "--key-id") == 0)
            arguments->key_id = value;
        else if (strcmp(argv[i], "--context") != 0)
            return usage();
        else if (add_pair(arguments, value) != DONE)
            return USAGE;
    }
    if (argc - i != 2 || arguments->keystore == NULL || arguments->root_key == NULL
        || (arguments->key_id == NULL && !arguments->decrypt))
        return usage();
    arguments->in = argv[i];
    arguments->out = argv[i + 1];
    return DONE;
}

/* ---- Files --------------------------------------------------------------------------------- */

/* Reads until `len` bytes are there or the file ends: fewer than `len` are the end of the
 * file. */
static int read_full(int fd, uint8_t *bytes, size_t len, size_t *got)
{
    *got = 0;
    while (*got < len) {
        ssize_t n = read(fd, bytes + *got, len - *got);
        if (n == 0)
            break;
        if (n > 0)
            *got += (size_t)n;
        else if (errno != EINTR)
            return complain(FAILED, "reading: %s", strerror(errno));
    }
    return DONE;
}

static int write_full(int fd, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);
        if (n >= 0) {
            bytes += n;
            len -= (size_t)n;
        } else if (errno != EINTR) {
            return complain(FAILED, "writing: %s", strerror(errno));
        }
    }
    return DONE;
}

struct output {
    int fd;
    char *temporary; /* NULL: there is none (yet, or any more) */
};

/* The rename would put a file in the place of a link or a device. */
static int output_begin(struct output *output, const char *path)
{
    size_t size = strlen(path) + sizeof ".XXXXXX";
    struct stat there;
    if (lstat(path, &there) == 0 && !S_ISREG(there.st_mode))
        return complain(FAILED, "%s: is there, and no regular file", path);
    output->temporary = malloc(size);
    if (output->temporary == NULL)
        return complain(FAILED, "no memory");
    snprintf(output->temporary, size, "%s.XXXXXX", path);
    output->fd = mkstemp(output->temporary); /* mode 0600 */
    if (output->fd >= 0)
        return DONE;
    free(output->temporary);
    output->temporary = NULL;
    return complain(FAILED, "%s: %s", path, strerror(errno));
}

/* A rename lasts through a power loss once the directory that holds the name is on the disk. */
static int sync_directory_of(const char *path)
{
    char *copy = strdup(path);
    int fd = copy == NULL ? -1 : open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int synced = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    free(copy);
    return synced ? DONE : complain(FAILED, "%s: written, but perhaps not on the disk yet", path);
}

static int output_commit(struct output *output, const char *path)
{
    int closed = fsync(output->fd) == 0;
    closed &= close(output->fd) == 0;
    output->fd = -1;
    if (!closed || rename(output->temporary, path) != 0)
        return complain(FAILED, "%s: %s", path, strerror(errno));
    free(output->temporary);
    output->temporary = NULL;
    return sync_directory_of(path);
}

/* Nothing is left behind, unless it was committed. */
static void output_end(struct output *output)
{
    if (output->fd >= 0)
        close(output->fd);
    if (output->temporary != NULL)
        unlink(output->temporary);
    free(output->temporary);
}

/* ---- The chunks ---------------------------------------------------------------------------- */

struct chunk {
    uint32_t number;
    int last;
    const uint8_t *text;
    size_t len;
};

static void nonce_of(const struct chunk *chunk, uint8_t nonce[NONCE_LEN])
{
    memset(nonce, 0, NONCE_LEN);
    nonce[7] = (uint8_t)(chunk->number >> 24);
    nonce[8] = (uint8_t)(chunk->number >> 16);
    nonce[9] = (uint8_t)(chunk->number >> 8);
    nonce[10] = (uint8_t)chunk->number;
    nonce[11] = chunk->last ? 1 : 0;
}

/* `cipher` has the data key already; each chunk gives it a new nonce. */
static int seal(EVP_CIPHER_CTX *cipher, const struct header *header, const struct chunk *chunk,
                uint8_t *sealed, size_t *sealed_len)
{
    uint8_t nonce[NONCE_LEN];
    int n = 0;
    nonce_of(chunk, nonce);
    if (EVP_EncryptInit_ex(cipher, NULL, NULL, NULL, nonce) != 1
        || EVP_EncryptUpdate(cipher, NULL, &n, header->bytes, (int)header->len) != 1
        || EVP_EncryptUpdate(cipher, sealed, &n, chunk->text, (int)chunk->len) != 1
        || EVP_EncryptFinal_ex(cipher, sealed + chunk->len, &n) != 1
        || EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, TAG_LEN, sealed + chunk->len) != 1)
        return complain(FAILED, "AES-256-GCM does not work here");
    *sealed_len = chunk->len + TAG_LEN;
    return DONE;
}

static int unseal(EVP_CIPHER_CTX *cipher, const struct header *header, const struct chunk *chunk,
                  uint8_t *text, size_t *text_len)
{
    uint8_t nonce[NONCE_LEN], tag[TAG_LEN];
    int n = 0;
    if (chunk->len < TAG_LEN)
        return complain(REFUSED, "the encrypted file is cut short");
    *text_len = chunk->len - TAG_LEN;
    memcpy(tag, chunk->text + *text_len, TAG_LEN);
    nonce_of(chunk, nonce);
    if (EVP_DecryptInit_ex(cipher, NULL, NULL, NULL, nonce) != 1
        || EVP_DecryptUpdate(cipher, NULL, &n, header->bytes, (int)header->len) != 1
        || EVP_DecryptUpdate(cipher, text, &n, chunk->text, (int)*text_len) != 1
        || EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_SET_TAG, TAG_LEN, tag) != 1)
        return complain(FAILED, "AES-256-GCM does not work here");
    if (EVP_DecryptFinal_ex(cipher, text + *text_len, &n) != 1)
        return complain(REFUSED,
                        "the encrypted file was changed, cut or extended, at chunk %lu or after it",
                        (unsigned long)chunk->number);
    return DONE;
}

/* One byte is read beyond each chunk, since only the end of the file tells which chunk is the
 * last. */
static int convert(const struct arguments *arguments, EVP_CIPHER_CTX *cipher,
                   const struct header *header, int in, int out)
{
    const size_t room = CHUNK_LEN + TAG_LEN + 1;
    const size_t whole = arguments->decrypt ? CHUNK_LEN + TAG_LEN : CHUNK_LEN;
    uint8_t *read_bytes = malloc(room), *made = malloc(room);
    struct chunk chunk = {0};
    size_t have = 0, more = 0, made_len = 0;
    int result = read_bytes != NULL && made != NULL ? DONE : complain(FAILED, "no memory");

    while (result == DONE) {
        result = read_full(in, read_bytes + have, whole + 1 - have, &more);
        if (result != DONE)
            break;
        have += more;
        chunk.last = have <= whole;
        chunk.text = read_bytes;
        chunk.len = chunk.last ? have : whole;
        result = (arguments->decrypt ? unseal : seal)(cipher, header, &chunk, made, &made_len);
        if (result == DONE)
            result = write_full(out, made, made_len);
        if (chunk.last)
            break;
        read_bytes[0] = read_bytes[whole];
        have = 1;
        if (++chunk.number == 0 && result == DONE)
            result = complain(FAILED, "%s: larger than 256 TiB", arguments->in);
    }
    if (read_bytes != NULL)
        kms_zeroize(read_bytes, room);
    if (made != NULL)
        kms_zeroize(made, room);
    free(read_bytes);
    free(made);
    return result;
}

/* ---- The data key -------------------------------------------------------------------------- */

/* This program performs one action, and asks for no more; it never writes the keystore. */
static int open_client(const struct arguments *arguments, kms_client **client)
{
    const char *action = arguments->decrypt ? "Decrypt" : "GenerateDataKey";
    kms_response answer = {0};
    kms_options *options = NULL;
    kms_status status = kms_options_new(&options);
    if (status == KMS_OK)
        status = kms_options_set(options, "keystore", arguments->keystore, &answer);
    if (status == KMS_OK)
        status = kms_options_set(options, "root_key", arguments->root_key, &answer);
    if (status == KMS_OK)
        status = kms_options_set(options, "permissions", action, &answer);
    if (status == KMS_OK)
        status = kms_options_set(options, "read_only", "true", &answer);
    if (status == KMS_OK)
        status = kms_client_open(options, client, &answer);
    kms_options_free(options);
    return judge(arguments->keystore, status, &answer);
}

/* The library writes the JSON, so that no character in a name or a value needs care here. */
static int make_context(const struct arguments *arguments, char **context)
{
    const char *const *pairs = arguments->pairs;
    const kms_response no_answer = {0};
    size_t size = 0;
    kms_status status = kms_encryption_context(pairs, arguments->pair_count, NULL, 0, &size);
    if (status == KMS_ERR_BUFFER_TOO_SMALL) { /* as it must: without room it tells the size */
        *context = malloc(size);
        if (*context == NULL)
            return complain(FAILED, "no memory");
        status = kms_encryption_context(pairs, arguments->pair_count, *context, size, &size);
    }
    return judge("--context", status, &no_answer);
}

static int new_key(const struct arguments *arguments, const kms_client *client, const char *context,
                   uint8_t *key, struct header *header)
{
    kms_response answer = {0};
    size_t key_len = 0, blob_len = 0;
    kms_status status = kms_generate_data_key(
        client, arguments->key_id, KMS_KEY_SPEC_AES_256, 0, context, key, KEY_LEN, &key_len,
        header->bytes + BLOB_AT, sizeof header->bytes - BLOB_AT, &blob_len, &answer);
    if (status != KMS_OK) {
        judge(arguments->key_id, status, &answer);
        return FAILED;
    }
    memcpy(header->bytes, MAGIC, MAGIC_LEN);
    header->bytes[MAGIC_LEN] = (uint8_t)(blob_len >> 8);
    header->bytes[MAGIC_LEN + 1] = (uint8_t)blob_len;
    header->len = BLOB_AT + blob_len;
    snprintf(header->key_id, sizeof header->key_id, "%s", answer.key_id);
    return DONE;
}

static int read_header(const struct arguments *arguments, int in, struct header *header)
{
    size_t got = 0, blob_len;
    int result = read_full(in, header->bytes, BLOB_AT, &got);
    if (result != DONE)
        return result;
    if (got != BLOB_AT || memcmp(header->bytes, MAGIC, MAGIC_LEN) != 0)
        return complain(REFUSED, "%s: not a file that this program encrypted", arguments->in);
    blob_len = (size_t)header->bytes[MAGIC_LEN] << 8 | header->bytes[MAGIC_LEN + 1];
    if (blob_len > KMS_DATA_KEY_BLOB_MAX)
        return complain(REFUSED, "%s: its header is damaged", arguments->in);
    result = read_full(in, header->bytes + BLOB_AT, blob_len, &got);
    if (result != DONE)
        return result;
    if (got != blob_len)
        return complain(REFUSED, "%s: cut short in its header", arguments->in);
    header->len = BLOB_AT + blob_len;
    return DONE;
}

static int old_key(const struct arguments *arguments, const kms_client *client, const char *context,
                   uint8_t *key, const struct header *header)
{
    kms_response answer = {0};
    size_t key_len = 0;
    kms_status status = kms_decrypt(client, arguments->key_id, header->bytes + BLOB_AT,
                                    header->len - BLOB_AT, context, key, KEY_LEN, &key_len,
                                    &answer);
    if (status == KMS_OK && key_len != KEY_LEN)
        return complain(REFUSED, "%s: its data key has another size", arguments->in);
    return judge(arguments->in, status, &answer);
}

/* The key lies in locked memory for as long as this takes. OpenSSL's own expansion of it lies in
 * ordinary memory until EVP_CIPHER_CTX_free wipes it. */
static int key_cipher(const struct arguments *arguments, const kms_client *client, int in,
                      struct header *header, EVP_CIPHER_CTX *cipher)
{
    const kms_response no_answer = {0};
    char *context = NULL;
    void *key = NULL;
    int result = make_context(arguments, &context);
    if (result == DONE)
        result = judge("locked memory", kms_secret_alloc(KEY_LEN, &key), &no_answer);
    if (result == DONE && arguments->decrypt)
        result = read_header(arguments, in, header);
    if (result == DONE)
        result = arguments->decrypt ? old_key(arguments, client, context, key, header)
                                    : new_key(arguments, client, context, key, header);
    if (result == DONE
        && EVP_CipherInit_ex(cipher, EVP_aes_256_gcm(), NULL, key, NULL, !arguments->decrypt) != 1)
        result = complain(FAILED, "AES-256-GCM does not work here");
    kms_secret_free(key);
    free(context);
    return result;
}

/* ---- All together -------------------------------------------------------------------------- */

static int run(const struct arguments *arguments)
{
    struct header header = {0};
    struct output output = {-1, NULL};
    kms_client *client = NULL;
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    int in = open(arguments->in, O_RDONLY | O_CLOEXEC);
    int result = DONE;

    if (in < 0)
        result = complain(FAILED, "%s: %s", arguments->in, strerror(errno));
    else if (cipher == NULL)
        result = complain(FAILED, "no memory");
    if (result == DONE)
        result = open_client(arguments, &client);
    if (result == DONE)
        result = key_cipher(arguments, client, in, &header, cipher);
    kms_client_free(client); /* the cipher has its key: the keystore is not needed any more */
    if (result == DONE)
        result = output_begin(&output, arguments->out);
    if (result == DONE && !arguments->decrypt)
        result = write_full(output.fd, header.bytes, header.len);
    if (result == DONE)
        result = convert(arguments, cipher, &header, in, output.fd);
    if (result == DONE)
        result = output_commit(&output, arguments->out);
    if (result == DONE && !arguments->decrypt)
        printf("%s: encrypted under CMK %s\n", arguments->out, header.key_id);

    output_end(&output);
    EVP_CIPHER_CTX_free(cipher);
    if (in >= 0)
        close(in);
    return result;
}
