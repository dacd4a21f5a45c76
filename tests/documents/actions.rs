//! What each action answers, and how one that is not there is refused.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kmsbox::action::Action;
use kmsbox::blob::Content;
use kmsbox::error::Status;

use super::{NO_SUCH_ID, decode, fields, is_date};
use crate::client::{Client, Place, form, is_id};
use crate::known_answers::known_answers;

const METADATA: [&str; 15] = [
    "Arn",
    "AutomaticRotation",
    "CreationDate",
    "Creator",
    "DeleteDate",
    "Description",
    "KeyId",
    "KeySpec",
    "KeyState",
    "KeyUsage",
    "LastRotationDate",
    "MaterialExpireTime",
    "Origin",
    "PrimaryKeyVersion",
    "ProtectionLevel",
];

#[test]
fn create_and_describe_a_key() {
    let client = Client::in_memory();
    let request = "Action=CreateKey&Description=orders+%222026%22%0a%c3%a9&KeySpec=Aliyun_AES_256\
                   &KeyUsage=ENCRYPT%2FDECRYPT&Origin=Aliyun_KMS&ProtectionLevel=SOFTWARE";
    let made = client.call(request);
    made.outcome.as_ref().unwrap();
    assert_eq!(fields(&made.text), ["KeyMetadata", "RequestId"]);
    let answer = made.json();
    assert_eq!(answer["RequestId"], made.request_id.as_str());
    let key = &answer["KeyMetadata"];
    assert_eq!(fields(&key.to_string()), METADATA);
    let key_id = key["KeyId"].as_str().unwrap();
    assert!(is_id(key_id) && is_id(key["PrimaryKeyVersion"].as_str().unwrap()));
    assert_eq!(made.key_id, key_id);
    assert_eq!(
        made.key_version_id,
        key["PrimaryKeyVersion"].as_str().unwrap()
    );
    for (name, value) in [
        ("Arn", format!("acs:kms:local:0:key/{key_id}").as_str()),
        ("Description", "orders \"2026\"\n\u{e9}"),
        ("KeyState", "Enabled"),
        ("KeySpec", "Aliyun_AES_256"),
        ("KeyUsage", "ENCRYPT/DECRYPT"),
        ("Origin", "Aliyun_KMS"),
        ("ProtectionLevel", "SOFTWARE"),
        ("AutomaticRotation", "Disabled"),
        ("DeleteDate", ""),
        ("MaterialExpireTime", ""),
    ] {
        assert_eq!(key[name], value, "{name}");
    }
    assert!(is_date(&key["CreationDate"]) && is_date(&key["LastRotationDate"]));

    let arn = form(key["Arn"].as_str().unwrap());
    for name in [key_id, arn.as_str()] {
        let described = client.call(&format!("Action=DescribeKey&KeyId={name}"));
        let mut described_key = described.json()["KeyMetadata"].take();
        for (more, value) in [
            ("DeletionProtection", "Disabled"),
            ("DeletionProtectionDescription", ""),
        ] {
            let told = described_key.as_object_mut().unwrap().remove(more);
            assert_eq!(told, Some(value.into()), "only DescribeKey tells {more}");
        }
        assert_eq!(described_key, *key);
        assert_eq!(described.key_id, key_id);
    }
    client.done(&format!("Action=DisableKey&KeyId={key_id}"));
    let described = client.done(&format!("Action=DescribeKey&KeyId={key_id}"));
    assert_eq!(described["KeyMetadata"]["KeyState"], "Disabled");
    assert_eq!(
        client.create_key().len(),
        36,
        "nothing of a key must be given"
    );
}

#[test]
fn how_long_a_description_may_be() {
    let client = Client::in_memory();
    for character in ["x", "%c3%a9"] {
        let description = character.repeat(8192);
        let made = client.done(&format!("Action=CreateKey&Description={description}"));
        let kept = made["KeyMetadata"]["Description"].as_str().unwrap();
        assert_eq!(kept.chars().count(), 8192);
        let refused = client.refused(&format!("Action=CreateKey&Description={description}x"));
        assert_eq!(refused, Status::InvalidParameter);
    }
}

#[test]
fn what_a_key_cannot_be() {
    let client = Client::in_memory();
    let (unsupported, invalid) = (Status::UnsupportedOperation, Status::InvalidParameter);
    for (parameter, status) in [
        ("KeySpec=Aliyun_SM4", unsupported),
        ("KeySpec=RSA_2048", unsupported),
        ("KeySpec=EC_P256", unsupported),
        ("KeySpec=AES_256", invalid),
        ("KeySpec=aliyun_aes_256", invalid),
        ("KeyUsage=SIGN/VERIFY", unsupported),
        ("KeyUsage=ENCRYPT", invalid),
        ("Origin=External", invalid),
        ("Origin=aliyun_kms", invalid),
        ("ProtectionLevel=HSM", Status::UnsupportedProtectionLevel),
        ("ProtectionLevel=software", invalid),
    ] {
        let refused = client.refused(&format!("Action=CreateKey&{parameter}"));
        assert_eq!(refused, status, "{parameter}");
    }
    assert_eq!(client.done("Action=ListKeys")["TotalCount"], 0);
}

#[test]
fn changes_answer_with_the_request_id_alone() {
    let client = Client::in_memory();
    let key_id = client.create_key();
    for request in [
        format!("Action=DisableKey&KeyId={key_id}"),
        format!("Action=EnableKey&KeyId={key_id}"),
        format!("Action=CreateAlias&KeyId={key_id}&AliasName=alias%2Forders"),
    ] {
        let answer = client.call(&request);
        answer.outcome.as_ref().unwrap();
        assert_eq!(fields(&answer.text), ["RequestId"], "{request}");
        assert_eq!(answer.json()["RequestId"], answer.request_id.as_str());
        assert_eq!(
            (answer.key_id.as_str(), answer.key_version_id.as_str()),
            ("", "")
        );
    }
}

#[test]
fn create_a_version() {
    let client = Client::in_memory();
    let key_id = client.create_key();
    let answer = client.call(&format!("Action=CreateKeyVersion&KeyId={key_id}"));
    answer.outcome.as_ref().unwrap();
    assert_eq!(fields(&answer.text), ["KeyVersion", "RequestId"]);
    let version = &answer.json()["KeyVersion"];
    assert_eq!(
        fields(&version.to_string()),
        ["CreationDate", "KeyId", "KeyVersionId"]
    );
    assert!(is_date(&version["CreationDate"]));
    assert_eq!(version["KeyId"], key_id);
    assert_eq!(answer.key_id, key_id);
    assert_eq!(version["KeyVersionId"], answer.key_version_id.as_str());
}

#[test]
fn data_keys() {
    let client = Client::in_memory();
    let key_id = client.create_key();
    client.done(&format!(
        "Action=CreateAlias&KeyId={key_id}&AliasName=alias/data"
    ));
    let json = r#"{"table":"orders & more","n":"1+1=2 é"}"#;
    let context = format!("&EncryptionContext={}", form(json));
    for (asked, len) in [
        ("", 32),
        ("&KeySpec=AES_256", 32),
        ("&KeySpec=AES_128", 16),
        ("&NumberOfBytes=1", 1),
        ("&NumberOfBytes=1024", 1024),
        ("&NumberOfBytes=64&KeySpec=AES_128", 64),
        ("&NumberOfBytes=64&KeySpec=none", 64),
        ("&NumberOfBytes=&KeySpec=", 32),
    ] {
        let request = format!("KeyId=alias%2Fdata{asked}{context}");
        let made = client.call(&format!("Action=GenerateDataKey&{request}"));
        made.outcome.as_ref().unwrap();
        let names = [
            "CiphertextBlob",
            "KeyId",
            "KeyVersionId",
            "Plaintext",
            "RequestId",
        ];
        assert_eq!(fields(&made.text), names);
        let answer = made.json();
        assert_eq!(answer["KeyId"], key_id);
        assert_eq!(
            (answer["KeyId"].as_str(), answer["KeyVersionId"].as_str()),
            (
                Some(made.key_id.as_str()),
                Some(made.key_version_id.as_str())
            )
        );
        let plaintext = decode(&answer["Plaintext"]);
        assert_eq!(plaintext.len(), len);

        // The C function opens it, and so does Decrypt.
        let blob = decode(&answer["CiphertextBlob"]);
        let opened = client.decrypt(Some(&key_id), &blob, Some(json)).unwrap();
        assert_eq!(opened.plaintext, plaintext);
        let in_form = form(answer["CiphertextBlob"].as_str().unwrap());
        let opened = client.call(&format!("Action=Decrypt&CiphertextBlob={in_form}{context}"));
        opened.outcome.as_ref().unwrap();
        assert_eq!(
            fields(&opened.text),
            ["KeyId", "KeyVersionId", "Plaintext", "RequestId"]
        );
        for same in ["KeyId", "KeyVersionId", "Plaintext"] {
            assert_eq!(opened.json()[same], answer[same]);
        }
        assert_eq!(opened.key_id, key_id);

        let unseen = client.call(&format!("Action=GenerateDataKeyWithoutPlaintext&{request}"));
        unseen.outcome.as_ref().unwrap();
        let names = ["CiphertextBlob", "KeyId", "KeyVersionId", "RequestId"];
        assert_eq!(fields(&unseen.text), names);
        let blob = decode(&unseen.json()["CiphertextBlob"]);
        let opened = client.decrypt(None, &blob, Some(json)).unwrap();
        assert_eq!(opened.plaintext.len(), len);
    }
}

#[test]
fn what_decrypt_refuses() {
    let client = Client::in_memory();
    let key_id = client.create_key();
    let made = client.done(&format!("Action=GenerateDataKey&KeyId={key_id}"));
    let blob = made["CiphertextBlob"].as_str().unwrap();
    let decrypt = |blob: &str, more: &str| {
        client.refused(&format!("Action=Decrypt&CiphertextBlob={blob}{more}"))
    };
    let wrong_context = "&EncryptionContext=%7B%22a%22:%22b%22%7D";
    assert_eq!(
        decrypt(&form(blob), wrong_context),
        Status::CiphertextInvalid
    );
    assert_eq!(
        decrypt(&form(blob), "&EncryptionContext=x"),
        Status::InvalidParameter
    );
    assert_eq!(decrypt("", ""), Status::MissingParameter);
    for wrong in [
        "x",
        "AAAA",
        &form(&blob[4..]),
        &form(&format!(" {blob}")),
        &form(&blob.replacen(char::is_alphanumeric, "-", 1)),
        &format!("{}=", form(blob)),
        // A plus sign that was not encoded is a space.
        "iUtN+Qxx",
    ] {
        assert_eq!(decrypt(wrong, ""), Status::NotABlob, "{wrong}");
    }
    assert_eq!(decrypt("%FF%FF", ""), Status::InvalidParameter);
}

/// What the API's Encrypt was given comes back as it was given; the keystore and its blobs are of another
/// writer.
#[test]
fn text_comes_back_as_text() {
    let place = Place::new();
    place.file(
        "keystore",
        include_bytes!("../known_answers/keystore-v1.json"),
    );
    let mut options = place.options();
    let root_key: Vec<u8> = (0x80..0xA0).collect();
    options.root_key(&root_key);
    let client = options.open().unwrap();
    let mut texts = 0;
    for case in known_answers().cases {
        let context = case.contexts[0].as_str();
        let opened = client.decrypt(None, &case.blob, Some(context)).unwrap();
        assert_eq!(opened.plaintext, case.plaintext);
        assert_eq!(opened.content, i32::from(case.content as u8));
        let blob = STANDARD.encode(&case.blob);
        let request = format!(
            "Action=Decrypt&CiphertextBlob={}&EncryptionContext={}",
            form(&blob),
            form(context)
        );
        let plaintext = &client.done(&request)["Plaintext"];
        match case.content {
            Content::Bytes => assert_eq!(decode(plaintext), case.plaintext),
            Content::Text => {
                texts += 1;
                assert_eq!(plaintext.as_str().unwrap().as_bytes(), case.plaintext);
            }
        }
    }
    assert!(texts > 0);
}

#[test]
fn every_other_action_is_unsupported() {
    let client = Client::in_memory();
    let offered: Vec<_> = kmsbox::document::actions()
        .map(|(action, _)| action.name())
        .collect();
    let api = Action::ALL.iter().map(|action| action.name());
    let others = api.filter(|name| !offered.contains(name));
    let unknown = [
        "AsymmetricSign",
        "CreateSecret",
        "createkey",
        "CreateKey ",
        "../x",
        "<b>",
    ];
    let mut tried = 0;
    for name in others.chain(unknown) {
        // Its parameters are not known, and so not minded.
        let request = format!("Action={}&KeyId={NO_SUCH_ID}&Other=1", form(name));
        let answer = client.call(&request);
        let refusal = answer.outcome.as_ref().unwrap_err();
        assert_eq!(refusal.status, Status::UnsupportedOperation, "{name}");
        assert_eq!(answer.json()["Code"], "UnsupportedOperation");
        assert!(refusal.message.contains(name));
        tried += 1;
    }
    assert_eq!(tried, Action::ALL.len() - offered.len() + unknown.len());
    for name in offered {
        let status = client.call(&format!("Action={name}")).outcome;
        let supported = status.map_err(|refusal| refusal.status);
        assert_ne!(supported, Err(Status::UnsupportedOperation), "{name}");
    }
}
