// Texts and encryption contexts: what is given, what is refused, and how that is said.
#include "check.hpp"

#include <array>
#include <map>
#include <string>
#include <string_view>
#include <vector>

using kmsbox::any_key;
using kmsbox::encryption_context;
using namespace std::string_literals;
using namespace std::string_view_literals;

namespace {

struct place {
    kmsbox::client client = memory_client();
    kmsbox::uuid cmk = create_key(client);
    kmsbox::data_key key = client.generate_data_key(cmk, kmsbox::aes_256, {{"table", "orders"}});
    unsigned char room[KMS_DATA_KEY_BLOB_MAX];

    kms_status opens(const encryption_context &context)
    {
        return client.try_decrypt(cmk, key.blob, context).status();
    }
};

} // namespace

TEST(a_nul_is_refused_and_the_argument_named)
{
    place at;
    const std::string with_nul = at.cmk.str() + "\0x"s;
    const encryption_context none;
    const auto refused = [](const auto &result, const char *name) {
        check_refused(result.error(), KMS_ERR_INVALID_PARAMETER, "\""s + name + "\"");
        CHECK(result.error().message.view().find("NUL") != std::string_view::npos);
        CHECK(result.error().code == "InvalidParameter" && result.error().http_status == 400);
    };
    const auto &client = at.client;
    refused(client.try_generate_data_key(with_nul, kmsbox::aes_256, none), "KeyId");
    refused(client.try_generate_data_key(with_nul, kmsbox::aes_256, none, at.room, at.room), "KeyId");
    refused(client.try_generate_data_key_without_plaintext(with_nul, kmsbox::aes_256, none), "KeyId");
    refused(client.try_encrypt(with_nul, "x"sv, none), "KeyId");
    refused(client.try_decrypt(with_nul, at.key.blob, none), "expected_key_id");
    refused(client.try_re_encrypt(with_nul, at.key.blob, none, at.cmk, none), "expected_key_id");
    refused(client.try_re_encrypt(at.cmk, at.key.blob, none, with_nul, none), "DestinationKeyId");
    refused(client.try_generate_data_keys(with_nul, kmsbox::aes_256, none, 1, at.room, at.room),
            "KeyId");
    refused(client.try_generate_data_keys_without_plaintext(with_nul, kmsbox::aes_256, none, 1, at.room),
            "KeyId");
    const std::array<std::size_t, 1> sizes{at.key.blob.size()};
    std::array<kms_status, 1> statuses{};
    refused(
        client.try_re_encrypt_many(at.key.blob, sizes, with_nul, none, at.cmk, none, at.room, statuses),
        "expected_key_id");
    refused(
        client.try_re_encrypt_many(at.key.blob, sizes, any_key, none, with_nul, none, at.room, statuses),
        "DestinationKeyId");
    refused(client.try_call("Action=ListKeys\0&x"sv), "request");
    for (const encryption_context &context :
         {encryption_context("{\"a\":\"b\"}\0"sv), encryption_context{{"a\0"sv, "b"}},
          encryption_context{{"a", "b\0"sv}}})
        refused(client.try_decrypt(any_key, at.key.blob, context), "EncryptionContext");
    // What is cut at the NUL would have been accepted.
    CHECK(client.try_decrypt(with_nul.c_str(), at.key.blob, {{"table", "orders"}}).has_value());
}

TEST(a_nul_in_an_option_is_refused_and_the_option_named)
{
    kmsbox::options options;
    check_refused(options.try_set("keystore", "a\0b"sv).error(), KMS_ERR_INVALID_OPTION, "keystore");
    check_refused(options.try_set("key\0store"sv, "memory:").error(), KMS_ERR_INVALID_OPTION, "key");
}

TEST(empty_is_missing_and_never_any)
{
    place at;
    const char *null = nullptr;
    const std::string empty;
    for (const kmsbox::text text :
         {kmsbox::text(), kmsbox::text(""), kmsbox::text(null), kmsbox::text(empty)}) {
        check_refused(at.client.try_decrypt(text, at.key.blob, {}).error(), KMS_ERR_MISSING_PARAMETER,
                      "expected_key_id");
        check_refused(at.client.try_encrypt(text, "x"sv, {}).error(), KMS_ERR_MISSING_PARAMETER,
                      "KeyId");
    }
    check_refused(at.client.try_decrypt(kmsbox::uuid(), at.key.blob, {}).error(),
                  KMS_ERR_MISSING_PARAMETER, "");
    CHECK(at.client.try_decrypt(any_key, at.key.blob, {{"table", "orders"}}).has_value());
    const kmsbox::uuid other = create_key(at.client);
    CHECK(at.client.try_decrypt(other, at.key.blob, {{"table", "orders"}}).status() ==
          KMS_ERR_KEY_MISMATCH);
}

TEST(texts_come_from_everywhere)
{
    place at;
    const std::string string = at.cmk.str();
    const std::string longer = string + "more";
    // Not NUL-terminated where it ends.
    const std::string_view view = std::string_view(longer).substr(0, string.size());
    for (const kmsbox::expected_key_id &id :
         {kmsbox::expected_key_id(string), kmsbox::expected_key_id(view),
          kmsbox::expected_key_id(string.c_str()), kmsbox::expected_key_id(at.cmk)})
        CHECK(at.client.try_decrypt(id, at.key.blob, {{"table", "orders"}}).has_value());
    // Where the copy on the stack ends.
    for (const std::size_t size : {318U, 319U, 320U, 321U, 100000U})
        check_refused(at.client.try_encrypt(std::string(size, 'x'), "x"sv, {}).error(),
                      KMS_ERR_KEY_NOT_FOUND, "");
}

TEST(a_context_comes_from_everywhere)
{
    place at;
    const std::map<std::string, std::string> map{{"table", "orders"}};
    const std::vector<std::pair<std::string_view, const char *>> pairs{{"table", "orders"}};
    const char json[] = "{ \"table\" : \"orders\" }";
    CHECK(at.opens({{"table", "orders"}}) == KMS_OK);
    CHECK(at.opens(map) == KMS_OK);
    CHECK(at.opens(pairs) == KMS_OK);
    CHECK(at.opens(json) == KMS_OK);
    CHECK(at.opens(std::string(json)) == KMS_OK);
    CHECK(at.opens(std::string_view(json)) == KMS_OK);
    for (const encryption_context &none :
         {encryption_context(), encryption_context({}), encryption_context(""),
          encryption_context(std::map<std::string, std::string>()), encryption_context("{}")}) {
        CHECK(none.status() == KMS_OK);
        CHECK(at.opens(none) == KMS_ERR_CIPHERTEXT_INVALID);
    }
    CHECK(encryption_context({{"a", "\"\\\n"}, {"", ""}}).json() ==
          "{\"a\":\"\\\"\\\\\\n\",\"\":\"\"}"sv);
    CHECK(encryption_context().c_str() == nullptr && encryption_context().json().empty());
}

/** Longer, and of longer texts, whenever it is gone through again. */
struct unsteady {
    using pairs = std::vector<std::pair<std::string, std::string>>;
    pairs::const_iterator begin() const
    {
        held.assign(count, {"k", std::string(length, 'v')});
        count += more;
        length += longer;
        return held.begin();
    }
    pairs::const_iterator end() const { return held.end(); }
    mutable pairs held;
    mutable std::size_t count, length;
    std::size_t more, longer;
};

TEST(a_range_that_changes_is_refused)
{
    CHECK(encryption_context(unsteady{{}, 1, 1, 0, 0}).status() == KMS_OK);
    CHECK(encryption_context(unsteady{{}, 1, 1, 1, 0}).status() == KMS_ERR_INVALID_ARGUMENT);
    CHECK(encryption_context(unsteady{{}, 1, 1, 0, 600}).status() == KMS_ERR_INVALID_ARGUMENT);
    CHECK(encryption_context(unsteady{{}, 2, 1, std::size_t(-1), 0}).status() ==
          KMS_ERR_INVALID_ARGUMENT);
}

TEST(a_context_is_copied_whole)
{
    place at;
    const std::string value(3000, 'v');
    encryption_context large{{"table", value}};
    CHECK(large.json().size() == 3000 + 12);
    encryption_context copy(large);
    encryption_context other{{"table", "orders"}};
    CHECK(copy.json() == large.json() && copy.json().data() != large.json().data());
    copy = other;
    CHECK(copy.json() == "{\"table\":\"orders\"}"sv && at.opens(copy) == KMS_OK);
    encryption_context &itself = copy;
    copy = itself;
    CHECK(copy.json() == "{\"table\":\"orders\"}"sv);
    copy = large;
    other = encryption_context();
    CHECK(copy.json().size() == large.json().size() && other.c_str() == nullptr);
    const encryption_context wrong{{"a", "1"}, {"a", "2"}};
    copy = wrong;
    CHECK(copy.status() == KMS_ERR_INVALID_PARAMETER && copy.c_str() == nullptr);
    copy = large;
    CHECK(copy.status() == KMS_OK);
}

TEST(a_context_ends_where_the_api_says)
{
    const std::size_t rest = std::string("{\"k\":\"\"}").size();
    CHECK(encryption_context({{"k", std::string(8192 - rest, 'v')}}).status() == KMS_OK);
    CHECK(encryption_context({{"k", std::string(8193 - rest, 'v')}}).status() ==
          KMS_ERR_INVALID_PARAMETER);
    const std::vector<std::pair<std::string, std::string>> many(5000, {"k", "v"});
    CHECK(encryption_context(many).status() == KMS_ERR_INVALID_PARAMETER);
    std::map<std::string, std::string> wide;
    for (int i = 0; i < 600; ++i) wide[std::to_string(i)] = "v";
    CHECK(encryption_context(wide).status() == KMS_OK);
}

TEST(what_is_wrong_with_a_context_is_said_by_the_call)
{
    place at;
    const char *null = nullptr;
    const encryption_context twice{{"a", "1"}, {"a", "2"}}, broken{{"a", "\xff"}}, absent{{"a", null}};
    check_refused(at.client.try_decrypt(any_key, at.key.blob, twice).error(), KMS_ERR_INVALID_PARAMETER,
                  "EncryptionContext");
    check_refused(at.client.try_decrypt(any_key, at.key.blob, broken).error(), KMS_ERR_INVALID_PARAMETER,
                  "EncryptionContext");
    check_refused(at.client.try_decrypt(any_key, at.key.blob, absent).error(), KMS_ERR_INVALID_ARGUMENT,
                  "");
    check_refused(
        at.client.try_re_encrypt(any_key, at.key.blob, {{"table", "orders"}}, at.cmk, twice).error(),
        KMS_ERR_INVALID_PARAMETER, "EncryptionContext");
    // JSON is the library's to judge.
    CHECK(encryption_context("no JSON").status() == KMS_OK);
    check_refused(at.client.try_decrypt(any_key, at.key.blob, "no JSON").error(),
                  KMS_ERR_INVALID_PARAMETER, "EncryptionContext");
}

TEST(a_request_is_a_form)
{
    using kmsbox::request;
    CHECK(request("CreateAlias").set("KeyId", "a b").set("AliasName", "alias/ö&=%+~").view() ==
          "Action=CreateAlias&KeyId=a%20b&AliasName=alias%2F%C3%B6%26%3D%25%2B~"sv);
    request numbers("X");
    numbers.set("A", 0).set("B", -12).set("C", true).set("D", 18446744073709551615ULL);
    CHECK(numbers.view() == "Action=X&A=0&B=-12&C=true&D=18446744073709551615"sv);
    const std::string large(100000, 'v');
    request longer = request("X").set("V", large);
    request moved = std::move(longer);
    CHECK(moved.view().size() == large.size() + 11 && longer.view().empty());
    moved.set("W", "w");
    CHECK(moved.view().substr(moved.view().size() - 4) == "&W=w"sv);
    CHECK(moved.c_str()[moved.view().size()] == 0);
    // Not a reference to one that is gone.
    const request &kept = request("X").set("A", "b").set("C", 1);
    CHECK(kept.view() == "Action=X&A=b&C=1"sv);
}

TEST(a_request_that_was_moved_from_is_refused)
{
    place at;
    kmsbox::request request("ListKeys");
    const kmsbox::request taken = std::move(request);
    CHECK(at.client.try_call(taken).has_value());
    check_refused(at.client.try_call(request).error(), KMS_ERR_MISSING_PARAMETER, "request");
}

TEST(inline_texts_are_cut_at_their_room)
{
    const kmsbox::inline_text<4> cut("abcdef"sv);
    CHECK(cut == "abc" && cut != "abcd" && cut.str() == "abc" && std::string_view(cut.c_str()) == "abc");
    CHECK("abc" == cut && "abcd"sv != cut && cut == "abc"s && cut == kmsbox::inline_text<4>("abc"sv) &&
          cut != kmsbox::inline_text<4>());
    CHECK(kmsbox::inline_text<4>().empty());
    CHECK(kmsbox::inline_text<4>("aö"sv) == "aö" && kmsbox::inline_text<4>("abö"sv) == "ab");
    CHECK(kmsbox::inline_text<4>("ab"sv).append("cd") == "abc");
}
