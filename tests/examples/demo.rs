//! demo.c and demo.sh, what `make demo` shows.

use super::*;

fn show(place: &Place, link: Link) -> Output {
    let mut shell = Command::new("sh");
    shell
        .arg(root().join("c_examples/demo.sh"))
        .env("KMSBOX_DEMO_BIN", program("demo", link))
        .env("KMSBOX_DEMO_DIR", place.0.path());
    run(&mut shell)
}

#[test]
fn holds_and_says_so() {
    for link in BOTH {
        let place = Place(scratch_dir());
        let output = show(&place, link);
        assert_ended(&output, 0, "");
        for line in ["the same key, byte for byte", "All of it held."] {
            assert!(output.stdout.contains(line), "{}", output.stdout);
        }
        let mut files = place.files();
        files.remove("keystore.lock");
        assert!(
            files
                .iter()
                .eq(["keystore", "keystore.usage", "orders.blob", "root.key"].iter()),
            "{files:?}"
        );

        // What is there is not replaced, and then it did not all hold.
        assert!(!show(&place, link).status.success());
    }
}

#[test]
fn is_clean_under_valgrind() {
    if !need(Need::Valgrind) {
        return;
    }
    for link in BOTH {
        let place = Place::new();
        let demo = program("demo", link);
        let arguments = ["keystore", "root.key", "orders.blob"];
        place.run_ok(&mut under_valgrind(&demo), &arguments);
        let unwrap = ["keystore", "root.key", "orders.blob", "customers"];
        let refused = place.run(&mut under_valgrind(&demo), &unwrap);
        assert_eq!(refused.status.code(), Some(REFUSED), "{refused:?}");
    }
}
