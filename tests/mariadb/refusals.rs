//! Without its keys the server refuses, in its own words; the plugin's line in the log says why.

use std::fs;
use std::process::Command;

use super::can_build;
use super::site::Site;
use super::support::run_ok;

/// InnoDB's own, where there is no key for it.
const NO_INNODB: &str =
    "[ERROR] InnoDB: cannot enable encryption, encryption plugin is not available";
/// The server's own, where the plugin does not start.
const NO_PLUGIN: &str = "[ERROR] Plugin 'kmsbox' init function returned error.";

/// A site with data in it, its server stopped.
fn site_with_data() -> Site {
    let mut site = Site::new();
    let server = site.start();
    server.sql(
        "CREATE DATABASE shop;
         CREATE TABLE shop.orders (id INT); INSERT INTO shop.orders VALUES (17);
         CREATE TABLE shop.tenants (id INT) ENCRYPTION_KEY_ID=100; INSERT INTO shop.tenants VALUES (42);",
    );
    server.stop();
    site.set("create_keys", "OFF");
    site
}

#[track_caller]
fn assert_reads_again(site: &Site) {
    let server = site.start();
    let rows = "SELECT id FROM shop.orders UNION ALL SELECT id FROM shop.tenants";
    assert_eq!(server.sql(rows), "17\n42");
    server.stop();
}

#[track_caller]
fn assert_says(log: &str, parts: &[&str]) {
    for part in parts {
        assert!(log.contains(part), "not said: {part}\n{log}");
    }
}

#[test]
fn a_disabled_cmk() {
    if !can_build() {
        return;
    }
    let site = site_with_data();
    // That of the server's own keys; and that of one table, which is enough.
    for (cmk, key) in [("alias/mariadb", "key 1"), ("alias/tenants", "key 100")] {
        site.kmsbox(&["disable", cmk]);
        let log = site.refused();
        let why = format!("{key} version 1 cannot be unwrapped");
        assert_says(&log, &[&why, "KMS_ERR_DISABLED", NO_PLUGIN, NO_INNODB]);
        site.kmsbox(&["enable", cmk]);
        assert_reads_again(&site);
    }
    site.kmsbox(&["schedule-deletion", "alias/mariadb", "--days", "7", "--yes"]);
    let log = site.refused();
    assert_says(&log, &["KMS_ERR_PENDING_DELETION", NO_PLUGIN, NO_INNODB]);
    site.kmsbox(&["cancel-deletion", "alias/mariadb"]);
    site.kmsbox(&["enable", "alias/mariadb"]);
    assert_reads_again(&site);
}

#[test]
fn no_first_key() {
    if !can_build() {
        return;
    }
    // A fresh server cannot have its first key: the CMK is not there, or not usable.
    let mut site = Site::new();
    site.set("cmk", "alias/missing");
    let log = site.refused();
    assert_says(
        &log,
        &[
            "key 1 version 1 cannot be made",
            "KMS_ERR_ALIAS_NOT_FOUND",
            NO_INNODB,
        ],
    );
    site.set("cmk", "alias/mariadb");
    site.kmsbox(&["disable", "alias/mariadb"]);
    let log = site.refused();
    assert_says(
        &log,
        &[
            "key 1 version 1 cannot be made",
            "KMS_ERR_DISABLED",
            NO_INNODB,
        ],
    );
    assert_eq!(site.key_file(), []);
    site.kmsbox(&["enable", "alias/mariadb"]);
    site.start().stop();
}

#[test]
fn another_cmk_or_keystore() {
    if !can_build() {
        return;
    }
    let mut site = site_with_data();
    // Blobs say which CMK they are under; the key file says it too, and both must agree.
    let text = fs::read_to_string(site.path("mariadb.keys")).expect("it is there");
    let lines = site.key_file();
    let other = text.replace(&lines[0].cmk, &lines[2].cmk);
    assert_ne!(other, text);
    fs::write(site.path("mariadb.keys"), other).expect("it is mine");
    let log = site.refused();
    assert_says(
        &log,
        &[
            "key 1 version 1",
            "KMS_ERR_KEY_MISMATCH",
            NO_PLUGIN,
            NO_INNODB,
        ],
    );
    fs::write(site.path("mariadb.keys"), text).expect("it is mine");

    // Another keystore or root key alone, then both: a keystore that lacks the CMK.
    let elsewhere = Site::without_data();
    for name in ["keystore", "root_key"] {
        let own = site.option(name).to_owned();
        site.set(name, elsewhere.option(name));
        let log = site.refused();
        assert_says(&log, &["KMS_ERR_ROOT_KEY", NO_PLUGIN, NO_INNODB]);
        site.set(name, &own);
    }
    let own = ["keystore", "root_key"].map(|name| (name, site.option(name).to_owned()));
    for (name, _) in &own {
        site.set(name, elsewhere.option(name));
    }
    assert_says(&site.refused(), &["KMS_ERR_KEY_NOT_FOUND", NO_INNODB]);
    for (name, value) in &own {
        site.set(name, value);
    }
    assert_reads_again(&site);
}

#[test]
fn another_name_or_a_lost_key_file() {
    if !can_build() {
        return;
    }
    let mut site = site_with_data();
    site.set("server_name", "orders-2");
    let log = site.refused();
    assert_says(
        &log,
        &["key 1 version 1", "KMS_ERR_CIPHERTEXT_INVALID", NO_INNODB],
    );
    site.set("server_name", "orders-1");

    let (file, aside) = (site.path("mariadb.keys"), site.path("aside"));
    fs::rename(&file, &aside).expect("it is mine");
    let log = site.refused();
    assert_says(
        &log,
        &[
            "there is no such file",
            "kmsbox_create_keys",
            NO_PLUGIN,
            NO_INNODB,
        ],
    );
    assert!(!file.exists(), "nothing was made in its place");
    fs::rename(&aside, &file).expect("it is mine");
    assert_reads_again(&site);

    // An older copy, without the newest versions.
    run_ok(Command::new("cp").arg("-p").arg(&file).arg(&aside));
    let server = site.start();
    server.sql("SET GLOBAL kmsbox_rotate = -1; INSERT INTO shop.tenants VALUES (43)");
    server.sql("FLUSH TABLES shop.tenants FOR EXPORT; UNLOCK TABLES"); // its pages are written
    run_ok(
        Command::new("cp")
            .arg("-p")
            .arg(&aside)
            .arg(site.path("mariadb.keys")),
    );
    let error = server.refused("SET GLOBAL kmsbox_rotate = 1");
    assert_says(
        &error,
        &["was replaced by a file without all the keys in use"],
    );
    server.kill();
}

#[test]
fn a_key_that_was_lost() {
    if !can_build() {
        return;
    }
    let site = site_with_data();
    let older = fs::read(site.path("mariadb.keys")).expect("it is there");
    let server = site.start();
    let error = server.refused("CREATE TABLE shop.new (id INT) ENCRYPTION_KEY_ID=101");
    assert_says(&error, &["Wrong create options"]);
    server.sql(
        "SET GLOBAL kmsbox_create_key = 101;
         CREATE TABLE shop.new (id INT) ENCRYPTION_KEY_ID=101; INSERT INTO shop.new VALUES (7);",
    );
    server.stop();
    let newer = fs::read(site.path("mariadb.keys")).expect("it is there");
    assert!(newer.len() > older.len());

    // No other key takes its place, and the table can be read again once it is found.
    fs::write(site.path("mariadb.keys"), &older).expect("it is mine");
    let server = site.start();
    assert_eq!(server.sql("SELECT id FROM shop.orders"), "17");
    server.refused("SELECT id FROM shop.new");
    assert_says(&site.log(), &["InnoDB: Encrypted page", "./shop/new.ibd"]);
    let error = server.refused("CREATE TABLE shop.newer (id INT) ENCRYPTION_KEY_ID=101");
    assert_says(&error, &["Wrong create options"]);
    for order in ["kmsbox_rotate = -1", "kmsbox_create_key = 101"] {
        let error = server.refused(&format!("SET GLOBAL {order}"));
        assert_says(&error, &["is older than the data", "key 101 version 1;"]);
    }
    server.stop();
    let present = fs::read(site.path("mariadb.keys")).expect("it is there");
    assert!(present == older, "nothing was made");
    fs::write(site.path("mariadb.keys"), &newer).expect("it is mine");
    let server = site.start();
    assert_eq!(server.sql("SELECT id FROM shop.new"), "7");
    server.stop();
}
