//! The actions and their parameters, as tests/parameters.rs proves them and docs/api.md tells them.

#![allow(dead_code)]

/// Each action with the parameters that it needs and those that it takes besides.
#[rustfmt::skip]
pub const TABLE: &[(&str, &[&str], &[&str])] = &[
    ("CreateKey", &[], &["Description", "KeySpec", "KeyUsage", "Origin", "ProtectionLevel",
        "EnableAutomaticRotation", "RotationInterval", "Tags"]),
    ("DescribeKey", &["KeyId"], &[]),
    ("ListKeys", &[], &["PageNumber", "PageSize", "Filters"]),
    ("UpdateKeyDescription", &["KeyId", "Description"], &[]),
    ("EnableKey", &["KeyId"], &[]),
    ("DisableKey", &["KeyId"], &[]),
    ("ScheduleKeyDeletion", &["KeyId", "PendingWindowInDays"], &[]),
    ("CancelKeyDeletion", &["KeyId"], &[]),
    ("SetDeletionProtection", &["ProtectedResourceArn", "EnableDeletionProtection"],
        &["DeletionProtectionDescription"]),
    ("CreateKeyVersion", &["KeyId"], &[]),
    ("ListKeyVersions", &["KeyId"], &["PageNumber", "PageSize"]),
    ("DescribeKeyVersion", &["KeyId", "KeyVersionId"], &[]),
    ("UpdateRotationPolicy", &["KeyId", "EnableAutomaticRotation"], &["RotationInterval"]),
    ("CreateAlias", &["KeyId", "AliasName"], &[]),
    ("UpdateAlias", &["KeyId", "AliasName"], &[]),
    ("DeleteAlias", &["AliasName"], &[]),
    ("ListAliases", &[], &["PageNumber", "PageSize"]),
    ("ListAliasesByKeyId", &["KeyId"], &["PageNumber", "PageSize"]),
    ("TagResource", &["KeyId", "Tags"], &[]),
    ("UntagResource", &["KeyId", "TagKeys"], &[]),
    ("ListResourceTags", &["KeyId"], &[]),
    ("GetParametersForImport", &["KeyId", "WrappingAlgorithm", "WrappingKeySpec"], &[]),
    ("ImportKeyMaterial", &["KeyId", "EncryptedKeyMaterial", "ImportToken"], &["KeyMaterialExpireUnix"]),
    ("DeleteKeyMaterial", &["KeyId"], &[]),
    ("Encrypt", &["KeyId", "Plaintext"], &["EncryptionContext", "DryRun"]),
    ("Decrypt", &["CiphertextBlob"], &["EncryptionContext", "DryRun"]),
    ("ReEncrypt", &["CiphertextBlob", "DestinationKeyId"],
        &["SourceEncryptionContext", "DestinationEncryptionContext", "DryRun"]),
    ("GenerateDataKey", &["KeyId"], &["KeySpec", "NumberOfBytes", "EncryptionContext", "DryRun"]),
    ("GenerateDataKeyWithoutPlaintext", &["KeyId"],
        &["KeySpec", "NumberOfBytes", "EncryptionContext", "DryRun"]),
];

/// A value that its parameter takes.
pub fn usual(name: &str) -> &'static str {
    match name {
        "PendingWindowInDays" => "7",
        "EnableDeletionProtection" | "EnableAutomaticRotation" => "false",
        "AliasName" => "alias/a",
        "WrappingAlgorithm" => "RSAES_OAEP_SHA_256",
        "WrappingKeySpec" => "RSA_2048",
        "EncryptedKeyMaterial" | "ImportToken" | "CiphertextBlob" => "AAAA",
        "Tags" | "TagKeys" | "Filters" => "[]",
        "KeyId" | "ProtectedResourceArn" | "DestinationKeyId" => ID,
        _ => "1",
    }
}

/// The id of no CMK.
pub const ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";

/// What GetParametersForImport answers.
pub const IMPORT_FIELDS: [&str; 4] = ["ImportToken", "KeyId", "PublicKey", "TokenExpireTime"];
