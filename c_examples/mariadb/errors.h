/*
 * Errors: which of them the server's log gets, how many there were, and the last one.
 *
 * The server asks again and again for a key that is refused; its log is spared the repetitions.
 */
#ifndef ERRORS_H
#define ERRORS_H

#include "key_file.h"

#include <pthread.h>

enum { ERRORS_REMEMBERED = 16, REPEAT_ERROR_AFTER = 60 /* seconds */ };

struct errors {
    pthread_mutex_t mutex;
    struct {
        struct trouble trouble;
        time_t told;
    } known[ERRORS_REMEMBERED];
    size_t last, next; /* places in `known`: the last error's, and the next new one's */
    uint64_t count;
};

/* All else of it must be zero. */
void errors_init(struct errors *errors);

void errors_destroy(struct errors *errors);

/* 1: the log should have it; 0: it was told a short while ago. */
int errors_add(struct errors *errors, const struct trouble *trouble);

/* How many there were, and the last one, or an empty text. */
uint64_t errors_count(struct errors *errors, struct trouble *last);

#endif
