//! The actions on tags.
#![forbid(unsafe_code)]

use serde::Deserialize;

use super::Reply;
use super::request::{Request, ask_for_texts};
use crate::error::{Error, Result};
use crate::keystore::state::Tag;
use crate::kms::Kms;
use crate::request_id::Call;
use crate::tree::{Node, object};

pub(super) fn tag_resource(kms: &Kms, call: &Call, request: &Request) -> Result<Reply> {
    let key_id = request.required("KeyId")?;
    let tags = parse(Some(request.required("Tags")?))?;
    kms.tag_resource(call, key_id, &tags)?;
    Ok(Reply::new([]))
}

pub(super) fn untag_resource(kms: &Kms, call: &Call, request: &Request) -> Result<Reply> {
    let key_id = request.required("KeyId")?;
    let json = request.required("TagKeys")?;
    ask_for_texts(json)?;
    let names: Vec<String> = serde_json::from_str(json)
        .map_err(|_| Error::invalid_parameter("TagKeys", "It is not a JSON array of strings."))?;
    kms.untag_resource(call, key_id, &names)?;
    Ok(Reply::new([]))
}

pub(super) fn list_resource_tags(kms: &Kms, call: &Call, request: &Request) -> Result<Reply> {
    let (key_id, tags) = kms.list_resource_tags(call, request.required("KeyId")?)?;
    let tags = tags.into_iter().map(|tag| {
        object([
            ("KeyId", Node::id(key_id)),
            ("TagKey", Node::text(tag.key)),
            ("TagValue", Node::text(tag.value)),
        ])
    });
    let tags = object([("Tag", Node::List(tags.collect()))]);
    Ok(Reply::new([("Tags", tags)]))
}

/// `[{"TagKey": …, "TagValue": …}]`.
pub(super) fn parse(json: Option<&str>) -> Result<Vec<Tag>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase", deny_unknown_fields)]
    struct Given {
        tag_key: String,
        tag_value: String,
    }
    let Some(json) = json else {
        return Ok(Vec::new());
    };
    ask_for_texts(json)?;
    let given: Vec<Given> = serde_json::from_str(json).map_err(|_| {
        Error::invalid_parameter(
            "Tags",
            "It is not [{\"TagKey\": \"...\", \"TagValue\": \"...\"}].",
        )
    })?;
    Ok(given
        .into_iter()
        .map(|given| Tag {
            key: given.tag_key,
            value: given.tag_value,
        })
        .collect())
}
