//! Requests that are refused, and the documents that say so.

use kmsbox::error::Status;

use super::{NO_SUCH_ID, fields};
use crate::client::Client;

/// Every refusal has its document, which says what the response says.
#[test]
fn the_error_document() {
    let client = Client::in_memory();
    let key_id = client.create_key();
    client.done(&format!("Action=DisableKey&KeyId={key_id}"));
    client.done(&format!(
        "Action=CreateAlias&KeyId={key_id}&AliasName=alias/a"
    ));
    for (request, http, code, status) in [
        ("", 400, "MissingParameter", Status::MissingParameter),
        (
            "Action=Fly",
            400,
            "UnsupportedOperation",
            Status::UnsupportedOperation,
        ),
        (
            "Action=ListKeys&PageSize=0",
            400,
            "InvalidParameter",
            Status::InvalidParameter,
        ),
        (
            &format!("Action=DescribeKey&KeyId={NO_SUCH_ID}"),
            404,
            "Forbidden.KeyNotFound",
            Status::KeyNotFound,
        ),
        (
            "Action=DescribeKey&KeyId=alias/b",
            404,
            "Forbidden.AliasNotFound",
            Status::AliasNotFound,
        ),
        (
            "Action=GenerateDataKey&KeyId=alias/a",
            409,
            "Rejected.Disabled",
            Status::Disabled,
        ),
        (
            "Action=EnableKey&KeyId=alias/a",
            400,
            "Unsupported.Alias",
            Status::UnsupportedAlias,
        ),
        (
            &format!("Action=CreateAlias&KeyId={key_id}&AliasName=alias/a"),
            400,
            "AliasAlreadyExists",
            Status::AliasExists,
        ),
        (
            "Action=Decrypt&CiphertextBlob=AAAA",
            400,
            "InvalidParameter",
            Status::NotABlob,
        ),
        (
            "Action=CreateKey&ProtectionLevel=HSM",
            400,
            "Unsupported.ProtectionLevel",
            Status::UnsupportedProtectionLevel,
        ),
    ] {
        let answer = client.call(request);
        let names = ["Code", "HttpStatus", "Message", "RequestId"];
        assert_eq!(fields(&answer.text), names, "{request}");
        let error = answer.json();
        assert_eq!(
            (error["HttpStatus"].as_u64(), error["Code"].as_str()),
            (Some(http), Some(code))
        );
        assert_eq!(error["RequestId"], answer.request_id.as_str());
        assert_eq!(
            (answer.key_id.as_str(), answer.key_version_id.as_str()),
            ("", "")
        );
        let refusal = answer.outcome.unwrap_err();
        assert_eq!(refusal.status, status, "{request}");
        assert_eq!(error["Message"], refusal.message);
    }
}

#[test]
fn request_ids_differ() {
    let client = Client::in_memory();
    let ids: std::collections::HashSet<String> = (0..100)
        .map(|_| client.call("Action=ListKeys").request_id)
        .collect();
    assert_eq!(ids.len(), 100);
}

#[test]
fn missing_parameters_are_named() {
    let client = Client::in_memory();
    for (request, name) in [
        ("", "Action"),
        ("KeyId=x", "Action"),
        ("Action=", "Action"),
        ("Action", "Action"),
        ("Action=DescribeKey", "KeyId"),
        ("Action=DescribeKey&KeyId=", "KeyId"),
        ("Action=EnableKey", "KeyId"),
        ("Action=DisableKey", "KeyId"),
        ("Action=CreateKeyVersion", "KeyId"),
        ("Action=CreateAlias&AliasName=alias/a", "KeyId"),
        ("Action=CreateAlias&KeyId=x", "AliasName"),
        ("Action=GenerateDataKey", "KeyId"),
        (
            "Action=GenerateDataKeyWithoutPlaintext&KeySpec=AES_256",
            "KeyId",
        ),
        ("Action=Decrypt", "CiphertextBlob"),
    ] {
        let refusal = client.call(request).outcome.unwrap_err();
        assert_eq!(refusal.status, Status::MissingParameter, "{request}");
        let message = format!("The parameter \"{name}\" is needed but not provided.");
        assert_eq!(refusal.message, message, "{request}");
    }
}

/// A parameter that an action does not know, such as a misspelt context, must not be passed over.
#[test]
fn unknown_and_repeated_parameters_are_named() {
    let client = Client::in_memory();
    let key_id = client.create_key();
    for (request, name) in [
        ("Action=ListKeys&KeyId=x", "KeyId"),
        ("Action=ListKeys&pagesize=1", "pagesize"),
        ("Action=CreateKey&Tags=x", "Tags"),
        (
            "Action=GenerateDataKey&KeyId=KEY&EncryptionContext.table=orders",
            "EncryptionContext.table",
        ),
        (
            "Action=GenerateDataKey&KeyId=KEY&EncryptionContxt=x",
            "EncryptionContxt",
        ),
        ("Action=DescribeKey&KeyId=KEY&DryRun=true", "DryRun"),
        ("Action=Decrypt&CiphertextBlob=x&KeyId=KEY", "KeyId"),
        ("Action=ListKeys&=x", ""),
        ("Action=ListKeys&Action=ListKeys", "Action"),
        ("Action=ListKeys&PageSize=1&PageSize=2", "PageSize"),
        ("Action=ListKeys&PageSize=1&Page%53ize=1", "PageSize"),
        ("Action=ListKeys&Format=JSON&Format=XML", "Format"),
        ("Action=ListKeys&PageSize&PageSize", "PageSize"),
        ("Action=ListKeys&Version=2015-01-01", "Version"),
        ("Action=ListKeys&Format=YAML", "Format"),
    ] {
        let refusal = client
            .call(&request.replace("KEY", &key_id))
            .outcome
            .unwrap_err();
        assert_eq!(refusal.status, Status::InvalidParameter, "{request}");
        let named = format!("\"{name}\"");
        assert!(
            refusal.message.contains(&named),
            "{request}: {}",
            refusal.message
        );
    }
}

#[test]
fn malformed_text() {
    let client = Client::in_memory();
    for request in [
        "Action=ListKeys&PageSize=%",
        "Action=ListKeys&PageSize=%4",
        "Action=ListKeys&PageSize=%zz",
        "Action=ListKeys&PageSize=%00",
        "Action=ListKeys&PageSize=%ff",
        "Action=ListKeys&PageSize=%c0%80",
        "Action=ListKeys&PageSize=%ed%a0%80",
        "%ff=ListKeys",
        "%",
    ] {
        assert_eq!(
            client.refused(request),
            Status::InvalidParameter,
            "{request}"
        );
    }
    let megabyte = 1 << 20;
    let padded = |len: usize| format!("Action=ListKeys{}", "&".repeat(len - 15));
    client.done(&padded(megabyte));
    assert_eq!(
        client.refused(&padded(megabyte + 1)),
        Status::InvalidParameter
    );
}

/// Text written for the service works as it is.
#[test]
fn a_request_of_the_service() {
    let client = Client::in_memory();
    let key_id = client.create_key();
    client.done(&format!(
        "&&KeyId={key_id}&NumberOfBytes=32&Version=2016-01-20&%41ction=Generate%44ataKey&Format=JSON\
         &RegionId=cn-hangzhou&Timestamp=2026-11-21T16%3A53%3A06Z&SignatureMethod=HMAC-SHA1\
         &SignatureType=&SignatureVersion=1.0&SignatureNonce=4731f8fcc7df317b33fee08710c79bb7\
         &AccessKeyId=testid&SecurityToken=x&Signature=fI3mTStGdZ2dXCqiuxUNis4ufEs%3D&"
    ));
}

#[test]
fn numbers_of_bytes() {
    let client = Client::in_memory();
    let key_id = client.create_key();
    for action in ["GenerateDataKey", "GenerateDataKeyWithoutPlaintext"] {
        let with = |value: &str| format!("Action={action}&KeyId={key_id}&NumberOfBytes={value}");
        for right in ["1", "2", "1023", "1024", "0032"] {
            client.done(&with(right));
        }
        for wrong in [
            "0",
            "1025",
            "-1",
            "+1",
            "%2B1",
            "1.5",
            "1e2",
            "32x",
            "0x20",
            "4294967297",
            "99999999999999999999",
        ] {
            let refusal = client.call(&with(wrong)).outcome.unwrap_err();
            assert_eq!(refusal.status, Status::InvalidParameter, "{wrong}");
            assert!(refusal.message.contains("\"NumberOfBytes\""));
        }
        for wrong in ["aes_256", "AES256", "AES_192", "1", "%20AES_128"] {
            let request = format!("Action={action}&KeyId={key_id}&KeySpec={wrong}");
            let refusal = client.call(&request).outcome.unwrap_err();
            assert_eq!(refusal.status, Status::InvalidParameter, "{wrong}");
            assert!(refusal.message.contains("\"KeySpec\""));
        }
    }
}

/// However long what was asked is, the response stays what it is and the document is well formed.
#[test]
fn a_long_message_is_cut_at_a_character() {
    let client = Client::in_memory();
    for cut in 0..4 {
        let name = format!("{}{}", "x".repeat(cut), "\u{1f511}".repeat(300));
        let answer = client.call(&format!("Action={}", crate::client::form(&name)));
        let full = answer.json()["Message"].as_str().unwrap().to_owned();
        let refusal = answer.outcome.unwrap_err();
        let first: String = name.chars().take(64).collect();
        assert!(full.contains(&first) && !full.contains(&format!("{first}\u{1f511}")));
        assert!(full.starts_with(&refusal.message));
        assert!((252..=255).contains(&refusal.message.len()));
    }
}
