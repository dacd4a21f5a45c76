// Reads a list of cases, and the encodings in it.
#include "list.hpp"

#include <fstream>
#include <set>
#include <sstream>

// ---- The list --------------------------------------------------------------------------------------

std::string whole_file(const std::string &path)
{
    std::ifstream file(path, std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    if (!file || text.fail()) throw bad_list(path + " cannot be read");
    return text.str();
}

static std::vector<std::string> split(const std::string &text, char at)
{
    std::vector<std::string> parts(1);
    for (const char each : text)
        if (each == at)
            parts.emplace_back();
        else
            parts.back() += each;
    return parts;
}

static void add(words &to, const std::string &word, std::size_t line)
{
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos) throw bad_list(line, word + " is not name=value");
    const std::string name = percent_decoded(word.substr(0, equals), line);
    for (const auto &[other, value] : to)
        if (other == name) throw bad_list(line, name + " is given twice");
    to.emplace_back(name, word.substr(equals + 1));
}

static step read_step(const std::string &text, std::size_t line)
{
    step made;
    made.line = line;
    const std::vector<std::string> all = split(text, ' ');
    std::size_t at = 0;
    const auto next = [&](const char *what) -> const std::string & {
        if (at == all.size()) throw bad_list(line, std::string("there is no ") + what);
        if (all[at].empty())
            throw bad_list(line, "words have one space between them, and none at the end");
        return all[at++];
    };
    made.name = next("step");
    for (std::string word = next("->"); word != "->"; word = next("->"))
        if (word.rfind("save=", 0) == 0)
            made.save = word.substr(5);
        else
            add(made.arguments, word, line);
    made.status = next("status");
    if (made.status != "KMS_OK") {
        made.code = next("API code");
        if (made.code.find('=') != made.code.npos) throw bad_list(line, "there is no API code");
    }
    while (at < all.size()) add(made.checks, next("check"), line);
    return made;
}

std::vector<test_case> read_list(const std::string &path)
{
    std::vector<test_case> cases;
    std::set<std::string> names;
    std::size_t line = 0;
    for (const std::string &text : split(whole_file(path), '\n')) {
        ++line;
        if (text.rfind("case ", 0) == 0) {
            cases.push_back({text.substr(5), {}});
            if (!names.insert(cases.back().name).second) throw bad_list(line, "a case is there twice");
        } else if (!text.empty() && text[0] != '#') {
            if (cases.empty()) throw bad_list(line, "a step before the first case");
            cases.back().steps.push_back(read_step(text, line));
        }
    }
    for (const test_case &each : cases)
        if (each.steps.empty()) throw bad_list(each.name + " has no steps");
    if (cases.empty()) throw bad_list(path + " has no cases");
    return cases;
}

// ---- Encodings -------------------------------------------------------------------------------------

static int hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9') return digit - '0';
    if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

std::string percent_decoded(std::string_view text, std::size_t line)
{
    std::string decoded;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] != '%') {
            decoded += text[at];
            continue;
        }
        const int high = at + 2 < text.size() ? hex_digit(text[at + 1]) : -1;
        const int low = high < 0 ? -1 : hex_digit(text[at + 2]);
        if (low < 0) throw bad_list(line, "a % without two hexadecimal digits");
        decoded += static_cast<char>(high * 16 + low);
        at += 2;
    }
    return decoded;
}

std::string resolved(const std::string &value, const fields &saved, std::size_t line)
{
    std::string text;
    std::size_t at = 0;
    for (std::size_t open = value.find('{'); open != std::string::npos; open = value.find('{', at)) {
        text += percent_decoded(value.substr(at, open - at), line);
        const std::size_t close = value.find('}', open);
        const auto field = close == std::string::npos
                               ? saved.end()
                               : saved.find(value.substr(open + 1, close - open - 1));
        if (field == saved.end()) throw bad_list(line, "nothing was saved that " + value + " names");
        text += field->second;
        at = close + 1;
    }
    return text + percent_decoded(value.substr(at), line);
}

std::string percent_encoded(std::string_view text)
{
    static constexpr std::string_view plain =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    std::string encoded;
    for (const char each : text) {
        const auto byte = static_cast<std::uint8_t>(each);
        encoded += plain.find(each) == plain.npos ? "%" + to_hex(&byte, 1) : std::string(1, each);
    }
    return encoded;
}

std::string to_hex(const std::uint8_t *data, std::size_t size)
{
    std::string hex;
    for (std::size_t i = 0; i < size; ++i) {
        hex += "0123456789abcdef"[data[i] >> 4];
        hex += "0123456789abcdef"[data[i] & 15];
    }
    return hex;
}

bytes from_hex(std::string_view hex, std::size_t line)
{
    bytes made;
    for (std::size_t i = 0; i < hex.size(); i += 2) {
        const int high = hex_digit(hex[i]);
        const int low = i + 1 < hex.size() ? hex_digit(hex[i + 1]) : -1;
        if (high < 0 || low < 0) throw bad_list(line, "these are no bytes in hex: " + std::string(hex));
        made.push_back(static_cast<std::uint8_t>(high * 16 + low));
    }
    return made;
}

static constexpr std::string_view base64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::string to_base64(const std::uint8_t *data, std::size_t size)
{
    std::string text;
    for (std::size_t i = 0; i < size; i += 3) {
        const std::size_t left = size - i;
        const unsigned group = static_cast<unsigned>(data[i]) << 16 |
                               (left > 1 ? static_cast<unsigned>(data[i + 1]) << 8 : 0U) |
                               (left > 2 ? static_cast<unsigned>(data[i + 2]) : 0U);
        text += base64[group >> 18];
        text += base64[group >> 12 & 63];
        text += left > 1 ? base64[group >> 6 & 63] : '=';
        text += left > 2 ? base64[group & 63] : '=';
    }
    return text;
}

std::optional<bytes> from_base64(std::string_view text)
{
    const std::size_t digits = text.find('=') == text.npos ? text.size() : text.find('=');
    if (text.size() % 4 != 0 || text.size() - digits > 2) return {};
    bytes made;
    unsigned group = 0;
    for (std::size_t i = 0; i < digits; ++i) {
        const std::size_t digit = base64.find(text[i]);
        if (digit == base64.npos) return {};
        group = group << 6 | static_cast<unsigned>(digit);
        // The first digit of four completes no byte.
        if (i % 4 != 0) made.push_back(static_cast<std::uint8_t>(group >> (6 - i % 4 * 2) & 255));
    }
    return made;
}

// ---- JSON ------------------------------------------------------------------------------------------

namespace {

struct no_json {};

class reader {
public:
    explicit reader(std::string_view text) : rest_(text) {}

    void value(const std::string *name)
    {
        const char first = peek();
        if (first == '{' || first == '[') return items(first);
        std::string text;
        if (first == '"') {
            text = quoted();
        } else {
            text = rest_.substr(0, rest_.find_first_of(",]} \t\r\n"));
            rest_.remove_prefix(text.size());
            if (text.find_first_not_of("-+.0123456789aeflnrstuE") != text.npos) throw no_json();
        }
        if (name != nullptr && (first == '"' || text != "null")) found.emplace_back(*name, text);
    }
    void end()
    {
        if (rest_.find_first_not_of(" \t\r\n") != rest_.npos) throw no_json();
    }

    words found;

private:
    char peek()
    {
        rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size()));
        if (rest_.empty()) throw no_json();
        return rest_[0];
    }
    char take()
    {
        if (rest_.empty()) throw no_json();
        const char first = rest_[0];
        rest_.remove_prefix(1);
        return first;
    }
    void expect(char wanted)
    {
        if (peek() != wanted) throw no_json();
        take();
    }
    void items(char opening)
    {
        const char closing = opening == '{' ? '}' : ']';
        expect(opening);
        if (peek() == closing) return expect(closing);
        for (;;) {
            std::string name;
            if (opening == '{') {
                name = (peek(), quoted());
                expect(':');
            }
            value(opening == '{' ? &name : nullptr);
            if (peek() != ',') return expect(closing);
            take();
        }
    }
    std::string quoted()
    {
        if (take() != '"') throw no_json();
        std::string text;
        for (char each = take(); each != '"'; each = take())
            if (each == '\\')
                escaped(text);
            else
                text += each;
        return text;
    }
    void escaped(std::string &text)
    {
        static constexpr std::string_view escapes = "\"\\/bfnrt", meant = "\"\\/\b\f\n\r\t";
        const char which = take();
        const std::size_t at = escapes.find(which);
        if (at != escapes.npos) {
            text += meant[at];
            return;
        }
        if (which != 'u') throw no_json();
        unsigned long code = digits();
        if (code >= 0xd800 && code < 0xdc00 && rest_.substr(0, 2) == "\\u") {
            rest_.remove_prefix(2);
            code = 0x10000 + ((code - 0xd800) << 10) + (digits() - 0xdc00);
        }
        const auto put = [&](unsigned long byte) {
            text += static_cast<char>(byte);
        };
        if (code < 0x80) return put(code);
        if (code < 0x800) {
            put(0xc0 | code >> 6);
        } else if (code < 0x10000) {
            put(0xe0 | code >> 12);
            put(0x80 | (code >> 6 & 63));
        } else {
            put(0xf0 | code >> 18);
            put(0x80 | (code >> 12 & 63));
            put(0x80 | (code >> 6 & 63));
        }
        put(0x80 | (code & 63));
    }
    unsigned long digits()
    {
        unsigned long code = 0;
        for (int i = 0; i < 4; ++i) {
            const int digit = hex_digit(take());
            if (digit < 0) throw no_json();
            code = code * 16 + static_cast<unsigned long>(digit);
        }
        return code;
    }

    std::string_view rest_;
};

} // namespace

std::optional<words> json_members(std::string_view document)
{
    try {
        reader reading(document);
        reading.value(nullptr);
        reading.end();
        return std::move(reading.found);
    } catch (const no_json &) {
        return {};
    }
}
