//! File systems that lack something: a directory that cannot be synced, hard links, a rename that replaces
//! nothing. And a process that lacks descriptors.
//!
//! The library finds the `fsync` of this file before that of the system.

use std::cell::Cell;
use std::fs;
use std::thread;

use kmsbox::error::Status;
use kmsbox::keystore::backup::restore;
use kmsbox::options::Options;

use super::{in_own_process, limit, picture, place_with_key};
use crate::client::{Client, Place, ROOT_KEY};

thread_local! {
    /// What syncing a directory answers on this thread; 0: what the system says.
    static DIRECTORY_SYNC: Cell<i32> = const { Cell::new(0) };
}

/// # Safety
/// As of `fsync(2)`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsync(file: i32) -> i32 {
    // SAFETY: all zeros are one of its values.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    let is_directory =
        c!(libc::fstat(file, &mut stat)) == 0 && stat.st_mode & libc::S_IFMT == libc::S_IFDIR;
    if is_directory && DIRECTORY_SYNC.get() != 0 {
        // SAFETY: the error number of this thread.
        unsafe { *libc::__errno_location() = DIRECTORY_SYNC.get() };
        return -1;
    }
    i32::try_from(c!(libc::syscall(libc::SYS_fsync, file))).unwrap()
}

/// A copy of the keystore, as `kmsbox backup` and `kmsbox restore` make it.
fn copy(place: &Place, name: &str) -> kmsbox::error::Result<()> {
    let mut options = Options::default();
    options.set_root_key(&ROOT_KEY).unwrap();
    restore(&place.keystore(), &place.at(name), &options, false).map(drop)
}

fn keys(place: &Place) -> u64 {
    place.open().unwrap().describe()["Keys"].as_u64().unwrap()
}

#[test]
fn a_directory_that_cannot_be_synced() {
    let place = Place::new();
    for (made, error) in [libc::EINVAL, libc::EOPNOTSUPP].into_iter().enumerate() {
        DIRECTORY_SYNC.set(error);
        let client = place.create();
        client.create_key();
        copy(&place, &format!("copy{error}")).unwrap();
        DIRECTORY_SYNC.set(0);
        assert_eq!(keys(&place), made as u64 + 1);
    }

    // An error of the disk is told; what is made is made.
    let client = place.open().unwrap();
    DIRECTORY_SYNC.set(libc::EIO);
    let refusal = client.call("Action=CreateKey").outcome.unwrap_err();
    let copied = copy(&place, "copy").unwrap_err();
    DIRECTORY_SYNC.set(0);
    for (status, message) in [
        (refusal.status, refusal.message.as_str()),
        (copied.status(), copied.message()),
    ] {
        assert_eq!(status, Status::KeystoreIo);
        assert!(message.contains("may not survive a power cut"), "{message}");
    }
    assert_eq!(keys(&place), 3);
    assert_eq!(
        fs::read(place.at("copy")).unwrap(),
        fs::read(place.keystore()).unwrap()
    );
}

/// Has the kernel answer these calls with an error on this thread from now on.
fn refuse(calls: &[(libc::c_long, i32)]) {
    let filter_of = |code: u32, k: u32, otherwise| libc::sock_filter {
        code: u16::try_from(code).unwrap(),
        jt: 0,
        jf: otherwise,
        k,
    };
    // The number of the call is the first word.
    let mut filter = vec![filter_of(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0)];
    for (call, error) in calls {
        let (call, error) = (
            u32::try_from(*call).unwrap(),
            u32::try_from(*error).unwrap(),
        );
        filter.push(filter_of(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            call,
            1,
        ));
        filter.push(filter_of(
            libc::BPF_RET | libc::BPF_K,
            libc::SECCOMP_RET_ERRNO | error,
            0,
        ));
    }
    filter.push(filter_of(
        libc::BPF_RET | libc::BPF_K,
        libc::SECCOMP_RET_ALLOW,
        0,
    ));
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).unwrap(),
        filter: filter.as_mut_ptr(),
    };
    assert_eq!(c!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)), 0);
    let mode = libc::SECCOMP_MODE_FILTER;
    assert_eq!(c!(libc::prctl(libc::PR_SET_SECCOMP, mode, &program)), 0);
}

const NO_RENAME: [(libc::c_long, i32); 1] = [(libc::SYS_renameat2, libc::EINVAL)];
const NO_LINK: [(libc::c_long, i32); 1] = [(libc::SYS_linkat, libc::EPERM)];

/// Of many that create a keystore at once by this way, one makes it and the others open it.
fn create_at_once(lacking: &[(libc::c_long, i32)]) {
    let place = Place::new();
    let ids = thread::scope(|scope| {
        let creator = || {
            refuse(lacking);
            let created: Client = place.create();
            created.describe()["KeystoreId"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        let creators: Vec<_> = (0..8).map(|_| scope.spawn(creator)).collect();
        let ids = creators.into_iter().map(|creator| creator.join().unwrap());
        ids.collect::<Vec<_>>()
    });
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(place.names(), ["keystore", "keystore.lock"]);
}

#[test]
fn created_by_a_rename_or_by_a_link() {
    create_at_once(&NO_LINK);
    create_at_once(&NO_RENAME);
    create_at_once(&[(libc::SYS_renameat2, libc::EPERM)]);
}

#[test]
fn where_nothing_is_made_without_replacing() {
    let place = Place::new();
    let refusal = thread::scope(|scope| {
        let creator = scope.spawn(|| {
            refuse(&[NO_RENAME, NO_LINK].concat());
            place.open_with(&[("create", "true")]).unwrap_err()
        });
        creator.join().unwrap()
    });
    assert_eq!(refusal.status, Status::KeystoreIo);
    assert!(refusal.message.contains("hard links"), "{refusal:?}");
    assert_eq!(place.names(), ["keystore.lock"]);
}

/// However few descriptors are left, a change is made or refused, never made and told as refused.
#[test]
fn few_descriptors() {
    if !in_own_process("file_systems::few_descriptors", |_| {}) {
        return;
    }
    let (place, client, key_id) = place_with_key();
    let mut refused = 0;
    for most in 3.. {
        let before = picture(&place.keystore());
        limit(libc::RLIMIT_NOFILE, most);
        let outcome = client.call("Action=CreateKey").outcome;
        limit(libc::RLIMIT_NOFILE, 1024);
        let Err(refusal) = outcome else { break };
        assert_eq!(refusal.status, Status::KeystoreIo);
        assert_eq!(picture(&place.keystore()), before, "{refusal:?}");
        refused += 1;
    }
    assert!(refused > 2, "{refused}");
    client.data_key(&key_id);
}
