// With outputs of the caller's, kmsbox.hpp allocates nothing: not by new, and not by malloc beyond what
// the same calls in C do inside the library.
#include "behaviours/check.hpp"

#include <atomic>
#include <new>

extern "C" void *__libc_malloc(std::size_t size);
extern "C" void *__libc_calloc(std::size_t count, std::size_t size);

static std::atomic<long> mallocs{0}, news{0};

// In place of the C library's, for this program and the library alike.
extern "C" void *malloc(std::size_t size)
{
    ++mallocs;
    return __libc_malloc(size);
}
extern "C" void *calloc(std::size_t count, std::size_t size)
{
    ++mallocs;
    return __libc_calloc(count, size);
}
void *operator new(std::size_t size)
{
    ++news;
    void *made = std::malloc(size);
    if (made == nullptr) throw std::bad_alloc();
    return made;
}
void *operator new(std::size_t size, const std::nothrow_t &) noexcept
{
    ++news;
    return std::malloc(size);
}
void operator delete(void *made) noexcept { std::free(made); }
void operator delete(void *made, std::size_t) noexcept { std::free(made); }

struct counts {
    long mallocs, news;
};

template <class Calls>
static counts counted(const Calls &calls)
{
    calls(); // what is done once is done
    const counts before{mallocs, news};
    for (int i = 0; i < 100; ++i) calls();
    return {mallocs - before.mallocs, news - before.news};
}

int main()
{
    const kmsbox::client client = memory_client();
    const kmsbox::uuid cmk = create_key(client);
    const kmsbox::encryption_context context{{"table", "orders"}, {"database", "7a"}};
    kmsbox::secret_array<32> key;
    kmsbox::data_key_blob blob;
    unsigned char plaintext[32], wrapped[KMS_DATA_KEY_BLOB_MAX], rewrapped[KMS_DATA_KEY_BLOB_MAX];
    client.generate_data_key(cmk, context, key, blob);

    const counts cpp = counted([&] {
        client.generate_data_key(cmk, context, key, blob);
        client.decrypt(cmk, blob, context, key);
        CHECK(
            client.try_generate_data_key(cmk, kmsbox::aes_256, context, plaintext, wrapped).has_value());
        CHECK(client.try_decrypt(kmsbox::any_key, blob, context, plaintext)->size == 32);
        CHECK(client.try_decrypt("alias/none", blob, context, plaintext).status() ==
              KMS_ERR_ALIAS_NOT_FOUND);
        CHECK(client.try_re_encrypt(cmk, blob, context, cmk, context, rewrapped)->size == 142);
        CHECK(client.try_encrypt(cmk, plaintext, context, wrapped)->size == 142);
        CHECK(client.try_generate_data_key_without_plaintext(cmk, kmsbox::aes_256, context, wrapped)
                  ->size == 142);
    });
    const counts c = counted([&] {
        const char *id = cmk.c_str(), *json = context.c_str();
        std::size_t size = 0, blob_size = 0;
        kms_response response;
        const kms_client *raw = client.raw();
        for (int i = 0; i < 2; ++i)
            CHECK(kms_generate_data_key(raw, id, 0, 32, json, plaintext, 32, &size, wrapped,
                                        sizeof wrapped, &blob_size, &response) == KMS_OK);
        for (const char *expected : {id, static_cast<const char *>(nullptr)})
            CHECK(kms_decrypt(raw, expected, blob.data(), blob.size(), json, plaintext, 32, &size,
                              &response) == KMS_OK);
        CHECK(kms_decrypt(raw, "alias/none", blob.data(), blob.size(), json, plaintext, 32, &size,
                          &response) == KMS_ERR_ALIAS_NOT_FOUND);
        CHECK(kms_re_encrypt(raw, id, blob.data(), blob.size(), json, id, json, rewrapped,
                             sizeof rewrapped, &size, &response) == KMS_OK);
        CHECK(kms_encrypt(raw, id, plaintext, 32, json, wrapped, sizeof wrapped, &size, &response) ==
              KMS_OK);
        CHECK(kms_generate_data_key_without_plaintext(raw, id, 0, 32, json, wrapped, sizeof wrapped,
                                                      &size, &response) == KMS_OK);
    });
    std::printf("C++: %ld by malloc, %ld by new; C: %ld by malloc\n", cpp.mallocs, cpp.news, c.mallocs);
    CHECK(cpp.news == 0 && c.news == 0);
    CHECK(cpp.mallocs == c.mallocs);

    // What does allocate is seen: a text that the stack has no room for.
    const std::string longer(1000, 'x');
    const counts control = counted([&] { CHECK(!client.try_decrypt(longer, blob, context, key)); });
    CHECK(control.news == 100);
    return 0;
}
