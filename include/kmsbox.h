/*
 * kmsbox: an embedded key-management service.
 *
 * A database engine links this library, opens a keystore on disk and asks for data keys. Each comes
 * twice: as plaintext to encrypt with and then wipe, and as a CiphertextBlob, the same key wrapped
 * under a customer master key (CMK), to store beside the data. Later kms_decrypt turns the blob back
 * into the key. The semantics are those of the Alibaba Cloud KMS API 2016-01-20, without a network.
 *
 *     kms_options_new, kms_options_set ("keystore", "root_key", ...)   what to open
 *     kms_client_open                                                  once per process
 *     kms_call ("Action=CreateKey"), kms_call ("Action=CreateAlias...")  manage CMKs
 *     kms_generate_data_key, kms_decrypt                               as often as needed
 *     kms_client_free, kms_options_free
 *
 * Conventions
 *
 *  1. Every function that can fail returns kms_status: 0 is KMS_OK, errors are positive, grouped by
 *     hundreds and never reused. New ones may appear: treat an unknown one as a failure.
 *  2. Inputs come first and are const, outputs come last. Text is NUL-terminated UTF-8; where it is
 *     required, NULL or empty text is KMS_ERR_MISSING_PARAMETER. Bytes are a pointer and a length;
 *     (NULL, 0) is empty, (NULL, n) is KMS_ERR_INVALID_ARGUMENT, and so is a NULL handle or output.
 *  3. Output buffers belong to the caller: pointer, capacity, and a size_t *len. Where one is too
 *     small the answer is KMS_ERR_BUFFER_TOO_SMALL, every *len says what is needed, and no key was
 *     made. A capacity of 0 (the pointer may then be NULL) so asks for the sizes.
 *  4. On any other failure every *len is 0, no output buffer holds key material (plaintext buffers
 *     are wiped, unless they overlap with something), and *options, *client, *secret and *document
 *     are NULL; only kms_call gives a document with a refusal, too.
 *  5. No pointer is kept after a call. Inputs are read in full before outputs are written, so a text
 *     input may lie in the kms_response, such as its key_id. The blob given in, the output buffers
 *     (by capacity), their lengths and the response must not overlap: KMS_ERR_INVALID_ARGUMENT.
 *  6. A const kms_client * may be used by any number of threads at once, and in a forked child.
 *     Freeing it, and setting options, needs exclusive use.
 *  7. The library prints nothing, never exits, installs no signal handler and starts no thread. A
 *     panic inside it becomes KMS_ERR_INTERNAL and the client remains usable. Where the system refuses
 *     more than 16 KiB at once it is KMS_ERR_NO_MEMORY; where it has not even a few kilobytes left,
 *     the process is aborted, as by any Rust code.
 *  8. Functions that free accept NULL and wipe what they free.
 *  9. There is no per-thread error state: what a call has to say beyond its status it writes to the
 *     kms_response that the caller passes, and that may always be NULL.
 *
 * Key ids: wherever a key_id is asked for, a CMK's id (lower-case UUID), its ARN
 * (acs:kms:local:0:key/ID) or an alias (alias/NAME: 1 to 255 letters, digits, "_", "-", "/") will do.
 * Of the requests of kms_call some take no alias; KMS_ERR_UNSUPPORTED_ALIAS then asks for the id.
 *
 * Keystore: one file of mode 0600, beside it a file with ".lock" added that stays, and one with
 * ".usage". The directory and the file must not be writable by others. A client that cannot look at
 * its keystore (KMS_ERR_KEYSTORE_IO, KMS_ERR_KEYSTORE_TAMPERED) refuses use until it can. So does one
 * that needs its root key again and does not get it (KMS_ERR_ROOT_KEY, KMS_ERR_ROOT_KEY_SOURCE).
 *
 * Fork: no descriptor, lock or thread of the library outlives a call, so parent and child go on
 * independently with the client they both have. A "memory:" keystore goes separate ways after a fork.
 * A fork waits for the calls that read or write a file, and for those that import keys (about 0.1 s).
 * Handlers of your own (pthread_atfork) that take a lock under which other threads call this library must
 * be registered after it was loaded.
 *
 * Cancellation, signals: a thread that is cancelled (pthread_cancel) in a call finishes the call first, and is
 * cancelled at its next cancellation point after it. No function may be called from a signal handler, nor
 * with PTHREAD_CANCEL_ASYNCHRONOUS set. A call must not be left by a jump: see kms_audit_callback. A write
 * above RLIMIT_FSIZE raises SIGXFSZ; a host that ignores it gets KMS_ERR_KEYSTORE_IO or
 * KMS_ERR_AUDIT_FAILED.
 *
 * Stack: a call needs less than 32 KiB, GetParametersForImport and ImportKeyMaterial less than 96 KiB.
 *
 * Security: whoever holds the root key, or runs code inside the process, holds every key. The
 * option "permissions" guards against mistakes; it is no wall.
 */

/* Generated from src/ffi; do not edit. After a change there: make header */

#ifndef KMSBOX_H
#define KMSBOX_H

#include <stddef.h>
#include <stdint.h>

#define KMS_VERSION_MAJOR 0
#define KMS_VERSION_MINOR 1
#define KMS_VERSION_PATCH 0
#define KMS_VERSION_STRING "0.1.0"

/* A result that must be looked at; empty where the compiler has no such attribute. */
#if defined(__GNUC__) || defined(__clang__)
#define KMS_MUST_USE __attribute__((warn_unused_result))
#else
#define KMS_MUST_USE
#endif

/*
 * Every status: what it means, its number, and the API's code with its HTTP status.
 */
#define KMS_OK 0
/* An argument is not usable: a NULL handle or output, a wrong length, or buffers that overlap. */
#define KMS_ERR_INVALID_ARGUMENT 100 /* InvalidParameter, 400 */
/* An output buffer is too small; every length now says what is needed. */
#define KMS_ERR_BUFFER_TOO_SMALL 101 /* InvalidParameter, 400 */
/* An option or its value is not valid. */
#define KMS_ERR_INVALID_OPTION 102 /* InvalidParameter, 400 */
/* A required parameter is not given. */
#define KMS_ERR_MISSING_PARAMETER 103 /* MissingParameter, 400 */
/* The specified parameter is not valid. */
#define KMS_ERR_INVALID_PARAMETER 104 /* InvalidParameter, 400 */
/* This action is not supported. */
#define KMS_ERR_UNSUPPORTED_OPERATION 105 /* UnsupportedOperation, 400 */
/* Alias is not valid for this api. */
#define KMS_ERR_UNSUPPORTED_ALIAS 106 /* Unsupported.Alias, 400 */
/* This protection level is not valid for this region. */
#define KMS_ERR_UNSUPPORTED_PROTECTION_LEVEL 107 /* Unsupported.ProtectionLevel, 400 */
/* Unsupported operation. */
#define KMS_ERR_UNSUPPORTED_KEY 108 /* Rejected.UnsupportedOperation, 400 */
/* This key origin is not valid for this api. */
#define KMS_ERR_UNSUPPORTED_ORIGIN 109 /* Unsupported.Origin, 400 */
/* The specified Key is not found. */
#define KMS_ERR_KEY_NOT_FOUND 200 /* Forbidden.KeyNotFound, 404 */
/* The specified Alias is not found. */
#define KMS_ERR_ALIAS_NOT_FOUND 201 /* Forbidden.AliasNotFound, 404 */
/* The specified Key version is not found. */
#define KMS_ERR_KEY_VERSION_NOT_FOUND 202 /* Forbidden.KeyVersionNotFound, 404 */
/* The request was rejected because the key state is Disabled. */
#define KMS_ERR_DISABLED 210 /* Rejected.Disabled, 409 */
/* The request was rejected because the key state is PendingDeletion. */
#define KMS_ERR_PENDING_DELETION 211 /* Rejected.PendingDeletion, 409 */
/* The request was rejected because the key state is PendingImport. */
#define KMS_ERR_PENDING_IMPORT 212 /* Rejected.PendingImport, 409 */
/* Keystate modified failed. */
#define KMS_ERR_STATE 213 /* Rejected.StateModifiedFailed, 409 */
/* AliasName Already Exists. */
#define KMS_ERR_ALIAS_EXISTS 220 /* AliasAlreadyExists, 400 */
/* The request was rejected because user create resource limit was exceeded. */
#define KMS_ERR_LIMIT_EXCEEDED 221 /* Rejected.LimitExceeded, 400 */
/* Key material is invalid. */
#define KMS_ERR_INVALID_KEY_MATERIAL 222 /* InvalidKeyMaterial, 400 */
/* Import token is invalid. */
#define KMS_ERR_INVALID_IMPORT_TOKEN 223 /* InvalidImportToken, 400 */
/* Import token is expired. */
#define KMS_ERR_EXPIRED_IMPORT_TOKEN 224 /* ExpiredImportToken, 400 */
/* This operation is forbidden by permission system. */
#define KMS_ERR_NO_PERMISSION 230 /* Forbidden.NoPermission, 403 */
/* The request would have succeeded, but DryRun is set. */
#define KMS_ERR_DRY_RUN 240 /* DryRunOperationError, 400 */
/* The request would have failed. */
#define KMS_ERR_DRY_RUN_INVALID 241 /* ValidationError, 400 */
/* The request would have been forbidden by permission system. */
#define KMS_ERR_DRY_RUN_DENIED 242 /* AccessDeniedError, 403 */
/* The CiphertextBlob is not one of kmsbox: its length or first bytes are wrong. */
#define KMS_ERR_NOT_A_BLOB 300 /* InvalidParameter, 400 */
/* The CiphertextBlob is not under the expected CMK. */
#define KMS_ERR_KEY_MISMATCH 301 /* InvalidParameter, 400 */
/* The blob was altered, or the EncryptionContext is not the one it was made with. */
#define KMS_ERR_CIPHERTEXT_INVALID 302 /* InvalidParameter, 400 */
/* There is no keystore at this path. */
#define KMS_ERR_KEYSTORE_NOT_FOUND 400 /* InternalFailure, 500 */
/* The file is not a keystore that this version can read. */
#define KMS_ERR_NOT_A_KEYSTORE 401 /* InternalFailure, 500 */
/* The keystore was altered, cut short or put back by someone without its root key. */
#define KMS_ERR_KEYSTORE_TAMPERED 402 /* InternalFailure, 500 */
/* Another process is writing the keystore; try again. */
#define KMS_ERR_KEYSTORE_BUSY 403 /* ServiceUnavailableTemporary, 503 */
/* The keystore could not be read or written. */
#define KMS_ERR_KEYSTORE_IO 404 /* InternalFailure, 500 */
/* The audit log could not be written; nothing was released, and the message says if a change was made. */
#define KMS_ERR_AUDIT_FAILED 405 /* InternalFailure, 500 */
/* The clock may be wrong: it is behind the one believed last, far ahead of it, or beyond the year 9999. */
#define KMS_ERR_CLOCK 406 /* InternalFailure, 500 */
/* The root key opens no slot of the keystore: it is another key, or the slot is damaged. */
#define KMS_ERR_ROOT_KEY 410 /* InternalFailure, 500 */
/* The root key's source is missing or cannot be read, or it holds no root key. */
#define KMS_ERR_ROOT_KEY_SOURCE 411 /* InternalFailure, 500 */
/* Memory could not be allocated. */
#define KMS_ERR_NO_MEMORY 900 /* InternalFailure, 500 */
/* The system gave no random bytes. */
#define KMS_ERR_RANDOM 901 /* InternalFailure, 500 */
/* An error inside kmsbox; the client remains usable. */
#define KMS_ERR_INTERNAL 902 /* InternalFailure, 500 */


/**
 * No KeySpec: 32 bytes, as KMS_KEY_SPEC_AES_256.
 */
#define KMS_KEY_SPEC_DEFAULT 0

/**
 * A data key of 32 bytes.
 */
#define KMS_KEY_SPEC_AES_256 1

/**
 * A data key of 16 bytes.
 */
#define KMS_KEY_SPEC_AES_128 2

/**
 * What a decrypted blob holds: bytes, such as a data key.
 */
#define KMS_CONTENT_BYTES 0

/**
 * What a decrypted blob holds: UTF-8 text, as given to the API's Encrypt.
 */
#define KMS_CONTENT_TEXT 1

/**
 * The length of a root key, in bytes.
 */
#define KMS_ROOT_KEY_LEN 32

/**
 * The longest data key, in bytes.
 */
#define KMS_DATA_KEY_MAX 1024

/**
 * The longest CiphertextBlob of a data key: kms_ciphertext_blob_len(KMS_DATA_KEY_MAX).
 */
#define KMS_DATA_KEY_BLOB_MAX 1134

/**
 * The longest plaintext of any blob, in bytes (the API's Encrypt).
 */
#define KMS_PLAINTEXT_MAX 6144

/**
 * The longest CiphertextBlob: kms_ciphertext_blob_len(KMS_PLAINTEXT_MAX).
 */
#define KMS_CIPHERTEXT_BLOB_MAX 6254

/**
 * What a CiphertextBlob has beyond its plaintext, in bytes.
 */
#define KMS_CIPHERTEXT_BLOB_OVERHEAD 110

/**
 * Room enough for any result of kms_encryption_context, in bytes, the NUL included: 8192 characters
 * of up to four bytes.
 */
#define KMS_ENCRYPTION_CONTEXT_MAX 32769

/**
 * The most keys or blobs of one call.
 */
#define KMS_BULK_MAX 1048576

/**
 * An opened keystore, opaque. Made by kms_client_open, freed by kms_client_free. Any number of
 * threads may use one at once.
 */
typedef struct kms_client kms_client;

/**
 * A set of options, opaque. Made by kms_options_new, freed by kms_options_free.
 */
typedef struct kms_options kms_options;

/**
 * 0 is KMS_OK; everything else is one of KMS_ERR_*.
 */
typedef int32_t kms_status;

/**
 * What a call says beyond its status. 1024 bytes, owned by the caller; NULL is allowed wherever it
 * is taken. Every field is set at every call, so nothing need be cleared before.
 */
typedef struct kms_response {
    /**
     * Lower-case UUID of this call, unique across threads, processes and forks.
     */
    char request_id[40];
    /**
     * The CMK's id, never the alias; "" where the answer has none. After a failure it is there only where
     * what was asked is done all the same; error_message then begins "The change was made, but" or
     * "The request was performed, but".
     */
    char key_id[64];
    /**
     * The version of the CMK that wrapped or unwrapped; "" where the answer has none.
     */
    char key_version_id[64];
    /**
     * The API's code, such as "Forbidden.KeyNotFound"; "" on success.
     */
    char error_code[64];
    /**
     * One sentence for people; "" on success. Never holds key material.
     */
    char error_message[256];
    /**
     * 200, or the API's HTTP status for the error.
     */
    int32_t http_status;
    /**
     * kms_decrypt: what the blob holds, KMS_CONTENT_BYTES or KMS_CONTENT_TEXT.
     */
    int32_t content;
    /**
     * Zero.
     */
    char reserved[528];
} kms_response;

/**
 * Takes one line of the audit log.
 *
 * context   what was given to kms_options_set_audit_callback.
 * line      JSON and a line feed; there is no NUL.
 * line_len  its length, with the line feed.
 *
 * Returns 0 when the line is kept. Anything else makes the operation fail with KMS_ERR_AUDIT_FAILED.
 * Where it does so at the result of a change ("phase":"result" after an intent), the change is made,
 * and error_message begins "The change was made, but". It is called by whichever thread performs an
 * operation, by several at once, and must not call this library.
 *
 * It must return, on the stack that it was called on. It must not be left by longjmp, pthread_exit, a C++
 * exception or a switch to another context: that ends the process, or leaves a lock of the library held
 * for ever. The thread cannot be cancelled in it, and it must not enable that. It must not wait for a fork,
 * nor take a lock that a handler of yours for pthread_atfork takes: a fork waits for changes.
 */
typedef int32_t (*kms_audit_callback)(void *context,
                                      const char *line,
                                      size_t line_len);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Makes an empty set of options.
 *
 * options  out: the set, to be freed with kms_options_free; NULL on failure.
 *
 * Returns KMS_OK, KMS_ERR_INVALID_ARGUMENT, KMS_ERR_NO_MEMORY.
 */
KMS_MUST_USE
kms_status kms_options_new(struct kms_options **options);

/**
 * Sets one option. A later value replaces an earlier one.
 *
 * options   the set; no other thread may use it meanwhile.
 * name      one of the names below.
 * value     text of at most 65536 bytes; what each name takes:
 *
 *   keystore             path of the keystore file, or "memory:" for one that lives with the client
 *   create               "true": make the keystore if it is missing; default "false"
 *   root_key             "file:PATH" (32 raw bytes, or hex or base64 of 32; not readable by group or
 *                        others), "credential:NAME" (a file in $CREDENTIALS_DIRECTORY), "env:NAME"
 *                        (hex or base64), "passphrase-file:PATH" (through Argon2id)
 *   permissions          comma list of API actions that this client will perform, such as "Decrypt" or,
 *                        on one CMK, "Decrypt@alias/orders"; default: all
 *   audit_log            path of a regular file that gets one line of JSON for each operation
 *   keystore_id          the id that the keystore must have, and gets if it is made: lower-case UUID
 *   read_only            "true": never writes; default "false"
 *   refresh_interval_ms  0..3600000: how stale the view of another process's change may be; default
 *                        1000; 0 looks at every call
 *   lock_timeout_ms      0..3600000: how long a management call waits for another writer; default 5000
 *   locked_memory_max    16384..1073741824 bytes of locked memory for expanded keys; default 1048576
 *
 * response  may be NULL.
 *
 * Texts are UTF-8. Files named here are read by kms_client_open, not before. Paths are made absolute
 * there (so is $CREDENTIALS_DIRECTORY), and links in them are followed at each use.
 *
 * Returns KMS_OK, KMS_ERR_INVALID_OPTION (the response names it), KMS_ERR_MISSING_PARAMETER,
 * KMS_ERR_INVALID_ARGUMENT, KMS_ERR_NO_MEMORY.
 */
KMS_MUST_USE
kms_status kms_options_set(struct kms_options *options,
                           const char *name,
                           const char *value,
                           struct kms_response *response);

/**
 * Gives the root key as bytes, instead of the option "root_key".
 *
 * root_key      32 random bytes; copied into locked memory, so wipe yours.
 * root_key_len  KMS_ROOT_KEY_LEN.
 * response      may be NULL.
 *
 * Returns KMS_OK, KMS_ERR_INVALID_ARGUMENT (NULL or another length), KMS_ERR_INVALID_OPTION (the
 * option "root_key" is set too), KMS_ERR_NO_MEMORY.
 */
KMS_MUST_USE
kms_status kms_options_set_root_key(struct kms_options *options,
                                    const uint8_t *root_key,
                                    size_t root_key_len,
                                    struct kms_response *response);

/**
 * Has each operation told to a function of the host, instead of the option "audit_log".
 *
 * callback  NULL: no longer.
 * context   handed to each call; must stay valid as long as a client opened with these options.
 * response  may be NULL.
 *
 * Returns KMS_OK, KMS_ERR_INVALID_ARGUMENT, KMS_ERR_INVALID_OPTION (the option "audit_log" is set
 * too).
 */
KMS_MUST_USE
kms_status kms_options_set_audit_callback(struct kms_options *options,
                                          kms_audit_callback callback,
                                          void *context,
                                          struct kms_response *response);

/**
 * Frees a set of options and wipes a root key in it. NULL is allowed. Clients opened with it stay.
 */
void kms_options_free(struct kms_options *options);

/**
 * Opens a keystore with a set of options.
 *
 * options   as set; needs at least "keystore" and a root key. May be freed afterwards.
 * client    out: to be freed with kms_client_free; NULL on failure.
 * response  may be NULL; says which file or option failed, and why.
 *
 * Returns KMS_OK, KMS_ERR_MISSING_PARAMETER, KMS_ERR_INVALID_OPTION, KMS_ERR_KEYSTORE_NOT_FOUND,
 * KMS_ERR_NOT_A_KEYSTORE, KMS_ERR_KEYSTORE_TAMPERED, KMS_ERR_KEYSTORE_BUSY, KMS_ERR_KEYSTORE_IO,
 * KMS_ERR_ROOT_KEY, KMS_ERR_ROOT_KEY_SOURCE, KMS_ERR_CLOCK (create, beyond the year 9999),
 * KMS_ERR_NO_MEMORY, KMS_ERR_RANDOM, KMS_ERR_INVALID_ARGUMENT. Where the keystore was made but could not be
 * opened after that, error_message begins "The change was made, but".
 */
KMS_MUST_USE
kms_status kms_client_open(const struct kms_options *options,
                           struct kms_client **client,
                           struct kms_response *response);

/**
 * Tells what a client is and how it stands, as JSON for people and monitoring: library version,
 * keystore, its id and epoch, number of CMKs, permissions, locked memory and whether the system
 * granted it, hardware AES. No secret is in it.
 *
 * document      out: to be freed with kms_document_free; NULL on failure.
 * document_len  out: its length without the terminating NUL.
 *
 * Returns KMS_OK, KMS_ERR_INVALID_ARGUMENT, KMS_ERR_NO_MEMORY.
 */
KMS_MUST_USE
kms_status kms_client_describe(const struct kms_client *client,
                               char **document,
                               size_t *document_len);

/**
 * Closes a client and wipes its keys. NULL is allowed. No other thread may be using it.
 */
void kms_client_free(struct kms_client *client);

/**
 * Makes a data key and wraps it under the primary version of a CMK.
 *
 * client                    an opened client.
 * key_id                    CMK id, key ARN, or alias/NAME.
 * key_spec                  one of KMS_KEY_SPEC_*; not looked at where number_of_bytes is given.
 * number_of_bytes           0: not given; else 1..KMS_DATA_KEY_MAX, the length of the key.
 * encryption_context        JSON object of strings, at most 8192 characters, bound to the blob and
 *                           not stored in it; or NULL.
 * plaintext                 out: the key. Wipe it after use (kms_zeroize).
 * plaintext_capacity        at least the length of the key.
 * plaintext_len             out: the length of the key.
 * ciphertext_blob           out: the wrapped key, to be stored.
 * ciphertext_blob_capacity  at least kms_ciphertext_blob_len of the key's length.
 * ciphertext_blob_len       out: the length of the blob.
 * response                  may be NULL; gets key_id and key_version_id.
 *
 * Needs the permission GenerateDataKey.
 *
 * Returns KMS_OK, KMS_ERR_BUFFER_TOO_SMALL, KMS_ERR_KEY_NOT_FOUND, KMS_ERR_ALIAS_NOT_FOUND,
 * KMS_ERR_DISABLED and the other states, KMS_ERR_NO_PERMISSION, KMS_ERR_MISSING_PARAMETER,
 * KMS_ERR_INVALID_PARAMETER, KMS_ERR_INVALID_ARGUMENT, KMS_ERR_KEYSTORE_*, KMS_ERR_ROOT_KEY,
 * KMS_ERR_ROOT_KEY_SOURCE, KMS_ERR_AUDIT_FAILED, KMS_ERR_RANDOM, KMS_ERR_NO_MEMORY.
 */
KMS_MUST_USE
kms_status kms_generate_data_key(const struct kms_client *client,
                                 const char *key_id,
                                 int32_t key_spec,
                                 uint32_t number_of_bytes,
                                 const char *encryption_context,
                                 uint8_t *plaintext,
                                 size_t plaintext_capacity,
                                 size_t *plaintext_len,
                                 uint8_t *ciphertext_blob,
                                 size_t ciphertext_blob_capacity,
                                 size_t *ciphertext_blob_len,
                                 struct kms_response *response);

/**
 * Makes a data key that nobody sees yet: only the blob comes out, for a later kms_decrypt.
 *
 * As kms_generate_data_key, but needs the permission GenerateDataKeyWithoutPlaintext.
 */
KMS_MUST_USE
kms_status kms_generate_data_key_without_plaintext(const struct kms_client *client,
                                                   const char *key_id,
                                                   int32_t key_spec,
                                                   uint32_t number_of_bytes,
                                                   const char *encryption_context,
                                                   uint8_t *ciphertext_blob,
                                                   size_t ciphertext_blob_capacity,
                                                   size_t *ciphertext_blob_len,
                                                   struct kms_response *response);

/**
 * Unwraps a blob: gives back the data key, or whatever the API's Encrypt was given.
 *
 * client               an opened client.
 * expected_key_id      id, ARN or alias of the CMK that the blob must be under. Pass the id that was
 *                      stored when the blob was made: a blob names its own key, and whoever can
 *                      write blobs chooses it. NULL: any CMK of this client, but "" is
 *                      KMS_ERR_MISSING_PARAMETER. An id that is not the blob's is
 *                      KMS_ERR_KEY_MISMATCH, an alias that is not there KMS_ERR_ALIAS_NOT_FOUND.
 * ciphertext_blob      the blob.
 * ciphertext_blob_len  its length.
 * encryption_context   the pairs given when the blob was made, in any order; or NULL.
 * plaintext            out: the key. Wipe it after use (kms_zeroize).
 * plaintext_capacity   at least the blob's length less KMS_CIPHERTEXT_BLOB_OVERHEAD. Where only keys of
 *                      one length are expected, KMS_ERR_BUFFER_TOO_SMALL means a blob of another.
 * plaintext_len        out: the length of the key.
 * response             may be NULL; gets key_id, key_version_id and content.
 *
 * Needs the permission Decrypt.
 *
 * Returns KMS_OK, KMS_ERR_BUFFER_TOO_SMALL, KMS_ERR_NOT_A_BLOB, KMS_ERR_KEY_MISMATCH,
 * KMS_ERR_CIPHERTEXT_INVALID (altered, or another context: not told apart), KMS_ERR_KEY_NOT_FOUND,
 * KMS_ERR_KEY_VERSION_NOT_FOUND, KMS_ERR_ALIAS_NOT_FOUND, KMS_ERR_DISABLED and the other states,
 * KMS_ERR_NO_PERMISSION, KMS_ERR_INVALID_PARAMETER, KMS_ERR_INVALID_ARGUMENT, KMS_ERR_KEYSTORE_*,
 * KMS_ERR_ROOT_KEY, KMS_ERR_ROOT_KEY_SOURCE, KMS_ERR_AUDIT_FAILED, KMS_ERR_NO_MEMORY.
 */
KMS_MUST_USE
kms_status kms_decrypt(const struct kms_client *client,
                       const char *expected_key_id,
                       const uint8_t *ciphertext_blob,
                       size_t ciphertext_blob_len,
                       const char *encryption_context,
                       uint8_t *plaintext,
                       size_t plaintext_capacity,
                       size_t *plaintext_len,
                       struct kms_response *response);

/**
 * Wraps bytes that the caller brings, such as a key that an engine made itself.
 *
 * client                    an opened client.
 * key_id                    CMK id, key ARN, or alias/NAME.
 * plaintext                 the bytes.
 * plaintext_len             1..KMS_PLAINTEXT_MAX.
 * encryption_context        JSON object of strings, bound to the blob; or NULL.
 * ciphertext_blob           out: the blob; kms_decrypt gives the bytes back.
 * ciphertext_blob_capacity  at least kms_ciphertext_blob_len(plaintext_len).
 * ciphertext_blob_len       out: the length of the blob.
 * response                  may be NULL; gets key_id and key_version_id.
 *
 * Needs the permission Encrypt.
 *
 * Returns KMS_OK, KMS_ERR_BUFFER_TOO_SMALL, KMS_ERR_INVALID_PARAMETER (the length), and what
 * kms_generate_data_key returns.
 */
KMS_MUST_USE
kms_status kms_encrypt(const struct kms_client *client,
                       const char *key_id,
                       const uint8_t *plaintext,
                       size_t plaintext_len,
                       const char *encryption_context,
                       uint8_t *ciphertext_blob,
                       size_t ciphertext_blob_capacity,
                       size_t *ciphertext_blob_len,
                       struct kms_response *response);

/**
 * Wraps a blob anew: under the primary version of the destination, bound to another context if
 * wanted. The plaintext never leaves the library, and the new blob is as long as the old one.
 *
 * expected_key_id                 id, ARN or alias of the CMK that the source must be under; NULL: any.
 * ciphertext_blob                 the source.
 * ciphertext_blob_len             its length.
 * source_encryption_context       the context it was made with; or NULL.
 * destination_key_id              CMK id, key ARN, or alias/NAME; the source's own for a new version.
 * destination_encryption_context  the new blob's context; or NULL.
 * rewrapped                       out: the new blob.
 * rewrapped_capacity              at least ciphertext_blob_len.
 * rewrapped_len                   out: the length of the new blob.
 * response                        may be NULL; gets the destination's key_id and key_version_id.
 *
 * Needs the permissions ReEncryptFrom on the source and ReEncryptTo on the destination.
 *
 * Returns what kms_decrypt and kms_generate_data_key return.
 */
KMS_MUST_USE
kms_status kms_re_encrypt(const struct kms_client *client,
                          const char *expected_key_id,
                          const uint8_t *ciphertext_blob,
                          size_t ciphertext_blob_len,
                          const char *source_encryption_context,
                          const char *destination_key_id,
                          const char *destination_encryption_context,
                          uint8_t *rewrapped,
                          size_t rewrapped_capacity,
                          size_t *rewrapped_len,
                          struct kms_response *response);

/**
 * Makes many data keys of one length under one CMK, bound to one context.
 *
 * key_id, key_spec, number_of_bytes, encryption_context  as for kms_generate_data_key.
 * count                      how many keys: 1..KMS_BULK_MAX.
 * plaintexts                 out: key 0, key 1, and so on. Wipe them after use.
 * plaintexts_capacity        at least count * the length of a key.
 * plaintexts_len             out: count * the length of a key. All three NULL, 0, NULL: no plaintext is
 *                            wanted, and the permission GenerateDataKeyWithoutPlaintext is enough.
 * ciphertext_blobs           out: blob 0, blob 1, and so on, each as long as
 *                            kms_ciphertext_blob_len of a key's length.
 * ciphertext_blobs_capacity  at least count * the length of a blob.
 * ciphertext_blobs_len       out: count * the length of a blob.
 * response                   may be NULL; gets key_id and key_version_id.
 *
 * Either all keys are made or none. Returns what kms_generate_data_key returns.
 */
KMS_MUST_USE
kms_status kms_generate_data_keys(const struct kms_client *client,
                                  const char *key_id,
                                  int32_t key_spec,
                                  uint32_t number_of_bytes,
                                  const char *encryption_context,
                                  size_t count,
                                  uint8_t *plaintexts,
                                  size_t plaintexts_capacity,
                                  size_t *plaintexts_len,
                                  uint8_t *ciphertext_blobs,
                                  size_t ciphertext_blobs_capacity,
                                  size_t *ciphertext_blobs_len,
                                  struct kms_response *response);

/**
 * Wraps many blobs anew, as kms_re_encrypt does one. A blob that does not open does not stop the rest.
 *
 * ciphertext_blobs                blob 0, blob 1, and so on.
 * ciphertext_blob_lens            the length of each.
 * count                           how many: 1..KMS_BULK_MAX.
 * expected_key_id                 id, ARN or alias of the CMK that each must be under; NULL: any.
 * source_encryption_context       the context that all were made with; or NULL.
 * destination_key_id              CMK id, key ARN, or alias/NAME.
 * destination_encryption_context  the new blobs' context; or NULL.
 * rewrapped                       out: the new blobs, each where its source lies in ciphertext_blobs and
 *                                 as long; zeros where a blob did not open.
 * rewrapped_capacity              at least the sum of the lengths.
 * rewrapped_len                   out: the sum of the lengths.
 * statuses                        out: count statuses, one for each blob, as kms_re_encrypt returns it.
 * response                        may be NULL; gets the destination of the last blob that opened.
 *
 * Returns KMS_OK when every blob was looked at, whatever its status: a destination that cannot be used
 * is told by each. Else what is wrong with the whole call, such as KMS_ERR_NO_MEMORY, and then statuses
 * are not written.
 */
KMS_MUST_USE
kms_status kms_re_encrypt_many(const struct kms_client *client,
                               const uint8_t *ciphertext_blobs,
                               const size_t *ciphertext_blob_lens,
                               size_t count,
                               const char *expected_key_id,
                               const char *source_encryption_context,
                               const char *destination_key_id,
                               const char *destination_encryption_context,
                               uint8_t *rewrapped,
                               size_t rewrapped_capacity,
                               size_t *rewrapped_len,
                               kms_status *statuses,
                               struct kms_response *response);

/**
 * Builds the JSON of an encryption context, so that no caller quotes by hand.
 *
 * pairs          key, value, key, value, and so on: 2 * pair_count texts. Values may be empty.
 * pair_count     how many pairs; 0 gives "{}".
 * json           out: the JSON, NUL-terminated.
 * json_capacity  its room, with the NUL; KMS_ENCRYPTION_CONTEXT_MAX is always enough.
 * json_len       out: strlen(json); after KMS_ERR_BUFFER_TOO_SMALL the capacity needed, NUL included.
 *
 * Returns KMS_OK, KMS_ERR_BUFFER_TOO_SMALL, KMS_ERR_INVALID_PARAMETER (a key twice, not UTF-8, over
 * 8192 characters), KMS_ERR_INVALID_ARGUMENT (a NULL among them), KMS_ERR_NO_MEMORY.
 */
KMS_MUST_USE
kms_status kms_encryption_context(const char *const *pairs,
                                  size_t pair_count,
                                  char *json,
                                  size_t json_capacity,
                                  size_t *json_len);

/**
 * Performs one API request, given as the form-encoded text that the API documents.
 *
 * request       of at most 1 MiB, such as "Action=CreateAlias&KeyId=ID&AliasName=alias%2Forders".
 *               "Format=XML" answers in XML, the default is JSON. A parameter that the action does not
 *               know, or that is given twice, is refused.
 * document      out: the documented answer, or the documented error; NUL-terminated, to be freed with
 *               kms_document_free. NULL only after KMS_ERR_INVALID_ARGUMENT, a NULL request,
 *               KMS_ERR_NO_MEMORY or KMS_ERR_INTERNAL.
 * document_len  out: its length without the NUL.
 * response      may be NULL; key_id and key_version_id are filled where the answer has them, also where
 *               the call failed but what was asked is done.
 *
 * Every management operation goes through here: CreateKey, DescribeKey, ListKeys, CreateAlias,
 * CreateKeyVersion, DisableKey, ScheduleKeyDeletion, TagResource, ImportKeyMaterial and all others that
 * docs/api.md lists with their parameters; and Encrypt, Decrypt, ReEncrypt, GenerateDataKey and
 * GenerateDataKeyWithoutPlaintext with Plaintext and CiphertextBlob in base64.
 *
 * Where a change is on disk and something fails after it (its result in the audit log:
 * KMS_ERR_AUDIT_FAILED; the file system, so that it may not survive a power cut: KMS_ERR_KEYSTORE_IO), the
 * message of response and document begins "The change was made, but". Where there is no memory for the
 * document of what was performed, be it a change or not, KMS_ERR_NO_MEMORY has a message that begins
 * "The request was performed, but". Repeat no change after either; key_id names the CMK, also a new one.
 * After KMS_ERR_INTERNAL look before a change is repeated. Any other failure has changed nothing.
 *
 * Returns KMS_OK or any status of the header; KMS_ERR_UNSUPPORTED_OPERATION for an action that is
 * not offered, or that was left out when the library was built; KMS_ERR_CLOCK where the clock cannot be
 * right: a deletion would come early, or the year is beyond 9999.
 */
KMS_MUST_USE
kms_status kms_call(const struct kms_client *client,
                    const char *request,
                    char **document,
                    size_t *document_len,
                    struct kms_response *response);

/**
 * Frees a document and wipes it. NULL is allowed.
 */
void kms_document_free(char *document);

/**
 * Overwrites bytes with zeros, in a way that no compiler leaves out.
 *
 * bytes  may be NULL, then nothing happens.
 */
void kms_zeroize(void *bytes,
                 size_t len);

/**
 * Allocates memory for a secret: zeroed, aligned to 16, kept out of swap and core dumps where the
 * system allows, wiped when freed.
 *
 * len     1 or more bytes.
 * secret  out: the memory, to be freed with kms_secret_free; NULL on failure.
 *
 * Returns KMS_OK, KMS_ERR_INVALID_ARGUMENT (a length of 0), KMS_ERR_NO_MEMORY.
 */
KMS_MUST_USE
kms_status kms_secret_alloc(size_t len,
                            void **secret);

/**
 * Wipes and frees memory of kms_secret_alloc. NULL is allowed.
 */
void kms_secret_free(void *secret);

/**
 * The name of a status as the header spells it, such as "KMS_ERR_DISABLED".
 *
 * Never NULL, never to be freed; "KMS_ERR_UNKNOWN" for a number that is not in the header.
 */
const char *kms_status_name(kms_status status);

/**
 * A sentence that says what a status means. Never NULL, never to be freed.
 */
const char *kms_status_text(kms_status status);

/**
 * The version of the library that runs, such as "0.1.0"; KMS_VERSION_STRING is the header's.
 */
const char *kms_version(void);

/**
 * The length of the CiphertextBlob of a plaintext of this many bytes.
 *
 * plaintext_len  1..KMS_PLAINTEXT_MAX; for any other the answer is 0.
 */
size_t kms_ciphertext_blob_len(size_t plaintext_len);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* KMSBOX_H */
