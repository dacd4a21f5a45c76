//! mariadb-backup, which loads the plugin itself, by the settings that the server tells it; and a server that
//! makes its first data with the plugin.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::can_build;
use super::site::{Site, plugin_dir, user};
use super::support::{Need, Output, need, run, run_ok, spawn};

const ROWS: &str = "SELECT COUNT(*), MIN(id), BIT_XOR(CRC32(text)) FROM shop.orders WHERE id <= 300
                    UNION ALL SELECT COUNT(*), MIN(id), BIT_XOR(CRC32(text)) FROM shop.tenants";

/// New keys and new rows under them, for as long as a backup takes.
fn rotations() -> String {
    let round = "SET GLOBAL kmsbox_rotate = -1, GLOBAL innodb_encryption_rotate_key_age = 1;
                 INSERT INTO shop.orders (text) VALUES ('meanwhile');";
    round.repeat(500)
}

fn mariadb_backup(order: &str, folder: &Path) -> Command {
    let mut command = Command::new("mariadb-backup");
    let folder = format!("--target-dir={}", folder.display());
    command.args([order, &folder]);
    command
}

fn prepare(folder: &Path, options: &[&str]) -> Output {
    run(mariadb_backup("--prepare", folder).args(options))
}

#[track_caller]
fn assert_prepared(output: &Output) {
    let done = output.status.success() && output.stderr.contains("completed OK!");
    assert!(done, "{}\n{}", output.status, output.stderr);
}

#[test]
fn a_backup_is_prepared_exported_and_restored() {
    if !(can_build() && need(Need::MariaDbBackup)) {
        return;
    }
    let site = Site::new(); // with kmsbox_create_keys=ON
    let server = site.start();
    server.sql(
        "CREATE DATABASE shop;
         CREATE TABLE shop.orders (id INT PRIMARY KEY AUTO_INCREMENT, text VARCHAR(1000));
         CREATE TABLE shop.tenants LIKE shop.orders;
         ALTER TABLE shop.tenants ENCRYPTION_KEY_ID=100;
         INSERT INTO shop.orders (text)
             WITH RECURSIVE n (seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM n WHERE seq < 300)
             SELECT REPEAT(CONCAT('order ', seq), 80) FROM n;
         INSERT INTO shop.tenants SELECT * FROM shop.orders;",
    );
    let rows = server.sql(ROWS);

    let (whole, exported) = (site.path("whole"), site.path("exported"));
    let client = spawn(&mut server.client(&rotations()));
    server.wait_for("SELECT COUNT(*) > 300 FROM shop.orders", "1");
    let before = site.key_file().len();
    run_ok(
        mariadb_backup("--backup", &whole)
            .arg("--user=root")
            .arg(format!("--socket={}", site.data().join("socket").display())),
    );
    assert!(site.key_file().len() > before, "rotated meanwhile");
    drop(client);
    run_ok(Command::new("cp").arg("-r").args([&whole, &exported]));

    // What the server may do, a backup may not, also where it is told so: a key file that is not there is
    // not made anew.
    let settings = fs::read_to_string(whole.join("backup-my.cnf")).expect("it is there");
    assert!(settings.contains("kmsbox_key_file="), "{settings}");
    assert!(!settings.contains("create_keys"), "{settings}");
    let (file, aside) = (site.path("mariadb.keys"), site.path("aside"));
    fs::rename(&file, &aside).expect("it is mine");
    let own = exported.join("backup-my.cnf");
    for with in ["", "kmsbox_create_keys=ON\n"] {
        fs::write(&own, format!("{settings}{with}")).expect("it can be written");
        let output = prepare(&exported, &["--export"]);
        assert!(!output.status.success(), "{}", output.stderr);
        let says = "mariadb.keys: there is no such file";
        assert!(output.stderr.contains(says), "{}", output.stderr);
        assert!(!file.exists(), "{with}");
    }
    fs::rename(&aside, &file).expect("it is mine");
    let keys = fs::read(&file).expect("it is there");

    assert_prepared(&prepare(&exported, &["--export"]));
    server.sql(
        "CREATE DATABASE copy; CREATE TABLE copy.orders LIKE shop.orders;
         ALTER TABLE copy.orders DISCARD TABLESPACE;",
    );
    for ending in ["ibd", "cfg"] {
        let name = format!("orders.{ending}");
        let (from, to) = (exported.join("shop"), site.data().join("copy"));
        fs::copy(from.join(&name), to.join(&name)).unwrap_or_else(|why| panic!("{name}: {why}"));
    }
    server.sql("ALTER TABLE copy.orders IMPORT TABLESPACE");
    let copied = server.sql(&ROWS.replace("shop.orders", "copy.orders"));
    assert_eq!(copied, rows);
    server.stop();

    assert_prepared(&prepare(&whole, &[]));
    assert!(
        fs::read(&file).expect("it is there") == keys,
        "a backup makes no keys"
    );
    fs::remove_dir_all(site.data()).expect("it is mine");
    fs::rename(&whole, site.data()).expect("it is mine");
    let server = site.start();
    assert_eq!(server.sql(ROWS), rows);
    let good = server.sql("CHECK TABLE shop.orders, shop.tenants");
    assert_eq!(good.matches("\tOK").count(), 2, "{good}");
    server.stop();
}

#[test]
fn every_variable_that_is_shown_may_be_set_as_it_is_shown() {
    if !can_build() {
        return;
    }
    let site = Site::new();
    let server = site.start();
    let shown = server.sql("SHOW VARIABLES LIKE 'kmsbox\\_%'");
    server.stop();
    let mut lines = vec!["[mariadbd]".to_owned(), "plugin_load_add=kmsbox".to_owned()];
    lines.extend(shown.lines().map(|line| {
        let (name, value) = line.split_once('\t').unwrap_or((line, ""));
        format!("{name}={value}")
    }));
    assert_eq!(lines.len() - 2, 9, "{lines:?}");
    fs::write(site.path("my.cnf"), lines.join("\n")).expect("it can be written");
    site.start_by_file().stop();
    // But no order, of which nothing would come.
    for order in ["create_key=100", "rotate=1", "rotate=-1", "rewrap=ON"] {
        let with = format!("{}\nkmsbox_{order}\n", lines.join("\n"));
        fs::write(site.path("my.cnf"), with).expect("it can be written");
        let log = site.refused_by_file();
        assert!(log.contains("give them by SET GLOBAL"), "{order}: {log}");
    }
}

/// The first data of a server may be encrypted from the beginning.
#[test]
fn the_first_data_is_made_with_the_plugin() {
    if !can_build() {
        return;
    }
    let mut site = Site::without_data();
    let mut lines = vec!["[mariadbd]".to_owned()];
    lines.extend(
        [
            "plugin_load_add=kmsbox",
            "innodb_encrypt_tables=FORCE",
            "innodb_encrypt_log=ON",
        ]
        .map(str::to_owned),
    );
    lines.extend(site.settings().iter().map(|set| format!("kmsbox_{set}")));
    fs::write(site.path("my.cnf"), lines.join("\n")).expect("it can be written");
    let mut install = Command::new("mariadb-install-db");
    install
        .arg(format!("--defaults-file={}", site.path("my.cnf").display()))
        .arg(format!("--datadir={}", site.data().display()))
        .args(["--auth-root-authentication-method=normal", "--skip-test-db"])
        .args(["--innodb-log-file-size=4M", &plugin_dir()])
        .args(user());
    run_ok(&mut install);
    let ids: Vec<_> = site.key_file().iter().map(|line| line.key_id).collect();
    assert_eq!(ids[0], 1, "{ids:?}");
    let space = fs::read(site.data().join("mysql/innodb_index_stats.ibd")).expect("it is there");
    let version = &space[3 * 16 * 1024..][..4];
    assert_eq!(version, [0, 0, 0, 1], "its pages are under key 1");
    site.set("create_keys", "OFF");
    let server = site.start();
    assert_eq!(server.status("key_versions_made"), "0");
    server.stop();
}
