//! How the costs grow with the number of CMKs: those of data keys must not.

use std::ffi::CString;
use std::fs;
use std::time::{Duration, Instant};

use crate::cases::{Case, DECRYPT, GENERATE, Worker};
use crate::machine;
use crate::store::{Client, Store};
use crate::time::{calls_in, median, per_call, processor_time};

const ROUNDS: usize = 5;

pub fn print(counts: &[usize]) {
    machine::print();
    println!(
        "medians of {ROUNDS}; \"in turn\" uses every CMK, and so more than the key cache holds"
    );
    println!(
        "{:>8} | file MB | all made ms | open ms | one change ms | generate ns, in turn | decrypt ns, in turn",
        "CMKs"
    );
    for &count in counts {
        let began = Instant::now();
        let store = Store::with_keys(count);
        let made = began.elapsed();
        let file = fs::metadata(store.path()).expect("the keystore").len();
        let open = milliseconds(|_| drop(store.open(&[])));
        let client = store.open(&[]);
        let key_id = store.key_ids[count / 2].to_string_lossy();
        let change = milliseconds(|round| {
            let action = ["DisableKey", "EnableKey"][round % 2];
            let request = CString::new(format!("Action={action}&KeyId={key_id}"));
            client.request(&request.expect("no NUL"));
        });
        client.request(&CString::new(format!("Action=EnableKey&KeyId={key_id}")).expect("no NUL"));
        let (generate, generate_in_turn) = data_key(GENERATE, &client, &store);
        let (decrypt, decrypt_in_turn) = data_key(DECRYPT, &client, &store);
        println!(
            "{count:>8} | {:>7.2} | {:>11.1} | {open:>7.1} | {change:>13.1} | {generate:>11.0} {generate_in_turn:>8.0} | {decrypt:>10.0} {decrypt_in_turn:>8.0}",
            u32::try_from(file).map_or(f64::NAN, f64::from) / 1e6,
            made.as_secs_f64() * 1e3,
        );
    }
}

fn milliseconds(mut work: impl FnMut(usize)) -> f64 {
    let mut taken: Vec<f64> = (0..ROUNDS)
        .map(|round| {
            let began = Instant::now();
            work(round);
            began.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    median(&mut taken)
}

/// Nanoseconds of a call under one CMK, and under every CMK in turn.
fn data_key(case: Case, client: &Client, store: &Store) -> (f64, f64) {
    let one = store.key_ids[store.key_ids.len() / 2].as_c_str();
    let mut worker = Worker::new(case, client, one);
    let calls = calls_in(Duration::from_millis(200), &mut worker);
    let under_one = nanoseconds(calls, || worker.run(calls));

    let wrapped: Vec<_> = (store.key_ids.iter())
        .map(|key_id| (key_id.as_c_str(), Worker::new(case, client, key_id).blob))
        .collect();
    let turns = 100_000_usize.div_ceil(wrapped.len());
    let under_all = nanoseconds(turns * wrapped.len(), || {
        for (key_id, blob) in wrapped.iter().cycle().take(turns * wrapped.len()) {
            worker.key_id = key_id;
            worker.blob = *blob;
            worker.run(1);
        }
    });
    (under_one, under_all)
}

fn nanoseconds(calls: usize, mut work: impl FnMut()) -> f64 {
    let mut taken: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let before = processor_time();
            work();
            per_call(processor_time() - before, calls)
        })
        .collect();
    median(&mut taken)
}
