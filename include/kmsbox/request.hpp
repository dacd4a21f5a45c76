// Requests of the API, for client::call.

#ifndef KMSBOX_REQUEST_HPP
#define KMSBOX_REQUEST_HPP

#include "bytes.hpp"
#include "text.hpp"

#include <charconv>
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <string_view>
#include <type_traits>
#include <utility>

namespace kmsbox {

/** One API request: an action and its parameters, encoded as a form. Wiped when it goes, as a
 *  parameter may be a secret. Can be moved, not copied. */
class request {
public:
    explicit request(text action) noexcept { add("Action", action.view()); }
    request(request &&other) noexcept
        : form_(std::move(other.form_)), size_(std::exchange(other.size_, 0)),
          capacity_(std::exchange(other.capacity_, 0)), failed_(other.failed_)
    {
    }
    request &operator=(request &&) = delete;
    ~request() { kms_zeroize(form_.get(), size_); }

    /** Adds a parameter; one that is given twice is refused by the call. */
    request &set(text name, text value) & noexcept
    {
        add(name.view(), value.view());
        return *this;
    }
    request set(text name, text value) && noexcept { return std::move(set(name, value)); }

    /** Adds a number, or a bool as "true" or "false". */
    template <class Integer, class = std::enable_if_t<std::is_integral_v<Integer>>>
    request &set(text name, Integer value) & noexcept
    {
        if constexpr (std::is_same_v<Integer, bool>) {
            add(name.view(), value ? "true" : "false");
        } else {
            static_assert(!detail::is_byte<Integer>, "a character is no number: write text, or int");
            static_assert(sizeof(Integer) <= 8, "a number has at most 64 bits");
            char digits[24];
            const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
            add(name.view(), {digits, static_cast<std::size_t>(end - digits)});
        }
        return *this;
    }
    template <class Integer, class = std::enable_if_t<std::is_integral_v<Integer>>>
    request set(text name, Integer value) && noexcept
    {
        return std::move(set(name, value));
    }

    /** Such as "Action=CreateAlias&AliasName=alias%2Forders"; NULL where there was no memory for
     *  it. */
    const char *c_str() const noexcept { return failed_ ? nullptr : form_.get(); }
    std::string_view view() const noexcept
    {
        return c_str() == nullptr ? std::string_view() : std::string_view(form_.get(), size_);
    }

private:
    friend class client;
    void add(std::string_view name, std::string_view value) noexcept
    {
        if (size_ > 0) put('&');
        encode(name);
        put('=');
        encode(value);
    }
    void encode(std::string_view text) noexcept
    {
        constexpr char digits[] = "0123456789ABCDEF";
        for (const char each : text) {
            const auto byte = static_cast<unsigned char>(each);
            const bool plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                               (byte >= '0' && byte <= '9') || byte == '-' || byte == '_' ||
                               byte == '.' || byte == '~';
            if (plain) {
                put(each);
            } else {
                put('%');
                put(digits[byte >> 4]);
                put(digits[byte & 15]);
            }
        }
    }
    void put(char byte) noexcept
    {
        if (size_ + 1 >= capacity_ && !grow()) return;
        form_[size_++] = byte;
        form_[size_] = 0;
    }
    bool grow() noexcept
    {
        const std::size_t capacity = capacity_ == 0 ? 256 : 2 * capacity_;
        std::unique_ptr<char[]> larger(failed_ ? nullptr : new (std::nothrow) char[capacity]);
        failed_ = larger == nullptr;
        if (failed_) return false;
        if (size_ > 0) std::memcpy(larger.get(), form_.get(), size_);
        kms_zeroize(form_.get(), size_);
        form_ = std::move(larger);
        capacity_ = capacity;
        return true;
    }

    std::unique_ptr<char[]> form_;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
    bool failed_ = false;
};

} // namespace kmsbox

#endif // KMSBOX_REQUEST_HPP
