//! c_examples/sqlcipher.c on the SQLCipher that the system has: entries come back, nothing readable is
//! on the disk, wrong keys are refused in SQLCipher's own words, and a rewrap touches the key alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(unsafe_code, reason = "calls the C functions")]

#[path = "support/client.rs"]
mod client;
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use client::{Client, Place, ROOT_KEY};
use support::{Link, Need, Output, compile, contains, need, on_keystore, root, run};

const FAILED: i32 = 1;
const USAGE: i32 = 2;

/// The CMK's id, a line feed, the blob.
const KEY_FILE_LEN: usize = 37 + 142;

const NAME: &str = "a name that is easy to find";
const VALUE: &str = "a value that is easy to find";

fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sqlcipher-example");
        let source = root().join("c_examples/sqlcipher.c");
        compile(&source, &out, Link::Shared, &["-std=c99", "-lsqlcipher"]);
        out
    })
}

/// A keystore with a CMK, and room for databases.
struct Shop {
    place: Place,
    client: Client,
    cmk: String,
}

impl Shop {
    fn new() -> Shop {
        let place = Place::new();
        place.file("root.key", &ROOT_KEY);
        let client = place.create();
        let cmk = client.create_key();
        Shop { place, client, cmk }
    }

    /// With a database, `orders.db`, that has one entry.
    fn with_database() -> Shop {
        let shop = Shop::new();
        shop.done(&["orders.db", "create", &shop.cmk]);
        shop.done(&["orders.db", "put", NAME, VALUE]);
        shop
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        on_keystore(Command::new(program), self.place.path())
    }

    fn run(&self, arguments: &[&str]) -> Output {
        run(self.command(program()).args(arguments))
    }

    #[track_caller]
    fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        output.stdout
    }

    #[track_caller]
    fn refused(&self, arguments: &[&str], says: &str) {
        assert_refused(&self.run(arguments), says);
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.place.at(name)).unwrap()
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.place.at(name), bytes).unwrap();
    }

    #[track_caller]
    fn assert_readable(&self) {
        assert_eq!(self.done(&["orders.db", "get", NAME]), format!("{VALUE}\n"));
    }

    /// Which version of which CMK the key of `orders.db` is under.
    fn wrapped_under(&self) -> (String, String) {
        let file = self.read("orders.db.key");
        assert_eq!(file.len(), KEY_FILE_LEN);
        let context = r#"{"purpose":"sqlcipher","database":"orders.db"}"#;
        let stored = String::from_utf8(file[..36].to_vec()).unwrap();
        let key = self
            .client
            .decrypt(Some(&stored), &file[37..], Some(context))
            .unwrap();
        assert_eq!(key.plaintext.len(), 32);
        (key.key_id, key.key_version_id)
    }
}

#[track_caller]
fn assert_refused(output: &Output, says: &str) {
    assert_eq!(output.status.code(), Some(FAILED), "{output:?}");
    assert!(output.stderr.contains(says), "not said: {says}\n{output:?}");
    assert_eq!(output.stdout, "");
}

#[test]
fn entries_come_back_and_are_nowhere_readable() {
    if !need(Need::SqlCipher) {
        return;
    }
    let shop = Shop::with_database();
    for i in 0..20 {
        let (name, value) = (format!("{NAME} {i}"), format!("{VALUE} {i}"));
        shop.done(&["orders.db", "put", &name, &value]);
    }
    shop.assert_readable();
    let last = shop.done(&["orders.db", "get", &format!("{NAME} 19")]);
    assert_eq!(last, format!("{VALUE} 19\n"));
    shop.done(&["orders.db", "put", NAME, "another"]);
    assert_eq!(shop.done(&["orders.db", "get", NAME]), "another\n");

    assert!(shop.read("orders.db").len() > 2048, "there is something");
    for file in shop.place.names() {
        let bytes = shop.read(&file);
        for plain in ["easy to find", "entries", "SQLite format 3"] {
            assert!(!contains(&bytes, plain), "{file} has {plain:?} in it");
        }
    }
    assert_eq!(shop.wrapped_under().0, shop.cmk);
    for file in ["orders.db", "orders.db.key"] {
        let mode = fs::metadata(shop.place.at(file))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[test]
fn a_wrong_key_is_refused_in_sqlcipher_s_words() {
    if !need(Need::SqlCipher) {
        return;
    }
    let shop = Shop::with_database();
    // Of the same name, so that the blob opens: only SQLCipher can find out.
    fs::create_dir(shop.place.at("elsewhere")).unwrap();
    shop.done(&["elsewhere/orders.db", "create", &shop.cmk]);
    let key = shop.read("orders.db.key");
    shop.write("orders.db.key", &shop.read("elsewhere/orders.db.key"));
    let database = shop.read("orders.db");
    let words = "orders.db: file is encrypted or is not a database";
    shop.refused(&["orders.db", "get", NAME], words);
    shop.refused(&["orders.db", "put", NAME, "x"], words);
    assert_eq!(shop.read("orders.db"), database, "it is left as it was");
    shop.write("orders.db.key", &key);
    shop.assert_readable();
}

#[test]
fn what_does_not_belong_together_is_refused() {
    if !need(Need::SqlCipher) {
        return;
    }
    let shop = Shop::with_database();
    let get = ["orders.db", "get", NAME];
    let key = shop.read("orders.db.key");

    // Another database's name.
    shop.write("other.db", &shop.read("orders.db"));
    shop.write("other.db.key", &key);
    shop.refused(&["other.db", "get", NAME], "KMS_ERR_CIPHERTEXT_INVALID");

    // The id of another CMK, a file of another length, none.
    let other = shop.client.create_key();
    let mut changed = key.clone();
    changed[..36].copy_from_slice(other.as_bytes());
    shop.write("orders.db.key", &changed);
    shop.refused(&get, "KMS_ERR_KEY_MISMATCH");
    shop.refused(&["orders.db", "rewrap"], "KMS_ERR_KEY_MISMATCH");
    shop.write("orders.db.key", &key[..KEY_FILE_LEN - 1]);
    shop.refused(&get, "orders.db.key: is no key file");
    shop.write("orders.db.key", &[key.as_slice(), b"x"].concat());
    shop.refused(&get, "orders.db.key: is no key file");
    fs::remove_file(shop.place.at("orders.db.key")).unwrap();
    shop.refused(&get, "orders.db.key: No such file or directory");
    // A new key would not open it: nobody must believe that one was made.
    let create = ["orders.db", "create", &shop.cmk];
    shop.refused(&create, "orders.db: is there already");
    assert!(!shop.place.at("orders.db.key").exists());

    shop.write("orders.db.key", &key);
    shop.assert_readable();
    shop.refused(&["orders.db", "get", "x"], "x: no such entry");
    fs::remove_file(shop.place.at("orders.db")).unwrap();
    shop.refused(&get, "orders.db: unable to open database file");
    assert!(!shop.place.at("orders.db").exists(), "get made a database");
}

#[test]
fn a_cmk_that_cannot_be_used_is_refused() {
    if !need(Need::SqlCipher) {
        return;
    }
    let shop = Shop::with_database();
    let get = ["orders.db", "get", NAME];
    let cmk = &shop.cmk;
    shop.client.done(&format!("Action=DisableKey&KeyId={cmk}"));
    shop.refused(&get, "orders.db.key: KMS_ERR_DISABLED");
    shop.refused(&["orders.db", "rewrap"], "KMS_ERR_DISABLED");
    shop.refused(&["new.db", "create", cmk], "KMS_ERR_DISABLED");
    shop.client.done(&format!("Action=EnableKey&KeyId={cmk}"));
    shop.assert_readable();
    let no_alias = ["new.db", "create", "alias/none"];
    shop.refused(&no_alias, "alias/none: KMS_ERR_ALIAS_NOT_FOUND");
    assert!(!shop.place.at("new.db").exists() && !shop.place.at("new.db.key").exists());

    // Another keystore does not have it.
    let elsewhere = Shop::new();
    let mut command = shop.command(program());
    command.args(get);
    command.env("KMSBOX_KEYSTORE", elsewhere.place.keystore());
    assert_refused(&run(&mut command), "KMS_ERR_KEY_NOT_FOUND");
    command.env_remove("KMSBOX_KEYSTORE");
    assert_refused(&run(&mut command), "KMSBOX_KEYSTORE");

    for arguments in [
        &[][..],
        &["orders.db"],
        &["orders.db", "get"],
        &["orders.db", "put", "x"],
        &["orders.db", "drop", "x"],
    ] {
        let output = shop.run(arguments);
        assert_eq!(output.status.code(), Some(USAGE), "{arguments:?}");
        assert!(output.stderr.starts_with("usage: "));
    }
}

#[test]
fn a_rewrap_moves_the_key_and_no_byte_of_the_database() {
    if !need(Need::SqlCipher) {
        return;
    }
    let shop = Shop::with_database();
    let database = shop.read("orders.db");
    let (_, old_version) = shop.wrapped_under();
    let cmk = &shop.cmk;
    shop.client
        .done(&format!("Action=CreateKeyVersion&KeyId={cmk}"));
    assert_eq!(shop.wrapped_under().1, old_version);

    shop.done(&["orders.db", "rewrap"]);
    let (wrapped_under, new_version) = shop.wrapped_under();
    assert_eq!(&wrapped_under, cmk);
    assert_ne!(new_version, old_version);
    shop.assert_readable();

    let next = shop.client.create_key();
    shop.client.done(&format!(
        "Action=CreateAlias&KeyId={next}&AliasName=alias%2Fnext"
    ));
    shop.done(&["orders.db", "rewrap", "alias/next"]);
    assert_eq!(shop.wrapped_under().0, next);
    shop.client.done(&format!("Action=DisableKey&KeyId={cmk}"));
    shop.assert_readable();
    assert_eq!(shop.read("orders.db"), database);
}

#[test]
fn a_create_that_was_cut_short_is_completed() {
    if !need(Need::SqlCipher) {
        return;
    }
    let shop = Shop::with_database();
    let key = shop.read("orders.db.key");
    fs::remove_file(shop.place.at("orders.db")).unwrap();
    shop.done(&["orders.db", "create", &shop.cmk]);
    assert_eq!(shop.read("orders.db.key"), key);
    shop.done(&["orders.db", "put", NAME, VALUE]);
    shop.assert_readable();

    // Under the CMK that is asked for, or not at all.
    fs::remove_file(shop.place.at("orders.db")).unwrap();
    let other = shop.client.create_key();
    let says = "orders.db.key: is there already, under another CMK";
    shop.refused(&["orders.db", "create", &other], says);
    assert_eq!(shop.read("orders.db.key"), key);
    assert!(!shop.place.at("orders.db").exists());
}

/// What SQLite would make a database of that is gone at the end.
#[test]
fn a_name_that_is_no_file_is_refused() {
    if !need(Need::SqlCipher) {
        return;
    }
    let shop = Shop::new();
    let files = shop.place.names();
    for name in ["", "somewhere/", ":memory:"] {
        let says = format!("sqlcipher: {name}: is no name of a file");
        shop.refused(&[name, "create", &shop.cmk], &says);
        shop.refused(&[name, "put", "x", "y"], &says);
    }
    assert_eq!(shop.place.names(), files);
}

/// Text that is SQL, nothing, and much.
#[test]
fn any_text_is_a_name_and_a_value() {
    if !need(Need::SqlCipher) {
        return;
    }
    let shop = Shop::with_database();
    let long = "x".repeat(100_000);
    let sql = "'); DROP TABLE entries; --\"";
    for (name, value) in [(sql, sql), ("", ""), ("%s\u{e9}\n", &long)] {
        shop.done(&["orders.db", "put", name, value]);
        assert_eq!(shop.done(&["orders.db", "get", name]), format!("{value}\n"));
    }
    shop.assert_readable();
    let mut full = shop.command("sh");
    full.args(["-c", "\"$0\" orders.db get \"$1\" > /dev/full"]);
    let output = run(full.arg(program()).arg(NAME));
    assert_refused(&output, "standard output: No space left on device");
}

/// As on a full disk: what is written fails, half-way through.
#[test]
fn a_key_that_cannot_be_stored_leaves_the_old_one() {
    if !need(Need::SqlCipher) {
        return;
    }
    let shop = Shop::with_database();
    let (key, files) = (shop.read("orders.db.key"), shop.place.names());
    let mut command = shop.command("sh");
    command
        .args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$@\"", "sh"])
        .arg(program());
    let rewrap = run(command.args(["orders.db", "rewrap"]));
    assert_refused(&rewrap, "orders.db.key: File too large");
    assert_eq!(shop.read("orders.db.key"), key);
    assert_eq!(shop.place.names(), files, "something was left behind");
    shop.assert_readable();
}

#[test]
fn is_clean_under_valgrind() {
    if !need(Need::SqlCipher) || !need(Need::Valgrind) {
        return;
    }
    let shop = Shop::with_database();
    for arguments in [
        &["new.db", "create", &shop.cmk][..],
        &["orders.db", "put", "x", "y"],
        &["orders.db", "get", NAME],
        &["orders.db", "rewrap"],
    ] {
        let mut command = shop.command("valgrind");
        command
            .args(["--quiet", "--error-exitcode=99", "--leak-check=full"])
            .arg(program());
        let output = run(command.args(arguments));
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
    }
}
