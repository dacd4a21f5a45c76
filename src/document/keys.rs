//! The actions on CMKs.
#![forbid(unsafe_code)]

use serde::Deserialize;

use super::request::{Request, ask_for_texts};
use super::{Reply, tags, versions};
use crate::allocation;
use crate::clock::Timestamp;
use crate::error::{Error, Result, Status};
use crate::key_name::key_arn;
use crate::keystore::state::{Key, KeyState, Origin};
use crate::kms::{Filter, KeyUse, Kms, NewKey};
use crate::request_id::Call;
use crate::tree::{Node, named, object};

const KEY_SPEC: &str = "Aliyun_AES_256";
const KEY_USAGE: &str = "ENCRYPT/DECRYPT";
const PROTECTION_LEVEL: &str = "SOFTWARE";
const CREATOR: &str = "local";
const CREATOR_TYPE: &str = "User";

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

pub(super) fn create_key(kms: &Kms, call: &Call, request: &Request) -> Result<Reply> {
    request.one_of("KeySpec", &[KEY_SPEC], |other| {
        if OTHER_KEY_SPECS.contains(&other) {
            not_offered("KeySpec", other)
        } else {
            Error::invalid_parameter("KeySpec", "")
        }
    })?;
    request.one_of("KeyUsage", &[KEY_USAGE], |other| match other {
        OTHER_KEY_USAGE => not_offered("KeyUsage", other),
        _ => Error::invalid_parameter("KeyUsage", ""),
    })?;
    request.one_of(
        "ProtectionLevel",
        &[PROTECTION_LEVEL],
        |other| match other {
            "HSM" => Error::new(Status::UnsupportedProtectionLevel),
            _ => Error::invalid_parameter("ProtectionLevel", ""),
        },
    )?;
    let origin = match request.optional("Origin") {
        None => Origin::MadeHere,
        Some(name) => Origin::ALL
            .into_iter()
            .find(|origin| origin.name() == name)
            .ok_or_else(|| Error::invalid_parameter("Origin", ""))?,
    };
    let rotation_interval = match request.boolean("EnableAutomaticRotation")? {
        Some(true) if origin == Origin::External => {
            return Err(Error::new(Status::UnsupportedKey));
        }
        Some(true) => Some(versions::rotation_interval(request)?),
        Some(false) | None => None,
    };
    let description = request.optional("Description").unwrap_or_default();
    // For the answer; after the CMK is made, it would be too late to have no memory.
    let told = allocation::text(description)?;
    let key = kms.create_key(
        call,
        &NewKey {
            description: allocation::text(description)?,
            origin,
            rotation_interval,
            tags: tags::parse(request.optional("Tags"))?,
        },
    )?;
    Ok(about(&key, told, Shown::WhatCreateKeyDoes))
}

pub(super) fn describe_key(kms: &Kms, call: &Call, request: &Request) -> Result<Reply> {
    let key = kms.describe_key(call, request.required("KeyId")?)?;
    let description = allocation::text(&key.description)?;
    let protection = key.deletion_protection.as_deref().unwrap_or_default();
    let protection = allocation::text(protection)?;
    Ok(about(&key, description, Shown::Everything { protection }))
}

pub(super) fn list_keys(kms: &Kms, call: &Call, request: &Request) -> Result<Reply> {
    let page_of = request.page()?;
    let filters = filters(request.optional("Filters"))?;
    let page = kms.list_keys(call, &filters, page_of)?;
    let keys = page.items.iter().map(|key_id| {
        object([
            ("KeyId", Node::id(*key_id)),
            ("KeyArn", Node::text(key_arn(*key_id))),
        ])
    });
    Ok(Reply::list("Keys", "Key", keys, page.total, page_of))
}

pub(super) fn update_key_description(kms: &Kms, call: &Call, request: &Request) -> Result<Reply> {
    // The description may be emptied, but not left out.
    let description = request.given("Description");
    let description = description.ok_or_else(|| Error::missing_parameter("Description"))?;
    kms.update_key_description(call, request.required("KeyId")?, description)?;
    Ok(Reply::new([]))
}

pub(super) fn enable_key(kms: &Kms, call: &Call, request: &Request) -> Result<Reply> {
    kms.enable_key(call, request.required("KeyId")?)?;
    Ok(Reply::new([]))
}

pub(super) fn disable_key(kms: &Kms, call: &Call, request: &Request) -> Result<Reply> {
    kms.disable_key(call, request.required("KeyId")?)?;
    Ok(Reply::new([]))
}

pub(super) fn schedule_key_deletion(kms: &Kms, call: &Call, request: &Request) -> Result<Reply> {
    let key_id = request.required("KeyId")?;
    let days = request
        .number("PendingWindowInDays", 7, 366)?
        .ok_or_else(|| Error::missing_parameter("PendingWindowInDays"))?;
    kms.schedule_key_deletion(call, key_id, days)?;
    Ok(Reply::new([]))
}

pub(super) fn cancel_key_deletion(kms: &Kms, call: &Call, request: &Request) -> Result<Reply> {
    kms.cancel_key_deletion(call, request.required("KeyId")?)?;
    Ok(Reply::new([]))
}

pub(super) fn set_deletion_protection(kms: &Kms, call: &Call, request: &Request) -> Result<Reply> {
    let key_id = request.required("ProtectedResourceArn")?;
    let enable = request
        .boolean("EnableDeletionProtection")?
        .ok_or_else(|| Error::missing_parameter("EnableDeletionProtection"))?;
    let description = request.optional("DeletionProtectionDescription");
    let protection = enable.then(|| description.unwrap_or_default());
    kms.set_deletion_protection(call, key_id, protection)?;
    Ok(Reply::new([]))
}

/// What the API documents and a service in a process does not offer.
fn not_offered(parameter: &str, value: &str) -> Error {
    Error::with(
        Status::UnsupportedOperation,
        format!("This action is not supported with {parameter} \"{value}\"."),
    )
}

enum Shown {
    WhatCreateKeyDoes,
    /// With the words of its deletion protection.
    Everything {
        protection: String,
    },
}

fn about(key: &Key, description: String, shown: Shown) -> Reply {
    let date = |date: Option<crate::clock::Timestamp>| {
        Node::text(date.map_or(String::new(), |date| date.to_string()))
    };
    let last_rotation = key.primary().map_or(key.created, |primary| primary.created);
    let rotation = match (&key.rotation, key.state()) {
        (None, _) => "Disabled",
        (Some(_), KeyState::Enabled) => "Enabled",
        (Some(_), _) => "Suspended",
    };
    let expires = key.imported.as_ref().and_then(|imported| imported.expires);
    let mut fields = named([
        ("KeyId", Node::id(key.key_id)),
        ("Arn", Node::text(key_arn(key.key_id))),
        ("KeyState", Node::text(key.state().name())),
        ("Description", Node::text(description)),
        ("KeySpec", Node::text(KEY_SPEC)),
        ("KeyUsage", Node::text(KEY_USAGE)),
        ("Origin", Node::text(key.origin.name())),
        ("ProtectionLevel", Node::text(PROTECTION_LEVEL)),
        ("Creator", Node::text(CREATOR)),
        ("CreationDate", date(Some(key.created))),
        ("PrimaryKeyVersion", Node::id(key.primary_version)),
        ("LastRotationDate", date(Some(last_rotation))),
        ("AutomaticRotation", Node::text(rotation)),
    ]);
    if let Some(rotation) = &key.rotation {
        fields.extend(named([
            (
                "RotationInterval",
                Node::text(format!("{}s", rotation.interval_seconds)),
            ),
            (
                "NextRotationDate",
                date(key.next_rotation(Timestamp::now())),
            ),
        ]));
    }
    fields.extend(named([
        ("DeleteDate", date(key.delete_date)),
        ("MaterialExpireTime", date(expires)),
    ]));
    if let Shown::Everything { protection } = shown {
        let switch = match key.deletion_protection {
            Some(_) => "Enabled",
            None => "Disabled",
        };
        fields.extend(named([
            ("DeletionProtection", Node::text(switch)),
            ("DeletionProtectionDescription", Node::text(protection)),
        ]));
    }
    Reply::new([("KeyMetadata", Node::Object(fields))]).using(KeyUse {
        key_id: key.key_id,
        key_version_id: key.primary_version,
    })
}

/// At most ten of `{"Key": …, "Values": […]}`: all of them must hold, each by one of its values.
fn filters(json: Option<&str>) -> Result<Vec<Filter>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase", deny_unknown_fields)]
    struct Given {
        key: String,
        values: Vec<String>,
    }
    let refuse = |why: &str| Error::invalid_parameter("Filters", why);
    let Some(json) = json else {
        return Ok(Vec::new());
    };
    ask_for_texts(json)?;
    let given: Vec<Given> = serde_json::from_str(json)
        .map_err(|_| refuse("It is not [{\"Key\": \"...\", \"Values\": [\"...\"]}]."))?;
    if given.len() > 10 {
        return Err(refuse("There are more than ten."));
    }
    given
        .into_iter()
        .map(|Given { key, values }| {
            let every = |value| Filter::Every(values.iter().any(|known| known == value));
            Ok(match key.as_str() {
                "KeyState" => Filter::states(&values),
                "Origin" => Filter::origins(&values),
                "KeySpec" => every(KEY_SPEC),
                "KeyUsage" => every(KEY_USAGE),
                "ProtectionLevel" => every(PROTECTION_LEVEL),
                "CreatorType" => every(CREATOR_TYPE),
                _ => return Err(refuse("A Key is not one that CMKs here are filtered by.")),
            })
        })
        .collect()
}
