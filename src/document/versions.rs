//! The actions on versions of CMKs.
#![forbid(unsafe_code)]

use uuid::Uuid;

use super::Reply;
use super::request::Request;
use crate::error::{Error, Result};
use crate::keystore::sound::ROTATION_INTERVAL;
use crate::keystore::state::Version;
use crate::kms::{KeyUse, Kms};
use crate::request_id::Call;
use crate::tree::{Node, object};

const DAY: u64 = 24 * 60 * 60;

pub(super) fn create_key_version(kms: &Kms, call: &Call, request: &Request) -> Result<Reply> {
    let (key, version) = kms.create_key_version(call, request.required("KeyId")?)?;
    Ok(about(key.key_id, &version))
}

pub(super) fn list_key_versions(kms: &Kms, call: &Call, request: &Request) -> Result<Reply> {
    let page_of = request.page()?;
    let (key_id, page) = kms.list_key_versions(call, request.required("KeyId")?, page_of)?;
    let versions = page.items.iter().map(|version| node(key_id, version));
    Ok(Reply::list(
        "KeyVersions",
        "KeyVersion",
        versions,
        page.total,
        page_of,
    ))
}

pub(super) fn describe_key_version(kms: &Kms, call: &Call, request: &Request) -> Result<Reply> {
    let key_id = request.required("KeyId")?;
    let key_version_id = request.required("KeyVersionId")?;
    let (key_id, version) = kms.describe_key_version(call, key_id, key_version_id)?;
    Ok(about(key_id, &version))
}

pub(super) fn update_rotation_policy(kms: &Kms, call: &Call, request: &Request) -> Result<Reply> {
    let key_id = request.required("KeyId")?;
    let enable = request
        .boolean("EnableAutomaticRotation")?
        .ok_or_else(|| Error::missing_parameter("EnableAutomaticRotation"))?;
    let interval = match enable {
        true => Some(rotation_interval(request)?),
        false => None,
    };
    kms.update_rotation_policy(call, key_id, interval)?;
    Ok(Reply::new([]))
}

/// `RotationInterval`, a whole number with a unit: `365d`, `604800s`; in seconds.
pub(super) fn rotation_interval(request: &Request) -> Result<u64> {
    let text = request.required("RotationInterval")?;
    let refuse = || {
        Error::invalid_parameter(
            "RotationInterval",
            "It is not 7 to 730 days as a whole number with one of the units d, h, m, s.",
        )
    };
    let unit = match text.as_bytes().last() {
        Some(b'd') => DAY,
        Some(b'h') => 60 * 60,
        Some(b'm') => 60,
        Some(b's') => 1,
        _ => return Err(refuse()),
    };
    let digits = &text[..text.len() - 1];
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(refuse());
    }
    let seconds = digits.parse::<u64>().ok().and_then(|n| n.checked_mul(unit));
    seconds
        .filter(|seconds| ROTATION_INTERVAL.contains(seconds))
        .ok_or_else(refuse)
}

fn about(key_id: Uuid, version: &Version) -> Reply {
    Reply::new([("KeyVersion", node(key_id, version))]).using(KeyUse {
        key_id,
        key_version_id: version.key_version_id,
    })
}

fn node(key_id: Uuid, version: &Version) -> Node {
    object([
        ("KeyId", Node::id(key_id)),
        ("KeyVersionId", Node::id(version.key_version_id)),
        ("CreationDate", Node::text(version.created.to_string())),
    ])
}
