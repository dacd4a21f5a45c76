/* A limit on the size of files (RLIMIT_FSIZE): a write above it raises SIGXFSZ, which ends the process unless
 * it is ignored. Ignored, it is an error of the file, and nothing is lost.
 *
 * limits KEYSTORE AUDIT_LOG */
#include "must.h"

#include <glob.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static const char *keystore, *audit_log;
static kms_response response;
static char key_id[64];

static void limit(rlim_t bytes)
{
    struct rlimit old;
    HOLDS(getrlimit(RLIMIT_FSIZE, &old) == 0);
    old.rlim_cur = bytes;
    HOLDS(setrlimit(RLIMIT_FSIZE, &old) == 0);
}

static rlim_t size(const char *path)
{
    struct stat file;
    HOLDS(stat(path, &file) == 0);
    return (rlim_t)file.st_size;
}

static size_t temporaries(void)
{
    char pattern[4200];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s.tmp-*", keystore);
    int outcome = glob(pattern, 0, NULL, &found);
    HOLDS(outcome == 0 || outcome == GLOB_NOMATCH);
    size_t count = outcome == 0 ? found.gl_pathc : 0;
    if (outcome == 0) globfree(&found);
    return count;
}

static kms_status make_key(const kms_client *client)
{
    char *document = NULL;
    size_t len;
    kms_status status = kms_call(client, "Action=CreateKey", &document, &len, &response);
    kms_document_free(document);
    return status;
}

static kms_status make_data_key(const kms_client *client)
{
    uint8_t key[32], blob[KMS_DATA_KEY_BLOB_MAX];
    size_t key_len, blob_len;
    return kms_generate_data_key(client, key_id, 0, 0, NULL, key, sizeof key, &key_len, blob,
                                 sizeof blob, &blob_len, &response);
}

static kms_client *open_with(const char *log)
{
    static const uint8_t root_key[KMS_ROOT_KEY_LEN] = {7, 1, 200};
    kms_options *options;
    kms_client *client;

    MUST(kms_options_new(&options));
    MUST(kms_options_set(options, "keystore", keystore, &response));
    MUST(kms_options_set(options, "create", "true", &response));
    MUST(kms_options_set_root_key(options, root_key, sizeof root_key, &response));
    if (log != NULL) MUST(kms_options_set(options, "audit_log", log, &response));
    MUST(kms_client_open(options, &client, &response));
    kms_options_free(options);
    return client;
}

int main(int argc, char **argv)
{
    HOLDS(argc == 3);
    keystore = argv[1];
    audit_log = argv[2];
    kms_client *client = open_with(NULL);
    MUST(make_key(client));
    memcpy(key_id, response.key_id, sizeof key_id);
    rlim_t full = size(keystore);

    /* Ignored: refused, and the file is as it was. */
    signal(SIGXFSZ, SIG_IGN);
    limit(full);
    HOLDS(make_key(client) == KMS_ERR_KEYSTORE_IO);
    HOLDS(size(keystore) == full && temporaries() == 0);
    MUST(make_data_key(client));

    /* The audit log likewise: nothing is released that is not written down. */
    limit(RLIM_INFINITY);
    kms_client *audited = open_with(audit_log);
    MUST(make_data_key(audited));
    limit(size(audit_log));
    HOLDS(make_data_key(audited) == KMS_ERR_AUDIT_FAILED);
    limit(RLIM_INFINITY);
    MUST(make_data_key(audited));
    kms_client_free(audited);

    /* Not ignored: the process ends within the change, and what it left is swept by the next one. */
    signal(SIGXFSZ, SIG_DFL);
    pid_t child = fork();
    if (child == 0) {
        struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        limit(full);
        _exit(make_key(client) == KMS_OK ? 0 : 1);
    }
    int ended;
    HOLDS(child > 0 && waitpid(child, &ended, 0) == child);
    HOLDS(WIFSIGNALED(ended) && WTERMSIG(ended) == SIGXFSZ);
    HOLDS(size(keystore) == full && temporaries() == 1);
    MUST(make_key(client));
    HOLDS(size(keystore) > full && temporaries() == 0);
    MUST(make_data_key(client));
    kms_client_free(client);
    return 0;
}
