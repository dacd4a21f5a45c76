//! What an operation used.
#![forbid(unsafe_code)]

use uuid::Uuid;

/// The CMK and the version that an operation used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyUse {
    /// The CMK's id, also where an alias was asked for.
    pub key_id: Uuid,
    /// The version's id.
    pub key_version_id: Uuid,
}
