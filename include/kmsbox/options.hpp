// What a client is opened with, and the function that takes its audit log.

#ifndef KMSBOX_OPTIONS_HPP
#define KMSBOX_OPTIONS_HPP

#include "arguments.hpp"

#include <functional>
#include <initializer_list>
#include <memory>
#include <string_view>
#include <utility>

namespace kmsbox {

/** Takes one line of the audit log, JSON and a line feed, and says whether it is kept. `false`, or
 *  an exception, makes the operation fail with KMS_ERR_AUDIT_FAILED. It is called by whichever
 *  thread performs an operation, by several at once, and must not call kmsbox, nor be left by
 *  pthread_exit, longjmp or a switch to another context. */
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

} // namespace kmsbox

#endif // KMSBOX_OPTIONS_HPP
