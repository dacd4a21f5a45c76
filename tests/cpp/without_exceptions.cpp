// Compiled with -fno-exceptions -fno-rtti, and linked with what is compiled with both.
#include "behaviours/check.hpp"

static_assert(KMSBOX_EXCEPTIONS == 0);

int without_exceptions()
{
    kmsbox::options options = memory_options();
    long lines = 0;
    CHECK(options.try_set_audit([&](std::string_view) { return ++lines < 6; }).has_value());
    kmsbox::result<kmsbox::client> opened = kmsbox::client::try_open(options);
    CHECK(opened.has_value());
    const kmsbox::client client = *std::move(opened);
    const kmsbox::uuid cmk = create_key(client);
    kmsbox::secret_array<32> key;
    kmsbox::data_key_blob blob;
    const kmsbox::result<kmsbox::answer> made =
        client.try_generate_data_key(cmk, {{"table", "orders"}}, key, blob);
    CHECK(made && made->key_id == cmk);
    const kmsbox::result<kmsbox::unwrapped> again =
        client.try_decrypt(made->key_id, blob, {{"table", "orders"}});
    CHECK(again && again->plaintext.size() == 32 && again->plaintext[0] == key[0]);
    CHECK(client.try_decrypt(made->key_id, blob, {}, key).status() == KMS_ERR_CIPHERTEXT_INVALID);
    CHECK(client.try_decrypt(made->key_id, blob, {{"table", "orders"}}, key).status() ==
          KMS_ERR_AUDIT_FAILED);
    return lines == 6 ? 0 : 1;
}

#ifdef ALONE
int main() { return without_exceptions(); }
#endif
