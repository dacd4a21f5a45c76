/* Keys in memory: see table.h. */
#define _POSIX_C_SOURCE 200809L

#include "table.h"

#include <stdlib.h>
#include <string.h>

size_t key_place(const struct key_list *list, uint32_t key_id, uint32_t version)
{
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct key_entry *entry = &list->entries[middle];
        if (entry->key_id < key_id || (entry->key_id == key_id && entry->version < version))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int key_is_at(const struct key_list *list, size_t place, uint32_t key_id, uint32_t version)
{
    return place < list->count && list->entries[place].key_id == key_id
           && list->entries[place].version == version;
}

size_t key_end(const struct key_list *list, uint32_t key_id, uint32_t *versions)
{
    size_t end = key_place(list, key_id, UINT32_MAX);
    *versions = end > 0 && list->entries[end - 1].key_id == key_id ? list->entries[end - 1].version
                                                                    : 0;
    return end;
}

int key_list_has_all(const struct key_list *list, const struct key_list *used)
{
    size_t i, found = 0;
    for (i = 0; i < used->count; i++) {
        const struct key_entry *entry = &used->entries[i];
        size_t place = key_place(list, entry->key_id, entry->version);
        found += (size_t)key_is_at(list, place, entry->key_id, entry->version);
    }
    return found == used->count;
}

int key_ids(const struct key_list *list, uint32_t **ids, size_t *count)
{
    size_t i;
    *count = 0;
    *ids = calloc(list->count + 1, sizeof **ids);
    for (i = 0; *ids != NULL && i < list->count; i++)
        if (list->entries[i].version == 1)
            (*ids)[(*count)++] = list->entries[i].key_id;
    return *ids != NULL;
}

int table_reserve(struct table *table, size_t count)
{
    table->stored.entries = calloc(count + 1, sizeof *table->stored.entries);
    table->secrets = calloc(count + 1, sizeof *table->secrets);
    table->stored.count = 0;
    return table->stored.entries != NULL && table->secrets != NULL;
}

void table_append(struct table *table, const struct key_entry *entry, void *secret)
{
    table->stored.entries[table->stored.count] = *entry;
    table->secrets[table->stored.count++] = secret;
}

void table_insert(struct table *table, size_t place, const struct key_entry *entry, void *secret)
{
    struct key_entry *entries = table->stored.entries;
    size_t after = table->stored.count - place;
    memmove(&entries[place + 1], &entries[place], after * sizeof *entries);
    memmove(&table->secrets[place + 1], &table->secrets[place], after * sizeof *table->secrets);
    entries[place] = *entry;
    table->secrets[place] = secret;
    table->stored.count++;
}

int table_copy(struct table *copy, const struct table *table, size_t more)
{
    size_t i;
    if (!table_reserve(copy, table->stored.count + more))
        return 0;
    for (i = 0; i < table->stored.count; i++)
        table_append(copy, &table->stored.entries[i], table->secrets[i]);
    return 1;
}

void table_drop(struct table *table, const struct table *kept)
{
    size_t i, place;
    for (i = 0; i < table->stored.count; i++) {
        const struct key_entry *entry = &table->stored.entries[i];
        place = kept == NULL ? 0 : key_place(&kept->stored, entry->key_id, entry->version);
        if (kept == NULL || !key_is_at(&kept->stored, place, entry->key_id, entry->version)
            || kept->secrets[place] != table->secrets[i])
            kms_secret_free(table->secrets[i]);
    }
    key_list_free(&table->stored);
    free(table->secrets);
    table->secrets = NULL;
}

/* ---- The table that is in use -------------------------------------------------------------- */

void shared_table_init(struct shared_table *shared)
{
    pthread_rwlock_init(&shared->lock, NULL);
}

void shared_table_destroy(struct shared_table *shared)
{
    table_drop(&shared->table, NULL);
    pthread_rwlock_destroy(&shared->lock);
}

void shared_table_replace(struct shared_table *shared, struct table *fresh)
{
    struct table old;
    pthread_rwlock_wrlock(&shared->lock);
    old = shared->table;
    shared->table = *fresh;
    pthread_rwlock_unlock(&shared->lock);
    table_drop(&old, fresh);
    memset(fresh, 0, sizeof *fresh);
}

uint32_t shared_table_latest(struct shared_table *shared, uint32_t key_id)
{
    uint32_t versions = 0;
    pthread_rwlock_rdlock(&shared->lock);
    key_end(&shared->table.stored, key_id, &versions);
    pthread_rwlock_unlock(&shared->lock);
    return versions > 0 ? versions : NO_VERSION;
}

int shared_table_get(struct shared_table *shared, uint32_t key_id, uint32_t version, uint8_t *key)
{
    size_t place;
    int there;
    pthread_rwlock_rdlock(&shared->lock);
    place = key_place(&shared->table.stored, key_id, version);
    there = key_is_at(&shared->table.stored, place, key_id, version);
    if (there && key != NULL)
        memcpy(key, shared->table.secrets[place], KEY_LEN);
    pthread_rwlock_unlock(&shared->lock);
    return there;
}

void shared_table_count(struct shared_table *shared, uint64_t *ids, uint64_t *versions)
{
    size_t i;
    *ids = 0;
    pthread_rwlock_rdlock(&shared->lock);
    *versions = shared->table.stored.count;
    for (i = 0; i < shared->table.stored.count; i++)
        *ids += shared->table.stored.entries[i].version == 1;
    pthread_rwlock_unlock(&shared->lock);
}
