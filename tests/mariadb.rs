//! The MariaDB plugin of c_examples/mariadb in a real server: tables and logs are encrypted under keys of
//! kmsbox, keys and CMKs are rotated while it runs, and without them it refuses.
#![allow(clippy::expect_used, clippy::panic)]

#[path = "mariadb/backup.rs"]
mod backup;
#[path = "mariadb/calls.rs"]
mod calls;
#[path = "mariadb/crashes.rs"]
mod crashes;
#[path = "mariadb/data.rs"]
mod data;
#[path = "mariadb/harness.rs"]
mod harness;
#[path = "mariadb/key_file.rs"]
mod key_file;
#[path = "mariadb/page.rs"]
mod page;
#[path = "mariadb/refusals.rs"]
mod refusals;
#[path = "mariadb/rotation.rs"]
mod rotation;
#[path = "mariadb/site.rs"]
mod site;
mod support;

use support::{Need, need};

/// What the plugin is built with. Every server beside it needs no more.
#[track_caller]
fn can_build() -> bool {
    // Each one is asked for, so that each one that is missing is named.
    let needs = [Need::MariaDb, Need::Make, Need::PkgConfig].map(|each| need(each));
    needs.iter().all(|there| *there)
}
