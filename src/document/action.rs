//! The table of actions: which there are, which parameters each knows, and what performs it.
#![forbid(unsafe_code)]

use super::request::Request;
use super::{Reply, aliases, data, import, keys, tags, unsupported, versions};
use crate::action::Action;
use crate::error::{Error, Result, Status};
use crate::kms::Kms;
use crate::request_id::Call;

type Handler = fn(&Kms, &Call, &Request) -> Result<Reply>;

/// An action and the parameters that it knows.
struct Row {
    action: Action,
    parameters: &'static [&'static str],
    handler: Handler,
}

const fn row(action: Action, parameters: &'static [&'static str], handler: Handler) -> Row {
    Row {
        action,
        parameters,
        handler,
    }
}

/// The parameter with which the API tries an action on data without its outcome.
const DRY_RUN: &str = "DryRun";

/// An action that is not in this table answers `UnsupportedOperation`. `docs/api.md` tells of each.
const TABLE: &[Row] = &[
    row(
        Action::CreateKey,
        &[
            "Description",
            "KeySpec",
            "KeyUsage",
            "Origin",
            "ProtectionLevel",
            "EnableAutomaticRotation",
            "RotationInterval",
            "Tags",
        ],
        keys::create_key,
    ),
    row(Action::DescribeKey, &["KeyId"], keys::describe_key),
    row(
        Action::ListKeys,
        &["PageNumber", "PageSize", "Filters"],
        keys::list_keys,
    ),
    row(
        Action::UpdateKeyDescription,
        &["KeyId", "Description"],
        keys::update_key_description,
    ),
    row(Action::EnableKey, &["KeyId"], keys::enable_key),
    row(Action::DisableKey, &["KeyId"], keys::disable_key),
    row(
        Action::ScheduleKeyDeletion,
        &["KeyId", "PendingWindowInDays"],
        keys::schedule_key_deletion,
    ),
    row(
        Action::CancelKeyDeletion,
        &["KeyId"],
        keys::cancel_key_deletion,
    ),
    row(
        Action::SetDeletionProtection,
        &[
            "ProtectedResourceArn",
            "EnableDeletionProtection",
            "DeletionProtectionDescription",
        ],
        keys::set_deletion_protection,
    ),
    row(
        Action::CreateKeyVersion,
        &["KeyId"],
        versions::create_key_version,
    ),
    row(
        Action::ListKeyVersions,
        &["KeyId", "PageNumber", "PageSize"],
        versions::list_key_versions,
    ),
    row(
        Action::DescribeKeyVersion,
        &["KeyId", "KeyVersionId"],
        versions::describe_key_version,
    ),
    row(
        Action::UpdateRotationPolicy,
        &["KeyId", "EnableAutomaticRotation", "RotationInterval"],
        versions::update_rotation_policy,
    ),
    row(
        Action::CreateAlias,
        &["KeyId", "AliasName"],
        aliases::create_alias,
    ),
    row(
        Action::UpdateAlias,
        &["KeyId", "AliasName"],
        aliases::update_alias,
    ),
    row(Action::DeleteAlias, &["AliasName"], aliases::delete_alias),
    row(
        Action::ListAliases,
        &["PageNumber", "PageSize"],
        aliases::list_aliases,
    ),
    row(
        Action::ListAliasesByKeyId,
        &["KeyId", "PageNumber", "PageSize"],
        aliases::list_aliases_by_key_id,
    ),
    row(Action::TagResource, &["KeyId", "Tags"], tags::tag_resource),
    row(
        Action::UntagResource,
        &["KeyId", "TagKeys"],
        tags::untag_resource,
    ),
    row(
        Action::ListResourceTags,
        &["KeyId"],
        tags::list_resource_tags,
    ),
    row(
        Action::GetParametersForImport,
        &["KeyId", "WrappingAlgorithm", "WrappingKeySpec"],
        import::get_parameters_for_import,
    ),
    row(
        Action::ImportKeyMaterial,
        &[
            "KeyId",
            "EncryptedKeyMaterial",
            "ImportToken",
            "KeyMaterialExpireUnix",
        ],
        import::import_key_material,
    ),
    row(
        Action::DeleteKeyMaterial,
        &["KeyId"],
        import::delete_key_material,
    ),
    row(
        Action::Encrypt,
        &["KeyId", "Plaintext", "EncryptionContext", DRY_RUN],
        data::encrypt,
    ),
    row(
        Action::Decrypt,
        &["CiphertextBlob", "EncryptionContext", DRY_RUN],
        data::decrypt,
    ),
    row(
        Action::ReEncrypt,
        &[
            "CiphertextBlob",
            "SourceEncryptionContext",
            "DestinationKeyId",
            "DestinationEncryptionContext",
            DRY_RUN,
        ],
        data::re_encrypt,
    ),
    row(
        Action::GenerateDataKey,
        &[
            "KeyId",
            "KeySpec",
            "NumberOfBytes",
            "EncryptionContext",
            DRY_RUN,
        ],
        data::generate_data_key,
    ),
    row(
        Action::GenerateDataKeyWithoutPlaintext,
        &[
            "KeyId",
            "KeySpec",
            "NumberOfBytes",
            "EncryptionContext",
            DRY_RUN,
        ],
        data::generate_data_key_without_plaintext,
    ),
];

/// Each action that is done, and the parameters that it knows beside the common ones.
pub fn actions() -> impl Iterator<Item = (Action, &'static [&'static str])> {
    TABLE.iter().map(|row| (row.action, row.parameters))
}

/// Performs the action that a request names.
pub(super) fn perform(kms: &Kms, call: &Call, request: &Request) -> Result<Reply> {
    let name = request.required("Action")?;
    let row = TABLE
        .iter()
        .find(|row| row.action.name() == name)
        .ok_or_else(|| unsupported(name))?;
    request.know_only(row.parameters)?;
    let dry_run = row.parameters.contains(&DRY_RUN) && request.boolean(DRY_RUN)?.unwrap_or(false);
    if dry_run {
        Err(dry((row.handler)(kms, &call.to_dry_run(), request)))
    } else {
        (row.handler)(kms, call, request)
    }
}

/// A dry run always answers with an error, which says what would have been.
fn dry(outcome: Result<Reply>) -> Error {
    match outcome {
        Ok(_) => Error::new(Status::DryRun),
        Err(error) if error.status() == Status::NoPermission => {
            Error::with(Status::DryRunDenied, error.message().to_owned())
        }
        Err(error) => Error::with(Status::DryRunInvalid, error.message().to_owned()),
    }
}
