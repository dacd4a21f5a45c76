/*
 * The server's encryption keys, served from memory. Each is a data key of kmsbox: its blob lies in
 * the key file, the key itself in locked memory from the start of the server to its end.
 *
 * keys_latest and keys_get are called by many threads at once and for every page that is written,
 * so they only take a read lock and search an array. What makes or changes keys happens under a
 * mutex: prepared aside, written to the disk, and only then shown to the readers.
 */
#ifndef KEYS_H
#define KEYS_H

#include "key_file.h"

struct keys;

enum keys_log_level { KEYS_NOTE, KEYS_ERROR };

struct keys_config {
    const char *keystore, *root_key;
    const char *audit_log; /* or NULL */
    const char *cmk;       /* which CMK wraps the keys of which ids: see cmk_map.h */
    const char *server;    /* bound to every blob, so that one server's do not open in another */
    const char *key_file;  /* an absolute path */
    /* Whether the key file and keys that are not there are made, where `cmk` names a CMK for their
     * ids. Where that is not expected, a key that is not there was lost: to make another in its
     * place would hide that, and the data under the lost one would look corrupted. */
    int create;
    void (*log)(enum keys_log_level level, const char *text);
};

/* For monitoring. */
struct keys_counts {
    uint64_t ids, versions, served, refused, made, rewrapped, errors;
    char last_error[sizeof(struct trouble)];
};

enum keys_result { KEYS_DONE, KEYS_NO_SUCH_KEY, KEYS_BUFFER_TOO_SMALL };

/* Opens the keystore, reads the key file and unwraps every key in it. NULL: failed, or one of the
 * keys could not be unwrapped. */
struct keys *keys_open(const struct keys_config *config, struct trouble *trouble);

/* Wipes every key. No other thread may be in here. NULL is allowed. */
void keys_close(struct keys *keys);

/* The version to encrypt with. NO_VERSION: there is none, and none was made. */
uint32_t keys_latest(struct keys *keys, uint32_t key_id);

/* One version of a key. `key` may be NULL, then only the length is told. */
enum keys_result keys_get(struct keys *keys, uint32_t key_id, uint32_t version, uint8_t *key,
                          unsigned int *len);

/* Makes the first version of a key. It fails where there is the key, where no CMK is named for it,
 * and as keys_rotate does. 1: done; 0: failed. */
int keys_create(struct keys *keys, uint32_t key_id, struct trouble *trouble);

/* Adds a version to a key, or with KEYS_ALL to every key: to all of them or, where that fails, to
 * none. It fails too where keys_get was asked for a version that is not there: see missing_key.h.
 * 1: done; 0: failed. */
#define KEYS_ALL 0
int keys_rotate(struct keys *keys, uint32_t key_id, struct trouble *trouble);

/* Wraps every blob anew under the present version of the CMK that the configuration names for it.
 * The keys stay what they are, so no data is touched. What cannot be wrapped anew stays as it is
 * and makes this fail, after the others were done. 1: done; 0: failed. */
int keys_rewrap(struct keys *keys, struct trouble *trouble);

void keys_count(struct keys *keys, struct keys_counts *counts);

#endif
