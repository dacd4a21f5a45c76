/* Which CMK wraps the keys of which ids: see cmk_map.h. */
#define _POSIX_C_SOURCE 200809L

#include "cmk_map.h"

#include <stdlib.h>
#include <string.h>

void cmk_map_free(struct cmk_map *map)
{
    size_t i;
    for (i = 0; i < map->count; i++)
        free(map->ranges[i].cmk);
    free(map->ranges);
    map->ranges = NULL;
    map->count = 0;
}

const char *cmk_map_find(const struct cmk_map *map, uint32_t key_id)
{
    size_t i;
    for (i = 0; i < map->count; i++)
        if (map->ranges[i].first <= key_id && key_id <= map->ranges[i].last)
            return map->ranges[i].cmk;
    return NULL;
}

static const char *parse_id(const char *at, uint32_t *id)
{
    uint64_t value = 0;
    const char *start = at;
    while (*at >= '0' && *at <= '9' && value <= UINT32_MAX)
        value = value * 10 + (uint64_t)(*at++ - '0');
    if (at == start || value == 0 || value > UINT32_MAX)
        return NULL;
    *id = (uint32_t)value;
    return at;
}

/* FIRST=CMK or FIRST-LAST=CMK, or a CMK alone. Changes the text, and the range's CMK is a part of
 * it. */
static int parse_item(char *item, struct cmk_range *range)
{
    char *equals = strchr(item, '=');
    const char *at = item;
    if (equals == NULL) {
        range->first = 1;
        range->last = 2;
        range->cmk = item;
        return *item != '\0';
    }
    *equals = '\0';
    at = parse_id(at, &range->first);
    range->last = range->first;
    if (at != NULL && *at == '-')
        at = parse_id(at + 1, &range->last);
    range->cmk = equals + 1;
    return at != NULL && *at == '\0' && range->last >= range->first && *range->cmk != '\0';
}

static int overlaps(const struct cmk_map *map, const struct cmk_range *range)
{
    size_t i;
    for (i = 0; i < map->count; i++)
        if (map->ranges[i].first <= range->last && range->first <= map->ranges[i].last)
            return 1;
    return 0;
}

int cmk_map_parse(const char *text, struct cmk_map *map, struct trouble *trouble)
{
    char *copy = strdup(text), *item = copy, *next = NULL;
    int memory, good = 1;
    map->count = 0;
    map->ranges = calloc(strlen(text) + 1, sizeof *map->ranges);
    memory = copy != NULL && map->ranges != NULL;
    while (memory && good && item != NULL) {
        struct cmk_range range = {0, 0, NULL};
        next = strchr(item, ';');
        if (next != NULL)
            *next++ = '\0';
        good = parse_item(item, &range) && !overlaps(map, &range);
        if (good) {
            range.cmk = strdup(range.cmk);
            memory = range.cmk != NULL;
            map->ranges[map->count++] = range;
        }
        item = next;
    }
    free(copy);
    if (memory && good)
        return 1;
    if (!memory)
        set_trouble(trouble, "kmsbox_cmk: no memory");
    else
        set_trouble(trouble,
                    "kmsbox_cmk=\"%s\": expected a CMK, or IDS=CMK;IDS=CMK with ids such as 7 or"
                    " 100-199, none of them twice",
                    text);
    cmk_map_free(map);
    return 0;
}
