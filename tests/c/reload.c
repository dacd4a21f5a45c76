/* Loads and unloads the library (its path is the argument) many times, using it in between, as a
 * host does with a plugin that links it. The library marks itself as not to be unloaded: its fork
 * handlers and the thread-local state of Rust would be left pointing at nothing. */
#include <kmsbox.h>

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 200

typedef kms_status (*encryption_context)(const char *const *pairs, size_t pair_count, char *json,
                                         size_t json_capacity, size_t *json_len);
typedef kms_status (*secret_alloc)(size_t len, void **secret);
typedef void (*secret_free)(void *secret);

static long peak_kib(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? usage.ru_maxrss : -1;
}

static int fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, dlerror());
    return 1;
}

/* POSIX gives a function's address as a data pointer; ISO C has no cast for that. */
static void *find(void *library, const char *name, void *function)
{
    void *found = dlsym(library, name);
    memcpy(function, &found, sizeof found);
    return found;
}

static int use(void *library)
{
    static const char *const pairs[] = {"table", "orders"};
    encryption_context context;
    secret_alloc alloc;
    secret_free release;
    char json[64];
    size_t len = 0;
    void *secret = NULL;

    if (find(library, "kms_encryption_context", &context) == NULL ||
        find(library, "kms_secret_alloc", &alloc) == NULL ||
        find(library, "kms_secret_free", &release) == NULL)
        return fail("dlsym");
    if (context(pairs, 1, json, sizeof json, &len) != KMS_OK ||
        strcmp(json, "{\"table\":\"orders\"}") != 0)
        return fail("kms_encryption_context");
    if (alloc(32, &secret) != KMS_OK) return fail("kms_secret_alloc");
    release(secret);
    return 0;
}

int main(int argc, char **argv)
{
    long after_first = 0;
    if (argc != 2) return 2;
    for (int round = 0; round < ROUNDS; round++) {
        int child_status = 0;
        void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
        if (library == NULL) return fail("dlopen");
        if (use(library) != 0) return 1;
        if (dlclose(library) != 0) return fail("dlclose");
        /* The fork handlers run with the library closed. */
        pid_t child = fork();
        if (child == 0) _exit(0);
        if (child < 0 || waitpid(child, &child_status, 0) != child || child_status != 0)
            return fail("fork");
        if (round == 0) after_first = peak_kib();
    }
    if (dlopen(argv[1], RTLD_NOW | RTLD_NOLOAD) == NULL) return fail("it was unloaded");
    /* A library that was really unloaded leaks its thread-local state and handlers each time. */
    if (peak_kib() - after_first > 4096) {
        fprintf(stderr, "grew from %ld KiB to %ld KiB\n", after_first, peak_kib());
        return 1;
    }
    puts("reloaded");
    return 0;
}
