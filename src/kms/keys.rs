//! CMKs: made, described, enabled and disabled, deleted.
#![forbid(unsafe_code)]

use std::sync::Arc;

use uuid::Uuid;

use super::versions::new_version;
use super::{KeyUse, Kms, Page, PageOf, tags};
use crate::action::Action;
use crate::allocation;
use crate::audit::Event;
use crate::clock::Timestamp;
use crate::error::{Error, Result, Status};
use crate::key_name::KeyName;
use crate::keystore::sound;
use crate::keystore::state::{Key, KeyState, Origin, Rotation, Tag, Version};
use crate::keystore::view::View;
use crate::keystore::{Draft, Patience};
use crate::random;
use crate::request_id::Call;

/// How long a deletion window may be, in days.
const WINDOW_DAYS: std::ops::RangeInclusive<u64> = 7..=366;
const DAY: u64 = 24 * 60 * 60;

/// What CreateKey is told.
#[derive(Clone, Debug, Default)]
pub struct NewKey {
    /// At most 8192 characters.
    pub description: String,
    /// Where its material comes from.
    pub origin: Origin,
    /// Seconds from one version to the next, where it gets them by itself.
    pub rotation_interval: Option<u64>,
    /// At most 20.
    pub tags: Vec<Tag>,
}

/// What ListKeys looks for: a CMK must have one of the values of each filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// One of these states.
    State(Vec<KeyState>),
    /// One of these origins.
    Origin(Vec<Origin>),
    /// Whether any CMK passes, for what all CMKs here have in common.
    Every(bool),
}

impl Kms {
    /// CreateKey: a CMK with its first version. One with material of its owner waits for that.
    pub fn create_key(&self, call: &Call, new: &NewKey) -> Result<Arc<Key>> {
        let mut keys = self.create_keys(call, new, 1)?;
        keys.pop().ok_or(Error::new(Status::Internal))
    }

    /// CreateKey so many times in one write.
    pub fn create_keys(&self, call: &Call, new: &NewKey, count: usize) -> Result<Vec<Arc<Key>>> {
        check_description("Description", &new.description)?;
        tags::check(&new.tags)?;
        let event = Event {
            count: (count != 1).then_some(count),
            ..Event::new(Action::CreateKey)
        };
        self.change(call, &event, Patience::Configured, |draft| {
            let mut keys = allocation::room(count)?;
            for _ in 0..count {
                keys.push(Arc::new(make_key(new, draft)?));
            }
            draft.state.keys.try_reserve(count)?;
            let first = keys.first().map(|key| KeyUse::of(key));
            draft.state.keys.extend_from_slice(&keys);
            Ok((keys, first))
        })
    }

    /// DescribeKey.
    pub fn describe_key(&self, call: &Call, key_id: &str) -> Result<Key> {
        self.read_key(call, Action::DescribeKey, key_id, |key| {
            key.ask_for_a_copy()?;
            Ok(key.clone())
        })
    }

    /// ListKeys, in order of creation.
    pub fn list_keys(&self, call: &Call, filters: &[Filter], page: PageOf) -> Result<Page<Uuid>> {
        self.perform(call, &Event::new(Action::ListKeys), || {
            self.permit(Action::ListKeys)?;
            let view = self.keystore.view()?;
            let wanted = view
                .keys()
                .filter(|key| filters.iter().all(|filter| filter.passes(key)))
                .map(|key| key.key_id);
            Ok((page.of(wanted), None))
        })
    }

    /// UpdateKeyDescription.
    pub fn update_key_description(
        &self,
        call: &Call,
        key_id: &str,
        description: &str,
    ) -> Result<()> {
        check_description("Description", description)?;
        self.change_key(call, Action::UpdateKeyDescription, key_id, |key| {
            not_pending_deletion(key)?;
            key.description = allocation::text(description)?;
            Ok(())
        })
    }

    /// EnableKey.
    pub fn enable_key(&self, call: &Call, key_id: &str) -> Result<()> {
        self.change_key(call, Action::EnableKey, key_id, |key| {
            switch(key, KeyState::Enabled)
        })
    }

    /// DisableKey.
    pub fn disable_key(&self, call: &Call, key_id: &str) -> Result<()> {
        self.change_key(call, Action::DisableKey, key_id, |key| {
            switch(key, KeyState::Disabled)
        })
    }

    /// ScheduleKeyDeletion: from now on the CMK serves for nothing; when the window ends it is gone.
    pub fn schedule_key_deletion(&self, call: &Call, key_id: &str, days: u64) -> Result<Timestamp> {
        if !WINDOW_DAYS.contains(&days) {
            return Err(Error::invalid_parameter(
                "PendingWindowInDays",
                "It is not within 7 and 366.",
            ));
        }
        let action = Action::ScheduleKeyDeletion;
        let event = Event::on(action, key_id);
        self.change(call, &event, Patience::Configured, |draft| {
            let id = self.permit_change(action, draft, KeyName::parse(key_id).id())?;
            let key = draft.state.key_mut(id)?;
            if key.state() == KeyState::PendingDeletion {
                return Err(Error::new(Status::State));
            }
            if key.deletion_protection.is_some() {
                return Err(Error::constant(
                    Status::State,
                    "Keystate modified failed: deletion protection is on.",
                ));
            }
            let begins = draft.state.begin_window()?;
            let delete_date = begins.plus(days * DAY);
            if delete_date.seconds() - begins.seconds() < days * DAY {
                return Err(Error::constant(
                    Status::Clock,
                    "The deletion window would end beyond the year 9999; is the clock right?",
                ));
            }
            let key = draft.state.key_mut(id)?;
            key.put_in = KeyState::PendingDeletion;
            key.delete_date = Some(delete_date);
            Ok((delete_date, Some(KeyUse::of(key))))
        })
    }

    /// CancelKeyDeletion: the CMK is enabled again.
    pub fn cancel_key_deletion(&self, call: &Call, key_id: &str) -> Result<()> {
        self.change_key(call, Action::CancelKeyDeletion, key_id, |key| {
            if key.state() != KeyState::PendingDeletion {
                return Err(Error::new(Status::State));
            }
            key.delete_date = None;
            key.put_in = match key.primary() {
                Some(primary) if primary.sealed_material.is_none() => KeyState::PendingImport,
                _ => KeyState::Enabled,
            };
            Ok(())
        })
    }

    /// SetDeletionProtection, on with a description or off.
    pub fn set_deletion_protection(
        &self,
        call: &Call,
        key_id: &str,
        protection: Option<&str>,
    ) -> Result<()> {
        check_description(
            "DeletionProtectionDescription",
            protection.unwrap_or_default(),
        )?;
        self.change_key(call, Action::SetDeletionProtection, key_id, |key| {
            not_pending_deletion(key)?;
            key.deletion_protection = protection.map(allocation::text).transpose()?;
            Ok(())
        })
    }

    /// CMKs whose deletion window has ended, and whose sealed bytes still stand in the file.
    pub fn gone_keys(&self) -> Result<Vec<Uuid>> {
        let view = self.keystore.look()?;
        let mut gone = allocation::room(view.state().gone().count())?;
        gone.extend(view.state().gone().map(|key| key.key_id));
        Ok(gone)
    }

    /// Drops the CMKs that are gone from the file, and tells which; `confirmed` also where the clock may
    /// be wrong.
    pub fn purge(&self, call: &Call, confirmed: bool) -> Result<Vec<Uuid>> {
        let event = Event::new(Action::Purge);
        // Confirming the clock is a change, also where nothing is gone.
        let is_needless = self
            .permit(Action::Purge)
            .and_then(|()| Ok(!confirmed && self.gone_keys()?.is_empty()));
        match is_needless {
            Ok(false) => self.change(call, &event, Patience::Configured, |draft| {
                draft.purge(confirmed)?;
                Ok((draft.purged.clone(), None))
            }),
            needless => self.perform(call, &event, || needless.map(|_| (Vec::new(), None))),
        }
    }

    /// Reads something of one CMK, named in any way.
    pub(super) fn read_key<R>(
        &self,
        call: &Call,
        action: Action,
        key_id: &str,
        read: impl Fn(&Key) -> Result<R>,
    ) -> Result<R> {
        self.read_named_key(call, action, key_id, |name, view| name.find(view), read)
    }

    /// Reads something of one CMK, named by id or ARN.
    pub(super) fn read_key_by_id<R>(
        &self,
        call: &Call,
        action: Action,
        key_id: &str,
        read: impl Fn(&Key) -> Result<R>,
    ) -> Result<R> {
        self.read_named_key(call, action, key_id, find_by_id, read)
    }

    /// Reads something of one CMK; `find` says which names will do.
    fn read_named_key<R>(
        &self,
        call: &Call,
        action: Action,
        key_id: &str,
        find: impl for<'v> Fn(&KeyName<'_>, &'v View) -> Result<&'v Key>,
        read: impl Fn(&Key) -> Result<R>,
    ) -> Result<R> {
        let name = KeyName::parse(key_id);
        self.perform(call, &Event::on(action, key_id), || {
            self.permit(action)?;
            self.on_view(|view| {
                let key = self.permit_on(action, view, find(&name, view))?;
                Ok((read(key)?, Some(KeyUse::of(key))))
            })
        })
    }

    /// Changes one CMK, named by id or ARN.
    pub(super) fn change_key<R>(
        &self,
        call: &Call,
        action: Action,
        key_id: &str,
        mut edit: impl FnMut(&mut Key) -> Result<R>,
    ) -> Result<R> {
        self.change_named_key(
            call,
            action,
            key_id,
            |_, name| name.id(),
            |key, _| edit(key),
        )
    }

    /// Changes one CMK; `resolve` says which names will do.
    pub(super) fn change_named_key<R>(
        &self,
        call: &Call,
        action: Action,
        key_id: &str,
        resolve: impl Fn(&Draft, &KeyName<'_>) -> Result<Uuid>,
        mut edit: impl FnMut(&mut Key, &crate::keystore::store_key::StoreKey) -> Result<R>,
    ) -> Result<R> {
        let name = KeyName::parse(key_id);
        self.change(
            call,
            &Event::on(action, key_id),
            Patience::Configured,
            |draft| {
                let id = resolve(draft, &name);
                let id = self.permit_change(action, draft, id)?;
                let store_key = Arc::clone(&draft.store_key);
                let key = draft.state.key_mut(id)?;
                let result = edit(key, &store_key)?;
                Ok((result, Some(KeyUse::of(key))))
            },
        )
    }
}

/// The CMK of a name that is no alias.
fn find_by_id<'v>(name: &KeyName<'_>, view: &'v View) -> Result<&'v Key> {
    view.key(name.id()?)
}

fn make_key(new: &NewKey, draft: &Draft) -> Result<Key> {
    let key_id = random::uuid()?;
    let created = Timestamp::now();
    let (version, put_in) = match new.origin {
        Origin::MadeHere => (new_version(&draft.store_key, key_id)?, KeyState::Enabled),
        Origin::External => (
            Version::new(random::uuid()?, created, None),
            KeyState::PendingImport,
        ),
    };
    Ok(Key {
        key_id,
        created,
        put_in,
        origin: new.origin,
        description: allocation::text(&new.description)?,
        delete_date: None,
        deletion_protection: None,
        rotation: new.rotation_interval.map(|interval_seconds| Rotation {
            interval_seconds,
            next: created.plus(interval_seconds),
        }),
        tags: new.tags.clone(),
        imported: None,
        primary_version: version.key_version_id,
        versions: vec![Arc::new(version)],
    })
}

fn switch(key: &mut Key, to: KeyState) -> Result<()> {
    match key.state() {
        KeyState::Enabled | KeyState::Disabled => {
            key.put_in = to;
            Ok(())
        }
        KeyState::PendingDeletion | KeyState::PendingImport => Err(Error::new(Status::State)),
    }
}

/// Refuses what the API refuses while a CMK waits for its deletion.
pub(super) fn not_pending_deletion(key: &Key) -> Result<()> {
    match key.state() {
        KeyState::PendingDeletion => Err(Error::new(Status::PendingDeletion)),
        _ => Ok(()),
    }
}

fn check_description(name: &str, description: &str) -> Result<()> {
    sound::description(description).map_err(|why| Error::invalid_parameter(name, why))
}

impl Filter {
    /// One of the states of these names; a name that is none fits no CMK.
    pub fn states(names: &[String]) -> Self {
        let named = |state: &KeyState| names.iter().any(|name| name == state.name());
        Filter::State(KeyState::ALL.into_iter().filter(named).collect())
    }

    /// One of the origins of these names, likewise.
    pub fn origins(names: &[String]) -> Self {
        let named = |origin: &Origin| names.iter().any(|name| name == origin.name());
        Filter::Origin(Origin::ALL.into_iter().filter(named).collect())
    }

    fn passes(&self, key: &Key) -> bool {
        match self {
            Filter::State(states) => states.contains(&key.state()),
            Filter::Origin(origins) => origins.contains(&key.origin),
            Filter::Every(passes) => *passes,
        }
    }
}

impl KeyUse {
    pub(super) fn of(key: &Key) -> Self {
        KeyUse {
            key_id: key.key_id,
            key_version_id: key.primary_version,
        }
    }
}

impl PageOf {
    /// Takes one page of the items and counts them all.
    pub(super) fn of<T>(self, items: impl Iterator<Item = T>) -> Page<T> {
        let start = self.number.saturating_sub(1).saturating_mul(self.size);
        let end = start.saturating_add(self.size);
        let mut page = Page {
            items: Vec::new(),
            total: 0,
        };
        for item in items {
            if (start..end).contains(&page.total) {
                page.items.push(item);
            }
            page.total += 1;
        }
        page
    }
}
