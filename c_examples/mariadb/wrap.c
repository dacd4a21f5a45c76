/* One key and its blob: see wrap.h. */
#define _POSIX_C_SOURCE 200809L

#include "wrap.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { CONTEXT_SIZE = 1024 /* each byte of the name may take six */ };

/* What this plugin does with CMKs, and nothing else. */
static const char PERMISSIONS[] = "GenerateDataKey,Decrypt,ReEncryptFrom,ReEncryptTo";

int wrapper_open(struct wrapper *wrapper, const char *keystore, const char *root_key,
                 const char *audit_log, const char *server, struct trouble *trouble)
{
    kms_response answer = {0};
    kms_options *options = NULL;
    kms_status status;
    wrapper->client = NULL;
    if (strlen(server) > SERVER_LEN_MAX) {
        set_trouble(trouble, "kmsbox_server_name is longer than %d bytes", SERVER_LEN_MAX);
        return 0;
    }
    snprintf(wrapper->server, sizeof wrapper->server, "%s", server);
    status = kms_options_new(&options);
    if (status == KMS_OK)
        status = kms_options_set(options, "keystore", keystore, &answer);
    if (status == KMS_OK)
        status = kms_options_set(options, "root_key", root_key, &answer);
    if (status == KMS_OK)
        status = kms_options_set(options, "permissions", PERMISSIONS, &answer);
    if (status == KMS_OK && audit_log != NULL)
        status = kms_options_set(options, "audit_log", audit_log, &answer);
    if (status == KMS_OK)
        status = kms_client_open(options, &wrapper->client, &answer);
    kms_options_free(options);
    if (status != KMS_OK)
        set_trouble(trouble, "%s (%s)",
                    answer.error_message[0] != '\0' ? answer.error_message
                                                    : kms_status_text(status),
                    kms_status_name(status));
    return status == KMS_OK;
}

void wrapper_close(struct wrapper *wrapper)
{
    kms_client_free(wrapper->client);
    wrapper->client = NULL;
}

static void set_refusal(struct trouble *trouble, const char *what, const struct key_entry *entry,
                        const char *cmk, kms_status status, const kms_response *answer)
{
    const char *why = answer->error_message[0] != '\0' ? answer->error_message
                                                       : kms_status_text(status);
    set_trouble(trouble, "key %" PRIu32 " version %" PRIu32 " cannot be %s, CMK %s: %s (%s)",
                entry->key_id, entry->version, what, cmk, why, kms_status_name(status));
}

static kms_status make_context(const struct wrapper *wrapper, const struct key_entry *entry,
                               char context[CONTEXT_SIZE])
{
    char key_id[16], version[16];
    const char *const pairs[] = {"purpose", "mariadb-data-at-rest", "server",      wrapper->server,
                                 "key_id",  key_id,                 "key_version", version};
    size_t len = 0;
    snprintf(key_id, sizeof key_id, "%" PRIu32, entry->key_id);
    snprintf(version, sizeof version, "%" PRIu32, entry->version);
    return kms_encryption_context(pairs, 4, context, CONTEXT_SIZE, &len);
}

/* The id, not the alias: an alias may lead elsewhere when the blob is opened. */
static void note_cmk(struct key_entry *entry, const kms_response *answer)
{
    snprintf(entry->cmk, sizeof entry->cmk, "%.36s", answer->key_id);
    snprintf(entry->cmk_version, sizeof entry->cmk_version, "%.36s", answer->key_version_id);
}

void *key_unwrap(const struct wrapper *wrapper, const struct key_entry *entry,
                 struct trouble *trouble)
{
    kms_response answer = {0};
    char context[CONTEXT_SIZE];
    size_t len = 0;
    void *secret = NULL;
    kms_status status = make_context(wrapper, entry, context);
    if (status == KMS_OK)
        status = kms_secret_alloc(KEY_LEN, &secret);
    if (status == KMS_OK)
        status = kms_decrypt(wrapper->client, entry->cmk, entry->blob, BLOB_LEN, context, secret,
                             KEY_LEN, &len, &answer);
    if (status != KMS_OK)
        set_refusal(trouble, "unwrapped", entry, entry->cmk, status, &answer);
    else if (strcmp(answer.key_version_id, entry->cmk_version) != 0) /* re-wrapping relies on it */
        set_trouble(trouble,
                    "key %" PRIu32 " version %" PRIu32 " is under the version %s of its CMK, not %s",
                    entry->key_id, entry->version, answer.key_version_id, entry->cmk_version);
    else
        return secret; /* BLOB_LEN holds KEY_LEN bytes, no fewer */
    kms_secret_free(secret);
    return NULL;
}

void *key_generate(const struct wrapper *wrapper, const char *cmk, struct key_entry *entry,
                   struct trouble *trouble)
{
    kms_response answer = {0};
    char context[CONTEXT_SIZE];
    size_t len = 0, blob_len = 0;
    void *secret = NULL;
    kms_status status = make_context(wrapper, entry, context);
    if (status == KMS_OK)
        status = kms_secret_alloc(KEY_LEN, &secret);
    if (status == KMS_OK)
        status = kms_generate_data_key(wrapper->client, cmk, KMS_KEY_SPEC_AES_256, 0, context,
                                       secret, KEY_LEN, &len, entry->blob, BLOB_LEN, &blob_len,
                                       &answer);
    if (status == KMS_OK) {
        note_cmk(entry, &answer);
        return secret;
    }
    set_refusal(trouble, "made", entry, cmk, status, &answer);
    kms_secret_free(secret);
    return NULL;
}

int key_rewrap(const struct wrapper *wrapper, const char *cmk, struct key_entry *entry,
               struct trouble *trouble)
{
    kms_response answer = {0};
    char context[CONTEXT_SIZE];
    uint8_t blob[BLOB_LEN];
    size_t len = 0;
    kms_status status = make_context(wrapper, entry, context);
    if (status == KMS_OK)
        status = kms_re_encrypt(wrapper->client, entry->cmk, entry->blob, BLOB_LEN, context, cmk,
                                context, blob, sizeof blob, &len, &answer);
    if (status != KMS_OK) {
        set_refusal(trouble, "wrapped anew", entry, cmk, status, &answer);
        return -1;
    }
    if (strcmp(answer.key_version_id, entry->cmk_version) == 0)
        return 0;
    memcpy(entry->blob, blob, BLOB_LEN);
    note_cmk(entry, &answer);
    return 1;
}
