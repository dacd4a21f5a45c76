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
 *     (-fno-exceptions) there is only `try_x`. No run-time type information is needed. Memory that
 *     is refused is KMS_ERR_NO_MEMORY; std::bad_alloc comes only of making a std::string (str()) or
 *     a std::function (for set_audit).
 *  2. Statuses are those of kmsbox.h, KMS_OK and KMS_ERR_*; what each function can refuse is said there,
 *     at the C function of its name, and so is what it needs permission for.
 *  3. Text comes in as kmsbox::text: a std::string_view, std::string or `const char *` (NULL is as
 *     empty). It is copied to the stack to be NUL-terminated, and to the heap only where it is
 *     unusually long (320 bytes and more). A NUL inside it is refused with KMS_ERR_INVALID_PARAMETER,
 *     in an option with KMS_ERR_INVALID_OPTION.
 *  4. Bytes come in as bytes_view and go out by bytes_out: arrays, vectors, strings, std::span, or a
 *     pointer and a length. Outputs may not overlap with the blob that is read.
 *  5. Where the caller brings the outputs, nothing of this header allocates, and a call takes up to
 *     6 KiB of the stack beside the library's own. The shorter forms, which return a data_key or an
 *     unwrapped, place the key in locked memory (kmsbox::secret); those that return a blob have it
 *     on the stack, and take up to 24 KiB.
 *  6. A failed call leaves no key material: outputs are wiped as kmsbox.h says, a secret_array always,
 *     and results hold none.
 *  7. A const client may be used by any number of threads at once, and in a forked child. Moving from,
 *     assigning to and destroying one needs exclusive use. What was moved from refuses every call
 *     with KMS_ERR_INVALID_ARGUMENT.
 *
 * Each of the files below can be included by itself, too; a header of yours that only names a
 * secret needs no more than kmsbox/secret.hpp.
 */

#ifndef KMSBOX_HPP
#define KMSBOX_HPP

#include "kmsbox/answers.hpp"
#include "kmsbox/blob.hpp"
#include "kmsbox/bytes.hpp"
#include "kmsbox/client.hpp"
#include "kmsbox/encryption_context.hpp"
#include "kmsbox/error.hpp"
#include "kmsbox/keys.hpp"
#include "kmsbox/options.hpp"
#include "kmsbox/request.hpp"
#include "kmsbox/secret.hpp"
#include "kmsbox/text.hpp"

#endif // KMSBOX_HPP
