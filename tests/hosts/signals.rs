//! A host that leaves its signals as the system has them.

use crate::host;
use crate::support::{run_ok, scratch_dir};

/// An audit log that becomes a FIFO is an error, and no signal that ends the host.
#[test]
fn a_fifo_in_place_of_the_audit_log() {
    let folder = scratch_dir();
    let mut host = host("audit_log_places", &folder);
    host.arg(folder.path().join("keystore"));
    run_ok(host.arg(folder.path().join("audit.log")));
}
