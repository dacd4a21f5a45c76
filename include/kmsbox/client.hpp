// The client, which performs all operations.

#ifndef KMSBOX_CLIENT_HPP
#define KMSBOX_CLIENT_HPP

#include "answers.hpp"
#include "encryption_context.hpp"
#include "keys.hpp"
#include "options.hpp"
#include "request.hpp"

#include <memory>
#include <utility>

namespace kmsbox {

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
    static result<client> try_open(const options &options) noexcept;

    /** Makes a data key into the caller's room: at least spec.size() bytes for the key, which is
     *  yours to wipe, and ciphertext_blob_len of that for the blob. */
    result<data_key_sizes> try_generate_data_key(text key_id, data_key_spec spec,
                                                 const encryption_context &context, bytes_out plaintext,
                                                 bytes_out blob) const noexcept;
    /** Makes a data key that fills an array. */
    template <std::size_t Size>
    result<answer> try_generate_data_key(text key_id, const encryption_context &context,
                                         secret_array<Size> &plaintext,
                                         data_key_blob &blob) const noexcept;
    /** Makes a data key, with the plaintext in locked memory. */
    result<data_key> try_generate_data_key(text key_id, data_key_spec spec,
                                           const encryption_context &context) const noexcept;

    /** Makes a data key that nobody sees yet: only the blob comes out, for a later decrypt. */
    result<written> try_generate_data_key_without_plaintext(text key_id, data_key_spec spec,
                                                            const encryption_context &context,
                                                            bytes_out blob) const noexcept;
    result<wrapped_data_key>
    try_generate_data_key_without_plaintext(text key_id, data_key_spec spec,
                                            const encryption_context &context) const noexcept;

    /** Unwraps a blob into the caller's room: at least the blob's length less
     *  KMS_CIPHERTEXT_BLOB_OVERHEAD. What comes out may be shorter than the room. */
    result<opened> try_decrypt(expected_key_id expected, bytes_view blob,
                               const encryption_context &context, bytes_out plaintext) const noexcept;
    /** Unwraps a data key that fills an array. A blob of a longer key is refused with
     *  KMS_ERR_BUFFER_TOO_SMALL, of a shorter one with KMS_ERR_INVALID_PARAMETER: zeros at its end
     *  would weaken it. */
    template <std::size_t Size>
    result<answer> try_decrypt(expected_key_id expected, bytes_view blob,
                               const encryption_context &context,
                               secret_array<Size> &plaintext) const noexcept;
    /** Unwraps a blob into locked memory. */
    result<unwrapped> try_decrypt(expected_key_id expected, bytes_view blob,
                                  const encryption_context &context) const noexcept;

    /** Wraps 1 to KMS_PLAINTEXT_MAX bytes that the caller brings, into room for ciphertext_blob_len
     *  of them. */
    result<written> try_encrypt(text key_id, bytes_view plaintext, const encryption_context &context,
                                bytes_out blob) const noexcept;
    result<wrapped> try_encrypt(text key_id, bytes_view plaintext,
                                const encryption_context &context) const noexcept;

    /** Wraps a blob anew, under the primary version of the destination, into room for as many bytes
     *  as the source has. The plaintext never leaves the library. */
    result<written> try_re_encrypt(expected_key_id expected, bytes_view blob,
                                   const encryption_context &source_context, text destination_key_id,
                                   const encryption_context &destination_context,
                                   bytes_out rewrapped) const noexcept;
    result<wrapped> try_re_encrypt(expected_key_id expected, bytes_view blob,
                                   const encryption_context &source_context, text destination_key_id,
                                   const encryption_context &destination_context) const noexcept;

    /** Makes `count` data keys (1 to KMS_BULK_MAX) of one length, key after key and blob after
     *  blob: room for count * spec.size() and count * ciphertext_blob_len(spec.size()). All are
     *  made or none. */
    result<data_key_sizes> try_generate_data_keys(text key_id, data_key_spec spec,
                                                  const encryption_context &context, std::size_t count,
                                                  bytes_out plaintexts, bytes_out blobs) const noexcept;
    /** The same for keys that nobody sees yet. */
    result<written> try_generate_data_keys_without_plaintext(text key_id, data_key_spec spec,
                                                             const encryption_context &context,
                                                             std::size_t count,
                                                             bytes_out blobs) const noexcept;

    /** Wraps many blobs anew; one that does not open does not stop the rest.
     *
     *  The blobs lie one after the other, each as long as `sizes` says; so do the new ones, which
     *  are as long, with zeros where a blob did not open. `statuses` has room for as many as there
     *  are sizes, and gets each one's. What is in `blobs` after them is not looked at. */
    result<written> try_re_encrypt_many(bytes_view blobs, numbers<const std::size_t> sizes,
                                        expected_key_id expected,
                                        const encryption_context &source_context,
                                        text destination_key_id,
                                        const encryption_context &destination_context,
                                        bytes_out rewrapped, numbers<kms_status> statuses) const noexcept;

    /** Performs one API request; every management operation goes through here (docs/api.md lists
     *  them). The document is the documented answer. */
    result<document> try_call(const request &request) const noexcept;
    /** The same of a request that is encoded as a form already. */
    result<document> try_call(text request) const noexcept;
    /** The same, for callers who want the documented error of a refusal, too: `document` has the
     *  one or the other, or is empty where kms_call gives none; never what it had before. */
    result<answer> try_call(const request &request, document &document) const noexcept;
    result<answer> try_call(text request, document &document) const noexcept;

    /** Tells what the client is and how it stands, as JSON for people and monitoring, without a
     *  secret. */
    result<document> try_describe() const noexcept;

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
    /** Into a document that is empty. */
    result<answer> perform(const char *request, document &fresh) const noexcept;

    kms_client *client_ = nullptr;
    std::shared_ptr<audit_function> audit_; // outlives client_: destroyed after it is freed
};

} // namespace kmsbox

#include "client_calls.hpp"

#endif // KMSBOX_CLIENT_HPP
