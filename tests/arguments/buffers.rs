//! Output buffers that are too small, just large enough, or larger.

use kmsbox::error::Status;

use super::OK;
use super::stage::{Stage, number};
use super::table::{FUNCTIONS, Fixture, Param};

const TOO_SMALL: i32 = Status::BufferTooSmall.number();

/// Every function with buffers, and where they are among its parameters.
fn with_buffers() -> impl Iterator<Item = (&'static super::table::Function, Vec<usize>)> {
    FUNCTIONS.iter().filter_map(|function| {
        let buffers: Vec<_> = (0..function.params.len())
            .filter(|index| matches!(function.params[*index], Param::Buffer(_)))
            .collect();
        (!buffers.is_empty()).then_some((function, buffers))
    })
}

#[test]
fn one_byte_short() {
    let fixture = Fixture::new();
    let mut tried = 0;
    for (function, buffers) in with_buffers() {
        for index in &buffers {
            let needed = Stage::new(&fixture, function).buffer(*index).needed;
            for capacity in [needed - 1, needed / 2, 1, 0] {
                let mut stage = Stage::new(&fixture, function);
                stage.args[index + 1] = number(capacity);
                stage.expect(TOO_SMALL, &format!("{}: {capacity}", stage.name(*index)));
                tried += 1;
            }
        }
    }
    assert_eq!(tried, 7 * 4);
}

/// A capacity of 0, with or without a pointer, asks for the sizes.
#[test]
fn sizes_are_asked_for() {
    let fixture = Fixture::new();
    for (function, buffers) in with_buffers() {
        for pointers in [true, false] {
            let mut stage = Stage::new(&fixture, function);
            for index in &buffers {
                stage.args[index + 1] = number(0);
                if !pointers {
                    stage.args[*index] = std::ptr::null_mut();
                }
            }
            stage.expect(TOO_SMALL, "all capacities 0");
        }
    }
}

/// With no room at all a buffer may lie anywhere: it touches nothing.
#[test]
fn a_buffer_without_room_overlaps_nothing() {
    let fixture = Fixture::new();
    for (function, buffers) in with_buffers() {
        for index in &buffers {
            for other in 0..function.params.len() {
                let mut stage = Stage::new(&fixture, function);
                if other == *index || stage.span(other).is_none() {
                    continue;
                }
                stage.args[index + 1] = number(0);
                stage.args[*index] = stage.args[other].wrapping_add(1);
                stage.expect(TOO_SMALL, &format!("in {}", stage.name(other)));
            }
        }
    }
}

#[test]
fn more_room_than_needed() {
    let fixture = Fixture::new();
    for (function, buffers) in with_buffers() {
        for index in &buffers {
            for more in [1, 7, 1000] {
                let mut stage = Stage::new(&fixture, function);
                let needed = stage.buffer(*index).needed;
                stage.args[index + 1] = number(needed + more);
                stage.expect(OK, &format!("{}: {more} more", stage.name(*index)));
            }
        }
    }
}

/// Whatever fails, an older key in the buffer for the plaintext does not outlive the call.
#[test]
fn the_whole_plaintext_buffer_is_wiped() {
    let fixture = Fixture::new();
    for (function, buffers) in with_buffers() {
        for index in buffers {
            let stage = Stage::new(&fixture, function);
            if !stage.buffer(index).secret {
                continue;
            }
            for capacity in [1, 31, 32, 33, 1024] {
                let mut stage = Stage::new(&fixture, function);
                stage.args[0] = std::ptr::null_mut();
                stage.args[index + 1] = number(capacity);
                stage.expect(super::INVALID_ARGUMENT, &format!("capacity {capacity}"));
            }
        }
    }
}
