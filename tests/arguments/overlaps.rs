//! Outputs that overlap with each other or with the blob.

use super::OK;
use super::stage::Stage;
use super::table::{FUNCTIONS, Fixture, Function};

/// Every two parameters of a function that may not overlap.
fn pairs(fixture: &Fixture, function: &'static Function) -> Vec<(usize, usize)> {
    let stage = Stage::new(fixture, function);
    let spans: Vec<_> = (0..function.params.len())
        .filter(|index| stage.span(*index).is_some())
        .collect();
    (spans.iter())
        .flat_map(|fixed| spans.iter().map(move |moved| (*fixed, *moved)))
        .filter(|(fixed, moved)| fixed != moved)
        .collect()
}

#[test]
fn everything_that_overlaps_is_refused() {
    let fixture = Fixture::new();
    let mut tried = 0;
    for function in FUNCTIONS {
        for (fixed, moved) in pairs(&fixture, function) {
            let len = |index| {
                let (_, len) = Stage::new(&fixture, function).span(index).unwrap();
                isize::try_from(len).unwrap()
            };
            let (first, last) = (1 - len(moved), len(fixed) - 1);
            for offset in [first, 0, 1, last] {
                let mut stage = Stage::new(&fixture, function);
                let (start, _) = stage.span(fixed).unwrap();
                let why = format!(
                    "{} {offset} bytes into {}",
                    stage.name(moved),
                    stage.name(fixed)
                );
                stage.relocate(moved, start.wrapping_offset(offset));
                stage.expect_overlap(&why);
                tried += 1;
            }
        }
    }
    assert!(tried >= 200, "{tried}");
}

#[test]
fn what_lies_side_by_side_does_not_overlap() {
    let fixture = Fixture::new();
    for function in FUNCTIONS {
        for (fixed, moved) in pairs(&fixture, function) {
            for behind in [true, false] {
                let mut stage = Stage::new(&fixture, function);
                let (start, len) = stage.span(fixed).unwrap();
                let (_, moved_len) = stage.span(moved).unwrap();
                let to = match behind {
                    true => start.wrapping_add(len),
                    false => start.wrapping_sub(moved_len),
                };
                stage.relocate(moved, to);
                let why = format!("{} beside {}", stage.name(moved), stage.name(fixed));
                stage.expect(OK, &why);
            }
        }
    }
}
