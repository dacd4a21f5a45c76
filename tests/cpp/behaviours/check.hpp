// What the tests of kmsbox.hpp share: checks that say where they fail, and a keystore to work with.
#pragma once

#include <kmsbox.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>

#define CHECK(holds) ((holds) ? void() : check_failed(__FILE__, __LINE__, #holds))

[[noreturn]] inline void check_failed(const char *file, int line, const char *what)
{
    std::printf("%s:%d: this does not hold: %s\n", file, line, what);
    std::fflush(stdout);
    std::_Exit(1);
}

/** A test, run by main() and named there as it is here. */
struct test {
    test(const char *its_name, void (*its_body)()) : name(its_name), body(its_body), next(first)
    {
        first = this;
    }
    const char *name;
    void (*body)();
    test *next;
    static inline test *first = nullptr;
};

#define TEST(name)                                                                                      \
    static void name();                                                                                 \
    static const test test_##name(#name, &name);                                                        \
    static void name()

inline kmsbox::options memory_options()
{
    kmsbox::options options;
    const unsigned char root_key[KMS_ROOT_KEY_LEN] = {0x42};
    CHECK(options.try_set("keystore", "memory:").has_value());
    CHECK(options.try_set_root_key(root_key).has_value());
    return options;
}

inline kmsbox::client memory_client()
{
    kmsbox::result<kmsbox::client> client = kmsbox::client::try_open(memory_options());
    CHECK(client.has_value());
    return *std::move(client);
}

inline kmsbox::uuid create_key(const kmsbox::client &client)
{
    const kmsbox::result<kmsbox::document> made = client.try_call("Action=CreateKey");
    CHECK(made.has_value());
    return made->key_id;
}

/** Of these statuses each, and said as the library says it. */
inline void check_refused(const kmsbox::error &error, kms_status status, std::string_view part)
{
    const bool as_expected =
        error.status == status && error.message.view().find(part) != std::string_view::npos;
    if (!as_expected) std::printf("%s: %s\n", kms_status_name(error.status), error.message.c_str());
    CHECK(as_expected);
    CHECK(error.request_id.view().size() == 36);
    CHECK(error.http_status >= 400);
    CHECK(!error.code.empty());
}
