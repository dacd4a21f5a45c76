//! Options: what kms_client_open is told.

use std::ffi::{c_char, c_void};
use std::mem::offset_of;
use std::sync::Arc;

use super::args::{Handle, Marked, bytes, free, handle_mut, text};
use super::boundary::{Outputs, answer, boundary};
use super::types::{kms_response, kms_status};
use crate::audit::Host;
use crate::error::{Error, Status};
use crate::options::Options;

/// A set of options, opaque. Made by kms_options_new, freed by kms_options_free.
pub struct kms_options {
    marked: Marked<Options>,
}

const _: () = assert!(offset_of!(kms_options, marked) == 0);

impl Handle for kms_options {
    const MARK: u64 = 0x6b6d_735f_6f70_7469;
}

impl kms_options {
    pub(super) fn options(&self) -> &Options {
        &self.marked.value
    }
}

/// Makes an empty set of options.
///
/// options  out: the set, to be freed with kms_options_free; NULL on failure.
///
/// Returns KMS_OK, KMS_ERR_INVALID_ARGUMENT, KMS_ERR_NO_MEMORY.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kms_options_new(options: *mut *mut kms_options) -> kms_status {
    answer(Outputs::new(std::ptr::null_mut()).handle(options), |out| {
        out.put_handle(kms_options {
            marked: Marked::of::<kms_options>(Options::default()),
        })
    })
}

/// Sets one option. A later value replaces an earlier one.
///
/// options   the set; no other thread may use it meanwhile.
/// name      one of the names below.
/// value     text of at most 65536 bytes; what each name takes:
///
///   keystore             path of the keystore file, or "memory:" for one that lives with the client
///   create               "true": make the keystore if it is missing; default "false"
///   root_key             "file:PATH" (32 raw bytes, or hex or base64 of 32; not readable by group or
///                        others), "credential:NAME" (a file in $CREDENTIALS_DIRECTORY), "env:NAME"
///                        (hex or base64), "passphrase-file:PATH" (through Argon2id)
///   permissions          comma list of API actions that this client will perform, such as "Decrypt" or,
///                        on one CMK, "Decrypt@alias/orders"; default: all
///   audit_log            path of a regular file that gets one line of JSON for each operation
///   keystore_id          the id that the keystore must have, and gets if it is made: lower-case UUID
///   read_only            "true": never writes; default "false"
///   refresh_interval_ms  0..3600000: how stale the view of another process's change may be; default
///                        1000; 0 looks at every call
///   lock_timeout_ms      0..3600000: how long a management call waits for another writer; default 5000
///   locked_memory_max    16384..1073741824 bytes of locked memory for expanded keys; default 1048576
///
/// response  may be NULL.
///
/// Texts are UTF-8. Files named here are read by kms_client_open, not before. Paths are made absolute
/// there (so is $CREDENTIALS_DIRECTORY), and links in them are followed at each use.
///
/// Returns KMS_OK, KMS_ERR_INVALID_OPTION (the response names it), KMS_ERR_MISSING_PARAMETER,
/// KMS_ERR_INVALID_ARGUMENT, KMS_ERR_NO_MEMORY.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kms_options_set(
    options: *mut kms_options,
    name: *const c_char,
    value: *const c_char,
    response: *mut kms_response,
) -> kms_status {
    answer(Outputs::new(response), |_| {
        // SAFETY: the caller passes what kms_options_new gave and nobody else uses it meanwhile.
        let options = unsafe { handle_mut(options) }?;
        // SAFETY: the caller passes NULL or NUL-terminated text that lives through the call.
        let name = unsafe { text(name) };
        // SAFETY: as above.
        let value = unsafe { text(value) };
        let name = name.required("name").map_err(not_an_option)?;
        let value = value.required(name).map_err(not_an_option)?;
        options.marked.value.set(name, value)
    })
}

/// Gives the root key as bytes, instead of the option "root_key".
///
/// root_key      32 random bytes; copied into locked memory, so wipe yours.
/// root_key_len  KMS_ROOT_KEY_LEN.
/// response      may be NULL.
///
/// Returns KMS_OK, KMS_ERR_INVALID_ARGUMENT (NULL or another length), KMS_ERR_INVALID_OPTION (the
/// option "root_key" is set too), KMS_ERR_NO_MEMORY.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kms_options_set_root_key(
    options: *mut kms_options,
    root_key: *const u8,
    root_key_len: usize,
    response: *mut kms_response,
) -> kms_status {
    answer(Outputs::new(response), |_| {
        // SAFETY: the caller passes what kms_options_new gave and nobody else uses it meanwhile.
        let options = unsafe { handle_mut(options) }?;
        // SAFETY: the caller passes this many readable bytes, or NULL.
        let root_key = unsafe { bytes(root_key, root_key_len) }?;
        let root_key = root_key
            .try_into()
            .map_err(|_| Error::invalid_argument("The root key must have exactly 32 bytes."))?;
        options.marked.value.set_root_key(root_key)
    })
}

/// Takes one line of the audit log.
///
/// context   what was given to kms_options_set_audit_callback.
/// line      JSON and a line feed; there is no NUL.
/// line_len  its length, with the line feed.
///
/// Returns 0 when the line is kept. Anything else makes the operation fail with KMS_ERR_AUDIT_FAILED.
/// Where it does so at the result of a change ("phase":"result" after an intent), the change is made,
/// and error_message begins "The change was made, but". It is called by whichever thread performs an
/// operation, by several at once, and must not call this library.
///
/// It must return, on the stack that it was called on. It must not be left by longjmp, pthread_exit, a C++
/// exception or a switch to another context: that ends the process, or leaves a lock of the library held
/// for ever. The thread cannot be cancelled in it, and it must not enable that. It must not wait for a fork,
/// nor take a lock that a handler of yours for pthread_atfork takes: a fork waits for changes.
pub type kms_audit_callback =
    Option<unsafe extern "C" fn(context: *mut c_void, line: *const c_char, line_len: usize) -> i32>;

/// Has each operation told to a function of the host, instead of the option "audit_log".
///
/// callback  NULL: no longer.
/// context   handed to each call; must stay valid as long as a client opened with these options.
/// response  may be NULL.
///
/// Returns KMS_OK, KMS_ERR_INVALID_ARGUMENT, KMS_ERR_INVALID_OPTION (the option "audit_log" is set
/// too).
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kms_options_set_audit_callback(
    options: *mut kms_options,
    callback: kms_audit_callback,
    context: *mut c_void,
    response: *mut kms_response,
) -> kms_status {
    answer(Outputs::new(response), |_| {
        // SAFETY: the caller passes what kms_options_new gave and nobody else uses it meanwhile.
        let options = unsafe { handle_mut(options) }?;
        let host = callback.map(|callback| audit_host(callback, context));
        options.marked.value.set_audit_host(host)
    })
}

/// Frees a set of options and wipes a root key in it. NULL is allowed. Clients opened with it stay.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kms_options_free(options: *mut kms_options) {
    boundary((), || {
        // SAFETY: the caller gives up what kms_options_new gave, or NULL.
        unsafe { free(options) }
    })
}

fn audit_host(
    callback: unsafe extern "C" fn(*mut c_void, *const c_char, usize) -> i32,
    context: *mut c_void,
) -> Host {
    /// The caller promises that its context may be used from any thread.
    struct Context(*mut c_void);
    // SAFETY: the pointer is only handed back to the caller, who promises this.
    unsafe impl Send for Context {}
    // SAFETY: as above.
    unsafe impl Sync for Context {}

    let context = Context(context);
    Arc::new(move |line: &[u8]| {
        let context = &context;
        // SAFETY: the caller's own function, with its own context and bytes that live through the call.
        let taken = unsafe { callback(context.0, line.as_ptr().cast(), line.len()) };
        taken == 0
    })
}

/// What is not UTF-8 is no option and no value of one.
fn not_an_option(error: Error) -> Error {
    match error.status() {
        Status::InvalidParameter => Error::constant(
            Status::InvalidOption,
            "The option or its value is not valid: it is not UTF-8. A path of other bytes can be given \
             as a link to it, whose name is UTF-8.",
        ),
        _ => error,
    }
}
