// Calls: where bytes come from and go to, answers, refusals, many at once, threads.
#include "check.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <vector>
#if defined(__cpp_lib_span)
#include <span>
#endif

using kmsbox::any_key;
using kmsbox::bytes_out;
using kmsbox::bytes_view;
using kmsbox::encryption_context;
using namespace std::string_literals;
using namespace std::string_view_literals;

static const encryption_context orders{{"table", "orders"}};

static bool same(bytes_view a, bytes_view b)
{
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

TEST(a_data_key_comes_back_from_its_blob)
{
    const kmsbox::client client = memory_client();
    const kmsbox::uuid cmk = create_key(client);
    const kmsbox::data_key made = client.generate_data_key(cmk, kmsbox::aes_256, orders);
    CHECK(made.key_id == cmk && made.key_version_id.view().size() == 36 &&
          made.request_id.view().size() == 36);
    CHECK(made.plaintext.size() == 32 && made.blob.size() == kmsbox::ciphertext_blob_len(32));
    const kmsbox::unwrapped again = client.decrypt(made.key_id, made.blob, orders);
    CHECK(same(again.plaintext, made.plaintext) && again.content == kmsbox::content::bytes);
    CHECK(again.key_version_id == made.key_version_id && again.request_id != made.request_id);

    const kmsbox::wrapped_data_key unseen =
        client.generate_data_key_without_plaintext(cmk, kmsbox::of_bytes(1024), orders);
    CHECK(unseen.blob.size() == KMS_DATA_KEY_BLOB_MAX);
    CHECK(client.decrypt(unseen.key_id, unseen.blob, orders).plaintext.size() == 1024);
    CHECK(client.generate_data_key(cmk, kmsbox::data_key_spec(), orders).plaintext.size() == 32);
    CHECK(client.generate_data_key(cmk, kmsbox::aes_128, orders).plaintext.size() == 16);
}

TEST(bytes_go_to_every_kind_of_room)
{
    const kmsbox::client client = memory_client();
    const kmsbox::uuid cmk = create_key(client);
    const kmsbox::data_key made = client.generate_data_key(cmk, kmsbox::aes_256, orders);
    const std::vector<std::byte> stored(reinterpret_cast<const std::byte *>(made.blob.begin()),
                                        reinterpret_cast<const std::byte *>(made.blob.end()));
    const auto fills = [&](auto &room) {
        const kmsbox::opened opened = client.decrypt(cmk, stored, orders, room);
        CHECK(opened.size == 32 && same({std::data(room), opened.size}, made.plaintext));
    };
    std::array<unsigned char, 32> array{};
    std::vector<std::byte> vector(40);
    std::string string(32, '\0');
    unsigned char plain[33];
    char chars[32];
    kmsbox::secret secret(64);
    fills(array);
    fills(vector);
    fills(string);
    fills(plain);
    fills(chars);
    fills(secret);
    CHECK(client.decrypt(cmk, {stored.data(), stored.size()}, orders, {plain, 32}).size == 32);
#if defined(__cpp_lib_span)
    CHECK(client.decrypt(cmk, std::span(stored), orders, std::span(vector).first(32)).size == 32);
    CHECK(client
              .decrypt(cmk, std::span<const std::byte>(stored), orders,
                       std::span<unsigned char, 32>(array))
              .size == 32);
#endif
}

TEST(bytes_are_what_they_say)
{
    const std::string text("a\0b", 3);
    CHECK(bytes_view(text).size() == 3 && bytes_view("ab"sv).size() == 2);
    CHECK(bytes_view().empty() && bytes_view().data() == nullptr);
    static_assert(!std::is_constructible_v<bytes_view, const char (&)[4]>,
                  "a literal's NUL is no byte of it");
    static_assert(!std::is_constructible_v<bytes_view, const char *>, "a pointer has no length");
    static_assert(!std::is_constructible_v<bytes_view, std::vector<int>>);
    static_assert(!std::is_constructible_v<bytes_out, const std::vector<unsigned char> &>);
    static_assert(!std::is_constructible_v<bytes_out, std::vector<unsigned char>>,
                  "it would be gone at once");
    static_assert(!std::is_constructible_v<bytes_out, kmsbox::data_key_blob &>,
                  "its size is not its room");
}

TEST(too_small_a_room_says_what_is_needed)
{
    const kmsbox::client client = memory_client();
    const kmsbox::uuid cmk = create_key(client);
    const auto asked = client.try_generate_data_key(cmk, kmsbox::of_bytes(100), orders, {}, {});
    check_refused(asked.error(), KMS_ERR_BUFFER_TOO_SMALL, "");
    CHECK(asked.error().plaintext_size == 100 && asked.error().blob_size == 210);
    const kmsbox::data_key made = client.generate_data_key(cmk, kmsbox::aes_256, orders);
    const auto opened = client.try_decrypt(cmk, made.blob, orders, bytes_out());
    CHECK(opened.status() == KMS_ERR_BUFFER_TOO_SMALL && opened.error().plaintext_size == 32);
    CHECK(client.try_encrypt(cmk, "abc"sv, orders, {}).error().blob_size == 113);
    CHECK(client.try_re_encrypt(cmk, made.blob, orders, cmk, orders, {}).error().blob_size == 142);
    CHECK(client.try_generate_data_keys(cmk, kmsbox::aes_128, orders, 10, {}, {}).error().blob_size ==
          1260);
    CHECK(client.try_decrypt("alias/none", made.blob, orders).error().plaintext_size == 0);
}

TEST(an_exception_says_it_all)
{
    const kmsbox::client client = memory_client();
    try {
        static_cast<void>(client.decrypt(
            "alias/none", client.generate_data_key(create_key(client), kmsbox::aes_256, {}).blob, {}));
        CHECK(false);
    } catch (const std::exception &caught) {
        const auto *error = dynamic_cast<const kmsbox::exception *>(&caught);
        CHECK(error != nullptr && error->status() == KMS_ERR_ALIAS_NOT_FOUND);
        CHECK(error->what() == "KMS_ERR_ALIAS_NOT_FOUND (Forbidden.AliasNotFound): "s.append(
                                   error->error().message.view()));
        check_refused(error->error(), KMS_ERR_ALIAS_NOT_FOUND, "");
        CHECK(error->error().http_status == 404);
        const kmsbox::exception copy(*error);
        CHECK(std::string_view(copy.what()) == error->what());
    }
    static_assert(std::is_nothrow_copy_constructible_v<kmsbox::exception>);
}

TEST(what_was_moved_from_refuses)
{
    kmsbox::client client = memory_client();
    const kmsbox::uuid cmk = create_key(client);
    kmsbox::client other = std::move(client);
    CHECK(!client && other);
    check_refused(client.try_generate_data_key(cmk, kmsbox::aes_256, {}).error(),
                  KMS_ERR_INVALID_ARGUMENT, "");
    check_refused(client.try_describe().error(), KMS_ERR_INVALID_ARGUMENT, "");
    kmsbox::document document;
    check_refused(client.try_call("Action=ListKeys", document).error(), KMS_ERR_INVALID_ARGUMENT, "");
    CHECK(document.view().empty() && *document.c_str() == 0);
    kmsbox::client &itself = other;
    other = std::move(itself);
    CHECK(other.try_generate_data_key(cmk, kmsbox::aes_256, {}).has_value());
    client = std::move(other);
    CHECK(client.describe().view().find("\"Keys\":1") != std::string_view::npos);

    kmsbox::options options = memory_options();
    kmsbox::options moved = std::move(options);
    check_refused(options.try_set("keystore", "memory:").error(), KMS_ERR_INVALID_ARGUMENT, "");
    check_refused(kmsbox::client::try_open(options).error(), KMS_ERR_INVALID_ARGUMENT, "");
    CHECK(kmsbox::client::try_open(moved).has_value());
}

TEST(opening_says_what_is_missing)
{
    kmsbox::options options;
    check_refused(kmsbox::client::try_open(options).error(), KMS_ERR_MISSING_PARAMETER, "keystore");
    check_refused(options.try_set("keystroke", "x").error(), KMS_ERR_INVALID_OPTION, "keystroke");
    check_refused(options.try_set_root_key("short"sv).error(), KMS_ERR_INVALID_ARGUMENT, "32");
    try {
        kmsbox::options{{"keystore", "memory:"}, {"create", "perhaps"}};
        CHECK(false);
    } catch (const kmsbox::exception &error) {
        check_refused(error.error(), KMS_ERR_INVALID_OPTION, "create");
    }
}

TEST(a_document_comes_with_a_refusal_too)
{
    const kmsbox::client client = memory_client();
    kmsbox::document document;
    const kmsbox::answer made = client.call("Action=CreateKey", document);
    CHECK(document.key_id == made.key_id &&
          document.view().find(made.key_id.view()) != std::string_view::npos);
    CHECK(document.view().size() == std::strlen(document.c_str()));
    const auto refused =
        client.try_call(kmsbox::request("DescribeKey").set("KeyId", "alias/none"), document);
    check_refused(refused.error(), KMS_ERR_ALIAS_NOT_FOUND, "");
    CHECK(document.view().find("Forbidden.AliasNotFound") != std::string_view::npos);
    CHECK(document.view().find(refused.error().request_id.view()) != std::string_view::npos);
    CHECK(document.key_id.empty());
    CHECK(document.request_id == refused.error().request_id);
    kmsbox::document moved = std::move(document);
    CHECK(document.view().empty() && !moved.view().empty());
    kmsbox::document &itself = moved;
    moved = std::move(itself);
    CHECK(!moved.view().empty());
}

TEST(a_document_never_keeps_what_another_call_said)
{
    const kmsbox::client client = memory_client();
    kmsbox::document document = client.call("Action=CreateKey");
    CHECK(client.try_call("Action=ListKeys\0"sv, document).status() == KMS_ERR_INVALID_PARAMETER);
    CHECK(document.view().empty() && document.key_id.empty());
    client.call("Action=CreateKey", document);
    CHECK(kmsbox::client().try_call("Action=ListKeys", document).status() == KMS_ERR_INVALID_ARGUMENT);
    CHECK(document.view().empty() && document.key_id.empty());
    // The request may lie in the document that the answer goes to.
    document = client.call("Action=CreateKey");
    const std::size_t id = document.view().find(document.key_id.view());
    CHECK(id != std::string_view::npos);
    const auto refused = client.try_call(document.view().substr(id, 36), document);
    CHECK(!refused && document.view().find(refused.error().request_id.view()) != std::string_view::npos);
}

TEST(own_bytes_are_wrapped_and_re_wrapped)
{
    const kmsbox::client client = memory_client();
    const kmsbox::uuid cmk = create_key(client), other = create_key(client);
    const std::string plaintext(KMS_PLAINTEXT_MAX, 'p');
    const kmsbox::wrapped made = client.encrypt(cmk, plaintext, orders);
    CHECK(made.blob.size() == KMS_CIPHERTEXT_BLOB_MAX);
    const kmsbox::wrapped again = client.re_encrypt(cmk, made.blob, orders, other, {{"moved", "yes"}});
    CHECK(again.key_id == other && again.blob.size() == made.blob.size());
    CHECK(same(client.decrypt(other, again.blob, {{"moved", "yes"}}).plaintext, plaintext));
    check_refused(client.try_encrypt(cmk, plaintext + "p", orders).error(), KMS_ERR_INVALID_PARAMETER,
                  "Plaintext");
    check_refused(client.try_encrypt(cmk, {}, orders).error(), KMS_ERR_INVALID_PARAMETER, "Plaintext");
    check_refused(client.try_decrypt(cmk, std::string(200000, 'x'), orders).error(), KMS_ERR_NOT_A_BLOB,
                  "");
    check_refused(client.try_decrypt(cmk, {}, orders).error(), KMS_ERR_NOT_A_BLOB, "");
    std::vector<unsigned char> in_place(made.blob.begin(), made.blob.end());
    CHECK(client.try_re_encrypt(cmk, in_place, orders, cmk, orders, in_place).status() ==
          KMS_ERR_INVALID_ARGUMENT);
    const kmsbox::document text =
        client.call(kmsbox::request("Encrypt").set("KeyId", cmk).set("Plaintext", "aGVsbG8="));
    CHECK(text.key_id == cmk);
}

TEST(many_at_once)
{
    const kmsbox::client client = memory_client();
    const kmsbox::uuid cmk = create_key(client), other = create_key(client);
    constexpr std::size_t count = 9;
    std::vector<unsigned char> keys(count * 16), blobs(count * 126), rewrapped(count * 126),
        unseen(count * 126);
    const kmsbox::data_key_sizes made =
        client.generate_data_keys(cmk, kmsbox::aes_128, orders, count, keys, blobs);
    CHECK(made.plaintext_size == keys.size() && made.blob_size == blobs.size() && made.key_id == cmk);
    CHECK(
        client.generate_data_keys_without_plaintext(cmk, kmsbox::aes_128, orders, count, unseen).size ==
        unseen.size());

    blobs[4 * 126 + 80] ^= 1;
    const std::vector<std::size_t> sizes(count, 126);
    std::array<kms_status, count> statuses;
    statuses.fill(-1);
    const kmsbox::written written =
        client.re_encrypt_many(blobs, sizes, cmk, orders, other, {}, rewrapped, statuses);
    CHECK(written.size == rewrapped.size() && written.key_id == other);
    for (std::size_t i = 0; i < count; ++i) {
        CHECK(statuses[i] == (i == 4 ? KMS_ERR_CIPHERTEXT_INVALID : KMS_OK));
        if (i == 4) continue;
        kmsbox::secret_array<16> key;
        client.decrypt(other, {&rewrapped[i * 126], 126}, {}, key);
        CHECK(same(key, {&keys[i * 16], 16}));
    }
    // Lengths and statuses that do not belong to the blobs.
    const std::vector<std::size_t> beyond(count, 127), fewer(count - 1, 126), huge(count, SIZE_MAX);
    for (const auto &wrong : {beyond, fewer, huge})
        CHECK(client.try_re_encrypt_many(blobs, wrong, any_key, orders, other, {}, rewrapped, statuses)
                  .status() == KMS_ERR_INVALID_ARGUMENT);
}

TEST(one_client_for_many_threads)
{
    const kmsbox::client client = memory_client();
    const kmsbox::uuid cmk = create_key(client);
    const kmsbox::data_key made = client.generate_data_key(cmk, kmsbox::aes_256, orders);
    std::atomic<int> good{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i)
        threads.emplace_back([&] {
            for (int j = 0; j < 50; ++j) {
                kmsbox::secret_array<32> key;
                kmsbox::data_key_blob blob;
                const bool opened = client.try_decrypt(cmk, made.blob, orders, key).has_value() &&
                                    same(key, made.plaintext);
                if (opened && client.try_generate_data_key(cmk, orders, key, blob)) ++good;
            }
        });
    for (std::thread &each : threads) each.join();
    CHECK(good == 8 * 50);
}

TEST(names_of_statuses_and_versions)
{
    CHECK(kmsbox::status_name(KMS_ERR_DISABLED) == "KMS_ERR_DISABLED" &&
          !kmsbox::status_text(KMS_ERR_DISABLED).empty());
    CHECK(kmsbox::status_name(4711) == "KMS_ERR_UNKNOWN");
    CHECK(kmsbox::version() == KMS_VERSION_STRING);
    CHECK(kmsbox::ciphertext_blob_len(32) == 142 && kmsbox::ciphertext_blob_len(0) == 0);
}
