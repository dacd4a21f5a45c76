//! The one table of errors: number, name, API code, HTTP status, text.
//!
//! The build script includes this file too, so that the header's `#define`s come from it. It must
//! therefore use nothing but `std`.
#![forbid(unsafe_code)]

macro_rules! status_table {
    ($($variant:ident = $number:literal, $name:literal, $code:literal, $http:literal, $text:literal;)*) => {
        /// What went wrong, as the C interface numbers it and as the API names it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(i32)]
        pub enum Status {
            $(#[doc = $text] $variant = $number,)*
        }

        impl Status {
            /// Every status, in order of number.
            pub const ALL: &'static [Status] = &[$(Status::$variant,)*];

            /// The number that C sees: positive, never reused.
            pub const fn number(self) -> i32 {
                self as i32
            }

            /// The name that C sees, without its prefix `KMS_ERR_`.
            pub const fn name(self) -> &'static str {
                match self { $(Status::$variant => $name,)* }
            }

            /// The name with its prefix and a terminating NUL.
            pub const fn c_name(self) -> &'static std::ffi::CStr {
                match self { $(Status::$variant => c_str(concat!("KMS_ERR_", $name, "\0")),)* }
            }

            /// The code of the KMS API, such as `Forbidden.KeyNotFound`.
            pub const fn code(self) -> &'static str {
                match self { $(Status::$variant => $code,)* }
            }

            /// The HTTP status that the API answers with.
            pub const fn http(self) -> u16 {
                match self { $(Status::$variant => $http,)* }
            }

            /// One sentence for people.
            pub const fn text(self) -> &'static str {
                match self { $(Status::$variant => $text,)* }
            }

            /// The sentence with a terminating NUL.
            pub const fn c_text(self) -> &'static std::ffi::CStr {
                match self { $(Status::$variant => c_str(concat!($text, "\0")),)* }
            }

            /// The status with this number.
            pub fn from_number(number: i32) -> Option<Status> {
                Self::ALL.iter().copied().find(|status| status.number() == number)
            }
        }
    };
}

const fn c_str(text: &'static str) -> &'static std::ffi::CStr {
    match std::ffi::CStr::from_bytes_with_nul(text.as_bytes()) {
        Ok(text) => text,
        Err(_) => c"",
    }
}

status_table! {
    InvalidArgument = 100, "INVALID_ARGUMENT", "InvalidParameter", 400,
        "An argument is not usable: a NULL handle or output, a wrong length, or buffers that overlap.";
    BufferTooSmall = 101, "BUFFER_TOO_SMALL", "InvalidParameter", 400,
        "An output buffer is too small; every length now says what is needed.";
    InvalidOption = 102, "INVALID_OPTION", "InvalidParameter", 400,
        "An option or its value is not valid.";
    MissingParameter = 103, "MISSING_PARAMETER", "MissingParameter", 400,
        "A required parameter is not given.";
    InvalidParameter = 104, "INVALID_PARAMETER", "InvalidParameter", 400,
        "The specified parameter is not valid.";
    UnsupportedOperation = 105, "UNSUPPORTED_OPERATION", "UnsupportedOperation", 400,
        "This action is not supported.";
    UnsupportedAlias = 106, "UNSUPPORTED_ALIAS", "Unsupported.Alias", 400,
        "Alias is not valid for this api.";
    UnsupportedProtectionLevel = 107, "UNSUPPORTED_PROTECTION_LEVEL", "Unsupported.ProtectionLevel", 400,
        "This protection level is not valid for this region.";
    UnsupportedKey = 108, "UNSUPPORTED_KEY", "Rejected.UnsupportedOperation", 400,
        "Unsupported operation.";
    UnsupportedOrigin = 109, "UNSUPPORTED_ORIGIN", "Unsupported.Origin", 400,
        "This key origin is not valid for this api.";

    KeyNotFound = 200, "KEY_NOT_FOUND", "Forbidden.KeyNotFound", 404,
        "The specified Key is not found.";
    AliasNotFound = 201, "ALIAS_NOT_FOUND", "Forbidden.AliasNotFound", 404,
        "The specified Alias is not found.";
    KeyVersionNotFound = 202, "KEY_VERSION_NOT_FOUND", "Forbidden.KeyVersionNotFound", 404,
        "The specified Key version is not found.";
    Disabled = 210, "DISABLED", "Rejected.Disabled", 409,
        "The request was rejected because the key state is Disabled.";
    PendingDeletion = 211, "PENDING_DELETION", "Rejected.PendingDeletion", 409,
        "The request was rejected because the key state is PendingDeletion.";
    PendingImport = 212, "PENDING_IMPORT", "Rejected.PendingImport", 409,
        "The request was rejected because the key state is PendingImport.";
    State = 213, "STATE", "Rejected.StateModifiedFailed", 409,
        "Keystate modified failed.";
    AliasExists = 220, "ALIAS_EXISTS", "AliasAlreadyExists", 400,
        "AliasName Already Exists.";
    LimitExceeded = 221, "LIMIT_EXCEEDED", "Rejected.LimitExceeded", 400,
        "The request was rejected because user create resource limit was exceeded.";
    InvalidKeyMaterial = 222, "INVALID_KEY_MATERIAL", "InvalidKeyMaterial", 400,
        "Key material is invalid.";
    InvalidImportToken = 223, "INVALID_IMPORT_TOKEN", "InvalidImportToken", 400,
        "Import token is invalid.";
    ExpiredImportToken = 224, "EXPIRED_IMPORT_TOKEN", "ExpiredImportToken", 400,
        "Import token is expired.";
    NoPermission = 230, "NO_PERMISSION", "Forbidden.NoPermission", 403,
        "This operation is forbidden by permission system.";
    DryRun = 240, "DRY_RUN", "DryRunOperationError", 400,
        "The request would have succeeded, but DryRun is set.";
    DryRunInvalid = 241, "DRY_RUN_INVALID", "ValidationError", 400,
        "The request would have failed.";
    DryRunDenied = 242, "DRY_RUN_DENIED", "AccessDeniedError", 403,
        "The request would have been forbidden by permission system.";

    NotABlob = 300, "NOT_A_BLOB", "InvalidParameter", 400,
        "The CiphertextBlob is not one of kmsbox: its length or first bytes are wrong.";
    KeyMismatch = 301, "KEY_MISMATCH", "InvalidParameter", 400,
        "The CiphertextBlob is not under the expected CMK.";
    CiphertextInvalid = 302, "CIPHERTEXT_INVALID", "InvalidParameter", 400,
        "The blob was altered, or the EncryptionContext is not the one it was made with.";

    KeystoreNotFound = 400, "KEYSTORE_NOT_FOUND", "InternalFailure", 500,
        "There is no keystore at this path.";
    NotAKeystore = 401, "NOT_A_KEYSTORE", "InternalFailure", 500,
        "The file is not a keystore that this version can read.";
    KeystoreTampered = 402, "KEYSTORE_TAMPERED", "InternalFailure", 500,
        "The keystore was altered, cut short or put back by someone without its root key.";
    KeystoreBusy = 403, "KEYSTORE_BUSY", "ServiceUnavailableTemporary", 503,
        "Another process is writing the keystore; try again.";
    KeystoreIo = 404, "KEYSTORE_IO", "InternalFailure", 500,
        "The keystore could not be read or written.";
    AuditFailed = 405, "AUDIT_FAILED", "InternalFailure", 500,
        "The audit log could not be written; nothing was released, and the message says if a change was made.";
    Clock = 406, "CLOCK", "InternalFailure", 500,
        "The clock may be wrong: it is behind the one believed last, far ahead of it, or beyond the year 9999.";
    RootKey = 410, "ROOT_KEY", "InternalFailure", 500,
        "The root key opens no slot of the keystore: it is another key, or the slot is damaged.";
    RootKeySource = 411, "ROOT_KEY_SOURCE", "InternalFailure", 500,
        "The root key's source is missing or cannot be read, or it holds no root key.";

    NoMemory = 900, "NO_MEMORY", "InternalFailure", 500,
        "Memory could not be allocated.";
    Random = 901, "RANDOM", "InternalFailure", 500,
        "The system gave no random bytes.";
    Internal = 902, "INTERNAL", "InternalFailure", 500,
        "An error inside kmsbox; the client remains usable.";
}
