//! Descriptors that the host has closed, or closes.

use std::fs;

use crate::host;
use crate::support::{run_ok, scratch_dir};

/// With 0 to 2 closed, what the library opens must not get these numbers: the host may write to them.
#[test]
fn closed_descriptors() {
    let folder = scratch_dir();
    let at = |name: &str| folder.path().join(name);
    let mut host = host("closed_descriptors", &folder);
    host.arg(at("keystore"))
        .arg(at("audit.log"))
        .arg(at("report"));
    run_ok(&mut host);
    let report = fs::read_to_string(at("report")).unwrap();
    assert_eq!(report, "50 made, then KMS_OK ; report is 0");
    for file in ["keystore", "keystore.lock", "audit.log"] {
        let text = fs::read_to_string(at(file)).unwrap();
        assert!(
            !text.contains("slow query"),
            "{file} has what the host wrote"
        );
    }
    assert_eq!(
        fs::read_to_string(at("audit.log")).unwrap().lines().count(),
        100
    );
}

/// Random bytes come from the system call, or the answer is `KMS_ERR_RANDOM`: never from a descriptor,
/// which the host may close and get again for a file of its own.
#[test]
fn no_random_bytes() {
    let folder = scratch_dir();
    let keystore = folder.path().join("keystore");
    run_ok(host("no_random_bytes", &folder).arg(&keystore).arg("make"));
    for error in [libc::EPERM, libc::ENOSYS] {
        let mut host = host("no_random_bytes", &folder);
        run_ok(host.arg(&keystore).arg(error.to_string()));
    }
}

/// Data keys need no descriptor. A change needs some, and without them it is refused whole.
#[test]
fn no_descriptors_left() {
    let folder = scratch_dir();
    let mut host = host("no_descriptors_left", &folder);
    run_ok(host.arg(folder.path().join("keystore")));
}
