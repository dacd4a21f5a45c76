//! CMKs: made and described.
#![forbid(unsafe_code)]

use clap::Args;
use kmsbox::clock::Timestamp;
use kmsbox::error::Status;
use kmsbox::key_name::key_arn;
use kmsbox::keystore::state::{Key, Origin, Tag};
use kmsbox::kms::{NewKey, PageOf};
use kmsbox::request_id::Call;
use serde_json::{Map, Value, json};

use crate::failure::{Failure, Result};
use crate::naming::{self, KeyArg};
use crate::open::{Access, Global};
use crate::output;
use crate::table::{self, Table};

/// All of a list on one page.
pub const ALL: PageOf = PageOf {
    number: 1,
    size: usize::MAX,
};
const DAY: u64 = 24 * 60 * 60;

/// Make a CMK; prints its id
#[derive(Args)]
#[command(after_help = "\
With --external the CMK waits for material of your own: see \"kmsbox import\".

Examples:
  kmsbox create-key --alias alias/orders --description 'orders database'
  kmsbox create-key --alias alias/orders --rotate-every 90d --tag team=billing
  key=$(kmsbox create-key)
  kmsbox create-key --count 1000    # a thousand CMKs, all in one write")]
pub struct CreateKey {
    /// A name that stands for the CMK
    #[arg(long, value_name = "alias/NAME", conflicts_with = "count")]
    alias: Option<String>,

    /// What it is for; up to 8192 characters
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    description: String,

    /// Make a new version by itself after so long: 7d to 730d
    #[arg(long, value_name = "TIME", value_parser = interval, conflicts_with = "external")]
    rotate_every: Option<u64>,

    /// Make no material: it will be imported
    #[arg(long)]
    external: bool,

    /// A tag; may be repeated, up to 20 times
    #[arg(long = "tag", value_name = "NAME=VALUE")]
    tags: Vec<String>,

    /// How many alike to make, all in one write
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    count: Option<u32>,
}

impl CreateKey {
    pub fn run(self, global: &Global) -> Result<()> {
        let tags = self.tags.iter().map(|tag| {
            let (key, value) = naming::split(tag, "--tag")?;
            Ok(Tag {
                key: key.to_owned(),
                value: value.to_owned(),
            })
        });
        let new = NewKey {
            description: self.description.clone(),
            origin: match self.external {
                true => Origin::External,
                false => Origin::MadeHere,
            },
            rotation_interval: self.rotate_every,
            tags: tags.collect::<Result<_>>()?,
        };
        let kms = global.open(Access::Write)?;
        let call = Call::default();
        if let Some(alias) = &self.alias {
            // Two writes: what would refuse the second is looked for before the first.
            naming::check_alias(alias)?;
            match kms.describe_key(&call, alias) {
                Err(error) if error.status() == Status::AliasNotFound => {}
                Err(error) => return Err(error.into()),
                Ok(_) => return Err(kmsbox::error::Error::new(Status::AliasExists).into()),
            }
        }
        let count = usize::try_from(self.count.unwrap_or(1)).unwrap_or(usize::MAX);
        let keys = kms.create_keys(&call, &new, count).inspect_err(|error| {
            if !global.json {
                name_what_was_made(error, count);
            }
        })?;
        let mut aliases = Vec::new();
        if let (Some(alias), Some(key)) = (self.alias, keys.first()) {
            let id = key.key_id.to_string();
            kms.create_alias(&Call::default(), &id, &alias)
                .inspect_err(|_| output::note(format_args!("kmsbox: made the CMK {id}, but:")))
                .map_err(|error| match error.is_after_the_change() {
                    true => error,
                    false => error.after_the_change("the CMK has no alias"),
                })?;
            aliases.push(alias);
        }
        let ids: String = keys.iter().map(|key| format!("{}\n", key.key_id)).collect();
        let keys: Vec<_> = keys.iter().map(|key| about(key, &aliases)).collect();
        match global.json {
            true => output::json(&json!({"Keys": keys})),
            false => output::text(ids),
        }
        .map_err(Failure::after_the_change)
    }
}

/// Says which CMKs there are although something failed after they were made.
fn name_what_was_made(error: &kmsbox::error::Error, count: usize) {
    if let Some(first) = error.made() {
        let id = first.key_id;
        output::note(match count {
            1 => format!("kmsbox: made the CMK {id}, but:"),
            _ => format!("kmsbox: made {count} CMKs, the first of which is {id}, but:"),
        });
    }
}

/// Show everything about one CMK but its material
#[derive(Args)]
#[command(after_help = "\
Examples:
  kmsbox describe alias/orders
  kmsbox describe alias/orders --json")]
pub struct Describe {
    #[command(flatten)]
    key: KeyArg,
}

impl Describe {
    pub fn run(self, global: &Global) -> Result<()> {
        let kms = global.open(Access::Read)?;
        let key = naming::find(&kms, &self.key.key)?;
        let id = key.key_id.to_string();
        let page = kms.list_aliases_by_key_id(&Call::default(), &id, ALL)?;
        let aliases: Vec<_> = page.items.iter().map(|alias| alias.alias.clone()).collect();
        if global.json {
            let mut fields = about(&key, &aliases);
            let versions = key.versions.iter().map(|version| {
                json!({
                    "KeyVersionId": version.key_version_id.to_string(),
                    "CreationDate": version.created.to_string(),
                    "Primary": version.key_version_id == key.primary_version,
                })
            });
            fields["KeyVersions"] = versions.collect();
            return output::json(&fields);
        }
        output::text(in_words(&key, &aliases))?;
        let mut table = Table::new(&["VERSION", "CREATED", "ROLE"]);
        for version in &key.versions {
            let primary = version.key_version_id == key.primary_version;
            table.row([
                version.key_version_id.to_string(),
                version.created.to_string(),
                if primary { "wraps" } else { "unwraps only" }.to_owned(),
            ]);
        }
        output::text(format_args!("\n{table}"))
    }
}

fn in_words(key: &Key, aliases: &[String]) -> String {
    let mut pairs = vec![
        ("Key", key.key_id.to_string()),
        ("ARN", key_arn(key.key_id)),
        ("State", key.state().name().to_owned()),
        ("Aliases", aliases.join(", ")),
        ("Description", key.description.clone()),
        ("Created", key.created.to_string()),
        ("Origin", key.origin.name().to_owned()),
        (
            "Rotation",
            key.rotation
                .map_or("on demand only".to_owned(), |rotation| {
                    let every = days(rotation.interval_seconds);
                    let next = key.next_rotation(Timestamp::now());
                    let next = next.unwrap_or(rotation.next);
                    format!("every {every}, next {next}")
                }),
        ),
        (
            "Protected",
            match &key.deletion_protection {
                Some(why) if why.is_empty() => "from deletion".to_owned(),
                Some(why) => format!("from deletion: {why}"),
                None => "no".to_owned(),
            },
        ),
    ];
    if let Some(date) = key.delete_date {
        pairs.push(("Gone at", date.to_string()));
    }
    if let Some(date) = key.imported.as_ref().and_then(|imported| imported.expires) {
        pairs.push(("Material until", date.to_string()));
    }
    for tag in &key.tags {
        pairs.push(("Tag", format!("{}={}", tag.key, tag.value)));
    }
    table::pairs(&pairs)
}

/// A CMK as JSON, in the words of the API.
pub fn about(key: &Key, aliases: &[String]) -> Value {
    let date = |date: Timestamp| Value::from(date.to_string());
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put("KeyId", key.key_id.to_string().into());
    put("Arn", key_arn(key.key_id).into());
    put("KeyState", key.state().name().into());
    put("Origin", key.origin.name().into());
    put("Description", key.description.clone().into());
    put("CreationDate", date(key.created));
    put("PrimaryKeyVersion", key.primary_version.to_string().into());
    put("VersionCount", key.versions.len().into());
    put("Aliases", aliases.into());
    put(
        "DeletionProtection",
        key.deletion_protection.is_some().into(),
    );
    let tags = key.tags.iter();
    put(
        "Tags",
        tags.map(|tag| json!({"TagKey": tag.key, "TagValue": tag.value}))
            .collect(),
    );
    if let Some(why) = &key.deletion_protection {
        put("DeletionProtectionDescription", why.clone().into());
    }
    if let Some(rotation) = key.rotation {
        put(
            "RotationInterval",
            format!("{}s", rotation.interval_seconds).into(),
        );
        put(
            "NextRotationDate",
            key.next_rotation(Timestamp::now())
                .map_or(Value::Null, date),
        );
    }
    if let Some(delete_date) = key.delete_date {
        put("DeleteDate", date(delete_date));
    }
    if let Some(expires) = key.imported.as_ref().and_then(|imported| imported.expires) {
        put("MaterialExpireTime", date(expires));
    }
    Value::Object(fields)
}

/// A time between two versions, as on the command line; in seconds.
pub fn interval(text: &str) -> Result<u64, String> {
    let unit = match text.as_bytes().last() {
        Some(b'd') => DAY,
        Some(b'h') => 60 * 60,
        Some(b'm') => 60,
        Some(b's') => 1,
        _ => 0,
    };
    let digits = text.get(..text.len().saturating_sub(1)).unwrap_or_default();
    let number = match digits.bytes().all(|byte| byte.is_ascii_digit()) {
        true => digits.parse::<u64>().ok(),
        false => None,
    };
    number
        .and_then(|number| number.checked_mul(unit))
        .filter(|seconds| (7 * DAY..=730 * DAY).contains(seconds))
        .ok_or_else(|| "7d to 730d, as a whole number with d, h, m or s".to_owned())
}

fn days(seconds: u64) -> String {
    match seconds % DAY {
        0 => format!("{}d", seconds / DAY),
        _ => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_seven_to_730_days() {
        assert_eq!(interval("90d"), Ok(90 * DAY));
        assert_eq!(interval("168h"), Ok(7 * DAY));
        assert_eq!(interval("730d"), Ok(730 * DAY));
        for wrong in [
            "",
            "d",
            "6d",
            "731d",
            "90",
            "-9d",
            "+90d",
            "9 d",
            "90é",
            "99999999999999999999d",
        ] {
            assert!(interval(wrong).is_err(), "{wrong}");
        }
        assert_eq!(days(90 * DAY), "90d");
        assert_eq!(days(90 * DAY + 1), "7776001s");
    }
}
