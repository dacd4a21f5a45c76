//! The actions on aliases.
#![forbid(unsafe_code)]

use std::sync::Arc;

use super::Reply;
use super::request::Request;
use crate::error::Result;
use crate::key_name::alias_arn;
use crate::keystore::state::Alias;
use crate::kms::{Kms, Page, PageOf};
use crate::request_id::Call;
use crate::tree::{Node, object};

pub(super) fn create_alias(kms: &Kms, call: &Call, request: &Request) -> Result<Reply> {
    let key_id = request.required("KeyId")?;
    kms.create_alias(call, key_id, request.required("AliasName")?)?;
    Ok(Reply::new([]))
}

pub(super) fn update_alias(kms: &Kms, call: &Call, request: &Request) -> Result<Reply> {
    let key_id = request.required("KeyId")?;
    kms.update_alias(call, key_id, request.required("AliasName")?)?;
    Ok(Reply::new([]))
}

pub(super) fn delete_alias(kms: &Kms, call: &Call, request: &Request) -> Result<Reply> {
    kms.delete_alias(call, request.required("AliasName")?)?;
    Ok(Reply::new([]))
}

pub(super) fn list_aliases(kms: &Kms, call: &Call, request: &Request) -> Result<Reply> {
    let page_of = request.page()?;
    Ok(list(&kms.list_aliases(call, page_of)?, page_of))
}

pub(super) fn list_aliases_by_key_id(kms: &Kms, call: &Call, request: &Request) -> Result<Reply> {
    let page_of = request.page()?;
    let key_id = request.required("KeyId")?;
    Ok(list(
        &kms.list_aliases_by_key_id(call, key_id, page_of)?,
        page_of,
    ))
}

fn list(page: &Page<Arc<Alias>>, page_of: PageOf) -> Reply {
    let aliases = page.items.iter().map(|alias| {
        object([
            ("AliasName", Node::text(alias.alias.clone())),
            ("AliasArn", Node::text(alias_arn(&alias.alias))),
            ("KeyId", Node::id(alias.key_id)),
        ])
    });
    Reply::list("Aliases", "Alias", aliases, page.total, page_of)
}
