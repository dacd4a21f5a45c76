//! Rotation of the keys, which moves data, and of the CMK, which does not.

use std::fs;

use super::can_build;
use super::site::{Server, Site};
use super::support::run;

const WAKE: &str = "SET GLOBAL innodb_encryption_rotate_key_age = 1";

/// The table's least and newest key version, as InnoDB sees them.
fn versions_of(table: &str) -> String {
    format!(
        "SELECT min_key_version, current_key_version
         FROM information_schema.innodb_tablespaces_encryption WHERE name = 'shop/{table}'"
    )
}

fn fill(server: &Server<'_>) {
    server.sql(
        "CREATE DATABASE shop;
         CREATE TABLE shop.orders (id INT PRIMARY KEY AUTO_INCREMENT, text VARCHAR(1000));
         CREATE TABLE shop.tenants LIKE shop.orders;
         ALTER TABLE shop.tenants ENCRYPTION_KEY_ID=100;
         INSERT INTO shop.orders (text)
             WITH RECURSIVE n (seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM n WHERE seq < 300)
             SELECT REPEAT('order ', 100) FROM n;
         INSERT INTO shop.tenants SELECT * FROM shop.orders;",
    );
}

const CHECKSUMS: &str = "CHECKSUM TABLE shop.orders, shop.tenants EXTENDED";

/// The key versions that the table's pages begin with, all but the first, which is not encrypted.
fn page_versions(site: &Site, table: &str) -> Vec<u32> {
    let bytes = fs::read(site.data().join(format!("shop/{table}.ibd"))).expect("it is there");
    let mut versions: Vec<_> = bytes
        .chunks_exact(16 * 1024)
        .skip(1)
        .map(|page| u32::from_be_bytes(page[..4].try_into().expect("four bytes")))
        .filter(|version| *version != 0)
        .collect();
    versions.sort_unstable();
    versions.dedup();
    versions
}

#[test]
fn a_new_key_version_takes_over_all_pages() {
    if !can_build() {
        return;
    }
    let site = Site::new();
    let server = site.start();
    fill(&server);
    let checksums = server.sql(CHECKSUMS);
    server.wait_for(&versions_of("orders"), "1\t1");
    server.wait_for(&versions_of("tenants"), "1\t1");
    server.sql("FLUSH TABLES shop.orders, shop.tenants FOR EXPORT; UNLOCK TABLES");
    assert_eq!(page_versions(&site, "orders"), [1]);

    server.sql("SET GLOBAL kmsbox_rotate = 1");
    assert_eq!(
        server.sql("SELECT @@kmsbox_rotate"),
        "0",
        "an order, no setting"
    );
    server.wait_for(&versions_of("orders"), "1\t2");
    assert_eq!(server.sql(&versions_of("tenants")), "1\t1", "another key");

    server.sql("SET GLOBAL kmsbox_rotate = 1");
    server.sql(WAKE);
    server.wait_for(&versions_of("orders"), "3\t3");
    assert_eq!(server.sql(CHECKSUMS), checksums);
    server.sql("FLUSH TABLES shop.orders, shop.tenants FOR EXPORT; UNLOCK TABLES");
    assert_eq!(page_versions(&site, "orders"), [3], "every page was moved");
    assert_eq!(page_versions(&site, "tenants"), [1]);

    server.sql("SET GLOBAL kmsbox_rotate = -1");
    let versions: Vec<_> = site
        .key_file()
        .iter()
        .map(|line| (line.key_id, line.version))
        .collect();
    let expected = [
        (1, 1),
        (1, 2),
        (1, 3),
        (1, 4),
        (2, 1),
        (2, 2),
        (100, 1),
        (100, 2),
    ];
    assert_eq!(versions, expected);
    assert_eq!(server.status("key_versions"), "8");
    assert_eq!(server.status("keys"), "3");
    server.stop();

    let server = site.start();
    assert_eq!(server.sql(CHECKSUMS), checksums, "after a restart");
    assert_eq!(
        server
            .sql("CHECK TABLE shop.orders, shop.tenants")
            .matches("\tOK")
            .count(),
        2
    );
    server.stop();
}

#[test]
fn what_cannot_be_rotated_stays_as_it_is() {
    if !can_build() {
        return;
    }
    let site = Site::new();
    let server = site.start();
    fill(&server);
    let before = site.key_file();
    let orders = [
        ("rotate = 0", "takes a key's id, or -1"),
        ("rotate = -2", "takes a key's id, or -1"),
        ("rotate = 4294967295", "takes a key's id, or -1"),
        ("rotate = 18446744073709551615", "takes a key's id, or -1"),
        ("rotate = 77", "there is no key 77"),
        ("rotate = '1'", "Incorrect argument type"),
        ("create_key = 0", "takes a key's id"),
        ("create_key = -1", "takes a key's id"),
        ("create_key = 4294967295", "takes a key's id"),
        ("create_key = 77", "kmsbox_cmk names no CMK for key 77"),
        ("create_key = 100", "there is a key 100 already"),
        ("create_keys = ON", "Unknown system variable"),
    ];
    for (order, says) in orders {
        let error = server.refused(&format!("SET GLOBAL kmsbox_{order}"));
        assert!(error.contains(says), "{order}: {error}");
    }
    // Nor does every user give such orders.
    server.sql("CREATE USER clerk@localhost; GRANT ALL ON shop.* TO clerk@localhost");
    for order in [
        "kmsbox_rotate = 1",
        "kmsbox_rewrap = ON",
        "kmsbox_create_key = 101",
    ] {
        let mut client = server.client(&format!("SET GLOBAL {order}"));
        let output = run(client.arg("--user=clerk"));
        assert!(!output.status.success(), "{order}");
        assert!(output.stderr.contains("Access denied"), "{}", output.stderr);
    }
    assert_eq!(site.key_file(), before);
    // One of three keys cannot have a new version, so none gets one.
    site.kmsbox(&["disable", "alias/tenants"]);
    server.sql("DO SLEEP(1.1)"); // what the library may take to see it
    let error = server.refused("SET GLOBAL kmsbox_rotate = -1");
    assert!(
        error.contains("key 100 version 2 cannot be made"),
        "{error}"
    );
    assert!(error.contains("KMS_ERR_DISABLED"), "{error}");
    assert_eq!(site.key_file(), before);
    let error = server.refused("CREATE TABLE shop.other (id INT) ENCRYPTION_KEY_ID=77");
    assert!(
        error.contains("Wrong create options"),
        "no CMK is named for it: {error}"
    );
    assert_eq!(site.key_file(), before);
    server.stop();
}

#[test]
fn rewrapping_leaves_the_data_alone() {
    if !can_build() {
        return;
    }
    let mut site = Site::new();
    let server = site.start();
    fill(&server);
    server.sql("SET GLOBAL kmsbox_rotate = 100");
    let checksums = server.sql(CHECKSUMS);
    server.stop();
    let files = || {
        ["orders", "tenants"].map(|table| {
            fs::read(site.data().join(format!("shop/{table}.ibd"))).expect("it is there")
        })
    };
    let (data, lines) = (files(), site.key_file());
    let keys: Vec<_> = lines.iter().map(|line| site.key(line)).collect();

    for cmk in ["alias/mariadb", "alias/tenants"] {
        site.kmsbox(&["rotate", cmk]);
    }
    let server = site.start();
    server.sql("SET GLOBAL kmsbox_rewrap = ON");
    assert_eq!(server.sql("SELECT @@kmsbox_rewrap"), "0");
    assert_eq!(server.status("blobs_rewrapped"), "4");
    let rewrapped = site.key_file();
    server.sql("SET GLOBAL kmsbox_rewrap = ON");
    assert_eq!(site.key_file(), rewrapped, "nothing is left to do");
    assert_eq!(server.sql(CHECKSUMS), checksums);
    server.stop();

    assert!(files() == data, "not a byte of the tables has changed");
    assert_eq!(rewrapped.len(), lines.len());
    for ((new, old), key) in rewrapped.iter().zip(&lines).zip(&keys) {
        assert_eq!(
            (new.key_id, new.version, &new.cmk),
            (old.key_id, old.version, &old.cmk)
        );
        assert_eq!(new.cmk_version, site.primary_version(&new.cmk));
        assert_ne!(new.cmk_version, old.cmk_version);
        assert_ne!(new.blob, old.blob);
        assert_eq!(&site.key(new), key, "the key inside is the same");
    }

    // To another CMK: the old one may then go.
    let old = lines[0].cmk.clone();
    site.kmsbox(&["create-key", "--alias", "alias/next"]);
    site.set("cmk", "1-2=alias/next;100=alias/tenants");
    let server = site.start();
    server.sql("SET GLOBAL kmsbox_rewrap = ON");
    server.stop();
    site.kmsbox(&["disable", &old]);
    let server = site.start();
    assert_eq!(server.sql(CHECKSUMS), checksums);

    // A CMK that is disabled keeps its own blobs where they are, and nothing else.
    site.kmsbox(&["disable", "alias/tenants"]);
    site.kmsbox(&["rotate", "alias/next"]);
    server.sql("DO SLEEP(1.1)");
    let before = site.key_file();
    let error = server.refused("SET GLOBAL kmsbox_rewrap = ON");
    assert!(
        error.contains("2 blobs could not be wrapped anew"),
        "{error}"
    );
    assert!(
        error.contains("key 100 version 1") && error.contains("KMS_ERR_DISABLED"),
        "{error}"
    );
    let after = site.key_file();
    assert_eq!(after[2..], before[2..]);
    for line in &after[..2] {
        assert_eq!(line.cmk_version, site.primary_version("alias/next"));
    }
    server.stop();
}
