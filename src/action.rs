//! The names of the API's actions, once: for permissions and for requests.
#![forbid(unsafe_code)]

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
    Encrypt Decrypt ReEncrypt GenerateDataKey GenerateDataKeyWithoutPlaintext
}

impl Action {
    /// The action of this name; names are case-sensitive.
    pub fn from_name(name: &str) -> Option<Action> {
        Self::ALL
            .iter()
            .copied()
            .find(|action| action.name() == name)
    }

    const fn bit(self) -> u64 {
        1 << self as u8
    }
}

/// The actions that a client will perform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permissions(u64);

impl Permissions {
    /// Every action.
    pub const ALL: Permissions = Permissions(u64::MAX);

    /// A comma list of names; the error is the part that names no action.
    pub fn parse(list: &str) -> Result<Permissions, String> {
        let mut bits = 0;
        for name in list.split(',').map(str::trim) {
            match Action::from_name(name) {
                Some(action) => bits |= action.bit(),
                None => return Err(format!("\"{name}\" is not an action of the API")),
            }
        }
        Ok(Permissions(bits))
    }

    /// Whether the action is among them.
    pub const fn allow(self, action: Action) -> bool {
        self.0 & action.bit() != 0
    }

    /// The names, in the order of the table.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Action::ALL
            .iter()
            .copied()
            .filter(move |action| self.allow(*action))
            .map(Action::name)
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
        for wrong in ["", "decrypt", "Decrypt,", "Decrypt;CreateKey", "*"] {
            assert!(Permissions::parse(wrong).is_err(), "{wrong}");
        }
        assert!(
            Permissions::parse("Decrpyt")
                .unwrap_err()
                .contains("Decrpyt")
        );
    }
}
