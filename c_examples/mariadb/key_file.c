/* The file of wrapped keys: see key_file.h. */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE /* flock */

#include "key_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char HEAD[] = "kmsbox-mariadb-keys 1\n";

/* The server waits for the lock with its own global lock held: nobody can connect meanwhile. */
enum { LOCK_SECONDS = 5, LOCK_TRIES_PER_SECOND = 50 };

/* Two numbers of at most 10 digits, two ids, the blob, the blanks, the line feed and the NUL. */
enum { LINE_SIZE = 2 * 10 + 2 * (UUID_SIZE - 1) + 2 * BLOB_LEN + 4 + 2 };
enum { FILE_SIZE_MAX = 64 + KEY_ENTRIES_MAX * LINE_SIZE };

void set_trouble(struct trouble *trouble, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    vsnprintf(trouble->text, sizeof trouble->text, format, values);
    va_end(values);
}

void key_list_free(struct key_list *list)
{
    free(list->entries);
    list->entries = NULL;
    list->count = 0;
}

/* ---- One line ------------------------------------------------------------------------------ */

static int print_line(char line[LINE_SIZE], const struct key_entry *entry)
{
    char blob[2 * BLOB_LEN + 1];
    size_t i;
    for (i = 0; i < BLOB_LEN; i++)
        snprintf(blob + 2 * i, 3, "%02x", entry->blob[i]);
    return snprintf(line, LINE_SIZE, "%" PRIu32 " %" PRIu32 " %s %s %s\n", entry->key_id,
                    entry->version, entry->cmk, entry->cmk_version, blob);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* `len` includes the line feed. */
static int parse_line(const char *line, size_t len, struct key_entry *entry)
{
    char copy[LINE_SIZE], blob[2 * BLOB_LEN + 1], again[LINE_SIZE];
    uint64_t key_id = 0, version = 0;
    size_t i;
    if (len >= sizeof copy)
        return 0;
    memcpy(copy, line, len);
    copy[len] = '\0';
    memset(entry, 0, sizeof *entry);
    /* The widths: UUID_SIZE - 1 and 2 * BLOB_LEN. */
    if (sscanf(copy, "%10" SCNu64 " %10" SCNu64 " %36s %36s %284s", &key_id, &version, entry->cmk,
               entry->cmk_version, blob)
        != 5)
        return 0;
    if (key_id == 0 || key_id > UINT32_MAX || version == 0 || version >= UINT32_MAX
        || strlen(blob) != 2 * BLOB_LEN)
        return 0;
    entry->key_id = (uint32_t)key_id;
    entry->version = (uint32_t)version;
    for (i = 0; i < BLOB_LEN; i++) {
        int high = hex_digit(blob[2 * i]), low = hex_digit(blob[2 * i + 1]);
        if (high < 0 || low < 0)
            return 0;
        entry->blob[i] = (uint8_t)(high << 4 | low);
    }
    /* sscanf is generous with blanks and signs; a line that prints otherwise is none of ours. */
    return print_line(again, entry) == (int)len && memcmp(again, line, len) == 0;
}

/* Sorted, and no version left out. */
static int follows(const struct key_entry *before, const struct key_entry *entry)
{
    if (before != NULL && before->key_id == entry->key_id)
        return entry->version == before->version + 1;
    return entry->version == 1 && (before == NULL || before->key_id < entry->key_id);
}

/* ---- The whole text ------------------------------------------------------------------------ */

static enum key_file_result parse(const char *path, const char *text, size_t len,
                                  struct key_list *list, struct trouble *trouble)
{
    const char *at = text + strlen(HEAD), *end = text + len;
    size_t capacity = len / (2 * BLOB_LEN), line_number = 1;
    char last[32];
    if (len < strlen(HEAD) || memcmp(text, HEAD, strlen(HEAD)) != 0) {
        set_trouble(trouble, "%s: this is no file of keys that this plugin can read", path);
        return KEY_FILE_FAILED;
    }
    list->entries = calloc(capacity + 1, sizeof *list->entries);
    if (list->entries == NULL) {
        set_trouble(trouble, "%s: no memory", path);
        return KEY_FILE_FAILED;
    }
    while (at < end) {
        const char *feed = memchr(at, '\n', (size_t)(end - at));
        size_t line_len = feed == NULL ? 0 : (size_t)(feed - at) + 1;
        struct key_entry *entry = &list->entries[list->count];
        const struct key_entry *before = list->count == 0 ? NULL : entry - 1;
        line_number++;
        snprintf(last, sizeof last, "end %zu\n", list->count);
        if (line_len == strlen(last) && memcmp(at, last, line_len) == 0 && feed + 1 == end)
            return KEY_FILE_DONE;
        if (line_len == 0 || list->count == capacity || !parse_line(at, line_len, entry)
            || !follows(before, entry))
            break;
        list->count++;
        at = feed + 1;
    }
    set_trouble(trouble, "%s: line %zu is damaged, or one before it is missing", path,
                at < end ? line_number : line_number + 1);
    key_list_free(list);
    return KEY_FILE_FAILED;
}

static char *print_list(const struct key_list *list, size_t *len)
{
    size_t i, room = strlen(HEAD) + list->count * LINE_SIZE + 32;
    char *text = malloc(room);
    if (text == NULL)
        return NULL;
    *len = (size_t)snprintf(text, room, "%s", HEAD);
    for (i = 0; i < list->count; i++)
        *len += (size_t)print_line(text + *len, &list->entries[i]);
    *len += (size_t)snprintf(text + *len, room - *len, "end %zu\n", list->count);
    return text;
}

/* ---- On the disk --------------------------------------------------------------------------- */

static struct file_mark mark_of(const struct stat *status)
{
    struct file_mark mark = {status->st_dev, status->st_ino, status->st_size, status->st_ctim};
    return mark;
}

int key_file_is(const char *path, const struct file_mark *mark)
{
    struct stat status;
    return stat(path, &status) == 0 && status.st_dev == mark->device
           && status.st_ino == mark->inode && status.st_size == mark->size
           && status.st_ctim.tv_sec == mark->changed.tv_sec
           && status.st_ctim.tv_nsec == mark->changed.tv_nsec;
}

static int read_all(int fd, char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = read(fd, bytes, len);
        if (n == 0 || (n < 0 && errno != EINTR))
            return 0;
        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
        }
    }
    return 1;
}

static int write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);
        if (n < 0 && errno != EINTR)
            return 0;
        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
        }
    }
    return 1;
}

static int open_directory_of(const char *path)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(directory, sizeof directory, "%.*s", (int)(slash == path ? 1 : slash - path), path);
    return open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* A backup is often made or prepared by root. What that leaves in the server's directory, the
 * server must be able to open. */
static int give_to_owner_of_directory(int fd, const char *path)
{
    struct stat status;
    int directory, given;
    if (geteuid() != 0)
        return 1;
    directory = open_directory_of(path);
    given = directory >= 0 && fstat(directory, &status) == 0
            && (status.st_uid == 0 || fchown(fd, status.st_uid, status.st_gid) == 0);
    if (directory >= 0)
        close(directory);
    return given;
}

/* Never one that is there: root must not give away what a link there leads to. */
static int make_file(const char *path)
{
    int error, fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || give_to_owner_of_directory(fd, path))
        return fd;
    error = errno;
    close(fd);
    unlink(path);
    errno = error;
    return -1;
}

enum key_file_result key_file_read(const char *path, struct key_list *list, struct file_mark *mark,
                                   struct trouble *trouble)
{
    enum key_file_result result = KEY_FILE_FAILED;
    struct stat status;
    char *text = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO is refused, not waited for */
    memset(list, 0, sizeof *list);
    if (fd < 0) {
        result = errno == ENOENT ? KEY_FILE_MISSING : KEY_FILE_FAILED;
        set_trouble(trouble, "%s: %s", path, strerror(errno));
        return result;
    }
    if (fstat(fd, &status) != 0)
        set_trouble(trouble, "%s: %s", path, strerror(errno));
    else if (!S_ISREG(status.st_mode) || status.st_size > FILE_SIZE_MAX)
        set_trouble(trouble, "%s: this is no file of keys that this plugin can read", path);
    else if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        set_trouble(trouble, "%s: others may write it; its mode must be 0600", path);
    else if ((text = malloc((size_t)status.st_size + 1)) == NULL)
        set_trouble(trouble, "%s: no memory", path);
    else if (!read_all(fd, text, (size_t)status.st_size))
        set_trouble(trouble, "%s: cannot be read", path);
    else
        result = parse(path, text, (size_t)status.st_size, list, trouble);
    if (result == KEY_FILE_DONE)
        *mark = mark_of(&status);
    free(text);
    close(fd);
    return result;
}

enum key_file_result key_file_write(const char *path, const struct key_list *list,
                                    struct file_mark *mark, struct trouble *trouble)
{
    enum key_file_result result = KEY_FILE_FAILED;
    char fresh[PATH_MAX];
    struct stat status;
    size_t len = 0;
    char *text = print_list(list, &len);
    int fd = -1, directory = -1;
    if (text == NULL || snprintf(fresh, sizeof fresh, "%s.new", path) >= (int)sizeof fresh) {
        set_trouble(trouble, "%s: no memory, or too long a path", path);
        free(text);
        return KEY_FILE_FAILED;
    }
    unlink(fresh); /* a crash may have left one */
    /* Opened first: where no more files can be opened, nothing was replaced yet. */
    directory = open_directory_of(path);
    if (directory >= 0)
        fd = make_file(fresh);
    if (directory < 0) {
        set_trouble(trouble, "%s: its directory cannot be opened: %s", path, strerror(errno));
    } else if (fd < 0 || !write_all(fd, text, len) || fsync(fd) != 0 || rename(fresh, path) != 0) {
        set_trouble(trouble, "%s: %s", fresh, strerror(errno));
        if (fd >= 0)
            unlink(fresh);
    } else if (fsync(directory) != 0 || fstat(fd, &status) != 0) {
        set_trouble(trouble, "%s: its directory cannot be synced: %s", path, strerror(errno));
    } else {
        *mark = mark_of(&status); /* looked at after the rename, which sets the time of change */
        result = KEY_FILE_DONE;
    }
    if (fd >= 0)
        close(fd);
    if (directory >= 0)
        close(directory);
    free(text);
    return result;
}

static int open_lock(const char *lock)
{
    int tries, fd = -1;
    for (tries = 0; fd < 0 && tries < 3; tries++) {
        fd = open(lock, O_RDWR | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT)
            fd = make_file(lock);
        if (fd < 0 && errno != EEXIST) /* that is: another process made it meanwhile */
            break;
    }
    return fd;
}

int key_file_lock(const char *path, struct trouble *trouble)
{
    const struct timespec pause = {0, 1000 * 1000 * 1000 / LOCK_TRIES_PER_SECOND};
    char lock[PATH_MAX];
    int fd, tries = 0;
    if (snprintf(lock, sizeof lock, "%s.lock", path) >= (int)sizeof lock) {
        set_trouble(trouble, "%s: too long a path", path);
        return -1;
    }
    fd = open_lock(lock);
    if (fd < 0)
        set_trouble(trouble, "%s: %s", lock, strerror(errno));
    while (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK && tries++ < LOCK_SECONDS * LOCK_TRIES_PER_SECOND) {
            nanosleep(&pause, NULL);
        } else if (errno != EINTR) {
            set_trouble(trouble, "%s: %s", lock,
                        errno == EWOULDBLOCK ? "another process holds it" : strerror(errno));
            close(fd);
            fd = -1;
        }
    }
    return fd;
}

enum key_file_result key_file_make(const char *path, struct trouble *trouble)
{
    struct key_list list = {NULL, 0};
    struct file_mark mark;
    enum key_file_result result = KEY_FILE_FAILED;
    int lock = key_file_lock(path, trouble);
    if (lock < 0)
        return result;
    result = key_file_read(path, &list, &mark, trouble);
    key_list_free(&list);
    if (result == KEY_FILE_MISSING)
        result = key_file_write(path, &list, &mark, trouble);
    close(lock);
    return result;
}
