//! Secrets go to new files of their owner, to pipes, and nowhere else.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use support::{Place, ended};

const SECRET: &[u8] = b"correct horse battery";

#[test]
fn files_are_for_their_owner_and_never_replaced() {
    let place = Place::with_key();
    place.write("taken", "as it was");
    place.write("in", SECRET);
    place.ok(&["encrypt", "alias/orders", "in", "--out", "blob"]);
    place.ok(&["decrypt", "blob", "--out", "secret"]);
    place.ok(&[
        "generate-data-key",
        "alias/orders",
        "--plaintext",
        "key",
        "--out",
        "key.blob",
    ]);
    place.ok(&["root-key", "add", "file:new.key", "--make"]);
    place.ok(&[
        "call",
        "Action=GenerateDataKey",
        "KeyId=alias/orders",
        "--out",
        "call.json",
    ]);
    for name in [
        "blob",
        "secret",
        "key",
        "key.blob",
        "root.key",
        "new.key",
        "call.json",
    ] {
        assert_eq!(place.mode(name), 0o600, "{name}");
    }
    assert_eq!(place.read("secret"), SECRET);
    for args in [
        &["encrypt", "alias/orders", "in", "--out", "taken"][..],
        &["decrypt", "blob", "--out", "taken"],
        &["generate-data-key", "alias/orders", "--plaintext", "taken"],
        &["generate-data-key", "alias/orders", "--out", "taken"],
        &[
            "re-encrypt",
            "blob",
            "--to",
            "alias/orders",
            "--out",
            "taken",
        ],
        &["root-key", "add", "file:taken", "--make"],
        &[
            "call",
            "Action=GenerateDataKey",
            "KeyId=alias/orders",
            "--out",
            "taken",
        ],
        &[
            "init",
            "--keystore",
            "second",
            "--root-key",
            "file:taken",
            "--make-root-key",
        ],
    ] {
        let stderr = place.fails(3, args);
        assert!(stderr.contains("taken is there already"), "{stderr}");
        assert_eq!(place.read("taken"), b"as it was");
    }
    assert!(!place.path("second").exists());
    // What was begun for nothing is taken away again.
    place.fails(1, &["decrypt", "blob", "-c", "a=b", "--out", "none"]);
    place.fails(
        1,
        &[
            "generate-data-key",
            "alias/none",
            "--plaintext",
            "none",
            "--out",
            "none2",
        ],
    );
    assert!(!place.path("none").exists() && !place.path("none2").exists());
}

#[test]
fn a_hyphen_is_standard_output_for_every_out() {
    let place = Place::with_key();
    place.write("in", SECRET);
    let blob = place.ok(&["encrypt", "alias/orders", "in", "--out", "-"]);
    let decrypt = ["decrypt", "--blob", blob.trim(), "--out", "-"];
    assert_eq!(place.run(&decrypt).stdout, SECRET);
    let made = place.ok(&["generate-data-key", "alias/orders", "--out", "-"]);
    place.ok(&["decrypt", "--blob", made.trim(), "--base64"]);
    let to = ["--to", "alias/orders", "--out", "-"];
    let moved = place.piped(&[&["re-encrypt"][..], &to].concat(), blob.as_bytes());
    let decrypt = ["decrypt", "--blob", moved.text().trim()].map(str::to_owned);
    assert_eq!(
        place.run(&decrypt.each_ref().map(String::as_str)).stdout,
        SECRET
    );
    let call = ["call", "Action=ListKeys", "--out", "-"];
    assert!(place.ok(&call).contains("TotalCount"));
    assert!(!place.path("-").exists());
    let device = ["call", "Action=ListKeys", "--out", "/dev/stdout"];
    assert!(place.fails(3, &device).contains("\"-\""));
}

#[test]
fn a_pipe_gets_the_secret_as_it_is() {
    let place = Place::with_key();
    let blob = place
        .piped(&["encrypt", "alias/orders", "-c", "a=b"], SECRET)
        .text();
    let decrypt = ["decrypt", "--blob", blob.trim(), "-c", "a=b"];
    assert_eq!(place.run(&decrypt).stdout, SECRET);
    let base64 = place.ok(&[&decrypt[..], &["--base64"]].concat());
    assert_eq!(base64, "Y29ycmVjdCBob3JzZSBiYXR0ZXJ5\n");
    let json = place.json(&decrypt);
    assert_eq!(json["Plaintext"], base64.trim());
    assert_eq!(json["Content"], "bytes");

    let key = place.run(&[
        "generate-data-key",
        "alias/orders",
        "--bytes",
        "64",
        "--plaintext",
        "-",
        "--out",
        "blob",
    ]);
    assert_eq!(key.stdout.len(), 64);
    assert_eq!(place.run(&["decrypt", "blob"]).stdout, key.stdout);
    let both = place.json(&["generate-data-key", "alias/orders", "--plaintext", "-"]);
    let again = place.json(&[
        "decrypt",
        "--blob",
        both["CiphertextBlob"].as_str().unwrap(),
    ]);
    assert_eq!(again["Plaintext"], both["Plaintext"]);
}

#[test]
fn without_a_place_for_it_no_data_key_is_shown() {
    let place = Place::with_key();
    let made = place.json(&["--audit-log", "audit", "generate-data-key", "alias/orders"]);
    assert!(made.get("Plaintext").is_none());
    let audit = String::from_utf8(place.read("audit")).unwrap();
    assert!(
        audit.contains("\"GenerateDataKeyWithoutPlaintext\""),
        "{audit}"
    );
    // A new data key in a file is not in the output beside it.
    let made = place.run(&[
        "generate-data-key",
        "alias/orders",
        "--plaintext",
        "key",
        "--json",
    ]);
    assert!(made.json().get("Plaintext").is_none());
}

#[test]
fn text_comes_back_through_the_api_as_text() {
    let place = Place::with_key();
    let text = place
        .piped(&["encrypt", "alias/orders", "--text"], SECRET)
        .text();
    place.write("blob.txt", &text);
    let call = place.ok(&["call", "Action=Decrypt", "CiphertextBlob@blob.txt"]);
    let document: serde_json::Value = serde_json::from_str(&call).unwrap();
    assert_eq!(document["Plaintext"].as_str().unwrap().as_bytes(), SECRET);
    assert_eq!(place.run(&["decrypt", "blob.txt"]).stdout, SECRET);
    let refused = place.piped(&["encrypt", "alias/orders", "--text"], &[0xFF]);
    assert_eq!(refused.code, 1);
    // And the other way round: what call wraps, decrypt opens.
    place.write("in", SECRET);
    let document = place.ok(&[
        "call",
        "Action=Encrypt",
        "KeyId=alias/orders",
        "Plaintext@in",
    ]);
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    let blob = document["CiphertextBlob"].as_str().unwrap();
    assert_eq!(place.run(&["decrypt", "--blob", blob]).stdout, SECRET);
}

#[test]
fn a_request_comes_by_standard_input_too() {
    let place = Place::with_key();
    let request = b"Action=Encrypt&KeyId=alias/orders&Plaintext=correct%20horse\n";
    let answer = place.piped(&["call", "-"], request);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let blob = answer.json()["CiphertextBlob"].as_str().unwrap().to_owned();
    assert_eq!(place.ok(&["decrypt", "--blob", &blob]), "correct horse");
}

#[test]
fn bounds_of_the_plaintext() {
    let place = Place::with_key();
    for (len, code) in [(0, 1), (1, 0), (6144, 0), (6145, 1)] {
        let ended = place.piped(&["encrypt", "alias/orders"], &vec![b'x'; len]);
        assert_eq!(ended.code, code, "{len}: {}", ended.stderr);
    }
}

#[test]
fn help_does_not_show_what_the_environment_says() {
    let place = Place::empty();
    let mut command = place.command(&["list", "--help"]);
    command.env("KMSBOX_ROOT_KEY", "file:/secret/place");
    let help = ended(command, b"").text();
    assert!(help.contains("KMSBOX_ROOT_KEY") && !help.contains("/secret/place"));
}

/// Plaintext that was marked as text is shown as it is only where it is harmless.
#[test]
fn text_that_a_terminal_would_act_on_is_shown_in_base64() {
    let place = Place::with_key();
    for (text, harmless) in [
        ("a\tb\né\n", true),
        ("a\u{1b}[2J", false),
        ("a\u{9b}2J", false),
        ("a\u{202e}b", false),
        ("a\u{61c}b", false),
    ] {
        let args = ["encrypt", "alias/orders", "--text"];
        let blob = place.piped(&args, text.as_bytes()).text();
        let decrypt = format!(
            "{} decrypt --show --blob {}",
            support::KMSBOX,
            blob.trim_end()
        );
        // script(1) is a terminal to what it runs.
        let command = place.command(&[]);
        let mut script = Command::new("script");
        script.args(["-qec", &decrypt, "/dev/null"]);
        script.env_clear().current_dir(&place.directory);
        script.envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        script.stdin(Stdio::null());
        let shown = ended(script, b"");
        assert_eq!(shown.code, 0, "{shown:?}");
        let expected = match harmless {
            true => format!("{text}\n"),
            false => format!("{}\n", STANDARD.encode(text)),
        };
        assert_eq!(shown.text().replace("\r\n", "\n"), expected);
    }
}
