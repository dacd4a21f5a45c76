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
