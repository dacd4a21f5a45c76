//! Data on the disk: encrypted, whole after a restart, and under the keys that the key file holds.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::can_build;
use super::site::{Server, Site};

const MARKER: &str = "a row that nobody may read on the disk";

/// Rows in InnoDB and Aria, in InnoDB's log and in the binary log. Aria's own log, which the server does
/// not encrypt, gets none of a table that is not transactional.
fn write_rows(server: &Server<'_>) {
    server.sql(&format!(
        "CREATE DATABASE shop;
         CREATE TABLE shop.orders (id INT PRIMARY KEY AUTO_INCREMENT, text VARCHAR(100), KEY (text));
         CREATE TABLE shop.notes (id INT PRIMARY KEY, text VARCHAR(100)) ENGINE=Aria TRANSACTIONAL=0;
         INSERT INTO shop.notes VALUES (1, '{MARKER}');
         INSERT INTO shop.orders (text)
             WITH RECURSIVE n (seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM n WHERE seq < 500)
             SELECT CONCAT('{MARKER} ', seq) FROM n;"
    ));
}

const ALL_ROWS: &str = "SELECT COUNT(*), MIN(text), MAX(id) FROM shop.orders UNION ALL SELECT COUNT(*), text, 0 FROM shop.notes";

#[test]
fn no_plaintext_is_on_the_disk() {
    if !can_build() {
        return;
    }
    // Without encryption the same rows are seen in each of these files: the search finds what is there.
    let control = Site::new();
    let server = control.start_unencrypted();
    write_rows(&server);
    let expected = server.sql(ALL_ROWS);
    server.stop();
    let readable = control.files_with("data", MARKER.as_bytes());
    for file in ["orders.ibd", "notes.MAD", "ib_logfile0", "bin.000001"] {
        assert!(
            readable.iter().any(|name| name == file),
            "{file}: {readable:?}"
        );
    }

    let site = Site::new();
    let server = site.start();
    write_rows(&server);
    assert_eq!(server.sql(ALL_ROWS), expected);
    server.kill(); // the redo log and the binary log end where they are
    assert_eq!(site.files_with(".", MARKER.as_bytes()), [""; 0]);

    let server = site.start();
    assert_eq!(server.sql(ALL_ROWS), expected, "recovered");
    server.stop();
    assert_eq!(site.files_with(".", MARKER.as_bytes()), [""; 0]);
    let server = site.start();
    assert_eq!(server.sql(ALL_ROWS), expected, "read again");
    assert_eq!(
        server.status("key_versions_made"),
        "0",
        "it is the old keys that it reads with"
    );
    server.stop();
}

#[test]
fn the_keys_lie_nowhere_in_the_clear() {
    if !can_build() {
        return;
    }
    let site = Site::new();
    let server = site.start();
    server.sql("CREATE DATABASE shop; CREATE TABLE shop.orders (id INT) ENCRYPTION_KEY_ID=150");
    server.stop();
    let lines = site.key_file();
    let ids: Vec<_> = lines
        .iter()
        .map(|line| (line.key_id, line.version))
        .collect();
    assert_eq!(ids, [(1, 1), (2, 1), (150, 1)]);
    for line in &lines {
        let key = site.key(line);
        assert_eq!(key.len(), 32);
        assert_eq!(site.files_with(".", &key), [""; 0], "key {}", line.key_id);
        let hex: String = key.iter().map(|byte| format!("{byte:02X}")).collect();
        assert_eq!(site.files_with(".", hex.as_bytes()), [""; 0]);
        assert_eq!(site.files_with(".", hex.to_lowercase().as_bytes()), [""; 0]);
    }
    assert_eq!(lines[0].cmk, lines[1].cmk);
    assert_ne!(
        lines[0].cmk, lines[2].cmk,
        "tenants have a CMK of their own"
    );
    for name in ["mariadb.keys", "mariadb.keys.lock"] {
        let mode = fs::metadata(site.path(name))
            .expect("it is there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o7777, 0o600, "{name}");
    }
    assert!(!site.path("mariadb.keys.new").exists());
}
