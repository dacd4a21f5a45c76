/*
 * kmsbox for C++17 and later: kmsbox.h with its memory and its errors looked after. Header only; link
 * with libkmsbox.
 *
 *     kmsbox::options options;
 *     options.set("keystore", "/var/lib/db/keystore").set("root_key", "file:/etc/db/root.key");
 *     const kmsbox::client client(options);                              // once per process
 *
 *     const kmsbox::encryption_context context{{"table", "orders"}};     // bound to the blob, not in it
 *     kmsbox::secret_array<32> key;                                      // wiped when it goes
 *     kmsbox::data_key_blob blob;                                        // to be stored
 *     const auto made = client.generate_data_key("alias/orders", context, key, blob);
 *     client.decrypt(made.key_id, blob, context, key);                   // later, by the stored id
 *
 *  1. Every operation has two names. `x` throws kmsbox::exception; `try_x` throws nothing and returns
 *     a result<T>, which holds a T or an error and must be looked at. Without exceptions
 *     (-fno-exceptions) there is only `try_x`. No run-time type information is needed.
 *  2. Statuses are those of kmsbox.h, KMS_OK and KMS_ERR_*; what each function can refuse is said there,
 *     at the C function of its name, and so is what it needs permission for.
 *  3. Text comes in as kmsbox::text: a std::string_view, std::string or `const char *` (NULL is as
 *     empty). It is copied to the stack to be NUL-terminated, and to the heap only where it is
 *     unusually long (320 bytes and more). A NUL inside it is refused with KMS_ERR_INVALID_PARAMETER,
 *     in an option with KMS_ERR_INVALID_OPTION.
 *  4. Bytes come in as bytes_view and go out by bytes_out: arrays, vectors, strings, std::span, or a
 *     pointer and a length. Outputs may not overlap with the blob that is read.
 *  5. Where the caller brings the outputs, nothing of this header allocates. The shorter forms, which
 *     return a data_key or an unwrapped, place the key in locked memory (kmsbox::secret).
 *  6. A failed call leaves no key material: outputs are wiped as kmsbox.h says, and results hold none.
 *  7. A const client may be used by any number of threads at once, and in a forked child. Moving from,
 *     assigning to and destroying one needs exclusive use. What was moved from refuses every call
 *     with KMS_ERR_INVALID_ARGUMENT.
 */

#ifndef KMSBOX_HPP
#define KMSBOX_HPP

#include <kmsbox.h>

#if __cplusplus < 201703L && !(defined(_MSVC_LANG) && _MSVC_LANG >= 201703L)
#error "kmsbox.hpp needs C++17"
#endif

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#if defined(__has_include)
#if __has_include(<version>)
#include <version>
#endif
#endif
#if defined(__cpp_lib_span)
#include <span>
#endif

/** Whether the forms that throw are there; follows the compiler unless it is defined before. */
#ifndef KMSBOX_EXCEPTIONS
#if defined(__cpp_exceptions) || defined(_CPPUNWIND)
#define KMSBOX_EXCEPTIONS 1
#else
#define KMSBOX_EXCEPTIONS 0
#endif
#endif

namespace kmsbox {

// ---------------------------------------------------------------------------------------------------
// Text and bytes

/** Text of a bounded length, held in place: an id, a code, a sentence. Its value outlives the
 *  answer it was read from. `Room` counts the NUL. */
template <std::size_t Room>
class inline_text {
public:
    inline_text() noexcept = default;
    /** As much of the text as there is room for. */
    explicit inline_text(std::string_view text) noexcept
    {
        const std::size_t size = text.size() < Room ? text.size() : Room - 1;
        if (size > 0) std::memcpy(text_, text.data(), size);
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

// ---------------------------------------------------------------------------------------------------
// Errors

/** The name of a status as kmsbox.h spells it, such as "KMS_ERR_DISABLED". Lives for ever. */
inline std::string_view status_name(kms_status status) noexcept { return kms_status_name(status); }

/** A sentence that says what a status means. Lives for ever. */
inline std::string_view status_text(kms_status status) noexcept { return kms_status_text(status); }

/** The version of the library that runs; KMS_VERSION_STRING is the header's. */
inline std::string_view version() noexcept { return kms_version(); }

/** The length of the blob of so many bytes, 1 to KMS_PLAINTEXT_MAX; 0 for any other number. */
inline std::size_t ciphertext_blob_len(std::size_t plaintext_size) noexcept
{
    return kms_ciphertext_blob_len(plaintext_size);
}

/** Overwrites with zeros, in a way that no compiler leaves out. */
inline void zeroize(bytes_out bytes) noexcept { kms_zeroize(bytes.data(), bytes.size()); }

/** Why a call was refused. Holds no key material. */
struct error {
    /** One of KMS_ERR_*; treat one that you do not know as a failure. */
    kms_status status = KMS_OK;
    /** The API's HTTP status for it. */
    int http_status = 0;
    /** The API's code, such as "Forbidden.KeyNotFound". */
    inline_text<64> code;
    /** One sentence for people. */
    inline_text<256> message;
    /** The call's own id, which the audit log has too. */
    uuid request_id;
    /** After KMS_ERR_BUFFER_TOO_SMALL the bytes that are needed for the plaintext, else 0. */
    std::size_t plaintext_size = 0;
    /** After KMS_ERR_BUFFER_TOO_SMALL the bytes that are needed for the blob, else 0. */
    std::size_t blob_size = 0;
};

#if KMSBOX_EXCEPTIONS
/** What the forms that throw throw. Copying it throws nothing and allocates nothing. */
class exception : public std::exception {
public:
    explicit exception(const kmsbox::error &error) noexcept : error_(error)
    {
        for (const std::string_view part :
             {status_name(error.status), std::string_view(" ("), error.code.view(),
              std::string_view("): "), error.message.view()}) {
            const std::size_t room = sizeof what_ - 1 - what_size_;
            const std::size_t size = part.size() < room ? part.size() : room;
            if (size > 0) std::memcpy(what_ + what_size_, part.data(), size);
            what_size_ += size;
        }
    }
    kms_status status() const noexcept { return error_.status; }
    const kmsbox::error &error() const noexcept { return error_; }
    /** Such as "KMS_ERR_DISABLED (Rejected.Disabled): The request was rejected ...". */
    const char *what() const noexcept override { return what_; }

private:
    kmsbox::error error_;
    std::size_t what_size_ = 0;
    char what_[448] = {};
};
#endif

namespace detail {

/** A result was used for what it does not hold: a fault of the program, as a NULL dereferenced. */
template <class T>
T &held(T *value) noexcept
{
    if (value == nullptr) std::abort();
    return *value;
}

} // namespace detail

/** What a try_ form returns: a T, or the error. Looking for the one that is not there aborts. */
template <class T>
class [[nodiscard]] result {
public:
    result(T value) noexcept : state_(std::in_place_index<0>, std::move(value)) {}
    result(const kmsbox::error &error) noexcept : state_(std::in_place_index<1>, error) {}

    explicit operator bool() const noexcept { return has_value(); }
    bool has_value() const noexcept { return state_.index() == 0; }
    /** KMS_OK, or the error's. */
    kms_status status() const noexcept { return has_value() ? KMS_OK : error().status; }
    const kmsbox::error &error() const noexcept { return detail::held(std::get_if<1>(&state_)); }

    T &operator*() & noexcept { return detail::held(std::get_if<0>(&state_)); }
    const T &operator*() const & noexcept { return detail::held(std::get_if<0>(&state_)); }
    T &&operator*() && noexcept { return std::move(**this); }
    T *operator->() noexcept { return &**this; }
    const T *operator->() const noexcept { return &**this; }
#if KMSBOX_EXCEPTIONS
    /** The value; where there is none, the error is thrown. */
    T value() &&
    {
        if (!has_value()) throw exception(error());
        return std::move(**this);
    }
#endif

private:
    std::variant<T, kmsbox::error> state_;
};

/** Of a call that only succeeds or does not. */
template <>
class [[nodiscard]] result<void> {
public:
    result() noexcept = default;
    result(const kmsbox::error &error) noexcept : state_(error) {}

    explicit operator bool() const noexcept { return has_value(); }
    bool has_value() const noexcept { return state_.index() == 0; }
    /** KMS_OK, or the error's. */
    kms_status status() const noexcept { return has_value() ? KMS_OK : error().status; }
    const kmsbox::error &error() const noexcept { return detail::held(std::get_if<1>(&state_)); }
#if KMSBOX_EXCEPTIONS
    /** Throws the error, if there is one. */
    void value() &&
    {
        if (!has_value()) throw exception(error());
    }
#endif

private:
    std::variant<std::monostate, kmsbox::error> state_;
};

namespace detail {

inline error failure(kms_status status, const kms_response &response, std::size_t plaintext_size = 0,
                     std::size_t blob_size = 0) noexcept
{
    error made;
    made.status = status;
    made.http_status = response.http_status;
    made.code = inline_text<64>(response.error_code);
    made.message = inline_text<256>(response.error_message);
    made.request_id = uuid(response.request_id);
    made.plaintext_size = plaintext_size;
    made.blob_size = blob_size;
    return made;
}

/** A refusal of this header's own, in the library's words. `status` is one of those that a caller
 *  of the library can cause by its arguments, or KMS_ERR_NO_MEMORY. */
inline error refusal(kms_status status, std::initializer_list<std::string_view> message) noexcept
{
    kms_response response;
    // Refused for its NULLs; the request id is what is wanted.
    const kms_status ignored = kms_options_set(nullptr, nullptr, nullptr, &response);
    static_cast<void>(ignored);
    char sentence[sizeof response.error_message] = {};
    std::size_t used = 0;
    for (const std::string_view part : message) {
        const std::size_t room = sizeof sentence - 1 - used;
        const std::size_t size = part.size() < room ? part.size() : room;
        if (size > 0) std::memcpy(sentence + used, part.data(), size);
        used += size;
    }
    error made;
    made.status = status;
    made.http_status = status < KMS_ERR_NO_MEMORY ? 400 : 500;
    made.code = inline_text<64>(status < KMS_ERR_NO_MEMORY ? "InvalidParameter" : "InternalFailure");
    made.message = inline_text<256>(used > 0 ? std::string_view(sentence, used) : status_text(status));
    made.request_id = uuid(response.request_id);
    return made;
}

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
    const std::less<const std::uint8_t *> before;
    const bool apart = !before(plaintext.data(), blob.end()) ||
                       !before(blob.data(), plaintext.data() + plaintext.size());
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

// ---------------------------------------------------------------------------------------------------
// Secrets and blobs

/** Bytes of the heap for a secret: zeroed at first, kept out of swap and core dumps where the
 *  system allows, wiped when they go. Can be moved, and copied only by clone(). */
class secret {
public:
    /** Of no bytes. */
    secret() noexcept = default;
    /** Of 1 or more bytes. KMS_ERR_INVALID_ARGUMENT, KMS_ERR_NO_MEMORY. */
    static result<secret> try_make(std::size_t size) noexcept
    {
        void *bytes = nullptr;
        const kms_status status = kms_secret_alloc(size, &bytes);
        if (status != KMS_OK) return detail::refusal(status, {});
        secret made;
        made.bytes_ = static_cast<std::uint8_t *>(bytes);
        made.size_ = size;
        return made;
    }
    secret(secret &&other) noexcept
        : bytes_(std::exchange(other.bytes_, nullptr)), size_(std::exchange(other.size_, 0))
    {
    }
    secret &operator=(secret &&other) noexcept
    {
        secret old(std::move(*this));
        bytes_ = std::exchange(other.bytes_, nullptr);
        size_ = std::exchange(other.size_, 0);
        if (this == &other) swap(old);
        return *this;
    }
    secret(const secret &) = delete;
    secret &operator=(const secret &) = delete;
    ~secret() { kms_secret_free(bytes_); }

    std::uint8_t *data() noexcept { return bytes_; }
    const std::uint8_t *data() const noexcept { return bytes_; }
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    std::uint8_t *begin() noexcept { return bytes_; }
    const std::uint8_t *begin() const noexcept { return bytes_; }
    std::uint8_t *end() noexcept { return bytes_ + size_; }
    const std::uint8_t *end() const noexcept { return bytes_ + size_; }
    std::uint8_t &operator[](std::size_t at) noexcept { return bytes_[at]; }
    const std::uint8_t &operator[](std::size_t at) const noexcept { return bytes_[at]; }

    /** Leaves the first `size` bytes and wipes those after them; longer than before it never gets. */
    void truncate(std::size_t size) noexcept
    {
        if (size >= size_) return;
        kms_zeroize(bytes_ + size, size_ - size);
        size_ = size;
    }
    /** Wipes and frees it now. */
    void reset() noexcept { secret old(std::move(*this)); }
    void swap(secret &other) noexcept
    {
        std::swap(bytes_, other.bytes_);
        std::swap(size_, other.size_);
    }
    /** Another one with the same bytes. */
    result<secret> try_clone() const noexcept
    {
        if (empty()) return secret();
        result<secret> copy = try_make(size_);
        if (copy) std::memcpy(copy->data(), bytes_, size_);
        return copy;
    }
#if KMSBOX_EXCEPTIONS
    explicit secret(std::size_t size) : secret(try_make(size).value()) {}
    [[nodiscard]] secret clone() const { return try_clone().value(); }
#endif

private:
    std::uint8_t *bytes_ = nullptr;
    std::size_t size_ = 0;
};

/** A secret of exactly `Size` bytes where it stands, on the stack or in an object: zeroed at first,
 *  wiped when it goes. Can neither be copied nor moved, so there is never another one to wipe. */
template <std::size_t Size>
class secret_array {
    static_assert(Size > 0, "a secret has at least one byte");

public:
    secret_array() noexcept = default;
    secret_array(const secret_array &) = delete;
    secret_array &operator=(const secret_array &) = delete;
    ~secret_array() { wipe(); }

    std::uint8_t *data() noexcept { return bytes_; }
    const std::uint8_t *data() const noexcept { return bytes_; }
    static constexpr std::size_t size() noexcept { return Size; }
    std::uint8_t *begin() noexcept { return bytes_; }
    const std::uint8_t *begin() const noexcept { return bytes_; }
    std::uint8_t *end() noexcept { return bytes_ + Size; }
    const std::uint8_t *end() const noexcept { return bytes_ + Size; }
    std::uint8_t &operator[](std::size_t at) noexcept { return bytes_[at]; }
    const std::uint8_t &operator[](std::size_t at) const noexcept { return bytes_[at]; }
    void wipe() noexcept { kms_zeroize(bytes_, Size); }

private:
    std::uint8_t bytes_[Size] = {};
};

/** A blob of at most `Room` bytes, held in place. */
template <std::size_t Room>
class inline_blob {
public:
    inline_blob() noexcept = default;

    const std::uint8_t *data() const noexcept { return bytes_; }
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    const std::uint8_t *begin() const noexcept { return bytes_; }
    const std::uint8_t *end() const noexcept { return bytes_ + size_; }
    static constexpr std::size_t capacity() noexcept { return Room; }

    /** All the room, to write to; resize() then says how much of it is the blob. */
    bytes_out room() noexcept { return {bytes_, Room}; }
    /** At most capacity(). */
    void resize(std::size_t size) noexcept { size_ = size < Room ? size : Room; }

private:
    std::size_t size_ = 0;
    std::uint8_t bytes_[Room] = {};
};

/** The CiphertextBlob of a data key: 142 bytes for one of 32. */
using data_key_blob = inline_blob<KMS_DATA_KEY_BLOB_MAX>;

/** Any CiphertextBlob. */
using ciphertext_blob = inline_blob<KMS_CIPHERTEXT_BLOB_MAX>;

// ---------------------------------------------------------------------------------------------------
// What calls are asked

/** Which data key: aes_256, aes_128 or of_bytes(n). */
struct data_key_spec {
    /** One of KMS_KEY_SPEC_*; not looked at where number_of_bytes is given. */
    std::int32_t key_spec = KMS_KEY_SPEC_DEFAULT;
    /** 0: not given; else 1 to KMS_DATA_KEY_MAX. */
    std::uint32_t number_of_bytes = 0;

    /** The length of the key, in bytes; of a spec that is refused, some length. */
    constexpr std::size_t size() const noexcept
    {
        if (number_of_bytes > KMS_DATA_KEY_MAX) return KMS_DATA_KEY_MAX;
        if (number_of_bytes > 0) return number_of_bytes;
        return key_spec == KMS_KEY_SPEC_AES_128 ? 16 : 32;
    }
};

/** 32 bytes. */
inline constexpr data_key_spec aes_256{KMS_KEY_SPEC_AES_256, 0};
/** 16 bytes. */
inline constexpr data_key_spec aes_128{KMS_KEY_SPEC_AES_128, 0};
/** 1 to KMS_DATA_KEY_MAX bytes. */
constexpr data_key_spec of_bytes(std::uint32_t number) noexcept
{
    return {KMS_KEY_SPEC_DEFAULT, number};
}

/** Says that a blob may be under any CMK of the client. */
struct any_key_t {
    explicit any_key_t() = default;
};
inline constexpr any_key_t any_key{};

/** The CMK that a blob must be under: the id that was stored when the blob was made (an alias can
 *  move), or any_key. Empty text is refused with KMS_ERR_MISSING_PARAMETER; it never means any. */
class expected_key_id {
public:
    constexpr expected_key_id(any_key_t) noexcept {}
    template <class T, class = std::enable_if_t<std::is_convertible_v<const T &, text>>>
    constexpr expected_key_id(const T &key_id) noexcept : key_id_(key_id), given_(true)
    {
    }
    constexpr text key_id() const noexcept { return key_id_; }
    constexpr bool given() const noexcept { return given_; }

private:
    text key_id_;
    bool given_ = false;
};

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
    /** A map, or any other range of pairs of texts. */
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
        for (const auto &[key, value] : pairs) {
            for (const std::string_view each : {text(key).view(), text(value).view()}) {
                *pointer++ = copy;
                if (!each.empty()) std::memcpy(copy, each.data(), each.size());
                copy += each.size();
                *copy++ = 0;
            }
        }
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
    request &&set(text name, text value) && noexcept { return std::move(set(name, value)); }

    /** Adds a number, or a bool as "true" or "false". */
    template <class Integer, class = std::enable_if_t<std::is_integral_v<Integer>>>
    request &set(text name, Integer value) & noexcept
    {
        if constexpr (std::is_same_v<Integer, bool>) {
            add(name.view(), value ? "true" : "false");
        } else {
            static_assert(!detail::is_byte<Integer>, "a character is no number: write text, or int");
            char digits[24];
            const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
            add(name.view(), {digits, static_cast<std::size_t>(end - digits)});
        }
        return *this;
    }
    template <class Integer, class = std::enable_if_t<std::is_integral_v<Integer>>>
    request &&set(text name, Integer value) && noexcept
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

// ---------------------------------------------------------------------------------------------------
// What calls answer

/** What every answer says. */
struct answer {
    /** The call's own id, which the audit log has too. */
    uuid request_id;
    /** The CMK's id, never the alias; store it with the blob. Empty where the answer has none. */
    uuid key_id;
    /** The version of the CMK that wrapped or unwrapped; empty where the answer has none. */
    uuid key_version_id;
};

/** How much was written of the caller's room. */
struct written : answer {
    std::size_t size = 0;
};

/** How much was written of the caller's two rooms. */
struct data_key_sizes : answer {
    std::size_t plaintext_size = 0;
    std::size_t blob_size = 0;
};

/** What a blob holds. */
enum class content { bytes = KMS_CONTENT_BYTES, text = KMS_CONTENT_TEXT };

/** What was unwrapped into the caller's room. */
struct opened : answer {
    std::size_t size = 0;
    kmsbox::content content = kmsbox::content::bytes;
};

/** What was unwrapped. */
struct unwrapped : answer {
    secret plaintext;
    kmsbox::content content = kmsbox::content::bytes;
};

/** A data key, as plaintext and wrapped. */
struct data_key : answer {
    secret plaintext;
    data_key_blob blob;
};

/** A data key that nobody has seen yet. */
struct wrapped_data_key : answer {
    data_key_blob blob;
};

/** What was wrapped. */
struct wrapped : answer {
    ciphertext_blob blob;
};

/** A document of the library, JSON or XML, NUL-terminated; wiped and freed when it goes. */
class document : public answer {
public:
    document() noexcept = default;
    document(document &&other) noexcept
        : answer(other), text_(std::exchange(other.text_, nullptr)), size_(std::exchange(other.size_, 0))
    {
    }
    document &operator=(document &&other) noexcept
    {
        if (this != &other) {
            kms_document_free(text_);
            answer::operator=(other);
            text_ = std::exchange(other.text_, nullptr);
            size_ = std::exchange(other.size_, 0);
        }
        return *this;
    }
    document(const document &) = delete;
    document &operator=(const document &) = delete;
    ~document() { kms_document_free(text_); }

    /** Lives as long as the document. */
    std::string_view view() const noexcept
    {
        return text_ == nullptr ? std::string_view() : std::string_view(text_, size_);
    }
    /** The same, NUL-terminated. */
    const char *c_str() const noexcept { return text_ == nullptr ? "" : text_; }

private:
    friend class client;
    char *text_ = nullptr;
    std::size_t size_ = 0;
};

// ---------------------------------------------------------------------------------------------------
// Options and client

/** Takes one line of the audit log, JSON and a line feed, and says whether it is kept. `false`, or
 *  an exception, makes the operation fail with KMS_ERR_AUDIT_FAILED. It is called by whichever
 *  thread performs an operation, by several at once, and must not call kmsbox. */
using audit_function = std::function<bool(std::string_view line)>;

namespace detail {

// The two differ in name as in what they do, so that files compiled with and without exceptions can
// be linked together.
#if KMSBOX_EXCEPTIONS
struct with_exceptions {
    static std::shared_ptr<audit_function> keep(audit_function &&function) noexcept
    {
        try {
            return std::make_shared<audit_function>(std::move(function));
        } catch (...) {
            return nullptr;
        }
    }
    static std::int32_t take(void *function, const char *line, std::size_t size) noexcept
    {
        try {
            return (*static_cast<audit_function *>(function))({line, size}) ? 0 : 1;
        } catch (...) {
            return 1;
        }
    }
};
using exceptions_here = with_exceptions;
#else
struct without_exceptions {
    static std::shared_ptr<audit_function> keep(audit_function &&function) noexcept
    {
        return std::make_shared<audit_function>(std::move(function));
    }
    static std::int32_t take(void *function, const char *line, std::size_t size) noexcept
    {
        return (*static_cast<audit_function *>(function))({line, size}) ? 0 : 1;
    }
};
using exceptions_here = without_exceptions;
#endif

} // namespace detail

/** What a client is told: by name, as kmsbox.h lists them at kms_options_set. */
class options {
public:
    options() noexcept
    {
        const kms_status status = kms_options_new(&options_);
        // Without memory there is no handle, which set() then says.
        static_cast<void>(status);
    }
    options(options &&other) noexcept
        : options_(std::exchange(other.options_, nullptr)), audit_(std::move(other.audit_))
    {
    }
    options &operator=(options &&other) noexcept
    {
        if (this != &other) {
            kms_options_free(options_);
            options_ = std::exchange(other.options_, nullptr);
            audit_ = std::move(other.audit_);
        }
        return *this;
    }
    options(const options &) = delete;
    options &operator=(const options &) = delete;
    ~options() { kms_options_free(options_); }

    /** Sets an option; a later value replaces an earlier one. */
    result<void> try_set(text name, text value) noexcept
    {
        const detail::argument c_name("name", name);
        const detail::argument c_value("value", value);
        if (!detail::usable(c_name, c_value)) return refused(c_name, c_value, name.view());
        kms_response response;
        return outcome(kms_options_set(options_, c_name.c_str(), c_value.c_str(), &response), response);
    }
    /** Gives the root key as KMS_ROOT_KEY_LEN bytes, instead of the option "root_key". It is copied
     *  into locked memory, so wipe yours. */
    result<void> try_set_root_key(bytes_view root_key) noexcept
    {
        kms_response response;
        return outcome(kms_options_set_root_key(options_, root_key.data(), root_key.size(), &response),
                       response);
    }
    /** Has each operation told to a function, instead of the option "audit_log"; an empty one: no
     *  longer. The function lives as long as these options and the clients opened with them. */
    template <class Mode = detail::exceptions_here>
    result<void> try_set_audit(audit_function function) noexcept
    {
        std::shared_ptr<audit_function> kept;
        if (function) {
            kept = Mode::keep(std::move(function));
            if (kept == nullptr) return detail::refusal(KMS_ERR_NO_MEMORY, {});
        }
        kms_response response;
        const kms_status status = kms_options_set_audit_callback(
            options_, kept == nullptr ? nullptr : Mode::take, kept.get(), &response);
        if (status == KMS_OK) audit_ = std::move(kept);
        return outcome(status, response);
    }
#if KMSBOX_EXCEPTIONS
    /** Options at once: `{{"keystore", path}, {"root_key", source}}`. */
    options(std::initializer_list<std::pair<text, text>> values) : options()
    {
        for (const auto &[name, value] : values) set(name, value);
    }
    options &set(text name, text value)
    {
        try_set(name, value).value();
        return *this;
    }
    options &set_root_key(bytes_view root_key)
    {
        try_set_root_key(root_key).value();
        return *this;
    }
    template <class Mode = detail::exceptions_here>
    options &set_audit(audit_function function)
    {
        try_set_audit<Mode>(std::move(function)).value();
        return *this;
    }
#endif
    /** The handle for functions of kmsbox.h; it stays ours. */
    const kms_options *raw() const noexcept { return options_; }

private:
    friend class client;
    static result<void> outcome(kms_status status, const kms_response &response) noexcept
    {
        if (status != KMS_OK) return detail::failure(status, response);
        return {};
    }
    static error refused(const detail::argument &name, const detail::argument &value,
                         std::string_view option) noexcept
    {
        if (name.status() == KMS_ERR_NO_MEMORY || (name.usable() && value.status() == KMS_ERR_NO_MEMORY))
            return detail::refusal(KMS_ERR_NO_MEMORY, {});
        return detail::refusal(KMS_ERR_INVALID_OPTION,
                               {"The option \"", option.substr(0, option.find('\0')),
                                "\" is not valid: its ", name.usable() ? "value" : "name",
                                " holds a NUL."});
    }

    kms_options *options_ = nullptr;
    std::shared_ptr<audit_function> audit_;
};

/** An opened keystore. */
class client {
public:
    /** Of no keystore: refuses every call. */
    client() noexcept = default;
    client(client &&other) noexcept
        : client_(std::exchange(other.client_, nullptr)), audit_(std::move(other.audit_))
    {
    }
    client &operator=(client &&other) noexcept
    {
        if (this != &other) {
            kms_client_free(client_);
            client_ = std::exchange(other.client_, nullptr);
            audit_ = std::move(other.audit_);
        }
        return *this;
    }
    client(const client &) = delete;
    client &operator=(const client &) = delete;
    /** Closes it and wipes its keys. */
    ~client() { kms_client_free(client_); }

    /** Opens a keystore; the options are not needed afterwards. The message of a refusal says which
     *  file or option failed, and why. */
    static result<client> try_open(const options &options) noexcept
    {
        client made;
        kms_response response;
        const kms_status status = kms_client_open(options.options_, &made.client_, &response);
        if (status != KMS_OK) return detail::failure(status, response);
        made.audit_ = options.audit_;
        return made;
    }

    /** Makes a data key into the caller's room: at least spec.size() bytes for the key, which is
     *  yours to wipe, and ciphertext_blob_len of that for the blob. */
    result<data_key_sizes> try_generate_data_key(text key_id, data_key_spec spec,
                                                 const encryption_context &context, bytes_out plaintext,
                                                 bytes_out blob) const noexcept
    {
        const detail::argument id("KeyId", key_id);
        if (!detail::usable(id, context)) {
            detail::wipe(plaintext);
            return detail::refused(id, context);
        }
        data_key_sizes made;
        kms_response response;
        const kms_status status = kms_generate_data_key(
            client_, id.c_str(), spec.key_spec, spec.number_of_bytes, context.c_str(), plaintext.data(),
            plaintext.size(), &made.plaintext_size, blob.data(), blob.size(), &made.blob_size,
            &response);
        if (status != KMS_OK)
            return detail::failure(status, response, made.plaintext_size, made.blob_size);
        return answered(made, response);
    }
    /** Makes a data key that fills an array. */
    template <std::size_t Size>
    result<answer> try_generate_data_key(text key_id, const encryption_context &context,
                                         secret_array<Size> &plaintext,
                                         data_key_blob &blob) const noexcept
    {
        static_assert(Size <= KMS_DATA_KEY_MAX, "a data key is not that long");
        blob.resize(0);
        const result<data_key_sizes> made =
            try_generate_data_key(key_id, of_bytes(Size), context, plaintext, blob.room());
        if (!made) return made.error();
        blob.resize(made->blob_size);
        return answer(*made);
    }
    /** Makes a data key, with the plaintext in locked memory. */
    result<data_key> try_generate_data_key(text key_id, data_key_spec spec,
                                           const encryption_context &context) const noexcept
    {
        result<secret> plaintext = secret::try_make(spec.size());
        if (!plaintext) return plaintext.error();
        data_key key;
        const result<data_key_sizes> made =
            try_generate_data_key(key_id, spec, context, *plaintext, key.blob.room());
        if (!made) return made.error();
        key.plaintext = *std::move(plaintext);
        key.plaintext.truncate(made->plaintext_size);
        key.blob.resize(made->blob_size);
        return with(std::move(key), *made);
    }

    /** Makes a data key that nobody sees yet: only the blob comes out, for a later decrypt. */
    result<written> try_generate_data_key_without_plaintext(text key_id, data_key_spec spec,
                                                            const encryption_context &context,
                                                            bytes_out blob) const noexcept
    {
        const detail::argument id("KeyId", key_id);
        if (!detail::usable(id, context)) return detail::refused(id, context);
        written made;
        kms_response response;
        const kms_status status = kms_generate_data_key_without_plaintext(
            client_, id.c_str(), spec.key_spec, spec.number_of_bytes, context.c_str(), blob.data(),
            blob.size(), &made.size, &response);
        if (status != KMS_OK) return detail::failure(status, response, 0, made.size);
        return answered(made, response);
    }
    result<wrapped_data_key>
    try_generate_data_key_without_plaintext(text key_id, data_key_spec spec,
                                            const encryption_context &context) const noexcept
    {
        wrapped_data_key key;
        const result<written> made =
            try_generate_data_key_without_plaintext(key_id, spec, context, key.blob.room());
        if (!made) return made.error();
        key.blob.resize(made->size);
        return with(std::move(key), *made);
    }

    /** Unwraps a blob into the caller's room: at least the blob's length less
     *  KMS_CIPHERTEXT_BLOB_OVERHEAD. What comes out may be shorter than the room. */
    result<opened> try_decrypt(expected_key_id expected, bytes_view blob,
                               const encryption_context &context, bytes_out plaintext) const noexcept
    {
        const detail::argument id("expected_key_id", expected.key_id(), expected.given());
        if (!detail::usable(id, context)) {
            detail::wipe(plaintext, blob);
            return detail::refused(id, context);
        }
        opened made;
        kms_response response;
        const kms_status status =
            kms_decrypt(client_, id.c_str(), blob.data(), blob.size(), context.c_str(), plaintext.data(),
                        plaintext.size(), &made.size, &response);
        if (status != KMS_OK) return detail::failure(status, response, made.size, 0);
        made.content = static_cast<content>(response.content);
        return answered(made, response);
    }
    /** Unwraps a data key that fills an array. A blob of a longer key is refused with
     *  KMS_ERR_BUFFER_TOO_SMALL, of a shorter one with KMS_ERR_INVALID_PARAMETER: zeros at its end
     *  would weaken it. */
    template <std::size_t Size>
    result<answer> try_decrypt(expected_key_id expected, bytes_view blob,
                               const encryption_context &context,
                               secret_array<Size> &plaintext) const noexcept
    {
        const result<opened> made =
            try_decrypt(expected, blob, context, bytes_out(plaintext.data(), Size));
        if (!made) return made.error();
        if (made->size != Size) {
            plaintext.wipe();
            return detail::refusal(KMS_ERR_INVALID_PARAMETER,
                                   {"The specified parameter \"CiphertextBlob\" is not valid. It holds "
                                    "fewer bytes than the key must have."});
        }
        return answer(*made);
    }
    /** Unwraps a blob into locked memory. */
    result<unwrapped> try_decrypt(expected_key_id expected, bytes_view blob,
                                  const encryption_context &context) const noexcept
    {
        // Whatever is no blob is refused by the library, with some room or other.
        const std::size_t size =
            blob.size() > KMS_CIPHERTEXT_BLOB_OVERHEAD ? blob.size() - KMS_CIPHERTEXT_BLOB_OVERHEAD : 1;
        result<secret> plaintext = secret::try_make(size < KMS_PLAINTEXT_MAX ? size : KMS_PLAINTEXT_MAX);
        if (!plaintext) return plaintext.error();
        const result<opened> made = try_decrypt(expected, blob, context, bytes_out(*plaintext));
        if (!made) return made.error();
        unwrapped key;
        key.plaintext = *std::move(plaintext);
        key.plaintext.truncate(made->size);
        key.content = made->content;
        return with(std::move(key), *made);
    }

    /** Wraps 1 to KMS_PLAINTEXT_MAX bytes that the caller brings, into room for ciphertext_blob_len
     *  of them. */
    result<written> try_encrypt(text key_id, bytes_view plaintext, const encryption_context &context,
                                bytes_out blob) const noexcept
    {
        const detail::argument id("KeyId", key_id);
        if (!detail::usable(id, context)) return detail::refused(id, context);
        written made;
        kms_response response;
        const kms_status status =
            kms_encrypt(client_, id.c_str(), plaintext.data(), plaintext.size(), context.c_str(),
                        blob.data(), blob.size(), &made.size, &response);
        if (status != KMS_OK) return detail::failure(status, response, 0, made.size);
        return answered(made, response);
    }
    result<wrapped> try_encrypt(text key_id, bytes_view plaintext,
                                const encryption_context &context) const noexcept
    {
        wrapped key;
        const result<written> made = try_encrypt(key_id, plaintext, context, key.blob.room());
        if (!made) return made.error();
        key.blob.resize(made->size);
        return with(std::move(key), *made);
    }

    /** Wraps a blob anew, under the primary version of the destination, into room for as many bytes
     *  as the source has. The plaintext never leaves the library. */
    result<written> try_re_encrypt(expected_key_id expected, bytes_view blob,
                                   const encryption_context &source_context, text destination_key_id,
                                   const encryption_context &destination_context,
                                   bytes_out rewrapped) const noexcept
    {
        const detail::argument id("expected_key_id", expected.key_id(), expected.given());
        const detail::argument destination("DestinationKeyId", destination_key_id);
        if (!detail::usable(id, source_context, destination, destination_context))
            return detail::refused(id, source_context, destination, destination_context);
        written made;
        kms_response response;
        const kms_status status = kms_re_encrypt(
            client_, id.c_str(), blob.data(), blob.size(), source_context.c_str(), destination.c_str(),
            destination_context.c_str(), rewrapped.data(), rewrapped.size(), &made.size, &response);
        if (status != KMS_OK) return detail::failure(status, response, 0, made.size);
        return answered(made, response);
    }
    result<wrapped> try_re_encrypt(expected_key_id expected, bytes_view blob,
                                   const encryption_context &source_context, text destination_key_id,
                                   const encryption_context &destination_context) const noexcept
    {
        wrapped key;
        const result<written> made = try_re_encrypt(expected, blob, source_context, destination_key_id,
                                                    destination_context, key.blob.room());
        if (!made) return made.error();
        key.blob.resize(made->size);
        return with(std::move(key), *made);
    }

    /** Makes `count` data keys (1 to KMS_BULK_MAX) of one length, key after key and blob after
     *  blob: room for count * spec.size() and count * ciphertext_blob_len(spec.size()). All are
     *  made or none. */
    result<data_key_sizes> try_generate_data_keys(text key_id, data_key_spec spec,
                                                  const encryption_context &context, std::size_t count,
                                                  bytes_out plaintexts, bytes_out blobs) const noexcept
    {
        const detail::argument id("KeyId", key_id);
        if (!detail::usable(id, context)) {
            detail::wipe(plaintexts);
            return detail::refused(id, context);
        }
        data_key_sizes made;
        kms_response response;
        const kms_status status = kms_generate_data_keys(
            client_, id.c_str(), spec.key_spec, spec.number_of_bytes, context.c_str(), count,
            plaintexts.data(), plaintexts.size(), &made.plaintext_size, blobs.data(), blobs.size(),
            &made.blob_size, &response);
        if (status != KMS_OK)
            return detail::failure(status, response, made.plaintext_size, made.blob_size);
        return answered(made, response);
    }
    /** The same for keys that nobody sees yet. */
    result<written> try_generate_data_keys_without_plaintext(text key_id, data_key_spec spec,
                                                             const encryption_context &context,
                                                             std::size_t count,
                                                             bytes_out blobs) const noexcept
    {
        const detail::argument id("KeyId", key_id);
        if (!detail::usable(id, context)) return detail::refused(id, context);
        written made;
        kms_response response;
        const kms_status status = kms_generate_data_keys(
            client_, id.c_str(), spec.key_spec, spec.number_of_bytes, context.c_str(), count, nullptr, 0,
            nullptr, blobs.data(), blobs.size(), &made.size, &response);
        if (status != KMS_OK) return detail::failure(status, response, 0, made.size);
        return answered(made, response);
    }

    /** Wraps many blobs anew; one that does not open does not stop the rest.
     *
     *  The blobs lie one after the other, each as long as `sizes` says; so do the new ones, which
     *  are as long, with zeros where a blob did not open. `statuses` has room for as many as there
     *  are sizes, and gets each one's. */
    result<written> try_re_encrypt_many(bytes_view blobs, numbers<const std::size_t> sizes,
                                        expected_key_id expected,
                                        const encryption_context &source_context,
                                        text destination_key_id,
                                        const encryption_context &destination_context,
                                        bytes_out rewrapped, numbers<kms_status> statuses) const noexcept
    {
        const detail::argument id("expected_key_id", expected.key_id(), expected.given());
        const detail::argument destination("DestinationKeyId", destination_key_id);
        if (!detail::usable(id, source_context, destination, destination_context))
            return detail::refused(id, source_context, destination, destination_context);
        if (statuses.size() != sizes.size())
            return detail::refusal(KMS_ERR_INVALID_ARGUMENT,
                                   {"There must be as many statuses as there are blobs."});
        // The library reads as many bytes as the sizes add up to.
        std::size_t left = blobs.size();
        for (std::size_t at = 0; at < sizes.size(); ++at) {
            if (sizes.data()[at] > left)
                return detail::refusal(KMS_ERR_INVALID_ARGUMENT,
                                       {"The lengths add up to more than the blobs."});
            left -= sizes.data()[at];
        }
        written made;
        kms_response response;
        const kms_status status = kms_re_encrypt_many(
            client_, blobs.data(), sizes.data(), sizes.size(), id.c_str(), source_context.c_str(),
            destination.c_str(), destination_context.c_str(), rewrapped.data(), rewrapped.size(),
            &made.size, statuses.data(), &response);
        if (status != KMS_OK) return detail::failure(status, response, 0, made.size);
        return answered(made, response);
    }

    /** Performs one API request; every management operation goes through here (docs/api.md lists
     *  them). The document is the documented answer. */
    result<document> try_call(const request &request) const noexcept
    {
        document made;
        const result<answer> answered = try_call(request, made);
        if (!answered) return answered.error();
        return made;
    }
    /** The same of a request that is encoded as a form already. */
    result<document> try_call(text request) const noexcept
    {
        document made;
        const result<answer> answered = try_call(request, made);
        if (!answered) return answered.error();
        return made;
    }
    /** The same, for callers who want the documented error of a refusal, too: `document` has the
     *  one or the other. */
    result<answer> try_call(const request &request, document &document) const noexcept
    {
        if (request.failed_) return detail::refusal(KMS_ERR_NO_MEMORY, {});
        return perform(request.c_str(), document);
    }
    result<answer> try_call(text request, document &document) const noexcept
    {
        detail::argument form("request", request);
        if (!detail::usable(form)) return detail::refused(form);
        const result<answer> made = perform(form.c_str(), document);
        form.wipe();
        return made;
    }

    /** Tells what the client is and how it stands, as JSON for people and monitoring, without a
     *  secret. */
    result<document> try_describe() const noexcept
    {
        document made;
        const kms_status status = kms_client_describe(client_, &made.text_, &made.size_);
        if (status != KMS_OK) return detail::refusal(status, {});
        return made;
    }

    /** Whether there is a keystore: false for what was moved from. */
    explicit operator bool() const noexcept { return client_ != nullptr; }
    /** The handle for functions of kmsbox.h; it stays ours. */
    const kms_client *raw() const noexcept { return client_; }

#if KMSBOX_EXCEPTIONS
    // Each as the try_ form of its name; throws kmsbox::exception.

    explicit client(const options &options) : client(try_open(options).value()) {}

    data_key_sizes generate_data_key(text key_id, data_key_spec spec, const encryption_context &context,
                                     bytes_out plaintext, bytes_out blob) const
    {
        return try_generate_data_key(key_id, spec, context, plaintext, blob).value();
    }
    template <std::size_t Size>
    answer generate_data_key(text key_id, const encryption_context &context,
                             secret_array<Size> &plaintext, data_key_blob &blob) const
    {
        return try_generate_data_key(key_id, context, plaintext, blob).value();
    }
    [[nodiscard]] data_key generate_data_key(text key_id, data_key_spec spec,
                                             const encryption_context &context) const
    {
        return try_generate_data_key(key_id, spec, context).value();
    }
    written generate_data_key_without_plaintext(text key_id, data_key_spec spec,
                                                const encryption_context &context, bytes_out blob) const
    {
        return try_generate_data_key_without_plaintext(key_id, spec, context, blob).value();
    }
    [[nodiscard]] wrapped_data_key
    generate_data_key_without_plaintext(text key_id, data_key_spec spec,
                                        const encryption_context &context) const
    {
        return try_generate_data_key_without_plaintext(key_id, spec, context).value();
    }
    [[nodiscard]] opened decrypt(expected_key_id expected, bytes_view blob,
                                 const encryption_context &context, bytes_out plaintext) const
    {
        return try_decrypt(expected, blob, context, plaintext).value();
    }
    template <std::size_t Size>
    answer decrypt(expected_key_id expected, bytes_view blob, const encryption_context &context,
                   secret_array<Size> &plaintext) const
    {
        return try_decrypt(expected, blob, context, plaintext).value();
    }
    [[nodiscard]] unwrapped decrypt(expected_key_id expected, bytes_view blob,
                                    const encryption_context &context) const
    {
        return try_decrypt(expected, blob, context).value();
    }
    written encrypt(text key_id, bytes_view plaintext, const encryption_context &context,
                    bytes_out blob) const
    {
        return try_encrypt(key_id, plaintext, context, blob).value();
    }
    [[nodiscard]] wrapped encrypt(text key_id, bytes_view plaintext,
                                  const encryption_context &context) const
    {
        return try_encrypt(key_id, plaintext, context).value();
    }
    written re_encrypt(expected_key_id expected, bytes_view blob,
                       const encryption_context &source_context, text destination_key_id,
                       const encryption_context &destination_context, bytes_out rewrapped) const
    {
        return try_re_encrypt(expected, blob, source_context, destination_key_id, destination_context,
                              rewrapped)
            .value();
    }
    [[nodiscard]] wrapped re_encrypt(expected_key_id expected, bytes_view blob,
                                     const encryption_context &source_context, text destination_key_id,
                                     const encryption_context &destination_context) const
    {
        return try_re_encrypt(expected, blob, source_context, destination_key_id, destination_context)
            .value();
    }
    data_key_sizes generate_data_keys(text key_id, data_key_spec spec, const encryption_context &context,
                                      std::size_t count, bytes_out plaintexts, bytes_out blobs) const
    {
        return try_generate_data_keys(key_id, spec, context, count, plaintexts, blobs).value();
    }
    written generate_data_keys_without_plaintext(text key_id, data_key_spec spec,
                                                 const encryption_context &context, std::size_t count,
                                                 bytes_out blobs) const
    {
        return try_generate_data_keys_without_plaintext(key_id, spec, context, count, blobs).value();
    }
    written re_encrypt_many(bytes_view blobs, numbers<const std::size_t> sizes, expected_key_id expected,
                            const encryption_context &source_context, text destination_key_id,
                            const encryption_context &destination_context, bytes_out rewrapped,
                            numbers<kms_status> statuses) const
    {
        return try_re_encrypt_many(blobs, sizes, expected, source_context, destination_key_id,
                                   destination_context, rewrapped, statuses)
            .value();
    }
    document call(const request &request) const { return try_call(request).value(); }
    document call(text request) const { return try_call(request).value(); }
    answer call(const request &request, document &document) const
    {
        return try_call(request, document).value();
    }
    answer call(text request, document &document) const { return try_call(request, document).value(); }
    [[nodiscard]] document describe() const { return try_describe().value(); }
#endif

private:
    /** Puts what every answer says into a base of it. */
    template <class Answer>
    static Answer answered(Answer made, const kms_response &response) noexcept
    {
        made.request_id = uuid(response.request_id);
        made.key_id = uuid(response.key_id);
        made.key_version_id = uuid(response.key_version_id);
        return made;
    }
    template <class Answer>
    static Answer with(Answer made, const answer &from) noexcept
    {
        static_cast<answer &>(made) = from;
        return made;
    }
    result<answer> perform(const char *request, document &made) const noexcept
    {
        document fresh;
        kms_response response;
        const kms_status status = kms_call(client_, request, &fresh.text_, &fresh.size_, &response);
        static_cast<answer &>(fresh) = answered(answer(), response);
        made = std::move(fresh);
        if (status != KMS_OK) return detail::failure(status, response);
        return answer(made);
    }

    kms_client *client_ = nullptr;
    std::shared_ptr<audit_function> audit_; // outlives client_: destroyed after it is freed
};

} // namespace kmsbox

#endif // KMSBOX_HPP
