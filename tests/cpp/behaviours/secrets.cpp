// Secrets: where they are wiped, and that they are never in two places.
#include "check.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

using kmsbox::secret;
using kmsbox::secret_array;

static_assert(!std::is_copy_constructible_v<secret> && !std::is_copy_assignable_v<secret>);
static_assert(std::is_nothrow_move_constructible_v<secret> && std::is_nothrow_move_assignable_v<secret>);
static_assert(!std::is_move_constructible_v<secret_array<32>> &&
              !std::is_move_assignable_v<secret_array<32>>);
static_assert(!std::is_copy_constructible_v<kmsbox::data_key> &&
              !std::is_copy_constructible_v<kmsbox::unwrapped>);
static_assert(!std::is_copy_constructible_v<kmsbox::document> &&
              !std::is_copy_constructible_v<kmsbox::request>);
static_assert(!std::is_copy_constructible_v<kmsbox::client> &&
              !std::is_copy_constructible_v<kmsbox::options>);
static_assert(std::is_nothrow_move_constructible_v<kmsbox::client> &&
              std::is_nothrow_move_assignable_v<kmsbox::client>);
static_assert(sizeof(secret_array<32>) == 32);

static secret filled(std::size_t size, std::uint8_t byte)
{
    secret made(size);
    std::memset(made.data(), byte, made.size());
    return made;
}

static bool all(const std::uint8_t *from, std::size_t size, std::uint8_t byte)
{
    return std::all_of(from, from + size, [byte](std::uint8_t each) { return each == byte; });
}

/** Through a pointer that the compiler knows nothing of, so that no store is left out as useless. */
static void *(*volatile fill)(void *, int, std::size_t) = std::memset;

template <class Array>
static bool wiped_after_destruction()
{
    alignas(Array) static unsigned char place[sizeof(Array)];
    // The compiler may not reason about what is left of an object, so it does not see whose memory this is.
    unsigned char *volatile hidden = place;
    auto *array = new (hidden) Array();
    fill(array->data(), 0xA7, sizeof place);
    CHECK(hidden[0] == 0xA7 && hidden[sizeof place - 1] == 0xA7);
    array->~Array();
    return all(hidden, sizeof place, 0);
}

TEST(an_array_is_zero_at_first_and_wiped_when_it_goes)
{
    alignas(secret_array<48>) unsigned char place[48];
    fill(place, 0xEE, sizeof place);
    auto *array = new (place) secret_array<48>();
    CHECK(all(array->data(), array->size(), 0));
    array->~secret_array();
    CHECK(wiped_after_destruction<secret_array<32>>());
    CHECK(wiped_after_destruction<secret_array<1>>());

    // The test finds what is not wiped.
    struct plain {
        std::uint8_t *data() { return bytes; }
        ~plain() { fill(&bytes[31], 0xA7, 1); }
        std::uint8_t bytes[32];
    };
    CHECK(!wiped_after_destruction<plain>());
}

TEST(an_array_is_wiped_by_an_exception)
{
    alignas(secret_array<32>) static unsigned char place[32];
    struct holder {
        holder() : array(new (place) secret_array<32>()) { fill(array->data(), 0xA7, 32); }
        ~holder() { array->~secret_array(); }
        secret_array<32> *array;
    };
    const auto fails = [] {
        const holder held;
        throw 7;
    };
    try {
        fails();
        CHECK(false);
    } catch (int) {
    }
    CHECK(all(place, sizeof place, 0));
}

TEST(a_secret_is_zero_at_first)
{
    const secret made(100);
    CHECK(made.size() == 100 && all(made.data(), 100, 0));
    CHECK(secret().empty() && secret().data() == nullptr);
}

TEST(a_secret_of_no_bytes_is_refused)
{
    check_refused(secret::try_make(0).error(), KMS_ERR_INVALID_ARGUMENT, "");
}

TEST(a_secret_moves_and_leaves_nothing)
{
    secret a = filled(32, 0x11);
    const std::uint8_t *where = a.data();
    secret b = std::move(a);
    CHECK(a.empty() && a.data() == nullptr); // NOLINT: what was moved from is empty
    CHECK(b.data() == where && all(b.data(), 32, 0x11));

    secret c = filled(16, 0x22);
    c = std::move(b);
    CHECK(c.data() == where && c.size() == 32 && b.empty());

    // To itself, by a name the compiler does not see through.
    secret &itself = c;
    c = std::move(itself);
    CHECK(c.data() == where && c.size() == 32 && all(c.data(), 32, 0x11));

    secret d = filled(1, 0x33);
    c.swap(d);
    CHECK(c.size() == 1 && d.data() == where);
    d.reset();
    CHECK(d.empty() && d.data() == nullptr);
}

TEST(a_secret_is_wiped_where_it_gets_shorter)
{
    secret made = filled(32, 0x44);
    const std::uint8_t *where = made.data();
    made.truncate(20);
    CHECK(made.size() == 20 && all(where, 20, 0x44) && all(where + 20, 12, 0));
    made.truncate(21);
    CHECK(made.size() == 20);
}

TEST(a_secret_is_copied_where_that_is_asked_for)
{
    const secret made = filled(32, 0x55);
    const secret copy = made.clone();
    CHECK(copy.data() != made.data() && copy.size() == 32 && all(copy.data(), 32, 0x55));
    CHECK(secret().clone().empty());
}

TEST(zeroize_wipes)
{
    unsigned char bytes[9];
    fill(bytes, 1, sizeof bytes);
    kmsbox::zeroize({bytes, 8});
    CHECK(all(bytes, 8, 0) && bytes[8] == 1);
    kmsbox::zeroize({});
}

TEST(a_failed_call_leaves_no_plaintext)
{
    const kmsbox::client client = memory_client();
    const kmsbox::uuid cmk = create_key(client);
    secret_array<32> key;
    kmsbox::data_key_blob blob;
    client.generate_data_key(cmk, {{"table", "orders"}}, key, blob);
    CHECK(!all(key.data(), 32, 0));

    unsigned char room[64];
    fill(room, 0xEE, sizeof room);
    CHECK(!client.try_decrypt(cmk, blob, {{"table", "people"}}, room));
    CHECK(all(room, sizeof room, 0));
    CHECK(!client.try_decrypt(cmk, blob, {{"table", "people"}}, key));
    CHECK(all(key.data(), 32, 0));
    // Refused before the library is asked.
    const std::string_view nul("a\0b", 3);
    const kmsbox::encryption_context twice{{"a", "1"}, {"a", "2"}};
    const auto leaves_none = [&](const auto &call) {
        fill(room, 0xEE, sizeof room);
        CHECK(!call());
        CHECK(all(room, sizeof room, 0));
    };
    leaves_none([&] { return client.try_decrypt(nul, blob, {}, room); });
    leaves_none([&] { return client.try_decrypt(cmk, blob, twice, room); });
    leaves_none([&] { return client.try_generate_data_key(nul, kmsbox::aes_256, {}, room, {}); });
    leaves_none([&] { return client.try_generate_data_keys(cmk, kmsbox::aes_256, twice, 2, room, {}); });
    // Which has no place has no end either.
    CHECK(!client.try_decrypt(nul, {nullptr, 5}, {}, {nullptr, 32}));
    // But a blob is not lost, where plaintext was to go in its place.
    std::vector<unsigned char> both(blob.begin(), blob.end());
    const kmsbox::bytes_out last(both.data() + 141, 1);
    CHECK(!client.try_decrypt(nul, both, {}, both) && !client.try_decrypt(nul, both, {}, last));
    CHECK(std::equal(both.begin(), both.end(), blob.begin(), blob.end()));
    CHECK(!client.try_decrypt(nul, kmsbox::bytes_view(both.data(), 141), {}, last) && both[141] == 0);

    CHECK(blob.size() == 142);
    CHECK(!client.try_generate_data_key("alias/none", {}, key, blob));
    CHECK(blob.empty());
}

TEST(a_key_of_another_length_does_not_fill_an_array)
{
    const kmsbox::client client = memory_client();
    const kmsbox::uuid cmk = create_key(client);
    const kmsbox::data_key shorter = client.generate_data_key(cmk, kmsbox::aes_128, {});
    const kmsbox::data_key longer = client.generate_data_key(cmk, kmsbox::of_bytes(33), {});
    secret_array<32> key;
    fill(key.data(), 0xEE, key.size());
    check_refused(client.try_decrypt(cmk, shorter.blob, {}, key).error(), KMS_ERR_INVALID_PARAMETER,
                  "CiphertextBlob");
    CHECK(all(key.data(), 32, 0));
    fill(key.data(), 0xEE, key.size());
    const auto refused = client.try_decrypt(cmk, longer.blob, {}, key);
    check_refused(refused.error(), KMS_ERR_BUFFER_TOO_SMALL, "");
    CHECK(refused.error().plaintext_size == 33);
    CHECK(all(key.data(), 32, 0));
    secret_array<16> right;
    client.decrypt(cmk, shorter.blob, {}, right);
    CHECK(std::memcmp(right.data(), shorter.plaintext.data(), 16) == 0);
}
