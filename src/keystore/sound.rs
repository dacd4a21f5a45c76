//! What a keystore may hold. Asked of what a caller gives before it is kept, and of a file that was read:
//! whoever has the store key can seal anything, and nothing behind this has to reckon with it.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use uuid::Uuid;

use super::state::{Key, KeyState, Origin, State, Tag};
use crate::error::{Error, Result, Status};
use crate::key_name::ALIAS_PREFIX;

const DAY: u64 = 24 * 60 * 60;
/// How long the interval of automatic rotation may be, in seconds.
pub const ROTATION_INTERVAL: RangeInclusive<u64> = 7 * DAY..=730 * DAY;
/// The most characters of a description.
const DESCRIPTION_MAX: usize = 8192;
/// The most tags of a CMK.
pub const TAGS_MAX: usize = 20;
/// The most characters of a tag's name.
const TAG_KEY_MAX: usize = 128;
/// The most characters of a tag's value.
const TAG_VALUE_MAX: usize = 256;
/// The most characters of an alias after its prefix.
const ALIAS_MAX: usize = 255;
/// Aliases that the service keeps for itself.
const RESERVED: &str = "alias/acs";

/// Why something may not be kept.
type Sound = Result<(), &'static str>;

/// Refuses a state that kmsbox does not write.
pub(super) fn check(state: &State) -> Result<()> {
    whole(state).map_err(|why| {
        Error::with(
            Status::KeystoreTampered,
            format!("The keystore's seal holds, but kmsbox writes nothing like it: {why}"),
        )
    })
}

fn whole(state: &State) -> Sound {
    let keys: BTreeSet<Uuid> = set_of(state.keys.iter().map(|key| key.key_id));
    if keys.len() < state.keys.len() {
        return Err("Two CMKs have one id.");
    }
    let versions = || state.keys.iter().flat_map(|key| &key.versions);
    let ids: BTreeSet<Uuid> = set_of(versions().map(|version| version.key_version_id));
    if ids.len() < versions().count() {
        return Err("Two versions have one id.");
    }
    let names = set_of(state.aliases.iter().map(|alias| alias.alias.as_str()));
    if names.len() < state.aliases.len() {
        return Err("An alias is there twice.");
    }
    for alias in &state.aliases {
        self::alias(&alias.alias).map_err(|_| "An alias has not the form of one.")?;
        if !keys.contains(&alias.key_id) {
            return Err("An alias points to no CMK of the keystore.");
        }
    }
    state.keys.iter().try_for_each(|key| one(key))
}

/// Grows in small pieces. `collect` would ask for all in one, and abort where that is refused.
fn set_of<T: Ord>(items: impl Iterator<Item = T>) -> BTreeSet<T> {
    let mut set = BTreeSet::new();
    set.extend(items);
    set
}

fn one(key: &Key) -> Sound {
    let Some(primary) = key.primary() else {
        return Err("The primary version of a CMK is not one of its versions.");
    };
    let waits = primary.sealed_material.is_none();
    match key.origin {
        Origin::MadeHere if key.imported.is_some() => {
            return Err("A CMK whose material was made here has imported material.");
        }
        Origin::External if key.versions.len() > 1 || key.rotation.is_some() => {
            return Err("A CMK with imported material has more than one version, or is rotated.");
        }
        Origin::External if !waits && key.imported.is_none() => {
            return Err("A CMK has material that was not imported.");
        }
        _ => {}
    }
    let mut versions = key.versions.iter();
    if key.origin == Origin::MadeHere && versions.any(|version| version.sealed_material.is_none()) {
        return Err("A version has no material.");
    }
    match key.put_in {
        KeyState::Enabled | KeyState::Disabled if waits => {
            return Err("A CMK that can be used has no material.");
        }
        KeyState::PendingImport if !waits => {
            return Err("A CMK that waits for its material has it.");
        }
        _ => {}
    }
    if (key.put_in == KeyState::PendingDeletion) != key.delete_date.is_some() {
        return Err(
            "A CMK has a date of deletion and is not in that state, or the other way round.",
        );
    }
    if let Some(rotation) = &key.rotation
        && !ROTATION_INTERVAL.contains(&rotation.interval_seconds)
    {
        return Err("An interval of rotation is not 7 to 730 days.");
    }
    description(&key.description).map_err(|_| "A description is too long.")?;
    tags(&key.tags).map_err(|_| "The tags of a CMK are too many, too long or there twice.")
}

/// A description.
pub fn description(text: &str) -> Sound {
    if text.chars().count() > DESCRIPTION_MAX {
        return Err("It is longer than 8192 characters.");
    }
    Ok(())
}

/// The tags of one CMK.
pub fn tags(tags: &[Tag]) -> Sound {
    if tags.len() > TAGS_MAX {
        return Err("There are more than 20.");
    }
    for (index, tag) in tags.iter().enumerate() {
        if tag.key.is_empty() || tag.key.chars().count() > TAG_KEY_MAX {
            return Err("A TagKey has not 1 to 128 characters.");
        }
        if tag.value.chars().count() > TAG_VALUE_MAX {
            return Err("A TagValue has more than 256 characters.");
        }
        if tags[..index].iter().any(|known| known.key == tag.key) {
            return Err("A TagKey is given twice.");
        }
    }
    Ok(())
}

/// The name of an alias, with its prefix.
pub fn alias(alias: &str) -> Sound {
    let Some(name) = alias.strip_prefix(ALIAS_PREFIX) else {
        return Err("It does not begin with \"alias/\".");
    };
    if name.is_empty() || name.chars().count() > ALIAS_MAX {
        return Err("After \"alias/\" it has not 1 to 255 characters.");
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-/".contains(&byte);
    if !name.bytes().all(allowed) {
        return Err("It has other characters than letters, digits, \"_\", \"-\" and \"/\".");
    }
    if alias.starts_with(RESERVED) {
        return Err("What begins with \"alias/acs\" is reserved.");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa";
    const B: &str = "bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb";
    const TIME: &str = "2026-11-21T18:30:00Z";

    /// A CMK of this id with one version of the same id, in this state, with these members more.
    fn key(id: &str, state: &str, more: &str) -> String {
        let version = version(id, !more.contains("EXTERNAL") || more.contains("imported"));
        format!(
            r#"{{"key_id": "{id}", "created": "{TIME}", "state": "{state}", {more}
                "primary_version": "{id}", "versions": [{version}]}}"#
        )
    }

    fn version(id: &str, has_material: bool) -> String {
        let material = match has_material {
            true => format!(r#", "sealed_material": "{}""#, sealed()),
            false => String::new(),
        };
        format!(r#"{{"key_version_id": "{id}", "created": "{TIME}"{material}}}"#)
    }

    fn sealed() -> String {
        "A".repeat(139) + "="
    }

    fn alias(name: &str, key_id: &str) -> String {
        format!(r#"{{"alias": "{name}", "key_id": "{key_id}", "created": "{TIME}"}}"#)
    }

    fn checked(keys: &[String], aliases: &[String]) -> Sound {
        let list = |items: &[String]| format!("[{}]", items.join(","));
        whole(&State {
            keys: serde_json::from_str(&list(keys)).unwrap(),
            aliases: serde_json::from_str(&list(aliases)).unwrap(),
            ..State::default()
        })
    }

    #[test]
    fn what_kmsbox_writes_is_sound() {
        let imported = format!(
            r#""origin": "EXTERNAL", "imported": {{"check": "{}"}},"#,
            sealed()
        );
        let rotated =
            r#""rotation": {"interval_seconds": 604800, "next": "2027-11-21T18:30:00Z"},"#;
        let deleted = format!(r#""delete_date": "{TIME}","#);
        for (state, more) in [
            ("Enabled", ""),
            ("Disabled", rotated),
            ("Enabled", &imported),
            ("PendingImport", r#""origin": "EXTERNAL","#),
            ("PendingDeletion", &deleted),
            ("PendingDeletion", &format!("{deleted}{imported}")),
            (
                "PendingDeletion",
                &format!(r#"{deleted}"origin": "EXTERNAL","#),
            ),
        ] {
            let keys = [key(A, state, more), key(B, "Enabled", "")];
            let aliases = [alias("alias/a", A), alias("alias/b", A)];
            assert_eq!(checked(&keys, &aliases), Ok(()), "{state} {more}");
        }
        assert_eq!(checked(&[], &[]), Ok(()));
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        let one = || key(A, "Enabled", "");
        let with = |state, more: &str| vec![key(A, state, more)];
        let tags = |count| {
            let tag = |n| format!(r#"{{"key": "{n}", "value": ""}}"#);
            let tags: Vec<_> = (0..count).map(tag).collect();
            format!(r#""tags": [{}],"#, tags.join(","))
        };
        let rotated = |seconds: u64| {
            format!(r#""rotation": {{"interval_seconds": {seconds}, "next": "{TIME}"}},"#)
        };
        let imported = format!(r#""imported": {{"check": "{}"}},"#, sealed());
        let external = format!(r#""origin": "EXTERNAL",{imported}"#);
        let deleted = format!(r#""delete_date": "{TIME}","#);
        let two = |key: String| key.replace("]}", &format!(",{}]}}", version(B, true)));
        let without =
            |key: String| key.replace(&format!(r#", "sealed_material": "{}""#, sealed()), "");
        for (keys, why) in [
            (vec![one(), one()], "Two CMKs"),
            (vec![one(), one().replacen(A, B, 1)], "Two versions"),
            (
                vec![one().replace(r#"primary_version": "a"#, r#"primary_version": "b"#)],
                "primary",
            ),
            (with("Enabled", &imported), "made here has imported"),
            (
                vec![two(key(A, "Enabled", &external))],
                "more than one version",
            ),
            (
                with("Enabled", &format!("{external}{}", rotated(604_800))),
                "is rotated",
            ),
            (
                vec![key(A, "Enabled", r#""origin": "EXTERNAL","#)],
                "has no material",
            ),
            (vec![two(without(one()))], "A version has no material"),
            (with("PendingImport", &external), "waits"),
            (with("PendingImport", ""), "waits"),
            (with("Enabled", &deleted), "date of deletion"),
            (with("PendingDeletion", ""), "date of deletion"),
            (with("Enabled", &rotated(0)), "interval"),
            (with("Enabled", &rotated(604_799)), "interval"),
            (with("Enabled", &rotated(u64::MAX)), "interval"),
            (
                with(
                    "Enabled",
                    &format!(r#""description": "{}","#, "d".repeat(8193)),
                ),
                "description",
            ),
            (with("Enabled", &tags(21)), "tags"),
            (
                with("Enabled", r#""tags": [{"key": "", "value": ""}],"#),
                "tags",
            ),
        ] {
            let told = checked(&keys, &[]).expect_err(why);
            assert!(told.contains(why), "{told}");
        }
        for (aliases, why) in [
            (vec![alias("alias/a", A), alias("alias/a", A)], "twice"),
            (vec![alias("alias/a", B)], "points to no CMK"),
            (vec![alias("orders", A)], "form"),
        ] {
            let told = checked(&[one()], &aliases).expect_err(why);
            assert!(told.contains(why), "{told}");
        }
    }
}
