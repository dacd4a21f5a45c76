/* How much stack each call needs: it runs on a bare stack that was painted, as a coroutine's is, and what is
 * no longer painted was used. Prints a line of each call's name and bytes.
 *
 * stacks FOLDER */
#include "must.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <ucontext.h>

enum { KEY = 32, ROOM = 256 * 1024, MARK = 0xA5 };

static kms_options *options;
static kms_client *client;
static kms_response response;
static char *document;
static int keep_document;
static char key_id[64], request[16384];
static uint8_t key[KEY], blob[KMS_DATA_KEY_BLOB_MAX], other[KMS_DATA_KEY_BLOB_MAX];
static size_t key_len, blob_len, len;

static void generate(void)
{
    MUST(kms_generate_data_key(client, "alias/orders", 0, 0, "{\"table\":\"orders\"}", key, KEY,
                               &key_len, blob, sizeof blob, &blob_len, &response));
}

static void decrypt(void)
{
    MUST(kms_decrypt(client, key_id, blob, blob_len, "{\"table\":\"orders\"}", key, KEY, &key_len,
                     &response));
}

static void re_encrypt(void)
{
    MUST(kms_re_encrypt(client, key_id, blob, blob_len, "{\"table\":\"orders\"}", key_id, NULL, other,
                        sizeof other, &len, &response));
}

static void open_client(void)
{
    MUST(kms_client_open(options, &client, &response));
}

static void free_client(void)
{
    kms_client_free(client);
    client = NULL;
}

static void perform(void)
{
    MUST(kms_call(client, request, &document, &len, &response));
    if (!keep_document) kms_document_free(document);
}

static void describe(void)
{
    MUST(kms_client_describe(client, &document, &len));
    kms_document_free(document);
}

/* The call under test, and the stacks it goes between. */
static ucontext_t here, there;
static void (*under_test)(void);

static void enter(void)
{
    under_test();
}

/* Runs a call on a painted stack of its own and tells how deep the paint is gone. */
static size_t depth(void (*call)(void))
{
    uint8_t *stack = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    HOLDS(stack != MAP_FAILED);
    memset(stack, MARK, ROOM);
    under_test = call;
    HOLDS(getcontext(&there) == 0);
    there.uc_stack.ss_sp = stack;
    there.uc_stack.ss_size = ROOM;
    there.uc_link = &here;
    makecontext(&there, enter, 0);
    HOLDS(swapcontext(&here, &there) == 0);
    size_t untouched = 0;
    while (untouched < ROOM && stack[untouched] == MARK) untouched++;
    munmap(stack, ROOM);
    return ROOM - untouched;
}

static void tell(const char *what, void (*call)(void))
{
    printf("%s %zu\n", what, depth(call));
}

static void tell_request(const char *action, const char *parameters)
{
    snprintf(request, sizeof request, "Action=%s&", action);
    size_t at = strlen(request);
    snprintf(request + at, sizeof request - at, parameters, key_id);
    tell(action, perform);
}

/* Material that was not wrapped by the right key is decrypted all the same. */
static void import_key_material(void)
{
    size_t at = (size_t)snprintf(request, sizeof request,
                                 "Action=ImportKeyMaterial&KeyId=%s&EncryptedKeyMaterial=", key_id);
    for (int i = 0; i < 85; i++) at += (size_t)snprintf(request + at, sizeof request - at, "QUFB");
    at += (size_t)snprintf(request + at, sizeof request - at, "QQ==&ImportToken=");
    const char *token = strstr(document, "ImportToken\":\"");
    HOLDS(token != NULL);
    for (token += strlen("ImportToken\":\""); *token != '"' && at + 4 < sizeof request; token++)
        at += (size_t)snprintf(request + at, sizeof request - at, "%%%02X", (unsigned char)*token);
    kms_document_free(document);
}

static void refused(void)
{
    kms_status status = kms_call(client, request, &document, &len, &response);
    kms_document_free(document);
    if (status != KMS_ERR_INVALID_KEY_MATERIAL) must(status, "ImportKeyMaterial", &response);
}

static void *start(void *unused)
{
    open_client();
    generate();
    decrypt();
    free_client();
    return unused;
}

static void set_options(const char *folder, const char *name, const char *root_key)
{
    char path[4200];
    MUST(kms_options_new(&options));
    snprintf(path, sizeof path, "%s/%s", folder, name);
    MUST(kms_options_set(options, "keystore", path, &response));
    MUST(kms_options_set(options, "create", "true", &response));
    snprintf(path, sizeof path, "%s/%s.log", folder, name);
    MUST(kms_options_set(options, "audit_log", path, &response));
    snprintf(path, sizeof path, "%s:%s/root", root_key, folder);
    MUST(kms_options_set(options, "root_key", path, &response));
}

static void write_root_key(const char *folder)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/root", folder);
    FILE *file = fopen(path, "w");
    HOLDS(file != NULL && fchmod(fileno(file), 0600) == 0);
    for (int i = 0; i < 32; i++) fprintf(file, "c7");
    HOLDS(fclose(file) == 0);
}

int main(int argc, char **argv)
{
    HOLDS(argc == 2);
    write_root_key(argv[1]);
    set_options(argv[1], "passphrase", "passphrase-file");
    tell("kms_client_open with a passphrase", open_client);
    free_client();
    kms_options_free(options);

    set_options(argv[1], "keystore", "file");
    tell("kms_client_open that creates", open_client);
    tell_request("CreateKey", "Description=orders");
    memcpy(key_id, response.key_id, sizeof key_id);
    tell_request("CreateAlias", "AliasName=alias%%2Forders&KeyId=%s");
    tell("kms_generate_data_key", generate);
    tell("kms_decrypt", decrypt);
    tell("kms_re_encrypt", re_encrypt);
    free_client();
    tell("kms_client_open", open_client);
    tell("kms_generate_data_key, the first", generate);
    free_client();
    open_client();
    tell("kms_decrypt, the first", decrypt);
    tell("kms_client_describe", describe);
    tell_request("DescribeKey", "KeyId=%s");
    tell_request("ListKeys", "Filters=[{\"Key\":\"KeyState\",\"Values\":[\"Enabled\"]}]");
    tell_request("GenerateDataKey", "KeyId=%s&Format=XML");
    tell_request("CreateKeyVersion", "KeyId=%s");
    tell_request("TagResource", "KeyId=%s&Tags=[{\"TagKey\":\"a\",\"TagValue\":\"b\"}]");
    tell_request("ScheduleKeyDeletion", "PendingWindowInDays=7&KeyId=%s");
    tell_request("CancelKeyDeletion", "KeyId=%s");
    char orders[64];
    memcpy(orders, key_id, sizeof orders);
    tell_request("CreateKey", "Origin=EXTERNAL");
    memcpy(key_id, response.key_id, sizeof key_id);
    keep_document = 1;
    tell_request("GetParametersForImport",
                 "WrappingAlgorithm=RSAES_OAEP_SHA_256&WrappingKeySpec=RSA_2048&KeyId=%s");
    import_key_material();
    tell("ImportKeyMaterial", refused);
    tell("kms_client_free", free_client);

    /* A thread of the documented size: its stack carries more than the call. */
    memcpy(key_id, orders, sizeof key_id);
    pthread_attr_t small;
    pthread_t thread;
    HOLDS(pthread_attr_init(&small) == 0 && pthread_attr_setstacksize(&small, 32 * 1024) == 0);
    HOLDS(pthread_create(&thread, &small, start, NULL) == 0 && pthread_join(thread, NULL) == 0);
    return 0;
}
