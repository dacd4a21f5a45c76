// What calls answer.

#ifndef KMSBOX_ANSWERS_HPP
#define KMSBOX_ANSWERS_HPP

#include "blob.hpp"
#include "secret.hpp"
#include "text.hpp"

#include <cstddef>
#include <string_view>
#include <utility>

namespace kmsbox {

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

} // namespace kmsbox

#endif // KMSBOX_ANSWERS_HPP
