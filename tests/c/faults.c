/* Preloaded by tests/faults.rs: fails one call of the system, the at-th of its kind that the armed thread
 * makes. Calls of other threads, and of a thread that is not armed, are passed on uncounted.
 *
 * Nothing is really synced: these tests cut no power, and a disk would make them slow. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

/* In the order of KINDS in tests/faults.rs. */
enum kind { OPEN, READ, WRITE, SYNC, RENAME, LOCK, STAT, RIGHTS, MAP, MLOCK, RANDOM, MEMORY, KINDS };

/* As an error: the call does half of what it was asked for. */
#define SHORT 0

static __thread struct {
    int armed, kind, error;
    long at, seen[KINDS];
} fault;

/* Fails the at-th call of this kind from now on; 0 fails none. */
void faults_arm(int kind, long at, int error)
{
    memset(&fault, 0, sizeof fault);
    fault.kind = kind;
    fault.at = at;
    fault.error = error;
    fault.armed = 1;
}

void faults_disarm(void)
{
    fault.armed = 0;
}

/* How many calls of a kind there were between the two. */
long faults_seen(int kind)
{
    return fault.seen[kind];
}

static int fails(enum kind kind)
{
    if (!fault.armed) return 0;
    return ++fault.seen[kind] == fault.at && fault.kind == (int)kind;
}

/* The next function of this name, called as NAME. */
#define NEXT(type, name, parameters, arguments)                                                    \
    static type next_##name parameters                                                             \
    {                                                                                              \
        static type(*next) parameters;                                                             \
        if (next == NULL) *(void **)&next = dlsym(RTLD_NEXT, #name);                              \
        return next arguments;                                                                     \
    }

/* A function that answers `failed` where it fails, and is passed on where it does not. */
#define FAILS(kind, type, failed, name, parameters, arguments)                                     \
    NEXT(type, name, parameters, arguments)                                                        \
    type name parameters                                                                           \
    {                                                                                              \
        if (!fails(kind)) return next_##name arguments;                                            \
        errno = fault.error;                                                                       \
        return failed;                                                                             \
    }

FAILS(READ, ssize_t, -1, read, (int file, void *bytes, size_t len), (file, bytes, len))
FAILS(READ, ssize_t, -1, pread64, (int file, void *bytes, size_t len, off64_t at),
      (file, bytes, len, at))
FAILS(RENAME, int, -1, rename, (const char *from, const char *to), (from, to))
FAILS(RENAME, int, -1, renameat, (int a, const char *from, int b, const char *to), (a, from, b, to))
FAILS(RENAME, int, -1, renameat2, (int a, const char *from, int b, const char *to, unsigned flags),
      (a, from, b, to, flags))
FAILS(RENAME, int, -1, link, (const char *from, const char *to), (from, to))
FAILS(RENAME, int, -1, linkat, (int a, const char *from, int b, const char *to, int flags),
      (a, from, b, to, flags))
FAILS(LOCK, int, -1, flock, (int file, int how), (file, how))
FAILS(STAT, int, -1, stat64, (const char *path, struct stat64 *into), (path, into))
FAILS(STAT, int, -1, lstat64, (const char *path, struct stat64 *into), (path, into))
FAILS(STAT, int, -1, fstat64, (int file, struct stat64 *into), (file, into))
FAILS(STAT, int, -1, statx,
      (int at, const char *path, int flags, unsigned mask, struct statx *into),
      (at, path, flags, mask, into))
FAILS(STAT, char *, NULL, realpath, (const char *path, char *into), (path, into))
FAILS(RIGHTS, int, -1, fchmod, (int file, mode_t mode), (file, mode))
FAILS(RIGHTS, int, -1, fchown, (int file, uid_t user, gid_t group), (file, user, group))
FAILS(RIGHTS, int, -1, futimens, (int file, const struct timespec times[2]), (file, times))
FAILS(RIGHTS, ssize_t, -1, fgetxattr, (int file, const char *name, void *value, size_t len),
      (file, name, value, len))
FAILS(RIGHTS, int, -1, fsetxattr,
      (int file, const char *name, const void *value, size_t len, int flags),
      (file, name, value, len, flags))
FAILS(MAP, void *, MAP_FAILED, mmap,
      (void *at, size_t len, int may, int flags, int file, off_t from),
      (at, len, may, flags, file, from))
FAILS(MAP, void *, MAP_FAILED, mmap64,
      (void *at, size_t len, int may, int flags, int file, off64_t from),
      (at, len, may, flags, file, from))
FAILS(MAP, int, -1, mprotect, (void *at, size_t len, int may), (at, len, may))
FAILS(MLOCK, int, -1, mlock, (const void *at, size_t len), (at, len))
FAILS(MLOCK, int, -1, madvise, (void *at, size_t len, int advice), (at, len, advice))
FAILS(RANDOM, ssize_t, -1, getrandom, (void *bytes, size_t len, unsigned flags),
      (bytes, len, flags))
FAILS(OPEN, DIR *, NULL, opendir, (const char *path), (path))

NEXT(ssize_t, write, (int file, const void *bytes, size_t len), (file, bytes, len))

ssize_t write(int file, const void *bytes, size_t len)
{
    if (!fails(WRITE)) return next_write(file, bytes, len);
    if (fault.error == SHORT) return next_write(file, bytes, len / 2);
    errno = fault.error;
    return -1;
}

static int sync_nothing(void)
{
    if (!fails(SYNC)) return 0;
    errno = fault.error;
    return -1;
}

int fsync(int file)
{
    (void)file;
    return sync_nothing();
}

int fdatasync(int file)
{
    (void)file;
    return sync_nothing();
}

NEXT(int, open64, (const char *path, int flags, mode_t mode), (path, flags, mode))

int open64(const char *path, int flags, ...)
{
    mode_t mode;
    va_list rest;
    va_start(rest, flags);
    mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    if (!fails(OPEN)) return next_open64(path, flags, mode);
    errno = fault.error;
    return -1;
}

NEXT(int, fcntl, (int file, int what, long value), (file, what, value))

/* A descriptor that is moved is one more that is opened. */
int fcntl(int file, int what, ...)
{
    long value;
    va_list rest;
    va_start(rest, what);
    value = va_arg(rest, long);
    va_end(rest);
    if ((what != F_DUPFD && what != F_DUPFD_CLOEXEC) || !fails(OPEN))
        return next_fcntl(file, what, value);
    errno = fault.error;
    return -1;
}

NEXT(long, syscall, (long number, long a, long b, long c, long d, long e, long f),
     (number, a, b, c, d, e, f))

long syscall(long number, ...)
{
    long a[6];
    va_list rest;
    int kind = number == SYS_getrandom   ? RANDOM
               : number == SYS_renameat2 ? RENAME
               : number == SYS_statx     ? STAT
                                         : -1;
    va_start(rest, number);
    for (int at = 0; at < 6; at++)
        a[at] = va_arg(rest, long);
    va_end(rest);
    if (kind < 0 || !fails((enum kind)kind))
        return next_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    errno = fault.error;
    return -1;
}

/* Small memory that is refused aborts any Rust program, as the header says. */
#define LARGE (16 << 10)

static int refused(size_t len)
{
    return len > LARGE && fails(MEMORY);
}

extern void *__libc_malloc(size_t len), *__libc_calloc(size_t count, size_t len),
    *__libc_realloc(void *memory, size_t len), *__libc_memalign(size_t alignment, size_t len);

void *malloc(size_t len)
{
    return refused(len) ? NULL : __libc_malloc(len);
}

void *calloc(size_t count, size_t len)
{
    return refused(count * len) ? NULL : __libc_calloc(count, len);
}

/* No system refuses what makes memory smaller. */
void *realloc(void *memory, size_t len)
{
    return malloc_usable_size(memory) < len && refused(len) ? NULL : __libc_realloc(memory, len);
}

int posix_memalign(void **memory, size_t alignment, size_t len)
{
    if (refused(len)) return ENOMEM;
    *memory = __libc_memalign(alignment, len);
    return *memory == NULL ? ENOMEM : 0;
}
