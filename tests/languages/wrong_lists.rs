//! Lists with one thing wrong, which a runner must not pass over: a runner that finds nothing wrong proves
//! nothing with its good lists.

use std::fs;

use crate::runners::{self, Language};
use crate::support::{Output, run, scratch_dir};

/// Steps that hold, before the one in question; it stands on line 8.
const BEFORE: &str = "\
case wrong
call Action=CreateKey save=cmk -> KMS_OK
call Action=CreateKey save=other -> KMS_OK
generate_data_key key_id={cmk.KeyId} save=dk -> KMS_OK
call Action=Encrypt KeyId={cmk.KeyId} Plaintext=text save=text -> KMS_OK
encrypt key_id={cmk.KeyId} plaintext=00ff save=two -> KMS_OK

";
const LINE: usize = 8;

/// A case after it, which is performed all the same.
const AFTER: &str = "
case right
call Action=CreateKey -> KMS_OK
";

/// Expectations that are not met.
const NOT_MET: &[&str] = &[
    // The status, the code, or both.
    "generate_data_key key_id={cmk.KeyId} -> KMS_ERR_KEY_NOT_FOUND Forbidden.KeyNotFound",
    "generate_data_key key_id=nonsense -> KMS_OK",
    "generate_data_key key_id=nonsense -> KMS_ERR_ALIAS_NOT_FOUND Forbidden.KeyNotFound",
    "generate_data_key key_id=nonsense -> KMS_ERR_KEY_NOT_FOUND Forbidden.AliasNotFound",
    "generate_data_key_without_plaintext key_id=nonsense -> KMS_OK",
    "generate_data_keys key_id=nonsense count=2 -> KMS_OK",
    "decrypt blob={dk.blob} flip=141 -> KMS_OK",
    "decrypt blob={dk.blob} -> KMS_ERR_CIPHERTEXT_INVALID InvalidParameter",
    "decrypt blob={dk.blob} context.a=b -> KMS_OK",
    "decrypt blob={dk.blob} context_json=%7B\"a\":\"b\"} -> KMS_OK",
    "decrypt blob={dk.blob} cut=1 -> KMS_OK",
    "decrypt blob={dk.blob} expected_key_id={other.KeyId} -> KMS_OK",
    "decrypt blob={dk.blob} expected_key_id= -> KMS_OK",
    "decrypt blob={dk.blob} plaintext_capacity=31 -> KMS_OK",
    "encrypt key_id={cmk.KeyId} plaintext= -> KMS_OK",
    "re_encrypt blob={dk.blob} destination_key_id=alias/nobody -> KMS_OK",
    "re_encrypt blob={dk.blob} source_context.a=b destination_key_id={cmk.KeyId} -> KMS_OK",
    "re_encrypt_many blobs={dk.blob} destination_key_id= -> KMS_OK",
    "call Action=DescribeKey KeyId=nonsense -> KMS_OK",
    "call Action=CreateKey -> KMS_ERR_NO_PERMISSION Forbidden.NoPermission",
    "open keystore=memory: -> KMS_OK",
    "open keystore=memory: root_key_bytes=42 -> KMS_ERR_INVALID_OPTION InvalidParameter",
    // What came of it.
    "decrypt blob={dk.blob} -> KMS_OK plaintext=00",
    "decrypt blob={two.blob} -> KMS_OK plaintext=00fe",
    "decrypt blob={two.blob} -> KMS_OK plaintext=",
    "decrypt blob={dk.blob} -> KMS_OK plaintext_len=31",
    "decrypt blob={dk.blob} -> KMS_OK content=text",
    "decrypt blob={text.blob} -> KMS_OK content=bytes",
    "decrypt blob={dk.blob} -> KMS_OK key_id={other.KeyId}",
    "decrypt blob={dk.blob} -> KMS_OK key_version_id={other.PrimaryKeyVersion}",
    "generate_data_key key_id={cmk.KeyId} -> KMS_OK plaintext_len=16",
    "generate_data_key key_id={cmk.KeyId} -> KMS_OK blob_len=141",
    "generate_data_key key_id={cmk.KeyId} -> KMS_OK plaintext_len=32 blob_len=142 key_id={other.KeyId}",
    "generate_data_key key_id={cmk.KeyId} -> KMS_OK key_version_id={other.PrimaryKeyVersion}",
    "generate_data_key key_id={cmk.KeyId} plaintext_capacity=0 blob_capacity=0 -> KMS_ERR_BUFFER_TOO_SMALL InvalidParameter plaintext_len=31",
    "generate_data_key key_id={cmk.KeyId} plaintext_capacity=0 blob_capacity=0 -> KMS_ERR_BUFFER_TOO_SMALL InvalidParameter blob_len=141",
    "generate_data_key_without_plaintext key_id={cmk.KeyId} -> KMS_OK blob_len=126",
    "generate_data_key_without_plaintext key_id={cmk.KeyId} -> KMS_OK key_id={other.KeyId}",
    "encrypt key_id={cmk.KeyId} plaintext=00 -> KMS_OK blob_len=112",
    "encrypt key_id={cmk.KeyId} plaintext=00 -> KMS_OK key_version_id={other.PrimaryKeyVersion}",
    "re_encrypt blob={dk.blob} destination_key_id={other.KeyId} -> KMS_OK key_id={cmk.KeyId}",
    "re_encrypt blob={dk.blob} destination_key_id={other.KeyId} -> KMS_OK blob_len=141",
    "generate_data_keys key_id={cmk.KeyId} count=2 -> KMS_OK count=3",
    "generate_data_keys key_id={cmk.KeyId} count=2 -> KMS_OK plaintext_len=64",
    "generate_data_keys key_id={cmk.KeyId} count=2 -> KMS_OK blob_len=284",
    "generate_data_keys key_id={cmk.KeyId} count=2 -> KMS_OK key_id={other.KeyId}",
    "re_encrypt_many blobs={dk.blob},00 destination_key_id={cmk.KeyId} -> KMS_OK statuses=KMS_OK,KMS_OK",
    "re_encrypt_many blobs={dk.blob},00 destination_key_id={cmk.KeyId} -> KMS_OK statuses=KMS_OK",
    "call Action=DescribeKey KeyId={cmk.KeyId} -> KMS_OK member.KeyState=Disabled",
    "call Action=DescribeKey KeyId={cmk.KeyId} -> KMS_OK member.KeyStates=Enabled",
    "call Action=DescribeKey KeyId={cmk.KeyId} -> KMS_OK key_id={other.KeyId}",
    "call Action=ListKeys -> KMS_OK member.TotalCount=3",
];

/// What is no list.
const NO_LIST: &[&str] = &[
    "decipher blob={dk.blob} -> KMS_OK",
    "decrypt blob={dk.blob} key_id={cmk.KeyId} -> KMS_OK",
    "decrypt blob={dk.blob} colour=red -> KMS_OK",
    "decrypt blob={dk.blob} source_context.a=b -> KMS_ERR_CIPHERTEXT_INVALID InvalidParameter",
    "generate_data_key_without_plaintext key_id={cmk.KeyId} plaintext_capacity=32 -> KMS_OK",
    "re_encrypt blob={dk.blob} destination_key_id={cmk.KeyId} context.a=b -> KMS_OK",
    "decrypt blob={dk.blob} -> KMS_OK blob_len=142",
    "decrypt blob={dk.blob} -> KMS_OK colour=red",
    "encrypt key_id={cmk.KeyId} plaintext=00 -> KMS_OK plaintext_len=1",
    "call Action=ListKeys -> KMS_OK TotalCount=2",
    "decrypt blob={dk.blob} -> KMS_FINE",
    "decrypt blob=00 -> KMS_ERR_NOT_A_BLOB",
    "decrypt blob={dk.blob} save=key",
    "decrypt blob={dk.blob} ->",
    "decrypt {dk.blob} -> KMS_OK",
    "decrypt blob={nobody.blob} -> KMS_OK",
    "decrypt blob={dk.colour} -> KMS_OK",
    "decrypt blob=0 -> KMS_ERR_NOT_A_BLOB InvalidParameter",
    "decrypt blob=xy -> KMS_ERR_NOT_A_BLOB InvalidParameter",
    "decrypt blob={dk.blob} flip=x -> KMS_OK",
    "decrypt blob={dk.blob} flip=142 -> KMS_OK",
    "decrypt blob={dk.blob} cut=143 -> KMS_OK",
    "generate_data_key key_id={cmk.KeyId} number_of_bytes=many -> KMS_OK",
    "generate_data_key key_id={cmk.KeyId} key_spec=AES_512 -> KMS_ERR_INVALID_PARAMETER InvalidParameter",
    "generate_data_key key_id=%4 -> KMS_ERR_KEY_NOT_FOUND Forbidden.KeyNotFound",
    "decrypt blob={dk.blob} context.a=b context_json=%7B} -> KMS_ERR_CIPHERTEXT_INVALID InvalidParameter",
    "decrypt blob=00 -> KMS_ERR_NOT_A_BLOB InvalidParameter plaintext_len=0",
    "generate_data_keys key_id={cmk.KeyId} count=2 without_plaintext=maybe -> KMS_OK",
];

#[test]
fn the_runner_of_c_is_honest() {
    tells_what_is_wrong(Language::C);
}

#[test]
fn the_runner_of_cpp_is_honest() {
    tells_what_is_wrong(Language::Cpp);
}

#[test]
fn the_runner_of_python_is_honest() {
    tells_what_is_wrong(Language::Python);
}

#[test]
fn the_runner_of_go_is_honest() {
    tells_what_is_wrong(Language::Go);
}

#[track_caller]
fn tells_what_is_wrong(language: Language) {
    if !runners::is_here(language) {
        return;
    }
    let mut passed_over = Vec::new();
    // All at once, a case for each: a program takes a while to start. Each must be told of by its line.
    let list: String = (NOT_MET.iter().enumerate())
        .map(|(at, step)| {
            format!(
                "{}{step}\n",
                BEFORE.replacen("wrong", &format!("wrong_{at}"), 1)
            )
        })
        .collect();
    let output = run_list(language, &format!("{list}{AFTER}"));
    let told: Vec<&str> = output.stdout.lines().collect();
    for (at, step) in NOT_MET.iter().enumerate() {
        let start = format!("not ok wrong_{at}: line {}: ", LINE * (at + 1));
        if !told
            .get(at)
            .is_some_and(|line| line.len() > start.len() && line.starts_with(&start))
        {
            passed_over.push(format!("{step}\n    {:?}", told.get(at)));
        }
    }
    if told.get(NOT_MET.len()..) != Some(&["ok right"]) || output.status.code() != Some(1) {
        passed_over.push(format!("what came at the end: {output:?}"));
    }

    let before_a_case = "call Action=CreateKey -> KMS_OK\n".to_owned();
    let no_list = NO_LIST
        .iter()
        .map(|step| format!("{BEFORE}{step}\n{AFTER}"));
    let no_client = format!(
        "{BEFORE}open -> KMS_ERR_MISSING_PARAMETER MissingParameter\ndecrypt blob={{dk.blob}} -> KMS_OK\n"
    );
    for list in no_list.chain([before_a_case, no_client]) {
        let output = run_list(language, &list);
        if output.status.code() != Some(2) || output.stderr.is_empty() {
            let step = list.lines().nth(LINE - 1).unwrap_or(&list);
            passed_over.push(format!("{step}\n    {output:?}"));
        }
    }
    assert!(
        passed_over.is_empty(),
        "{language:?}: {}",
        passed_over.join("\n")
    );
}

/// Without a list, or a folder, nothing is performed.
#[test]
fn the_runner_of_c_needs_its_arguments() {
    let scratch = scratch_dir();
    for arguments in [
        &[][..],
        &["list"],
        &["list", "--dir"],
        &["missing", "--dir", "."],
    ] {
        let mut command = runners::runner(Language::C);
        let output = run(command.args(arguments).current_dir(scratch.path()));
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty());
    }
}

fn run_list(language: Language, text: &str) -> Output {
    let scratch = scratch_dir();
    let (list, dir) = (
        scratch.path().join("wrong.cases"),
        scratch.path().join("dir"),
    );
    fs::write(&list, text).expect("a scratch directory can be written");
    runners::make_private(&dir);
    let mut command = runners::runner(language);
    run(command.arg(&list).arg("--dir").arg(&dir))
}
