/*
 * Preloaded into a program, ends it at its Nth write into, or sync of, a file of one directory, and
 * makes of the files what a crash may make of them.
 *
 *   KMSBOX_TEST_DIRECTORY  the directory, absolute
 *   KMSBOX_TEST_STEP       N, from 1; the Nth such call is not completed
 *   KMSBOX_TEST_LOSES      "nothing": what was written is all there, as after kill -9;
 *                          "half": of the last write, only the first half is;
 *                          "unsynced": the power went, and the device spoiled every page that
 *                          was written and not yet synced
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WRITES_MAX = 4096 };

typedef ssize_t (*write_function)(int, const void *, size_t, off64_t);
typedef int (*sync_function)(int);

static struct {
    int fd; /* a copy, for the program may close its own */
    char path[4096];
    size_t len;
    off64_t offset;
} unsynced[WRITES_MAX];
static int unsynced_count;
static int step;

static int path_of(int fd, char path[4096])
{
    char link[64];
    ssize_t len;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    len = readlink(link, path, 4095);
    path[len < 0 ? 0 : len] = '\0';
    return len > 0;
}

static int is_watched(int fd)
{
    const char *directory = getenv("KMSBOX_TEST_DIRECTORY");
    char path[4096];
    return directory != NULL && path_of(fd, path)
           && strncmp(path, directory, strlen(directory)) == 0 && path[strlen(directory)] == '/';
}

static int is_the_end(void)
{
    const char *end = getenv("KMSBOX_TEST_STEP");
    return ++step == (end != NULL ? atoi(end) : 0);
}

static int loses(const char *what)
{
    const char *loss = getenv("KMSBOX_TEST_LOSES");
    return loss != NULL && strcmp(loss, what) == 0;
}

static ssize_t real_write(int fd, const void *bytes, size_t len, off64_t offset)
{
    static write_function function;
    if (function == NULL)
        *(void **)&function = dlsym(RTLD_NEXT, "pwrite64");
    return function(fd, bytes, len, offset);
}

static void end(void)
{
    char page[4096];
    memset(page, 0xEE, sizeof page);
    while (loses("unsynced") && unsynced_count-- > 0) {
        size_t done = 0;
        while (done < unsynced[unsynced_count].len) {
            size_t left = unsynced[unsynced_count].len - done;
            ssize_t n = real_write(unsynced[unsynced_count].fd, page,
                                   left < sizeof page ? left : sizeof page,
                                   unsynced[unsynced_count].offset + (off64_t)done);
            if (n <= 0)
                abort();
            done += (size_t)n;
        }
    }
    kill(getpid(), SIGKILL);
}

static ssize_t watched_write(int fd, const void *bytes, size_t len, off64_t offset)
{
    int last;
    if (!is_watched(fd))
        return real_write(fd, bytes, len, offset);
    if (unsynced_count == WRITES_MAX)
        abort();
    unsynced[unsynced_count].fd = dup(fd);
    path_of(fd, unsynced[unsynced_count].path);
    unsynced[unsynced_count].len = len;
    unsynced[unsynced_count].offset = offset;
    unsynced_count++;
    last = is_the_end();
    if (last && loses("half"))
        real_write(fd, bytes, len / 2, offset);
    if (last)
        end();
    return real_write(fd, bytes, len, offset);
}

static int watched_sync(int fd, const char *name)
{
    sync_function function;
    char path[4096];
    int i, kept = 0;
    *(void **)&function = dlsym(RTLD_NEXT, name);
    if (!is_watched(fd) || !path_of(fd, path))
        return function(fd);
    if (is_the_end())
        end();
    for (i = 0; i < unsynced_count; i++)
        if (strcmp(unsynced[i].path, path) != 0)
            unsynced[kept++] = unsynced[i];
        else
            close(unsynced[i].fd);
    unsynced_count = kept;
    return function(fd);
}

ssize_t write(int fd, const void *bytes, size_t len)
{
    off64_t offset;
    ssize_t n;
    ssize_t (*real_append)(int, const void *, size_t);
    *(void **)&real_append = dlsym(RTLD_NEXT, "write");
    if (!is_watched(fd))
        return real_append(fd, bytes, len);
    offset = lseek64(fd, 0, SEEK_CUR);
    n = watched_write(fd, bytes, len, offset);
    if (n > 0)
        lseek64(fd, offset + n, SEEK_SET);
    return n;
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
    return watched_write(fd, bytes, len, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t offset)
{
    return watched_write(fd, bytes, len, offset);
}

int fsync(int fd)
{
    return watched_sync(fd, "fsync");
}

int fdatasync(int fd)
{
    return watched_sync(fd, "fdatasync");
}
