//! The whole life of a CMK, from the command line alone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use support::Place;

#[test]
fn from_init_to_deletion() {
    let place = Place::empty();
    let said = place.ok(&["init", "--make-root-key"]);
    assert!(said.starts_with("Made the keystore "), "{said}");
    assert_eq!(place.mode("root.key"), 0o600);
    assert_eq!(place.mode("keystore"), 0o600);

    let id = place.ok(&[
        "create-key",
        "--alias",
        "alias/orders",
        "--description",
        "orders",
        "--tag",
        "team=billing",
        "--rotate-every",
        "90d",
    ]);
    let id = id.trim();
    assert_eq!(id.len(), 36, "the id and nothing else");
    let listed = place.ok(&["list"]);
    assert_eq!(listed.lines().count(), 2);
    assert!(
        listed.contains(id) && listed.contains("alias/orders"),
        "{listed}"
    );

    // A data key, wrapped; the wrapping version rotates away; the blob still opens and is moved.
    let key = ["generate-data-key", "alias/orders", "-c", "table=orders"];
    place.ok(&[&key[..], &["--plaintext", "data.key", "--out", "old.blob"]].concat());
    assert_eq!(place.read("data.key").len(), 32);
    assert_eq!(place.read("old.blob").len(), 142);
    let first = place.json(&["inspect", "old.blob"])["KeyVersionId"].clone();
    place.ok(&["rotate", "alias/orders"]);
    let opened = place.run(&["decrypt", "old.blob", "-c", "table=orders"]);
    assert_eq!(opened.stdout, place.read("data.key"));
    place.ok(&[
        "re-encrypt",
        "old.blob",
        "--to",
        "alias/orders",
        "-c",
        "table=orders",
        "--out",
        "new.blob",
    ]);
    let second = place.json(&["inspect", "new.blob"])["KeyVersionId"].clone();
    assert_ne!(first, second);
    let described = place.json(&["describe", "alias/orders"]);
    assert_eq!(described["KeyVersions"][0]["KeyVersionId"], first);
    assert_eq!(described["KeyVersions"][1]["KeyVersionId"], second);
    assert_eq!(described["PrimaryKeyVersion"], second);
    assert_eq!(described["Tags"][0]["TagValue"], "billing");
    let opened = place.run(&["decrypt", "new.blob", "-c", "table=orders"]);
    assert_eq!(opened.stdout, place.read("data.key"));

    // The first version has unwrapped twice (decrypt, re-encrypt), the second once.
    let usage = place.json(&["usage", "alias/orders"]);
    assert_eq!(usage["KeyVersions"][0]["UnwrapsAtLeast"], 2);
    assert_eq!(usage["KeyVersions"][1]["UnwrapsAtLeast"], 1);
    assert_eq!(usage["KeyVersions"][1]["Primary"], true);

    // Disabled, it opens nothing; enabled, it does again.
    place.ok(&["disable", "alias/orders"]);
    let decrypt = ["decrypt", "new.blob", "-c", "table=orders"];
    assert!(
        place
            .fails(1, &decrypt)
            .contains("KMS_ERR_DISABLED (Rejected.Disabled)")
    );
    place.ok(&["enable", "alias/orders"]);
    assert_eq!(place.run(&decrypt).code, 0);

    // Deletion: protected, confirmed, cancelled.
    place.ok(&["protect", "alias/orders", "on", "--reason", "ledger"]);
    let delete = ["schedule-deletion", "alias/orders", "--days", "7", "--yes"];
    assert!(
        place
            .fails(1, &delete)
            .contains("deletion protection is on")
    );
    place.ok(&["protect", "alias/orders", "off"]);
    let said = place.ok(&delete);
    assert!(said.contains("pending deletion"), "{said}");
    assert!(
        place
            .fails(1, &decrypt)
            .contains("KMS_ERR_PENDING_DELETION")
    );
    assert_eq!(place.json(&["describe", id])["KeyState"], "PendingDeletion");
    place.ok(&["cancel-deletion", id]);
    assert_eq!(place.run(&decrypt).code, 0);
    assert_eq!(place.ok(&["purge"]), "There is nothing to purge.\n");
    assert!(place.ok(&["verify"]).contains("2, all unsealed"));
}

#[test]
fn rotation_by_itself_is_set_and_unset() {
    let place = Place::with_key();
    place.ok(&["rotate", "alias/orders", "--every", "30d"]);
    let described = place.json(&["describe", "alias/orders"]);
    assert_eq!(described["RotationInterval"], "2592000s");
    assert_eq!(described["VersionCount"], 1);
    place.ok(&["rotate", "alias/orders", "--never"]);
    let described = place.json(&["describe", "alias/orders"]);
    assert!(described.get("RotationInterval").is_none());
}

#[test]
fn aliases_are_set_moved_listed_and_deleted() {
    let place = Place::with_key();
    let other = place.ok(&["create-key"]);
    let other = other.trim();
    place.ok(&["alias", "set", "alias/second", "alias/orders"]);
    let moved = place.json(&["alias", "set", "alias/second", other, "-y"]);
    assert_eq!(moved["KeyId"], other);
    assert!(moved["PreviousKeyId"].is_string());
    let all = place.ok(&["alias", "list"]);
    assert_eq!(all.lines().count(), 3);
    let of_other = place.json(&["alias", "list", other]);
    assert_eq!(of_other["TotalCount"], 1);
    assert_eq!(of_other["Aliases"][0]["AliasName"], "alias/second");
    place.ok(&["alias", "delete", "alias/second", "-y"]);
    assert!(
        place
            .fails(1, &["describe", "alias/second"])
            .contains("Forbidden.AliasNotFound")
    );
    // What would refuse the alias is found before the CMK is made.
    for alias in ["alias/orders", "alias/a b", "orders"] {
        place.fails(1, &["create-key", "--alias", alias]);
    }
    assert_eq!(place.json(&["list"])["TotalCount"], 2);
}

#[test]
fn a_thousand_keys_are_one_write() {
    let place = Place::new();
    let ids = place.ok(&["create-key", "--count", "1000", "--description", "many"]);
    assert_eq!(ids.lines().count(), 1000);
    let verified = place.json(&["verify"]);
    assert_eq!(verified["Keys"], 1000);
    assert_eq!(verified["Epoch"], 2, "made, and written once");
    assert_eq!(place.ok(&["list"]).lines().count(), 1001);
}

#[test]
fn lists_are_filtered() {
    let place = Place::with_key();
    place.ok(&["create-key", "--external", "--tag", "team=billing"]);
    place.ok(&["disable", "alias/orders"]);
    let count = |filters: &[&str]| {
        let filters = filters.iter().flat_map(|filter| ["--filter", filter]);
        let args: Vec<_> = ["list"].into_iter().chain(filters).collect();
        place.json(&args)["TotalCount"].as_u64().unwrap()
    };
    assert_eq!(count(&[]), 2);
    assert_eq!(count(&["state=Disabled"]), 1);
    assert_eq!(count(&["state=Disabled,PendingImport"]), 2);
    assert_eq!(count(&["state=Enabled"]), 0);
    assert_eq!(count(&["origin=EXTERNAL"]), 1);
    assert_eq!(count(&["tag:team=billing"]), 1);
    assert_eq!(count(&["tag:team=sales"]), 0);
    assert_eq!(count(&["state=Disabled", "origin=EXTERNAL"]), 0);
    place.fails(2, &["list", "--filter", "state=Broken"]);
}

#[test]
fn imported_material_comes_goes_and_comes_back() {
    let place = Place::new();
    place.ok(&["create-key", "--external", "--alias", "alias/own"]);
    assert_eq!(
        place.json(&["describe", "alias/own"])["KeyState"],
        "PendingImport"
    );
    place.write("material", [0xA5; 32]);
    place.ok(&["import", "alias/own", "material"]);
    let blob = place.piped(&["encrypt", "alias/own"], b"secret").text();
    let decrypt = ["decrypt", "--blob", blob.trim()];
    assert_eq!(place.ok(&decrypt), "secret");
    // Only after a yes, and then only the same material will do.
    assert!(
        place
            .fails(5, &["delete-material", "alias/own"])
            .contains("--yes")
    );
    place.ok(&["delete-material", "alias/own", "--yes"]);
    assert!(place.fails(1, &decrypt).contains("KMS_ERR_PENDING_IMPORT"));
    place.write("other", [0x5A; 32]);
    assert!(
        place
            .fails(1, &["import", "alias/own", "other"])
            .contains("InvalidKeyMaterial")
    );
    let imported = place.piped(
        &[
            "import",
            "alias/own",
            "-",
            "--expires",
            "2100-01-01T00:00:00Z",
        ],
        &[0xA5; 32],
    );
    assert_eq!(imported.code, 0, "{}", imported.stderr);
    assert_eq!(place.ok(&decrypt), "secret");
    let described = place.json(&["describe", "alias/own"]);
    assert_eq!(described["MaterialExpireTime"], "2100-01-01T00:00:00Z");

    place.fails(
        1,
        &[
            "import",
            "alias/own",
            "material",
            "--expires",
            "2001-01-01T00:00:00Z",
        ],
    );
    place.write("short", [1; 31]);
    assert!(
        place
            .fails(3, &["import", "alias/own", "short"])
            .contains("32 bytes")
    );
}

#[test]
fn material_is_wrapped_elsewhere_in_two_steps() {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use rsa::pkcs8::DecodePublicKey;

    let place = Place::new();
    place.ok(&["create-key", "--external", "--alias", "alias/own"]);
    place.ok(&["import", "alias/own", "--parameters", "parameters.json"]);
    let parameters: serde_json::Value =
        serde_json::from_slice(&place.read("parameters.json")).unwrap();
    let public = STANDARD
        .decode(parameters["PublicKey"].as_str().unwrap())
        .unwrap();
    let public = rsa::RsaPublicKey::from_public_key_der(&public).unwrap();
    let mut random = rsa::rand_core::UnwrapErr(rand::rngs::SysRng);
    let padding = rsa::Oaep::<sha2::Sha256>::new();
    let wrapped = public.encrypt(&mut random, padding, &[7; 32]).unwrap();
    place.write("wrapped", wrapped);
    let second = ["--parameters", "parameters.json", "--material", "wrapped"];
    // The parameters are of one CMK.
    place.ok(&["create-key", "--external", "--alias", "alias/other"]);
    place.fails(3, &[&["import", "alias/other"], &second[..]].concat());
    place.ok(&[&["import", "alias/own"], &second[..]].concat());
    assert_eq!(
        place.json(&["describe", "alias/own"])["KeyState"],
        "Enabled"
    );
    place.fails(
        3,
        &["import", "alias/own", "--parameters", "parameters.json"],
    );
}

/// A keystore holds what others have written. No output lets a terminal act on it.
#[test]
fn nothing_in_a_keystore_reaches_a_terminal() {
    const ACTING: &str =
        "\u{7f}\u{80}\u{85}\u{9b}2J\u{9f}\u{61c}\u{200e}\u{200f}\u{202a}\u{202e}\u{2066}\u{2069}";
    let acts = |c: char| c != '\n' && (c.is_control() || ACTING.contains(c) && c > '\u{7e}');
    let place = Place::new();
    let text = format!("é{ACTING}");
    let id = place.ok(&[
        "create-key",
        "--description",
        &text,
        "--tag",
        &format!("x={text}"),
    ]);
    let id = id.trim_end();
    let call = format!("Action=DescribeKey&KeyId={id}");
    let xml = format!("{call}&Format=XML");
    for args in [
        &["describe", id][..],
        &["describe", id, "--json"],
        &["list"],
        &["list", "--json"],
        &["call", &call],
        &["call", &xml],
        &["call", "Action=ListResourceTags", &format!("KeyId={id}")],
    ] {
        let said = place.ok(args);
        assert!(!said.contains(acts), "{args:?}: {said:?}");
    }
    assert_eq!(place.json(&["describe", id])["Description"], text);
    let answer = place.run(&["call", &call]).json();
    assert_eq!(answer["KeyMetadata"]["Description"], text);
    assert!(
        place
            .ok(&["call", &xml])
            .contains("é&#127;&#128;&#133;&#155;2J")
    );
    // Nor does what the command line had, in an error.
    let key = format!("alias/{ACTING}");
    for args in [&["describe", &key][..], &["describe", &key, "--json"]] {
        let said = place.fails(1, args);
        assert!(!said.contains(acts), "{args:?}: {said:?}");
    }
}
