// Bytes and numbers: on their way in, and the room for those that come out.

#ifndef KMSBOX_BYTES_HPP
#define KMSBOX_BYTES_HPP

#include <kmsbox.h>
#include <kmsbox.h>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <type_traits>
#include <utility>
#if defined(__has_include)
#if __has_include(<version>)
#include <version>
#endif
#endif
#if defined(__cpp_lib_span)
#include <span>
#endif

namespace kmsbox {

namespace detail {

template <class T>
inline constexpr bool is_byte =
    std::is_same_v<std::remove_cv_t<T>, unsigned char> || std::is_same_v<std::remove_cv_t<T>, char> ||
    std::is_same_v<std::remove_cv_t<T>, std::byte>;

/** What a container or an array holds one after the other, const where it may not be written. */
template <class C>
using element_of = std::remove_pointer_t<decltype(std::data(std::declval<C &>()))>;

template <class C, class = void>
inline constexpr bool holds_bytes = false;
template <class C>
inline constexpr bool
    holds_bytes<C, std::void_t<element_of<C>, decltype(std::size(std::declval<C &>()))>> =
        is_byte<element_of<C>>;

template <class C, class T, class = void>
inline constexpr bool holds = false;
template <class C, class T>
inline constexpr bool holds<C, T, std::void_t<element_of<C>, decltype(std::size(std::declval<C &>()))>> =
    std::is_convertible_v<element_of<C> (*)[], T (*)[]>;

} // namespace detail

/** Bytes on their way in: borrowed, for the length of a call. */
class bytes_view {
public:
    constexpr bytes_view() noexcept = default;
    bytes_view(const void *data, std::size_t size) noexcept
        : data_(static_cast<const std::uint8_t *>(data)), size_(size)
    {
    }
    /** An array, a vector, a string, a span, a secret, a blob. */
    template <class C, class = std::enable_if_t<detail::holds_bytes<const C>>>
    bytes_view(const C &bytes) noexcept : bytes_view(std::data(bytes), std::size(bytes))
    {
    }
    /** A literal has a NUL at its end that nobody sees: write std::string_view("...") for its
     *  characters, or a pointer and a length for a whole array of char. */
    template <std::size_t N>
    bytes_view(const char (&)[N]) = delete;

    constexpr const std::uint8_t *data() const noexcept { return data_; }
    constexpr std::size_t size() const noexcept { return size_; }
    constexpr bool empty() const noexcept { return size_ == 0; }
    constexpr const std::uint8_t *begin() const noexcept { return data_; }
    constexpr const std::uint8_t *end() const noexcept { return data_ + size_; }

private:
    const std::uint8_t *data_ = nullptr;
    std::size_t size_ = 0;
};

/** Room of the caller's that a call writes to. An empty one asks for the size: the refusal,
 *  KMS_ERR_BUFFER_TOO_SMALL, tells it. */
class bytes_out {
public:
    constexpr bytes_out() noexcept = default;
    bytes_out(void *data, std::size_t size) noexcept
        : data_(static_cast<std::uint8_t *>(data)), size_(size)
    {
    }
    /** All of an array, a vector, a string, a span or a secret. */
    template <class C, class = std::enable_if_t<detail::holds_bytes<C> &&
                                                !std::is_const_v<detail::element_of<C>>>>
    bytes_out(C &room) noexcept : bytes_out(std::data(room), std::size(room))
    {
    }
#if defined(__cpp_lib_span)
    template <class T, std::size_t Extent,
              class = std::enable_if_t<detail::is_byte<T> && !std::is_const_v<T>>>
    bytes_out(std::span<T, Extent> room) noexcept : bytes_out(room.data(), room.size())
    {
    }
#endif

    constexpr std::uint8_t *data() const noexcept { return data_; }
    constexpr std::size_t size() const noexcept { return size_; }

private:
    std::uint8_t *data_ = nullptr;
    std::size_t size_ = 0;
};

/** Numbers that lie one after the other: an array, a vector, a std::span; read where `T` is const. */
template <class T>
class numbers {
public:
    constexpr numbers(T *data, std::size_t size) noexcept : data_(data), size_(size) {}
    template <class C, class = std::enable_if_t<detail::holds<C, T>>>
    constexpr numbers(C &&from) noexcept : data_(std::data(from)), size_(std::size(from))
    {
    }
    constexpr T *data() const noexcept { return data_; }
    constexpr std::size_t size() const noexcept { return size_; }

private:
    T *data_;
    std::size_t size_;
};

/** Overwrites with zeros, in a way that no compiler leaves out. */
inline void zeroize(bytes_out bytes) noexcept { kms_zeroize(bytes.data(), bytes.size()); }

} // namespace kmsbox

#endif // KMSBOX_BYTES_HPP
