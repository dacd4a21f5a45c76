/* Keys in memory: see table.h. */
#define _POSIX_C_SOURCE 200809L

#include "table.h"

#include <stdlib.h>

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

void table_append(struct table *table, const struct key_entry *entry, void *secret)
{
    table->stored.entries[table->stored.count] = *entry;
    table->secrets[table->stored.count++] = secret;
}
