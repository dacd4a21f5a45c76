/*
 * A MariaDB plugin that has its encryption keys from kmsbox. This file speaks to the server; keys.c
 * speaks to kmsbox. README.md says how to build, configure and operate it.
 *
 * The crypt_* functions of the interface are left out, so the server encrypts by its own AES.
 */
#define _POSIX_C_SOURCE 200809L

#include "keys.h"

/* With -fvisibility=hidden only this is exported: what the server looks up by name. */
#pragma GCC visibility push(default)
#include <mysql/plugin_encryption.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { ERROR_NUMBER = 1105 /* ER_UNKNOWN_ERROR: the text says all */ };

/* Between init and deinit; the server calls nothing else outside of that. */
static struct keys *keys;

/* A variable of the program mariadb-backup, which no server has. */
extern char xtrabackup_backup __attribute__((weak));

/* A backup makes no keys, whatever its settings say. */
static int in_backup(void)
{
    return &xtrabackup_backup != NULL;
}

/* mariadb-backup has no error log, and shows nothing that is for that alone. */
static void write_log(enum keys_log_level level, const char *text)
{
    my_printf_error(ERROR_NUMBER, "kmsbox: %s",
                    (in_backup() ? 0 : ME_ERROR_LOG_ONLY) | (level == KEYS_NOTE ? ME_NOTE : 0),
                    text);
}

/* ---- The keys ------------------------------------------------------------------------------ */

static unsigned int get_latest_key_version(unsigned int key_id)
{
    return keys_latest(keys, key_id);
}

static unsigned int get_key(unsigned int key_id, unsigned int version, unsigned char *key,
                            unsigned int *key_length)
{
    switch (keys_get(keys, key_id, version, key, key_length)) {
    case KEYS_DONE:
        return 0;
    case KEYS_BUFFER_TOO_SMALL:
        return ENCRYPTION_KEY_BUFFER_TOO_SMALL;
    default:
        return ENCRYPTION_KEY_VERSION_INVALID;
    }
}

static struct st_mariadb_encryption descriptor = {
    MariaDB_ENCRYPTION_INTERFACE_VERSION, get_latest_key_version, get_key,
    NULL, NULL, NULL, NULL, NULL,
};

/* ---- System variables ---------------------------------------------------------------------- */

static char *keystore, *root_key, *cmk, *server_name, *key_file, *audit_log;
static char create_keys;

/* Orders to a running server: each stays as it is, 0, and setting it does the work. */
static long long create_key, rotate;
static char rewrap;

static void tell_client(int done, const struct trouble *trouble)
{
    if (!done)
        my_printf_error(ERROR_NUMBER, "kmsbox: %s", 0, trouble->text);
}

/* The server would cut a number to the range it knows, and neither -5 nor 2^64 - 1 is -1. */
static int check_id(struct st_mysql_value *value, long long *number)
{
    return value->value_type(value) == MYSQL_VALUE_TYPE_INT && value->val_int(value, number) == 0
           && *number != 0 && *number < UINT32_MAX
           && (*number > 0 || !value->is_unsigned(value));
}

static int check_create_key(MYSQL_THD thd, struct st_mysql_sys_var *var, void *save,
                            struct st_mysql_value *value)
{
    (void)thd;
    (void)var;
    if (check_id(value, save) && *(long long *)save > 0)
        return 0;
    my_printf_error(ERROR_NUMBER, "kmsbox_create_key takes a key's id", 0);
    return 1;
}

static int check_rotate(MYSQL_THD thd, struct st_mysql_sys_var *var, void *save,
                        struct st_mysql_value *value)
{
    (void)thd;
    (void)var;
    if (check_id(value, save) && *(long long *)save >= -1)
        return 0;
    my_printf_error(ERROR_NUMBER, "kmsbox_rotate takes a key's id, or -1 for every key", 0);
    return 1;
}

static void update_create_key(MYSQL_THD thd, struct st_mysql_sys_var *var, void *target,
                              const void *save)
{
    struct trouble trouble = {""};
    long long order = *(const long long *)save;
    (void)thd;
    (void)var;
    (void)target;
    if (order != 0) /* DEFAULT, which is not checked */
        tell_client(keys_create(keys, (uint32_t)order, &trouble), &trouble);
}

static void update_rotate(MYSQL_THD thd, struct st_mysql_sys_var *var, void *target,
                          const void *save)
{
    struct trouble trouble = {""};
    long long order = *(const long long *)save;
    uint32_t key_id = order < 0 ? KEYS_ALL : (uint32_t)order;
    (void)thd;
    (void)var;
    (void)target;
    if (order != 0)
        tell_client(keys_rotate(keys, key_id, &trouble), &trouble);
}

static void update_rewrap(MYSQL_THD thd, struct st_mysql_sys_var *var, void *target,
                          const void *save)
{
    struct trouble trouble = {""};
    (void)thd;
    (void)var;
    (void)target;
    if (*(const char *)save)
        tell_client(keys_rewrap(keys, &trouble), &trouble);
}

/* mariadb-backup copies what SHOW VARIABLES tells of a plugin into backup-my.cnf, and prepares the
 * backup by that. So each variable that is shown must be one that a command line may have, with
 * its value; and what a backup must not have is not shown (NOSYSVAR). */

static MYSQL_SYSVAR_STR(keystore, keystore, PLUGIN_VAR_RQCMDARG | PLUGIN_VAR_READONLY,
                        "The keystore file of kmsbox.", NULL, NULL, NULL);
static MYSQL_SYSVAR_STR(root_key, root_key, PLUGIN_VAR_RQCMDARG | PLUGIN_VAR_READONLY,
                        "Where the keystore's root key is: file:PATH, credential:NAME, env:NAME or "
                        "passphrase-file:PATH.",
                        NULL, NULL, NULL);
static MYSQL_SYSVAR_STR(cmk, cmk, PLUGIN_VAR_RQCMDARG | PLUGIN_VAR_READONLY,
                        "The CMK that wraps the server's keys, such as alias/mariadb; or one for "
                        "each range of key ids: 1-2=alias/mariadb;100-199=alias/orders.",
                        NULL, NULL, NULL);
static MYSQL_SYSVAR_STR(server_name, server_name, PLUGIN_VAR_RQCMDARG | PLUGIN_VAR_READONLY,
                        "Bound to every wrapped key; without it no key of the key file opens.",
                        NULL, NULL, NULL);
static MYSQL_SYSVAR_STR(key_file, key_file, PLUGIN_VAR_RQCMDARG | PLUGIN_VAR_READONLY,
                        "The file of wrapped keys, an absolute path.", NULL, NULL, NULL);
static MYSQL_SYSVAR_BOOL(create_keys, create_keys, PLUGIN_VAR_OPCMDARG | PLUGIN_VAR_NOSYSVAR,
                         "Make the key file, and keys that the server asks for, where there are "
                         "none: for the first start.",
                         NULL, NULL, 0);
static MYSQL_SYSVAR_STR(audit_log, audit_log, PLUGIN_VAR_RQCMDARG | PLUGIN_VAR_READONLY,
                        "A file that gets a line for each use of a CMK.", NULL, NULL, NULL);
static MYSQL_SYSVAR_LONGLONG(create_key, create_key, PLUGIN_VAR_RQCMDARG,
                             "Set it to an id to make the first version of that key.",
                             check_create_key, update_create_key, 0, 0, UINT32_MAX - 1, 0);
static MYSQL_SYSVAR_LONGLONG(rotate, rotate, PLUGIN_VAR_RQCMDARG,
                             "Set it to a key's id to give that key a new version, or to -1 for "
                             "every key.",
                             check_rotate, update_rotate, 0, -1, UINT32_MAX - 1, 0);
static MYSQL_SYSVAR_BOOL(rewrap, rewrap, PLUGIN_VAR_OPCMDARG,
                         "Set it to ON to wrap every key anew under its CMK's present version.",
                         NULL, update_rewrap, 0);

static struct st_mysql_sys_var *system_variables[] = {
    MYSQL_SYSVAR(keystore),    MYSQL_SYSVAR(root_key),    MYSQL_SYSVAR(cmk),
    MYSQL_SYSVAR(server_name), MYSQL_SYSVAR(key_file),    MYSQL_SYSVAR(audit_log),
    MYSQL_SYSVAR(create_keys), MYSQL_SYSVAR(create_key),  MYSQL_SYSVAR(rotate),
    MYSQL_SYSVAR(rewrap),      NULL,
};

/* ---- Status variables ---------------------------------------------------------------------- */

/* Laid out in the buffer that the server brings, so that any number of sessions may ask at once. */
struct status {
    struct st_mysql_show_var variables[9];
    struct keys_counts counts;
};

static int show_status(MYSQL_THD thd, struct st_mysql_show_var *variable, void *buffer,
                       struct system_status_var *unused, enum enum_var_type scope)
{
    struct status *status = buffer;
    struct keys_counts *counts = &status->counts;
    const struct st_mysql_show_var variables[] = {
        {"keys", &counts->ids, SHOW_ULONGLONG},
        {"key_versions", &counts->versions, SHOW_ULONGLONG},
        {"keys_served", &counts->served, SHOW_ULONGLONG},
        {"keys_refused", &counts->refused, SHOW_ULONGLONG},
        {"key_versions_made", &counts->made, SHOW_ULONGLONG},
        {"blobs_rewrapped", &counts->rewrapped, SHOW_ULONGLONG},
        {"errors", &counts->errors, SHOW_ULONGLONG},
        {"last_error", counts->last_error, SHOW_CHAR},
        {NULL, NULL, SHOW_UNDEF},
    };
    (void)thd;
    (void)unused;
    (void)scope;
    _Static_assert(sizeof(struct status) <= SHOW_VAR_FUNC_BUFF_SIZE, "the server's is smaller");
    _Static_assert(sizeof variables == sizeof status->variables, "one for each");
    keys_count(keys, counts);
    memcpy(status->variables, variables, sizeof variables);
    variable->type = SHOW_ARRAY;
    variable->value = status->variables;
    return 0;
}

static struct st_mysql_show_var status_variables[] = {
    {"Kmsbox", NULL, SHOW_FUNC}, /* its function is set by init */
    {NULL, NULL, SHOW_UNDEF},
};

/* ---- Start and end ------------------------------------------------------------------------- */

static int init(void *unused)
{
    struct trouble trouble = {""};
    const struct keys_config config = {
        .keystore = keystore,
        .root_key = root_key,
        .audit_log = audit_log != NULL && audit_log[0] != '\0' ? audit_log : NULL,
        .cmk = cmk,
        .server = server_name,
        .key_file = key_file,
        .create = create_keys && !in_backup(),
        .log = write_log,
    };
    (void)unused;
    status_variables[0] = SHOW_FUNC_ENTRY("Kmsbox", show_status);
    if (create_key != 0 || rotate != 0 || rewrap)
        set_trouble(&trouble, "kmsbox_create_key, kmsbox_rotate and kmsbox_rewrap are orders to a"
                              " running server: give them by SET GLOBAL");
    else
        keys = keys_open(&config, &trouble);
    if (keys == NULL)
        write_log(KEYS_ERROR, trouble.text);
    return keys == NULL;
}

static int deinit(void *unused)
{
    (void)unused;
    keys_close(keys);
    keys = NULL;
    return 0;
}

maria_declare_plugin(kmsbox)
{
    MariaDB_ENCRYPTION_PLUGIN,
    &descriptor,
    "kmsbox",
    "the kmsbox project",
    "Encryption keys from the key-management service kmsbox",
    PLUGIN_LICENSE_BSD,
    init,
    deinit,
    0x0001,
    status_variables,
    system_variables,
    "0.1",
    MariaDB_PLUGIN_MATURITY_GAMMA
}
maria_declare_plugin_end;
