/* Which errors the log gets: see errors.h. */
#define _POSIX_C_SOURCE 200809L

#include "errors.h"

#include <string.h>

void errors_init(struct errors *errors)
{
    pthread_mutex_init(&errors->mutex, NULL);
}

void errors_destroy(struct errors *errors)
{
    pthread_mutex_destroy(&errors->mutex);
}

/* Its place, or ERRORS_REMEMBERED. The mutex is held. */
static size_t find(const struct errors *errors, const struct trouble *trouble)
{
    size_t i = 0;
    while (i < ERRORS_REMEMBERED && strcmp(errors->known[i].trouble.text, trouble->text) != 0)
        i++;
    return i;
}

int errors_add(struct errors *errors, const struct trouble *trouble)
{
    struct timespec now = {0, 0};
    size_t place;
    int again;
    clock_gettime(CLOCK_MONOTONIC, &now);
    pthread_mutex_lock(&errors->mutex);
    place = find(errors, trouble);
    again = place < ERRORS_REMEMBERED
            && now.tv_sec - errors->known[place].told < REPEAT_ERROR_AFTER;
    if (place == ERRORS_REMEMBERED) {
        place = errors->next;
        errors->next = (place + 1) % ERRORS_REMEMBERED;
        errors->known[place].trouble = *trouble;
    }
    if (!again)
        errors->known[place].told = now.tv_sec;
    errors->last = place;
    errors->count++;
    pthread_mutex_unlock(&errors->mutex);
    return !again;
}

uint64_t errors_count(struct errors *errors, struct trouble *last)
{
    uint64_t count;
    pthread_mutex_lock(&errors->mutex);
    count = errors->count;
    *last = errors->known[errors->last].trouble;
    pthread_mutex_unlock(&errors->mutex);
    return count;
}
