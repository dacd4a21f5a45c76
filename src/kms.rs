//! The service: one method per operation of the API, no C types.
#![forbid(unsafe_code)]

mod data;
pub mod key_name;
mod manage;

use std::sync::Arc;

use arc_swap::Guard;
use uuid::Uuid;

use crate::action::{Action, Permissions};
use crate::document::Text;
use crate::document::tree::{Node, object};
use crate::error::{Error, Result, Status};
use crate::keystore::Keystore;
use crate::keystore::expanded::ExpandedKeys;
use crate::keystore::file::SealedFile;
use crate::keystore::memory::Memory;
use crate::keystore::view::View;
use crate::options::{Options, Place};
use crate::secret::Arena;

pub use data::{DATA_KEY_MAX, KeySpec};
pub use manage::{Metadata, NewKey, Page};

/// An opened keystore and what this client may do with it.
pub struct Kms {
    keystore: Box<dyn Keystore>,
    expanded: ExpandedKeys,
    permissions: Permissions,
    read_only: bool,
    refresh_interval_ms: u128,
}

/// The CMK and the version that an operation used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyUse {
    /// The CMK's id, also where an alias was asked for.
    pub key_id: Uuid,
    /// The version's id.
    pub key_version_id: Uuid,
}

// C shares one client between threads.
const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    shared::<Kms>();
};

impl Kms {
    /// Opens the keystore that the options name.
    pub fn open(options: &Options) -> Result<Self> {
        let arena = Arena::new(options.locked_memory_max);
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
                Box::new(Memory::new(&arena)?)
            }
        };
        Ok(Kms {
            keystore,
            expanded: ExpandedKeys::new(arena),
            permissions: options.permissions,
            read_only: options.read_only,
            refresh_interval_ms: options.refresh_interval.as_millis(),
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
        let memory = self.expanded.arena().report();
        let mut fields = vec![
            ("Version", Node::text(env!("CARGO_PKG_VERSION"))),
            ("Keystore", Node::text(self.keystore.place())),
        ];
        if let Some(view) = view {
            fields.extend([
                ("KeystoreId", Node::id(view.store_key().keystore_id())),
                ("Epoch", Node::number(view.epoch())),
                ("Keys", Node::count(view.state().keys.len())),
                ("Aliases", Node::count(view.state().aliases.len())),
            ]);
        }
        if let Some(error) = error {
            fields.push(("Error", Node::text(error.to_string())));
        }
        fields.extend([
            ("ReadOnly", Node::Bool(self.read_only)),
            (
                "Permissions",
                Node::List(self.permissions.names().map(Node::text).collect()),
            ),
            (
                "RefreshIntervalMs",
                Node::number(u64::try_from(self.refresh_interval_ms).unwrap_or(u64::MAX)),
            ),
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
        ]);
        Ok(Node::Object(fields).to_json())
    }

    /// Refuses an action that this client was not opened for.
    pub(crate) fn permit(&self, action: Action) -> Result<()> {
        if self.permissions.allow(action) {
            return Ok(());
        }
        Err(Error::with(
            Status::NoPermission,
            format!(
                "This operation is forbidden by permission system: {} is not among this client's \
                 permissions.",
                action.name()
            ),
        ))
    }

    /// Refuses a change that this client was not opened for.
    fn permit_change(&self, action: Action) -> Result<()> {
        self.permit(action)?;
        match self.read_only {
            false => Ok(()),
            true => Err(Error::with(
                Status::NoPermission,
                "This client is read-only: it was opened with read_only=true.",
            )),
        }
    }

    /// Works on a view; where it lacks a CMK, an alias or a version, looks again at once, since
    /// another process may just have made it.
    fn on_view<R>(&self, mut work: impl FnMut(&View) -> Result<R>) -> Result<R> {
        let view = self.keystore.view()?;
        match work(&view) {
            Err(error) if is_not_found(error.status()) => {
                let newer: Guard<Arc<View>> = self.keystore.look()?;
                if Arc::ptr_eq(&view, &newer) {
                    return Err(error);
                }
                work(&newer)
            }
            done => done,
        }
    }
}

fn is_not_found(status: Status) -> bool {
    matches!(
        status,
        Status::KeyNotFound | Status::AliasNotFound | Status::KeyVersionNotFound
    )
}
