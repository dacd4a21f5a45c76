//! The names of actions, once: for permissions, for requests and for the audit log.
//!
//! All are the API's but the last line of the table, which is what only an operator does.
#![forbid(unsafe_code)]

use std::collections::TryReserveError;

use crate::key_name::{ALIAS_PREFIX, KeyName};

macro_rules! actions {
    ($($action:ident)*) => {
        /// An action of the API.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        #[allow(missing_docs, reason = "the API documents each under its name")]
        pub enum Action { $($action,)* }

        impl Action {
            /// Every action.
            pub const ALL: &'static [Action] = &[$(Action::$action,)*];

            /// Its name in the API.
            pub const fn name(self) -> &'static str {
                match self { $(Action::$action => stringify!($action),)* }
            }
        }
    };
}

actions! {
    CreateKey DescribeKey ListKeys UpdateKeyDescription EnableKey DisableKey
    ScheduleKeyDeletion CancelKeyDeletion SetDeletionProtection
    CreateKeyVersion ListKeyVersions DescribeKeyVersion UpdateRotationPolicy
    CreateAlias UpdateAlias DeleteAlias ListAliases ListAliasesByKeyId
    TagResource UntagResource ListResourceTags
    GetParametersForImport ImportKeyMaterial DeleteKeyMaterial
    Encrypt Decrypt ReEncrypt ReEncryptFrom ReEncryptTo GenerateDataKey GenerateDataKeyWithoutPlaintext
    AddRootKey RetireRootKey Purge
}

impl Action {
    /// The action of this name; names are case-sensitive.
    pub fn from_name(name: &str) -> Option<Action> {
        Self::ALL
            .iter()
            .copied()
            .find(|action| action.name() == name)
    }

    /// Whether it changes the keystore where it succeeds. A rotation that is due beside it does not count.
    pub const fn changes(self) -> bool {
        !matches!(
            self,
            Action::DescribeKey
                | Action::ListKeys
                | Action::ListKeyVersions
                | Action::DescribeKeyVersion
                | Action::ListAliases
                | Action::ListAliasesByKeyId
                | Action::ListResourceTags
                | Action::GetParametersForImport
                | Action::Encrypt
                | Action::Decrypt
                | Action::ReEncrypt
                | Action::ReEncryptFrom
                | Action::ReEncryptTo
                | Action::GenerateDataKey
                | Action::GenerateDataKeyWithoutPlaintext
        )
    }

    /// Whether a permission for it can be limited to one CMK.
    const fn is_on_a_key(self) -> bool {
        !matches!(
            self,
            Action::CreateKey
                | Action::ListKeys
                | Action::ListAliases
                | Action::AddRootKey
                | Action::RetireRootKey
                | Action::Purge
        )
    }

    const fn bit(self) -> u64 {
        1 << self as u8
    }
}

/// What a client will do: actions on every CMK, and actions on some.
#[derive(Debug, PartialEq, Eq)]
pub struct Permissions {
    everywhere: u64,
    somewhere: Vec<(Action, String)>,
}

impl Permissions {
    /// Every action on every CMK.
    pub const ALL: Permissions = Permissions {
        everywhere: u64::MAX,
        somewhere: Vec::new(),
    };

    /// A comma list of `Action` and `Action@KEY`; the error is what is wrong with a part of it.
    pub fn parse(list: &str) -> Result<Permissions, String> {
        let mut permissions = Permissions {
            everywhere: 0,
            somewhere: Vec::new(),
        };
        for part in list.split(',').map(str::trim) {
            let (name, key) = match part.split_once('@') {
                Some((name, key)) => (name, Some(key)),
                None => (part, None),
            };
            let actions = match name {
                // The API's own short form for both of its halves.
                "ReEncrypt" => vec![Action::ReEncryptFrom, Action::ReEncryptTo],
                _ => vec![
                    Action::from_name(name)
                        .ok_or_else(|| format!("\"{name}\" is not an action of the API"))?,
                ],
            };
            for action in actions {
                match key {
                    None => permissions.everywhere |= action.bit(),
                    Some(key) if names_a_key(key) && action.is_on_a_key() => {
                        permissions.somewhere.push((action, key.to_owned()));
                    }
                    Some(key) if action.is_on_a_key() => {
                        return Err(format!("\"{key}\" is no id, ARN or alias of a CMK"));
                    }
                    Some(_) => return Err(format!("{name} is not about one CMK")),
                }
            }
        }
        Ok(permissions)
    }

    /// A copy.
    pub fn copied(&self) -> Result<Permissions, TryReserveError> {
        let mut somewhere = Vec::new();
        somewhere.try_reserve_exact(self.somewhere.len())?;
        somewhere.extend_from_slice(&self.somewhere);
        Ok(Permissions {
            everywhere: self.everywhere,
            somewhere,
        })
    }

    /// Whether the action is allowed on every CMK.
    pub const fn allow_everywhere(&self, action: Action) -> bool {
        self.everywhere & action.bit() != 0
    }

    /// Whether the action is allowed on any CMK at all.
    pub fn allow(&self, action: Action) -> bool {
        self.allow_everywhere(action) || self.keys(action).next().is_some()
    }

    /// The CMKs that the action is allowed on, where it is not allowed on every one.
    pub fn keys(&self, action: Action) -> impl Iterator<Item = &str> {
        self.somewhere
            .iter()
            .filter(move |(allowed, _)| *allowed == action)
            .map(|(_, key)| key.as_str())
    }

    /// As the option writes them.
    pub fn names(&self) -> impl Iterator<Item = String> {
        let everywhere = Action::ALL
            .iter()
            .copied()
            .filter(|action| *action != Action::ReEncrypt && self.allow_everywhere(*action))
            .map(|action| action.name().to_owned());
        let somewhere = self
            .somewhere
            .iter()
            .map(|(action, key)| format!("{}@{key}", action.name()));
        everywhere.chain(somewhere)
    }
}

fn names_a_key(text: &str) -> bool {
    match KeyName::parse(text) {
        KeyName::Alias(alias) => alias.len() > ALIAS_PREFIX.len(),
        KeyName::Id(_) => true,
        KeyName::Foreign | KeyName::Unknown => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bits_suffice() {
        assert!(Action::ALL.len() <= 64);
    }

    #[test]
    fn a_list_names_actions_and_nothing_else() {
        let some = Permissions::parse("Decrypt, GenerateDataKeyWithoutPlaintext").unwrap();
        assert!(some.allow(Action::Decrypt));
        assert!(!some.allow(Action::GenerateDataKey));
        assert_eq!(
            some.names().collect::<Vec<_>>(),
            ["Decrypt", "GenerateDataKeyWithoutPlaintext"]
        );
        let one = Permissions::parse("Decrypt@alias/orders,ReEncrypt@alias/a").unwrap();
        assert!(one.allow(Action::Decrypt) && !one.allow_everywhere(Action::Decrypt));
        assert_eq!(
            one.keys(Action::Decrypt).collect::<Vec<_>>(),
            ["alias/orders"]
        );
        assert_eq!(
            one.keys(Action::ReEncryptTo).collect::<Vec<_>>(),
            ["alias/a"]
        );
        for wrong in [
            "Decrypt@",
            "Decrypt@orders",
            "Decrypt@alias/",
            "CreateKey@alias/a",
            "",
            "decrypt",
            "Decrypt,",
            "Decrypt;CreateKey",
            "*",
        ] {
            assert!(Permissions::parse(wrong).is_err(), "{wrong}");
        }
        assert!(
            Permissions::parse("Decrpyt")
                .unwrap_err()
                .contains("Decrpyt")
        );
    }
}
