//! partitions.c: two roles, each refused what is not its own.

use super::*;

const TEXT: &str = "17 barrels to Lisbon";

/// A store with the partitions `orders` and `invoices`, and record `r1` in the first.
struct Store {
    place: Place,
    cmk: String,
    link: Link,
}

impl Store {
    fn new(link: Link) -> Store {
        let place = Place::new();
        let cmk = place.new_cmk("keystore", "root.key");
        fs::create_dir(place.path("store")).expect("it is new");
        let store = Store { place, cmk, link };
        assert_ended(&store.run("distributor", &["orders", "invoices"]), 0, "");
        assert_ended(&store.run("writer", &["orders", "r1", TEXT]), 0, "");
        store
    }

    fn run(&self, role: &str, arguments: &[&str]) -> Output {
        self.run_for(&self.cmk, role, arguments)
    }

    fn run_for(&self, cmk: &str, role: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(program("partitions", self.link));
        command.args([role, "keystore", "file:root.key", cmk, "store"]);
        self.place.run(&mut command, arguments)
    }

    #[track_caller]
    fn assert_reads(&self) {
        let output = self.run("reader", &["orders", "r1"]);
        assert_ended(&output, 0, "");
        assert_eq!(output.stdout, format!("{TEXT}\n"));
    }

    #[track_caller]
    fn assert_refused(&self, role: &str, arguments: &[&str], says: &str) {
        let before = self.place.files();
        let output = self.run(role, arguments);
        assert_ended(&output, REFUSED, says);
        assert_eq!(output.stdout, "");
        assert_eq!(self.place.files(), before, "something was left behind");
    }
}

#[test]
fn each_role_does_its_own_work() {
    if !need(Need::OpenSsl) {
        return;
    }
    for link in BOTH {
        let store = Store::new(link);
        store.assert_reads();
        assert_ended(&store.run("writer", &["invoices", "empty", ""]), 0, "");
        assert_eq!(store.run("reader", &["invoices", "empty"]).stdout, "\n");
        let mut files = store.place.files();
        files.remove("keystore.lock");
        let expected = [
            "keystore",
            "root.key",
            "store/invoices/empty.rec",
            "store/invoices/key.blob",
            "store/orders/key.blob",
            "store/orders/r1.rec",
        ];
        assert!(files.iter().eq(&expected), "{files:?}");
        store.place.assert_nowhere(TEXT.as_bytes());
    }
}

#[test]
fn each_role_is_refused_what_is_not_its_own() {
    if !need(Need::OpenSsl) {
        return;
    }
    let all = [
        "Decrypt",
        "GenerateDataKey",
        "GenerateDataKeyWithoutPlaintext",
        "CreateKey",
    ];
    for (role, own) in [
        ("distributor", "GenerateDataKeyWithoutPlaintext"),
        ("writer", "Decrypt"),
        ("reader", "Decrypt"),
    ] {
        let store = Store::new(Link::Shared);
        let keystore = store.place.read("keystore");
        let output = store.run("overstep", &["orders", role]);
        assert_ended(&output, 0, "");
        let said: BTreeSet<&str> = output.stdout.lines().collect();
        let expected: Vec<String> = all
            .into_iter()
            .filter(|&action| action != own)
            .map(|action| format!("the {role} tries {action}: KMS_ERR_NO_PERMISSION"))
            .collect();
        assert_eq!(said, expected.iter().map(String::as_str).collect());
        assert_eq!(store.place.read("keystore"), keystore);
    }
}

#[test]
fn nothing_is_replaced() {
    if !need(Need::OpenSsl) {
        return;
    }
    let store = Store::new(Link::Static);
    store.assert_refused("distributor", &["orders"], "is there already");
    store.assert_refused(
        "writer",
        &["orders", "r1", "another text"],
        "is there already",
    );
    store.assert_reads();
}

#[test]
fn what_was_changed_or_moved_is_refused() {
    if !need(Need::OpenSsl) {
        return;
    }
    let store = Store::new(Link::Shared);
    let read = ["orders", "r1"];
    for name in ["store/orders/r1.rec", "store/orders/key.blob"] {
        let whole = store.place.read(name);
        for offset in 0..whole.len() {
            let mut changed = whole.clone();
            changed[offset] ^= 1 << (offset % 8);
            store.place.write(name, &changed);
            store.assert_refused("reader", &read, "");
        }
        for cut in [0, 1, 15, 27, whole.len() - 17, whole.len() - 1] {
            store.place.write(name, &whole[..cut]);
            store.assert_refused("reader", &read, "");
        }
        store.place.write(name, &[&whole[..], &[0]].concat());
        store.assert_refused("reader", &read, "");
        store.place.write(name, &whole);
        store.assert_reads();
    }

    let record = store.place.read("store/orders/r1.rec");
    store.place.write("store/orders/r2.rec", &record);
    store.assert_refused("reader", &["orders", "r2"], "changed or renamed");
    store.place.write("store/invoices/r1.rec", &record);
    store.assert_refused("reader", &["invoices", "r1"], "changed or renamed");
    let blob = store.place.read("store/orders/key.blob");
    store.place.write("store/invoices/key.blob", &blob);
    store.assert_refused("reader", &["invoices", "r1"], "KMS_ERR_CIPHERTEXT_INVALID");
}

#[test]
fn another_key_is_refused() {
    if !need(Need::OpenSsl) {
        return;
    }
    let store = Store::new(Link::Shared);
    let other = store.place.new_cmk("keystore", "root.key");
    let output = store.run_for(&other, "reader", &["orders", "r1"]);
    assert_ended(&output, REFUSED, "KMS_ERR_KEY_MISMATCH");
    store.place.root_key("root.key", 0x92);
    assert_ended(
        &store.run("reader", &["orders", "r1"]),
        FAILED,
        "KMS_ERR_ROOT_KEY",
    );
}

#[test]
fn names_lead_nowhere_else() {
    if !need(Need::OpenSsl) {
        return;
    }
    let store = Store::new(Link::Shared);
    let before = store.place.files();
    let long = "n".repeat(65);
    for name in ["", ".", "..", "../orders", "/etc", "a/b", "näme", &long] {
        assert_ended(
            &store.run("distributor", &[name]),
            USAGE,
            "cannot be a name",
        );
        assert_ended(
            &store.run("reader", &[name, "r1"]),
            USAGE,
            "cannot be a name",
        );
        assert_ended(
            &store.run("writer", &["orders", name, "x"]),
            USAGE,
            "cannot be a name",
        );
    }
    assert_eq!(store.place.files(), before);
}

/// The whole of it, in processes that fork from one.
fn demonstrate(command: &mut Command) {
    let place = Place(scratch_dir());
    let output = place.run(command, &["demo", "."]);
    assert_ended(&output, 0, "KMS_ERR_CIPHERTEXT_INVALID");
    assert_eq!(
        output.stdout.matches("KMS_ERR_NO_PERMISSION").count(),
        6,
        "{output:?}"
    );
    assert!(output.stdout.contains(TEXT), "{output:?}");
    place.assert_nowhere(TEXT.as_bytes());
    place.assert_nowhere(b"9 crates to Tallinn");
    let mut files = place.files();
    files.remove("keystore.lock");
    let expected = [
        "keystore",
        "root.key",
        "store/orders-01/key.blob",
        "store/orders-01/r1.rec",
        "store/orders-03/key.blob",
        "store/orders-03/r1.rec",
    ];
    assert!(files.iter().eq(&expected), "{files:?}");
}

#[test]
fn the_demonstration_holds() {
    if !need(Need::OpenSsl) {
        return;
    }
    for link in BOTH {
        demonstrate(&mut Command::new(program("partitions", link)));
    }
}

#[test]
fn is_clean_under_valgrind() {
    if !need(Need::OpenSsl) || !need(Need::Valgrind) {
        return;
    }
    // A role that valgrind finds fault with ends with 99, and then the demonstration fails.
    for link in BOTH {
        demonstrate(&mut under_valgrind(&program("partitions", link)));
    }
}
