//! The process that is searched: it uses the library as a careful host does, and wipes what it was given.

mod data_keys;

use std::ffi::{CStr, CString, c_char};
use std::hint::black_box;
use std::io::{BufRead, Write};
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::mpsc::channel;
use std::thread;

use kmsbox::ffi::call::{kms_call, kms_document_free};
use kmsbox::ffi::client::{kms_client, kms_client_free, kms_client_open};
use kmsbox::ffi::options::{kms_options_free, kms_options_new, kms_options_set};
use kmsbox::ffi::secret::{kms_secret_alloc, kms_secret_free};
use kmsbox::ffi::status::kms_status_name;
use kmsbox::kms::Kms;
use kmsbox::options::Options;
use kmsbox::request_id::Call;
use zeroize::{Zeroize, Zeroizing};

pub const ROLE: &str = "KMSBOX_TEST_HOST";

const KEY: usize = 32;

/// Enough for every operation, and little to search.
const STACK: usize = 256 << 10;

static CLIENT: AtomicPtr<kms_client> = AtomicPtr::new(ptr::null_mut());
static KEPT: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());

/// Whether this process is that host.
pub fn is_here() -> bool {
    std::env::var_os(ROLE).is_some()
}

/// Does what is asked for in lines of words with tabs between them, until there are no more.
pub fn serve() {
    let mut answers = std::io::stdout();
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let (sender, answer) = channel();
        let stays = move || {
            let words: Vec<_> = line.split('\t').collect();
            sender.send(perform(&words).join("\t")).unwrap();
            loop {
                thread::park();
            }
        };
        thread::Builder::new()
            .stack_size(STACK)
            .spawn(stays)
            .unwrap();
        writeln!(answers, "@{}", answer.recv().unwrap()).unwrap();
    }
}

fn perform(words: &[&str]) -> Vec<String> {
    match words {
        ["open", keystore, root_key] => vec![open(keystore, root_key)],
        ["free"] => {
            // SAFETY: the client and the secret of this process, or null, used by nobody any more.
            unsafe {
                kms_client_free(CLIENT.swap(ptr::null_mut(), Ordering::AcqRel));
                kms_secret_free(KEPT.swap(ptr::null_mut(), Ordering::AcqRel).cast());
            }
            vec![name(0)]
        }
        ["call", request] => call(request.as_bytes()),
        ["use", "typed", key, other] => data_keys::typed(&text(key), &text(other)),
        ["use", "bulk", key, other] => data_keys::bulk(&text(key), &text(other)),
        ["use", "documents", key, _] => data_keys::documents(key),
        ["use", "refused", key, other] => data_keys::refused(&text(key), &text(other)),
        ["operate", what, keystore, more @ ..] => vec![operate(what, keystore, more)],
        ["keep"] => vec![keep()],
        ["fork"] => fork(),
        ["end", child] => vec![end(child.parse().unwrap())],
        _ => panic!("not understood: {words:?}"),
    }
}

/// Bytes of the host's; computed, so that no program holds them.
pub fn kept() -> [u8; KEY] {
    let mut byte = black_box(0x2F_u8);
    [(); KEY].map(|()| {
        byte = byte.wrapping_mul(5).wrapping_add(0x35);
        byte
    })
}

fn keep() -> String {
    let mut place = ptr::null_mut();
    let mut bytes = kept();
    // SAFETY: a place for a pointer; then as many bytes as were asked for.
    let status = unsafe {
        let status = kms_secret_alloc(KEY, &mut place);
        place.cast::<[u8; KEY]>().write(bytes);
        status
    };
    bytes.zeroize();
    KEPT.store(place.cast(), Ordering::Release);
    name(status)
}

fn open(keystore: &str, root_key: &str) -> String {
    let (mut options, mut client) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: as the header asks.
    unsafe {
        assert_eq!(kms_options_new(&mut options), 0);
        for option in [
            &format!("keystore={keystore}"),
            root_key,
            "create=true",
            "refresh_interval_ms=0",
        ] {
            let (name, value) = option.split_once('=').unwrap();
            let (name, value) = (text(name), text(value));
            let set = kms_options_set(options, name.as_ptr(), value.as_ptr(), ptr::null_mut());
            assert_eq!(set, 0);
        }
        let status = kms_client_open(options, &mut client, ptr::null_mut());
        kms_options_free(options);
        if status == 0 {
            let old = CLIENT.swap(client, Ordering::AcqRel);
            assert!(old.is_null(), "there is a client already");
        }
        name(status)
    }
}

/// What only an operator does, which a program in C cannot.
fn operate(what: &str, keystore: &str, more: &[&str]) -> String {
    let options = |root_key: &str| {
        let mut options = Options::default();
        options.set("keystore", keystore).unwrap();
        let (name, value) = root_key.split_once('=').unwrap();
        options.set(name, value).unwrap();
        options
    };
    let present = options(more[0]);
    let kms = Kms::open(&present).unwrap();
    let root_key = |options: &Options| options.root_key().unwrap();
    let by = Call::default();
    let done = match (what, more) {
        ("add", [_, new]) => kms
            .add_root_key(&by, &root_key(&present), &root_key(&options(new)))
            .map(|_| ()),
        ("retire", [_]) => {
            let slots = kms.root_keys(Some(&root_key(&present))).unwrap();
            let others = slots.iter().filter(|slot| !slot.this_one);
            others
                .take(1)
                .try_for_each(|slot| kms.retire_root_key(&by, slot.slot_id, &root_key(&present)))
        }
        ("reseal", [_]) => {
            let slots = kms.root_keys(Some(&root_key(&present))).unwrap();
            let other = slots.iter().find(|slot| !slot.this_one);
            kms.reseal(&by, other.map(|slot| slot.slot_id), &root_key(&present))
        }
        ("verify", [_]) => kms.verify().map(|_| ()),
        ("backup", [_, to]) => kms.backup(&present, Path::new(to)).map(|_| ()),
        _ => panic!("not understood: {what} {more:?}"),
    };
    drop(kms);
    if !CLIENT.load(Ordering::Acquire).is_null() {
        // The client looks at what was changed.
        assert_eq!(call(b"Action=ListKeys")[0], "KMS_OK");
    }
    let status = done.err().map_or(0, |error| error.status().number());
    name(status)
}

fn client() -> *const kms_client {
    CLIENT.load(Ordering::Acquire)
}

/// The status of a request, and its document: of one on data only the blob.
fn call(request: &[u8]) -> Vec<String> {
    let (mut document, mut len) = (ptr::null_mut(), 0);
    let request = Zeroizing::new([request, &[0]].concat());
    // SAFETY: the request ends in a NUL; the document is freed once.
    unsafe {
        let at = request.as_ptr().cast::<c_char>();
        let status = kms_call(client(), at, &mut document, &mut len, ptr::null_mut());
        let text = CStr::from_ptr(document).to_str().unwrap();
        let shown = match text.contains("Plaintext") || text.contains("CiphertextBlob") {
            true => between(text, "CiphertextBlob\":\"", "\"")
                .or_else(|| between(text, "<CiphertextBlob>", "<"))
                .unwrap_or_default(),
            false => text,
        };
        let answer = vec![name(status), shown.replace(['\n', '\t'], " ")];
        kms_document_free(document);
        answer
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}

/// A child that waits to be ended.
fn fork() -> Vec<String> {
    // SAFETY: the child does nothing but wait.
    unsafe {
        let child = libc::fork();
        if child == 0 {
            loop {
                libc::pause();
            }
        }
        assert!(child > 0);
        vec![name(0), child.to_string()]
    }
}

fn end(child: libc::pid_t) -> String {
    // SAFETY: a child of this process.
    unsafe {
        assert_eq!(libc::kill(child, libc::SIGKILL), 0);
        assert_eq!(libc::waitpid(child, ptr::null_mut(), 0), child);
    }
    name(0)
}

fn name(status: i32) -> String {
    // SAFETY: the name of a status is text that stays.
    let name = unsafe { CStr::from_ptr(kms_status_name(status)) };
    name.to_str().unwrap().to_owned()
}

fn text(text: &str) -> CString {
    CString::new(text).unwrap()
}

pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
