//! What the operations mean, through the C functions: keys, names, versions, contexts, roles, and which
//! refusal comes first.
#![allow(unsafe_code, reason = "calls the C functions")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/client.rs"]
#[macro_use]
mod client;
mod support;

#[path = "semantics/contexts.rs"]
mod contexts;
#[path = "semantics/data_keys.rs"]
mod data_keys;
#[path = "semantics/names.rs"]
mod names;
#[path = "semantics/options.rs"]
mod options;
#[path = "semantics/order.rs"]
mod order;
#[path = "semantics/pairs.rs"]
mod pairs;
#[path = "semantics/roles.rs"]
mod roles;
#[path = "semantics/secrets.rs"]
mod secrets;
#[path = "semantics/versions.rs"]
mod versions;

use client::{Ask, Client};

/// The id of a CMK that no keystore has.
const NO_SUCH_ID: &str = "00000000-0000-4000-8000-000000000000";

/// A keystore in memory with one CMK; an alias points to it.
fn with_alias(alias: &str) -> (Client, String) {
    let client = Client::in_memory();
    let key_id = client.create_key();
    client.done(&format!(
        "Action=CreateAlias&KeyId={key_id}&AliasName={alias}"
    ));
    (client, key_id)
}

fn ask(key_id: &str) -> Ask<'_> {
    Ask {
        key_id,
        ..Ask::default()
    }
}

fn arn(key_id: &str) -> String {
    format!("acs:kms:local:0:key/{key_id}")
}
