// Which data key is to be made, and under which CMK a blob must be.

#ifndef KMSBOX_KEYS_HPP
#define KMSBOX_KEYS_HPP

#include "text.hpp"

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace kmsbox {

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
 *  move), or any_key. Empty text is refused with KMS_ERR_MISSING_PARAMETER; it never means any. The text
 *  is borrowed, as by kmsbox::text. */
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

} // namespace kmsbox

#endif // KMSBOX_KEYS_HPP
