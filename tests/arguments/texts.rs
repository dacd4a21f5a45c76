//! Texts: where they lie, and what is not text.

use kmsbox::error::Status;
use kmsbox::ffi::data_key::{kms_decrypt, kms_generate_data_key};

use super::stage::Stage;
use super::table::{ALIAS, FUNCTIONS, Fixture, Function, Param};
use super::{INVALID_ARGUMENT, OK};
use crate::client::{Response, c_text, text};

fn texts(function: &Function) -> impl Iterator<Item = usize> {
    (0..function.params.len()).filter(|index| function.params[*index].text().is_some())
}

/// Inputs are read in full before anything is written, so that a text may lie where the answer will.
#[test]
fn a_text_may_lie_in_every_output() {
    let fixture = Fixture::new();
    let mut tried = 0;
    for function in FUNCTIONS {
        for index in texts(function) {
            let text = function.params[index].text().unwrap();
            for output in 0..function.params.len() {
                let mut stage = Stage::new(&fixture, function);
                let Some((start, len)) = stage.span(output) else {
                    continue;
                };
                if stage.param(output) == Param::Blob || text.len() >= len {
                    continue;
                }
                stage.put_text(start, text.as_bytes());
                stage.args[index] = start;
                let why = format!("{} in {}", stage.name(index), stage.name(output));
                stage.expect(OK, &why);
                tried += 1;
            }
        }
    }
    assert!(tried >= 17, "{tried}");
}

/// Above all, an id may lie where the call before put it.
#[test]
fn ids_of_a_response_are_used_where_they_are() {
    let fixture = Fixture::new();
    let alias = c_text(ALIAS);
    let mut response = Response::new();
    let raw = response.raw();
    let (mut key, mut again, mut blob) = ([0; 32], [0; 32], [0; 142]);
    let (mut key_len, mut blob_len) = (0, 0);
    let status = c!(kms_generate_data_key(
        fixture.client.raw(),
        alias.as_ptr(),
        0,
        0,
        std::ptr::null(),
        key.as_mut_ptr(),
        key.len(),
        &mut key_len,
        blob.as_mut_ptr(),
        blob.len(),
        &mut blob_len,
        raw,
    ));
    assert_eq!(status, OK);
    let id = text(c!(&(*raw).key_id));
    let status = c!(kms_decrypt(
        fixture.client.raw(),
        (&raw const (*raw).key_id).cast(),
        blob.as_ptr(),
        blob_len,
        std::ptr::null(),
        again.as_mut_ptr(),
        again.len(),
        &mut key_len,
        raw,
    ));
    assert_eq!(status, OK);
    assert_eq!(key, again);
    assert_eq!(text(c!(&(*raw).key_id)), id);
}

#[test]
fn what_is_not_utf_8() {
    let fixture = Fixture::new();
    for function in FUNCTIONS {
        for index in texts(function) {
            // Broken by itself, cut at the end, an overlong form, a surrogate.
            for wrong in [&b"\xff"[..], b"caf\xc3", b"\xc0\x80", b"alias/\xed\xa0\x80"] {
                let mut stage = Stage::new(&fixture, function);
                let place = stage.args[index];
                stage.put_text(place, wrong);
                let expected = match function.name {
                    "kms_options_set" => Status::InvalidOption,
                    _ => Status::InvalidParameter,
                };
                let why = format!("{}: {wrong:x?}", stage.name(index));
                stage.expect(expected.number(), &why);
            }
        }
        for index in 0..function.params.len() {
            if function.params[index] == Param::Pairs {
                for number in 0..2 {
                    let mut stage = Stage::new(&fixture, function);
                    stage.put_pair(index, number, Some(b"\xff"));
                    stage.expect(Status::InvalidParameter.number(), "not UTF-8");
                    let mut stage = Stage::new(&fixture, function);
                    stage.put_pair(index, number, None);
                    stage.expect(INVALID_ARGUMENT, "a NULL among the pairs");
                }
            }
        }
    }
}

#[test]
fn empty_texts() {
    let fixture = Fixture::new();
    for function in FUNCTIONS {
        for index in texts(function) {
            let mut stage = Stage::new(&fixture, function);
            let place = stage.args[index];
            stage.put_text(place, b"");
            let expected = match function.params[index] {
                Param::Context(_) => OK,
                Param::Bound(_) => Status::CiphertextInvalid.number(),
                _ => Status::MissingParameter.number(),
            };
            let why = format!("{} is empty", stage.name(index));
            stage.expect(expected, &why);
        }
    }
}
