// How texts are handed to C. For the other headers; programs need none of it.

#ifndef KMSBOX_ARGUMENTS_HPP
#define KMSBOX_ARGUMENTS_HPP

#include "bytes.hpp"
#include "error.hpp"
#include "text.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <string_view>

namespace kmsbox {

namespace detail {

/** Room for `Inline` elements in place; more are on the heap. Nothing throws. */
template <class T, std::size_t Inline>
class buffer {
public:
    buffer() noexcept {}
    buffer(const buffer &) = delete;
    buffer &operator=(const buffer &) = delete;

    /** Room for so many, with nothing of before in it; NULL where there is no memory. */
    T *room(std::size_t count) noexcept
    {
        heap_.reset(count > Inline ? new (std::nothrow) T[count] : nullptr);
        return count > Inline ? heap_.get() : inline_;
    }
    const T *data() const noexcept { return heap_ ? heap_.get() : inline_; }
    T *data() noexcept { return heap_ ? heap_.get() : inline_; }

private:
    std::unique_ptr<T[]> heap_;
    T inline_[Inline]; // not cleared: what is used of it is written first
};

inline bool has_nul(std::string_view text) noexcept
{
    return !text.empty() && std::memchr(text.data(), 0, text.size()) != nullptr;
}

/** A text argument as C takes it. */
class argument {
public:
    argument(const char *name, text from, bool given = true) noexcept : name_(name)
    {
        const std::string_view view = from.view();
        if (!given) return;
        if (has_nul(view)) {
            status_ = KMS_ERR_INVALID_PARAMETER;
            return;
        }
        char *copy = copy_.room(view.size() + 1);
        if (copy == nullptr) {
            status_ = KMS_ERR_NO_MEMORY;
            return;
        }
        if (!view.empty()) std::memcpy(copy, view.data(), view.size());
        copy[view.size()] = 0;
        size_ = view.size();
        c_str_ = copy;
    }
    /** NULL where it is not given. */
    const char *c_str() const noexcept { return c_str_; }
    bool usable() const noexcept { return status_ == KMS_OK; }
    kms_status status() const noexcept { return status_; }
    error refused() const noexcept
    {
        if (status_ == KMS_ERR_NO_MEMORY) return refusal(status_, {});
        return refusal(status_,
                       {"The specified parameter \"", name_, "\" is not valid. It holds a NUL."});
    }
    /** For text that may be secret. */
    void wipe() noexcept { kms_zeroize(copy_.data(), c_str_ == nullptr ? 0 : size_); }

private:
    const char *name_;
    const char *c_str_ = nullptr;
    std::size_t size_ = 0;
    kms_status status_ = KMS_OK;
    buffer<char, 320> copy_; // longer than any key id
};

/** What the library does at a refusal, done at one of this header's own: a room for plaintext keeps
 *  none of before, unless the blob that is read lies there, too. */
inline void wipe(bytes_out plaintext, bytes_view blob = {}) noexcept
{
    const auto room = reinterpret_cast<std::uintptr_t>(plaintext.data());
    const auto read = reinterpret_cast<std::uintptr_t>(blob.data());
    const bool apart = room < read ? read - room >= plaintext.size() : room - read >= blob.size();
    if (apart) kms_zeroize(plaintext.data(), plaintext.size());
}

template <class... Arguments>
bool usable(const Arguments &...arguments) noexcept
{
    return (arguments.usable() && ...);
}

/** The refusal of the first that is not usable. */
template <class First, class... Rest>
error refused(const First &first, const Rest &...rest) noexcept
{
    if constexpr (sizeof...(Rest) > 0)
        if (first.usable()) return refused(rest...);
    return first.refused();
}

} // namespace detail

} // namespace kmsbox

#endif // KMSBOX_ARGUMENTS_HPP
