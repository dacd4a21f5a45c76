//! data_key.c: the data key comes back from its blob.

use super::*;

#[test]
fn gets_the_key_back_and_keeps_one_cmk() {
    for link in BOTH {
        let place = Place::new();
        let run = || {
            let mut command = Command::new(program("data_key", link));
            place
                .run_ok(&mut command, &["orders.keystore", "root.key"])
                .stdout
        };
        assert_eq!(run(), "the same data key came back from its blob\n");
        let first_blob = place.read("data_key.blob");
        assert_eq!(first_blob.len(), 142);
        let first_keystore = place.read("orders.keystore");

        run();
        assert_ne!(
            place.read("data_key.blob"),
            first_blob,
            "a data key came twice"
        );
        assert_eq!(
            place.read("orders.keystore"),
            first_keystore,
            "the second run made a CMK"
        );
        let lock = "orders.keystore.lock";
        let mut files = place.files();
        files.remove(lock);
        let expected = [
            "data_key.blob",
            "orders.keystore",
            "orders.keystore.usage",
            "root.key",
        ];
        assert!(files.iter().eq(&expected), "{files:?}");
    }
}

#[test]
fn refuses_what_does_not_open() {
    let place = Place::new();
    let data_key = || Command::new(program("data_key", Link::Shared));
    place.run_ok(&mut data_key(), &["keystore", "root.key"]);
    let keystore = place.read("keystore");
    let blob = place.read("data_key.blob");

    place.root_key("other.key", 0x92);
    let wrong_key = place.run(&mut data_key(), &["keystore", "other.key"]);
    assert_ended(&wrong_key, 1, "KMS_ERR_ROOT_KEY");
    let no_key = place.run(&mut data_key(), &["keystore", "missing.key"]);
    assert_ended(&no_key, 1, "missing.key");
    let shared = fs::Permissions::from_mode(0o640);
    fs::set_permissions(place.path("root.key"), shared).expect("it is mine");
    let open_key = place.run(&mut data_key(), &["keystore", "root.key"]);
    assert_ended(&open_key, 1, "KMS_ERR_ROOT_KEY_SOURCE");
    assert_ended(&place.run(&mut data_key(), &["keystore"]), 2, "usage");

    assert_eq!(place.read("keystore"), keystore);
    assert_eq!(place.read("data_key.blob"), blob);
}

#[test]
fn says_that_the_blob_was_not_kept() {
    let place = Place::new();
    fs::create_dir(place.path("data_key.blob")).expect("it is new");
    let mut command = Command::new(program("data_key", Link::Shared));
    let output = place.run(&mut command, &["keystore", "root.key"]);
    assert_ended(&output, 1, "data_key.blob");
}

#[test]
fn is_clean_under_valgrind() {
    if !need(Need::Valgrind) {
        return;
    }
    for link in BOTH {
        let place = Place::new();
        let valgrind = || under_valgrind(&program("data_key", link));
        place.run_ok(&mut valgrind(), &["keystore", "root.key"]);
        place.run_ok(&mut valgrind(), &["keystore", "root.key"]);
        place.root_key("other.key", 0x92);
        let refused = place.run(&mut valgrind(), &["keystore", "other.key"]);
        assert_ended(&refused, 1, "KMS_ERR_ROOT_KEY");
    }
}
