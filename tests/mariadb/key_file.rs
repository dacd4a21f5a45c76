//! The file of wrapped keys: damaged, on a full disk, and after a kill.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::process::Command;

use super::can_build;
use super::harness::{call, harness, lines, steps};
use super::site::{Site, plugin};
use super::support::{LIMIT, spawn};

#[test]
fn damaged_key_files() {
    if !can_build() {
        return;
    }
    let site = Site::without_data();
    let file = site.path("mariadb.keys");
    steps(
        &site,
        &["init", "latest:1", "rotate:1", "latest:2", "deinit"],
    );
    let good = fs::read_to_string(&file).expect("it is there");
    let lines: Vec<_> = good.lines().collect();
    let [head, one, two, temporary, end] = lines[..] else {
        panic!("{good}");
    };
    let join = |lines: &[&str]| lines.join("\n") + "\n";
    let damaged = [
        ("empty", String::new(), "no file of keys"),
        (
            "another head",
            good.replacen('1', "2", 1),
            "no file of keys",
        ),
        ("cut off", good[..good.len() - 1].to_owned(), "line 5"),
        (
            "without its end",
            join(&[head, one, two, temporary]),
            "line 5",
        ),
        (
            "with a line lost at the end",
            join(&[head, one, two, end]),
            "line 4",
        ),
        (
            "with a version lost",
            join(&[head, one, temporary, "end 2"]).replace("end 2", "end 3"),
            "line 4",
        ),
        (
            "with the first version lost",
            join(&[head, two, temporary, "end 2"]),
            "line 2",
        ),
        (
            "with a line twice",
            join(&[head, one, one, two, temporary, "end 4"]),
            "line 3",
        ),
        (
            "not in order",
            join(&[head, temporary, one, two, end]),
            "line 3",
        ),
        ("with more behind its end", format!("{good}\n"), "line 5"),
        (
            "with a short blob",
            good.replacen(one, &one[..one.len() - 2], 1),
            "line 2",
        ),
        (
            "in capitals",
            good.to_uppercase()
                .replacen("KMSBOX-MARIADB-KEYS", "kmsbox-mariadb-keys", 1),
            "line 2",
        ),
        (
            "with another blank",
            good.replacen("1 1 ", "1  1 ", 1),
            "line 2",
        ),
        (
            "with a sign",
            good.replacen("\n1 1 ", "\n+1 1 ", 1),
            "line 2",
        ),
        (
            "with a NUL",
            good.replacen("\n1 1 ", "\n1 1\0", 1),
            "line 2",
        ),
    ];
    for (how, text, says) in damaged {
        assert_ne!(text, good, "{how}");
        fs::write(&file, &text).expect("it is mine");
        let said = steps(&site, &["init"]);
        assert!(
            said[0].contains(says) && said[0].contains("mariadb.keys"),
            "{how}: {said:?}"
        );
        assert_eq!(said[1], "init 1", "{how}");
        assert_eq!(
            fs::read_to_string(&file).expect("it is there"),
            text,
            "left as it was"
        );
    }

    // Lines whose blobs changed places, and a flipped bit: they do not open.
    let blob = |line: &str| line.rsplit(' ').next().expect("it has words").to_owned();
    let swapped = good
        .replace(&blob(one), "BLOB")
        .replace(&blob(two), &blob(one))
        .replace("BLOB", &blob(two));
    let other_key = good.replace(&blob(temporary), &blob(one));
    for text in [swapped, other_key, flip(&good, &blob(two))] {
        assert_ne!(text, good);
        fs::write(&file, text).expect("it is mine");
        let said = steps(&site, &["init"]);
        assert!(said[0].contains("KMS_ERR_CIPHERTEXT_INVALID"), "{said:?}");
        assert_eq!(said[1], "init 1");
    }

    // Another version of the CMK than the blob has: re-wrapping would pass it over.
    let version = one.split(' ').nth(3).expect("it has words");
    let text = good.replacen(version, "00000000-0000-4000-8000-000000000000", 1);
    fs::write(&file, text).expect("it is mine");
    let said = steps(&site, &["init"]);
    let why = format!("key 1 version 1 is under the version {version} of its CMK, not 00000000-");
    assert!(said[0].contains(&why), "{said:?}");
    assert_eq!(said[1], "init 1");

    fs::write(&file, &good).expect("it is mine");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o620)).expect("it is mine");
    let said = steps(&site, &["init"]);
    assert!(said[0].contains("others may write it"), "{said:?}");
    fs::remove_file(&file).expect("it is mine");
    fs::create_dir(&file).expect("it can be made");
    let said = steps(&site, &["init"]);
    assert_eq!(said[1], "init 1", "{said:?}");
}

/// Another last digit of a blob.
fn flip(text: &str, blob: &str) -> String {
    let last = if blob.ends_with('0') { "1" } else { "0" };
    text.replace(blob, &format!("{}{last}", &blob[..blob.len() - 1]))
}

#[test]
fn older_than_the_data() {
    if !can_build() {
        return;
    }
    let site = Site::without_data();
    steps(&site, &["init", "latest:1", "deinit"]);
    let file = site.path("mariadb.keys");
    let older = fs::read(&file).expect("it is there");
    steps(&site, &["init", "rotate:1", "deinit"]);
    let newer = site.path("newer");
    fs::rename(&file, &newer).expect("it is mine");
    fs::write(&file, &older).expect("it is mine");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("it is mine");
    // The number of the version that was lost is not given to another key, nor is any key made.
    let found = format!("run:mv '{}' '{}'", newer.display(), file.display());
    let asked = [
        "init",
        "get:1:2:32",
        "get:1:2:32",
        "rotate:1",
        "rotate:-1",
        "latest:1",
        "latest:100",
    ];
    let said = steps(
        &site,
        &[&asked[..], &[&found, "rotate:1", "latest:1", "deinit"]].concat(),
    );
    let why = format!(
        "kmsbox: {}: is older than the data, which has pages under key 1 version 2; no key gets a \
         new version until it is there",
        file.display()
    );
    let (log, client) = (format!("log {why}"), format!("client {why}"));
    let expected = [
        "init 0",
        &log,
        "get -1 32 ",
        "get -1 32 ",
        &client,
        &client,
        "latest 1",
        "latest -1",
        "run 0",
        "latest 3",
        "deinit 0",
    ];
    assert_eq!(said, expected);
}

#[test]
fn another_process_holds_the_lock() {
    if !can_build() {
        return;
    }
    let site = Site::without_data();
    steps(&site, &["init", "latest:1", "deinit"]);
    let path = site.path("mariadb.keys.lock");
    let lock = File::open(&path).expect("it is there");
    lock.lock().expect("nobody else has it");
    // The server gives up, and serves its keys; one that starts reads without the lock.
    let said = steps(&site, &["init", "rotate:1", "latest:1", "deinit"]);
    let why = format!("kmsbox: {}: another process holds it", path.display());
    let expected = [
        "init 0",
        &format!("log {why}"),
        &format!("client {why}"),
        "latest 1",
        "deinit 0",
    ];
    assert_eq!(said, expected);
    drop(lock);
    let said = steps(&site, &["init", "rotate:1", "latest:1", "deinit"]);
    assert_eq!(said, ["init 0", "latest 2", "deinit 0"]);
}

#[test]
fn made_for_the_owner_of_the_folder() {
    if !can_build() {
        return;
    }
    let mut site = Site::without_data();
    let folder = site.path("keys");
    fs::create_dir(&folder).expect("it can be made");
    // By root, as when a backup is prepared; anyone else can only make files of their own.
    let nobody = 65534;
    let own = fs::metadata(&folder).expect("it is there").uid();
    let given = chown(&folder, Some(nobody), None).is_ok();
    let owner = if given { nobody } else { own };
    let file = folder.join("mariadb.keys");
    site.set("key_file", &file.display().to_string());
    steps(&site, &["init", "latest:1", "rotate:1", "deinit"]);
    let lock = folder.join("mariadb.keys.lock");
    for path in [&file, &lock] {
        let uid = fs::metadata(path).expect("it is there").uid();
        assert_eq!(uid, owner, "{}", path.display());
    }

    // Whoever only reads makes nothing.
    fs::remove_file(&lock).expect("it is mine");
    site.set("create_keys", "OFF");
    let said = steps(&site, &["init", "latest:1", "size:1:2", "deinit"]);
    assert_eq!(said, ["init 0", "latest 2", "size 0 32", "deinit 0"]);
    assert!(!lock.exists());

    // Nothing is made, or given away, where a link leads.
    let elsewhere = site.path("elsewhere");
    symlink(&elsewhere, &lock).expect("it can be made");
    let said = steps(&site, &["init", "rotate:1", "deinit"]);
    assert!(
        said[1].ends_with("mariadb.keys.lock: File exists"),
        "{said:?}"
    );
    assert!(!elsewhere.exists());
    fs::write(&elsewhere, "").expect("it can be written");
    steps(&site, &["init", "rotate:1", "deinit"]);
    assert_eq!(fs::metadata(&elsewhere).expect("it is there").uid(), own);
}

#[test]
fn a_full_disk() {
    if !can_build() {
        return;
    }
    let site = Site::without_data();
    steps(&site, &["init", "latest:1", "deinit"]);
    let before = fs::read(site.path("mariadb.keys")).expect("it is there");
    // No file may get longer than 512 bytes, which is too little for a second line.
    let mut limited = Command::new("sh");
    let limit = "trap '' XFSZ; ulimit -f 1; exec \"$0\" \"$@\"";
    limited.args(["-c", limit]).arg(harness());
    let asked = [
        "init", "rotate:1", "latest:1", "size:1:2", "latest:2", "deinit",
    ];
    let said = lines(call(limited, &site, &asked));
    assert_eq!(said.len(), 7, "{said:#?}");
    let why = "kmsbox: ".to_owned() + &site.path("mariadb.keys.new").display().to_string();
    assert_eq!(said[1], format!("log {why}: File too large"));
    assert_eq!(said[2], format!("client {why}: File too large"));
    assert_eq!(said[3..], ["latest 1", "size -1", "latest -1", "deinit 0"]);
    assert!(!site.path("mariadb.keys.new").exists(), "it is removed");
    let after = fs::read(site.path("mariadb.keys")).expect("it is there");
    assert!(after == before, "the file is what it was");
    let said = steps(
        &site,
        &["init", "rotate:1", "latest:1", "latest:2", "deinit"],
    );
    assert_eq!(
        said,
        ["init 0", "latest 2", "latest 1", "deinit 0"],
        "with room again"
    );
}

#[test]
fn no_more_open_files() {
    if !can_build() {
        return;
    }
    let site = Site::without_data();
    let file = site.path("mariadb.keys");
    steps(&site, &["init", "latest:1", "deinit"]);
    let (mut failed, mut done) = (0, 0);
    for limit in 4..24 {
        let before = fs::read(&file).expect("it is there");
        let mut limited = Command::new("sh");
        let set = format!("ulimit -n {limit}; exec \"$0\" \"$@\"");
        limited.args(["-c", &set]).arg(harness());
        let output = call(limited, &site, &["init", "rotate:1", "deinit"]);
        let told = |what: &str| output.stdout.lines().any(|line| line.starts_with(what));
        if !told("init 0") {
            continue;
        }
        // Whatever it was that could not be opened: what failed has changed nothing.
        let same = fs::read(&file).expect("it is there") == before;
        assert_eq!(same, told("client "), "{limit}: {output:?}");
        failed += usize::from(same);
        done += usize::from(!same);
    }
    assert!(failed > 0 && done > 0, "{failed} failed, {done} were done");
}

#[test]
fn killed_while_writing() {
    if !can_build() {
        return;
    }
    let site = Site::without_data();
    let versions = || {
        site.key_file()
            .iter()
            .filter(|line| line.key_id == 1)
            .count()
    };
    steps(&site, &["init", "latest:1", "deinit"]);
    let mut asked = vec!["init"];
    asked.resize(3000, "rotate:1");
    for round in 1..6 {
        let mut command = Command::new(harness());
        command
            .arg(plugin())
            .args(site.settings())
            .arg("--")
            .args(&asked);
        let before = versions();
        let mut running = spawn(&mut command);
        while versions() < before + 7 * round {
            assert!(running.is_running(), "it ends too early");
        }
        running.kill();
        let said = running.finish(LIMIT).stdout;
        // What was said to be there is there, and opens.
        let told = said.lines().rfind(|line| line.starts_with("note "));
        let told = told
            .expect("versions were made")
            .split(' ')
            .nth(6)
            .expect("a version");
        let told: usize = told.trim_end_matches(',').parse().expect("a number");
        assert!(
            versions() >= told && told > before,
            "{} of {told}",
            versions()
        );
        let said = steps(&site, &["init", "latest:1", "deinit"]);
        assert_eq!(said[1], format!("latest {}", versions()));
    }
}
