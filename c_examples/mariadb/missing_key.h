/*
 * A key file that is older than the data: the server asks for a version of a key that is not there.
 *
 * No key may get a new version then. It would get the number of one that is only lost for now:
 * whichever file is kept in the end, the data under one of the two could not be read.
 */
#ifndef MISSING_KEY_H
#define MISSING_KEY_H

#include "key_file.h"

#include <stdatomic.h>

/* The id and the version, 32 bits each, of a key that the data is under and that is not known; or
 * 0. The first one is kept: while it is missing, others do not matter. */
struct missing_key {
    _Atomic uint64_t key;
};

/* The server asked for a key that is not there. 1: it is the first, and the error to be told is in
 * `trouble`; 0: there is nothing to tell. */
int missing_key_note(struct missing_key *missing, const char *key_file, uint32_t key_id,
                     uint32_t version, struct trouble *trouble);

/* 1: none is missing, or the one that was is in the list now; 0: it is not, as `trouble` says. */
int missing_key_is_found(struct missing_key *missing, const char *key_file,
                         const struct key_list *list, struct trouble *trouble);

#endif
