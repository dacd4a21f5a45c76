// Text: on its way in, and held in place.

#ifndef KMSBOX_TEXT_HPP
#define KMSBOX_TEXT_HPP

#if __cplusplus < 201703L && !(defined(_MSVC_LANG) && _MSVC_LANG >= 201703L)
#error "kmsbox.hpp needs C++17"
#endif

#include <kmsbox.h>
#include <kmsbox.h>

#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

namespace kmsbox {

/** Text of a bounded length, held in place: an id, a code, a sentence. Its value outlives the
 *  answer it was read from. `Room` counts the NUL. */
template <std::size_t Room>
class inline_text {
public:
    inline_text() noexcept = default;
    /** As much of the text as there is room for. */
    explicit inline_text(std::string_view text) noexcept { append(text); }
    /** As much of the text as there is still room for: no part of a character of UTF-8. */
    inline_text &append(std::string_view text) noexcept
    {
        const std::size_t used = view().size(), room = Room - 1 - used;
        std::size_t size = text.size() < room ? text.size() : room;
        while (size > 0 && size < text.size() && (text[size] & 0xC0) == 0x80) --size;
        if (size > 0) std::memcpy(text_ + used, text.data(), size);
        return *this;
    }
    const char *c_str() const noexcept { return text_; }
    std::string_view view() const noexcept { return text_; }
    operator std::string_view() const noexcept { return text_; }
    std::string str() const { return text_; }
    bool empty() const noexcept { return *text_ == 0; }

    // The first pair is for C++20, which would find the second in two ways for two of these.
    friend bool operator==(const inline_text &a, const inline_text &b) noexcept
    {
        return a.view() == b.view();
    }
    friend bool operator!=(const inline_text &a, const inline_text &b) noexcept
    {
        return a.view() != b.view();
    }
    friend bool operator==(const inline_text &a, std::string_view b) noexcept { return a.view() == b; }
    friend bool operator!=(const inline_text &a, std::string_view b) noexcept { return a.view() != b; }
    friend bool operator==(std::string_view a, const inline_text &b) noexcept { return a == b.view(); }
    friend bool operator!=(std::string_view a, const inline_text &b) noexcept { return a != b.view(); }

private:
    char text_[Room] = {};
};

/** To any stream that takes a std::string_view. */
template <class Stream, std::size_t Room>
auto operator<<(Stream &out, const inline_text<Room> &text) -> decltype(out << text.view())
{
    return out << text.view();
}

/** A lower-case UUID, or empty. */
using uuid = inline_text<64>;

/** Text on its way in: borrowed, for the length of a call. */
class text {
public:
    constexpr text() noexcept = default;
    constexpr text(std::string_view view) noexcept : view_(view) {}
    /** NULL stands for no text: where text is required it is refused as missing. */
    constexpr text(const char *c_str) noexcept
        : view_(c_str == nullptr ? std::string_view() : std::string_view(c_str)), null_(c_str == nullptr)
    {
    }
    constexpr text(std::nullptr_t) = delete;
    /** Whatever else says that it is a std::string_view. */
    template <class T, class = std::enable_if_t<std::is_convertible_v<const T &, std::string_view> &&
                                                !std::is_convertible_v<const T &, const char *>>>
    constexpr text(const T &other) noexcept : view_(other)
    {
    }
    constexpr std::string_view view() const noexcept { return view_; }
    constexpr bool is_null() const noexcept { return null_; }

private:
    std::string_view view_;
    bool null_ = false;
};

} // namespace kmsbox

#endif // KMSBOX_TEXT_HPP
