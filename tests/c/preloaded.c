/* Preloaded, it gives a process another world:
 *
 * KMSBOX_TEST_CLOCK       another time: seconds since 1970, or with a sign what is added to the real time
 * KMSBOX_TEST_UNWRITABLE  a line of an audit log with this in it cannot be written
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *time)
{
    int (*real)(clockid_t, struct timespec *);
    *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
    const char *wanted = getenv("KMSBOX_TEST_CLOCK");
    int failed = real(clock, time);
    if (clock == CLOCK_REALTIME && wanted != NULL)
        time->tv_sec = atoll(wanted) + (*wanted == '+' || *wanted == '-' ? time->tv_sec : 0);
    return failed;
}

ssize_t write(int file, const void *bytes, size_t len)
{
    ssize_t (*real)(int, const void *, size_t);
    *(void **)&real = dlsym(RTLD_NEXT, "write");
    const char *part = getenv("KMSBOX_TEST_UNWRITABLE");
    if (part != NULL && memmem(bytes, len, part, strlen(part)) != NULL) {
        errno = ENOSPC;
        return -1;
    }
    return real(file, bytes, len);
}
