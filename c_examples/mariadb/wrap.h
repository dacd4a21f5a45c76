/*
 * One key and its blob: everything that is asked of kmsbox.
 *
 * A blob is bound to its place by its encryption context: the purpose, the server's name, the key's
 * id and its version. It does not open as another key, as another version or on another server.
 */
#ifndef WRAP_H
#define WRAP_H

#include "key_file.h"

enum { SERVER_LEN_MAX = 128 };

struct wrapper {
    kms_client *client;
    char server[SERVER_LEN_MAX + 1];
};

/* `audit_log` may be NULL. 1: done; 0: failed. */
int wrapper_open(struct wrapper *wrapper, const char *keystore, const char *root_key,
                 const char *audit_log, const char *server, struct trouble *trouble);

/* Nothing happens to one that was never opened and is all zero. */
void wrapper_close(struct wrapper *wrapper);

/* The key that the entry holds, in locked memory; kms_secret_free frees it. NULL: failed. */
void *key_unwrap(const struct wrapper *wrapper, const struct key_entry *entry,
                 struct trouble *trouble);

/* Likewise a new key, for the id and the version of the entry, whose other fields it fills in. */
void *key_generate(const struct wrapper *wrapper, const char *cmk, struct key_entry *entry,
                   struct trouble *trouble);

/* Wraps the entry anew. 1: it changed; 0: it is under the CMK's present version already;
 * -1: failed, and it is as it was. */
int key_rewrap(const struct wrapper *wrapper, const char *cmk, struct key_entry *entry,
               struct trouble *trouble);

#endif
