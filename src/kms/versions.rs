//! Versions of CMKs, and rotation: on demand, and by itself.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::Ordering;

use uuid::Uuid;

use super::{Kms, Page, PageOf};
use crate::action::Action;
use crate::audit::Event;
use crate::clock::Timestamp;
use crate::error::{Error, Result, Status};
use crate::key_name::{KeyName, parse_id};
use crate::keystore::Patience;
use crate::keystore::state::{Key, KeyState, Origin, Rotation, State, Version};
use crate::keystore::store_key::{StoreKey, VersionName};
use crate::keystore::view::View;
use crate::random;
use crate::request_id::Call;

/// Seconds between two tries of one client at a rotation that is due.
const PATIENCE: u64 = 1;

impl Kms {
    /// CreateKeyVersion: the new version wraps from now on; the old ones go on unwrapping.
    pub fn create_key_version(&self, call: &Call, key_id: &str) -> Result<(Key, Arc<Version>)> {
        self.change_named_key(
            call,
            Action::CreateKeyVersion,
            key_id,
            |draft, name| resolve(&draft.state, name),
            |key, store_key| {
                key.usable()?;
                made_here(key)?;
                key.rotate_to(new_version(store_key, key.key_id)?);
                let made = key.versions.last().map(Arc::clone);
                Ok((key.clone(), made.ok_or(Error::new(Status::Internal))?))
            },
        )
    }

    /// ListKeyVersions, in order of creation.
    pub fn list_key_versions(
        &self,
        call: &Call,
        key_id: &str,
        page: PageOf,
    ) -> Result<(Uuid, Page<Arc<Version>>)> {
        self.read_key(call, Action::ListKeyVersions, key_id, |key| {
            Ok((key.key_id, page.of(key.versions.iter().cloned())))
        })
    }

    /// DescribeKeyVersion.
    pub fn describe_key_version(
        &self,
        call: &Call,
        key_id: &str,
        key_version_id: &str,
    ) -> Result<(Uuid, Arc<Version>)> {
        let wanted = parse_id(key_version_id);
        self.read_key(call, Action::DescribeKeyVersion, key_id, |key| {
            let version = key
                .versions
                .iter()
                .find(|version| Some(version.key_version_id) == wanted);
            let version = version.ok_or(Error::new(Status::KeyVersionNotFound))?;
            Ok((key.key_id, Arc::clone(version)))
        })
    }

    /// UpdateRotationPolicy: on with an interval in seconds, or off.
    pub fn update_rotation_policy(
        &self,
        call: &Call,
        key_id: &str,
        interval: Option<u64>,
    ) -> Result<()> {
        self.change_key(call, Action::UpdateRotationPolicy, key_id, |key| {
            key.usable()?;
            made_here(key)?;
            let last = key.primary().map_or(key.created, |primary| primary.created);
            // A version that was made by a clock that was ahead must not put off the next one.
            let last = last.min(Timestamp::now());
            key.rotation = interval.map(|interval_seconds| Rotation {
                interval_seconds,
                next: last.plus(interval_seconds),
            });
            Ok(())
        })
    }

    /// Whether a rotation is due and this client should try it now.
    pub(super) fn should_rotate(
        &self,
        call: &Call,
        view: &View,
        key: &Key,
        primary: &Version,
    ) -> bool {
        let now = Timestamp::now();
        if !key.is_rotation_due(now) {
            return false;
        }
        let allowed = !self.read_only
            && !call.is_dry_run()
            && key.state() == KeyState::Enabled
            && self
                .permit_on(Action::CreateKeyVersion, view, Ok(key))
                .is_ok();
        let now = now.seconds();
        let tried = &primary.live.rotation_tried;
        let last = tried.load(Ordering::Relaxed);
        allowed
            && now.abs_diff(last) >= PATIENCE
            && tried
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// Rotates a CMK whose rotation is due, if the lock can be had at once. Whatever comes of it, the
    /// call that found it due goes on: with the new version, or with the present one.
    pub(super) fn rotate_due(&self, call: &Call, key_id: Uuid) {
        let name = key_id.to_string();
        let event = Event::on(Action::CreateKeyVersion, &name);
        let _ = self.change(call, &event, Patience::None, |draft| {
            // An alias that the permission names may have moved since.
            self.permit_change(Action::CreateKeyVersion, draft, Ok(key_id))?;
            let store_key = Arc::clone(&draft.store_key);
            let key = draft.state.key_mut(key_id)?;
            key.usable()?;
            if !key.is_rotation_due(Timestamp::now()) {
                // Another process was faster.
                return Err(Error::new(Status::State));
            }
            key.rotate_to(new_version(&store_key, key_id)?);
            Ok(((), Some(super::KeyUse::of(key))))
        });
    }
}

/// A version with material made here.
pub(super) fn new_version(store_key: &StoreKey, key_id: Uuid) -> Result<Version> {
    let name = VersionName {
        key_id,
        key_version_id: random::uuid()?,
        origin: Origin::MadeHere,
    };
    let material = store_key.new_material(name)?;
    Ok(Version::new(
        name.key_version_id,
        Timestamp::now(),
        Some(material),
    ))
}

/// The CMK that a name stands for in a state that is about to change; an alias will do.
fn resolve(state: &State, name: &KeyName<'_>) -> Result<Uuid> {
    match name {
        KeyName::Alias(alias) => state
            .alias(alias)
            .map(|alias| alias.key_id)
            .ok_or(Error::new(Status::AliasNotFound)),
        other => other.id(),
    }
}

/// Material of its owner has one version only.
fn made_here(key: &Key) -> Result<()> {
    match key.origin {
        Origin::MadeHere => Ok(()),
        Origin::External => Err(Error::new(Status::UnsupportedKey)),
    }
}
