/* A host whose getrandom is refused, as by a seccomp filter that does not know it; the host then closes
 * every descriptor and opens a file, as a daemon does.
 * Usage: no_random_bytes KEYSTORE ERRNO    (the keystore is made before, with one CMK: KEYSTORE make) */
#include "host.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static void refuse_getrandom(unsigned error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getrandom, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    HOLDS(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    HOLDS(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void no_descriptor_of_ours(void)
{
    for (int number = 3; number < 256; number++) HOLDS(fcntl(number, F_GETFD) == -1);
}

int main(int argc, char **argv)
{
    kms_response response = {0};
    uint8_t key[32], blob[KMS_DATA_KEY_BLOB_MAX];
    size_t len = 0;
    if (argc != 3) return 2;
    char *file = argv[1];
    char stored[4200];
    snprintf(stored, sizeof stored, "%s.blob", file);
    if (strcmp(argv[2], "make") == 0) {
        kms_client *client = host_open(file);
        host_create_key(client, &response);
        size_t key_len;
        MUST(kms_generate_data_key(client, response.key_id, KMS_KEY_SPEC_AES_256, 0, NULL, key, 32,
                                   &key_len, blob, sizeof blob, &len, &response));
        FILE *out = fopen(stored, "wb");
        HOLDS(out != NULL && fwrite(blob, 1, len, out) == len && fclose(out) == 0);
        printf("%s\n", response.key_id);
        kms_client_free(client);
        return 0;
    }
    FILE *in = fopen(stored, "rb");
    HOLDS(in != NULL && (len = fread(blob, 1, sizeof blob, in)) > 0 && fclose(in) == 0);
    for (int number = 3; number < 256; number++) close(number);
    refuse_getrandom((unsigned)atoi(argv[2]));

    /* What needs no random bytes goes on. */
    kms_client *client = host_open(file);
    size_t key_len;
    MUST(kms_decrypt(client, NULL, blob, len, NULL, key, 32, &key_len, &response));
    char key_id[64];
    memcpy(key_id, response.key_id, sizeof key_id);
    for (int round = 0; round < 3; round++) {
        memset(key, 1, sizeof key);
        HOLDS(host_data_key(client, key_id, key, &response) == KMS_ERR_RANDOM);
        for (int at = 0; at < 32; at++) HOLDS(key[at] == 0);
        HOLDS(host_call(client, "Action=CreateKey", &response) == KMS_ERR_RANDOM);
        HOLDS(host_call(client, "Action=ListKeys", &response) == KMS_OK);
        if (round == 0) no_descriptor_of_ours();
        HOLDS(open("/dev/zero", O_RDONLY) >= 3);
    }
    kms_client_free(client);
    return 0;
}
