//! The actions of the management plane: CMKs, versions and aliases.
#![forbid(unsafe_code)]

use super::Reply;
use super::request::Request;
use super::tree::{Node, object};
use super::unsupported;
use crate::error::{Error, Result, Status};
use crate::kms::key_name::key_arn;
use crate::kms::{KeyUse, Kms, Metadata, NewKey};

const KEY_SPEC: &str = "Aliyun_AES_256";
const KEY_USAGE: &str = "ENCRYPT/DECRYPT";
const ORIGIN: &str = "Aliyun_KMS";
const PROTECTION_LEVEL: &str = "SOFTWARE";

/// Specs and usages that the API documents and a service in a process does not offer.
const OTHER_KEY_SPECS: &[&str] = &[
    "Aliyun_SM4",
    "RSA_2048",
    "RSA_3072",
    "EC_P256",
    "EC_P256K",
    "EC_SM2",
];
const OTHER_KEY_USAGE: &str = "SIGN/VERIFY";

pub(super) fn create_key(kms: &Kms, request: &Request) -> Result<Reply> {
    request.one_of("KeySpec", &[KEY_SPEC], |other| {
        match OTHER_KEY_SPECS.contains(&other) {
            true => unsupported(other),
            false => Error::invalid_parameter("KeySpec", ""),
        }
    })?;
    request.one_of("KeyUsage", &[KEY_USAGE], |other| match other {
        OTHER_KEY_USAGE => unsupported(other),
        _ => Error::invalid_parameter("KeyUsage", ""),
    })?;
    request.one_of("Origin", &[ORIGIN], |other| match other {
        "EXTERNAL" => unsupported(other),
        _ => Error::invalid_parameter("Origin", ""),
    })?;
    request.one_of(
        "ProtectionLevel",
        &[PROTECTION_LEVEL],
        |other| match other {
            "HSM" => Error::new(Status::UnsupportedProtectionLevel),
            _ => Error::invalid_parameter("ProtectionLevel", ""),
        },
    )?;
    let key = kms.create_key(&NewKey {
        description: request
            .optional("Description")
            .unwrap_or_default()
            .to_owned(),
    })?;
    Ok(about(&key))
}

pub(super) fn describe_key(kms: &Kms, request: &Request) -> Result<Reply> {
    Ok(about(&kms.describe_key(request.required("KeyId")?)?))
}

pub(super) fn list_keys(kms: &Kms, request: &Request) -> Result<Reply> {
    let (page_number, page_size) = page(request)?;
    let page = kms.list_keys(page_number, page_size)?;
    let keys = page.items.iter().map(|key_id| {
        object([
            ("KeyId", Node::id(*key_id)),
            ("KeyArn", Node::text(key_arn(*key_id))),
        ])
    });
    Ok(Reply::new([
        ("Keys", object([("Key", Node::List(keys.collect()))])),
        ("TotalCount", Node::count(page.total)),
        ("PageNumber", Node::count(page_number)),
        ("PageSize", Node::count(page_size)),
    ]))
}

pub(super) fn enable_key(kms: &Kms, request: &Request) -> Result<Reply> {
    kms.enable_key(request.required("KeyId")?)?;
    Ok(Reply::new([]))
}

pub(super) fn disable_key(kms: &Kms, request: &Request) -> Result<Reply> {
    kms.disable_key(request.required("KeyId")?)?;
    Ok(Reply::new([]))
}

pub(super) fn create_key_version(kms: &Kms, request: &Request) -> Result<Reply> {
    let (key_id, key_version_id, created) = kms.create_key_version(request.required("KeyId")?)?;
    let version = object([
        ("KeyId", Node::id(key_id)),
        ("KeyVersionId", Node::id(key_version_id)),
        ("CreationDate", Node::text(created.to_string())),
    ]);
    Ok(Reply::new([("KeyVersion", version)]).using(KeyUse {
        key_id,
        key_version_id,
    }))
}

pub(super) fn create_alias(kms: &Kms, request: &Request) -> Result<Reply> {
    kms.create_alias(request.required("KeyId")?, request.required("AliasName")?)?;
    Ok(Reply::new([]))
}

fn about(key: &Metadata) -> Reply {
    let metadata = object([
        ("KeyId", Node::id(key.key_id)),
        ("Arn", Node::text(key_arn(key.key_id))),
        ("KeyState", Node::text(key.state.name())),
        ("Description", Node::text(key.description.clone())),
        ("KeySpec", Node::text(KEY_SPEC)),
        ("KeyUsage", Node::text(KEY_USAGE)),
        ("Origin", Node::text(ORIGIN)),
        ("ProtectionLevel", Node::text(PROTECTION_LEVEL)),
        ("Creator", Node::text("local")),
        ("CreationDate", Node::text(key.created.to_string())),
        ("PrimaryKeyVersion", Node::id(key.primary_version)),
        (
            "LastRotationDate",
            Node::text(key.last_rotation.to_string()),
        ),
        ("AutomaticRotation", Node::text("Disabled")),
        ("DeleteDate", Node::text("")),
        ("MaterialExpireTime", Node::text("")),
    ]);
    Reply::new([("KeyMetadata", metadata)]).using(KeyUse {
        key_id: key.key_id,
        key_version_id: key.primary_version,
    })
}

/// PageNumber from 1, PageSize from 1 to 100.
fn page(request: &Request) -> Result<(usize, usize)> {
    let number = request
        .number("PageNumber", 1, u32::MAX.into())?
        .unwrap_or(1);
    let size = request.number("PageSize", 1, 100)?.unwrap_or(10);
    let usize = |number| usize::try_from(number).unwrap_or(usize::MAX);
    Ok((usize(number), usize(size)))
}
