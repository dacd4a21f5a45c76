/*
 * Calls the plugin as the server does, without a server: loads it, gives it the services that it
 * uses, sets its variables and takes one step after another.
 *
 *     harness PLUGIN NAME=VALUE... -- STEP...
 *
 *     init, deinit         the plugin's own
 *     latest:ID            get_latest_key_version
 *     size:ID:VERSION      get_key without a buffer, and with a length that was never set
 *     get:ID:VERSION:ROOM  get_key
 *     rotate:NUMBER        SET GLOBAL kmsbox_rotate = NUMBER
 *     rewrap               SET GLOBAL kmsbox_rewrap = ON
 *     status               SHOW STATUS LIKE 'kmsbox%'
 *     threads:ID           many threads ask for a key while it gets new versions
 *     race:ID:COUNT        many threads ask at one moment for each of COUNT new keys
 *     holds:HEX            how often a key is in the memory of this process
 *     run:COMMAND          a command of the shell
 *
 * Each step prints a line; what the plugin tells the log or the client is printed before it.
 */
#define _POSIX_C_SOURCE 200809L
#define MYSQL_DYNAMIC_PLUGIN

#include <mysql/plugin_encryption.h>

#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_LEN = 32, GUARD = 0xC3, THREADS = 8, ROUNDS = 12, IDS = 300 };

static struct st_maria_plugin *plugin;
static struct st_mariadb_encryption *keys;

static void fail(const char *what)
{
    fprintf(stderr, "harness: %s\n", what);
    exit(3);
}

/* ---- What the server brings ---------------------------------------------------------------- */

static void print_error(unsigned int number, const char *format, unsigned long flags, ...)
{
    const char *to = flags & ME_ERROR_LOG_ONLY ? flags & ME_NOTE ? "note" : "log" : "client";
    char text[2048];
    va_list values;
    (void)number;
    va_start(values, flags);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    printf("%s %s\n", to, text);
}

static struct my_print_error_service_st services = {NULL, print_error, NULL};

/* How a system variable of the plugin begins; `value` is of the variable's type. */
struct variable {
    MYSQL_PLUGIN_VAR_HEADER;
    void *value;
};

static struct variable *find_variable(const char *name, size_t len)
{
    struct st_mysql_sys_var **at;
    for (at = plugin->system_vars; *at != NULL; at++) {
        struct variable *variable = (struct variable *)*at;
        if (strlen(variable->name) == len && memcmp(variable->name, name, len) == 0)
            return variable;
    }
    fail("no such variable");
    return NULL;
}

static void set_option(char *option)
{
    char *value = strchr(option, '=') + 1;
    struct variable *variable = find_variable(option, (size_t)(value - option) - 1);
    if ((variable->flags & 0x7f) == PLUGIN_VAR_STR)
        *(char **)variable->value = value;
    else
        *(char *)variable->value = strcmp(value, "ON") == 0;
}

static int value_type(struct st_mysql_value *value)
{
    (void)value;
    return MYSQL_VALUE_TYPE_INT;
}

static long long number;

static int value_is_unsigned(struct st_mysql_value *value)
{
    (void)value;
    return 0;
}

static int value_int(struct st_mysql_value *value, long long *out)
{
    (void)value;
    *out = number;
    return 0;
}

static void rotate(long long key_id)
{
    struct variable *variable = find_variable("rotate", strlen("rotate"));
    struct st_mysql_value value = {0};
    long long save = 0;
    value.value_type = value_type;
    value.val_int = value_int;
    value.is_unsigned = value_is_unsigned;
    number = key_id;
    if (variable->check(NULL, NULL, &save, &value) == 0)
        variable->update(NULL, NULL, variable->value, &save);
    if (*(long long *)variable->value != 0)
        fail("the order stays in the variable");
}

static void rewrap(void)
{
    struct variable *variable = find_variable("rewrap", strlen("rewrap"));
    const char save = 1;
    variable->update(NULL, NULL, variable->value, &save);
    if (*(char *)variable->value != 0)
        fail("the order stays in the variable");
}

static void show_status(void)
{
    void *buffer = malloc(SHOW_VAR_FUNC_BUFF_SIZE); /* no larger than the server's */
    struct st_mysql_show_var *at, whole = plugin->status_vars[0];
    mysql_show_var_func show;
    memcpy(&show, &whole.value, sizeof show); /* ISO C has no cast for it */
    if (whole.type != SHOW_FUNC || plugin->status_vars[1].name != NULL || buffer == NULL)
        fail("another shape of status variables");
    show(NULL, &whole, buffer, NULL, SHOW_OPT_GLOBAL);
    printf("status");
    for (at = whole.value; at->name != NULL; at++) {
        if (at->type == SHOW_ULONGLONG)
            printf(" %s=%llu", at->name, *(unsigned long long *)at->value);
        else
            printf(" %s=[%s]", at->name, (const char *)at->value);
    }
    printf("\n");
    free(buffer);
}

/* ---- Asking for keys ----------------------------------------------------------------------- */

static void get(unsigned int key_id, unsigned int version, unsigned int room)
{
    unsigned int i, len = room, result;
    unsigned char *key = malloc(room + 1); /* as large as said: valgrind sees a byte beyond */
    if (key == NULL)
        fail("no memory");
    memset(key, GUARD, room + 1);
    result = keys->get_key(key_id, version, key, &len);
    printf("get %d %u ", (int)result, len);
    for (i = 0; result == 0 && i < len; i++)
        printf("%02x", key[i]);
    printf("%s\n", key[room] == GUARD ? "" : " and wrote beyond the buffer");
    free(key);
}

static void size(unsigned int key_id, unsigned int version)
{
    unsigned int *len = malloc(sizeof *len); /* not set, as in encryption_key_version_exists */
    int result = (int)keys->get_key(key_id, version, NULL, len);
    printf("size %d", result);
    if (result == 0)
        printf(" %u", *len);
    printf("\n");
    free(len);
}

/* ---- Many threads -------------------------------------------------------------------------- */

static unsigned int wanted_id;
static unsigned char first_key[KEY_LEN];
static atomic_uint highest;
static atomic_int over, wrong;

static void *ask(void *unused)
{
    unsigned int seen = 0, other = wanted_id;
    while (!atomic_load(&over)) {
        unsigned char key[KEY_LEN];
        unsigned int len = KEY_LEN, least = atomic_load(&highest);
        unsigned int latest = keys->get_latest_key_version(wanted_id);
        if (latest < seen || latest < least || latest == ENCRYPTION_KEY_VERSION_INVALID)
            atomic_store(&wrong, 1); /* a version that was there is gone */
        seen = latest;
        if (keys->get_key(wanted_id, latest, key, &len) != 0 || len != KEY_LEN)
            atomic_store(&wrong, 2);
        len = KEY_LEN;
        if (keys->get_key(wanted_id, 1, key, &len) != 0 || memcmp(key, first_key, KEY_LEN) != 0)
            atomic_store(&wrong, 3);
        /* Threads make the same new keys at once; each is made once. */
        other = other == wanted_id + IDS ? wanted_id : other + 1;
        if (other % 50 == 0 && other != wanted_id
            && keys->get_latest_key_version(other) != 1)
            atomic_store(&wrong, 4);
        keys->get_key(wanted_id, 0, key, &len); /* looks at the file */
    }
    return unused;
}

static void run_threads(unsigned int key_id)
{
    pthread_t threads[THREADS];
    unsigned int len = KEY_LEN;
    int i;
    wanted_id = key_id;
    if (keys->get_latest_key_version(key_id) != 1 || keys->get_key(key_id, 1, first_key, &len) != 0)
        fail("the key is not there");
    for (i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, ask, NULL) != 0)
            fail("no thread");
    for (i = 0; i < ROUNDS; i++) {
        rotate((long long)key_id);
        atomic_store(&highest, keys->get_latest_key_version(key_id));
        rewrap();
    }
    atomic_store(&over, 1);
    for (i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    printf("threads %d, version %u\n", atomic_load(&wrong), keys->get_latest_key_version(key_id));
}

static pthread_barrier_t start;
static unsigned int race_count;

static void *race(void *unused)
{
    unsigned int i;
    for (i = 0; i < race_count; i++) {
        pthread_barrier_wait(&start);
        if (keys->get_latest_key_version(wanted_id + i) != 1)
            atomic_store(&wrong, 4); /* made more than once */
    }
    return unused;
}

static void run_race(unsigned int key_id, unsigned int count)
{
    pthread_t threads[THREADS];
    int i;
    wanted_id = key_id;
    race_count = count;
    if (pthread_barrier_init(&start, NULL, THREADS) != 0)
        fail("no barrier");
    for (i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, race, NULL) != 0)
            fail("no thread");
    for (i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&start);
    printf("race %d\n", atomic_load(&wrong));
}

/* ---- Keys left in memory ------------------------------------------------------------------- */

enum { MASK = 0x5A };

/* Counts a key between two addresses; it is known here only under a mask, or it would find itself. */
static unsigned int count_between(unsigned long from, unsigned long to,
                                  const unsigned char masked[KEY_LEN])
{
    const volatile unsigned char *at = (const volatile unsigned char *)from;
    unsigned int i, found = 0;
    for (; (unsigned long)at + KEY_LEN <= to; at++) {
        for (i = 0; i < KEY_LEN && (at[i] ^ MASK) == masked[i]; i++)
            ;
        found += i == KEY_LEN;
    }
    return found;
}

static void count_in_memory(const char *hex)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    unsigned char masked[KEY_LEN];
    unsigned int i, byte = 0, found = 0;
    char line[1024];
    for (i = 0; i < KEY_LEN; i++) {
        if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
            fail(hex);
        masked[i] = (unsigned char)(byte ^ MASK);
    }
    if (maps == NULL)
        fail("no /proc");
    while (fgets(line, sizeof line, maps) != NULL) {
        unsigned long from = 0, to = 0;
        char readable = '-';
        if (sscanf(line, "%lx-%lx %c", &from, &to, &readable) == 3 && readable == 'r'
            && strstr(line, "[v") == NULL) /* the kernel's own pages */
            found += count_between(from, to, masked);
    }
    fclose(maps);
    printf("holds %u\n", found);
}

/* ---- Steps --------------------------------------------------------------------------------- */

static void take_step(const char *step)
{
    unsigned int id = 0, version = 0, room = 0;
    long long order = 0;
    if (strcmp(step, "init") == 0)
        printf("init %d\n", plugin->init(NULL));
    else if (strcmp(step, "deinit") == 0)
        printf("deinit %d\n", plugin->deinit(NULL));
    else if (sscanf(step, "latest:%u", &id) == 1)
        printf("latest %d\n", (int)keys->get_latest_key_version(id));
    else if (sscanf(step, "size:%u:%u", &id, &version) == 2)
        size(id, version);
    else if (sscanf(step, "get:%u:%u:%u", &id, &version, &room) == 3)
        get(id, version, room);
    else if (sscanf(step, "rotate:%lld", &order) == 1)
        rotate(order);
    else if (strcmp(step, "rewrap") == 0)
        rewrap();
    else if (strcmp(step, "status") == 0)
        show_status();
    else if (sscanf(step, "threads:%u", &id) == 1)
        run_threads(id);
    else if (sscanf(step, "race:%u:%u", &id, &room) == 2)
        run_race(id, room);
    else if (strncmp(step, "holds:", 6) == 0)
        count_in_memory(step + 6);
    else if (strncmp(step, "run:", 4) == 0)
        printf("run %d\n", (fflush(stdout), system(step + 4)));
    else
        fail(step);
}

int main(int argc, char **argv)
{
    void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    void **service;
    int i;
    if (library == NULL)
        fail(argc > 1 ? dlerror() : "which plugin?");
    plugin = dlsym(library, "_maria_plugin_declarations_");
    service = dlsym(library, "my_print_error_service");
    if (plugin == NULL || service == NULL)
        fail("this is no plugin");
    if (plugin->type != MariaDB_ENCRYPTION_PLUGIN || plugin[1].name != NULL)
        fail("this is no encryption plugin alone");
    *service = &services; /* there was the version of the service that it was built for */
    keys = plugin->info;
    if (keys->interface_version != MariaDB_ENCRYPTION_INTERFACE_VERSION)
        fail("another interface");
    setvbuf(stdout, NULL, _IOLBF, 0); /* what was said counts, though it be killed */
    for (i = 2; i < argc && strcmp(argv[i], "--") != 0; i++)
        set_option(argv[i]);
    for (i++; i < argc; i++)
        take_step(argv[i]);
    dlclose(library);
    return 0;
}
