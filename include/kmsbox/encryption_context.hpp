// Encryption contexts.

#ifndef KMSBOX_ENCRYPTION_CONTEXT_HPP
#define KMSBOX_ENCRYPTION_CONTEXT_HPP

#include "arguments.hpp"

#include <cstddef>
#include <cstring>
#include <initializer_list>
#include <iterator>
#include <string_view>
#include <type_traits>
#include <utility>

namespace kmsbox {

namespace detail {

template <class Range, class = void>
inline constexpr bool holds_pairs = false;
template <class Range>
inline constexpr bool
    holds_pairs<Range, std::void_t<decltype(text(std::begin(std::declval<const Range &>())->first)),
                                   decltype(text(std::begin(std::declval<const Range &>())->second))>> =
        true;

} // namespace detail

/** An encryption context: pairs of texts that are bound to a blob and not stored in it. No secret.
 *
 *  Made of pairs, `{{"table", "orders"}}` or a map, or of JSON that is at hand; `{}` is the empty
 *  one. Make one once and use it for many calls: none of them copies it, and any number of threads
 *  may share it. What is wrong with it (a pair twice, a NUL, over 8192 characters) is refused with
 *  KMS_ERR_INVALID_PARAMETER by each call that it is given to; JSON is not looked at before. */
class encryption_context {
public:
    encryption_context() noexcept = default;
    encryption_context(std::initializer_list<std::pair<text, text>> pairs) noexcept { of_pairs(pairs); }
    /** A map, or any other range of pairs of texts; it is gone through twice. */
    template <class Range,
              class = std::enable_if_t<detail::holds_pairs<Range> &&
                                       !std::is_convertible_v<const Range &, text>>,
              class = void>
    encryption_context(const Range &pairs) noexcept
    {
        of_pairs(pairs);
    }
    /** A JSON object of strings. */
    template <class T, class = std::enable_if_t<std::is_convertible_v<const T &, text>>>
    encryption_context(const T &json) noexcept
    {
        const text from(json);
        if (!from.is_null()) of_json(from.view());
    }
    encryption_context(const encryption_context &other) noexcept { copy(other); }
    encryption_context &operator=(const encryption_context &other) noexcept
    {
        if (this != &other) copy(other);
        return *this;
    }

    /** Its JSON; empty where there is none, or where it is not usable. */
    std::string_view json() const noexcept
    {
        return c_str() == nullptr ? std::string_view() : std::string_view(json_.data(), size_);
    }
    /** The JSON, NUL-terminated; NULL where there is none. */
    const char *c_str() const noexcept { return given_ && usable() ? json_.data() : nullptr; }
    /** KMS_OK, or why calls will refuse it. */
    kms_status status() const noexcept { return status_; }
    bool usable() const noexcept { return status_ == KMS_OK; }
    /** The error of the calls that refuse it. */
    error refused() const noexcept
    {
        if (status_ != KMS_ERR_INVALID_PARAMETER) return detail::refusal(status_, {});
        return detail::refusal(status_,
                               {"The specified parameter \"EncryptionContext\" is not valid.", why_});
    }

private:
    static constexpr std::size_t usual = 512;

    void of_json(std::string_view json) noexcept
    {
        if (detail::has_nul(json)) return refuse(KMS_ERR_INVALID_PARAMETER, " It holds a NUL.");
        char *copy = json_.room(json.size() + 1);
        if (copy == nullptr) return refuse(KMS_ERR_NO_MEMORY, "");
        if (!json.empty()) std::memcpy(copy, json.data(), json.size());
        copy[json.size()] = 0;
        size_ = json.size();
        given_ = true;
    }

    template <class Range>
    void of_pairs(const Range &pairs) noexcept
    {
        std::size_t count = 0;
        std::size_t room = 0;
        for (const auto &[key, value] : pairs) {
            const text texts[] = {text(key), text(value)};
            for (const text &each : texts) {
                if (each.is_null()) return refuse(KMS_ERR_INVALID_ARGUMENT, "");
                if (detail::has_nul(each.view()))
                    return refuse(KMS_ERR_INVALID_PARAMETER, " It holds a NUL.");
                room += each.view().size() + 1;
            }
            ++count;
        }
        detail::buffer<char, usual> copies;
        detail::buffer<const char *, 32> pointers;
        char *copy = copies.room(room);
        const char **pointer = pointers.room(2 * count);
        if (copy == nullptr || pointer == nullptr) return refuse(KMS_ERR_NO_MEMORY, "");
        const char *const *const last = pointer + 2 * count;
        for (const auto &[key, value] : pairs) {
            for (const std::string_view each : {text(key).view(), text(value).view()}) {
                // A range that is another one when it is gone through again.
                if (pointer == last || each.size() >= room) return refuse(KMS_ERR_INVALID_ARGUMENT, "");
                *pointer++ = copy;
                if (!each.empty()) std::memcpy(copy, each.data(), each.size());
                copy += each.size();
                *copy++ = 0;
                room -= each.size() + 1;
            }
        }
        if (pointer != last) return refuse(KMS_ERR_INVALID_ARGUMENT, "");
        build(pointers.data(), count);
    }

    void build(const char *const *pairs, std::size_t count) noexcept
    {
        kms_status status = kms_encryption_context(pairs, count, json_.room(usual), usual, &size_);
        if (status == KMS_ERR_BUFFER_TOO_SMALL) {
            const std::size_t needed = size_;
            char *json = json_.room(needed);
            if (json == nullptr) return refuse(KMS_ERR_NO_MEMORY, "");
            status = kms_encryption_context(pairs, count, json, needed, &size_);
        }
        if (status != KMS_OK)
            return refuse(status,
                          " A key is there twice, a text is not UTF-8, or it is longer than 8192 "
                          "characters.");
        given_ = true;
    }

    void copy(const encryption_context &other) noexcept
    {
        given_ = false;
        size_ = 0;
        status_ = other.status_;
        why_ = other.why_;
        if (other.given_) of_json(other.json());
    }

    void refuse(kms_status status, std::string_view why) noexcept
    {
        status_ = status;
        why_ = why;
    }

    bool given_ = false;
    kms_status status_ = KMS_OK;
    std::string_view why_; // a literal
    std::size_t size_ = 0;
    detail::buffer<char, usual> json_;
};

} // namespace kmsbox

#endif // KMSBOX_ENCRYPTION_CONTEXT_HPP
