//! Time on the clock, every case in turn in each round: what else the machine does meanwhile hits all
//! of them alike.

use std::ffi::CStr;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use crate::cases::{Case, TIMED, Worker};
use crate::store::{Client, Store};

/// How long one case runs in one round.
const TURN: Duration = Duration::from_millis(200);

pub fn print(threads: &[usize], rounds: usize) {
    let store = Store::with_keys(1);
    let client = store.open(&[]);
    let key_id = store.key_ids[0].as_c_str();
    let calls = TIMED.map(|case| calls_in(TURN, &mut Worker::new(case, &client, key_id)));

    let mut measured = vec![[const { Vec::new() }; TIMED.len()]; threads.len()];
    for _ in 0..rounds {
        for (index, case) in TIMED.into_iter().enumerate() {
            for (&threads, measured) in threads.iter().zip(&mut measured) {
                measured[index].push(turn(case, &client, key_id, threads, calls[index]));
            }
        }
    }

    println!("nanoseconds of one call; {rounds} rounds of {TURN:?} for each case in turn");
    println!(
        "(median and best on the clock, and least of a processor's time: steadier on a busy machine)"
    );
    print!("{:<36}", "");
    for threads in threads {
        print!(" | {threads} thread(s): median   best    cpu  M calls/s");
    }
    println!();
    for (index, case) in TIMED.iter().enumerate() {
        print!("{:<36}", case.name);
        for (&threads, measured) in threads.iter().zip(&measured) {
            let of = |time: fn(&Turn) -> f64| measured[index].iter().map(time).collect::<Vec<_>>();
            let (mut clock, mut processor) = (of(|turn| turn.clock), of(|turn| turn.processor));
            let (median, _) = (median(&mut clock), self::median(&mut processor));
            let (best, least) = (clock[0], processor[0]);
            let rate = 1e3 * u32::try_from(threads).map_or(1.0, f64::from) / median;
            print!(" | {median:>19.0} {best:>6.0} {least:>6.0} {rate:>10.2}");
        }
        println!();
    }
}

/// Nanoseconds that a call took one thread in one turn.
#[derive(Clone, Copy)]
struct Turn {
    clock: f64,
    processor: f64,
}

/// One case for about the time of a turn, on so many threads.
fn turn(case: Case, client: &Client, key_id: &CStr, threads: usize, calls: usize) -> Turn {
    let start = Barrier::new(threads + 1);
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let mut worker = Worker::new(case, client, key_id);
                    worker.run(1000);
                    start.wait();
                    let before = processor_time();
                    worker.run(calls);
                    processor_time() - before
                })
            })
            .collect();
        start.wait();
        let began = Instant::now();
        let processor: Duration = (running.into_iter())
            .map(|thread| thread.join().expect("no call failed"))
            .sum();
        Turn {
            clock: per_call(began.elapsed(), calls),
            processor: per_call(processor, threads * calls),
        }
    })
}

/// What this thread has had of a processor.
pub fn processor_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: writes the one value that it is given.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(failed, 0, "clock_gettime");
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

/// About how many calls fit into a time.
pub fn calls_in(time: Duration, worker: &mut Worker<'_>) -> usize {
    let mut calls = 1000;
    loop {
        let began = Instant::now();
        worker.run(calls);
        let taken = began.elapsed();
        if taken >= time / 10 {
            let calls = u128::try_from(calls).unwrap_or(1) * time.as_nanos() / taken.as_nanos();
            return usize::try_from(calls).unwrap_or(1);
        }
        calls *= 4;
    }
}

/// Nanoseconds.
pub fn per_call(taken: Duration, calls: usize) -> f64 {
    taken.as_secs_f64() * 1e9 / u32::try_from(calls).map_or(f64::INFINITY, f64::from)
}

/// Leaves them sorted.
pub fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
