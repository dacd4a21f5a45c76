/* A program that links two static libraries written in Rust, as an engine with other Rust parts does:
 * each works, and each catches its own panics. */
#include <kmsbox.h>

#include <stdio.h>

int32_t other_caught_panic(void); /* of other_archive.rs: 1 where it caught its own panic */

int main(void)
{
    static const char *const pairs[] = {"a", "b"};
    char json[16];
    size_t len = 0;
    if (other_caught_panic() != 1) return 1;
    if (kms_encryption_context(pairs, 1, json, sizeof json, &len) != KMS_OK || len != 9) return 2;
    if (other_caught_panic() != 1) return 3;
    puts("both");
    return 0;
}
