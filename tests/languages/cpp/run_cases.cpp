// The runner for C++: performs the cases of a list through kmsbox.hpp alone.
//
//     run_cases LIST --dir DIR [--load FILE] [--save FILE]
//
// tests/cases/README.md tells the format, what is printed and what the exit statuses mean.
#include "steps.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <set>
#include <string>

// ---- Cases -----------------------------------------------------------------------------------------

static bool is_uuid(const std::string &text)
{
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (std::string(dash ? "-" : "0123456789abcdef").find(text[i]) == std::string::npos)
            return false;
    }
    return text.size() == 36;
}

/** What does not hold; empty where all does. */
static std::string wrong(const step &expected, const outcome &got, const fields &saved,
                         std::set<std::string> &ids)
{
    const std::string_view status = kmsbox::status_name(got.status);
    if (status != expected.status || got.code != expected.code)
        return "expected " + expected.status + " " + expected.code + ", came " + std::string(status) +
               " " + got.code + " (" + got.message + ")";
    if (!got.fault.empty()) return got.fault;
    // Opening and setting an option succeed without an answer.
    if (expected.name != "open" || got.status != KMS_OK) {
        if (!is_uuid(got.request_id)) return "the request id is no lower-case UUID: " + got.request_id;
        if (!ids.insert(got.request_id).second) return "the request id was another step's";
    }
    if (got.message.empty() != (got.status == KMS_OK)) return "a message belongs to each error";
    if ((got.http_status == 200) != (got.status == KMS_OK))
        return "the HTTP status is not that of the answer";
    for (const auto &[name, written] : expected.checks) {
        const std::string wanted = resolved(written, saved, expected.line);
        if (name.rfind("member.", 0) == 0) {
            const std::pair<std::string, std::string> member(name.substr(7), wanted);
            if (std::find(got.members.begin(), got.members.end(), member) == got.members.end())
                return "expected a member " + member.first + " that is " + wanted;
            continue;
        }
        const auto field = got.found.find(name);
        if (field == got.found.end() || field->second != wanted)
            return "expected " + name + " " + wanted + ", came " +
                   (field == got.found.end() ? "none" : field->second);
    }
    return "";
}

static bool run_case(const test_case &made, fields &saved, std::set<std::string> &ids)
{
    kmsbox::client client;
    if (made.steps[0].name != "open") {
        kmsbox::options options;
        options.set("keystore", "memory:").set_root_key(bytes(KMS_ROOT_KEY_LEN, 0x42));
        client = kmsbox::client(options);
    }
    for (const step &each : made.steps) {
        outcome got;
        perform(client, each, saved, got);
        const std::string fault = wrong(each, got, saved, ids);
        if (!fault.empty()) {
            std::cout << "not ok " << made.name << ": line " << each.line << ": " << fault << std::endl;
            return false;
        }
        if (!each.save.empty() && got.status == KMS_OK)
            for (const auto &[name, value] : got.found) saved[each.save + "." + name] = value;
    }
    std::cout << "ok " << made.name << std::endl;
    return true;
}

static bool run_list(const std::string &list, fields given)
{
    const std::vector<test_case> cases = read_list(list);
    for (const test_case &each : cases)
        for (const step &from : each.steps) must_be_known(from);
    const bool shared = given.count("--load") + given.count("--save") > 0;
    fields saved;
    if (given.count("--load") > 0) {
        std::ifstream file(given["--load"]);
        if (!file) throw bad_list(given["--load"] + " cannot be opened");
        for (std::string line; std::getline(file, line);) {
            const std::size_t equals = line.find('=');
            if (equals == line.npos) throw bad_list(line + " is no saved field");
            saved[percent_decoded(line.substr(0, equals), 0)] =
                percent_decoded(line.substr(equals + 1), 0);
        }
    }
    std::set<std::string> ids;
    bool held = true;
    for (const test_case &each : cases) {
        namespace fs = std::filesystem;
        const fs::path dir = shared ? fs::path(given["--dir"]) : fs::path(given["--dir"]) / each.name;
        if (!shared) {
            saved.clear();
            fs::create_directory(dir);
            fs::permissions(dir, fs::perms::owner_all);
        }
        saved["dir"] = dir.string();
        held = run_case(each, saved, ids) && held;
    }
    if (given.count("--save") > 0) {
        saved.erase("dir");
        std::ofstream file(given["--save"]);
        for (const auto &[name, value] : saved) file << name << '=' << percent_encoded(value) << '\n';
        if (!file.flush()) throw bad_list(given["--save"] + " cannot be written");
    }
    return held;
}

int main(int argc, char **argv)
{
    std::string list;
    fields given;
    for (int i = 1; i < argc; ++i) {
        const std::string each = argv[i];
        if (each.rfind("--", 0) != 0 && list.empty())
            list = each;
        else if ((each == "--dir" || each == "--load" || each == "--save") && i + 1 < argc)
            given[each] = argv[++i];
        else
            list.clear(), i = argc;
    }
    if (list.empty() || given.count("--dir") == 0) {
        std::cerr << "usage: run_cases LIST --dir DIR [--load FILE] [--save FILE]\n";
        return 2;
    }
    try {
        return run_list(list, given) ? 0 : 1;
    } catch (const std::exception &error) {
        std::cerr << "run_cases: " << error.what() << '\n';
        return 2;
    }
}
