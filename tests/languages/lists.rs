//! The lists themselves: that they can be read, and that they leave nothing out.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use kmsbox::action::Action;
use kmsbox::error::Status;

use crate::support::root;

pub const BEHAVIOURS: &str = "behaviours";
pub const COUNTED_TEXTS: &str = "counted_texts";
pub const MAKE: &str = "make";
pub const OPEN: &str = "open";

const ALL: [&str; 4] = [BEHAVIOURS, COUNTED_TEXTS, MAKE, OPEN];

/// The functions of the header that have steps of their own, without their `kms_`.
const TYPED: [&str; 7] = [
    "generate_data_key",
    "generate_data_key_without_plaintext",
    "generate_data_keys",
    "decrypt",
    "encrypt",
    "re_encrypt",
    "re_encrypt_many",
];

/// What these steps cannot bring about: imported material, a damaged file, another process, a clock that is
/// wrong, a machine that fails. The tests of each of those are elsewhere.
const OUT_OF_REACH: &[Status] = &[
    Status::InvalidKeyMaterial,
    Status::ExpiredImportToken,
    Status::UnsupportedKey,
    Status::KeystoreTampered,
    Status::KeystoreBusy,
    Status::KeystoreIo,
    Status::Clock,
    Status::NoMemory,
    Status::Random,
    Status::Internal,
];

pub fn path(list: &str) -> PathBuf {
    root()
        .join("tests/cases")
        .join(list)
        .with_extension("cases")
}

fn text(list: &str) -> String {
    let path = path(list);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names of a list's cases, in order.
pub fn names(list: &str) -> Vec<String> {
    let text = text(list);
    let names = text.lines().filter_map(|line| line.strip_prefix("case "));
    names.map(str::to_owned).collect()
}

/// The lines of a list that are steps.
fn steps(list: &str) -> Vec<String> {
    let text = text(list);
    let says_nothing =
        |line: &&str| line.is_empty() || line.starts_with('#') || line.starts_with("case ");
    let steps = text.lines().filter(|line| !says_nothing(line));
    steps.map(str::to_owned).collect()
}

#[test]
fn cases_have_names_of_their_own() {
    for list in ALL {
        let names = names(list);
        let different: BTreeSet<&String> = names.iter().collect();
        assert_eq!(different.len(), names.len(), "{list}");
        for name in &names {
            let snake_case = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
            assert!(name.bytes().all(snake_case), "{list}: {name}");
        }
    }
    assert!(names(BEHAVIOURS).len() >= 80);
}

/// The lists are for all languages, so they keep to what texts are in all of them.
#[test]
fn texts_are_utf8_without_control_characters() {
    for list in ALL {
        for step in steps(list) {
            assert!(!step.contains(char::is_control), "{list}: {step:?}");
            let mut bytes = Vec::new();
            let mut rest = step.as_bytes();
            while let Some((&byte, after)) = rest.split_first() {
                rest = after;
                if byte == b'%' {
                    let digits = rest.split_at_checked(2).map(|(digits, after)| {
                        rest = after;
                        digits
                    });
                    let digits = digits.and_then(|digits| str::from_utf8(digits).ok());
                    let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
                    bytes.push(byte.unwrap_or_else(|| panic!("{list}: {step}")));
                } else {
                    bytes.push(byte);
                }
            }
            assert!(String::from_utf8(bytes).is_ok(), "{list}: {step}");
        }
    }
}

/// Every status, with the code that the table of errors has for it.
#[test]
fn statuses_have_their_code() {
    let mut met = BTreeSet::new();
    for list in ALL {
        for step in steps(list) {
            let (_, told) = step.split_once(" -> ").expect(&step);
            let mut words = told.split(' ');
            let name = words.next().expect("a text has one part at least");
            if name == "KMS_OK" {
                continue;
            }
            let status = Status::ALL
                .iter()
                .find(|status| name == format!("KMS_ERR_{}", status.name()));
            let status = status.unwrap_or_else(|| panic!("{list}: {step}"));
            assert_eq!(words.next(), Some(status.code()), "{list}: {step}");
            met.insert(status.name());
        }
    }
    for status in Status::ALL {
        assert_ne!(
            met.contains(status.name()),
            OUT_OF_REACH.contains(status),
            "{}",
            status.name()
        );
    }
}

#[test]
fn every_function_and_action_is_there() {
    let steps = steps(BEHAVIOURS);
    let begins = |start: &str| steps.iter().any(|step| step.starts_with(start));
    for name in TYPED {
        assert!(begins(&format!("{name} ")), "{name}");
    }
    for action in Action::ALL {
        let name = action.name();
        // Of a permission, or of an operator with the command alone.
        let is_request = !matches!(
            action,
            Action::ReEncryptFrom
                | Action::ReEncryptTo
                | Action::AddRootKey
                | Action::RetireRootKey
                | Action::Purge
        );
        assert_eq!(
            begins(&format!("call Action={name} ")),
            is_request,
            "{name}"
        );
    }
}
