/* One process with one client, told what to do by the test that started it: a request is a line of
 * words with tabs between them, and so is its answer:
 *
 *     status, error message, request id, key id, key version id, result
 *
 * Nothing secret stays behind here in binary or in base64 (the tests search this process for it), so
 * results go out without stdio, and data keys as hex. */
#include "must.h"

#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>

#define CONTEXT "{\"table\":\"orders\"}"
#define MOST_WORDS 16

static kms_client *client;
static kms_response response;

static void put(int file, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t written = write(file, text, len);
        HOLDS(written > 0);
        text += written;
        len -= (size_t)written;
    }
}

static void answer(kms_status status, const char *result)
{
    dprintf(STDOUT_FILENO, "%s\t%s\t%s\t%s\t%s\t", kms_status_name(status), response.error_message,
            response.request_id, response.key_id, response.key_version_id);
    put(STDOUT_FILENO, result, strlen(result));
    put(STDOUT_FILENO, "\n", 1);
}

static void to_hex(const uint8_t *bytes, size_t len, char *text)
{
    for (size_t at = 0; at < len; at++)
        sprintf(text + 2 * at, "%02x", bytes[at]);
    text[2 * len] = '\0';
}

static size_t from_hex(const char *text, uint8_t *bytes, size_t capacity)
{
    size_t len = strlen(text) / 2;
    HOLDS(len <= capacity);
    for (size_t at = 0; at < len; at++)
        HOLDS(sscanf(text + 2 * at, "%2hhx", &bytes[at]) == 1);
    return len;
}

/* open NAME=VALUE…: sets each option; "root" is the root key as bytes, given in hex. */
static void open_client(char **words, int count)
{
    kms_options *options = NULL;
    kms_status status = kms_options_new(&options);
    for (int at = 1; at < count && status == KMS_OK; at++) {
        char *value = strchr(words[at], '=');
        HOLDS(value != NULL);
        *value++ = '\0';
        if (strcmp(words[at], "root") == 0) {
            uint8_t root_key[KMS_ROOT_KEY_LEN];
            size_t len = from_hex(value, root_key, sizeof root_key);
            status = kms_options_set_root_key(options, root_key, len, &response);
            kms_zeroize(root_key, sizeof root_key);
        } else {
            status = kms_options_set(options, words[at], value, &response);
        }
    }
    if (status == KMS_OK) status = kms_client_open(options, &client, &response);
    kms_options_free(options);
    answer(status, "");
}

static kms_status generate(const char *key_id, char *key_and_blob)
{
    uint8_t key[32], blob[142];
    size_t key_len = 0, blob_len = 0;
    kms_status status =
        kms_generate_data_key(client, key_id, KMS_KEY_SPEC_AES_256, 0, CONTEXT, key, sizeof key,
                              &key_len, blob, sizeof blob, &blob_len, &response);
    *key_and_blob = '\0';
    if (status == KMS_OK) {
        to_hex(key, key_len, key_and_blob);
        strcat(key_and_blob, " ");
        to_hex(blob, blob_len, key_and_blob + strlen(key_and_blob));
    }
    kms_zeroize(key, sizeof key);
    return status;
}

/* decrypt EXPECTED BLOB: "-" expects nothing. */
static void decrypt(const char *expected, const char *blob_in_hex)
{
    uint8_t key[32], blob[142];
    char text[2 * sizeof key + 1] = "";
    size_t key_len = 0;
    size_t blob_len = from_hex(blob_in_hex, blob, sizeof blob);
    kms_status status = kms_decrypt(client, strcmp(expected, "-") == 0 ? NULL : expected, blob,
                                    blob_len, CONTEXT, key, sizeof key, &key_len, &response);
    if (status == KMS_OK) to_hex(key, key_len, text);
    kms_zeroize(key, sizeof key);
    answer(status, text);
}

static void call(const char *request)
{
    char *document = NULL;
    size_t len = 0;
    kms_status status = kms_call(client, request, &document, &len, &response);
    answer(status, document == NULL ? "" : document);
    kms_document_free(document);
}

static void describe(void)
{
    char *document = NULL;
    size_t len = 0;
    kms_status status;
    memset(&response, 0, sizeof response);
    status = kms_client_describe(client, &document, &len);
    answer(status, document == NULL ? "" : document);
    kms_document_free(document);
}

static kms_status change(const char *format, ...)
{
    char request[512];
    char *document = NULL;
    size_t len = 0;
    kms_status status;
    va_list rest;
    va_start(rest, format);
    vsnprintf(request, sizeof request, format, rest);
    va_end(rest);
    status = kms_call(client, request, &document, &len, &response);
    kms_document_free(document);
    return status;
}

/* write NAME COUNT FILE: makes CMKs, an alias and a second version for each, COUNT changes in all (0:
 * until somebody kills this process). Each is appended to the file when the library has answered,
 * before the next one begins. */
static void write_changes(const char *name, long count, const char *path)
{
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    char key_id[64] = "", made[1024];
    kms_status status = KMS_OK;
    HOLDS(file >= 0);
    for (long at = 0; status == KMS_OK && (count == 0 || at < count); at++) {
        made[0] = '\0';
        if (at % 3 == 0) {
            status = change("Action=CreateKey&Description=%s-%ld", name, at);
            memcpy(key_id, response.key_id, sizeof key_id);
            snprintf(made, sizeof made, "key %s\n", key_id);
        } else if (at % 3 == 1) {
            status = change("Action=CreateAlias&KeyId=%s&AliasName=alias/%s-%ld", key_id, name, at);
            snprintf(made, sizeof made, "alias alias/%s-%ld %s\n", name, at, key_id);
        } else {
            char version[64], key_and_blob[512];
            status = change("Action=CreateKeyVersion&KeyId=%s", key_id);
            memcpy(version, response.key_version_id, sizeof version);
            if (status == KMS_OK) status = generate(key_id, key_and_blob);
            /* Only this process changes this CMK, so its newest version is the one just made. */
            if (status == KMS_OK) HOLDS(strcmp(version, response.key_version_id) == 0);
            snprintf(made, sizeof made, "version %s %s %s\n", key_id, version, key_and_blob);
        }
        if (status == KMS_OK) put(file, made, strlen(made));
    }
    close(file);
    answer(status, "");
}

/* chdir PATH, chroot PATH, user ID: what a host may do while its client is open. */
static void become(const char *what, const char *whom)
{
    if (strcmp(what, "chdir") == 0) {
        HOLDS(chdir(whom) == 0);
    } else if (strcmp(what, "chroot") == 0) {
        HOLDS(chroot(whom) == 0 && chdir("/") == 0);
    } else {
        unsigned id = (unsigned)atol(whom);
        HOLDS(setgroups(0, NULL) == 0 && setgid(id) == 0 && setuid(id) == 0);
    }
    memset(&response, 0, sizeof response);
    answer(KMS_OK, "");
}

int main(void)
{
    static char line[1 << 16];
    while (fgets(line, sizeof line, stdin) != NULL) {
        char *words[MOST_WORDS];
        int count = 0;
        line[strcspn(line, "\n")] = '\0';
        for (char *word = strtok(line, "\t"); word != NULL && count < MOST_WORDS;
             word = strtok(NULL, "\t"))
            words[count++] = word;
        HOLDS(count > 0);
        if (strcmp(words[0], "open") == 0) {
            open_client(words, count);
        } else if (strcmp(words[0], "free") == 0) {
            kms_client_free(client);
            client = NULL;
            answer(KMS_OK, "");
        } else if (strcmp(words[0], "call") == 0 && count == 2) {
            call(words[1]);
        } else if (strcmp(words[0], "describe") == 0) {
            describe();
        } else if (strcmp(words[0], "generate") == 0 && count == 2) {
            char key_and_blob[512];
            kms_status status = generate(words[1], key_and_blob);
            answer(status, key_and_blob);
        } else if (strcmp(words[0], "decrypt") == 0 && count == 3) {
            decrypt(words[1], words[2]);
        } else if (strcmp(words[0], "write") == 0 && count == 4) {
            write_changes(words[1], atol(words[2]), words[3]);
        } else if (count == 2 && (strcmp(words[0], "chdir") == 0 || strcmp(words[0], "chroot") == 0 ||
                                  strcmp(words[0], "user") == 0)) {
            become(words[0], words[1]);
        } else {
            die("not understood: %s", words[0]);
        }
    }
    kms_client_free(client);
    return 0;
}
