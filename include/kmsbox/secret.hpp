// Memory for secrets, which wipes itself.

#ifndef KMSBOX_SECRET_HPP
#define KMSBOX_SECRET_HPP

#include "error.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

namespace kmsbox {

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
        secret taken(std::move(other)); // from itself, too
        swap(taken);
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

} // namespace kmsbox

#endif // KMSBOX_SECRET_HPP
