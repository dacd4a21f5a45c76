/* For programs that stop at the first thing that goes wrong. */
#ifndef MUST_H
#define MUST_H

#include <kmsbox.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Leaves by _exit: a forked child must not run what its parent registered. */
static inline void die(const char *format, ...)
{
    va_list rest;
    va_start(rest, format);
    dprintf(STDERR_FILENO, "[%ld] ", (long)getpid());
    vdprintf(STDERR_FILENO, format, rest);
    dprintf(STDERR_FILENO, "\n");
    va_end(rest);
    _exit(1);
}

static inline void must(kms_status status, const char *what, const kms_response *response)
{
    if (status != KMS_OK)
        die("%s: %s: %s", what, kms_status_name(status), response->error_message);
}

/* A call of the library that has to go well; a kms_response of this name has to be there. */
#define MUST(call) must(call, #call, &response)

/* A condition that has to hold, or a system call that has to return something true. */
#define HOLDS(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) die("line %d: not so: %s (%s)", __LINE__, #condition, strerror(errno));  \
    } while (0)

#endif
