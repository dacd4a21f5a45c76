// The list of cases as it is written, and the encodings in it: nothing here knows kmsbox.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using bytes = std::vector<std::uint8_t>;
using fields = std::map<std::string, std::string>;

/** The list cannot be read. */
struct bad_list : std::runtime_error {
    using std::runtime_error::runtime_error;
    bad_list(std::size_t line, const std::string &what)
        : runtime_error("line " + std::to_string(line) + ": " + what)
    {
    }
};

/** Names are decoded, values as they are written. In the list's order. */
using words = std::vector<std::pair<std::string, std::string>>;

struct step {
    std::size_t line = 0;
    std::string name;
    words arguments; // without save=
    std::string save;
    std::string status;
    std::string code; // "" for KMS_OK
    words checks;
};

struct test_case {
    std::string name;
    std::vector<step> steps;
};

std::vector<test_case> read_list(const std::string &path);
std::string whole_file(const std::string &path);

/** The value with {NAME.FIELD} replaced and the percent-encoding undone. */
std::string resolved(const std::string &value, const fields &saved, std::size_t line);
std::string percent_decoded(std::string_view text, std::size_t line);
std::string percent_encoded(std::string_view text);

std::string to_hex(const std::uint8_t *data, std::size_t size);
bytes from_hex(std::string_view hex, std::size_t line);
std::string to_base64(const std::uint8_t *data, std::size_t size);
std::optional<bytes> from_base64(std::string_view text);

/** Every text, number, true and false of a JSON document that has a name, in its order; nothing
 *  where the text is no JSON. */
std::optional<words> json_members(std::string_view document);
