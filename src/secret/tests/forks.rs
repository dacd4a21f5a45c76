use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::{exited_well, holds_in_child, locked_kib};
use crate::secret::{Arena, fork, heap};

const SLAB: usize = 16 << 10;

#[test]
fn a_child_reads_its_copy_and_wipes_it_alone() {
    let arena = Arena::new(2 * SLAB).unwrap();
    let mut secrets: Vec<_> = (0..100u8)
        .map(|at| arena.place(|| [at; 200]).unwrap())
        .collect();
    assert!(holds_in_child(|| {
        let read = secrets
            .iter()
            .zip(0..)
            .all(|(secret, at)| **secret == [at; 200]);
        secrets.clear();
        let emptied = arena.report().used_bytes == 0;
        // And the memory is there for the child's own.
        let again: Vec<_> = (0..128u8)
            .filter_map(|at| arena.place(|| [at; 200]))
            .collect();
        read && emptied && again.len() == 128
    }));
    assert!(
        secrets
            .iter()
            .zip(0..)
            .all(|(secret, at)| **secret == [at; 200])
    );
    assert_eq!(arena.report().used_bytes, 100 * 256);
}

#[test]
fn a_child_locks_its_memory_again() {
    let arena = Arena::new(2 * SLAB).unwrap();
    let secrets: Vec<_> = (0..65u8).map(|at| arena.place(|| at).unwrap()).collect();
    assert!(holds_in_child(|| {
        let inherited = locked_kib();
        arena.relock_after_fork();
        let locked = locked_kib();
        arena.relock_after_fork();
        // And so does a child of the child.
        let below = holds_in_child(|| {
            arena.relock_after_fork();
            locked_kib() == 32
        });
        inherited == 0 && locked == 32 && below && arena.report().locked && secrets.len() == 65
    }));
}

#[test]
fn a_child_locks_the_heap_at_first_use() {
    let start = heap::alloc(64).unwrap();
    assert!(holds_in_child(|| {
        let inherited = locked_kib();
        // Served from a slab that the parent mapped, or from a new one: both are locked after it.
        let here = heap::alloc(64).unwrap();
        let (_, flags) = super::pages_at(start.addr().get());
        heap::free(here.as_ptr());
        inherited == 0 && locked_kib() > 0 && flags.contains(&"lo".to_owned())
    }));
    heap::free(start.as_ptr());
}

#[test]
fn an_instance_is_one_process() {
    let here = fork::instance();
    assert_ne!(here, 0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(fork::instance(), here));
        }
    });
    assert!(holds_in_child(|| {
        let child = fork::instance();
        let below = holds_in_child(|| ![0, here, child].contains(&fork::instance()));
        ![0, here].contains(&child) && below && fork::instance() == child
    }));
    assert_eq!(fork::instance(), here);
}

#[cfg(target_os = "linux")]
#[test]
fn a_child_that_no_handler_saw_has_its_own_instance() {
    let here = fork::instance();
    // SAFETY: a copy of this process as fork makes it, without the C library's knowledge; it does next to
    // nothing and leaves by _exit.
    let child = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
    if child == 0 {
        let differs = ![0, here].contains(&fork::instance());
        // SAFETY: ends the child.
        unsafe { libc::_exit(if differs { 0 } else { 1 }) };
    }
    assert!(child > 0);
    assert!(exited_well(libc::pid_t::try_from(child).unwrap()));
}

/// A mutex used as the library uses its own: behind the gate.
static BEHIND_THE_GATE: Mutex<u64> = Mutex::new(0);

fn work_behind_the_gate() {
    let _gate = fork::enter();
    let mut count = BEHIND_THE_GATE.lock().unwrap();
    let _again = fork::enter();
    *count += 1;
    // Long enough to be met by a fork that does not wait.
    for _ in 0..2000 {
        std::hint::spin_loop();
    }
}

/// Runs `meanwhile` while four threads go in and out of the gate.
fn with_a_crowd(meanwhile: impl FnOnce()) {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    work_behind_the_gate();
                    let start = heap::alloc(64).unwrap();
                    heap::free(start.as_ptr());
                }
            });
        }
        // The threads stop also when an assertion fails.
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(meanwhile));
        stop.store(true, Ordering::Relaxed);
        if let Err(panic) = done {
            std::panic::resume_unwind(panic);
        }
    });
}

#[test]
fn a_fork_finds_the_library_at_rest() {
    let arena = Arena::new(SLAB).unwrap();
    with_a_crowd(|| {
        for round in 0..200 {
            let held = holds_in_child(|| {
                work_behind_the_gate();
                let start = heap::alloc(64).unwrap();
                heap::free(start.as_ptr());
                arena.place(|| 1u8).is_some()
            });
            assert!(held, "fork {round}");
        }
    });
}

#[test]
fn threads_fork_at_the_same_time() {
    with_a_crowd(|| {
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        assert!(holds_in_child(|| {
                            work_behind_the_gate();
                            holds_in_child(|| {
                                work_behind_the_gate();
                                true
                            })
                        }));
                    }
                });
            }
        });
    });
}

#[test]
fn a_fork_waits_for_those_behind_the_gate() {
    let inside = Barrier::new(2);
    let left = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let _gate = fork::enter();
            inside.wait();
            thread::sleep(Duration::from_millis(300));
            left.store(true, Ordering::SeqCst);
        });
        inside.wait();
        let since = Instant::now();
        assert!(holds_in_child(|| left.load(Ordering::SeqCst)));
        assert!(since.elapsed() >= Duration::from_millis(250));
    });
}

#[test]
fn threads_behind_the_gate_may_fork() {
    // In a child of its own: here a fork of another test could keep one thread out while the other, behind
    // the gate, waits for it.
    assert!(holds_in_child(|| {
        let both = Barrier::new(2);
        thread::scope(|scope| {
            let forking = || {
                let gate = fork::enter();
                both.wait();
                holds_in_child(|| {
                    let again = fork::enter();
                    drop(gate);
                    drop(again);
                    // The gate is empty now: the child may fork and go in as anyone.
                    holds_in_child(|| {
                        drop(fork::enter());
                        true
                    })
                })
            };
            let threads = [scope.spawn(forking), scope.spawn(forking)];
            let held = threads.map(|thread| thread.join().unwrap());
            // Both have left, so nothing is in the way of another.
            held == [true; 2] && holds_in_child(|| true)
        })
    }));
}

#[test]
fn gates_of_one_thread_may_go_in_any_order() {
    let outer = fork::enter();
    let inner = fork::enter();
    drop(outer);
    let late = fork::enter();
    drop(inner);
    assert!(holds_in_child(|| true));
    drop(late);
    assert!(holds_in_child(|| true));
}
