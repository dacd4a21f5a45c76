//! A thread that is cancelled while it is in a call: the call finishes, and the cancellation comes after it.

use crate::host;
use crate::support::{run_ok, scratch_dir};

#[test]
fn cancelled_threads() {
    let scratch = scratch_dir();
    let places = ["keystore", "audit.log"].map(|name| scratch.path().join(name));
    run_ok(host("cancelled", &scratch).args(places));
}
