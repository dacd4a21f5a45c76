//! Lengths and numbers outside their range.

use kmsbox::error::Status;

use super::stage::{Stage, number};
use super::table::{FUNCTIONS, Fixture, Function, Param, Word};
use super::{INVALID_ARGUMENT, OK};

const LARGER_THAN_MEMORY: [usize; 3] = [usize::MAX, usize::MAX - 1, isize::MAX.unsigned_abs() + 1];

fn function(name: &str) -> &'static Function {
    let mut functions = FUNCTIONS.iter();
    functions.find(|function| function.name == name).unwrap()
}

#[test]
fn inputs_of_a_wrong_length() {
    let not_a_blob = Status::NotABlob.number();
    let (invalid, missing) = (
        Status::InvalidParameter.number(),
        Status::CiphertextInvalid.number(),
    );
    let mut cases = vec![
        ("kms_options_set_root_key", 2, 0, INVALID_ARGUMENT),
        ("kms_options_set_root_key", 2, 31, INVALID_ARGUMENT),
        ("kms_options_set_root_key", 2, 33, INVALID_ARGUMENT),
        ("kms_decrypt", 3, 0, not_a_blob),
        ("kms_decrypt", 3, 110, not_a_blob),
        ("kms_decrypt", 3, 141, missing),
        ("kms_encrypt", 3, 0, invalid),
        ("kms_re_encrypt", 3, 0, not_a_blob),
        ("kms_re_encrypt", 3, 110, not_a_blob),
        ("kms_re_encrypt", 3, 141, missing),
        ("kms_encryption_context", 1, 2049, invalid),
        ("kms_secret_alloc", 0, 0, INVALID_ARGUMENT),
    ];
    for len in LARGER_THAN_MEMORY {
        cases.extend([
            ("kms_options_set_root_key", 2, len, INVALID_ARGUMENT),
            ("kms_decrypt", 3, len, INVALID_ARGUMENT),
            ("kms_encrypt", 3, len, INVALID_ARGUMENT),
            ("kms_re_encrypt", 3, len, INVALID_ARGUMENT),
            // So many pairs are over 8192 characters, whatever they are.
            ("kms_encryption_context", 1, len, invalid),
            ("kms_secret_alloc", 0, len, Status::NoMemory.number()),
        ]);
    }
    let fixture = Fixture::new();
    for (name, index, len, expected) in cases {
        let mut stage = Stage::new(&fixture, function(name));
        stage.args[index] = number(len);
        stage.expect(expected, &format!("length {len:#x}"));
    }
}

#[test]
fn no_input_of_a_length_that_is_not_0() {
    let fixture = Fixture::new();
    for function in FUNCTIONS {
        for (index, param) in function.params.iter().enumerate() {
            if matches!(param, Param::InputLen(_)) {
                for len in [1, 32, usize::MAX] {
                    let mut stage = Stage::new(&fixture, function);
                    stage.args[index - 1] = std::ptr::null_mut();
                    stage.args[index] = number(len);
                    stage.expect(INVALID_ARGUMENT, &format!("NULL and {len}"));
                }
            }
        }
    }
}

/// (NULL, 0) is empty, not an error in itself.
#[test]
fn no_input_of_length_0() {
    let fixture = Fixture::new();
    for (name, expected) in [
        ("kms_decrypt", Status::NotABlob.number()),
        ("kms_re_encrypt", Status::NotABlob.number()),
        ("kms_encrypt", Status::InvalidParameter.number()),
        ("kms_options_set_root_key", INVALID_ARGUMENT),
    ] {
        let mut stage = Stage::new(&fixture, function(name));
        let is_input = |param: &Param| matches!(param, Param::Blob | Param::RootKey);
        let input = function(name).params.iter().position(is_input).unwrap();
        stage.args[input] = std::ptr::null_mut();
        stage.args[input + 1] = number(0);
        stage.expect(expected, "(NULL, 0)");
    }
    let mut json = [1; 3];
    let mut len = 9;
    let status = c!(kmsbox::ffi::context::kms_encryption_context(
        std::ptr::null(),
        0,
        json.as_mut_ptr(),
        json.len(),
        &mut len
    ));
    assert_eq!((status, len), (OK, 2));
    assert_eq!(crate::client::text(&json), "{}");
}

/// A key_spec, or a number_of_bytes, as it is passed.
fn int(value: i32) -> Word {
    let [a, b, c, d] = value.to_le_bytes();
    number(usize::from_le_bytes([a, b, c, d, 0, 0, 0, 0]))
}

fn unsigned(value: u32) -> Word {
    number(usize::try_from(value).unwrap())
}

#[test]
fn numbers_outside_their_range() {
    const KEY_SPEC: usize = 2;
    const NUMBER_OF_BYTES: usize = 3;
    let invalid = Status::InvalidParameter.number();
    let cases = [
        (KEY_SPEC, int(-1)),
        (KEY_SPEC, int(3)),
        (KEY_SPEC, int(i32::MIN)),
        (KEY_SPEC, int(i32::MAX)),
        (NUMBER_OF_BYTES, unsigned(1025)),
        (NUMBER_OF_BYTES, unsigned(u32::MAX)),
        (NUMBER_OF_BYTES, unsigned(1 << 31)),
    ];
    let fixture = Fixture::new();
    for name in [
        "kms_generate_data_key",
        "kms_generate_data_key_without_plaintext",
    ] {
        for (index, value) in cases {
            let mut stage = Stage::new(&fixture, function(name));
            stage.args[index] = value;
            stage.expect(invalid, &format!("{:#x}", value.addr()));
        }
        // Where number_of_bytes is given, key_spec is not looked at.
        for key_spec in [-1, 3, i32::MIN] {
            let mut stage = Stage::new(&fixture, function(name));
            stage.args[KEY_SPEC] = int(key_spec);
            stage.args[NUMBER_OF_BYTES] = unsigned(32);
            stage.expect(OK, &format!("key_spec {key_spec} beside number_of_bytes"));
        }
    }
}

/// A capacity that no memory has is an error of the caller's arithmetic: nothing is written there, not
/// even zeros.
#[test]
fn capacities_larger_than_memory() {
    let fixture = Fixture::new();
    for function in FUNCTIONS {
        for (index, param) in function.params.iter().enumerate() {
            if *param == Param::Capacity {
                for capacity in LARGER_THAN_MEMORY {
                    // The buffer lies after everything that it could otherwise overlap.
                    let mut stage = Stage::with_last(&fixture, function, index - 1);
                    stage.args[index] = number(capacity);
                    stage.expect_nothing_written(index - 1, &format!("capacity {capacity:#x}"));
                }
            }
        }
    }
}
