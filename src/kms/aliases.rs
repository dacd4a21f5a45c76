//! Aliases: names that point to CMKs.
#![forbid(unsafe_code)]

use std::sync::Arc;

use uuid::Uuid;

use super::{KeyUse, Kms, Page, PageOf};
use crate::action::Action;
use crate::audit::Event;
use crate::clock::Timestamp;
use crate::error::{Error, Result, Status};
use crate::key_name::KeyName;
use crate::keystore::Patience;
use crate::keystore::sound;
use crate::keystore::state::{Alias, KeyState, State};
use crate::request_id::Call;

impl Kms {
    /// CreateAlias.
    pub fn create_alias(&self, call: &Call, key_id: &str, alias: &str) -> Result<()> {
        check_alias(alias)?;
        let name = KeyName::parse(key_id);
        let event = Event::on(Action::CreateAlias, key_id).noting("alias", alias);
        self.change(call, &event, Patience::Configured, |draft| {
            let id = self.permit_change(Action::CreateAlias, draft, name.id())?;
            if draft.state.key_mut(id)?.state() == KeyState::PendingDeletion {
                return Err(Error::new(Status::State));
            }
            if let Some(known) = draft.state.alias(alias) {
                return Err(exists(&draft.state, known));
            }
            draft.state.aliases.push(Arc::new(Alias {
                alias: alias.to_owned(),
                key_id: id,
                created: Timestamp::now(),
            }));
            Ok(((), named(&draft.state, id)))
        })
    }

    /// UpdateAlias: the alias points to another CMK.
    pub fn update_alias(&self, call: &Call, key_id: &str, alias: &str) -> Result<()> {
        check_alias(alias)?;
        let name = KeyName::parse(key_id);
        let event = Event::on(Action::UpdateAlias, key_id).noting("alias", alias);
        self.change(call, &event, Patience::Configured, |draft| {
            let old = draft.state.alias(alias).map(|alias| alias.key_id);
            // The permission must cover the CMK that the alias leaves, too.
            let old = old.ok_or(Error::new(Status::AliasNotFound));
            let old = self.permit_change(Action::UpdateAlias, draft, old)?;
            event.note("old_key_id", old.to_string());
            let id = self.permit_change(Action::UpdateAlias, draft, name.id())?;
            if draft.state.key_mut(id)?.state() == KeyState::PendingDeletion {
                return Err(Error::new(Status::PendingDeletion));
            }
            for known in &mut draft.state.aliases {
                if known.alias == alias {
                    Arc::make_mut(known).key_id = id;
                }
            }
            Ok(((), named(&draft.state, id)))
        })
    }

    /// DeleteAlias: the CMK stays as it is.
    pub fn delete_alias(&self, call: &Call, alias: &str) -> Result<()> {
        check_alias(alias)?;
        let event = Event::on(Action::DeleteAlias, alias).noting("alias", alias);
        self.change(call, &event, Patience::Configured, |draft| {
            let id = draft.state.alias(alias).map(|alias| alias.key_id);
            let id = id.ok_or(Error::new(Status::AliasNotFound));
            let id = self.permit_change(Action::DeleteAlias, draft, id)?;
            draft.state.aliases.retain(|known| known.alias != alias);
            Ok(((), named(&draft.state, id)))
        })
    }

    /// ListAliases, in order of creation.
    pub fn list_aliases(&self, call: &Call, page: PageOf) -> Result<Page<Arc<Alias>>> {
        self.perform(call, &Event::new(Action::ListAliases), || {
            self.permit(Action::ListAliases)?;
            let view = self.keystore.view()?;
            let aliases = view.state().aliases.iter();
            let known = aliases.filter(|alias| view.key(alias.key_id).is_ok());
            Ok((page.of(known.cloned()), None))
        })
    }

    /// ListAliasesByKeyId, in order of creation.
    pub fn list_aliases_by_key_id(
        &self,
        call: &Call,
        key_id: &str,
        page: PageOf,
    ) -> Result<Page<Arc<Alias>>> {
        let action = Action::ListAliasesByKeyId;
        let name = KeyName::parse(key_id);
        self.perform(call, &Event::on(action, key_id), || {
            self.permit(action)?;
            self.on_view(|view| {
                let found = name.id().and_then(|id| view.key(id));
                let key = self.permit_on(action, view, found)?;
                let aliases = view.state().aliases.iter();
                let of_key = aliases.filter(|alias| alias.key_id == key.key_id);
                Ok((page.of(of_key.cloned()), None))
            })
        })
    }
}

/// The CMK of an alias for the audit log, also one that is gone and waits for a purge.
fn named(state: &State, key_id: Uuid) -> Option<KeyUse> {
    let key = state.keys.iter().find(|key| key.key_id == key_id)?;
    Some(KeyUse::of(key))
}

/// An alias of a CMK that is gone is in no list: the refusal says why it is still taken.
fn exists(state: &State, alias: &Alias) -> Error {
    if state.gone().any(|key| key.key_id == alias.key_id) {
        return Error::constant(
            Status::AliasExists,
            "AliasName Already Exists: it is held by a CMK whose deletion window has ended; purge it.",
        );
    }
    Error::new(Status::AliasExists)
}

fn check_alias(alias: &str) -> Result<()> {
    sound::alias(alias).map_err(|why| Error::invalid_parameter("AliasName", why))
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
