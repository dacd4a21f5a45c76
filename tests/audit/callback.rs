//! A function of the host as the log.

use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, Ordering};

use kmsbox::error::Status;
use kmsbox::ffi::options::{kms_audit_callback, kms_options_set_audit_callback};
use kmsbox::ffi::types::kms_status;
use serde_json::Value;

use crate::client::{Ask, Client, Options, ROOT_KEY, Response};

/// What the function is given as its context.
#[derive(Default)]
struct Host {
    lines: Mutex<Vec<Value>>,
    answer: AtomicI32,
}

unsafe extern "C" fn take(context: *mut c_void, line: *const c_char, len: usize) -> i32 {
    // SAFETY: the library hands back the context that the test gave, and as many bytes as it says.
    let (host, line) = unsafe {
        let bytes = std::slice::from_raw_parts(line.cast::<u8>(), len);
        (&*context.cast::<Host>(), bytes)
    };
    let text = std::str::from_utf8(line).unwrap();
    assert_eq!(
        text.find('\n'),
        Some(text.len() - 1),
        "one line, with its end"
    );
    host.lines
        .lock()
        .unwrap()
        .push(serde_json::from_str(text).unwrap());
    host.answer.load(Ordering::Relaxed)
}

fn set(options: &Options, host: &Host) {
    assert_eq!(try_set(options, Some(take), host), 0);
}

fn try_set(options: &Options, callback: kms_audit_callback, host: &Host) -> kms_status {
    c!(kms_options_set_audit_callback(
        options.raw(),
        callback,
        ptr::from_ref(host).cast_mut().cast(),
        Response::new().raw()
    ))
}

fn told(host: &Host) -> Vec<(String, String, String)> {
    let field = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
    let lines = std::mem::take(&mut *host.lines.lock().unwrap());
    let tell = |line: &Value| {
        (
            field(line, "action"),
            field(line, "phase"),
            field(line, "status"),
        )
    };
    lines.iter().map(tell).collect()
}

fn in_memory() -> Options {
    let mut options = Options::new();
    options.root_key(&ROOT_KEY);
    options.set("keystore", "memory:");
    options
}

fn lines(expected: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
    let owned = |(a, b, c): &(&str, &str, &str)| (a.to_string(), b.to_string(), c.to_string());
    expected.iter().map(owned).collect()
}

#[test]
fn it_is_told_of_each_operation() {
    let host = Host::default();
    let options = in_memory();
    set(&options, &host);
    let client = options.open().unwrap();
    let key = client.create_key();
    let done = [
        ("CreateKey", "intent", ""),
        ("CreateKey", "result", "KMS_OK"),
    ];
    assert_eq!(told(&host), lines(&done));
    let made = client.data_key(&key);
    client.decrypt(Some(&key), &made.blob, None).unwrap();
    client
        .decrypt(Some(&key), &made.blob, Some("{\"a\":\"b\"}"))
        .unwrap_err();
    let done = [
        ("GenerateDataKey", "result", "KMS_OK"),
        ("Decrypt", "result", "KMS_OK"),
        ("Decrypt", "result", "KMS_ERR_CIPHERTEXT_INVALID"),
    ];
    assert_eq!(told(&host), lines(&done));
}

#[test]
fn what_it_does_not_take_does_not_happen() {
    let host = Host::default();
    let options = in_memory();
    set(&options, &host);
    let client = options.open().unwrap();
    let key = client.create_key();
    let made = client.data_key(&key);
    let epoch = client.epoch();
    for refusal in [1, -1, i32::MIN] {
        host.answer.store(refusal, Ordering::Relaxed);
        told(&host);
        refused(&client, &key, &made.blob);
        assert_eq!(client.epoch(), epoch);
        let told = told(&host);
        assert!(
            told.contains(&("CreateKey".into(), "intent".into(), String::new())),
            "{told:?}"
        );
    }
    // It is asked each time anew.
    host.answer.store(0, Ordering::Relaxed);
    assert_eq!(
        client.decrypt(None, &made.blob, None).unwrap().plaintext,
        made.plaintext
    );
    client.create_key();
    assert_eq!(client.epoch(), epoch + 1);
}

fn refused(client: &Client, key: &str, blob: &[u8]) {
    let ask = Ask {
        key_id: key,
        ..Ask::default()
    };
    let generate = client.generate(ask).unwrap_err();
    assert_eq!(generate.status, Status::AuditFailed);
    assert!(
        generate.message.contains("callback"),
        "{}",
        generate.message
    );
    let statuses = [
        client.generate_without_plaintext(ask).unwrap_err().status,
        client.decrypt(None, blob, None).unwrap_err().status,
        client.refused("Action=CreateKey"),
        client.refused("Action=ListKeys"),
    ];
    assert_eq!(statuses, [Status::AuditFailed; 4]);
}

#[test]
fn the_lines_go_to_one_place() {
    let host = Host::default();
    let refused = Status::InvalidOption.number();
    let mut file_first = in_memory();
    file_first.set("audit_log", "audit.log");
    assert_eq!(try_set(&file_first, Some(take), &host), refused);
    // None is not the file's business.
    assert_eq!(try_set(&file_first, None, &host), 0);
    assert_eq!(file_first.open().unwrap().describe()["Audited"], true);

    let mut host_first = in_memory();
    set(&host_first, &host);
    let refusal = host_first.try_set("audit_log", "audit.log").unwrap_err();
    assert_eq!(refusal.status.number(), refused);
    assert!(refusal.message.contains("audit_log"), "{}", refusal.message);
    assert_eq!(try_set(&host_first, None, &host), 0);
    host_first.set("audit_log", "audit.log");
}

#[test]
fn none_is_no_log() {
    let host = Host::default();
    let options = in_memory();
    set(&options, &host);
    let mut response = Response::new();
    let status = c!(kms_options_set_audit_callback(
        options.raw(),
        None,
        ptr::null_mut(),
        response.raw()
    ));
    assert_eq!(status, 0);
    let client = options.open().unwrap();
    client.create_key();
    assert_eq!(told(&host), []);
    assert_eq!(client.describe()["Audited"], false);
    let status = c!(kms_options_set_audit_callback(
        ptr::null_mut(),
        None,
        ptr::null_mut(),
        ptr::null_mut()
    ));
    assert_eq!(status, Status::InvalidArgument.number());
}
