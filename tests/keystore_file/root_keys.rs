//! Where the root key comes from.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kmsbox::error::Status;

use super::{in_own_process, picture, set_mode, status, within};
use crate::client::{Options, Place, ROOT_KEY, Refusal};

fn hex(key: &[u8]) -> String {
    key.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Opens the keystore with the root key from this source.
fn open(place: &Place, source: &str) -> Result<(), Refusal> {
    let mut options = Options::new();
    options.set("keystore", place.keystore().to_str().unwrap());
    options.set("root_key", source);
    options.open().map(|_| ())
}

#[track_caller]
fn refused(place: &Place, source: &str, named: &str) {
    let refusal = open(place, source).unwrap_err();
    assert_eq!(refusal.status, Status::RootKeySource, "{source}");
    assert!(refusal.message.contains(named), "{refusal:?}");
}

#[test]
fn files_in_every_form() {
    let place = Place::new();
    drop(place.create());
    let (lower, base64) = (hex(&ROOT_KEY), STANDARD.encode(ROOT_KEY));
    for content in [
        ROOT_KEY.to_vec(),
        lower.clone().into_bytes(),
        lower.to_uppercase().into_bytes(),
        format!("{lower}\n").into_bytes(),
        format!("{lower}\r\n").into_bytes(),
        base64.clone().into_bytes(),
        format!("{base64}\n").into_bytes(),
        format!("{base64}\r\n").into_bytes(),
    ] {
        let file = place.file("root.key", &content);
        for mode in [0o600, 0o400] {
            set_mode(&file, mode);
            open(&place, &format!("file:{}", file.display())).unwrap();
        }
        fs::remove_file(file).unwrap();
    }
}

#[test]
fn files_that_hold_no_key() {
    let place = Place::new();
    drop(place.create());
    let (text, base64) = (hex(&ROOT_KEY), STANDARD.encode(ROOT_KEY));
    let contents = [
        Vec::new(),
        vec![7; 31],
        vec![7; 33],
        vec![7; 64],
        b"a password of thirty-two letters".to_vec(),
        // A hex string cut in half.
        text.as_bytes()[..32].to_vec(),
        text.as_bytes()[..63].to_vec(),
        format!("{text}0").into_bytes(),
        format!(" {text}").into_bytes(),
        format!("{text}\n\n").into_bytes(),
        text.replace('a', "g").into_bytes(),
        base64.trim_end_matches('=').into(),
        STANDARD.encode([7; 31]).into_bytes(),
        STANDARD.encode([7; 33]).into_bytes(),
        vec![b'x'; 100_000],
    ];
    for content in contents {
        let file = place.file("root.key", &content);
        let path = file.to_str().unwrap();
        refused(&place, &format!("file:{path}"), path);
    }
}

#[test]
fn files_that_are_not_safe_or_not_there() {
    let place = Place::new();
    drop(place.create());
    let file = place.file("root.key", &ROOT_KEY);
    let source = format!("file:{}", file.display());
    for mode in [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644, 0o777] {
        set_mode(&file, mode);
        refused(&place, &source, file.to_str().unwrap());
    }
    set_mode(&file, 0o600);
    open(&place, &source).unwrap();

    let missing = place.at("missing");
    let missing = missing.to_str().unwrap();
    refused(&place, &format!("file:{missing}"), missing);
    refused(&place, &format!("passphrase-file:{missing}"), missing);
    let directory = place.path().to_str().unwrap();
    refused(&place, &format!("file:{directory}"), directory);
    let fifo = CString::new(place.at("fifo").as_os_str().as_bytes()).unwrap();
    assert_eq!(c!(libc::mkfifo(fifo.as_ptr(), 0o600)), 0);
    within(Duration::from_secs(10), move || {
        let fifo = place.at("fifo");
        let fifo = fifo.to_str().unwrap();
        refused(&place, &format!("file:{fifo}"), fifo);
        refused(&place, &format!("passphrase-file:{fifo}"), fifo);
    });
}

#[test]
fn sources_that_mean_nothing() {
    let mut options = Options::new();
    for wrong in [
        "file",
        "file:",
        "env:",
        "credential:",
        "passphrase-file:",
        "File:/x",
        "raw:00",
        "/etc/passwd",
        "credential:a/b",
        "credential:..",
        "credential:.",
        &hex(&ROOT_KEY),
    ] {
        let refusal = options.try_set("root_key", wrong).unwrap_err();
        assert_eq!(refusal.status, Status::InvalidOption, "{wrong}");
    }
    assert_eq!(
        status(options.try_set("root_key", "")),
        Some(Status::MissingParameter)
    );
}

/// A key given by mistake where a source belongs does not go on into logs.
#[test]
fn messages_do_not_quote_a_key() {
    let key = hex(&ROOT_KEY);
    let mut options = Options::new();
    let refusal = options.try_set("root_key", &key).unwrap_err();
    assert!(!refusal.message.contains(&key), "{refusal:?}");
    let place = Place::new();
    let file = place.file("root.key", format!("{key}x").as_bytes());
    let refusal = open(&place, &format!("file:{}", file.display())).unwrap_err();
    assert!(!refusal.message.contains(&key[..8]), "{refusal:?}");
}

#[test]
fn environment_and_credentials() {
    let prepare = |command: &mut std::process::Command| {
        command.env("KMSBOX_HEX", hex(&ROOT_KEY));
        command.env("KMSBOX_BASE64", STANDARD.encode(ROOT_KEY));
        command.env("KMSBOX_EMPTY", "");
        command.env("KMSBOX_SHORT", &hex(&ROOT_KEY)[..62]);
        command.env("KMSBOX_OTHER", hex(&[7; 32]));
        command.env_remove("CREDENTIALS_DIRECTORY");
    };
    if !in_own_process("root_keys::environment_and_credentials", prepare) {
        return;
    }
    let place = Place::new();
    drop(place.create());
    open(&place, "env:KMSBOX_HEX").unwrap();
    open(&place, "env:KMSBOX_BASE64").unwrap();
    refused(&place, "env:KMSBOX_EMPTY", "KMSBOX_EMPTY");
    refused(&place, "env:KMSBOX_SHORT", "KMSBOX_SHORT");
    refused(&place, "env:KMSBOX_NOT_SET", "KMSBOX_NOT_SET");
    assert_eq!(
        status(open(&place, "env:KMSBOX_OTHER")),
        Some(Status::RootKey)
    );

    refused(&place, "credential:root", "CREDENTIALS_DIRECTORY");
    // SAFETY: this process has no other thread that uses the environment.
    unsafe { std::env::set_var("CREDENTIALS_DIRECTORY", place.path()) };
    refused(&place, "credential:root", "root");
    let file = place.file("root", &ROOT_KEY);
    open(&place, "credential:root").unwrap();
    set_mode(&file, 0o644);
    refused(&place, "credential:root", "root");
}

#[test]
fn bytes() {
    let place = Place::new();
    drop(place.create());
    let mut options = place.options();
    // The last one counts.
    options.root_key(&[1; 32]);
    assert_eq!(status(options.open()), Some(Status::RootKey));
    options.root_key(&ROOT_KEY);
    options.open().unwrap();
    for len in [0, 31, 33] {
        let refusal = options.try_root_key(&vec![1; len]).unwrap_err();
        assert_eq!(refusal.status, Status::InvalidArgument);
    }
    options.open().unwrap();
}

/// Argon2id takes a while, so one test has it all.
#[test]
fn passphrases() {
    let place = Place::new();
    let source =
        |name: &str, text: &[u8]| format!("passphrase-file:{}", place.file(name, text).display());
    let right = source("right", b"correct horse battery staple\n");
    let mut options = Options::new();
    options.set("keystore", place.keystore().to_str().unwrap());
    options.set("create", "true");
    options.set("root_key", &right);
    let key_id = options.open().unwrap().create_key();
    let before = picture(&place.keystore());
    let text = String::from_utf8(before.bytes.clone()).unwrap();
    for parameter in ["\"memory_kib\": 65536", "\"passes\": 3", "\"lanes\": 4"] {
        assert!(text.contains(parameter), "{text}");
    }

    // The line end is not part of it, however it is written.
    options.set(
        "root_key",
        &source("crlf", b"correct horse battery staple\r\n"),
    );
    options.open().unwrap().data_key(&key_id);
    for wrong in [
        &b"correct horse battery stapl"[..],
        b"correct horse battery staple\n\n",
    ] {
        assert_eq!(
            status(open(&place, &source("wrong", wrong))),
            Some(Status::RootKey)
        );
    }
    // A key is no passphrase, nor the other way round.
    let key = place.file("key", &ROOT_KEY);
    assert_eq!(
        status(open(&place, &format!("file:{}", key.display()))),
        Some(Status::RootKey)
    );
    for empty in [&b""[..], b"\n", b"\r\n"] {
        refused(&place, &source("empty", empty), "empty");
    }
    refused(&place, &source("long", &[b'x'; 4097]), "long");
    let file = place.at("right");
    set_mode(&file, 0o640);
    refused(&place, &right, file.to_str().unwrap());
    assert_eq!(picture(&place.keystore()), before);
}

/// What this thread has computed for, however busy the machine is.
fn time_of_this_thread() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let clock = libc::CLOCK_THREAD_CPUTIME_ID;
    assert_eq!(c!(libc::clock_gettime(clock, &mut time)), 0);
    let seconds = time.tv_sec.try_into().unwrap();
    Duration::new(seconds, time.tv_nsec.try_into().unwrap())
}

/// Parameters of Argon2id that an attacker wrote are looked at before any memory is taken for them.
#[test]
fn costs_out_of_bounds_cost_nothing() {
    let place = Place::new();
    let passphrase = place.file("passphrase", b"x");
    let source = format!("passphrase-file:{}", passphrase.display());
    let mut options = Options::new();
    options.set("keystore", place.keystore().to_str().unwrap());
    options.set("create", "true");
    options.set("root_key", &source);
    drop(options.open().unwrap());
    let genuine = fs::read_to_string(place.keystore()).unwrap();
    for (right, wrong) in [
        ("\"memory_kib\": 65536", "\"memory_kib\": 4294967295"),
        ("\"memory_kib\": 65536", "\"memory_kib\": 1048577"),
        ("\"memory_kib\": 65536", "\"memory_kib\": 19455"),
        ("\"memory_kib\": 65536", "\"memory_kib\": 0"),
        ("\"passes\": 3", "\"passes\": 17"),
        ("\"passes\": 3", "\"passes\": 1"),
        ("\"lanes\": 4", "\"lanes\": 0"),
        ("\"lanes\": 4", "\"lanes\": 17"),
        ("\"memory_kib\": 65536", "\"memory_kib\": 4294967296"),
        ("\"passes\": 3", "\"passes\": -3"),
    ] {
        let altered = genuine.replace(right, wrong);
        assert_ne!(altered, genuine);
        fs::write(place.keystore(), altered).unwrap();
        let before = time_of_this_thread();
        let found = status(open(&place, &source)).unwrap();
        let spent = time_of_this_thread() - before;
        let refused = [Status::RootKey, Status::KeystoreTampered];
        assert!(refused.contains(&found), "{wrong}: {found:?}");
        assert!(spent < Duration::from_millis(50), "{wrong}: {spent:?}");
    }
}
