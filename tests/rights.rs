//! Rights and roles: who may use the keystore and the files beside it, whoever writes them, and that no file
//! serves two purposes.
#![allow(unsafe_code, reason = "makes a thread another user's")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/service.rs"]
mod service;
mod support;

#[path = "rights/roles.rs"]
mod roles;
#[path = "rights/users.rs"]
mod users;

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;

use kmsbox::error::Status;
use kmsbox::kms::Kms;
use support::{Need, need};
use users::*;

const OWNER: User = User {
    id: 1234,
    group: 1234,
};
/// Not in the group of the keystore.
const READER: User = User {
    id: 1235,
    group: 1235,
};
const TEAM: u32 = 4321;
const FIRST: User = User {
    id: 1236,
    group: TEAM,
};
const SECOND: User = User {
    id: 1237,
    group: TEAM,
};

#[test]
fn an_access_list_stays() {
    if !need(Need::Root) {
        return;
    }
    let place = Shared::new();
    let service = place.open(&[]);
    let key = service.create_key(&[]);
    let blob = service.data_key(&key).blob;
    chown(place.keystore(), Some(OWNER.id), Some(TEAM)).unwrap();
    // One more user reads, and the group does nothing, though the mode shows the mask: 0640.
    let list = List::of(6).user(READER.id, 4).group(0).mask(4);
    list.put(&place.keystore(), ACCESS);
    let before = Rights::of(&place.keystore());
    assert_eq!(before.mode, 0o640);
    service.create_key(&[]);
    assert_eq!(Rights::of(&place.keystore()), before);

    service.decrypt(&blob);
    drop(service);
    assert_eq!(Rights::of(&place.at("keystore.usage")), before);
    let lock = Rights::of(&place.at("keystore.lock"));
    assert_eq!(
        lock,
        Rights {
            mode: 0o600,
            list: None,
            ..before
        }
    );
    READER.does(|| {
        place.open(&[("read_only", "true")]).data_key(&key);
        assert!(fs::read(place.at("keystore.usage")).is_ok());
        denied(&place.at("keystore.lock"));
    });
    FIRST.does(|| {
        denied(&place.keystore());
        denied(&place.at("keystore.usage"));
    });
}

/// What a directory would give to a new file by its default access list is not the keystore's.
#[test]
fn a_default_access_list_gives_nothing() {
    if !need(Need::Root) {
        return;
    }
    let place = Shared::new();
    let list = List::of(7).user(READER.id, 7).group(7).mask(7);
    list.put(place.directory(), DEFAULT);
    let service = place.open(&[("audit_log", place.at("audit.log").to_str().unwrap())]);
    set_mode(&place.keystore(), 0o640);
    let key = service.create_key(&[]);
    service.decrypt(&service.data_key(&key).blob);
    drop(service);
    for (file, mode) in [
        ("keystore", 0o640),
        ("keystore.lock", 0o600),
        ("keystore.usage", 0o640),
        ("audit.log", 0o600),
    ] {
        let rights = Rights::of(&place.at(file));
        assert_eq!((rights.mode, rights.list), (mode, None), "{file}");
        READER.does(|| denied(&place.at(file)));
    }
}

/// `flock` needs no more than an open file: who cannot change the keystore must not open its lock.
#[test]
fn a_reader_cannot_hold_the_lock() {
    let place = Shared::new();
    let service = place.open(&[("lock_timeout_ms", "0")]);
    let lock = place.at("keystore.lock");
    for (keystore, expected) in [
        (0o600, 0o600),
        (0o400, 0o600),
        (0o640, 0o600),
        (0o644, 0o600),
        (0o660, 0o660),
        (0o664, 0o660),
    ] {
        set_mode(&place.keystore(), keystore);
        // As an earlier version left it.
        set_mode(&lock, 0o666);
        // Whoever has it already can hold it, but nobody comes after him.
        let held = File::open(&lock).unwrap();
        held.try_lock().unwrap();
        assert_eq!(service.refused("CreateKey", &[]).0, Status::KeystoreBusy);
        assert_eq!(Rights::of(&lock).mode, expected, "{keystore:o}");
        drop(held);
        service.create_key(&[]);
        assert_eq!(Rights::of(&lock).mode, expected, "{keystore:o}");
    }
}

#[test]
fn by_an_access_list_only_writers_open_the_lock() {
    if !need(Need::Root) {
        return;
    }
    let place = Shared::new();
    let service = place.open(&[]);
    let list = List::of(6)
        .user(READER.id, 4)
        .user(SECOND.id, 6)
        .group(4)
        .mask(6);
    list.put(&place.keystore(), ACCESS);
    let lock = place.at("keystore.lock");
    set_mode(&lock, 0o644);
    service.create_key(&[]);
    READER.does(|| denied(&lock));
    SECOND.does(|| drop(File::options().read(true).write(true).open(&lock).unwrap()));
}

/// A file that somebody put there under a second name may be anybody's.
#[test]
fn a_hard_link_to_a_strangers_file() {
    if !need(Need::Root) {
        return;
    }
    let place = Shared::new();
    let service = place.open(&[]);
    let key = service.create_key(&[]);
    let blob = service.data_key(&key).blob;
    chown(place.keystore(), Some(OWNER.id), Some(OWNER.group)).unwrap();
    set_mode(&place.keystore(), 0o644);
    let beside = ["keystore.lock", "keystore.usage", "keystore.usage.new"];
    for name in beside {
        let (link, stranger) = (place.at(name), place.at(&format!("stranger of {name}")));
        fs::write(&stranger, "mine").unwrap();
        set_mode(&stranger, 0o600);
        let _ = fs::remove_file(&link);
        fs::hard_link(&stranger, &link).unwrap();
    }
    service.create_key(&[]);
    for _ in 0..2 {
        service.decrypt(&blob);
        drop(place.open(&[]).kms.usage(None).unwrap());
    }
    assert_eq!(service.kms.usage(Some(&key)).unwrap()[0].used.unwrap().0, 2);
    drop(service);
    for name in beside {
        let stranger = place.at(&format!("stranger of {name}"));
        let rights = Rights::of(&stranger);
        assert_eq!(
            (rights.owner, rights.group, rights.mode),
            (0, 0, 0o600),
            "{name}"
        );
        assert_eq!(fs::read(&stranger).unwrap(), b"mine", "{name}");
    }
    // The counts have a file of their own now.
    assert_eq!(Rights::of(&place.at("keystore.usage")).owner, OWNER.id);
}

/// Whoever may write in the directory can also give a stranger's file such a name.
#[test]
fn a_strangers_file_that_was_renamed() {
    if !need(Need::Root) {
        return;
    }
    let place = Shared::new();
    let service = place.open(&[]);
    let key = service.create_key(&[]);
    let blob = service.data_key(&key).blob;
    for path in [place.directory(), &place.keystore()] {
        chown(path, Some(OWNER.id), Some(OWNER.group)).unwrap();
    }
    let beside = ["keystore.lock", "keystore.usage"].map(|name| place.at(name));
    for path in &beside {
        let stranger = place.at("stranger");
        fs::write(&stranger, "mine").unwrap();
        set_mode(&stranger, 0o600);
        OWNER.does(|| fs::rename(&stranger, path).unwrap());
    }
    service.create_key(&[]);
    service.decrypt(&blob);
    drop(service);
    for path in &beside {
        let rights = Rights::of(path);
        let name = path.display();
        assert_eq!(
            (rights.owner, rights.group, rights.mode),
            (0, 0, 0o600),
            "{name}"
        );
        assert!(fs::read(path).unwrap().starts_with(b"mine"), "{name}");
    }
}

/// Whoever may write in the log's directory says where its path leads, and must get no file elsewhere.
#[test]
fn a_log_that_leads_elsewhere() {
    if !need(Need::Root) {
        return;
    }
    let (place, elsewhere) = (Shared::new(), Shared::new());
    let service = place.open(&[]);
    let key = service.create_key(&[]);
    for path in [place.directory(), &place.keystore()] {
        chown(path, Some(OWNER.id), Some(OWNER.group)).unwrap();
    }
    let log = place.at("audit.log");
    let audited = [("audit_log", log.to_str().unwrap())];
    let service = place.open(&audited);
    OWNER.does(|| symlink(elsewhere.at("audit.log"), &log).unwrap());
    for (action, parameters) in [
        ("CreateKey", &[][..]),
        ("GenerateDataKey", &[("KeyId", &*key)][..]),
    ] {
        let (status, message) = service.refused(action, parameters);
        assert_eq!(status, Status::AuditFailed, "{message}");
        assert!(message.contains("leads nowhere"), "{message}");
    }
    let error = Kms::open(&place.options(&audited)).err().unwrap();
    assert_eq!(error.status(), Status::InvalidOption);
    assert!(error.message().contains("leads nowhere"), "{error}");
    assert_eq!(elsewhere.names().len(), 0);

    // By a directory on the way it is made there, and nobody gets it.
    let link = place.at("logs");
    OWNER.does(|| symlink(elsewhere.directory(), &link).unwrap());
    let log = link.join("audit.log");
    place
        .open(&[("audit_log", log.to_str().unwrap())])
        .data_key(&key);
    let rights = Rights::of(&elsewhere.at("audit.log"));
    assert_eq!((rights.owner, rights.group, rights.mode), (0, 0, 0o600));
}

/// The log is made by whoever comes first, and root often does, after a rotation of logs.
#[test]
fn a_log_made_by_root_is_the_services() {
    if !need(Need::Root) {
        return;
    }
    let place = Shared::new();
    drop(place.open(&[]).create_key(&[]));
    chown(place.directory(), Some(OWNER.id), Some(OWNER.group)).unwrap();
    chown(place.keystore(), Some(OWNER.id), Some(OWNER.group)).unwrap();
    let log = place.at("audit.log");
    let audited = [("audit_log", log.to_str().unwrap())];
    let key = place.open(&audited).create_key(&[]);
    let rights = Rights::of(&log);
    assert_eq!(
        (rights.owner, rights.group, rights.mode),
        (OWNER.id, OWNER.group, 0o600)
    );
    OWNER.does(|| drop(place.open(&audited).data_key(&key)));

    // What was there before keeps what it has.
    chown(&log, Some(0), Some(OWNER.group)).unwrap();
    set_mode(&log, 0o620);
    place.open(&audited).data_key(&key);
    OWNER.does(|| drop(place.open(&audited).data_key(&key)));
    let rights = Rights::of(&log);
    assert_eq!(
        (rights.owner, rights.group, rights.mode),
        (0, OWNER.group, 0o620)
    );
}

/// Two operators of one group take turns, in a directory whose files are the group's.
#[test]
fn a_group_shares_a_keystore() {
    if !need(Need::Root) {
        return;
    }
    let place = Shared::new();
    chown(place.directory(), Some(FIRST.id), Some(TEAM)).unwrap();
    set_mode(place.directory(), 0o2770);
    let log = place.at("audit.log");
    let audited = [("audit_log", log.to_str().unwrap())];
    let key = FIRST.does(|| {
        let service = place.open(&[]);
        set_mode(&place.keystore(), 0o660);
        service.create_key(&[])
    });
    for user in [SECOND, FIRST, SECOND] {
        user.does(|| {
            // Each makes the log anew, in a directory that is the first one's.
            let _ = fs::remove_file(&log);
            let service = place.open(&audited);
            service.create_key(&[]);
            service.decrypt(&service.data_key(&key).blob);
        });
        let rights = Rights::of(&place.keystore());
        assert_eq!(
            (rights.owner, rights.group, rights.mode),
            (user.id, TEAM, 0o660)
        );
    }
    for file in ["keystore.lock", "keystore.usage", "audit.log"] {
        let rights = Rights::of(&place.at(file));
        assert_eq!((rights.group, rights.mode), (TEAM, 0o660), "{file}");
    }
    assert_eq!(
        place.open(&[]).kms.usage(Some(&key)).unwrap()[0]
            .used
            .unwrap()
            .0,
        3
    );

    // Where somebody would be shut out, nothing is changed.
    let before = fs::read(place.keystore()).unwrap();
    for (directory, keystore) in [(0o770, 0o660), (0o2770, 0o640), (0o2770, 0o600)] {
        set_mode(place.directory(), directory);
        set_mode(&place.keystore(), keystore);
        chown(place.keystore(), Some(FIRST.id), Some(TEAM)).unwrap();
        let names = place.names();
        // He could open the lock, which is his.
        chown(place.at("keystore.lock"), Some(SECOND.id), Some(TEAM)).unwrap();
        let status = SECOND.does(|| match Kms::open(&place.options(&[])) {
            Ok(kms) => {
                let (status, message) = service::Service { kms }.refused("CreateKey", &[]);
                assert!(message.contains("mode 2770"), "{message}");
                status
            }
            Err(error) => error.status(),
        });
        assert_eq!(status, Status::KeystoreIo, "{directory:o} {keystore:o}");
        assert_eq!(fs::read(place.keystore()).unwrap(), before);
        assert_eq!(place.names(), names);
    }
}

#[track_caller]
fn denied(path: &Path) {
    let error = File::open(path).map(drop).unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::PermissionDenied,
        "{}",
        path.display()
    );
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// What a file's rights are.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rights {
    owner: u32,
    group: u32,
    mode: u32,
    list: Option<Vec<u8>>,
}

impl Rights {
    fn of(path: &Path) -> Rights {
        let metadata = fs::metadata(path).unwrap();
        let mut list = vec![0; 1000];
        let len = rustix::fs::getxattr(path, ACCESS, &mut list[..]);
        Rights {
            owner: metadata.uid(),
            group: metadata.gid(),
            mode: metadata.mode() & 0o7777,
            list: len.ok().map(|len| list[..len].to_vec()),
        }
    }
}
