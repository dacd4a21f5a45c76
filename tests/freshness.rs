//! How soon a client sees what another one changed, with several threads at work.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kmsbox::blob;
use kmsbox::context::Context;
use kmsbox::error::{Result, Status};
use kmsbox::kms::{Kms, NewKey};
use kmsbox::options::Options;
use kmsbox::request_id::Call;
use support::scratch_dir;

fn open(keystore: &Path, interval_ms: &str) -> Kms {
    let mut options = Options::default();
    options.set("keystore", keystore.to_str().unwrap()).unwrap();
    options.set("create", "true").unwrap();
    options.set("refresh_interval_ms", interval_ms).unwrap();
    options.set_root_key(&[0x5a; 32]).unwrap();
    Kms::open(&options).unwrap()
}

fn generate(kms: &Kms, key_id: &str) -> Result<()> {
    let mut wrapped = [0; blob::len(32)];
    let context = Context::empty();
    kms.generate_data_key_without_plaintext(&Call::default(), key_id, &context, &mut wrapped)
        .map(|_| ())
}

#[test]
fn with_interval_0_no_call_uses_a_key_after_its_disabling_was_acknowledged() {
    const CYCLES: usize = 400;
    let scratch = scratch_dir();
    let path = scratch.path().join("keystore");
    let operator = open(&path, "0");
    let engine = open(&path, "0");
    let key = operator.create_key(&Call::default(), &NewKey::default());
    let key_id = key.unwrap().key_id.to_string();
    // Odd while the CMK is disabled and that was acknowledged.
    let phase = AtomicUsize::new(0);
    let done = AtomicBool::new(false);
    let judged = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    let before = phase.load(Ordering::SeqCst);
                    let outcome = generate(&engine, &key_id);
                    if before % 2 == 1 && phase.load(Ordering::SeqCst) == before {
                        let status = outcome.err().map(|error| error.status());
                        assert_eq!(status, Some(Status::Disabled), "in phase {before}");
                        judged.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        for _ in 0..CYCLES {
            operator.disable_key(&Call::default(), &key_id).unwrap();
            phase.fetch_add(1, Ordering::SeqCst);
            thread::sleep(Duration::from_micros(300));
            phase.fetch_add(1, Ordering::SeqCst);
            operator.enable_key(&Call::default(), &key_id).unwrap();
        }
        done.store(true, Ordering::SeqCst);
    });
    assert!(
        judged.load(Ordering::Relaxed) > 0,
        "no call lay in a disabled phase"
    );
}

#[test]
fn from_the_middle_of_the_interval_on_a_call_looks_ahead() {
    const INTERVAL: Duration = Duration::from_secs(4);
    let scratch = scratch_dir();
    let path = scratch.path().join("keystore");
    let operator = open(&path, "0");
    let key = operator.create_key(&Call::default(), &NewKey::default());
    let key_id = key.unwrap().key_id.to_string();

    let before = Instant::now();
    let engine = open(&path, "4000");
    let opened = Instant::now();
    operator.disable_key(&Call::default(), &key_id).unwrap();
    let early = generate(&engine, &key_id);
    if before.elapsed() < INTERVAL / 2 {
        assert_eq!(
            early,
            Ok(()),
            "the first half of the interval is served as it was"
        );
    }
    thread::sleep((opened + INTERVAL / 2).saturating_duration_since(Instant::now()));
    // Before the interval is over only the look ahead can have seen it; after it, any look.
    let seen = generate(&engine, &key_id).map_err(|error| error.status());
    assert_eq!(seen, Err(Status::Disabled));
}
