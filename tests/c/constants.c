/* What the preprocessor says and what the library says must agree: a program sees the one, a
 * foreign-function interface the other. statuses.inc, written by the test, names every status. */
#include <kmsbox.h>

#include <stdio.h>
#include <string.h>

static int failures;

static void check(int holds, const char *what)
{
    if (!holds) {
        printf("not so: %s\n", what);
        failures++;
    }
}

#define CHECK(condition) check(condition, #condition)

int main(void)
{
    char parts[64];
    snprintf(parts, sizeof parts, "%d.%d.%d", KMS_VERSION_MAJOR, KMS_VERSION_MINOR,
             KMS_VERSION_PATCH);
    CHECK(strcmp(KMS_VERSION_STRING, parts) == 0);
    CHECK(strcmp(KMS_VERSION_STRING, kms_version()) == 0);
    CHECK(strcmp(KMS_VERSION_STRING, CARGO_VERSION) == 0);

    CHECK(kms_ciphertext_blob_len(KMS_DATA_KEY_MAX) == KMS_DATA_KEY_BLOB_MAX);
    CHECK(kms_ciphertext_blob_len(KMS_PLAINTEXT_MAX) == KMS_CIPHERTEXT_BLOB_MAX);
    CHECK(kms_ciphertext_blob_len(1) == 111);
    CHECK(kms_ciphertext_blob_len(32) == 142);
    CHECK(kms_ciphertext_blob_len(0) == 0);
    CHECK(kms_ciphertext_blob_len(KMS_PLAINTEXT_MAX + 1) == 0);
    CHECK(kms_ciphertext_blob_len((size_t)-1) == 0);

#define STATUS(name)                                                                               \
    CHECK(strcmp(kms_status_name(name), #name) == 0);                                              \
    CHECK(strlen(kms_status_text(name)) > 0);
#include "statuses.inc"

    /* Numbers that no version has given out: never NULL, and no other status's name. */
    static const kms_status unknown[] = {-1, 1, 99, 999, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        CHECK(strcmp(kms_status_name(unknown[i]), "KMS_ERR_UNKNOWN") == 0);
        CHECK(strlen(kms_status_text(unknown[i])) > 0);
    }
    return failures != 0;
}
