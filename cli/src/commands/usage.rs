//! How much versions are used.
#![forbid(unsafe_code)]

use clap::Args;
use serde_json::{Value, json};

use crate::failure::Result;
use crate::open::{Access, Global};
use crate::output;
use crate::table::Table;

/// Show how often each version has unwrapped, and when last
#[derive(Args)]
#[command(after_help = "\
A lower bound: processes count in memory and write the counts down about once
a minute and when they close the keystore; what one had counted when it was
killed is lost, and read-only clients write nothing. A version without a count
may still be needed by blobs that nobody has opened lately.

Examples:
  kmsbox usage
  kmsbox usage alias/orders --json")]
pub struct Usage {
    /// Only the versions of this CMK: its id, its ARN, or alias/NAME
    #[arg(value_name = "KEY")]
    key: Option<String>,
}

impl Usage {
    pub fn run(self, global: &Global) -> Result<()> {
        let kms = global.open(Access::Read)?;
        let versions = kms.usage(self.key.as_deref())?;
        if global.json {
            let versions = versions.iter().map(|version| {
                json!({
                    "KeyId": version.key_id.to_string(),
                    "KeyVersionId": version.key_version_id.to_string(),
                    "Primary": version.primary,
                    "KeyState": version.state.name(),
                    "CreationDate": version.created.to_string(),
                    "UnwrapsAtLeast": version.used.map_or(0, |(unwraps, _)| unwraps),
                    "LastUnwrap": version.used.map_or(Value::Null, |(_, last)| last.to_string().into()),
                })
            });
            return output::json(&json!({"KeyVersions": versions.collect::<Vec<_>>()}));
        }
        if versions.is_empty() {
            output::note("There are no CMKs.");
            return Ok(());
        }
        let mut table = Table::new(&[
            "KEY",
            "VERSION",
            "ROLE",
            "STATE",
            "CREATED",
            "UNWRAPS (AT LEAST)",
            "LAST",
        ]);
        for version in &versions {
            table.row([
                version.key_id.to_string(),
                version.key_version_id.to_string(),
                if version.primary { "wraps" } else { "old" }.to_owned(),
                version.state.name().to_owned(),
                version.created.to_string(),
                version.used.map_or(0, |(unwraps, _)| unwraps).to_string(),
                version
                    .used
                    .map_or(String::new(), |(_, last)| last.to_string()),
            ]);
        }
        output::text(table)
    }
}
