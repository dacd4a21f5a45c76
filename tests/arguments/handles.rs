//! Handles that are none, or of another kind.

use kmsbox::ffi::client::kms_client_free;
use kmsbox::ffi::options::kms_options_free;

use super::INVALID_ARGUMENT;
use super::stage::Stage;
use super::table::{FUNCTIONS, Fixture, Function, Param, Word};

fn handles(function: &Function) -> impl Iterator<Item = usize> {
    (0..function.params.len()).filter(|index| function.params[*index].is_handle())
}

#[test]
fn a_handle_of_the_other_kind() {
    let fixture = Fixture::new();
    let client: Word = fixture.client.raw().cast_mut().cast();
    let options: Word = fixture.options.raw().cast();
    let mut tried = 0;
    for function in FUNCTIONS {
        for index in handles(function) {
            let mut stage = Stage::new(&fixture, function);
            stage.args[index] = match function.params[index] {
                Param::Client => options,
                _ => client,
            };
            stage.expect(INVALID_ARGUMENT, "the other kind of handle");
            tried += 1;
        }
    }
    assert_eq!(tried, 10);
}

#[test]
fn memory_that_is_no_handle() {
    let fixture = Fixture::new();
    let zeros = [0_u64; 512];
    for function in FUNCTIONS {
        for index in handles(function) {
            let handle = Stage::new(&fixture, function).args[index];
            let start: Word = zeros.as_ptr().cast_mut().cast();
            for (wrong, what) in [
                (handle.wrapping_add(1), "not aligned"),
                (start, "zeros"),
                (start.wrapping_add(4), "zeros, not aligned"),
            ] {
                let mut stage = Stage::new(&fixture, function);
                stage.args[index] = wrong;
                stage.expect(INVALID_ARGUMENT, what);
            }
        }
    }
}

/// Only the first word of a handle is looked at before its kind is known: whatever lies behind it may be
/// another's memory, or none.
#[test]
fn nothing_behind_the_first_word_is_touched() {
    let page = c!(libc::sysconf(libc::_SC_PAGESIZE));
    let page = usize::try_from(page).unwrap();
    let pages = c!(libc::mmap(
        std::ptr::null_mut(),
        2 * page,
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
        -1,
        0
    ));
    assert_ne!(pages, libc::MAP_FAILED);
    let behind = pages.wrapping_byte_add(page);
    assert_eq!(c!(libc::mprotect(behind, page, libc::PROT_NONE)), 0);
    let last_word: Word = behind.wrapping_byte_sub(size_of::<u64>()).cast();

    let fixture = Fixture::new();
    for function in FUNCTIONS {
        for index in handles(function) {
            let mut stage = Stage::new(&fixture, function);
            stage.args[index] = last_word;
            stage.expect(INVALID_ARGUMENT, "one word of zeros");
        }
    }
    c!(kms_client_free(last_word.cast()));
    c!(kms_options_free(last_word.cast()));
    assert_eq!(c!(libc::munmap(pages, 2 * page)), 0);
}
