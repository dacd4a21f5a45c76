/*
 * The file in which the plugin keeps its wrapped keys: text, one line for each version of each key,
 * replaced whole.
 *
 *     kmsbox-mariadb-keys 1
 *     1 1 e440ed5c-8af8-473c-93d8-1c2cfae83cd6 d4470422-a660-43e9-a5d0-b8fc8f4f7d4f 894b4d42...
 *     1 2 e440ed5c-8af8-473c-93d8-1c2cfae83cd6 d4470422-a660-43e9-a5d0-b8fc8f4f7d4f 894b4d42...
 *     end 2
 *
 * A line has the server's key id and key version, the CMK's id and its version, and the blob in
 * hex. Lines are sorted; the versions of a key begin at 1 and have no gap. Any other file is
 * refused, so that a line which was lost is noticed. Beside the file lies one with ".lock" added,
 * which stays, and, while it is replaced, one with ".new".
 */
#ifndef KEY_FILE_H
#define KEY_FILE_H

#include <kmsbox.h>

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

enum { KEY_LEN = 32, BLOB_LEN = KEY_LEN + KMS_CIPHERTEXT_BLOB_OVERHEAD };
enum { UUID_SIZE = 37, KEY_ENTRIES_MAX = 65536 };

/* No version of a key is 0 or this one; the server's ENCRYPTION_KEY_VERSION_INVALID. */
#define NO_VERSION UINT32_MAX

/* What went wrong, for people. Holds no key. */
struct trouble {
    char text[640];
};

/* One version of one key. */
struct key_entry {
    uint32_t key_id, version;
    char cmk[UUID_SIZE], cmk_version[UUID_SIZE];
    uint8_t blob[BLOB_LEN];
};

struct key_list {
    struct key_entry *entries;
    size_t count;
};

/* By what a changed file is told from the one that was read. */
struct file_mark {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

enum key_file_result { KEY_FILE_DONE, KEY_FILE_MISSING, KEY_FILE_FAILED };

/* Reads the whole file. The list is the caller's to free, and empty where it fails. */
enum key_file_result key_file_read(const char *path, struct key_list *list, struct file_mark *mark,
                                   struct trouble *trouble);

/* Replaces the file, or makes it, mode 0600 and, by root, for the owner of its directory. After
 * KEY_FILE_DONE the new file survives a power failure. After KEY_FILE_FAILED the old one is still
 * there, or, where only its directory could not be synced, perhaps the new one; the mark is as it
 * was. The caller holds the lock. */
enum key_file_result key_file_write(const char *path, const struct key_list *list,
                                    struct file_mark *mark, struct trouble *trouble);

/* Whether the file is still the one that was marked. */
int key_file_is(const char *path, const struct file_mark *mark);

/* Keeps other processes from replacing the file, until the descriptor is closed. -1: failed, or
 * another process kept the lock for some seconds. */
int key_file_lock(const char *path, struct trouble *trouble);

/* Makes a file without keys, unless another process was first. */
enum key_file_result key_file_make(const char *path, struct trouble *trouble);

void key_list_free(struct key_list *list);

void set_trouble(struct trouble *trouble, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
