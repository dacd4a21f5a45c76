//! After a rotation: each file's key moves to the CMK's new version, and the data stay as they are.

use crate::shop::*;
use crate::support::{contains, run};

#[test]
fn a_rewrap_moves_every_key_and_no_data() {
    if !all_there() {
        return;
    }
    let shop = Shop::new();
    shop.fill(20_000);
    let before = shop.files("db");
    let old = shop.primary();
    shop.rotate();
    let new = shop.primary();
    assert_ne!(old, new);

    shop.rewrapped("db");
    let after = shop.files("db");
    assert_eq!(before.len(), after.len());
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before.path, after.path);
        assert_eq!(before.data(), after.data(), "{}", after.path);
        assert_eq!(before.version(), old);
        assert_eq!(after.version(), new);
        // Nothing of the old version is left, in neither slot.
        let prefix = &after.bytes[..PREFIX_LEN];
        assert!(
            !contains(prefix, &old),
            "{} still has the old blob",
            after.path
        );
    }
    let status = shop.done(&["db", "status"]);
    assert_eq!(status.lines().count(), after.len());
    let uuid = |bytes: &[u8]| {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        [
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..],
        ]
        .join("-")
    };
    let under = format!("{} {} db/", shop.cmk, uuid(&new));
    assert!(status.lines().all(|line| line.starts_with(&under)));
    shop.assert_entries("db", 20_000);
    // Once more is no harm.
    shop.rewrapped("db");
    shop.assert_entries("db", 20_000);
}

#[test]
fn a_database_moves_to_another_cmk() {
    if !all_there() {
        return;
    }
    let shop = Shop::new();
    shop.fill(20_000);
    let next = shop.client.create_key();
    let cmk = &shop.cmk;
    shop.client.done(&format!(
        "Action=CreateAlias&KeyId={next}&AliasName=alias%2Fnext"
    ));
    let both = ["--cmk", "alias/next", "--cmk", cmk];
    let output = run(&mut shop.example(&[&both[..], &["db", "rewrap"]].concat()));
    assert!(output.status.success(), "{output:?}");
    shop.client.done(&format!("Action=DisableKey&KeyId={cmk}"));
    let scan = run(&mut shop.example(&["--cmk", &next, "db", "scan"]));
    assert_eq!(scan.stdout, "20000 entries\n", "{scan:?}");
    // Without a CMK, for it needs no client.
    let status = run(&mut shop.example(&["db", "status"]));
    assert!(!status.stdout.is_empty() && !status.stdout.contains(cmk.as_str()));
}
