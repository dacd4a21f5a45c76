//! Each way to fail: its exit code, and one sentence on standard error.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use kmsbox::action::Action;
use support::{Place, ended, source};

#[test]
fn the_service_refuses_with_one() {
    let place = Place::with_key();
    for (args, said) in [
        (
            &["describe", "alias/none"][..],
            "kmsbox: KMS_ERR_ALIAS_NOT_FOUND (Forbidden.AliasNotFound): ",
        ),
        (
            &["rotate", "5b1c2f6e-8a0d-4c0b-9a58-4f3c8d1e7a90"],
            "kmsbox: KMS_ERR_KEY_NOT_FOUND (Forbidden.KeyNotFound): ",
        ),
        (
            &["generate-data-key", "alias/orders", "--bytes", "1025"],
            "kmsbox: KMS_ERR_INVALID_PARAMETER (InvalidParameter): ",
        ),
        (
            &["decrypt", "--blob", "AAAA"],
            "kmsbox: KMS_ERR_NOT_A_BLOB (InvalidParameter): ",
        ),
        (
            &["cancel-deletion", "alias/orders"],
            "kmsbox: KMS_ERR_STATE (Rejected.StateModifiedFailed): ",
        ),
        (
            &["call", "Action=Fly"],
            "kmsbox: KMS_ERR_UNSUPPORTED_OPERATION (UnsupportedOperation): ",
        ),
        (
            &[
                "root-key",
                "retire",
                "5b1c2f6e-8a0d-4c0b-9a58-4f3c8d1e7a90",
                "-y",
            ],
            "kmsbox: KMS_ERR_INVALID_PARAMETER (InvalidParameter): ",
        ),
        (
            &["schedule-deletion", "alias/orders", "--days", "6", "-y"],
            "kmsbox: KMS_ERR_INVALID_PARAMETER (InvalidParameter): ",
        ),
    ] {
        let stderr = place.fails(1, args);
        assert!(stderr.starts_with(said), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}

#[test]
fn a_wrong_command_line_is_two() {
    let place = Place::with_key();
    for args in [
        &[][..],
        &["fly"],
        &["list", "--loud"],
        &["describe"],
        &["create-key", "--rotate-every", "6d"],
        &["create-key", "--count", "2", "--alias", "alias/x"],
        &["rotate", "alias/orders", "--every", "90d", "--never"],
        &["protect", "alias/orders", "perhaps"],
        &["encrypt", "alias/orders", "--context", "novalue"],
        &["generate-data-key", "alias/orders", "--plaintext", "-"],
        &[
            "call",
            "Action=Encrypt",
            "KeyId=alias/orders",
            "Plaintext=swordfish",
        ],
        &[
            "call",
            "Action=Encrypt&KeyId=alias/orders&Pl%61intext=swordfish",
        ],
        &[
            "generate-data-key",
            "alias/orders",
            "--plaintext",
            "-",
            "--out",
            "-",
        ],
        &["import", "alias/orders"],
        &["root-key", "retire"],
        &["--root-key", "swordfish", "list"],
        &["--keystore", "memory:", "list"],
        &["init", "--keystore", "other", "--keystore-id", "no-id"],
    ] {
        let stderr = place.fails(2, args);
        assert!(!stderr.contains("swordfish"), "{stderr}");
    }
    let mut command = place.command(&["list"]);
    command.env_remove("KMSBOX_KEYSTORE");
    let without = ended(command, b"");
    assert_eq!(without.code, 2);
    assert!(without.stderr.contains("KMSBOX_KEYSTORE"));
}

#[test]
fn files_that_cannot_be_used_are_three() {
    let place = Place::with_key();
    let other = Place::new();
    let wrong_key = source(&other.path("root.key"));
    place.write("text", "not a keystore");
    for (args, said) in [
        (
            &["--keystore", "none", "list"][..],
            "KMS_ERR_KEYSTORE_NOT_FOUND",
        ),
        (&["--keystore", "text", "list"], "KMS_ERR_NOT_A_KEYSTORE"),
        (&["--root-key", &wrong_key, "list"], "KMS_ERR_ROOT_KEY"),
        (
            &["--root-key", "file:none", "list"],
            "KMS_ERR_ROOT_KEY_SOURCE",
        ),
        (&["decrypt", "none.blob"], "none.blob"),
        (&["init"], "there already"),
        (&["backup", "text"], "there already"),
        (
            &["--audit-log", "none/audit", "list"],
            "KMS_ERR_INVALID_OPTION",
        ),
    ] {
        let stderr = place.fails(3, args);
        assert!(stderr.contains(said), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
    // The two inits above left things as they were.
    assert_eq!(place.read("text"), b"not a keystore");
    place.ok(&["verify"]);

    let mut bytes = place.read("keystore");
    let at = bytes
        .windows(7)
        .position(|part| part == b"Enabled")
        .unwrap();
    bytes[at] ^= 1;
    place.write("altered", bytes);
    assert!(
        place
            .fails(3, &["--keystore", "altered", "list"])
            .contains("KMS_ERR_KEYSTORE_TAMPERED")
    );
    fs::set_permissions(place.path("root.key"), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(place.fails(3, &["list"]).contains("0644"));
}

#[test]
fn a_change_that_was_made_is_six_whatever_failed_after_it() {
    let place = Place::with_key();
    let shim = place.preloaded();
    let run = |args: &[&str]| {
        let mut command = place.command(args);
        command
            .env("LD_PRELOAD", &shim)
            .env("KMSBOX_TEST_UNWRITABLE", "\"phase\":\"result\"")
            .env("KMSBOX_AUDIT_LOG", place.path("audit"));
        ended(command, b"")
    };
    let made = "KMS_ERR_AUDIT_FAILED (InternalFailure): The change was made, but ";
    let changed = run(&["create-key"]);
    assert_eq!(changed.code, 6, "{changed:?}");
    assert!(changed.stderr.contains(made), "{}", changed.stderr);
    let keys = place.json(&["list"]);
    assert_eq!(keys["TotalCount"], 2);
    let id = keys["Keys"][1]["KeyId"].as_str().unwrap();
    assert!(changed.stderr.contains(id), "{}", changed.stderr);

    let changed = run(&["create-key", "--count", "3", "--json"]);
    assert_eq!(changed.code, 6, "{changed:?}");
    let told: serde_json::Value = serde_json::from_str(&changed.stderr).unwrap();
    assert_eq!(told["KeyId"], place.json(&["list"])["Keys"][2]["KeyId"]);

    let changed = run(&["call", "Action=CreateKey"]);
    assert_eq!(changed.code, 6, "{changed:?}");
    let root_key = run(&["root-key", "add", "file:second.key", "--make"]);
    assert_eq!(root_key.code, 6, "{root_key:?}");
    place.ok(&["--root-key", &source(&place.path("second.key")), "verify"]);
    // What changes nothing is refused as ever, and nothing of it is told.
    for args in [&["list"][..], &["generate-data-key", "alias/orders"]] {
        let refused = run(args);
        assert_eq!(refused.code, 3, "{refused:?}");
        assert!(!refused.stderr.contains("was made"), "{}", refused.stderr);
        assert_eq!(refused.text(), "");
    }
}

/// With a standard output that takes nothing: the exit code, and what was said.
fn with_full_output(place: &Place, args: &[&str]) -> (Option<i32>, String) {
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let ended = place.command(args).stdout(full).output().unwrap();
    (
        ended.status.code(),
        String::from_utf8(ended.stderr).unwrap(),
    )
}

#[track_caller]
fn made_but_not_shown(place: &Place, args: &[&str]) {
    let (code, said) = with_full_output(place, args);
    assert_eq!(code, Some(6), "{args:?}: {said}");
    assert!(said.contains("The change was made, but "), "{said}");
}

#[test]
fn every_change_that_cannot_be_shown_is_six() {
    let place = Place::empty();
    made_but_not_shown(&place, &["init", "--make-root-key"]);
    place.ok(&["create-key", "--alias", "alias/orders"]);
    place.ok(&["create-key", "--external", "--alias", "alias/own"]);
    place.write("material", [7; 32]);
    for args in [
        "create-key",
        "rotate alias/orders",
        "rotate alias/orders --every 90d",
        "disable alias/orders",
        "enable alias/orders --json",
        "protect alias/orders on",
        "protect alias/orders off",
        "alias set alias/new alias/orders",
        "alias delete alias/new --yes",
        "import alias/own --parameters parameters",
        "import alias/own material",
        "delete-material alias/own --yes",
        "schedule-deletion alias/own --yes",
        "cancel-deletion alias/own",
        "purge --confirm-clock",
        "root-key retire --reseal --yes",
        "root-key add file:second.key --make",
        "backup copy",
        "restore copy --keystore restored --json",
    ] {
        let args: Vec<_> = args.split(' ').collect();
        made_but_not_shown(&place, &args);
    }
    for (id, args) in [
        ("list", &["list"][..]),
        ("purge", &["purge"]),
        (
            "restore",
            &["restore", "copy", "--keystore", "no", "--dry-run"],
        ),
        ("call", &["call", "Action=ListKeys"]),
        ("data key", &["generate-data-key", "alias/orders"]),
    ] {
        let (code, said) = with_full_output(&place, args);
        assert_eq!(code, Some(3), "{id}: {said}");
        assert!(!said.contains("was made"), "{id}: {said}");
    }
    place.ok(&["verify"]);
}

/// By the API's own names: each action that changes something, in an order in which all succeed.
#[test]
fn every_action_whose_answer_cannot_be_shown_is_six() {
    let place = Place::with_key();
    let key = place.json(&["describe", "alias/orders"])["KeyId"].clone();
    let own = place.ok(&["create-key", "--external"]);
    place.write("material", [7; 32]);
    place.ok(&["import", own.trim(), "material"]);
    let (key, own) = (key.as_str().unwrap(), own.trim());
    let on = |key: &str, rest: &str| format!("KeyId={key}&{rest}");
    let requests = [
        ("CreateKey", "Description=new".to_owned()),
        ("UpdateKeyDescription", on(key, "Description=other")),
        ("DisableKey", on(key, "")),
        ("EnableKey", on(key, "")),
        ("CreateKeyVersion", on(key, "")),
        (
            "UpdateRotationPolicy",
            on(key, "EnableAutomaticRotation=true&RotationInterval=30d"),
        ),
        ("CreateAlias", on(key, "AliasName=alias/new")),
        ("UpdateAlias", on(own, "AliasName=alias/new")),
        ("DeleteAlias", "AliasName=alias/new".to_owned()),
        (
            "TagResource",
            on(
                key,
                "Tags=%5B%7B%22TagKey%22:%22a%22,%22TagValue%22:%22b%22%7D%5D",
            ),
        ),
        ("UntagResource", on(key, "TagKeys=%5B%22a%22%5D")),
        ("DeleteKeyMaterial", on(own, "")),
        ("ScheduleKeyDeletion", on(key, "PendingWindowInDays=7")),
        ("CancelKeyDeletion", on(key, "")),
        ("SetDeletionProtection", protection(key)),
    ];
    for (action, rest) in &requests {
        let request = format!("Action={action}&{}", rest.trim_end_matches('&'));
        made_but_not_shown(&place, &["call", &request, "--yes"]);
    }
    // What wrapped material is, only the library could say; an operator's actions are no requests.
    let elsewhere = ["ImportKeyMaterial", "AddRootKey", "RetireRootKey", "Purge"];
    for action in Action::ALL.iter().filter(|action| action.changes()) {
        let name = action.name();
        let is_here = requests.iter().any(|(action, _)| *action == name);
        assert!(is_here || elsewhere.contains(&name), "{name}");
    }
    let refused = with_full_output(&place, &["call", "Action=EnableKey", "KeyId=alias/none"]);
    assert_eq!(refused.0, Some(1), "{}", refused.1);
}

fn protection(key: &str) -> String {
    let arn = kmsbox::key_name::key_arn(key.parse().unwrap());
    let arn = arn.replace(':', "%3A").replace('/', "%2F");
    format!("ProtectedResourceArn={arn}&EnableDeletionProtection=true")
}

#[test]
fn an_alias_that_cannot_be_made_does_not_hide_the_cmk() {
    let place = Place::with_key();
    let mut command = place.command(&["create-key", "--alias", "alias/new"]);
    command
        .env("LD_PRELOAD", place.preloaded())
        .env("KMSBOX_TEST_UNWRITABLE", "\"action\":\"CreateAlias\"")
        .env("KMSBOX_AUDIT_LOG", place.path("audit"));
    let ended = ended(command, b"");
    assert_eq!(ended.code, 6, "{ended:?}");
    assert!(
        ended.stderr.contains("the CMK has no alias"),
        "{}",
        ended.stderr
    );
    assert_eq!(place.json(&["list"])["TotalCount"], 2);
}

#[test]
fn nobody_to_confirm_is_five_and_changes_nothing() {
    let place = Place::with_key();
    place.ok(&["create-key", "--alias", "alias/second"]);
    let before = place.read("keystore");
    let slot = place.json(&["root-key", "list"])["RootKeys"][0]["SlotId"].clone();
    let slot = slot.as_str().unwrap();
    for args in [
        &["schedule-deletion", "alias/orders"][..],
        &["delete-material", "alias/orders"],
        &["root-key", "retire", slot],
        &["alias", "delete", "alias/orders"],
        &["alias", "set", "alias/orders", "alias/second"],
        &["call", "Action=DeleteAlias", "AliasName=alias/orders"],
        &[
            "call",
            "Action=UpdateAlias",
            "AliasName=alias/orders",
            "KeyId=x",
        ],
        &["root-key", "retire", "--reseal"],
        &[
            "call",
            "Action=ScheduleKeyDeletion",
            "KeyId=x",
            "PendingWindowInDays=7",
        ],
        &["call", "Action=%44eleteKeyMaterial&KeyId=x"],
    ] {
        let stderr = place.fails(5, args);
        assert!(stderr.contains("--yes"), "{stderr}");
        // An answer in a pipe is no answer of a person.
        assert_eq!(place.piped(args, b"yes\n").code, 5);
    }
    assert_eq!(place.read("keystore"), before);
    // A name that stays where it is, and a new one, redirect nobody; one that is not there is refused.
    place.ok(&["alias", "set", "alias/orders", "alias/orders"]);
    place.ok(&["alias", "set", "alias/third", "alias/orders"]);
    place.fails(1, &["alias", "delete", "alias/none"]);
    place.ok(&["alias", "set", "alias/orders", "alias/second", "--yes"]);
    place.ok(&["alias", "delete", "alias/orders", "--yes"]);
}

#[test]
fn errors_are_json_where_the_rest_is() {
    let place = Place::with_key();
    let error = |code, args: &[&str]| -> serde_json::Value {
        let ended = place.run(args);
        assert_eq!(ended.code, code, "{ended:?}");
        assert!(ended.stdout.is_empty());
        serde_json::from_str(&ended.stderr).unwrap()
    };
    let refused = error(1, &["--json", "describe", "alias/none"]);
    assert_eq!(refused["Status"], "KMS_ERR_ALIAS_NOT_FOUND");
    assert_eq!(refused["Code"], "Forbidden.AliasNotFound");
    assert_eq!(refused["HttpStatus"], 404);
    assert_eq!(
        error(2, &["--json", "list", "--filter", "x"])["Status"],
        "USAGE"
    );
    assert_eq!(error(3, &["--json", "decrypt", "none"])["Status"], "FILE");
    let unconfirmed = error(5, &["--json", "schedule-deletion", "alias/orders"]);
    assert_eq!(unconfirmed["Status"], "UNCONFIRMED");
}

#[test]
fn a_refused_call_prints_the_document_too() {
    let place = Place::with_key();
    let ended = place.run(&["call", "Action=DescribeKey", "KeyId=alias/none"]);
    assert_eq!(ended.code, 1);
    assert_eq!(ended.json()["Code"], "Forbidden.AliasNotFound");
    let xml = place.run(&["call", "Action=DescribeKey&KeyId=alias/none&Format=XML"]);
    assert!(xml.text().contains("<Code>Forbidden.AliasNotFound</Code>"));
}

#[test]
fn a_closed_pipe_is_no_news() {
    let place = Place::new();
    place.ok(&["create-key", "--count", "2000"]);
    let mut child = place
        .command(&["list"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert_eq!(output.status.code(), Some(141));
}
