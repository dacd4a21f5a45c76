//! The table of actions: which there are, which parameters each knows, and what performs it.
#![forbid(unsafe_code)]

use super::request::Request;
use super::{Reply, data, keys, unsupported};
use crate::action::Action;
use crate::error::Result;
use crate::kms::Kms;

type Handler = fn(&Kms, &Request) -> Result<Reply>;

/// An action that is not in this table answers `UnsupportedOperation`.
const TABLE: &[(Action, &[&str], Handler)] = &[
    (
        Action::CreateKey,
        &[
            "Description",
            "KeySpec",
            "KeyUsage",
            "Origin",
            "ProtectionLevel",
        ],
        keys::create_key,
    ),
    (Action::DescribeKey, &["KeyId"], keys::describe_key),
    (
        Action::ListKeys,
        &["PageNumber", "PageSize"],
        keys::list_keys,
    ),
    (Action::EnableKey, &["KeyId"], keys::enable_key),
    (Action::DisableKey, &["KeyId"], keys::disable_key),
    (
        Action::CreateKeyVersion,
        &["KeyId"],
        keys::create_key_version,
    ),
    (
        Action::CreateAlias,
        &["KeyId", "AliasName"],
        keys::create_alias,
    ),
    (
        Action::GenerateDataKey,
        &["KeyId", "KeySpec", "NumberOfBytes", "EncryptionContext"],
        data::generate_data_key,
    ),
    (
        Action::GenerateDataKeyWithoutPlaintext,
        &["KeyId", "KeySpec", "NumberOfBytes", "EncryptionContext"],
        data::generate_data_key_without_plaintext,
    ),
    (
        Action::Decrypt,
        &["CiphertextBlob", "EncryptionContext"],
        data::decrypt,
    ),
];

/// Performs the action that a request names.
pub(super) fn perform(kms: &Kms, request: &Request) -> Result<Reply> {
    let name = request.required("Action")?;
    let (_, parameters, handler) = TABLE
        .iter()
        .find(|(action, ..)| action.name() == name)
        .ok_or_else(|| unsupported(name))?;
    request.know_only(parameters)?;
    handler(kms, request)
}
