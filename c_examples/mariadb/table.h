/*
 * Keys in memory: what the key file has, and beside each entry the key that its blob holds.
 *
 * A table that is in use is never changed. A new one is made that shares its secrets, and takes its
 * place.
 */
#ifndef TABLE_H
#define TABLE_H

#include "key_file.h"

#include <pthread.h>

/* Sorted as in the file. secrets[i] is the key of stored.entries[i], in locked memory. */
struct table {
    struct key_list stored;
    void **secrets;
};

/* Where a version is, or where it would have to be put in. */
size_t key_place(const struct key_list *list, uint32_t key_id, uint32_t version);

int key_is_at(const struct key_list *list, size_t place, uint32_t key_id, uint32_t version);

/* The place behind the last version of a key; 0 versions: none of it is there. */
size_t key_end(const struct key_list *list, uint32_t key_id, uint32_t *versions);

/* Whether each version that `used` has is in the list. */
int key_list_has_all(const struct key_list *list, const struct key_list *used);

/* The ids of all keys, the caller's to free. 1: done; 0: no memory. */
int key_ids(const struct key_list *list, uint32_t **ids, size_t *count);

/* Makes an empty table with room. 1: done; 0: no memory, and it is to be dropped nevertheless. */
int table_reserve(struct table *table, size_t count);

/* Likewise one with the same entries and secrets as `table`, and room for `more`. */
int table_copy(struct table *copy, const struct table *table, size_t more);

/* Both need room for one more. */
void table_append(struct table *table, const struct key_entry *entry, void *secret);
void table_insert(struct table *table, size_t place, const struct key_entry *entry, void *secret);

/* Frees a table, and wipes its secrets but those that `kept` has too, which may be NULL. */
void table_drop(struct table *table, const struct table *kept);

/* The table that is in use. Any thread may call shared_table_latest, _get and _count; one at a time
 * may call shared_table_replace, and meanwhile read `table` without the lock. */
struct shared_table {
    pthread_rwlock_t lock; /* held for writing only while `table` is replaced */
    struct table table;
};

/* All else of it must be zero. */
void shared_table_init(struct shared_table *shared);

/* Wipes every secret. */
void shared_table_destroy(struct shared_table *shared);

/* Shows a table to the readers; the secrets of the old one that it shares stay. `fresh` is empty
 * then. */
void shared_table_replace(struct shared_table *shared, struct table *fresh);

/* The last version of a key, or NO_VERSION. */
uint32_t shared_table_latest(struct shared_table *shared, uint32_t key_id);

/* 1: it is there, and copied where `key` is not NULL. */
int shared_table_get(struct shared_table *shared, uint32_t key_id, uint32_t version, uint8_t *key);

void shared_table_count(struct shared_table *shared, uint64_t *ids, uint64_t *versions);

#endif
