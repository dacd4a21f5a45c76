//! The management plane: CMKs, versions and aliases.
#![forbid(unsafe_code)]

use std::sync::Arc;

use uuid::Uuid;

use super::Kms;
use super::key_name::{ALIAS_PREFIX, KeyName};
use crate::action::Action;
use crate::clock::Timestamp;
use crate::error::{Error, Result, Status};
use crate::keystore::state::{Alias, Key, KeyState, State, Version};
use crate::keystore::store_key::StoreKey;
use crate::random;

/// The most characters of a description.
const DESCRIPTION_MAX: usize = 8192;
/// The most characters of an alias after its prefix.
const ALIAS_MAX: usize = 255;
/// Aliases that the service keeps for itself.
const RESERVED: &str = "alias/acs";

/// What CreateKey is told.
#[derive(Clone, Debug, Default)]
pub struct NewKey {
    /// At most 8192 characters.
    pub description: String,
}

/// What DescribeKey tells.
#[derive(Clone, Debug)]
pub struct Metadata {
    /// The CMK's id.
    pub key_id: Uuid,
    /// When it was made.
    pub created: Timestamp,
    /// Whether it may be used.
    pub state: KeyState,
    /// The operator's words.
    pub description: String,
    /// The version that wraps.
    pub primary_version: Uuid,
    /// When the primary version was made.
    pub last_rotation: Timestamp,
}

/// One page of a list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The items of this page.
    pub items: Vec<T>,
    /// How many there are on all pages.
    pub total: usize,
}

impl Kms {
    /// CreateKey: a CMK with its first version, enabled.
    pub fn create_key(&self, new: &NewKey) -> Result<Metadata> {
        if new.description.chars().count() > DESCRIPTION_MAX {
            return Err(Error::invalid_parameter(
                "Description",
                "It is longer than 8192 characters.",
            ));
        }
        self.permit_change(Action::CreateKey)?;
        let mut made = None;
        self.keystore.change(&mut |state, store_key| {
            let key_id = random::uuid()?;
            let version = new_version(store_key, key_id)?;
            let key = Key {
                key_id,
                created: version.created,
                state: KeyState::Enabled,
                description: new.description.clone(),
                primary_version: version.key_version_id,
                versions: vec![Arc::new(version)],
            };
            made = Some(Metadata::of(&key));
            state.keys.push(Arc::new(key));
            Ok(())
        })?;
        made.ok_or(Error::new(Status::Internal))
    }

    /// DescribeKey.
    pub fn describe_key(&self, key_id: &str) -> Result<Metadata> {
        self.permit(Action::DescribeKey)?;
        let name = KeyName::parse(key_id);
        self.on_view(|view| Ok(Metadata::of(name.find(view)?)))
    }

    /// ListKeys, in order of creation.
    pub fn list_keys(&self, page_number: usize, page_size: usize) -> Result<Page<Uuid>> {
        self.permit(Action::ListKeys)?;
        let view = self.keystore.view()?;
        let keys = &view.state().keys;
        let start = page_number.saturating_sub(1).saturating_mul(page_size);
        Ok(Page {
            items: (keys.iter().skip(start).take(page_size))
                .map(|key| key.key_id)
                .collect(),
            total: keys.len(),
        })
    }

    /// EnableKey.
    pub fn enable_key(&self, key_id: &str) -> Result<()> {
        self.set_state(Action::EnableKey, key_id, KeyState::Enabled)
    }

    /// DisableKey.
    pub fn disable_key(&self, key_id: &str) -> Result<()> {
        self.set_state(Action::DisableKey, key_id, KeyState::Disabled)
    }

    /// CreateKeyVersion: the new version wraps from now on; the old ones go on unwrapping.
    pub fn create_key_version(&self, key_id: &str) -> Result<(Uuid, Uuid, Timestamp)> {
        self.permit_change(Action::CreateKeyVersion)?;
        let name = KeyName::parse(key_id);
        let mut made = None;
        self.keystore.change(&mut |state, store_key| {
            let key_id = target(&name, state)?;
            let key = state.key_mut(key_id)?;
            key.usable()?;
            let version = new_version(store_key, key_id)?;
            made = Some((key_id, version.key_version_id, version.created));
            key.primary_version = version.key_version_id;
            key.versions.push(Arc::new(version));
            Ok(())
        })?;
        made.ok_or(Error::new(Status::Internal))
    }

    /// CreateAlias.
    pub fn create_alias(&self, key_id: &str, alias: &str) -> Result<()> {
        check_alias(alias)?;
        let name = KeyName::parse(key_id).not_an_alias()?;
        self.permit_change(Action::CreateAlias)?;
        let key_id = name.id()?;
        self.keystore.change(&mut |state, _| {
            state.key_mut(key_id)?;
            if state.alias(alias).is_some() {
                return Err(Error::new(Status::AliasExists));
            }
            state.aliases.push(Arc::new(Alias {
                alias: alias.to_owned(),
                key_id,
                created: Timestamp::now(),
            }));
            Ok(())
        })
    }

    fn set_state(&self, action: Action, key_id: &str, to: KeyState) -> Result<()> {
        let name = KeyName::parse(key_id).not_an_alias()?;
        self.permit_change(action)?;
        let key_id = name.id()?;
        self.keystore.change(&mut |state, _| {
            state.key_mut(key_id)?.state = to;
            Ok(())
        })
    }
}

impl Metadata {
    fn of(key: &Key) -> Self {
        let primary = key
            .versions
            .iter()
            .rfind(|version| version.key_version_id == key.primary_version);
        Metadata {
            key_id: key.key_id,
            created: key.created,
            state: key.state,
            description: key.description.clone(),
            primary_version: key.primary_version,
            last_rotation: primary.map_or(key.created, |version| version.created),
        }
    }
}

fn new_version(store_key: &StoreKey, key_id: Uuid) -> Result<Version> {
    let key_version_id = random::uuid()?;
    let material = store_key.new_material(key_id, key_version_id)?;
    Ok(Version::new(key_version_id, Timestamp::now(), material))
}

/// The CMK that a name stands for in a state that is about to change.
fn target(name: &KeyName<'_>, state: &State) -> Result<Uuid> {
    match name {
        KeyName::Alias(alias) => state
            .alias(alias)
            .map(|alias| alias.key_id)
            .ok_or(Error::new(Status::AliasNotFound)),
        other => other.id(),
    }
}

fn check_alias(alias: &str) -> Result<()> {
    let refuse = |why| Err(Error::invalid_parameter("AliasName", why));
    let Some(name) = alias.strip_prefix(ALIAS_PREFIX) else {
        return refuse("It does not begin with \"alias/\".");
    };
    if name.is_empty() || name.chars().count() > ALIAS_MAX {
        return refuse("After \"alias/\" it has not 1 to 255 characters.");
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-/".contains(&byte);
    if !name.bytes().all(allowed) {
        return refuse("It has other characters than letters, digits, \"_\", \"-\" and \"/\".");
    }
    if alias.starts_with(RESERVED) {
        return refuse("What begins with \"alias/acs\" is reserved.");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_have_their_form() {
        let longest = format!("alias/{}", "a".repeat(255));
        for right in ["alias/a", "alias/Orders_2-x/y", &longest] {
            assert_eq!(check_alias(right), Ok(()), "{right}");
        }
        let too_long = format!("{longest}a");
        for wrong in [
            "",
            "orders",
            "alias/",
            "alias/a b",
            "alias/é",
            "Alias/a",
            "alias/acs",
            "alias/acs/oss",
            "alias/a.b",
            &too_long,
        ] {
            let error = check_alias(wrong).unwrap_err();
            assert_eq!(error.status(), Status::InvalidParameter, "{wrong}");
        }
    }
}
