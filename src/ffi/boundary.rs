//! What stands between C and Rust: cancellation put off, panics caught, a `Result` turned into a status.
//!
//! Nothing but Rust's own panics may unwind here. Exported functions and the host's callback are `extern "C"`
//! and not `"C-unwind"`: a foreign unwinding (a C++ exception, `pthread_exit`) could not be caught or passed on
//! in any case, since `catch_unwind` ends the process at it. So the header forbids it, and it ends the process.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use super::cancellation::Uncancelled;
pub(super) use super::outputs::Outputs;
use super::types::kms_status;
use crate::error::{Error, Result, Status};
use crate::secret::{fork, wipe_stack};

/// How much of the stack is wiped after a panic.
const DEAD_STACK: usize = 16 << 10;

/// Runs `body`; a panic in it is silenced and becomes `fallback`.
pub(super) fn boundary<T>(fallback: T, body: impl FnOnce() -> T) -> T {
    // The first thing done and the last undone.
    let _uncancelled = Uncancelled::begin();
    silence_own_panics();
    let _inside = Inside::enter();
    caught(fallback, body)
}

fn caught<T>(fallback: T, body: impl FnOnce() -> T) -> T {
    match panic::catch_unwind(AssertUnwindSafe(body)) {
        Ok(value) => value,
        Err(payload) => {
            // Dropping a payload can itself panic; it is small, and this path is not taken twice.
            std::mem::forget(payload);
            // What was called has not wiped what it left there, as it would have at its end.
            wipe_stack::<DEAD_STACK>();
            fallback
        }
    }
}

/// Runs a fallible call: checks its outputs, runs `body`, and defines every output by the outcome.
pub(super) fn answer(
    mut outputs: Outputs,
    body: impl FnOnce(&mut Outputs) -> Result<()>,
) -> kms_status {
    boundary(Status::Internal.number(), || {
        let outcome = match outputs.check() {
            Ok(()) => caught(Err(Error::new(Status::Internal)), || body(&mut outputs)),
            Err(error) => Err(error),
        };
        outputs.finish(outcome)
    })
}

thread_local! {
    static CALLS: Cell<u32> = const { Cell::new(0) };
}

/// Marks this thread as being inside the library, for the panic hook.
struct Inside;

impl Inside {
    fn enter() -> Self {
        CALLS.with(|calls| calls.set(calls.get() + 1));
        Inside
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        CALLS.with(|calls| calls.set(calls.get() - 1));
    }
}

/// Panics inside the library print nothing; those of a Rust host go on to the host's own hook.
fn silence_own_panics() {
    static HOOK: Once = Once::new();
    // Nobody may set a hook while a thread of theirs panics; the next call will.
    if !HOOK.is_completed() && !std::thread::panicking() {
        // No fork may find the Once half done.
        let _gate = fork::enter();
        HOOK.call_once(|| {
            let previous = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                if CALLS.try_with(Cell::get).unwrap_or(0) == 0 {
                    previous(info);
                }
            }));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffi::response::Answer;
    use crate::ffi::types::kms_response;
    use crate::secret::tests::{is_marked, mark_stack, stack_after};

    /// What a panic leaves to the caller.
    fn panicking(plaintext: &mut [u8; 32], len: &mut usize, response: &mut kms_response) -> i32 {
        answer(
            Outputs::new(response).secret(plaintext.as_mut_ptr(), 32, len),
            |out| {
                out.put(0, &[7; 32]);
                panic!("a defect, with the key in its text")
            },
        )
    }

    #[test]
    fn a_panic_becomes_a_status_and_leaves_nothing() {
        for _ in 0..3 {
            let (mut plaintext, mut len) = ([1; 32], 99);
            let mut response = Answer::default().response(None);
            let status = panicking(&mut plaintext, &mut len, &mut response);
            assert_eq!(status, Status::Internal.number());
            assert_eq!(plaintext, [0; 32]);
            assert_eq!(len, 0);
            assert_eq!(response.http_status, 500);
        }
        assert_eq!(boundary(5, || panic!("again")), 5);
        assert_eq!(boundary(5, || 6), 6);
    }

    #[test]
    fn a_panic_leaves_nothing_on_the_stack() {
        let (left, _) = stack_after(|| {
            boundary((), || {
                mark_stack::<8192>();
                panic!("a defect")
            });
        });
        assert!(!is_marked(&left));
    }

    #[test]
    fn a_panic_of_ours_prints_nothing_and_one_of_the_hosts_does() {
        // The hook is one for the process, so a process of its own says what it prints.
        const ROLE: &str = "KMSBOX_TEST_PANIC";
        if std::env::var_os(ROLE).is_some() {
            assert_eq!(boundary(5, || panic!("SAID-INSIDE")), 5);
            let host = std::panic::catch_unwind(|| panic!("SAID-BY-THE-HOST"));
            assert!(host.is_err());
            return;
        }
        let name = "ffi::boundary::tests::a_panic_of_ours_prints_nothing_and_one_of_the_hosts_does";
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", name])
            .env(ROLE, "1")
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{printed}");
        assert!(printed.contains("SAID-BY-THE-HOST"), "{printed}");
        assert!(!printed.contains("SAID-INSIDE"), "{printed}");
    }
}
