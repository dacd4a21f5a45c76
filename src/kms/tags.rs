//! Tags: names and values that operators give to CMKs.
#![forbid(unsafe_code)]

use uuid::Uuid;

use super::Kms;
use super::keys::not_pending_deletion;
use crate::action::Action;
use crate::error::{Error, Result, Status};
use crate::keystore::sound;
use crate::keystore::state::Tag;
use crate::request_id::Call;

impl Kms {
    /// TagResource: adds tags, or gives known ones another value.
    pub fn tag_resource(&self, call: &Call, key_id: &str, tags: &[Tag]) -> Result<()> {
        check(tags)?;
        self.change_key(call, Action::TagResource, key_id, |key| {
            not_pending_deletion(key)?;
            for tag in tags {
                match key.tags.iter_mut().find(|known| known.key == tag.key) {
                    Some(known) => known.value.clone_from(&tag.value),
                    None => key.tags.push(tag.clone()),
                }
            }
            if key.tags.len() > sound::TAGS_MAX {
                return Err(Error::new(Status::LimitExceeded));
            }
            Ok(())
        })
    }

    /// UntagResource: removes the tags of these names.
    pub fn untag_resource(&self, call: &Call, key_id: &str, names: &[String]) -> Result<()> {
        self.change_key(call, Action::UntagResource, key_id, |key| {
            not_pending_deletion(key)?;
            key.tags.retain(|tag| !names.contains(&tag.key));
            Ok(())
        })
    }

    /// ListResourceTags.
    pub fn list_resource_tags(&self, call: &Call, key_id: &str) -> Result<(Uuid, Vec<Tag>)> {
        self.read_key_by_id(call, Action::ListResourceTags, key_id, |key| {
            Ok((key.key_id, key.tags.clone()))
        })
    }
}

/// Refuses what cannot be the tags of a CMK.
pub(super) fn check(tags: &[Tag]) -> Result<()> {
    sound::tags(tags).map_err(|why| Error::invalid_parameter("Tags", why))
}
