/* The server's encryption keys: see keys.h. */
#define _POSIX_C_SOURCE 200809L

#include "keys.h"

#include "cmk_map.h"
#include "errors.h"
#include "missing_key.h"
#include "table.h"
#include "wrap.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct keys {
    struct wrapper wrapper;
    struct cmk_map map;
    char *key_file;
    int create;
    void (*log)(enum keys_log_level level, const char *text);

    /* Held by whoever makes a new table or replaces the file, for as long as that takes. */
    pthread_mutex_t changing;
    struct file_mark mark;
    struct shared_table in_use; /* replaced by whoever holds the mutex */

    struct missing_key missing;
    struct errors errors;
    _Atomic uint64_t served, refused, made, rewrapped;
};

static void complain(struct keys *keys, const struct trouble *trouble)
{
    if (errors_add(&keys->errors, trouble))
        keys->log(KEYS_ERROR, trouble->text);
}

/* ---- The file, and what is in memory ------------------------------------------------------- */

/* The key of an entry that was read. What the server has already used must stay what it was: an
 * entry that was wrapped anew by another process holds the same key. NULL: failed. */
static void *adopt(const struct keys *keys, const struct key_entry *entry, struct trouble *trouble)
{
    const struct key_list *known = &keys->in_use.table.stored;
    size_t place = key_place(known, entry->key_id, entry->version);
    void *present = NULL, *read = NULL;
    int same;
    if (key_is_at(known, place, entry->key_id, entry->version)) {
        const struct key_entry *old = &known->entries[place];
        present = keys->in_use.table.secrets[place];
        if (memcmp(old->blob, entry->blob, BLOB_LEN) == 0 && strcmp(old->cmk, entry->cmk) == 0
            && strcmp(old->cmk_version, entry->cmk_version) == 0)
            return present;
    }
    read = key_unwrap(&keys->wrapper, entry, trouble);
    if (present == NULL || read == NULL)
        return read;
    same = memcmp(read, present, KEY_LEN) == 0;
    kms_secret_free(read);
    if (!same)
        set_trouble(trouble, "%s: holds another key %" PRIu32 " version %" PRIu32 " than before",
                    keys->key_file, entry->key_id, entry->version);
    return same ? present : NULL;
}

/* Takes over what the file has, if it is not what is known: every key of it, or none. A server that
 * began with some of its keys would call the tables of the others corrupted. The mutex is held. */
static int refresh(struct keys *keys, struct trouble *trouble)
{
    struct key_list list = {NULL, 0};
    struct table fresh = {{NULL, 0}, NULL};
    struct trouble first = {""};
    struct file_mark mark;
    size_t i, failed = 0;
    int good = 0;
    if (key_file_is(keys->key_file, &keys->mark))
        return 1;
    if (key_file_read(keys->key_file, &list, &mark, trouble) != KEY_FILE_DONE)
        return 0;
    if (!key_list_has_all(&list, &keys->in_use.table.stored))
        set_trouble(trouble, "%s: was replaced by a file without all the keys in use",
                    keys->key_file);
    else if (!table_reserve(&fresh, list.count))
        set_trouble(trouble, "no memory");
    else
        good = 1;
    for (i = 0; good && i < list.count; i++) {
        void *secret = adopt(keys, &list.entries[i], failed == 0 ? &first : trouble);
        table_append(&fresh, &list.entries[i], secret);
        failed += secret == NULL;
    }
    key_list_free(&list);
    if (failed > 0) {
        set_trouble(trouble, "%zu wrapped keys cannot be used; the first: %.500s", failed,
                    first.text);
        good = 0;
    }
    if (good) {
        shared_table_replace(&keys->in_use, &fresh);
        keys->mark = mark;
    }
    table_drop(&fresh, &keys->in_use.table);
    return good;
}

/* Copies the table, with the same secrets and room for `more`. The mutex is held, so nobody else
 * changes what is read here. */
static int prepare(const struct keys *keys, size_t more, struct table *fresh,
                   struct trouble *trouble)
{
    if (keys->in_use.table.stored.count + more > KEY_ENTRIES_MAX) {
        set_trouble(trouble, "%s: has no room for more keys", keys->key_file);
        return 0;
    }
    if (!table_copy(fresh, &keys->in_use.table, more)) {
        set_trouble(trouble, "no memory");
        return 0;
    }
    return 1;
}

/* Writes what was prepared, then shows it; a key that a power failure could take away again must
 * not have encrypted anything. The mutex and the file's lock are held. */
static int commit(struct keys *keys, struct table *fresh, struct trouble *trouble)
{
    if (key_file_write(keys->key_file, &fresh->stored, &keys->mark, trouble) != KEY_FILE_DONE)
        return 0;
    shared_table_replace(&keys->in_use, fresh);
    return 1;
}

/* Puts the next version of a key in. */
static int add_version(const struct keys *keys, struct table *table, uint32_t key_id,
                       struct trouble *trouble)
{
    struct key_entry entry = {0};
    const char *cmk = cmk_map_find(&keys->map, key_id);
    uint32_t versions = 0;
    size_t end = key_end(&table->stored, key_id, &versions);
    void *secret;
    entry.key_id = key_id;
    entry.version = versions + 1;
    if (cmk == NULL) {
        set_trouble(trouble, "kmsbox_cmk names no CMK for key %" PRIu32, key_id);
        return 0;
    }
    secret = key_generate(&keys->wrapper, cmk, &entry, trouble);
    if (secret == NULL)
        return 0;
    table_insert(table, end, &entry, secret);
    return 1;
}

/* ---- Making and changing keys -------------------------------------------------------------- */

/* Adds a version to each of these keys. The mutex and the file's lock are held. */
static int add_versions(struct keys *keys, const uint32_t *ids, size_t count,
                        struct trouble *trouble)
{
    struct table fresh = {{NULL, 0}, NULL};
    size_t i;
    int good = missing_key_is_found(&keys->missing, keys->key_file, &keys->in_use.table.stored,
                                    trouble)
               && prepare(keys, count, &fresh, trouble);
    for (i = 0; good && i < count; i++)
        good = add_version(keys, &fresh, ids[i], trouble);
    good = good && commit(keys, &fresh, trouble);
    table_drop(&fresh, &keys->in_use.table);
    if (good)
        atomic_fetch_add(&keys->made, count);
    for (i = 0; good && i < count; i++) {
        uint32_t versions = 0;
        size_t end = key_end(&keys->in_use.table.stored, ids[i], &versions);
        set_trouble(trouble, "key %" PRIu32 " has version %" PRIu32 ", under the CMK %s", ids[i],
                    versions, keys->in_use.table.stored.entries[end - 1].cmk);
        keys->log(KEYS_NOTE, trouble->text);
    }
    return good;
}

/* Locks out other threads and processes, and knows what they have done. -1: failed. */
static int begin_change(struct keys *keys, struct trouble *trouble)
{
    int lock;
    pthread_mutex_lock(&keys->changing);
    lock = key_file_lock(keys->key_file, trouble);
    if (lock >= 0 && refresh(keys, trouble))
        return lock;
    if (lock >= 0)
        close(lock);
    pthread_mutex_unlock(&keys->changing);
    return -1;
}

static int end_change(struct keys *keys, int lock, int good, const struct trouble *trouble)
{
    if (lock >= 0) {
        close(lock);
        pthread_mutex_unlock(&keys->changing);
    }
    if (!good)
        complain(keys, trouble);
    return good;
}

int keys_create(struct keys *keys, uint32_t key_id, struct trouble *trouble)
{
    int lock = begin_change(keys, trouble), good = lock >= 0;
    if (good && shared_table_latest(&keys->in_use, key_id) != NO_VERSION) {
        set_trouble(trouble, "there is a key %" PRIu32 " already", key_id);
        good = 0;
    }
    good = good && add_versions(keys, &key_id, 1, trouble);
    return end_change(keys, lock, good, trouble);
}

int keys_rotate(struct keys *keys, uint32_t key_id, struct trouble *trouble)
{
    int lock = begin_change(keys, trouble), good = lock >= 0;
    uint32_t *ids = NULL, versions = 0;
    size_t count = 1;
    if (good && key_id == KEYS_ALL) {
        good = key_ids(&keys->in_use.table.stored, &ids, &count);
        if (!good)
            set_trouble(trouble, "no memory");
    } else if (good) {
        key_end(&keys->in_use.table.stored, key_id, &versions);
        good = versions > 0;
        if (!good)
            set_trouble(trouble, "there is no key %" PRIu32, key_id);
    }
    good = good && add_versions(keys, ids == NULL ? &key_id : ids, count, trouble);
    free(ids);
    return end_change(keys, lock, good, trouble);
}

int keys_rewrap(struct keys *keys, struct trouble *trouble)
{
    struct table fresh = {{NULL, 0}, NULL};
    struct trouble first = {""};
    size_t i, changed = 0, failed = 0;
    int lock = begin_change(keys, trouble);
    int good = lock >= 0 && prepare(keys, 0, &fresh, trouble);
    for (i = 0; good && i < fresh.stored.count; i++) {
        struct key_entry *entry = &fresh.stored.entries[i];
        const char *cmk = cmk_map_find(&keys->map, entry->key_id);
        int outcome = key_rewrap(&keys->wrapper, cmk == NULL ? entry->cmk : cmk, entry,
                                 failed == 0 ? &first : trouble);
        changed += outcome > 0;
        failed += outcome < 0;
    }
    if (changed > 0)
        good = commit(keys, &fresh, trouble);
    if (good) {
        atomic_fetch_add(&keys->rewrapped, changed);
        set_trouble(trouble, "%zu of %zu blobs were wrapped anew", changed,
                    keys->in_use.table.stored.count);
        keys->log(KEYS_NOTE, trouble->text);
    }
    if (good && failed > 0) {
        set_trouble(trouble, "%zu blobs could not be wrapped anew; the first: %.500s", failed,
                    first.text);
        good = 0;
    }
    if (lock >= 0)
        table_drop(&fresh, &keys->in_use.table);
    return end_change(keys, lock, good, trouble);
}

/* ---- Serving ------------------------------------------------------------------------------- */

/* Looks for a version that is not known: another process may have made it, as when this is a backup
 * that runs beside the server. */
static void look_again(struct keys *keys)
{
    struct trouble trouble;
    int good;
    pthread_mutex_lock(&keys->changing);
    good = refresh(keys, &trouble);
    pthread_mutex_unlock(&keys->changing);
    if (!good)
        complain(keys, &trouble);
}

uint32_t keys_latest(struct keys *keys, uint32_t key_id)
{
    struct trouble trouble;
    uint32_t latest = shared_table_latest(&keys->in_use, key_id);
    int lock, good;
    if (latest != NO_VERSION || cmk_map_find(&keys->map, key_id) == NULL)
        return latest;
    if (!keys->create) {
        look_again(keys);
        return shared_table_latest(&keys->in_use, key_id);
    }
    lock = begin_change(keys, &trouble);
    good = lock >= 0;
    latest = shared_table_latest(&keys->in_use, key_id);
    if (good && latest == NO_VERSION) /* nobody made it meanwhile */
        good = add_versions(keys, &key_id, 1, &trouble);
    end_change(keys, lock, good, &trouble);
    return shared_table_latest(&keys->in_use, key_id);
}

enum keys_result keys_get(struct keys *keys, uint32_t key_id, uint32_t version, uint8_t *key,
                          unsigned int *len)
{
    const unsigned int room = key == NULL ? KEY_LEN : *len; /* *len is not set where key is NULL */
    uint8_t *const wanted = room < KEY_LEN ? NULL : key;
    struct trouble trouble;
    int there = shared_table_get(&keys->in_use, key_id, version, wanted);
    if (!there) {
        look_again(keys);
        there = shared_table_get(&keys->in_use, key_id, version, wanted);
    }
    if (!there) {
        atomic_fetch_add(&keys->refused, 1);
        if (key != NULL /* else it was asked whether there is one */
            && missing_key_note(&keys->missing, keys->key_file, key_id, version, &trouble))
            complain(keys, &trouble);
        return KEYS_NO_SUCH_KEY;
    }
    *len = KEY_LEN;
    if (room < KEY_LEN)
        return KEYS_BUFFER_TOO_SMALL;
    if (key != NULL)
        atomic_fetch_add(&keys->served, 1);
    return KEYS_DONE;
}

void keys_count(struct keys *keys, struct keys_counts *counts)
{
    struct trouble last;
    shared_table_count(&keys->in_use, &counts->ids, &counts->versions);
    counts->served = atomic_load(&keys->served);
    counts->refused = atomic_load(&keys->refused);
    counts->made = atomic_load(&keys->made);
    counts->rewrapped = atomic_load(&keys->rewrapped);
    counts->errors = errors_count(&keys->errors, &last);
    memcpy(counts->last_error, last.text, sizeof counts->last_error);
}

/* ---- Opening and closing ------------------------------------------------------------------- */

/* A file that is there is read without the lock: it is replaced whole, and a backup that reads it
 * need not be able to write. */
static int open_key_file(struct keys *keys, struct trouble *trouble)
{
    struct key_list list = {NULL, 0};
    struct file_mark mark;
    enum key_file_result result = key_file_read(keys->key_file, &list, &mark, trouble);
    key_list_free(&list);
    if (result == KEY_FILE_MISSING && keys->create)
        result = key_file_make(keys->key_file, trouble);
    else if (result == KEY_FILE_MISSING)
        set_trouble(trouble,
                    "%s: there is no such file. Where the server has no encrypted data yet, start"
                    " it with kmsbox_create_keys=ON; else restore the file from a backup",
                    keys->key_file);
    return result == KEY_FILE_DONE && refresh(keys, trouble);
}

static int check_config(const struct keys_config *config, struct trouble *trouble)
{
    const char *const required[][2] = {{"kmsbox_keystore", config->keystore},
                                       {"kmsbox_root_key", config->root_key},
                                       {"kmsbox_cmk", config->cmk},
                                       {"kmsbox_server_name", config->server},
                                       {"kmsbox_key_file", config->key_file}};
    size_t i;
    for (i = 0; i < sizeof required / sizeof *required; i++) {
        if (required[i][1] == NULL || required[i][1][0] == '\0') {
            set_trouble(trouble, "%s is not set", required[i][0]);
            return 0;
        }
    }
    if (config->key_file[0] != '/') {
        set_trouble(trouble, "kmsbox_key_file=\"%s\": must be an absolute path", config->key_file);
        return 0;
    }
    return 1;
}

struct keys *keys_open(const struct keys_config *config, struct trouble *trouble)
{
    struct keys *keys = NULL;
    int good;
    if (!check_config(config, trouble))
        return NULL;
    keys = calloc(1, sizeof *keys);
    if (keys == NULL || (keys->key_file = strdup(config->key_file)) == NULL) {
        set_trouble(trouble, "no memory");
        free(keys);
        return NULL;
    }
    keys->log = config->log;
    keys->create = config->create;
    pthread_mutex_init(&keys->changing, NULL);
    shared_table_init(&keys->in_use);
    errors_init(&keys->errors);
    good = cmk_map_parse(config->cmk, &keys->map, trouble)
           && wrapper_open(&keys->wrapper, config->keystore, config->root_key, config->audit_log,
                           config->server, trouble)
           && open_key_file(keys, trouble);
    if (good)
        return keys;
    keys_close(keys);
    return NULL;
}

void keys_close(struct keys *keys)
{
    if (keys == NULL)
        return;
    shared_table_destroy(&keys->in_use);
    wrapper_close(&keys->wrapper);
    cmk_map_free(&keys->map);
    errors_destroy(&keys->errors);
    pthread_mutex_destroy(&keys->changing);
    free(keys->key_file);
    free(keys);
}
