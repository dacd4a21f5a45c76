//! The plugin's functions, called as the server calls them.

use std::fs;
use std::process::Command;

use super::can_build;
use super::harness::{call, harness, hex, lines, steps, valgrind, watched_threads};
use super::site::{Site, plugin};
use super::support::{Need, need};

const EVERY_ANSWER: &[&str] = &[
    "init",
    "latest:1",
    "latest:3",
    "size:1:1",
    "get:1:1:32",
    "get:1:1:64",
    "get:1:1:31",
    "get:1:1:0",
    "get:1:2:32",
    "size:1:2",
    "get:1:0:32",
    "get:1:4294967295:32",
    "get:3:1:32",
    // A server that was asked for what is not there makes no new versions.
    "deinit",
    "init",
    "rotate:1",
    "latest:1",
    "get:1:2:32",
    "get:1:1:32",
    "deinit",
    "init",
    "get:1:2:32",
    "deinit",
];

#[test]
fn every_answer_of_the_interface() {
    if !can_build() {
        return;
    }
    let site = Site::without_data();
    let said = steps(&site, EVERY_ANSWER);
    let [first, second] = [0, 1].map(|at| hex(&site.key(&site.key_file()[at])));
    assert_ne!(first, second);
    let (first, second) = (format!("get 0 32 {first}"), format!("get 0 32 {second}"));
    let log = format!(
        "log kmsbox: {}: is older than the data, which has pages under key 1 version 2; no key gets a \
         new version until it is there",
        site.option("key_file")
    );
    let expected = [
        "init 0",
        "latest 1",
        "latest -1",
        "size 0 32",
        &first,
        &first,
        // Too small: the length that is needed, and nothing beyond the buffer.
        "get 100 32 ",
        "get 100 32 ",
        // No such version, whatever the buffer: the length is left alone.
        &log,
        "get -1 32 ",
        "size -1",
        "get -1 32 ",
        "get -1 32 ",
        "get -1 32 ",
        "deinit 0",
        "init 0",
        "latest 2",
        &second,
        &first,
        "deinit 0",
        "init 0",
        &second,
        "deinit 0",
    ];
    assert_eq!(said, expected);
}

#[test]
fn many_threads() {
    if !can_build() {
        return;
    }
    let mut site = Site::without_data();
    site.set("cmk", "1-2=alias/mariadb;100-400=alias/tenants");
    let asked = ["init", "race:300:30", "threads:100", "deinit"];
    let said = steps(&site, &asked);
    assert_eq!(
        said,
        ["init 0", "race 0", "threads 0, version 13", "deinit 0"]
    );
    // Each key was made once, whoever asked first.
    let made = site.key_file();
    let raced: Vec<_> = made
        .iter()
        .filter(|line| (300..330).contains(&line.key_id))
        .collect();
    assert_eq!(raced.len(), 30);
    assert!(raced.iter().all(|line| line.version == 1));
}

#[test]
fn no_data_race() {
    if !can_build() || !need(Need::ThreadSanitizer) {
        return;
    }
    let mut site = Site::without_data();
    site.set("cmk", "1-2=alias/mariadb;100-400=alias/tenants");
    let asked = ["init", "race:300:30", "threads:100", "status", "deinit"];
    let said = lines(watched_threads(&site, &asked));
    assert_eq!(said[..3], ["init 0", "race 0", "threads 0, version 13"]);
    assert_eq!(said.len(), 5, "{said:#?}");
}

#[test]
fn keys_are_in_memory_once_and_wiped() {
    if !can_build() {
        return;
    }
    let site = Site::without_data();
    steps(&site, &["init", "latest:1", "rotate:1", "deinit"]);
    let holds: Vec<_> = site
        .key_file()
        .iter()
        .map(|line| format!("holds:{}", hex(&site.key(line))))
        .collect();
    let [first, second] = [&holds[0], &holds[1]];
    site.kmsbox(&["rotate", "alias/mariadb"]);
    let asked = [
        "init", first, second, "rewrap", "rotate:1", first, second, "deinit", first, second,
    ];
    let said = steps(&site, &asked);
    let once = ["holds 1", "holds 1"];
    assert_eq!(said[1..3], once);
    assert_eq!(said[3..5], once, "nor does a change leave another copy");
    assert_eq!(said[5..], ["deinit 0", "holds 0", "holds 0"]);
    assert!(
        site.key_file()
            .iter()
            .all(|line| line.cmk_version == site.primary_version(&line.cmk)),
        "they were wrapped anew"
    );
}

#[test]
fn clean_under_valgrind() {
    if !can_build() || !need(Need::Valgrind) {
        return;
    }
    let mut site = Site::without_data();
    site.set("cmk", "1-2=alias/mariadb;100-400=alias/tenants");
    let said = lines(call(valgrind(), &site, EVERY_ANSWER));
    assert_eq!(said.len(), 23);
    let said = lines(call(
        valgrind(),
        &site,
        &["init", "rewrap", "threads:100", "status", "deinit"],
    ));
    assert_eq!(said[1], "threads 0, version 13");

    // What cannot be opened leaves nothing behind either.
    fs::write(site.path("mariadb.keys"), "kmsbox-mariadb-keys 1\n1 1 \n").expect("it is mine");
    let said = lines(call(valgrind(), &site, &["init"]));
    assert_eq!(said.last().map(String::as_str), Some("init 1"));
    site.set("server_name", "");
    let said = lines(call(valgrind(), &site, &["init"]));
    assert_eq!(
        said,
        ["log kmsbox: kmsbox_server_name is not set", "init 1"]
    );
}

#[test]
fn another_process_beside_it() {
    if !can_build() {
        return;
    }
    let site = Site::without_data();
    let other = |step: &str| {
        let words: Vec<_> = [harness(), plugin()]
            .map(|path| format!("'{}'", path.display()))
            .into();
        let settings: Vec<_> = site
            .settings()
            .iter()
            .map(|set| format!("'{set}'"))
            .collect();
        format!(
            "run:{} {} -- init {step} deinit >/dev/null",
            words.join(" "),
            settings.join(" ")
        )
    };
    // A backup that runs beside the server finds the versions that the server makes meanwhile, and
    // neither loses what the other has made.
    let said = steps(
        &site,
        &[
            "init",
            "latest:1",
            &other("rotate:1"),
            "get:1:2:32",
            "rotate:1",
            "latest:1",
            "deinit",
        ],
    );
    let key = format!("get 0 32 {}", hex(&site.key(&site.key_file()[1])));
    let expected = ["init 0", "latest 1", "run 0", &key, "latest 3", "deinit 0"];
    assert_eq!(said, expected);

    // What the other has wrapped anew is the same key; a file that lacks a key in use, or holds
    // another in its place, is not taken over.
    let file = site.path("mariadb.keys").display().to_string();
    let rewrap = other("rewrap");
    let rotate_cmk = format!(
        "run:{}",
        shell(&site.kmsbox_command(&["rotate", "alias/mariadb"]))
    );
    let put_back = format!("run:cp '{file}.old' '{file}'");
    let keep = format!("run:cp '{file}' '{file}.old'");
    let asked = [
        "init",
        &keep,
        &rotate_cmk,
        "run:sleep 1.1",
        &rewrap,
        "rotate:1",
        "latest:1",
    ];
    let asked = [
        &asked[..],
        &[
            &put_back,
            "rotate:1",
            "latest:1",
            "size:1:9",
            "get:1:2:32",
            "deinit",
        ],
    ]
    .concat();
    let said = steps(&site, &asked);
    let refusal = format!("kmsbox: {file}: was replaced by a file without all the keys in use");
    let log = format!("log {refusal}");
    let client = format!("client {refusal}");
    let expected = [&log, &client, "latest 4", "size -1", &key, "deinit 0"];
    assert_eq!(said[said.len() - 6..], expected, "{said:#?}");
}

/// A command as the shell takes it.
fn shell(command: &Command) -> String {
    let set = command
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)));
    let set = set.map(|(name, value)| format!("{}='{}'", name.display(), value.display()));
    let words = [command.get_program()]
        .into_iter()
        .chain(command.get_args());
    let words = words.map(|word| format!("'{}'", word.display()));
    let line: Vec<_> = set.chain(words).collect();
    format!("{} >/dev/null", line.join(" "))
}

#[test]
fn errors_are_told_once() {
    if !can_build() {
        return;
    }
    let site = Site::without_data();
    site.kmsbox(&["disable", "alias/tenants"]);
    let asked = [
        "init",
        "latest:1",
        "latest:101",
        "latest:102",
        "latest:101",
        "latest:102",
        "latest:102",
        "status",
        "deinit",
    ];
    let said = steps(&site, &asked);
    assert_eq!(said.len(), 11, "{said:#?}");
    for (told, key) in [(2, 101), (4, 102)] {
        let why = format!("log kmsbox: key {key} version 1 cannot be made, CMK alias/tenants: ");
        assert!(said[told].starts_with(&why), "{}", said[told]);
        assert!(said[told].ends_with("(KMS_ERR_DISABLED)"), "{}", said[told]);
        assert_eq!(said[told + 1], "latest -1");
    }
    assert_eq!(said[6..9], ["latest -1", "latest -1", "latest -1"]);
    let last = &said[4]["log kmsbox: ".len()..];
    assert_eq!(
        said[9],
        format!(
            "status keys=1 key_versions=1 keys_served=0 keys_refused=0 key_versions_made=1 \
             blobs_rewrapped=0 errors=5 last_error=[{last}]"
        )
    );
    // Another one between them, told before, is the last one then.
    let asked = ["init", "latest:101", "latest:102", "latest:101", "status"];
    let said = steps(&site, &asked);
    let first = &said[1]["log kmsbox: ".len()..];
    let status = said.last().expect("it was asked for");
    assert!(
        status.ends_with(&format!("errors=3 last_error=[{first}]")),
        "{said:#?}"
    );
}

#[test]
fn wrong_settings() {
    if !can_build() {
        return;
    }
    let cases = [
        ("keystore", "", "kmsbox_keystore is not set"),
        (
            "keystore",
            "/nowhere/keystore",
            "KMS_ERR_KEYSTORE_NOT_FOUND",
        ),
        ("root_key", "", "kmsbox_root_key is not set"),
        ("root_key", "nonsense", "KMS_ERR_INVALID_OPTION"),
        ("root_key", "file:/nowhere/root.key", "/nowhere/root.key"),
        ("key_file", "", "kmsbox_key_file is not set"),
        ("key_file", "mariadb.keys", "must be an absolute path"),
        (
            "key_file",
            "/nowhere/mariadb.keys",
            "/nowhere/mariadb.keys.lock: No such file or directory",
        ),
        ("cmk", "", "kmsbox_cmk is not set"),
        ("cmk", "1=", "kmsbox_cmk=\"1=\": expected"),
        ("cmk", "=alias/mariadb", "expected"),
        ("cmk", "0=alias/mariadb", "expected"),
        ("cmk", "2-1=alias/mariadb", "expected"),
        (
            "cmk",
            "1-2=alias/mariadb;2=alias/tenants",
            "none of them twice",
        ),
        ("cmk", "1-4294967296=alias/mariadb", "expected"),
        ("cmk", "1-2=alias/mariadb;", "expected"),
    ];
    let mut site = Site::without_data();
    for (name, value, says) in cases {
        let own = site.option(name).to_owned();
        site.set(name, value);
        let said = steps(&site, &["init"]);
        let [why, outcome] = &said[..] else {
            panic!("{name}={value}: {said:?}");
        };
        assert!(
            why.starts_with("log kmsbox: ") && why.contains(says),
            "{name}={value}: {why}"
        );
        assert_eq!(outcome, "init 1", "{name}={value}");
        site.set(name, &own);
    }
    assert!(!site.path("mariadb.keys").exists(), "no file comes of it");
    // A CMK alone is for the two keys of the server.
    site.set("cmk", "alias/mariadb");
    let said = steps(
        &site,
        &["init", "latest:1", "latest:2", "latest:3", "deinit"],
    );
    assert_eq!(
        said,
        ["init 0", "latest 1", "latest 1", "latest -1", "deinit 0"]
    );
}
