// Statuses, errors, the exception that carries one, and the result that may be one.

#ifndef KMSBOX_ERROR_HPP
#define KMSBOX_ERROR_HPP

#include "text.hpp"

#include <cstddef>
#include <cstdlib>
#include <exception>
#include <initializer_list>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

/** Whether the forms that throw are there; follows the compiler unless it is defined before. */
#ifndef KMSBOX_EXCEPTIONS
#if defined(__cpp_exceptions) || defined(_CPPUNWIND)
#define KMSBOX_EXCEPTIONS 1
#else
#define KMSBOX_EXCEPTIONS 0
#endif
#endif

namespace kmsbox {

/** The name of a status as kmsbox.h spells it, such as "KMS_ERR_DISABLED". Lives for ever. */
inline std::string_view status_name(kms_status status) noexcept { return kms_status_name(status); }

/** A sentence that says what a status means. Lives for ever. */
inline std::string_view status_text(kms_status status) noexcept { return kms_status_text(status); }

/** The version of the library that runs; KMS_VERSION_STRING is the header's. */
inline std::string_view version() noexcept { return kms_version(); }

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
/** What the forms that throw throw. Copying it throws nothing and allocates nothing. It can be caught
 *  across shared libraries, whatever -fvisibility they are compiled with. */
class [[gnu::visibility("default")]] exception : public std::exception {
public:
    explicit exception(const kmsbox::error &error) noexcept : error_(error)
    {
        what_.append(status_name(error.status)).append(" (").append(error.code.view());
        what_.append("): ").append(error.message.view());
    }
    kms_status status() const noexcept { return error_.status; }
    const kmsbox::error &error() const noexcept { return error_; }
    /** Such as "KMS_ERR_DISABLED (Rejected.Disabled): The request was rejected ...". */
    const char *what() const noexcept override { return what_.c_str(); }

private:
    kmsbox::error error_;
    inline_text<448> what_; // longer than all its parts
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
    result(T &&value) noexcept : state_(std::in_place_index<0>, std::move(value)) {}
    result(const T &value) noexcept(std::is_nothrow_copy_constructible_v<T>)
        : state_(std::in_place_index<0>, value)
    {
    }
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
    error made;
    made.status = status;
    made.http_status = status < KMS_ERR_NO_MEMORY ? 400 : 500;
    made.code = inline_text<64>(status < KMS_ERR_NO_MEMORY ? "InvalidParameter" : "InternalFailure");
    for (const std::string_view part : message) made.message.append(part);
    if (made.message.empty()) made.message.append(status_text(status));
    made.request_id = uuid(response.request_id);
    return made;
}

} // namespace detail

} // namespace kmsbox

#endif // KMSBOX_ERROR_HPP
