//! The service: one method per operation of the API, no C types.
//!
//! ```text
//! data      data keys: made, wrapped, unwrapped, wrapped anew
//! keys      CMKs: made, described, enabled, deleted
//! versions  versions of CMKs, and rotation
//! aliases   aliases
//! tags      tags
//! import    material of its owner
//! operate   root keys, backup, usage
//! named     CMKs found by their names
//! ```
#![forbid(unsafe_code)]

mod aliases;
mod data;
mod import;
mod keys;
mod named;
mod operate;
mod tags;
mod versions;

use std::sync::Arc;

use arc_swap::Guard;
use uuid::Uuid;

use crate::action::{Action, Permissions};
use crate::allocation;
use crate::audit::{Event, Made, Sink};
use crate::error::{Error, Result, Status};
use crate::key_name::KeyName;
pub use crate::key_name::KeyUse;
use crate::keystore::expanded::ExpandedKeys;
use crate::keystore::file::SealedFile;
use crate::keystore::memory::Memory;
use crate::keystore::state::Key;
use crate::keystore::view::View;
use crate::keystore::{Change, Draft, Keystore, Patience};
use crate::options::{Options, Place};
use crate::request_id::Call;
use crate::secret::Arena;
use crate::tree::{Node, Text, named, object};

pub use data::{DATA_KEY_MAX, Destination, KeySpec, Source, SourceOf};
pub use import::ImportParameters;
pub use keys::{Filter, NewKey};
use operate::UsageClock;
pub use operate::VersionUsage;

/// An opened keystore and what this client may do with it.
pub struct Kms {
    keystore: Box<dyn Keystore>,
    expanded: ExpandedKeys,
    permissions: Permissions,
    audit: Option<Sink>,
    read_only: bool,
    refresh_interval_ms: u128,
    usage_clock: UsageClock,
}

/// One page of a list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The items of this page.
    pub items: Vec<T>,
    /// How many there are on all pages.
    pub total: usize,
}

/// Which page of a list is wanted.
#[derive(Clone, Copy, Debug)]
pub struct PageOf {
    /// From 1.
    pub number: usize,
    /// How many items a page has.
    pub size: usize,
}

// C shares one client between threads.
const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    shared::<Kms>();
};

impl Kms {
    /// Opens the keystore that the options name.
    pub fn open(options: &Options) -> Result<Self> {
        options.keep_apart(&[])?;
        let root_key = options.root_key_file()?;
        let audit = match &options.audit {
            Some(sink) => Some(sink.resolved(options.keystore_file(), root_key.as_deref())?),
            None => None,
        };
        let arena = Arena::new(options.locked_memory_max)?;
        let place = options
            .keystore
            .as_ref()
            .ok_or_else(|| Error::missing_parameter("keystore"))?;
        let keystore: Box<dyn Keystore> = match place {
            Place::File(_) if options.read_only && options.create => {
                return Err(Error::invalid_option(
                    "read_only",
                    "a read-only client cannot create the keystore",
                ));
            }
            Place::File(path) => Box::new(SealedFile::open(path, options, &arena)?),
            Place::Memory if options.read_only => {
                return Err(Error::invalid_option(
                    "read_only",
                    "a keystore in memory would stay empty",
                ));
            }
            Place::Memory => {
                // It seals nothing here, but a program must not come to work without one.
                options.root_key()?;
                Box::new(Memory::new(options.keystore_id, &arena)?)
            }
        };
        Ok(Kms {
            keystore,
            expanded: ExpandedKeys::new(arena),
            permissions: options.permissions.copied()?,
            audit,
            read_only: options.read_only,
            refresh_interval_ms: options.refresh_interval.as_millis(),
            usage_clock: UsageClock::new(),
        })
    }

    /// The memory that this client's keys lie in.
    pub(crate) fn arena(&self) -> Arc<Arena> {
        Arc::clone(self.expanded.arena())
    }

    /// What this client is and how it stands, as JSON.
    pub fn describe(&self) -> Result<Text> {
        // The newest view, or the last one where the keystore cannot be looked at now.
        let (view, error) = match self.keystore.look() {
            Ok(view) => (Some(view), None),
            Err(error) => (None, Some(error)),
        };
        let place = self
            .keystore
            .path()
            .map_or("memory:".to_owned(), |path| path.display().to_string());
        let mut permissions = allocation::room(self.permissions.names().count())?;
        permissions.extend(self.permissions.names().map(Node::text));
        let memory = self.expanded.arena().report();
        let mut fields = named([
            ("Version", Node::text(env!("CARGO_PKG_VERSION"))),
            ("Keystore", Node::text(place)),
        ]);
        if let Some(view) = view {
            fields.extend(named([
                ("KeystoreId", Node::id(view.store_key().keystore_id())),
                ("Epoch", Node::number(view.epoch())),
                ("Keys", Node::count(view.keys().count())),
                ("Aliases", Node::count(view.state().aliases.len())),
            ]));
        }
        if let Some(error) = error {
            fields.push(("Error".into(), Node::text(error.to_string())));
        }
        fields.extend(named([
            ("ReadOnly", Node::Bool(self.read_only)),
            ("Permissions", Node::List(permissions)),
            (
                "RefreshIntervalMs",
                Node::number(u64::try_from(self.refresh_interval_ms).unwrap_or(u64::MAX)),
            ),
            ("Audited", Node::Bool(self.audit.is_some())),
            (
                "KeyMemory",
                object([
                    ("Max", Node::count(memory.max_bytes)),
                    ("Mapped", Node::count(memory.mapped_bytes)),
                    ("Used", Node::count(memory.used_bytes)),
                    ("Locked", Node::Bool(memory.locked)),
                    ("Undumped", Node::Bool(memory.undumped)),
                ]),
            ),
            ("HardwareAes", Node::Bool(aes::hardware_accelerated())),
        ]));
        Node::Object(fields).to_json()
    }

    /// Refuses an action that this client was not opened for on any CMK.
    fn permit(&self, action: Action) -> Result<()> {
        if self.permissions.allow(action) {
            return Ok(());
        }
        Err(forbidden(action))
    }

    /// Refuses an action on a CMK; the refusal does not tell whether the CMK exists.
    fn permit_on<'v>(
        &self,
        action: Action,
        view: &View,
        found: Result<&'v Key>,
    ) -> Result<&'v Key> {
        if self.permissions.allow_everywhere(action) {
            return found;
        }
        let key = found.map_err(|error| hidden(action, error))?;
        let allowed = self
            .permissions
            .keys(action)
            .any(|name| KeyName::parse(name).is(key.key_id, view).unwrap_or(false));
        if allowed {
            Ok(key)
        } else {
            Err(forbidden(action))
        }
    }

    /// As [`Kms::permit_on`], for a CMK in a state that is about to change.
    fn permit_change(&self, action: Action, draft: &Draft, key_id: Result<Uuid>) -> Result<Uuid> {
        if self.permissions.allow_everywhere(action) {
            return key_id;
        }
        let key_id = key_id.map_err(|error| hidden(action, error))?;
        let allowed = self
            .permissions
            .keys(action)
            .any(|name| match KeyName::parse(name) {
                KeyName::Id(id) => id == key_id,
                KeyName::Alias(alias) => draft
                    .state
                    .alias(alias)
                    .is_some_and(|alias| alias.key_id == key_id),
                KeyName::Foreign | KeyName::Unknown => false,
            });
        if allowed {
            Ok(key_id)
        } else {
            Err(forbidden(action))
        }
    }

    /// Works on a view; where it lacks a CMK, an alias or a version, looks again at once, since
    /// another process may just have made it.
    fn on_view<R>(&self, mut work: impl FnMut(&View) -> Result<R>) -> Result<R> {
        let view = self.keystore.view()?;
        if self.keystore.looked() {
            self.write_usage_if_due();
        }
        match work(&view) {
            Err(error) if may_be_new(error.status()) => {
                let newer: Guard<Arc<View>> = self.keystore.look()?;
                if Arc::ptr_eq(&view, &newer) {
                    return Err(error);
                }
                work(&newer)
            }
            done => done,
        }
    }

    /// Performs an operation that changes nothing, and writes down how it ended before its output is
    /// released.
    fn perform<R>(
        &self,
        call: &Call,
        event: &Event<'_>,
        run: impl FnOnce() -> Result<(R, Option<KeyUse>)>,
    ) -> Result<R> {
        let outcome = run();
        let used = outcome.as_ref().ok().and_then(|(_, used)| *used);
        let made = Made {
            used,
            purged: Vec::new(),
        };
        self.write_result(call, event, &made, outcome.as_ref().err())?;
        outcome.map(|(result, _)| result)
    }

    /// Writes down how an operation ended.
    fn write_result(
        &self,
        call: &Call,
        event: &Event<'_>,
        made: &Made,
        error: Option<&Error>,
    ) -> Result<()> {
        match &self.audit {
            Some(audit) => audit.result(call, event, made, error),
            None => Ok(()),
        }
    }

    /// Changes the keystore: the intent is written down before, how it ended after. Where that cannot be
    /// written, the error says that the change was made.
    fn change<R>(
        &self,
        call: &Call,
        event: &Event<'_>,
        patience: Patience,
        edit: impl FnMut(&mut Draft) -> Result<(R, Option<KeyUse>)>,
    ) -> Result<R> {
        struct Audited<'a, R, E> {
            audit: Option<&'a Sink>,
            call: &'a Call,
            event: &'a Event<'a>,
            edit: E,
            made: Option<(R, Option<KeyUse>)>,
            purged: Vec<Uuid>,
        }
        impl<R, E> Change for Audited<'_, R, E>
        where
            E: FnMut(&mut Draft) -> Result<(R, Option<KeyUse>)>,
        {
            fn edit(&mut self, draft: &mut Draft) -> Result<()> {
                self.made = Some((self.edit)(draft)?);
                Ok(())
            }

            fn intend(&mut self, draft: &Draft) -> Result<()> {
                let Some(audit) = self.audit else {
                    return Ok(());
                };
                let mut purged = allocation::room(draft.purged.len())?;
                purged.extend_from_slice(&draft.purged);
                let made = Made {
                    used: self.made.as_ref().and_then(|(_, used)| *used),
                    purged,
                };
                let told = audit.intent(self.call, self.event, &made, draft.epoch);
                self.purged = made.purged;
                told
            }
        }
        let mut change = Audited {
            audit: self.audit.as_ref(),
            call,
            event,
            edit,
            made: None,
            purged: Vec::new(),
        };
        let outcome = self
            .permit(event.action)
            .and_then(|()| self.keystore.change(&mut change, patience));
        let (result, used) = change.made.unzip();
        let used = used.flatten();
        match outcome {
            Err(error) if !error.is_after_the_change() => {
                self.write_result(call, event, &Made::default(), Some(&error))?;
                Err(error)
            }
            // The change is made, whatever comes now.
            outcome => {
                let error = outcome.err();
                let made = Made {
                    used,
                    purged: change.purged,
                };
                let written = self.write_result(call, event, &made, error.as_ref());
                let untold = written.map_err(|error| {
                    error.after_the_change("the audit log does not tell how it ended")
                });
                // Of two errors the first tells more: the change may even be lost again.
                error
                    .map_or(untold, Err)
                    .map_err(|error| error.made_on(used))?;
                result.ok_or(Error::new(Status::Internal))
            }
        }
    }
}

fn forbidden(action: Action) -> Error {
    Error::with(
        Status::NoPermission,
        format!(
            "This operation is forbidden by permission system: this client may not perform {} on it.",
            action.name()
        ),
    )
}

/// What a caller without a permission on every CMK is told in place of this error. That an action takes
/// no alias says nothing about any CMK.
fn hidden(action: Action, error: Error) -> Error {
    match error.status() {
        Status::UnsupportedAlias => error,
        _ => forbidden(action),
    }
}

/// What a look at the keystore may change. A refused permission is among them: it can hide that a
/// CMK is not known yet.
fn may_be_new(status: Status) -> bool {
    matches!(
        status,
        Status::KeyNotFound
            | Status::AliasNotFound
            | Status::KeyVersionNotFound
            | Status::NoPermission
    )
}
