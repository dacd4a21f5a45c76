//! Options of any name and value, and root key files of any bytes.
#![no_main]

use arbitrary::Arbitrary;
use kmsbox::document::actions;
use kmsbox::error::Status;
use kmsbox::kms::Kms;
use kmsbox::options::Options;
use kmsbox::root_key::{RootKey, Source};
use kmsbox_fuzz::{PLACE, ROOT_KEY, ask, plain_keystore};
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 11] = [
    "keystore",
    "create",
    "root_key",
    "permissions",
    "read_only",
    "keystore_id",
    "audit_log",
    "refresh_interval_ms",
    "lock_timeout_ms",
    "locked_memory_max",
    "",
];

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    known: Vec<(u8, &'a str)>,
    any: Option<(&'a str, &'a str)>,
    permissions: Vec<u8>,
    root_key: &'a [u8],
}

fuzz_target!(|input: Input<'_>| {
    PLACE.clear();
    root_key_file(input.root_key);
    let mut options = Options::default();
    for (name, value) in &input.known {
        set(&mut options, NAMES[usize::from(*name) % NAMES.len()], value);
    }
    if let Some((name, value)) = input.any {
        set(&mut options, name, value);
    }
    // Nothing outside of the folder is opened.
    let path = |name| PLACE.path(name).to_str().unwrap().to_owned();
    PLACE.put("keystore", &plain_keystore());
    PLACE.put("root.key", &ROOT_KEY);
    set(&mut options, "keystore", &path("keystore"));
    set(
        &mut options,
        "root_key",
        &format!("file:{}", path("root.key")),
    );
    if options.audit.is_some() {
        set(&mut options, "audit_log", &path("audit.log"));
    }
    let all: Vec<_> = actions().map(|(action, _)| action.name()).collect();
    let allowed: Vec<_> = input
        .permissions
        .iter()
        .map(|at| all[usize::from(*at) % all.len()])
        .collect();
    if !allowed.is_empty() {
        set(&mut options, "permissions", &allowed.join(","));
    }
    match Kms::open(&options) {
        Ok(kms) if !allowed.is_empty() => may_do_only(&kms, &allowed),
        Ok(_) => {}
        Err(error) => assert_eq!(error.status(), Status::InvalidOption, "{error}"),
    }
});

fn set(options: &mut Options, name: &str, value: &str) {
    let Err(error) = options.set(name, value) else {
        return;
    };
    assert_eq!(error.status(), Status::InvalidOption, "{error}");
    // Somebody may have given the key itself.
    if name == "root_key" && value.len() > 20 {
        assert!(!error.message().contains(value), "the value is shown");
    }
}

fn may_do_only(kms: &Kms, allowed: &[&str]) {
    for action in ["DescribeKey", "ListResourceTags", "CreateKeyVersion"] {
        let key_id = kmsbox_fuzz::KEY.to_string();
        let forbidden = ask(kms, action, &[("KeyId", &key_id)]) == Err(Status::NoPermission);
        match allowed.contains(&action) {
            false => assert!(forbidden, "{action}"),
            // A client that only reads is allowed no change.
            true => assert!(!forbidden || action == "CreateKeyVersion", "{action}"),
        }
    }
}

/// A root key file against what docs/keystore-format.md and the option's text say of it.
fn root_key_file(bytes: &[u8]) {
    let path = PLACE.put("any.key", bytes);
    let got = Source::File(path.clone()).load();
    match (&got, model(bytes)) {
        (Ok(RootKey::Key(key)), Some(wanted)) => assert_eq!(key[..], wanted),
        (Err(error), None) => assert_eq!(error.status(), Status::RootKeySource, "{error}"),
        (Ok(_), None) => panic!("taken"),
        (Ok(RootKey::Passphrase(_)), _) => panic!("not a passphrase"),
        (Err(error), Some(_)) => panic!("{error}"),
    }
    match Source::PassphraseFile(path).load() {
        Ok(RootKey::Passphrase(text)) => {
            let line = bytes
                .strip_suffix(b"\n")
                .map_or(bytes, |line| line.strip_suffix(b"\r").unwrap_or(line));
            assert!(text[..] == *line || text[..] == *bytes.strip_suffix(b"\r").unwrap_or(line));
        }
        Ok(RootKey::Key(_)) => panic!("not a key"),
        Err(error) => assert_eq!(error.status(), Status::RootKeySource, "{error}"),
    }
}

fn model(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.len() == 32 {
        let printable = |byte: &u8| matches!(byte, b' '..=b'~' | b'\n' | b'\r');
        return (!bytes.iter().all(printable)).then(|| bytes.to_vec());
    }
    if bytes.len() > 66 {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.len() == 64 {
        let pair = |at: usize| {
            let digits = text.get(at..at + 2)?;
            let hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            hex.then(|| u8::from_str_radix(digits, 16).unwrap())
        };
        return (0..64).step_by(2).map(pair).collect();
    }
    use base64::Engine as _;
    let decoded = base64::engine::general_purpose::STANDARD
        .decode(text)
        .ok()?;
    (decoded.len() == 32).then_some(decoded)
}
