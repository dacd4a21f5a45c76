//! Where the system refuses more than 16 KiB at once, a call answers `KMS_ERR_NO_MEMORY`. An allocation that
//! takes it for granted would end this program, which finds the allocator of this file before that of the C
//! library.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(
    unsafe_code,
    reason = "stands in for functions of the system, and C functions are called as a C program calls them"
)]

#[macro_use]
#[path = "support/client.rs"]
mod client;
#[path = "allocation/refusing.rs"]
mod refusing;
mod support;

use std::ffi::{CString, c_char, c_void};
use std::ptr;

use client::{Client, Options, Place, ROOT_KEY, c_text, form};
use kmsbox::error::Status;
use kmsbox::ffi::bulk::{kms_generate_data_keys, kms_re_encrypt_many};
use kmsbox::ffi::call::{kms_call, kms_document_free};
use kmsbox::ffi::client::{kms_client, kms_client_describe, kms_client_free, kms_client_open};
use kmsbox::ffi::context::kms_encryption_context;
use kmsbox::ffi::data_key::{kms_decrypt, kms_generate_data_key};
use kmsbox::ffi::options::{kms_options_set, kms_options_set_audit_callback};
use kmsbox::ffi::types::kms_response;
use kmsbox::kms::{Kms, NewKey, VersionUsage};
use kmsbox::request_id::Call;
use refusing::{REFUSED, Refused, refuse, refuse_above, refuse_each};

/// A request whose document nobody reads.
fn request(client: *const kms_client, request: &CString) -> i32 {
    let (mut document, mut len) = (ptr::null_mut(), 0);
    let response = ptr::null_mut();
    let status = c!(kms_call(
        client,
        request.as_ptr(),
        &mut document,
        &mut len,
        response
    ));
    c!(kms_document_free(document));
    status
}

/// The longest text of three bytes a character.
fn long() -> String {
    form(&"漢".repeat(8192))
}

/// A long value, and pairs enough that a list of them is long too.
fn long_context() -> String {
    let value = "漢".repeat(6000);
    let key = |number: u32| format!(r#","{number:x}":"""#);
    let pairs: String = (0..260).map(key).collect();
    format!(r#"{{"table":"{value}"{pairs}}}"#)
}

unsafe extern "C" fn keep(_: *mut c_void, _: *const c_char, _: usize) -> i32 {
    0
}

fn audited() -> Client {
    let mut options = Options::new();
    options.root_key(&ROOT_KEY);
    options.set("keystore", "memory:");
    let (nowhere, response) = (ptr::null_mut(), ptr::null_mut());
    assert_eq!(
        c!(kms_options_set_audit_callback(
            options.raw(),
            Some(keep),
            nowhere,
            response
        )),
        0
    );
    options.open().unwrap()
}

#[test]
fn options_and_opening() {
    let options = Options::new();
    let permissions = vec!["Decrypt@alias/orders"; 3000].join(",");
    let (name, value) = (c_text("permissions"), c_text(&permissions));
    refuse_above("kms_options_set", 0, || {
        c!(kms_options_set(
            options.raw(),
            name.as_ptr(),
            value.as_ptr(),
            ptr::null_mut()
        ))
    });
    let mut options = Options::new();
    options.root_key(&ROOT_KEY);
    options.set("keystore", "memory:");
    options.set("permissions", &permissions);
    options.set("locked_memory_max", "1073741824");
    refuse_each("kms_client_open", 0, || open(&options));
    let client = options.open().unwrap();
    refuse_each("kms_client_describe", 0, || {
        let (mut document, mut len) = (ptr::null_mut(), 0);
        let status = c!(kms_client_describe(client.raw(), &mut document, &mut len));
        c!(kms_document_free(document));
        status
    });
}

fn open(options: &Options) -> i32 {
    let mut client = ptr::null_mut();
    let status = c!(kms_client_open(options.raw(), &mut client, ptr::null_mut()));
    c!(kms_client_free(client));
    status
}

#[test]
fn requests_and_their_answers() {
    let client = audited();
    let key_id = client.create_key();
    let description = long();
    let (context, long_context) = ("EncryptionContext", form(&long_context()));
    let many = vec![r#""x""#; 20_000].join(",");
    let filters = form(&format!(r#"[{{"Key":"KeyState","Values":[{many}]}}]"#));
    let invalid = Status::InvalidParameter.number();
    for (text, expected) in [
        (format!("CreateKey&Description={description}"), 0),
        (
            format!("UpdateKeyDescription&KeyId={key_id}&Description={description}"),
            0,
        ),
        (format!("DescribeKey&KeyId={key_id}"), 0),
        (format!("DescribeKey&Format=XML&KeyId={key_id}"), 0),
        (
            format!(
                "SetDeletionProtection&ProtectedResourceArn=acs:kms:local:0:key/{key_id}\
                 &EnableDeletionProtection=true&DeletionProtectionDescription={description}"
            ),
            0,
        ),
        (format!("DescribeKey&KeyId={key_id}"), 0),
        (format!("ListKeys&Filters={filters}"), 0),
        (
            format!(
                "TagResource&KeyId={key_id}&Tags={}",
                form(&format!("[{many}]"))
            ),
            invalid,
        ),
        (
            format!(
                "UntagResource&KeyId={key_id}&TagKeys={}",
                form(&format!("[{many}]"))
            ),
            0,
        ),
        (
            format!("Encrypt&KeyId={key_id}&Plaintext=x&{context}={long_context}"),
            0,
        ),
        (
            format!("Decrypt&CiphertextBlob={}", "A".repeat(1_000_000)),
            Status::NotABlob.number(),
        ),
    ] {
        let what = text.chars().take(30).collect::<String>();
        let text = c_text(&format!("Action={text}"));
        refuse_above(&what, expected, || request(client.raw(), &text));
    }
}

/// Nothing that was made is told as refused.
#[test]
fn what_has_no_room_for_its_answer_says_that_it_was_done() {
    let client = audited();
    let text = c_text(&format!("Action=CreateKey&Description={}", long()));
    let mut done = 0;
    for granted in 0.. {
        let before = client.epoch();
        let mut says_so = false;
        let refused = refuse("CreateKey", Refused::After(granted), 0, &mut || {
            let (mut document, mut len) = (ptr::null_mut(), 0);
            let mut response: kms_response = c!(std::mem::zeroed());
            let status = c!(kms_call(
                client.raw(),
                text.as_ptr(),
                &mut document,
                &mut len,
                &mut response
            ));
            c!(kms_document_free(document));
            let message = client::text(&response.error_message);
            says_so = status == 0 || message.starts_with("The request was performed");
            status
        });
        let made = client.epoch() > before;
        assert_eq!(made, says_so, "large allocation {granted} refused");
        if !refused {
            break;
        }
        done += u32::from(made);
    }
    assert!(done > 0, "this test must see an answer without room");
}

#[test]
fn data_keys_bound_to_long_contexts() {
    let client = audited();
    let key_id = c_text(&client.create_key());
    let context = long_context();
    let escaped = context.replace("漢漢", "漢\\u6f22");
    let (context, escaped) = (c_text(&context), c_text(&escaped));
    let (mut key, mut blob) = ([0; 32], [0; 142]);
    let (mut key_len, mut blob_len) = (0, 0);
    refuse_above("kms_generate_data_key", 0, || {
        c!(kms_generate_data_key(
            client.raw(),
            key_id.as_ptr(),
            0,
            0,
            context.as_ptr(),
            key.as_mut_ptr(),
            key.len(),
            &mut key_len,
            blob.as_mut_ptr(),
            blob.len(),
            &mut blob_len,
            ptr::null_mut(),
        ))
    });
    refuse_above("kms_decrypt", 0, || {
        c!(kms_decrypt(
            client.raw(),
            ptr::null(),
            blob.as_ptr(),
            blob.len(),
            escaped.as_ptr(),
            key.as_mut_ptr(),
            key.len(),
            &mut key_len,
            ptr::null_mut(),
        ))
    });
    let names: Vec<CString> = (0..1000)
        .map(|number| c_text(&number.to_string()))
        .collect();
    let pairs: Vec<*const c_char> = names.iter().flat_map(|name| [name.as_ptr(); 2]).collect();
    let mut json = vec![0; 32769];
    let mut json_len = 0;
    refuse_each(
        "kms_encryption_context",
        Status::InvalidParameter.number(),
        || {
            c!(kms_encryption_context(
                pairs.as_ptr(),
                1000,
                json.as_mut_ptr(),
                json.len(),
                &mut json_len,
            ))
        },
    );
    let long = c_text(&"漢".repeat(8000));
    for pairs in [&pairs[..2 * 700], &[names[0].as_ptr(), long.as_ptr()]] {
        refuse_each("kms_encryption_context", 0, || {
            c!(kms_encryption_context(
                pairs.as_ptr(),
                pairs.len() / 2,
                json.as_mut_ptr(),
                json.len(),
                &mut json_len,
            ))
        });
    }
}

#[test]
fn many_keys_and_blobs() {
    const COUNT: usize = 4096;
    const BLOB: usize = 142;
    let client = audited();
    let key_id = c_text(&client.create_key());
    let (mut keys, mut blobs) = (vec![0; COUNT * 32], vec![0; COUNT * BLOB]);
    let (mut keys_len, mut len) = (0, 0);
    let long_id = c_text(&"k".repeat(100_000));
    for key_id in [&long_id, &key_id] {
        let mut make = || {
            c!(kms_generate_data_keys(
                client.raw(),
                key_id.as_ptr(),
                0,
                0,
                ptr::null(),
                COUNT,
                keys.as_mut_ptr(),
                keys.len(),
                &mut keys_len,
                blobs.as_mut_ptr(),
                blobs.len(),
                &mut len,
                ptr::null_mut(),
            ))
        };
        if key_id == &long_id {
            refuse_each("kms_generate_data_keys", Status::KeyNotFound.number(), make);
        } else {
            assert_eq!(make(), 0);
        }
    }
    // Each says that it is under another CMK: the audit line has to tell all of them.
    for (number, blob) in blobs.chunks_exact_mut(BLOB).enumerate() {
        blob[6..14].copy_from_slice(&number.to_be_bytes());
    }
    let lens = vec![BLOB; COUNT];
    let (mut rewrapped, mut statuses) = (vec![0; blobs.len()], vec![0; COUNT]);
    refuse_each("kms_re_encrypt_many", 0, || {
        c!(kms_re_encrypt_many(
            client.raw(),
            blobs.as_ptr(),
            lens.as_ptr(),
            COUNT,
            ptr::null(),
            ptr::null(),
            key_id.as_ptr(),
            ptr::null(),
            rewrapped.as_mut_ptr(),
            rewrapped.len(),
            &mut len,
            statuses.as_mut_ptr(),
            ptr::null_mut(),
        ))
    });
    assert!(
        statuses
            .iter()
            .all(|status| *status == Status::KeyNotFound.number())
    );
}

/// A new keystore at this place, opened in Rust.
fn created(place: &Place) -> Kms {
    place.create();
    let mut options = kmsbox::options::Options::default();
    let path = place.keystore();
    options.set("keystore", path.to_str().unwrap()).unwrap();
    options.set_root_key(&ROOT_KEY).unwrap();
    Kms::open(&options).unwrap()
}

#[test]
fn the_usage_of_hundreds_of_cmks() {
    let place = Place::new();
    let kms = created(&place);
    let keys = kms.create_keys(&Call::default(), &NewKey::default(), 700);
    let client = place.open().unwrap();
    for key in keys.unwrap() {
        let blob = client.data_key(&key.key_id.to_string()).blob;
        client.decrypt(None, &blob, None).unwrap();
    }
    let mut client = Some(client);
    refuse("kms_client_free", Refused::Above(16 << 10), 0, &mut || {
        drop(client.take());
        0
    });
    let usage = kms.usage(None).unwrap();
    let counted = |used: &VersionUsage| used.used.is_some_and(|(unwraps, _)| unwraps == 1);
    assert!(usage.len() == 700 && usage.iter().all(counted));
}

#[test]
fn a_keystore_of_thousands_of_cmks() {
    let place = Place::new();
    let kms = created(&place);
    kms.create_keys(&Call::default(), &NewKey::default(), 3000)
        .unwrap();
    let key_id = kms
        .create_key(&Call::default(), &NewKey::default())
        .unwrap()
        .key_id;

    refuse_each("kms_client_open", 0, || open(&place.options()));
    let client = place.open().unwrap();
    let reader = place.open_with(&[("refresh_interval_ms", "0")]).unwrap();
    let mut alias = 0;
    for text in [
        "CreateKey",
        "CreateAlias&AliasName=alias/",
        "CreateKeyVersion",
    ] {
        let (before, mut made) = (client.epoch(), 0);
        let describe = c_text(&format!("Action=DescribeKey&KeyId={key_id}"));
        refuse_each(text, 0, || {
            let refused = REFUSED.replace(Refused::None);
            alias += 1;
            let name = if text.ends_with('/') {
                alias.to_string()
            } else {
                String::new()
            };
            let text = match text {
                "CreateKey" => c_text("Action=CreateKey"),
                _ => c_text(&format!("Action={text}{name}&KeyId={key_id}")),
            };
            REFUSED.set(refused);
            let status = request(client.raw(), &text);
            made += u64::from(status == 0);
            status
        });
        // A change gets over a refusal where it looks for what killed writers left.
        assert_eq!(
            client.epoch(),
            before + made,
            "{text}: made where it says so"
        );
        refuse_each("a look at a change", 0, || request(reader.raw(), &describe));
    }
}

#[test]
fn a_cmk_of_thousands_of_versions() {
    let client = audited();
    let key_id = client.create_key();
    let rotate = c_text(&format!("Action=CreateKeyVersion&KeyId={key_id}"));
    for _ in 0..2100 {
        assert_eq!(request(client.raw(), &rotate), 0);
    }
    refuse_above("CreateKeyVersion", 0, || request(client.raw(), &rotate));
    let describe = c_text(&format!("Action=DescribeKey&KeyId={key_id}"));
    refuse_above("DescribeKey", 0, || request(client.raw(), &describe));
}
