// How much of the stack kmsbox.hpp takes before the library has its turn: what docs/cpp.md says, and no more.
// Linked with --wrap for the functions below, so that each call goes through here.
#include "behaviours/check.hpp"

#include <cstdint>
#include <vector>

static std::uintptr_t reached = 0;

static std::uintptr_t here() { return reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)); }

extern "C" {
decltype(kms_generate_data_key) __real_kms_generate_data_key;
decltype(kms_decrypt) __real_kms_decrypt;
decltype(kms_re_encrypt) __real_kms_re_encrypt;

kms_status __wrap_kms_generate_data_key(const kms_client *client, const char *id, std::int32_t spec,
                                        std::uint32_t bytes, const char *context, std::uint8_t *plaintext,
                                        std::size_t room, std::size_t *plaintext_size, std::uint8_t *blob,
                                        std::size_t blob_room, std::size_t *size, kms_response *response)
{
    reached = here();
    return __real_kms_generate_data_key(client, id, spec, bytes, context, plaintext, room, plaintext_size,
                                        blob, blob_room, size, response);
}
kms_status __wrap_kms_decrypt(const kms_client *client, const char *id, const std::uint8_t *blob,
                              std::size_t blob_size, const char *context, std::uint8_t *plaintext,
                              std::size_t room, std::size_t *size, kms_response *response)
{
    reached = here();
    return __real_kms_decrypt(client, id, blob, blob_size, context, plaintext, room, size, response);
}
kms_status __wrap_kms_re_encrypt(const kms_client *client, const char *id, const std::uint8_t *blob,
                                 std::size_t blob_size, const char *context, const char *destination,
                                 const char *its_context, std::uint8_t *rewrapped, std::size_t room,
                                 std::size_t *size, kms_response *response)
{
    reached = here();
    return __real_kms_re_encrypt(client, id, blob, blob_size, context, destination, its_context, rewrapped,
                                 room, size, response);
}
}

template <class Call>
[[gnu::noinline]] static void takes(const char *what, std::uintptr_t most, const Call &call)
{
    reached = 0;
    call();
    CHECK(reached != 0 && reached < here());
    std::printf("%s: %lu bytes\n", what, static_cast<unsigned long>(here() - reached));
    CHECK(here() - reached <= most);
    CHECK(here() - reached > 1024); // at least the response: this does measure
}

int main()
{
    const kmsbox::client client = memory_client();
    const kmsbox::uuid cmk = create_key(client);
    const kmsbox::encryption_context context{{"table", "orders"}};
    kmsbox::secret_array<32> key;
    kmsbox::data_key_blob blob;
    std::vector<unsigned char> rewrapped(sizeof blob);

    constexpr std::uintptr_t in_place = 6 * 1024, returned = 24 * 1024;
    takes("generate_data_key", in_place, [&] { client.generate_data_key(cmk, context, key, blob); });
    takes("decrypt", in_place, [&] { client.decrypt(cmk, blob, context, key); });
    takes("try_decrypt", in_place, [&] { CHECK(client.try_decrypt(cmk, blob, context, key)); });
    takes("decrypt with a context made for it", in_place,
          [&] { client.decrypt(cmk, blob, {{"table", "orders"}}, key); });
    takes("re_encrypt", in_place,
          [&] { client.re_encrypt(cmk, blob, context, cmk, context, rewrapped); });
    takes("generate_data_key, returned", returned,
          [&] { CHECK(!client.generate_data_key(cmk, kmsbox::aes_256, context).blob.empty()); });
    takes("re_encrypt, returned", returned,
          [&] { CHECK(!client.re_encrypt(cmk, blob, context, cmk, context).blob.empty()); });
    return 0;
}
