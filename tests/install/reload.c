/* Opens the library (its path is the argument), uses it and closes it, 2000 times, each in a thread of its
 * own that ends only then, as a host does with plugins that link it: nothing may grow, be it memory,
 * mappings or open files. Linked with nothing but the C library. */
#include <kmsbox.h>

#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS 500
#define AT_ONCE 4 /* 2000 in all */
#define WARM 50   /* rounds until the allocator has all it wants */

static const char *path;

static void die(const char *format, ...)
{
    va_list rest;
    va_start(rest, format);
    vfprintf(stderr, format, rest);
    va_end(rest);
    fputc('\n', stderr);
    exit(1);
}

/* Pages in memory, mappings, open files. */
struct size {
    long pages, mappings, files;
};

static struct size size_now(void)
{
    struct size size = {0, 0, 0};
    FILE *file = fopen("/proc/self/statm", "r");
    DIR *files = NULL;
    if (file == NULL || fscanf(file, "%*d %ld", &size.pages) != 1) die("/proc/self/statm");
    fclose(file);
    file = fopen("/proc/self/maps", "r");
    if (file == NULL) die("/proc/self/maps");
    for (int c = getc(file); c != EOF; c = getc(file)) size.mappings += c == '\n';
    fclose(file);
    files = opendir("/proc/self/fd");
    if (files == NULL) die("/proc/self/fd");
    while (readdir(files) != NULL) size.files++;
    closedir(files);
    return size;
}

/* POSIX gives a function's address as a data pointer; ISO C has no cast for that. */
static void find(void *library, const char *name, void *function)
{
    void *found = dlsym(library, name);
    if (found == NULL) die("%s: %s", name, dlerror());
    memcpy(function, &found, sizeof found);
}

#define FIND(name) find(library, #name, &name)

static void use(void *library)
{
    static const uint8_t root_key[KMS_ROOT_KEY_LEN] = {0x91, 2, 3};
    kms_status (*kms_options_new)(kms_options **);
    kms_status (*kms_options_set)(kms_options *, const char *, const char *, kms_response *);
    kms_status (*kms_options_set_root_key)(kms_options *, const uint8_t *, size_t, kms_response *);
    void (*kms_options_free)(kms_options *);
    kms_status (*kms_client_open)(const kms_options *, kms_client **, kms_response *);
    void (*kms_client_free)(kms_client *);
    kms_status (*kms_call)(const kms_client *, const char *, char **, size_t *, kms_response *);
    void (*kms_document_free)(char *);
    kms_status (*kms_generate_data_key)(const kms_client *, const char *, int32_t, uint32_t, const char *,
                                        uint8_t *, size_t, size_t *, uint8_t *, size_t, size_t *,
                                        kms_response *);
    kms_status (*kms_decrypt)(const kms_client *, const char *, const uint8_t *, size_t, const char *,
                              uint8_t *, size_t, size_t *, kms_response *);
    kms_options *options = NULL;
    kms_client *client = NULL;
    kms_response response;
    char *document = NULL;
    uint8_t key[32], again[32], blob[KMS_DATA_KEY_BLOB_MAX];
    size_t key_len = 0, again_len = 0, blob_len = 0, len = 0;

    FIND(kms_options_new);
    FIND(kms_options_set);
    FIND(kms_options_set_root_key);
    FIND(kms_options_free);
    FIND(kms_client_open);
    FIND(kms_client_free);
    FIND(kms_call);
    FIND(kms_document_free);
    FIND(kms_generate_data_key);
    FIND(kms_decrypt);
    if (kms_options_new(&options) != KMS_OK ||
        kms_options_set(options, "keystore", "memory:", &response) != KMS_OK ||
        kms_options_set_root_key(options, root_key, sizeof root_key, &response) != KMS_OK ||
        kms_client_open(options, &client, &response) != KMS_OK ||
        kms_call(client, "Action=CreateKey", &document, &len, &response) != KMS_OK ||
        kms_generate_data_key(client, response.key_id, KMS_KEY_SPEC_AES_256, 0, NULL, key, sizeof key,
                              &key_len, blob, sizeof blob, &blob_len, &response) != KMS_OK ||
        kms_decrypt(client, response.key_id, blob, blob_len, NULL, again, sizeof again, &again_len,
                    &response) != KMS_OK ||
        memcmp(key, again, sizeof key) != 0)
        die("not as it should be: %s", response.error_message);
    kms_document_free(document);
    kms_client_free(client);
    kms_options_free(options);
}

/* The thread's own state in the library is dropped after the library was closed. */
static void *round_trip(void *argument)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) die("dlopen: %s", dlerror());
    use(library);
    if (dlclose(library) != 0) die("dlclose: %s", dlerror());
    return argument;
}

int main(int argc, char **argv)
{
    struct size before = {0, 0, 0}, after;
    if (argc != 2) return 2;
    path = argv[1];
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t threads[AT_ONCE];
        if (round == WARM) before = size_now();
        for (int i = 0; i < AT_ONCE; i++)
            if (pthread_create(&threads[i], NULL, round_trip, NULL) != 0) die("pthread_create");
        for (int i = 0; i < AT_ONCE; i++) pthread_join(threads[i], NULL);
    }
    after = size_now();
    /* A leak of one page or mapping each time would be 1800 of them. */
    if (after.pages - before.pages > 256 || after.mappings - before.mappings > 16 ||
        after.files != before.files)
        die("it grew: pages %ld to %ld, mappings %ld to %ld, open files %ld to %ld", before.pages,
            after.pages, before.mappings, after.mappings, before.files, after.files);
    puts("2000 times");
    return 0;
}
