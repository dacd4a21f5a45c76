//! What some work does to its stack.

use std::ptr;

use crate::secret::mapping::Mapping;

const STACK: usize = 1 << 20;
/// What the stack is filled with beforehand.
const UNTOUCHED: u8 = 0xA5;

struct Task<'a> {
    work: &'a mut (dyn FnMut() + Send),
    caller: usize,
}

/// Runs `work` on a stack of its own and tells how many bytes below its caller it has written to.
pub(crate) fn stack_used(work: impl FnMut() + Send) -> usize {
    let (stack, caller) = stack_after(work);
    let untouched = stack.iter().position(|byte| *byte != UNTOUCHED).unwrap();
    caller - untouched
}

/// Runs `work` on a stack of its own and tells what it has left there, and where in it the caller was.
pub(crate) fn stack_after(mut work: impl FnMut() + Send) -> (Vec<u8>, usize) {
    let mut task = Task {
        work: &mut work,
        caller: 0,
    };
    let stack = Mapping::new(STACK).unwrap();
    let start = stack.start().as_ptr();
    // SAFETY: the stack is ours, outlives the thread, and is looked at when that has ended; so is the task.
    let bytes = unsafe {
        start.write_bytes(UNTOUCHED, STACK);
        let mut attributes = std::mem::zeroed();
        let mut thread = std::mem::zeroed();
        let (to_attributes, to_task) = (&raw mut attributes, (&raw mut task).cast());
        assert_eq!(libc::pthread_attr_init(to_attributes), 0);
        assert_eq!(
            libc::pthread_attr_setstack(to_attributes, start.cast(), STACK),
            0
        );
        assert_eq!(
            libc::pthread_create(&raw mut thread, to_attributes, run, to_task),
            0
        );
        assert_eq!(libc::pthread_join(thread, ptr::null_mut()), 0);
        libc::pthread_attr_destroy(to_attributes);
        std::slice::from_raw_parts(start, STACK).to_vec()
    };
    (bytes, task.caller - start.addr())
}

extern "C" fn run(task: *mut libc::c_void) -> *mut libc::c_void {
    // SAFETY: the task of the function above, which waits for this thread.
    let task = unsafe { &mut *task.cast::<Task<'_>>() };
    task.caller = (&raw const task).addr();
    (task.work)();
    ptr::null_mut()
}

#[test]
fn what_is_used_is_counted() {
    for len in [20_000, 100_000] {
        let used = stack_used(|| match len {
            20_000 => use_bytes::<20_000>(),
            _ => use_bytes::<100_000>(),
        });
        assert!((len..len + 4096).contains(&used), "{used} of {len}");
    }
}

#[inline(never)]
fn use_bytes<const N: usize>() {
    std::hint::black_box([1_u8; N]);
}
