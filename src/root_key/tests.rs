#![forbid(unsafe_code)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::*;

const KEY: [u8; LEN] = {
    let mut key = [0; LEN];
    let mut byte: u8 = 0;
    while (byte as usize) < LEN {
        key[byte as usize] = 0xE0 ^ byte;
        byte += 1;
    }
    key
};

fn file(content: &[u8], mode: u32) -> (tempfile::TempDir, Source) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("root.key");
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    (directory, Source::File(path))
}

fn hex() -> String {
    KEY.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn base64() -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(KEY)
}

fn loaded(source: &Source) -> Vec<u8> {
    match source.load().unwrap() {
        RootKey::Key(key) | RootKey::Passphrase(key) => key.to_vec(),
    }
}

fn why(source: &Source) -> String {
    let error = source.load().err().unwrap();
    assert_eq!(error.status(), Status::RootKeySource);
    error.message().to_owned()
}

#[test]
fn raw_hex_and_base64_are_one_key() {
    let upper = hex().to_uppercase();
    for content in [
        KEY.to_vec(),
        hex().into_bytes(),
        format!("{upper}\n").into_bytes(),
        base64().into_bytes(),
        format!("{}\r\n", base64()).into_bytes(),
    ] {
        let (_directory, source) = file(&content, 0o600);
        assert_eq!(loaded(&source), KEY);
    }
    let (_directory, source) = file(&KEY, 0o400);
    assert_eq!(loaded(&source), KEY);
}

#[test]
fn anything_else_is_refused_without_showing_it() {
    let short_base64 = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmM=";
    let odd = format!("{}g", &hex()[..63]);
    let base64 = base64();
    let others = [
        format!("0x{}", hex()),
        format!("{}\n\n", hex()),
        format!(" {}\n", hex()),
        format!("{}\n{}", &hex()[..32], &hex()[32..]),
        base64.trim_end_matches('=').to_owned(),
        format!("{}F=", &base64[..42]), // bits are left over
        format!("{}\n{}", &base64[..22], &base64[22..]),
    ];
    for content in [
        &b"passwordpasswordpasswordpassword"[..],
        &KEY[..31],
        &[KEY.as_slice(), &[1]].concat(),
        short_base64.as_bytes(),
        odd.as_bytes(),
        b"\n",
    ]
    .into_iter()
    .chain(others.iter().map(String::as_bytes))
    {
        let (_directory, source) = file(content, 0o600);
        let message = why(&source);
        assert!(message.contains("root.key"), "{message}");
        assert!(!message.contains("password"), "{message}");
    }
    let (_directory, source) = file(b"", 0o600);
    assert!(why(&source).contains("empty"));
    let (_directory, source) = file(&[7; 4000], 0o600);
    assert!(why(&source).contains("more than"));
}

#[test]
fn a_file_that_others_may_use_is_refused() {
    for mode in [0o640, 0o604, 0o660, 0o644] {
        let (_directory, source) = file(&KEY, mode);
        assert!(why(&source).contains("group or others"));
    }
}

#[test]
fn what_is_not_a_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    assert!(why(&Source::File(directory.path().into())).contains("regular file"));
    assert!(why(&Source::File(directory.path().join("none"))).contains("none"));
}

#[test]
fn a_passphrase_is_what_stands_before_the_line_end() {
    let (_directory, Source::File(path)) = file(b"correct horse \n", 0o600) else {
        panic!("file() makes a Source::File")
    };
    let source = Source::PassphraseFile(path);
    assert_eq!(loaded(&source), b"correct horse ");
}

#[test]
fn a_source_stays_where_it_was() {
    let here = std::env::current_dir().unwrap();
    for (value, absolute) in [
        ("file:k", Source::File(here.join("k"))),
        (
            "passphrase-file:./p",
            Source::PassphraseFile(here.join("p")),
        ),
        ("env:KMS", Source::Environment("KMS".into())),
    ] {
        let source = Source::parse(value).unwrap().absolute().unwrap();
        assert_eq!(source, absolute);
        assert_eq!(source.absolute().unwrap(), absolute);
    }
}

#[test]
fn sources_are_named() {
    for (value, source) in [
        ("file:/k", Source::File("/k".into())),
        ("file:a:b", Source::File("a:b".into())),
        ("credential:kms", Source::Credential("kms".into())),
        ("env:KMS", Source::Environment("KMS".into())),
        ("passphrase-file:p", Source::PassphraseFile("p".into())),
    ] {
        assert_eq!(Source::parse(value).unwrap(), source);
    }
    for wrong in [
        "",
        "file",
        "file:",
        "credential:../x",
        "credential:..",
        "hex:00",
    ] {
        assert!(Source::parse(wrong).is_err(), "{wrong}");
    }
}
