/*
 * Which CMK wraps the keys of which ids, as the operator wrote it:
 *
 *     alias/mariadb                            keys 1 and 2, which the server needs for itself
 *     1-2=alias/mariadb;100-199=alias/orders   these ids and no others
 *
 * Keys of other ids are not made: any user who may create a table could otherwise make keys without
 * end, through ENCRYPTION_KEY_ID.
 */
#ifndef CMK_MAP_H
#define CMK_MAP_H

#include "key_file.h"

struct cmk_range {
    uint32_t first, last;
    char *cmk;
};

struct cmk_map {
    struct cmk_range *ranges;
    size_t count;
};

/* 1: done; 0: failed, and the map is empty. */
int cmk_map_parse(const char *text, struct cmk_map *map, struct trouble *trouble);

void cmk_map_free(struct cmk_map *map);

/* The id, ARN or alias of a CMK, or NULL. */
const char *cmk_map_find(const struct cmk_map *map, uint32_t key_id);

#endif
