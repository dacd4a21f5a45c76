use std::hint::black_box;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::{assert_guarded_and_locked, holds_in_child};
use crate::secret::mapping::page_size;
use crate::secret::{Arena, SLOT_SIZE, Secret};

const SLAB: usize = 16 << 10;

fn address<T>(secret: &Secret<T>) -> *const u8 {
    (&raw const **secret).cast()
}

/// # Safety
/// `slot` is a slot of a living arena that no thread writes to.
unsafe fn slot_bytes(slot: *const u8) -> [u8; SLOT_SIZE] {
    // SAFETY: by the contract.
    unsafe { slot.cast::<[u8; SLOT_SIZE]>().read_volatile() }
}

#[test]
fn values_lie_in_locked_memory() {
    let arena = Arena::new(SLAB).unwrap();
    let secret = arena.place(|| [7u8; 100]).unwrap();
    assert_eq!(*secret, [7; 100]);
    let report = arena.report();
    assert!(report.locked && report.undumped);
    assert_eq!(
        (report.max_bytes, report.mapped_bytes, report.used_bytes),
        (SLAB, SLAB, 256)
    );
    let page = address(&secret).addr() & !(page_size() - 1);
    assert_guarded_and_locked(page, SLAB);
}

#[test]
fn a_dropped_value_leaves_zeros() {
    struct Filled([u8; 200], Arc<AtomicUsize>);
    impl Drop for Filled {
        fn drop(&mut self) {
            // Writing in drop must not outlast the wiping.
            self.0.fill(9);
            self.1.fetch_add(1, Ordering::Relaxed);
        }
    }
    let arena = Arena::new(SLAB).unwrap();
    let drops = Arc::new(AtomicUsize::new(0));
    let secret = arena
        .place(|| Filled([5; 200], Arc::clone(&drops)))
        .unwrap();
    let slot = address(&secret);
    // SAFETY: the arena lives until the end, and only this thread uses it.
    let filled = unsafe { slot_bytes(slot) };
    assert!(filled.windows(200).any(|bytes| bytes == [5; 200]));
    drop(secret);
    // SAFETY: as above.
    assert_eq!(unsafe { slot_bytes(slot) }, [0; SLOT_SIZE]);
    assert_eq!(drops.load(Ordering::Relaxed), 1);
    assert_eq!(arena.report().used_bytes, 0);
}

#[test]
fn a_panic_while_building_or_dropping_gives_the_slot_back_wiped() {
    struct Unwilling([u8; 64]);
    impl Drop for Unwilling {
        fn drop(&mut self) {
            panic!("as the test wants it");
        }
    }
    let arena = Arena::new(SLAB).unwrap();
    let building = std::panic::catch_unwind(|| arena.place(|| -> u8 { panic!("as wanted") }));
    assert!(building.is_err());
    assert_eq!(arena.report().used_bytes, 0);

    let secret = arena.place(|| Unwilling([3; 64])).unwrap();
    let slot = address(&secret);
    assert_eq!(secret.0, [3; 64]);
    let dropping = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(secret)));
    assert!(dropping.is_err());
    assert_eq!(arena.report().used_bytes, 0);
    // SAFETY: the arena lives, and only this thread uses it.
    assert_eq!(unsafe { slot_bytes(slot) }, [0; SLOT_SIZE]);
}

#[test]
fn the_bound_holds_and_slots_come_back() {
    // Below one slab: one slab. Between one and two: one.
    for (max, slots) in [(0, 64), (SLAB + 1, 64), (3 * SLAB, 192)] {
        let arena = Arena::new(max).unwrap();
        for round in 0..3 {
            let placed: Vec<_> = (0..slots).map(|at| arena.place(|| at).unwrap()).collect();
            assert!(placed.iter().enumerate().all(|(at, value)| **value == at));
            let mut built = false;
            assert!(arena.place(|| built = true).is_none());
            assert!(!built, "built a value without a slot for it");
            let report = arena.report();
            assert_eq!(report.used_bytes, slots * SLOT_SIZE);
            assert_eq!(report.mapped_bytes, slots * SLOT_SIZE, "round {round}");
            assert_eq!(report.mapped_bytes, report.max_bytes);
        }
        assert_eq!(arena.report().used_bytes, 0);
    }
}

#[test]
fn an_enormous_bound_costs_nothing_yet() {
    let arena = Arena::new(usize::MAX).unwrap();
    assert_eq!(arena.report().mapped_bytes, 0);
    assert_eq!(*arena.place(|| 1).unwrap(), 1);
    assert_eq!(arena.report().mapped_bytes, SLAB);
}

#[test]
fn a_value_outlives_the_handle_of_its_arena() {
    let arena = Arena::new(SLAB).unwrap();
    let secret = arena.place(|| [1u8; 32]).unwrap();
    drop(arena);
    assert_eq!(*secret, [1; 32]);
}

#[test]
fn values_are_aligned_to_cache_lines() {
    #[repr(align(64))]
    struct Aligned(u8);
    let arena = Arena::new(SLAB).unwrap();
    let aligned: Vec<_> = (0..64)
        .map(|at| arena.place(|| Aligned(at)).unwrap())
        .collect();
    assert!(
        aligned
            .iter()
            .all(|value| address(value).addr().is_multiple_of(64))
    );
    assert!(aligned.iter().zip(0..).all(|(value, at)| value.0 == at));
}

#[test]
fn threads_share_an_arena() {
    // Room for 128 values and up to 8 * 32 wanted: some calls find it full, no two share a slot.
    let arena = Arena::new(2 * SLAB).unwrap();
    let refused = AtomicUsize::new(0);
    thread::scope(|scope| {
        for thread in 0..8u64 {
            let (arena, refused) = (&arena, &refused);
            scope.spawn(move || {
                for round in 0..2000u64 {
                    let stamp = thread << 32 | round;
                    let placed: Vec<_> = (0..round % 33)
                        .filter_map(|_| {
                            let placed = arena.place(|| [stamp; 32]);
                            if placed.is_none() {
                                refused.fetch_add(1, Ordering::Relaxed);
                            }
                            placed
                        })
                        .collect();
                    thread::yield_now();
                    assert!(placed.iter().all(|value| **value == [stamp; 32]));
                }
            });
        }
    });
    let report = arena.report();
    assert_eq!(report.used_bytes, 0);
    assert!(report.mapped_bytes <= report.max_bytes);
}

#[test]
fn a_secret_may_be_dropped_by_another_thread() {
    let arena = Arena::new(SLAB).unwrap();
    let secret = arena.place(|| vec![1u8; 8]).unwrap();
    thread::spawn(move || assert_eq!(*secret, [1; 8]))
        .join()
        .unwrap();
    assert_eq!(arena.report().used_bytes, 0);
}

#[test]
fn debug_shows_nothing() {
    let secret = Arena::new(SLAB).unwrap().place(|| 0xAB_u8).unwrap();
    assert_eq!(format!("{secret:?}"), "Secret(..)");
}

/// The bytes that `build` leaves behind on the stack below this frame, if any are like `marker`.
#[inline(never)]
fn left_on_the_stack(marker: &[u8; 32], build: impl FnOnce()) -> bool {
    // All that is needed for looking is made first: looking uses the stack too.
    let memory = std::fs::File::open("/proc/self/mem").unwrap();
    let mut stack = vec![0u8; 6000];
    let here = 0u8;
    build();
    let top = (&raw const here).addr() - 512;
    memory
        .read_exact_at(&mut stack, u64::try_from(top - 6000).unwrap())
        .unwrap();
    stack.windows(32).any(|bytes| bytes == marker)
}

#[test]
fn building_leaves_nothing_on_the_stack() {
    let mut marker = [0u8; 32];
    std::fs::File::open("/dev/urandom")
        .unwrap()
        .read_exact(&mut marker)
        .unwrap();
    let make = || {
        // A buffer well below the frame that calls, as unsealing a key has.
        let mut deep = [[0u8; 32]; 64];
        deep[2] = *black_box(&marker);
        black_box(&deep)[2]
    };
    #[inline(never)]
    fn plain(make: impl FnOnce() -> [u8; 32]) -> [u8; 32] {
        black_box(make())
    }
    // The look does find what is there.
    assert!(left_on_the_stack(&marker, || {
        black_box(plain(make));
    }));
    let arena = Arena::new(SLAB).unwrap();
    let mut secret = None;
    assert!(!left_on_the_stack(&marker, || secret = arena.place(make)));
    assert_eq!(*secret.unwrap(), marker);
}

#[test]
fn memory_that_may_not_be_locked_works_and_says_so() {
    assert!(holds_in_child(|| {
        let none = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        // SAFETY: changes this child alone: root may lock in spite of the limit, so it stops being root.
        unsafe {
            assert_eq!(libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const none), 0);
            if libc::geteuid() == 0 {
                assert_eq!(libc::setresgid(65534, 65534, 65534), 0);
                assert_eq!(libc::setresuid(65534, 65534, 65534), 0);
            }
        }
        let arena = Arena::new(SLAB).unwrap();
        let secret = arena.place(|| [4u8; 32]).unwrap();
        let report = arena.report();
        *secret == [4; 32] && !report.locked && report.undumped && report.used_bytes == SLOT_SIZE
    }));
}
