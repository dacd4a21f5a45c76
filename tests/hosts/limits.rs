//! A limit on the size of files: refused where SIGXFSZ is ignored, killed where it is not; nothing is lost.

use crate::host;
use crate::support::{run_ok, scratch_dir};

#[test]
fn a_file_size_limit_loses_nothing() {
    let scratch = scratch_dir();
    let places = ["keystore", "audit.log"].map(|name| scratch.path().join(name));
    run_ok(host("limits", &scratch).args(places));
}
