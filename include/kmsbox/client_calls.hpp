// What client.hpp declares, done: each call copies its texts, asks the function of kmsbox.h, and makes an
// answer or an error of the response.

#ifndef KMSBOX_CLIENT_CALLS_HPP
#define KMSBOX_CLIENT_CALLS_HPP

#include "arguments.hpp"
#include "client.hpp"

namespace kmsbox {

namespace detail {

/** What every answer says. */
inline answer told(const kms_response &response) noexcept
{
    return {uuid(response.request_id), uuid(response.key_id), uuid(response.key_version_id)};
}

/** The answer with what every answer says, or the error with the sizes that are needed. */
template <class Answer>
result<Answer> outcome(kms_status status, const kms_response &response, Answer &made,
                       std::size_t plaintext_size, std::size_t blob_size) noexcept
{
    if (status != KMS_OK) return failure(status, response, plaintext_size, blob_size);
    static_cast<answer &>(made) = told(response);
    return made;
}

} // namespace detail

inline result<client> client::try_open(const options &options) noexcept
{
    client made;
    kms_response response;
    const kms_status status = kms_client_open(options.options_, &made.client_, &response);
    if (status != KMS_OK) return detail::failure(status, response);
    made.audit_ = options.audit_;
    return made;
}

inline result<data_key_sizes> client::try_generate_data_key(text key_id, data_key_spec spec,
                                                            const encryption_context &context,
                                                            bytes_out plaintext,
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
    return detail::outcome(status, response, made, made.plaintext_size, made.blob_size);
}

template <std::size_t Size>
inline result<answer> client::try_generate_data_key(text key_id, const encryption_context &context,
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

inline result<data_key> client::try_generate_data_key(text key_id, data_key_spec spec,
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
    static_cast<answer &>(key) = *made;
    return key;
}

inline result<written>
client::try_generate_data_key_without_plaintext(text key_id, data_key_spec spec,
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
    return detail::outcome(status, response, made, 0, made.size);
}

inline result<wrapped_data_key>
client::try_generate_data_key_without_plaintext(text key_id, data_key_spec spec,
                                                const encryption_context &context) const noexcept
{
    wrapped_data_key key;
    const result<written> made =
        try_generate_data_key_without_plaintext(key_id, spec, context, key.blob.room());
    if (!made) return made.error();
    key.blob.resize(made->size);
    static_cast<answer &>(key) = *made;
    return key;
}

inline result<opened> client::try_decrypt(expected_key_id expected, bytes_view blob,
                                          const encryption_context &context,
                                          bytes_out plaintext) const noexcept
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
    made.content = static_cast<content>(response.content);
    return detail::outcome(status, response, made, made.size, 0);
}

template <std::size_t Size>
inline result<answer> client::try_decrypt(expected_key_id expected, bytes_view blob,
                                          const encryption_context &context,
                                          secret_array<Size> &plaintext) const noexcept
{
    const result<opened> made =
        try_decrypt(expected, blob, context, bytes_out(plaintext.data(), Size));
    if (made && made->size == Size) return answer(*made);
    plaintext.wipe(); // where the room was too small the library leaves what was there before
    if (!made) return made.error();
    return detail::refusal(KMS_ERR_INVALID_PARAMETER,
                           {"The specified parameter \"CiphertextBlob\" is not valid. It holds "
                            "fewer bytes than the key must have."});
}

inline result<unwrapped> client::try_decrypt(expected_key_id expected, bytes_view blob,
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
    static_cast<answer &>(key) = *made;
    return key;
}

inline result<written> client::try_encrypt(text key_id, bytes_view plaintext,
                                           const encryption_context &context,
                                           bytes_out blob) const noexcept
{
    const detail::argument id("KeyId", key_id);
    if (!detail::usable(id, context)) return detail::refused(id, context);
    written made;
    kms_response response;
    const kms_status status =
        kms_encrypt(client_, id.c_str(), plaintext.data(), plaintext.size(), context.c_str(),
                    blob.data(), blob.size(), &made.size, &response);
    return detail::outcome(status, response, made, 0, made.size);
}

inline result<wrapped> client::try_encrypt(text key_id, bytes_view plaintext,
                                           const encryption_context &context) const noexcept
{
    wrapped key;
    const result<written> made = try_encrypt(key_id, plaintext, context, key.blob.room());
    if (!made) return made.error();
    key.blob.resize(made->size);
    static_cast<answer &>(key) = *made;
    return key;
}

inline result<written> client::try_re_encrypt(expected_key_id expected, bytes_view blob,
                                              const encryption_context &source_context,
                                              text destination_key_id,
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
    return detail::outcome(status, response, made, 0, made.size);
}

inline result<wrapped> client::try_re_encrypt(expected_key_id expected, bytes_view blob,
                                              const encryption_context &source_context,
                                              text destination_key_id,
                                              const encryption_context &destination_context)
    const noexcept
{
    wrapped key;
    const result<written> made = try_re_encrypt(expected, blob, source_context, destination_key_id,
                                                destination_context, key.blob.room());
    if (!made) return made.error();
    key.blob.resize(made->size);
    static_cast<answer &>(key) = *made;
    return key;
}

inline result<data_key_sizes>
client::try_generate_data_keys(text key_id, data_key_spec spec, const encryption_context &context,
                               std::size_t count, bytes_out plaintexts, bytes_out blobs) const noexcept
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
    return detail::outcome(status, response, made, made.plaintext_size, made.blob_size);
}

inline result<written>
client::try_generate_data_keys_without_plaintext(text key_id, data_key_spec spec,
                                                 const encryption_context &context, std::size_t count,
                                                 bytes_out blobs) const noexcept
{
    const detail::argument id("KeyId", key_id);
    if (!detail::usable(id, context)) return detail::refused(id, context);
    written made;
    kms_response response;
    const kms_status status = kms_generate_data_keys(
        client_, id.c_str(), spec.key_spec, spec.number_of_bytes, context.c_str(), count, nullptr, 0,
        nullptr, blobs.data(), blobs.size(), &made.size, &response);
    return detail::outcome(status, response, made, 0, made.size);
}

inline result<written> client::try_re_encrypt_many(bytes_view blobs, numbers<const std::size_t> sizes,
                                                   expected_key_id expected,
                                                   const encryption_context &source_context,
                                                   text destination_key_id,
                                                   const encryption_context &destination_context,
                                                   bytes_out rewrapped,
                                                   numbers<kms_status> statuses) const noexcept
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
    return detail::outcome(status, response, made, 0, made.size);
}

inline result<document> client::try_call(const request &request) const noexcept
{
    document made;
    const result<answer> answered = try_call(request, made);
    if (!answered) return answered.error();
    return made;
}

inline result<document> client::try_call(text request) const noexcept
{
    document made;
    const result<answer> answered = try_call(request, made);
    if (!answered) return answered.error();
    return made;
}

inline result<answer> client::try_call(const request &request, document &document) const noexcept
{
    document = kmsbox::document();
    if (request.failed_) return detail::refusal(KMS_ERR_NO_MEMORY, {});
    return perform(request.c_str(), document);
}

inline result<answer> client::try_call(text request, document &document) const noexcept
{
    detail::argument form("request", request);
    document = kmsbox::document();
    if (!detail::usable(form)) return detail::refused(form);
    const result<answer> made = perform(form.c_str(), document);
    form.wipe();
    return made;
}

inline result<document> client::try_describe() const noexcept
{
    document made;
    const kms_status status = kms_client_describe(client_, &made.text_, &made.size_);
    if (status != KMS_OK) return detail::refusal(status, {});
    return made;
}

inline result<answer> client::perform(const char *request, document &fresh) const noexcept
{
    kms_response response;
    const kms_status status = kms_call(client_, request, &fresh.text_, &fresh.size_, &response);
    static_cast<answer &>(fresh) = detail::told(response);
    if (status != KMS_OK) return detail::failure(status, response);
    return answer(fresh);
}

} // namespace kmsbox

#endif // KMSBOX_CLIENT_CALLS_HPP
