// CiphertextBlobs, held in place.

#ifndef KMSBOX_BLOB_HPP
#define KMSBOX_BLOB_HPP

#include "bytes.hpp"

namespace kmsbox {

/** The length of the blob of so many bytes, 1 to KMS_PLAINTEXT_MAX; 0 for any other number. */
inline std::size_t ciphertext_blob_len(std::size_t plaintext_size) noexcept
{
    return kms_ciphertext_blob_len(plaintext_size);
}

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

} // namespace kmsbox

#endif // KMSBOX_BLOB_HPP
