//! What the page of the plugin shows is what the server takes.

use std::fs;

use super::can_build;
use super::site::{Site, readme};

fn blocks(language: &str) -> Vec<String> {
    let page = readme();
    let fence = format!("```{language}\n");
    let after = page.split(&fence).skip(1);
    after
        .map(|rest| rest.split("```").next().expect("it ends").to_owned())
        .collect()
}

#[test]
fn the_page_holds() {
    if !can_build() {
        return;
    }
    let site = Site::new();
    let [settings] = &blocks("ini")[..] else {
        panic!("one file of settings");
    };
    let folder = site.path("").display().to_string();
    let own = settings.replace("/var/lib/mysql-kmsbox/", &folder);
    assert_eq!(own.matches(&folder).count(), 3);
    fs::write(site.path("my.cnf"), own).expect("it can be written");
    let server = site.start_by_file();
    server.sql("CREATE DATABASE shop");
    let statements = blocks("sql");
    assert!(statements.len() >= 6, "{}", statements.len());
    for statement in &statements {
        server.sql(&format!("USE shop; {statement}"));
    }
    let counts = ["keys", "key_versions", "errors"].map(|name| server.status(name));
    // Key 1 was rotated by itself and with the others.
    assert_eq!(counts, ["3", "7", "0"]);
    let named =
        server.sql("SHOW GLOBAL STATUS LIKE 'Kmsbox%'; SHOW GLOBAL VARIABLES LIKE 'kmsbox%'");
    for name in named.lines().filter_map(|line| line.split('\t').next()) {
        assert!(
            readme().contains(&format!("`{name}`")) || readme().contains(&format!("GLOBAL {name}")),
            "{name}"
        );
    }
    // The event does what its statement says, as whoever runs it; a month later, unless the scheduler
    // is started within the second in which the event was made.
    server.sql("SET GLOBAL event_scheduler = ON");
    server.sql("ALTER EVENT mysql.rotate_keys ON SCHEDULE EVERY 1 SECOND");
    let versions = "SELECT variable_value > 7 FROM information_schema.global_status
                    WHERE variable_name = 'kmsbox_key_versions'";
    server.wait_for(versions, "1");
    server.stop();
}
