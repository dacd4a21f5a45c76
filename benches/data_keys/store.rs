//! A keystore on disk with its CMKs, and a client that has it open, as a C program has.

use std::ffi::{CStr, CString};
use std::path::PathBuf;
use std::ptr;

use kmsbox::ffi::call::{kms_call, kms_document_free};
use kmsbox::ffi::client::{kms_client, kms_client_free, kms_client_open};
use kmsbox::ffi::options::{
    kms_options_free, kms_options_new, kms_options_set, kms_options_set_root_key,
};
use kmsbox::ffi::status::kms_status_name;
use kmsbox::kms::{Kms, NewKey};
use kmsbox::options::Options;
use kmsbox::request_id::Call;
use tempfile::TempDir;

/// An alias of the first CMK.
pub const ALIAS: &CStr = c"alias/orders";

const ROOT_KEY: [u8; 32] = [7; 32];

/// A directory with a keystore in it, removed with it.
pub struct Store {
    directory: TempDir,
    /// The ids of its CMKs.
    pub key_ids: Vec<CString>,
}

impl Store {
    /// So many CMKs.
    pub fn with_keys(count: usize) -> Self {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let mut store = Store {
            directory,
            key_ids: Vec::with_capacity(count),
        };
        let mut options = Options::default();
        let path = store.path().into_os_string().into_string().expect("UTF-8");
        options.set("keystore", &path).expect("an option");
        options.set("create", "true").expect("an option");
        options.set_root_key(&ROOT_KEY).expect("a root key");
        let kms = Kms::open(&options).expect("a new keystore");
        let call = Call::default();
        let keys = kms.create_keys(&call, &NewKey::default(), count);
        for key in keys.expect("the CMKs are made") {
            let key_id = key.key_id.to_string();
            if store.key_ids.is_empty() {
                kms.create_alias(&call, &key_id, &ALIAS.to_string_lossy())
                    .expect("the alias is made");
            }
            store.key_ids.push(CString::new(key_id).unwrap_or_default());
        }
        store
    }

    /// The keystore's file.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("keystore")
    }

    /// Opens it with default options, and these.
    pub fn open(&self, more: &[(&CStr, &CStr)]) -> Client {
        let path = CString::new(self.path().into_os_string().into_encoded_bytes());
        let path = path.expect("a path without NUL");
        let mut options = ptr::null_mut();
        let mut client = ptr::null_mut();
        // SAFETY: every pointer is NULL where that is allowed, made by the library, or to a live value of
        // ours; the options are used by this thread alone and not after they are freed.
        unsafe {
            ok(kms_options_new(&raw mut options));
            for (name, value) in [(c"keystore", path.as_c_str())].iter().chain(more) {
                let set = kms_options_set(options, name.as_ptr(), value.as_ptr(), ptr::null_mut());
                ok(set);
            }
            let (root_key, len) = (ROOT_KEY.as_ptr(), ROOT_KEY.len());
            ok(kms_options_set_root_key(
                options,
                root_key,
                len,
                ptr::null_mut(),
            ));
            ok(kms_client_open(options, &raw mut client, ptr::null_mut()));
            kms_options_free(options);
        }
        Client(client)
    }
}

/// An opened client, closed when it goes.
pub struct Client(*mut kms_client);

// SAFETY: any number of threads may use one client at once, the header says.
unsafe impl Sync for Client {}

impl Client {
    /// For the C functions.
    pub fn handle(&self) -> *const kms_client {
        self.0
    }

    /// Performs a request whose answer does not matter.
    pub fn request(&self, request: &CStr) {
        let (mut document, mut len) = (ptr::null_mut(), 0);
        // SAFETY: the client is open, the text lives through the call, and the outputs are ours.
        unsafe {
            ok(kms_call(
                self.0,
                request.as_ptr(),
                &raw mut document,
                &raw mut len,
                ptr::null_mut(),
            ));
            kms_document_free(document);
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // SAFETY: made by kms_client_open, and nobody has it any more.
        unsafe { kms_client_free(self.0) };
    }
}

/// Ends the program where a call failed: what is measured must have worked.
pub fn ok(status: i32) {
    if status != 0 {
        // SAFETY: gives a text that lives as long as the library, whatever the number.
        let name = unsafe { CStr::from_ptr(kms_status_name(status)) };
        panic!("{}", name.to_string_lossy());
    }
}
