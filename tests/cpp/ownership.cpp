// Every handle that kmsbox.hpp gets is freed, and once; memory of the heap is wiped where a secret may
// have been in it; and where there is none, that is an error like others. Linked with --wrap for the functions below, so that each call goes through here.
#include "behaviours/check.hpp"

#include <algorithm>
#include <new>
#include <string>
#include <utility>
#include <vector>

static std::vector<const void *> held;
static long made = 0;

static void take(const void *handle)
{
    if (handle == nullptr) return;
    CHECK(std::find(held.begin(), held.end(), handle) == held.end());
    held.push_back(handle);
    ++made;
}

static void give(const void *handle)
{
    if (handle == nullptr) return;
    const auto found = std::find(held.begin(), held.end(), handle);
    CHECK(found != held.end()); // neither freed twice nor of somebody else
    held.erase(found);
}

extern "C" {
kms_status __real_kms_options_new(kms_options **options);
void __real_kms_options_free(kms_options *options);
kms_status __real_kms_client_open(const kms_options *options, kms_client **client,
                                  kms_response *response);
void __real_kms_client_free(kms_client *client);
kms_status __real_kms_call(const kms_client *client, const char *request, char **document, size_t *len,
                           kms_response *response);
kms_status __real_kms_client_describe(const kms_client *client, char **document, size_t *len);
void __real_kms_document_free(char *document);
kms_status __real_kms_secret_alloc(size_t len, void **secret);
void __real_kms_secret_free(void *secret);

kms_status __wrap_kms_options_new(kms_options **options)
{
    const kms_status status = __real_kms_options_new(options);
    take(*options);
    return status;
}
void __wrap_kms_options_free(kms_options *options)
{
    give(options);
    __real_kms_options_free(options);
}
kms_status __wrap_kms_client_open(const kms_options *options, kms_client **client,
                                  kms_response *response)
{
    const kms_status status = __real_kms_client_open(options, client, response);
    take(*client);
    return status;
}
void __wrap_kms_client_free(kms_client *client)
{
    give(client);
    __real_kms_client_free(client);
}
kms_status __wrap_kms_call(const kms_client *client, const char *request, char **document, size_t *len,
                           kms_response *response)
{
    const kms_status status = __real_kms_call(client, request, document, len, response);
    take(*document);
    return status;
}
kms_status __wrap_kms_client_describe(const kms_client *client, char **document, size_t *len)
{
    const kms_status status = __real_kms_client_describe(client, document, len);
    take(*document);
    return status;
}
void __wrap_kms_document_free(char *document)
{
    give(document);
    __real_kms_document_free(document);
}
kms_status __wrap_kms_secret_alloc(size_t len, void **secret)
{
    const kms_status status = __real_kms_secret_alloc(len, secret);
    take(*secret);
    return status;
}
void __wrap_kms_secret_free(void *secret)
{
    give(secret);
    __real_kms_secret_free(secret);
}
}

// Arrays on the heap: where a request and an unusually long text are.
static const char secret_text[] = "SECRETSECRET";
static long arrays = 0, left_behind = 0;
static bool no_memory = false;

static void *array_of(std::size_t size)
{
    // The length goes in front.
    auto *place = static_cast<std::size_t *>(no_memory ? nullptr : std::malloc(size + 16));
    if (place == nullptr) return nullptr;
    ++arrays;
    *place = size;
    return reinterpret_cast<char *>(place) + 16;
}
void *operator new[](std::size_t size)
{
    void *made_here = array_of(size);
    if (made_here == nullptr) throw std::bad_alloc();
    return made_here;
}
void *operator new[](std::size_t size, const std::nothrow_t &) noexcept { return array_of(size); }
void operator delete[](void *array) noexcept
{
    if (array == nullptr) return;
    char *place = static_cast<char *>(array) - 16;
    const std::size_t size = *reinterpret_cast<std::size_t *>(place);
    const std::string_view bytes(static_cast<char *>(array), size);
    if (bytes.find(secret_text) != bytes.npos) ++left_behind;
    std::free(place);
}
void operator delete[](void *array, std::size_t) noexcept { operator delete[](array); }
void *operator new(std::size_t size)
{
    void *made_here = no_memory ? nullptr : std::malloc(size);
    if (made_here == nullptr) throw std::bad_alloc();
    return made_here;
}
void operator delete(void *one) noexcept { std::free(one); }
void operator delete(void *one, std::size_t) noexcept { std::free(one); }

static void check_without_memory(const kmsbox::client &client, const kmsbox::uuid &cmk)
{
    const std::string longer(1000, 'x');
    const kmsbox::encryption_context large{{"k", longer}};
    const auto refused = [](const auto &result) {
        check_refused(result.error(), KMS_ERR_NO_MEMORY, "emory");
    };
    kmsbox::options options = memory_options();
    kmsbox::secret_array<32> key;
    kmsbox::data_key_blob blob;
    kmsbox::document document = client.call("Action=ListKeys");
    no_memory = true;
    refused(client.try_generate_data_key(longer, large, key, blob));
    refused(client.try_generate_data_key(cmk, {{"k", longer}}, key, blob));
    refused(client.try_generate_data_key(cmk, kmsbox::encryption_context(large), key, blob));
    refused(client.try_generate_data_key(cmk, kmsbox::encryption_context(longer), key, blob));
    refused(client.try_call(kmsbox::request("ListKeys"), document));
    CHECK(document.view().empty());
    refused(options.try_set("keystore", longer));
    refused(options.try_set_audit([](std::string_view) { return true; }));
    // What needs none of it goes on.
    CHECK(client.try_generate_data_key(cmk, large, key, blob));
    no_memory = false;
    // And what was refused has changed nothing.
    CHECK(kmsbox::client::try_open(options));
}

static void check_wiping(const kmsbox::client &client)
{
    std::string longer;
    for (int i = 0; i < 1000; ++i) longer += secret_text;
    {
        kmsbox::request request("Encrypt");
        request.set("Plaintext", longer).set("KeyId", "alias/none");
        CHECK(!client.try_call(request));
        const kmsbox::request moved = std::move(request);
        CHECK(!client.try_call(moved.view()));
    }
    CHECK(arrays >= 5 && left_behind == 0);

    // The test finds what is not wiped.
    char *volatile plain = new char[100];
    std::copy(std::begin(secret_text), std::end(secret_text), plain);
    delete[] plain;
    CHECK(left_behind == 1);
}

template <class Use>
static void balanced(long handles, const Use &use)
{
    const std::size_t before = held.size();
    made = 0;
    use();
    CHECK(held.size() == before);
    CHECK(made == handles);
}

int main()
{
    const kmsbox::client client = memory_client();
    const kmsbox::uuid cmk = create_key(client);
    CHECK(held.size() == 1); // the client's

    check_wiping(client);
    check_without_memory(client, cmk);
    balanced(2, [] { memory_client(); });
    balanced(4, [] {
        kmsbox::client a = memory_client(), b = memory_client();
        a = std::move(b);
        b = std::move(a);
    });
    balanced(1, [] { CHECK(!kmsbox::client::try_open(kmsbox::options())); });
    balanced(2, [&] {
        kmsbox::document a = client.describe(), b = client.call("Action=ListKeys");
        b = std::move(a);
    });
    balanced(2, [&] {
        CHECK(!client.try_call("Action=No"));
        kmsbox::document document;
        CHECK(!client.try_call("Action=No", document));
    });
    balanced(3, [&] {
        const kmsbox::data_key key = client.generate_data_key(cmk, kmsbox::aes_256, {});
        kmsbox::unwrapped one = client.decrypt(cmk, key.blob, {}),
                          other = client.decrypt(cmk, key.blob, {});
        one = std::move(other);
    });
    balanced(2, [&] {
        CHECK(!client.try_generate_data_key("alias/none", kmsbox::aes_256, {}));
        CHECK(!client.try_decrypt(cmk, {}, {}));
    });
    balanced(2, [&] {
        try {
            const kmsbox::secret kept(32);
            static_cast<void>(client.decrypt(cmk, {}, {}));
            CHECK(false);
        } catch (const kmsbox::exception &) {
        }
    });
    return 0;
}
