/* A key file that is older than the data: see missing_key.h. */
#define _POSIX_C_SOURCE 200809L

#include "missing_key.h"

#include "table.h"

#include <inttypes.h>

static void tell(uint64_t key, const char *key_file, struct trouble *trouble)
{
    set_trouble(trouble,
                "%s: is older than the data, which has pages under key %" PRIu64 " version %" PRIu64
                "; no key gets a new version until it is there",
                key_file, key >> 32, key & UINT32_MAX);
}

int missing_key_note(struct missing_key *missing, const char *key_file, uint32_t key_id,
                     uint32_t version, struct trouble *trouble)
{
    uint64_t none = 0, key = (uint64_t)key_id << 32 | version;
    if (version == 0 || version == NO_VERSION
        || !atomic_compare_exchange_strong(&missing->key, &none, key))
        return 0;
    tell(key, key_file, trouble);
    return 1;
}

int missing_key_is_found(struct missing_key *missing, const char *key_file,
                         const struct key_list *list, struct trouble *trouble)
{
    uint64_t key = atomic_load(&missing->key);
    uint32_t key_id = (uint32_t)(key >> 32), version = (uint32_t)(key & UINT32_MAX);
    if (key == 0)
        return 1;
    if (key_is_at(list, key_place(list, key_id, version), key_id, version)) {
        atomic_store(&missing->key, 0);
        return 1;
    }
    tell(key, key_file, trouble);
    return 0;
}
