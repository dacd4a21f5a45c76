//! CMKs found by their names in a view.
#![forbid(unsafe_code)]

use uuid::Uuid;

use crate::error::{Error, Result, Status};
use crate::key_name::{KeyName, NO_NAME};
use crate::keystore::state::Key;
use crate::keystore::view::View;

impl KeyName<'_> {
    /// The CMK that the name stands for.
    pub(super) fn find<'v>(&self, view: &'v View) -> Result<&'v Key> {
        match self {
            KeyName::Alias(alias) => view.key(view.alias(alias)?),
            KeyName::Id(id) => view.key(*id),
            KeyName::Foreign => Err(Error::new(Status::KeyNotFound)),
            KeyName::Unknown => Err(NO_NAME),
        }
    }

    /// Whether the name stands for the CMK of this id, which need not exist.
    pub(super) fn is(&self, key_id: Uuid, view: &View) -> Result<bool> {
        match self {
            KeyName::Alias(alias) => Ok(view.alias(alias)? == key_id),
            KeyName::Id(id) => Ok(*id == key_id),
            KeyName::Unknown => Ok(false),
            KeyName::Foreign => Err(Error::new(Status::KeyNotFound)),
        }
    }
}
