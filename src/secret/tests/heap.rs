use std::ptr::{self, NonNull};
use std::thread;

use super::{assert_guarded_and_locked, holds_in_child, locked_kib, pages_at};
use crate::secret::heap::{self, MAX_LEN, SecretBytes};
use crate::secret::mapping::page_size;

/// # Safety
/// `start` points at `len` bytes that no one writes to.
unsafe fn bytes(start: NonNull<u8>, len: usize) -> Vec<u8> {
    // SAFETY: by the contract.
    (0..len)
        .map(|at| unsafe { start.add(at).read_volatile() })
        .collect()
}

fn filled(len: usize, with: u8) -> NonNull<u8> {
    let start = heap::alloc(len).unwrap();
    // SAFETY: `len` bytes that are this test's alone.
    unsafe { start.write_bytes(with, len) };
    start
}

#[test]
fn memory_is_zero_aligned_locked_and_apart() {
    for len in [1, 32, 64, 65, 256, 1000, 1024, 4096, 4097, 100_000] {
        let taken: Vec<_> = (0..9).map(|_| heap::alloc(len).unwrap()).collect();
        for (with, start) in (1..).zip(&taken) {
            assert!(start.addr().get().is_multiple_of(16));
            // SAFETY: `len` bytes of this test's own.
            unsafe {
                assert_eq!(bytes(*start, len), vec![0; len]);
                start.write_bytes(with, len);
            }
        }
        for (with, start) in (1..).zip(&taken) {
            // SAFETY: as above.
            assert_eq!(unsafe { bytes(*start, len) }, vec![with; len]);
            let (permissions, flags) = pages_at(start.addr().get());
            assert_eq!(permissions, "rw-p");
            assert!(flags.contains(&"lo".to_owned()) && flags.contains(&"dd".to_owned()));
        }
        taken.iter().for_each(|start| heap::free(start.as_ptr()));
    }
}

#[test]
fn what_is_freed_is_wiped() {
    // A neighbour keeps the slab, so that there is something to look at.
    for len in [64, 256, 1024, 4096] {
        let (neighbour, start) = (filled(len, 2), filled(len, 3));
        // In a child, where no other test takes the slot meanwhile.
        assert!(holds_in_child(|| {
            heap::free(start.as_ptr());
            // SAFETY: the slab is still mapped for the neighbour's sake.
            unsafe { bytes(start, len) == vec![0; len] && bytes(neighbour, len) == vec![2; len] }
        }));
        // SAFETY: the parent's copy, not freed yet.
        assert_eq!(unsafe { bytes(start, len) }, vec![3; len]);
        heap::free(start.as_ptr());
        heap::free(neighbour.as_ptr());
    }
}

#[test]
fn pages_of_their_own_are_given_back() {
    let len = 300_000;
    let start = filled(len, 1);
    assert_guarded_and_locked(start.addr().get(), len.next_multiple_of(page_size()));
    // In a child, where nobody else maps anything in their place.
    assert!(!holds_in_child(|| {
        heap::free(start.as_ptr());
        // SAFETY: not mapped any more: the access must not come back.
        unsafe { start.read_volatile() == 0 }
    }));
    heap::free(start.as_ptr());
}

#[test]
fn slabs_are_given_back_when_many_have_gone() {
    assert!(holds_in_child(|| {
        let first = heap::alloc(4096).unwrap();
        let before = locked_kib();
        let many: Vec<_> = (0..400).map(|_| heap::alloc(4096).unwrap()).collect();
        let full = locked_kib();
        many.iter().for_each(|start| heap::free(start.as_ptr()));
        heap::free(first.as_ptr());
        full >= before + 1580 && locked_kib() <= before + 32
    }));
}

#[test]
fn pointers_of_others_are_left_alone() {
    let kept = SecretBytes::copy_of(b"the library's own").unwrap();
    let start = filled(64, 6);
    let mut local = [8u8; 64];
    heap::free(ptr::null_mut());
    heap::free(local.as_mut_ptr());
    heap::free(kept.as_ptr().cast_mut());
    heap::free(start.as_ptr().wrapping_add(1));
    heap::free(start.as_ptr().wrapping_add(16));
    heap::free(ptr::without_provenance_mut(usize::MAX));
    heap::free(ptr::without_provenance_mut(1));
    assert_eq!(local, [8; 64]);
    assert_eq!(*kept, *b"the library's own");
    // SAFETY: still this test's own.
    assert_eq!(unsafe { bytes(start, 64) }, [6; 64]);
    heap::free(start.as_ptr());

    let large = filled(70_000, 6);
    heap::free(large.as_ptr().wrapping_add(4096));
    // SAFETY: still this test's own.
    assert_eq!(unsafe { bytes(large, 70_000) }, vec![6; 70_000]);
    heap::free(large.as_ptr());
}

#[test]
fn freeing_twice_is_freeing_once() {
    assert!(holds_in_child(|| {
        let neighbour = filled(64, 2);
        let start = filled(64, 3);
        heap::free(start.as_ptr());
        heap::free(start.as_ptr());
        let (one, two) = (heap::alloc(64).unwrap(), heap::alloc(64).unwrap());
        let large = filled(70_000, 1);
        heap::free(large.as_ptr());
        heap::free(large.as_ptr());
        // SAFETY: still this test's own.
        one != two && neighbour != one && unsafe { bytes(neighbour, 64) == [2; 64] }
    }));
}

#[test]
fn lengths_that_make_no_sense_are_none() {
    for len in [0, MAX_LEN + 1, usize::MAX / 2, usize::MAX - 1, usize::MAX] {
        assert!(heap::alloc(len).is_none(), "{len}");
    }
    assert!(SecretBytes::zeroed(MAX_LEN + 1).is_none());
}

#[test]
fn secret_bytes_own_their_bytes() {
    for len in [0, 1, 32, 4096, 5000] {
        let mut secret = SecretBytes::zeroed(len).unwrap();
        assert_eq!(*secret, vec![0; len]);
        secret.fill(5);
        assert_eq!(*SecretBytes::copy_of(&secret).unwrap(), vec![5; len]);
        assert_eq!(format!("{secret:?}"), format!("SecretBytes({len} bytes)"));
    }
    let secret = SecretBytes::copy_of(&[1; 40]).unwrap();
    thread::spawn(move || assert_eq!(*secret, [1; 40]))
        .join()
        .unwrap();
}

#[test]
fn secret_bytes_are_wiped_when_they_go() {
    let neighbour = SecretBytes::copy_of(&[1; 40]).unwrap();
    let secret = SecretBytes::copy_of(&[2; 40]).unwrap();
    assert!(holds_in_child(move || {
        let start = NonNull::from(&secret[0]);
        drop(secret);
        // SAFETY: the slab is still mapped for the neighbour's sake.
        unsafe { bytes(start, 40) == [0; 40] && *neighbour == [1; 40] }
    }));
}

#[test]
fn threads_share_the_heap() {
    thread::scope(|scope| {
        for with in 1..=8u8 {
            scope.spawn(move || {
                for round in 0..300usize {
                    let len = 1 + round * 37 % 5000;
                    let taken = [filled(len, with), filled(round + 1, with)];
                    // SAFETY: this thread's own.
                    assert_eq!(unsafe { bytes(taken[0], len) }, vec![with; len]);
                    taken.iter().for_each(|start| heap::free(start.as_ptr()));
                }
            });
        }
    });
}
