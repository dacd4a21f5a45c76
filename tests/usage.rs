//! Usage: how often each version has unwrapped, counted beside the keystore.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/keystores.rs"]
mod keystores;
mod support;

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use keystores::*;
use kmsbox::clock::Timestamp;
use kmsbox::error::Status;
use kmsbox::keystore::usage::path_beside;
use kmsbox::kms::Kms;
use kmsbox::request_id::Call;

/// One test at a time: a process that another test starts holds a copy of this one's file locks for a
/// moment, and counts do not wait for a lock.
static ONE_TEST: Mutex<()> = Mutex::new(());

/// A keystore with a CMK of two versions and a blob under each.
struct Used {
    _alone: MutexGuard<'static, ()>,
    place: Place,
    key_id: String,
    old: DataKey,
    new: DataKey,
}

impl Used {
    fn new() -> Used {
        let _alone = ONE_TEST.lock().unwrap_or_else(PoisonError::into_inner);
        let place = Place::with_keystore();
        let kms = place.open(&[]);
        let key_id = create_key(&kms);
        let old = generate(&kms, &key_id).unwrap();
        kms.create_key_version(&Call::default(), &key_id).unwrap();
        let new = generate(&kms, &key_id).unwrap();
        fs::write(place.path("old"), &old.blob).unwrap();
        fs::write(place.path("new"), &new.blob).unwrap();
        drop(kms);
        Used {
            _alone,
            place,
            key_id,
            old,
            new,
        }
    }

    fn file(&self) -> PathBuf {
        path_beside(&self.place.keystore.canonicalize().unwrap())
    }

    /// What is known of the old version and of the new one, by one who used neither.
    #[track_caller]
    fn counted(&self) -> [u64; 2] {
        counts(&self.place.open(&[]), &self.key_id)
    }
}

#[track_caller]
fn counts(kms: &Kms, key_id: &str) -> [u64; 2] {
    let usage = kms.usage(Some(key_id)).unwrap();
    let counts: Vec<_> = usage
        .iter()
        .map(|version| version.used.map_or(0, |(unwraps, _)| unwraps))
        .collect();
    counts.try_into().unwrap()
}

/// Another process: "old N" and "new N" decrypt so often, "write" writes the counts down, "end" ends.
fn counter(place: &Place) {
    let kms = place.open(&[]);
    say("ready");
    while let Some(request) = hear() {
        match request.split_once(' ') {
            Some((blob, times)) => {
                let blob = fs::read(place.path(blob)).unwrap();
                for _ in 0..times.parse().unwrap() {
                    decrypt(&kms, &blob).unwrap();
                }
            }
            None if request == "write" => drop(kms.usage(None).unwrap()),
            None => break,
        }
        say("done");
    }
}

// ---- Counting ------------------------------------------------------------------------------------

#[test]
fn versions_are_counted_across_processes() {
    part("counter", counter);
    let used = Used::new();
    let began = Timestamp::now();
    let mut others: Vec<_> = (0..4)
        .map(|_| {
            let other = used
                .place
                .start("versions_are_counted_across_processes", "counter");
            assert_eq!(other.hear(), "ready");
            other
        })
        .collect();
    assert_eq!(used.counted(), [0, 0]);
    for (at, other) in others.iter_mut().enumerate() {
        other.ask(&format!("old {}", 10 * at));
        other.ask("new 3");
    }
    assert_eq!(used.counted(), [0, 0], "what is counted is not yet written");
    others[3].ask("write");
    assert_eq!(used.counted(), [30, 3]);
    for mut other in others {
        other.tell("end");
        other.end();
    }
    assert_eq!(used.counted(), [60, 12]);

    // Later clients add to it. To wrap is not to unwrap.
    let kms = used.place.open(&[]);
    opens(&kms, &used.old);
    generate(&kms, &used.key_id).unwrap();
    let mut altered = used.old.blob.clone();
    altered[70] ^= 1;
    assert_eq!(refused(decrypt(&kms, &altered)), Status::CiphertextInvalid);
    assert_eq!(counts(&kms, &used.key_id), [61, 12]);
    assert_eq!(counts(&kms, &used.key_id), [61, 12], "nothing counts twice");
    drop(kms);
    assert_eq!(used.counted(), [61, 12]);

    let usage = used.place.open(&[]).usage(None).unwrap();
    assert_eq!(
        usage.iter().map(|v| v.primary).collect::<Vec<_>>(),
        [false, true]
    );
    for version in usage {
        let (_, last) = version.used.unwrap();
        assert!(last >= began && last <= Timestamp::now());
    }
}

#[test]
fn who_is_killed_takes_only_his_last_counts_along() {
    part("counter", counter);
    let used = Used::new();
    let test = "who_is_killed_takes_only_his_last_counts_along";
    let mut other = used.place.start(test, "counter");
    other.hear();
    other.ask("old 7");
    other.ask("write");
    other.ask("old 5");
    other.kill();
    assert_eq!(used.counted(), [7, 0], "at least seven of the twelve");
}

/// A forked child has its parent's counts in its memory; they are the parent's to write.
#[test]
fn a_fork_counts_nothing_twice() {
    #![allow(unsafe_code)]
    part("forks", |place| {
        let kms = place.open(&[]);
        let blob = fs::read(place.path("old")).unwrap();
        let times = |times| (0..times).for_each(|_| drop(decrypt(&kms, &blob).unwrap()));
        times(5);
        // SAFETY: the child goes on with the copy of one thread that holds no lock.
        let child = unsafe { libc::fork() };
        times(if child == 0 { 3 } else { 2 });
        drop(kms);
        if child == 0 {
            std::process::exit(0);
        }
        let mut status = 0;
        // SAFETY: waits for the child made above.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0);
    });
    let used = Used::new();
    used.place
        .start("a_fork_counts_nothing_twice", "forks")
        .end();
    assert_eq!(used.counted(), [10, 0]);
}

#[test]
fn a_new_store_key_keeps_the_counts() {
    let used = Used::new();
    let (operator, engine) = (used.place.open(&[AT_ONCE]), used.place.open(&[AT_ONCE]));
    opens(&operator, &used.old);
    opens(&engine, &used.old);
    let root = root_key(&used.place.root_file);
    operator.reseal(&Call::default(), None, &root).unwrap();
    opens(&engine, &used.new);
    drop((operator, engine));
    assert_eq!(used.counted(), [2, 1]);
}

// ---- The file ------------------------------------------------------------------------------------

#[test]
fn a_long_file_is_added_up_and_nothing_is_lost() {
    let used = Used::new();
    let kms = used.place.open(&[]);
    opens(&kms, &used.old);
    opens(&kms, &used.new);
    drop(kms);
    let text = fs::read(used.file()).unwrap();
    let enough = (1 << 20) / text.len() + 2;
    fs::write(used.file(), text.repeat(enough)).unwrap();
    let expected = u64::try_from(enough).unwrap();
    let last = used.place.open(&[]).usage(None).unwrap()[0].used;

    // By a management write.
    let kms = used.place.open(&[]);
    create_key(&kms);
    let len = fs::metadata(used.file()).unwrap().len();
    assert!(len < 1000, "{len} bytes");
    assert_eq!(used.counted(), [expected; 2]);
    assert_eq!(used.place.open(&[]).usage(None).unwrap()[0].used, last);

    // And where nobody manages, by who writes to it.
    fs::write(used.file(), text.repeat(enough)).unwrap();
    opens(&kms, &used.old);
    drop(kms);
    let len = fs::metadata(used.file()).unwrap().len();
    assert!(len < 1000, "{len} bytes");
    assert_eq!(used.counted(), [expected + 1, expected]);
    let fresh = used.place.names();
    assert_eq!(
        fresh.iter().filter(|name| name.contains("usage")).count(),
        1
    );
}

/// Whoever finds the file taken keeps his counts for the next time.
#[test]
fn adding_up_loses_nothing_of_those_who_write_meanwhile() {
    const TIMES: u64 = 200;
    part("writer", |place| {
        let kms = place.open(&[]);
        let blob = fs::read(place.path("old")).unwrap();
        for _ in 0..TIMES {
            decrypt(&kms, &blob).unwrap();
            kms.usage(None).unwrap();
        }
        say("done");
        // The counts of a busy moment go with the client.
        let alone = Instant::now();
        while alone.elapsed() < Duration::from_millis(300) {
            kms.usage(None).unwrap();
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let used = Used::new();
    let test = "adding_up_loses_nothing_of_those_who_write_meanwhile";
    let others = ["writer"; 3].map(|part| used.place.start(test, part));
    // Blank lines make the file long enough to be added up each time.
    let mut added_up = 0;
    let mut done = 0;
    while done < others.len() {
        done += others.iter().filter_map(Other::said).count();
        let small = fs::metadata(used.file()).is_ok_and(|file| file.len() < 32 << 20);
        if small && let Ok(mut file) = OpenOptions::new().append(true).open(used.file()) {
            file.write_all(&vec![b'\n'; (1 << 20) + 1]).unwrap();
        }
        std::thread::sleep(Duration::from_millis(10));
        if small {
            added_up += usize::from(fs::metadata(used.file()).unwrap().len() < 1 << 20);
        }
    }
    others.into_iter().for_each(Other::end);
    println!("added up {added_up} times");
    assert!(added_up > 0);
    assert_eq!(used.counted(), [3 * TIMES, 0]);
}

#[test]
fn a_torn_line_counts_for_nothing_and_costs_nothing() {
    let used = Used::new();
    let kms = used.place.open(&[]);
    opens(&kms, &used.old);
    drop(kms);
    let line = fs::read(used.file()).unwrap();
    let mut file = OpenOptions::new().append(true).open(used.file()).unwrap();
    file.write_all(&line[..line.len() / 2]).unwrap();
    assert_eq!(used.counted(), [1, 0]);
    let kms = used.place.open(&[]);
    opens(&kms, &used.old);
    drop(kms);
    assert_eq!(used.counted(), [2, 0], "the line after the torn one counts");
    file.write_all(b"\0\xff{}\n[1]\n{\"key_version_id\":1}\n")
        .unwrap();
    assert_eq!(used.counted(), [2, 0]);
}

#[test]
fn nobody_waits_for_the_file() {
    let used = Used::new();
    let kms = used.place.open(&[AT_ONCE]);
    let began = Instant::now();
    let go_on = || {
        opens(&kms, &used.old);
        create_key(&kms);
    };

    // Taken by another.
    File::create(used.file()).unwrap();
    let taken = File::open(used.file()).unwrap();
    taken.lock().unwrap();
    go_on();
    assert_eq!(counts(&kms, &used.key_id), [0, 0]);
    drop(taken);
    assert_eq!(counts(&kms, &used.key_id), [1, 0], "kept for the next time");

    // Not a file that could be written.
    fs::remove_file(used.file()).unwrap();
    fs::create_dir(used.file()).unwrap();
    go_on();
    assert_eq!(refused(kms.usage(None)), Status::KeystoreIo);
    fs::remove_dir(used.file()).unwrap();
    std::os::unix::fs::symlink("/dev/full", used.file()).unwrap();
    go_on();
    assert_eq!(refused(kms.usage(None)), Status::KeystoreIo);
    fs::remove_file(used.file()).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(used.file())
        .status();
    assert!(made.unwrap().success());
    go_on();
    assert_eq!(refused(kms.usage(None)), Status::KeystoreIo);
    fs::remove_file(used.file()).unwrap();

    assert!(began.elapsed() < Duration::from_secs(10));
    drop(kms);
    assert_eq!(used.counted(), [3, 0]);
}

/// However large it is, it costs no memory, and what it says is still counted.
#[test]
fn a_huge_file() {
    #![allow(unsafe_code)]
    part("little memory", |place| {
        let room = libc::rlimit {
            rlim_cur: 400 << 20,
            rlim_max: 400 << 20,
        };
        // SAFETY: reads one structure.
        let limited = unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const room) };
        assert_eq!(limited, 0);
        let file = path_beside(&place.keystore.canonicalize().unwrap());
        let len = || fs::metadata(&file).unwrap().len();
        let kms = place.open(&[]);
        let keys: Vec<_> = kms.usage(None).unwrap();
        assert_eq!(keys[0].used.unwrap().0, 2);
        create_key(&kms);
        assert!(len() < 1000, "{} bytes", len());
        assert_eq!(kms.usage(None).unwrap()[0].used.unwrap().0, 2);
    });
    let used = Used::new();
    opens(&used.place.open(&[]), &used.old);
    let line = fs::read(used.file()).unwrap();
    // Zeros, as a machine leaves them that lost its power.
    let mut file = OpenOptions::new().append(true).open(used.file()).unwrap();
    file.set_len(500 << 20).unwrap();
    file.write_all(&line).unwrap();
    used.place.start("a_huge_file", "little memory").end();
}

/// Ids that somebody made up do not fill the memory; the file stays as it is.
#[test]
fn many_ids_that_are_no_versions() {
    let used = Used::new();
    opens(&used.place.open(&[]), &used.old);
    let mut file = OpenOptions::new().append(true).open(used.file()).unwrap();
    let mut lines = String::new();
    for number in 0..20_000 {
        lines += &format!(
            "{{\"key_version_id\":\"00000000-0000-4000-8000-{number:012}\",\"unwraps\":1,\
             \"last\":\"2026-11-21T18:30:00Z\"}}\n"
        );
    }
    file.write_all(lines.as_bytes()).unwrap();
    let len = file.metadata().unwrap().len();
    create_key(&used.place.open(&[]));
    assert_eq!(fs::metadata(used.file()).unwrap().len(), len);
    assert_eq!(used.counted(), [1, 0]);
    assert!(!used.place.names().iter().any(|name| name.contains("tmp")));
}

#[test]
fn it_belongs_to_the_owner_of_the_keystore() {
    let used = Used::new();
    let owner = fs::metadata(&used.place.keystore).unwrap().uid();
    if owner == 0 {
        // An operator who is root must not take the file from the engine.
        chown(&used.place.keystore, Some(65534), Some(65534)).unwrap();
    }
    let id = |path| {
        let metadata = fs::metadata(path).unwrap();
        (metadata.uid(), metadata.gid(), metadata.mode() & 0o777)
    };
    let kms = used.place.open(&[]);
    opens(&kms, &used.old);
    drop(kms);
    assert_eq!(id(used.file()), id(used.place.keystore.clone()));
    let text = fs::read(used.file()).unwrap();
    fs::write(used.file(), text.repeat((2 << 20) / text.len())).unwrap();
    create_key(&used.place.open(&[]));
    assert!(fs::metadata(used.file()).unwrap().len() < 1000);
    assert_eq!(id(used.file()), id(used.place.keystore.clone()));
}

#[test]
fn a_read_only_client_writes_nothing() {
    let used = Used::new();
    let before = used.place.names();
    let reader = used.place.open(&[("read_only", "true")]);
    opens(&reader, &used.old);
    assert_eq!(counts(&reader, &used.key_id), [0, 0]);
    drop(reader);
    assert_eq!(used.place.names(), before);
    assert_eq!(used.counted(), [0, 0]);
}
