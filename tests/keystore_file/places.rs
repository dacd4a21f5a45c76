//! What stands where the keystore should be.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread;
use std::time::Duration;

use kmsbox::error::Status;

use super::{in_own_process, picture, place_with_key, set_mode, status, within};
use crate::client::{Options, Place, ROOT_KEY};

/// Every way to open it: for reading alone, as usual, and to be made if it is missing.
const WAYS: [&[(&str, &str)]; 3] = [&[("read_only", "true")], &[], &[("create", "true")]];

fn open_at(path: &Path, way: &[(&str, &str)]) -> Option<Status> {
    let mut options = Options::new();
    options.root_key(&ROOT_KEY);
    options.set("keystore", path.to_str().unwrap());
    for (name, value) in way {
        options.set(name, value);
    }
    let outcome = options.open();
    if let Err(refusal) = &outcome {
        let named = refusal.message.contains(path.to_str().unwrap());
        let told = refusal.status == Status::NotAKeystore || named;
        assert!(told, "the path is named: {refusal:?}");
    }
    status(outcome)
}

#[test]
fn nothing() {
    let place = Place::new();
    let missing = Some(Status::KeystoreNotFound);
    let nowhere = place.at("no/such/keystore");
    for way in &WAYS[..2] {
        assert_eq!(open_at(&place.keystore(), way), missing);
    }
    for way in WAYS {
        assert_eq!(open_at(&nowhere, way), missing);
    }
    let file = place.file("file", b"");
    for way in WAYS {
        assert_eq!(open_at(&file.join("keystore"), way), missing);
    }
    assert_eq!(place.names(), ["file"]);
}

#[test]
fn some_other_file() {
    let place = Place::new();
    let not_a_keystore = Some(Status::NotAKeystore);
    let long = "{\"format\": \"other\"}\n".repeat(100_000);
    let contents = [
        &b""[..],
        b"\0",
        b"{}",
        b"{\n  \"format\": \"kmsbox keystore 2\",\n",
        b"{\n  \"format\": \"kmsbox keystore 10\",\n",
        b"{\"format\": \"kmsbox keystore 1\"}",
        b"SQLite format 3\0",
        &[0xFF; 5000],
        long.as_bytes(),
    ];
    for content in contents {
        let file = place.file("other", content);
        let before = picture(&file);
        for way in WAYS {
            assert_eq!(open_at(&file, way), not_a_keystore);
            assert_eq!(picture(&file), before, "it is not overwritten");
        }
    }
    assert_eq!(place.names(), ["other"]);
}

/// However large it is, it costs neither time nor memory.
#[test]
fn a_huge_file() {
    if !in_own_process("places::a_huge_file", |_| {}) {
        return;
    }
    let place = Place::new();
    let file = fs::File::create(place.at("huge")).unwrap();
    let gibibyte = 1 << 30;
    super::limit(libc::RLIMIT_AS, gibibyte / 2);
    for len in [gibibyte - 1, gibibyte, gibibyte + 1, 9 * gibibyte] {
        file.set_len(len).unwrap();
        let found = open_at(&place.at("huge"), &[]);
        assert_eq!(found, Some(Status::NotAKeystore));
    }
}

#[test]
fn no_file_at_all() {
    let place = Place::new();
    fs::create_dir(place.at("directory")).unwrap();
    let fifo = CString::new(place.at("fifo").as_os_str().as_bytes()).unwrap();
    assert_eq!(c!(libc::mkfifo(fifo.as_ptr(), 0o600)), 0);
    let _socket = UnixListener::bind(place.at("socket")).unwrap();
    let before = place.names();
    let not_a_keystore = Some(Status::NotAKeystore);
    for (what, expected) in [
        ("directory", not_a_keystore),
        ("fifo", not_a_keystore),
        // It cannot even be opened.
        ("socket", Some(Status::KeystoreIo)),
    ] {
        for way in WAYS {
            let path = place.at(what);
            let found = within(Duration::from_secs(10), move || open_at(&path, way));
            assert_eq!(found, expected, "{what}");
        }
    }
    for device in ["/dev/null", "/dev/zero"] {
        let found = within(Duration::from_secs(10), || open_at(Path::new(device), &[]));
        assert_eq!(found, not_a_keystore, "{device}");
    }
    assert_eq!(place.names(), before);
}

#[test]
fn links() {
    let (place, client, key_id) = place_with_key();
    let link = place.at("link");
    symlink(place.keystore(), &link).unwrap();
    let mut options = place.options();
    options.set("keystore", link.to_str().unwrap());
    let by_link = options.open().unwrap();
    // A change goes through the link and leaves it a link.
    let made = by_link.create_key();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    client.data_key(&made);
    by_link.data_key(&key_id);
    // What belongs to the keystore lies beside it, not beside the link.
    let elsewhere = Place::new();
    symlink(place.keystore(), elsewhere.keystore()).unwrap();
    let by_link = elsewhere.open().unwrap();
    by_link.data_key(&by_link.create_key());
    drop(by_link);
    assert_eq!(elsewhere.names(), ["keystore"]);

    let ring = place.at("ring");
    symlink(&ring, &ring).unwrap();
    for way in WAYS {
        let ring = ring.clone();
        let found = within(Duration::from_secs(10), move || open_at(&ring, way));
        assert_eq!(found, Some(Status::KeystoreIo));
    }
}

/// A link that leads nowhere is neither a keystore nor a place for one.
#[test]
fn a_link_to_nothing() {
    let place = Place::new();
    let link = place.at("link");
    symlink(place.at("nothing"), &link).unwrap();
    for way in WAYS {
        let link = link.clone();
        let refusal = within(Duration::from_secs(10), move || {
            let mut options = Options::new();
            options.root_key(&ROOT_KEY);
            options.set("keystore", link.to_str().unwrap());
            for (name, value) in way {
                options.set(name, value);
            }
            options.open().unwrap_err()
        });
        assert_eq!(refusal.status, Status::KeystoreNotFound);
        assert!(refusal.message.contains("leads nowhere"), "{refusal:?}");
    }
    assert!(!place.at("nothing").exists());
}

/// Who may write the file or its directory could put an older copy back.
#[test]
fn open_to_the_writing_of_others() {
    let (place, _client, key_id) = place_with_key();
    let modes = [
        (0o700, 0o602),
        (0o700, 0o666),
        (0o702, 0o600),
        (0o777, 0o600),
        // The sticky bit keeps others from renaming, but not from making files.
        (0o1777, 0o600),
    ];
    for (directory, file) in modes {
        set_mode(place.path(), directory);
        set_mode(&place.keystore(), file);
        let before = picture(&place.keystore());
        for way in WAYS {
            let refusal = place.open_with(way).unwrap_err();
            assert_eq!(refusal.status, Status::KeystoreIo, "{directory:o} {file:o}");
            assert!(
                refusal.message.contains("others cannot write"),
                "{refusal:?}"
            );
        }
        assert_eq!(picture(&place.keystore()), before);
    }
    set_mode(place.path(), 0o775);
    set_mode(&place.keystore(), 0o664);
    place.open().unwrap().data_key(&key_id);

    // Nor is one made there.
    let empty = Place::new();
    set_mode(empty.path(), 0o777);
    let refusal = empty.open_with(&[("create", "true")]).unwrap_err();
    assert_eq!(refusal.status, Status::KeystoreIo);
    assert!(empty.names().is_empty());
}

/// Runs on a thread that has no special rights, also where the tests run as root.
fn without_rights<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    const VERSION_3: u32 = 0x2008_0522;
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // Version and thread; then effective, permitted and inheritable, in two halves.
            let (header, none) = ([VERSION_3, 0], [0_u32; 6]);
            let set = c!(libc::syscall(
                libc::SYS_capset,
                header.as_ptr(),
                none.as_ptr()
            ));
            assert_eq!(set, 0);
            work()
        });
        thread.join().unwrap()
    })
}

#[test]
fn permission_to_read_is_all_that_reading_needs() {
    let (place, client, key_id) = place_with_key();
    let made = client.data_key(&key_id);
    drop(client);
    fs::remove_file(place.at("keystore.lock")).unwrap();
    set_mode(&place.keystore(), 0o400);
    set_mode(place.path(), 0o500);
    without_rights(|| {
        let reader = place.open_with(&[("read_only", "true"), ("refresh_interval_ms", "0")]);
        let reader = reader.unwrap();
        let opened = reader.decrypt(Some(&key_id), &made.blob, None).unwrap();
        assert_eq!(opened.plaintext, made.plaintext);
        let writer = place.open().unwrap();
        writer.data_key(&key_id);
        assert_eq!(writer.refused("Action=CreateKey"), Status::KeystoreIo);
    });
    set_mode(&place.keystore(), 0o000);
    without_rights(|| assert_eq!(status(place.open()), Some(Status::KeystoreIo)));
    set_mode(place.path(), 0o700);
    assert_eq!(place.names(), ["keystore"]);
}

#[test]
fn a_path_is_made_absolute_when_it_is_opened() {
    let place = Place::new();
    let prepare = |command: &mut std::process::Command| {
        command.current_dir(place.path());
    };
    if in_own_process("places::a_path_is_made_absolute_when_it_is_opened", prepare) {
        let mut options = Options::new();
        options.root_key(&ROOT_KEY);
        options.set("keystore", "relative");
        options.set("create", "true");
        options.set("refresh_interval_ms", "0");
        let client = options.open().unwrap();
        let here = std::env::current_dir().unwrap();
        std::env::set_current_dir("/").unwrap();
        let key_id = client.create_key();
        client.data_key(&key_id);
        let shown = client.describe()["Keystore"].clone();
        assert_eq!(shown, here.join("relative").to_str().unwrap());
        return;
    }
    assert_eq!(place.names(), ["relative", "relative.lock"]);
}
