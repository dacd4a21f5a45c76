//! What the log says of a call about many blobs.

use kmsbox::action::Permissions;
use kmsbox::blob;
use kmsbox::context::Context;
use kmsbox::kms::{Destination, Kms, NewKey, SourceOf};
use kmsbox::options::Options;
use kmsbox::request_id::Call;
use serde_json::Value;

use crate::support::scratch_dir;

#[test]
fn each_blob_that_was_refused_is_counted_with_the_key_that_it_names() {
    let scratch = scratch_dir();
    let path = |name: &str| scratch.path().join(name).to_str().unwrap().to_owned();
    let mut options = Options::default();
    options.set("keystore", &path("keystore")).unwrap();
    options.set("create", "true").unwrap();
    options.set_root_key(&[3; 32]).unwrap();
    let all = Kms::open(&options).unwrap();
    let [allowed, other] = [(), ()].map(|()| {
        let key = all.create_key(&Call::default(), &NewKey::default());
        key.unwrap().key_id.to_string()
    });
    let context = Context::empty();
    let wrapped = |key_id: &str| {
        let mut wrapped = vec![0; blob::len(32)];
        all.generate_data_key_without_plaintext(&Call::default(), key_id, &context, &mut wrapped)
            .unwrap();
        wrapped
    };
    let blobs = [
        wrapped(&allowed),
        wrapped(&other),
        wrapped(&other),
        vec![0; 142],
    ];

    let permissions = format!("ReEncryptFrom@{allowed},ReEncryptTo");
    options.permissions = Permissions::parse(&permissions).unwrap();
    options.set("audit_log", &path("log")).unwrap();
    let limited = Kms::open(&options).unwrap();
    let blobs: Vec<&[u8]> = blobs.iter().map(Vec::as_slice).collect();
    let source = SourceOf {
        expected_key_id: None,
        context: &context,
    };
    let destination = Destination {
        key_id: &allowed,
        context: &context,
    };
    let mut rewrapped = vec![0; 4 * 142];
    limited
        .re_encrypt_many(
            &Call::default(),
            &blobs,
            source,
            &destination,
            &mut rewrapped,
            |_, _| {},
        )
        .unwrap();

    let log = std::fs::read_to_string(path("log")).unwrap();
    let [line] = &log.lines().collect::<Vec<_>>()[..] else {
        panic!("{log}")
    };
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["status"], "KMS_ERR_NO_PERMISSION");
    assert_eq!(line["count"], 4);
    let mut told: Vec<_> = (line["blobs"].as_array().unwrap().iter())
        .map(|group| {
            let key = group["blob_key_id"].as_str().unwrap_or("none").to_owned();
            (
                group["status"].as_str().unwrap(),
                key,
                group["count"].as_u64().unwrap(),
            )
        })
        .collect();
    told.sort();
    let mut expected = vec![
        ("KMS_ERR_NOT_A_BLOB", "none".to_owned(), 1),
        ("KMS_ERR_NO_PERMISSION", other, 2),
        ("KMS_OK", allowed, 1),
    ];
    expected.sort();
    assert_eq!(told, expected);
}
