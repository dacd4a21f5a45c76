// A function of the host as the audit log.
#include "check.hpp"

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

static kmsbox::client audited(kmsbox::audit_function function)
{
    kmsbox::options options = memory_options();
    options.set_audit(std::move(function));
    return kmsbox::client(options);
}

TEST(the_function_is_told_of_each_operation)
{
    std::vector<std::string> lines;
    const kmsbox::client client = audited([&](std::string_view line) {
        lines.emplace_back(line);
        return true;
    });
    const kmsbox::uuid cmk = create_key(client);
    const kmsbox::data_key made = client.generate_data_key(cmk, kmsbox::aes_256, {});
    CHECK(lines.size() == 3);
    CHECK(lines[2].find("GenerateDataKey") != std::string::npos && lines[2].back() == '\n');
    CHECK(lines[2].find(made.request_id.view()) != std::string::npos);
}

TEST(what_is_not_kept_does_not_happen)
{
    int answer = 0;
    const kmsbox::client client = audited([&](std::string_view) {
        if (answer == 1) throw std::runtime_error("the log is full");
        if (answer == 2) throw 7;
        return answer == 0;
    });
    const kmsbox::uuid cmk = create_key(client);
    kmsbox::secret_array<32> key;
    kmsbox::data_key_blob blob;
    client.generate_data_key(cmk, {}, key, blob);
    for (answer = 1; answer <= 3; ++answer) {
        check_refused(client.try_decrypt(cmk, blob, {}, key).error(), KMS_ERR_AUDIT_FAILED, "");
        CHECK(key[0] == 0 && key[31] == 0);
    }
    answer = 0;
    client.decrypt(cmk, blob, {}, key);
}

TEST(the_function_lives_as_long_as_it_may_be_called)
{
    const auto token = std::make_shared<int>(0);
    const auto take = [token](std::string_view) {
        return ++*token > 0;
    };
    {
        kmsbox::client client;
        {
            kmsbox::options options = memory_options();
            options.set_audit(take);
            client = kmsbox::client(options);
            // Other options from here on; the client keeps its own.
            options.set_audit([](std::string_view) { return false; });
        }
        CHECK(token.use_count() == 3);
        create_key(client);
        CHECK(*token == 2);
        kmsbox::client moved = std::move(client);
        create_key(moved);
        CHECK(*token == 4 && token.use_count() == 3);
        client = memory_client();
        CHECK(token.use_count() == 3);
    }
    CHECK(token.use_count() == 2);
}

TEST(no_function_is_no_log)
{
    kmsbox::options options = memory_options();
    options.set_audit([](std::string_view) { return false; });
    options.set_audit(nullptr);
    const kmsbox::client client(options);
    create_key(client);
    CHECK(client.describe().view().find("\"Audited\":false") != std::string_view::npos);
}

TEST(many_threads_tell_at_once)
{
    std::atomic<int> lines{0};
    const kmsbox::client client = audited([&](std::string_view) {
        if (++lines % 3 == 0) throw 1;
        return true;
    });
    kmsbox::result<kmsbox::document> first = client.try_call("Action=CreateKey");
    CHECK(first.has_value());
    lines = 0;
    std::atomic<int> made{0}, refused{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
            for (int j = 0; j < 30; ++j) {
                const auto key = client.try_generate_data_key(first->key_id, kmsbox::aes_256, {});
                ++(key ? made : refused);
                CHECK(key || key.status() == KMS_ERR_AUDIT_FAILED);
            }
        });
    for (std::thread &each : threads) each.join();
    CHECK(made == 80 && refused == 40 && lines == 120);
}
