/*
 * A library in front of kmsbox, for the test of the runners: what it says of kms_decrypt is not so.
 * KMSBOX_LIE names the lie; without it every call goes through as it is.
 */
#define _GNU_SOURCE

#include <kmsbox.h>

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

typedef kms_status (*decrypt)(const kms_client *, const char *, const uint8_t *, size_t,
                              const char *, uint8_t *, size_t, size_t *, kms_response *);

static int lies(const char *lie)
{
    const char *wanted = getenv("KMSBOX_LIE");
    return wanted != NULL && strcmp(wanted, lie) == 0;
}

kms_status kms_decrypt(const kms_client *client, const char *expected_key_id,
                       const uint8_t *ciphertext_blob, size_t ciphertext_blob_len,
                       const char *encryption_context, uint8_t *plaintext,
                       size_t plaintext_capacity, size_t *plaintext_len, kms_response *response)
{
    decrypt real;
    void *found = dlsym(RTLD_NEXT, "kms_decrypt");
    kms_status status;
    if (found == NULL)
        abort();
    memcpy(&real, &found, sizeof real);
    status = real(client, expected_key_id, ciphertext_blob, ciphertext_blob_len,
                  encryption_context, plaintext, plaintext_capacity, plaintext_len, response);
    if (lies("the same request id"))
        strcpy(response->request_id, "1234abcd-12ab-34cd-56ef-1234567890ab");
    if (lies("upper case in the request id"))
        strcpy(response->request_id, "1234ABCD-12AB-34CD-56EF-1234567890AB");
    if (lies("no request id"))
        response->request_id[0] = '\0';
    if (lies("another code"))
        strcpy(response->error_code, "InternalFailure");
    if (lies("another status"))
        status = KMS_ERR_INTERNAL;
    if (lies("done"))
        status = KMS_OK;
    if (lies("a plaintext left") && plaintext_capacity != 0)
        plaintext[plaintext_capacity - 1] = 1;
    if (lies("a length left"))
        *plaintext_len = 1;
    return status;
}
