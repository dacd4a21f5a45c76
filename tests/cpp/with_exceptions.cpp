// The other half of a program of which one file is compiled without exceptions.
#include "behaviours/check.hpp"

static_assert(KMSBOX_EXCEPTIONS == 1);

int without_exceptions();

int main()
{
    kmsbox::options options = memory_options();
    bool full = false;
    options.set_audit([&](std::string_view) -> bool {
        if (full) throw 1;
        return true;
    });
    const kmsbox::client client(options);
    const kmsbox::uuid cmk = create_key(client);
    full = true;
    CHECK(client.try_generate_data_key(cmk, kmsbox::aes_256, {}).status() == KMS_ERR_AUDIT_FAILED);
    return without_exceptions();
}
