//! Many blobs in one go.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kmsbox::context::Context;
use kmsbox::kms::Kms;
use kmsbox::options::Options;
use kmsbox::request_id::Call;
use support::{Place, source};

const COUNT: usize = 10_000;

/// Wraps so many data keys under `alias/orders`; gives the keys and the blobs.
fn wrapped(place: &Place, count: usize, context: &str) -> (Vec<u8>, Vec<String>) {
    let mut options = Options::default();
    let keystore = place.path("keystore");
    options.set("keystore", keystore.to_str().unwrap()).unwrap();
    options
        .set("root_key", &source(&place.path("root.key")))
        .unwrap();
    let kms = Kms::open(&options).unwrap();
    let mut keys = vec![0; 32 * count];
    let mut blobs = vec![0; 142 * count];
    let context = Context::parse(context).unwrap();
    kms.generate_data_keys(
        &Call::default(),
        "alias/orders",
        &context,
        32,
        Some(&mut keys),
        &mut blobs,
    )
    .unwrap();
    (
        keys,
        blobs
            .chunks(142)
            .map(|blob| STANDARD.encode(blob))
            .collect(),
    )
}

fn lines(blobs: &[String]) -> Vec<u8> {
    format!("{}\n", blobs.join("\n")).into_bytes()
}

#[test]
fn ten_thousand_blobs_by_pipe_keep_their_order() {
    let place = Place::with_key();
    let (keys, blobs) = wrapped(&place, COUNT, r#"{"table":"orders"}"#);
    place.ok(&["rotate", "alias/orders"]);
    let version = place.json(&["describe", "alias/orders"])["PrimaryKeyVersion"].clone();
    let args = ["re-encrypt", "--to", "alias/orders", "-c", "table=orders"];
    let ended = place.piped(&args, &lines(&blobs));
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(
        ended.stderr.starts_with("10000 blobs, "),
        "{}",
        ended.stderr
    );
    assert_eq!(
        ended.stderr.lines().count(),
        1,
        "no progress without a terminal"
    );
    let text = ended.text();
    let rewrapped: Vec<_> = text.lines().collect();
    assert_eq!(rewrapped.len(), COUNT);

    place.write("new.blobs", &text);
    let inspected = place.run(&["inspect", "new.blobs", "--json"]).text();
    assert_eq!(inspected.lines().count(), COUNT);
    for line in inspected.lines() {
        let told: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(told["KeyVersionId"], version);
    }
    for index in [0, 1, 2047, 2048, 4095, 4096, 7777, COUNT - 1] {
        assert_ne!(rewrapped[index], blobs[index]);
        let opened = place.run(&["decrypt", "--blob", rewrapped[index], "-c", "table=orders"]);
        assert_eq!(opened.stdout, keys[32 * index..32 * index + 32], "{index}");
    }
}

#[test]
fn a_bad_blob_is_named_by_its_line_and_stops_nothing() {
    let place = Place::with_key();
    let (_, mut blobs) = wrapped(&place, 300, "");
    let mut altered = STANDARD.decode(&blobs[16]).unwrap();
    altered[100] ^= 1;
    blobs[16] = STANDARD.encode(altered);
    blobs[201] = "not base64!".to_owned();
    blobs[250] = String::new();
    place.write("old.blobs", lines(&blobs));
    let args = ["re-encrypt", "old.blobs", "--to", "alias/orders"];
    let ended = place.run(&args);
    assert_eq!(ended.code, 1);
    let said: Vec<_> = ended.stderr.lines().collect();
    assert!(said[0].starts_with("line 17: KMS_ERR_CIPHERTEXT_INVALID (InvalidParameter): "));
    assert!(said[1].starts_with("line 202: KMS_ERR_NOT_A_BLOB (InvalidParameter): "));
    assert!(said[2].starts_with("299 blobs, 2 refused, "), "{}", said[2]);
    assert_eq!(said.len(), 3);
    let text = ended.text();
    let rewrapped: Vec<_> = text.lines().collect();
    assert_eq!(rewrapped.len(), 300);
    for (index, line) in rewrapped.iter().enumerate() {
        assert_eq!(line.is_empty(), [16, 201, 250].contains(&index), "{index}");
    }
    // The lines that did open stay, also in a file.
    let ended = place.run(&[&args[..], &["--out", "new.blobs"]].concat());
    assert_eq!(ended.code, 1);
    assert_eq!(
        place
            .read("new.blobs")
            .iter()
            .filter(|byte| **byte == b'\n')
            .count(),
        300
    );

    let ended = place.run(&[&args[..], &["--json"]].concat());
    assert_eq!(ended.code, 1);
    let text = ended.text();
    let told: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(told.len(), 299);
    assert_eq!(told[16]["Line"], 17);
    assert_eq!(told[16]["Error"]["Status"], "KMS_ERR_CIPHERTEXT_INVALID");
    assert!(told[17]["CiphertextBlob"].is_string());
}

#[test]
fn what_is_wrong_with_the_destination_ends_it_at_once() {
    let place = Place::with_key();
    let (_, blobs) = wrapped(&place, 3, "");
    place.write("old.blobs", lines(&blobs));
    place.ok(&["create-key", "--alias", "alias/other"]);
    place.ok(&["disable", "alias/other"]);
    for to in ["alias/none", "alias/other"] {
        let args = ["re-encrypt", "old.blobs", "--to", to, "--out", "new.blobs"];
        let stderr = place.fails(1, &args);
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(!place.path("new.blobs").exists());
    }
    assert_eq!(
        place
            .piped(&["re-encrypt", "--to", "alias/orders"], b"")
            .code,
        1
    );
    assert_eq!(
        place
            .piped(&["re-encrypt", "--to", "alias/orders"], b"\n\n")
            .code,
        1
    );
}

#[test]
fn one_blob_stays_as_it_came() {
    let place = Place::with_key();
    let (keys, blobs) = wrapped(&place, 1, "");
    place.write("raw.blob", STANDARD.decode(&blobs[0]).unwrap());
    let raw = place.run(&["re-encrypt", "raw.blob", "--to", "alias/orders"]);
    assert_eq!(raw.stdout.len(), 142);
    let text = place.run(&["re-encrypt", "--blob", &blobs[0], "--to", "alias/orders"]);
    assert_eq!(text.stdout.len(), 193);
    assert_eq!(text.stderr, "");
    for blob in [raw.stdout, text.stdout] {
        assert_eq!(place.piped(&["decrypt"], &blob).stdout, keys);
    }
    let json = place.json(&["re-encrypt", "raw.blob", "--to", "alias/orders"]);
    assert!(json["CiphertextBlob"].is_string() && json["KeyVersionId"].is_string());
}

#[test]
fn the_context_stays_unless_another_is_given() {
    let place = Place::with_key();
    let (_, blobs) = wrapped(&place, 1, r#"{"db":"a"}"#);
    let to = |more: &[&str]| {
        let args = [
            "re-encrypt",
            "--blob",
            &blobs[0],
            "--to",
            "alias/orders",
            "-c",
            "db=a",
        ];
        place.ok(&[&args[..], more].concat()).trim().to_owned()
    };
    let opens = |blob: &str, context: &[&str]| {
        place
            .run(&[&["decrypt", "--blob", blob][..], context].concat())
            .code
            == 0
    };
    assert!(opens(&to(&[]), &["-c", "db=a"]));
    assert!(!opens(&to(&[]), &[]));
    assert!(opens(&to(&["--to-context", "db=b"]), &["-c", "db=b"]));
    assert!(opens(&to(&["--to-context-json", "{}"]), &[]));
    place.ok(&["create-key", "--alias", "alias/other"]);
    let args = [
        "re-encrypt",
        "--blob",
        &blobs[0],
        "--to",
        "alias/orders",
        "-c",
        "db=a",
    ];
    let stderr = place
        .run(&[&args[..], &["--expect", "alias/other"]].concat())
        .stderr;
    assert!(stderr.contains("KMS_ERR_KEY_MISMATCH"), "{stderr}");
}

#[test]
fn blobs_that_were_wrapped_into_lines() {
    let place = Place::with_key();
    let (keys, blobs) = wrapped(&place, 4, "");
    let wrap = |blob: &str, width: &str| {
        place.write("one", STANDARD.decode(blob).unwrap());
        let output = Command::new("base64")
            .args(["-w", width, "one"])
            .current_dir(&place.directory)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let file = wrap(&blobs[0], "76");
    assert_eq!(file.lines().count(), 3);
    place.write("wrapped", &file);
    assert_eq!(place.run(&["decrypt", "wrapped"]).stdout, keys[..32]);
    let dos = file.replace('\n', "\r\n");
    assert_eq!(place.piped(&["decrypt"], dos.as_bytes()).stdout, keys[..32]);
    assert_eq!(
        place.ok(&["inspect", "wrapped"]),
        place.ok(&["inspect", "--blob", &blobs[0]])
    );
    let call = ["call", "Action=Decrypt", "CiphertextBlob@wrapped"];
    assert_eq!(
        place.run(&call).json()["Plaintext"],
        STANDARD.encode(&keys[..32])
    );

    // Many, each in its way; one does not open and is named by its first line.
    let spoilt = format!("{}AAAA{}", &blobs[3][..60], &blobs[3][64..]);
    let all = [
        wrap(&blobs[0], "64"),
        format!("{}\n", blobs[1]),
        wrap(&spoilt, "76"),
        wrap(&blobs[2], "76"),
        "\n".to_owned(),
        wrap(&blobs[3], "76"),
    ];
    place.write("many", all.concat());
    let ended = place.run(&["re-encrypt", "many", "--to", "alias/orders"]);
    assert_eq!(ended.code, 1);
    assert!(
        ended
            .stderr
            .starts_with("line 5: KMS_ERR_CIPHERTEXT_INVALID "),
        "{}",
        ended.stderr
    );
    let text = ended.text();
    let rewrapped: Vec<_> = text.lines().collect();
    assert_eq!(rewrapped.len(), 6);
    assert_eq!((rewrapped[2], rewrapped[4]), ("", ""));
    for (line, key) in [(0, 0), (1, 1), (3, 2), (5, 3)] {
        let opened = place.run(&["decrypt", "--blob", rewrapped[line]]);
        assert_eq!(opened.stdout, keys[32 * key..][..32], "{line}");
    }
    let said = place.fails(2, &["decrypt", "many"]);
    assert!(said.contains("more than one blob"), "{said}");
}
