//! The server is killed while keys are made and pages are encrypted anew: what was said to be done is
//! done, and all of it can be read.

use std::fs;
use std::mem::forget;
use std::thread;
use std::time::{Duration, Instant};

use super::can_build;
use super::site::Site;
use super::support::{LIMIT, spawn};

const ROUNDS: u32 = 5;

/// Rows, rotations and re-wrapping in turns; each line that is printed says that all before it is done.
fn work(from: u32) -> String {
    let mut sql = String::new();
    for at in from..from + 400 {
        sql += &format!(
            "INSERT INTO shop.orders VALUES ({at}, REPEAT('order {at} ', 50));
             INSERT INTO shop.tenants VALUES ({at}, REPEAT('order {at} ', 50));
             SELECT {at};"
        );
        if at % 3 == 0 {
            sql += "SET GLOBAL kmsbox_rotate = -1; SELECT 'rotated';
                    SET GLOBAL innodb_encryption_rotate_key_age = 1;";
        }
        if at % 7 == 0 {
            sql += "SET GLOBAL kmsbox_rewrap = ON;";
        }
    }
    sql
}

#[test]
fn killed_while_rotating() {
    if !can_build() {
        return;
    }
    let site = Site::new();
    let server = site.start();
    server.sql(
        "CREATE DATABASE shop;
         CREATE TABLE shop.orders (id INT PRIMARY KEY, text TEXT);
         CREATE TABLE shop.tenants (id INT PRIMARY KEY, text TEXT) ENCRYPTION_KEY_ID=100;",
    );
    server.stop();

    let (mut rows, mut rotations) = (0, 0);
    for round in 0..ROUNDS {
        let server = site.start();
        let client = spawn(&mut server.client(&work(rows)));
        // Anywhere, but each time after some work: that many of the client's lines are there by then.
        let some = rows + 4 + 9 * round;
        server.wait_for(&format!("SELECT COUNT(*) >= {some} FROM shop.orders"), "1");
        if round % 2 == 0 {
            site.kmsbox(&["rotate", "alias/mariadb"]);
        }
        server.kill();
        let said = client.finish(LIMIT).stdout;
        let done = said.lines().filter(|line| *line != "rotated").count();
        assert!(done > 0, "{said}");
        rotations += said.lines().filter(|line| *line == "rotated").count();

        let server = site.start();
        let counts = server
            .sql("SELECT COUNT(*) FROM shop.orders UNION ALL SELECT COUNT(*) FROM shop.tenants");
        let counts: Vec<u32> = counts
            .lines()
            .map(|line| line.parse().expect("a number"))
            .collect();
        let least = rows + u32::try_from(done).expect("it is small");
        assert!(
            counts.iter().all(|count| *count >= least),
            "{counts:?}, {least} were there"
        );
        let wrong =
            "SELECT COUNT(*) FROM shop.orders WHERE text <> REPEAT(CONCAT('order ', id, ' '), 50)";
        assert_eq!(server.sql(wrong), "0");
        let good = server
            .sql("CHECK TABLE shop.orders, shop.tenants")
            .matches("\tOK")
            .count();
        assert_eq!(good, 2);
        let versions = site
            .key_file()
            .iter()
            .filter(|line| line.key_id == 1)
            .count();
        assert!(
            versions > rotations,
            "{versions} versions after {rotations} rotations"
        );
        // A row may be in one table only; the next round begins behind both.
        rows = server
            .sql("SELECT MAX(id) + 1 FROM shop.orders")
            .parse()
            .expect("a number");
        server.sql("DELETE FROM shop.tenants WHERE id NOT IN (SELECT id FROM shop.orders)");
        server.sql("INSERT IGNORE INTO shop.tenants SELECT * FROM shop.orders");
        server.stop();
    }
    assert!(rotations > 0);
}

/// Nobody is there to stop it where the test program itself is killed.
#[test]
fn no_server_outlives_its_test() {
    if !can_build() {
        return;
    }
    let site = Site::new();
    let pid = thread::scope(|scope| {
        let test = scope.spawn(|| {
            let server = site.start();
            let pid = fs::read_to_string(site.data().join("pid")).expect("it has written it");
            forget(server); // it is not dropped, so not stopped either
            pid
        });
        test.join().expect("the server came up")
    });
    let shown = format!("/proc/{}/cmdline", pid.trim());
    let deadline = Instant::now() + LIMIT;
    // Of one that is dead and was not waited for, nothing is left in there.
    while fs::read(&shown).is_ok_and(|line| !line.is_empty()) {
        assert!(Instant::now() < deadline, "it lives on: {pid}");
        thread::sleep(Duration::from_millis(1));
    }
}
