/*
 * Keys in memory: what the key file has, and beside each entry the key that its blob holds.
 *
 * A table that is in use is never changed. A new one is made that shares its secrets, and takes its
 * place.
 */
#ifndef TABLE_H
#define TABLE_H

#include "key_file.h"

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

/* The ids of all keys, the caller's to free. 1: done; 0: no memory. */
int key_ids(const struct key_list *list, uint32_t **ids, size_t *count);

/* Makes an empty table with room. 1: done; 0: no memory, and it is to be dropped nevertheless. */
int table_reserve(struct table *table, size_t count);

void table_append(struct table *table, const struct key_entry *entry, void *secret);

/* Frees a table, and wipes its secrets but those that `kept` has too, which may be NULL. */
void table_drop(struct table *table, const struct table *kept);

#endif
