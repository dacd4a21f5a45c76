//! Every function of the header with every kind of wrong argument, by table: the documented status, and
//! every output as the header promises it.
#![allow(
    unsafe_code,
    reason = "calls the C functions with arguments that Rust would not allow"
)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/client.rs"]
#[macro_use]
mod client;
mod support;

#[path = "arguments/buffers.rs"]
mod buffers;
#[path = "arguments/handles.rs"]
mod handles;
#[path = "arguments/lengths.rs"]
mod lengths;
#[path = "arguments/others.rs"]
mod others;
#[path = "arguments/overlaps.rs"]
mod overlaps;
#[path = "arguments/stage.rs"]
mod stage;
#[path = "arguments/table.rs"]
mod table;
#[path = "arguments/texts.rs"]
mod texts;

use std::collections::BTreeSet;
use std::fs;

use kmsbox::error::Status;
use stage::Stage;
use support::{header, root};
use table::Fixture;

const OK: i32 = 0;
const INVALID_ARGUMENT: i32 = Status::InvalidArgument.number();

/// Each has a table of its own: tests/encrypt/many_keys.rs, tests/encrypt/many_blobs.rs and
/// tests/audit/callback.rs.
const ELSEWHERE: [&str; 3] = [
    "kms_generate_data_keys",
    "kms_re_encrypt_many",
    "kms_options_set_audit_callback",
];

#[test]
fn the_tables_cover_every_exported_function() {
    let symbols = fs::read_to_string(root().join("abi/symbols.txt")).unwrap();
    let exported: BTreeSet<&str> = symbols.lines().collect();
    let fallible = table::FUNCTIONS.iter().map(|function| function.name);
    let others = others::FUNCTIONS.iter().map(|(name, _)| *name);
    let covered: BTreeSet<&str> = fallible.chain(others).chain(ELSEWHERE).collect();
    assert_eq!(covered, exported);
}

#[test]
fn the_table_has_the_parameters_of_the_header() {
    let declared = header::functions();
    for function in table::FUNCTIONS {
        let header = declared
            .iter()
            .find(|declared| declared.name == function.name)
            .unwrap();
        let parameters = table::parameters(&header.declaration);
        assert_eq!(parameters.len(), function.params.len(), "{}", function.name);
        for ((declared, name), param) in parameters.iter().zip(function.params) {
            let is_pointer = declared.contains('*');
            assert_eq!(is_pointer, param.is_pointer(), "{}: {name}", function.name);
        }
    }
}

#[test]
fn valid_arguments_are_accepted_at_any_alignment() {
    let fixture = Fixture::new();
    for function in table::FUNCTIONS {
        for shift in 0..8 {
            let mut stage = Stage::shifted(&fixture, function, shift);
            stage.expect(OK, &format!("shifted by {shift}"));
        }
    }
}

#[test]
fn each_pointer_is_null_in_turn() {
    let fixture = Fixture::new();
    let mut tried = 0;
    for function in table::FUNCTIONS {
        for (index, param) in function.params.iter().enumerate() {
            if param.is_pointer() {
                let mut stage = Stage::new(&fixture, function);
                stage.args[index] = std::ptr::null_mut();
                stage.expect(param.status_of_null(), &stage.name(index));
                tried += 1;
            }
        }
    }
    assert!(tried >= 44, "{tried}");
}

#[test]
fn every_pointer_is_null_at_once() {
    let fixture = Fixture::new();
    for function in table::FUNCTIONS {
        let mut stage = Stage::new(&fixture, function);
        for (index, param) in function.params.iter().enumerate() {
            if param.is_pointer() {
                stage.args[index] = std::ptr::null_mut();
            }
        }
        stage.expect(INVALID_ARGUMENT, "everything NULL");
    }
}
