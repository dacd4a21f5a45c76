//! Tests of the memory for secrets. They look at what the kernel says of it, and fork.

// Forking, and looking at memory that is not ours any more.
#![allow(unsafe_code)]

mod arena;
mod depth;
mod forks;
mod heap;
mod scratch;
#[cfg(feature = "import")]
mod wiping;

pub(crate) use depth::{stack_after, stack_used};

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::mapping::Mapping;

/// What tests leave in memory on purpose.
const MARK: u8 = 0x6B;

/// Leaves a mark in a frame that is gone when this returns.
#[inline(never)]
pub(crate) fn mark_stack<const N: usize>() {
    std::hint::black_box([MARK; N]);
}

/// Whether more than a few bytes of the mark are there.
pub(crate) fn is_marked(bytes: &[u8]) -> bool {
    bytes.windows(32).any(|window| window == [MARK; 32])
}

/// Runs `check` in a forked child and says whether it returned true: a panic, a signal and a hang of more
/// than 20 seconds are false.
fn holds_in_child(check: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child runs `check` on its one thread and leaves by _exit.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "fork failed");
    if child == 0 {
        // SAFETY: ends this process, after the alarm at the latest.
        unsafe {
            libc::alarm(20);
            let held = catch_unwind(AssertUnwindSafe(check)).unwrap_or(false);
            libc::_exit(if held { 0 } else { 1 });
        }
    }
    exited_well(child)
}

fn exited_well(child: libc::pid_t) -> bool {
    let mut status = 0;
    // SAFETY: waits for our own child and writes its status.
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(waited, child);
    libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
}

/// What `/proc/self/smaps` says of the pages around an address: permissions, and the flags.
fn pages_at(address: usize) -> (String, Vec<String>) {
    let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let mut lines = smaps.lines();
    let header = lines
        .by_ref()
        .find(|line| {
            let Some((from, rest)) = line.split_once('-') else {
                return false;
            };
            let Some((to, _)) = rest.split_once(' ') else {
                return false;
            };
            match (
                usize::from_str_radix(from, 16),
                usize::from_str_radix(to, 16),
            ) {
                (Ok(from), Ok(to)) => (from..to).contains(&address),
                _ => false,
            }
        })
        .unwrap();
    let permissions = header.split_whitespace().nth(1).unwrap().to_owned();
    let flags = lines
        .find_map(|line| line.strip_prefix("VmFlags:"))
        .unwrap();
    (
        permissions,
        flags.split_whitespace().map(str::to_owned).collect(),
    )
}

/// Kilobytes of locked memory of this process.
fn locked_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmLck:"))
        .unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Locked, undumped, readable and writable, between pages that are neither.
fn assert_guarded_and_locked(start: usize, len: usize) {
    for address in [start, start + len - 1] {
        let (permissions, flags) = pages_at(address);
        assert_eq!(permissions, "rw-p");
        assert!(
            flags.iter().any(|flag| flag == "lo"),
            "not locked: {flags:?}"
        );
        assert!(
            flags.iter().any(|flag| flag == "dd"),
            "would be dumped: {flags:?}"
        );
    }
    for address in [start - 1, start + len] {
        assert_eq!(pages_at(address).0, "---p");
    }
}

#[test]
fn a_mapping_is_guarded_locked_and_left_out_of_dumps() {
    let mapping = Mapping::new(40_000).unwrap();
    assert!(mapping.len() >= 40_000);
    assert!(mapping.locked() && mapping.undumped());
    assert_guarded_and_locked(mapping.start().addr().get(), mapping.len());
}

#[test]
fn touching_a_guard_page_ends_the_process() {
    let mapping = Mapping::new(1).unwrap();
    for outside in [-1, mapping.len().cast_signed()] {
        assert!(!holds_in_child(|| {
            // SAFETY: outside the mapping on purpose: the access must not come back.
            unsafe { mapping.start().offset(outside).write_volatile(1) };
            true
        }));
    }
    assert!(holds_in_child(|| {
        // SAFETY: the first byte of the mapping.
        unsafe { mapping.start().write_volatile(1) };
        true
    }));
}

#[test]
fn memory_that_cannot_be_had_is_none() {
    for len in [usize::MAX, usize::MAX / 2, usize::MAX - 8192] {
        assert!(Mapping::new(len).is_none());
    }
}
