//! What a library built without the cargo feature `import` answers.
#![forbid(unsafe_code)]

use super::ImportParameters;
use crate::clock::Timestamp;
use crate::error::{Error, Result, Status};
use crate::kms::Kms;
use crate::request_id::Call;

impl Kms {
    /// GetParametersForImport is refused.
    pub fn get_parameters_for_import(&self, _: &Call, _: &str) -> Result<ImportParameters> {
        Err(left_out())
    }

    /// ImportKeyMaterial is refused.
    pub fn import_key_material(
        &self,
        _: &Call,
        _: &str,
        _: &[u8],
        _: &[u8],
        _: Option<Timestamp>,
    ) -> Result<()> {
        Err(left_out())
    }
}

fn left_out() -> Error {
    Error::constant(
        Status::UnsupportedOperation,
        "This kmsbox was built without the feature that imports key material.",
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::action::Action;
    use crate::blob;
    use crate::context::Context;
    use crate::keystore::state::{KeyState, Origin};
    use crate::keystore::store_key::{KeyBytes, VersionName};
    use crate::kms::NewKey;
    use crate::options::Options;

    #[test]
    fn nothing_is_imported_but_what_was_imported_works() {
        let mut options = Options::default();
        options.set("keystore", "memory:").unwrap();
        options.set_root_key(&[9; 32]).unwrap();
        let kms = Kms::open(&options).unwrap();
        let call = Call::default();
        let new = NewKey {
            origin: Origin::External,
            ..NewKey::default()
        };
        let id = kms.create_key(&call, &new).unwrap().key_id.to_string();
        let parameters = kms.get_parameters_for_import(&call, &id).map(|_| ());
        let import = kms.import_key_material(&call, &id, &[0; 256], &[0; 1300], None);
        for refused in [parameters, import] {
            let error = refused.unwrap_err();
            assert_eq!(error.status(), Status::UnsupportedOperation);
            assert!(error.message().contains("built without"));
        }

        let action = Action::ImportKeyMaterial;
        let find = |_: &_, name: &crate::key_name::KeyName<'_>| name.id();
        kms.change_named_key(&call, action, &id, find, |key, store_key| {
            let name = VersionName {
                key_id: key.key_id,
                key_version_id: key.primary_version,
                origin: Origin::External,
            };
            let sealed = store_key.seal_material(name, &KeyBytes::new([7; 32]))?;
            super::super::set_material(key, Some(sealed))?;
            key.put_in = KeyState::Enabled;
            Ok(())
        })
        .unwrap();
        let (mut made, mut opened, mut wrapped) = ([0; 32], [0; 32], [0; 142]);
        let context = Context::empty();
        kms.generate_data_key(&call, &id, &context, &mut made, &mut wrapped)
            .unwrap();
        let parsed = blob::parse(&wrapped).unwrap();
        kms.decrypt(&call, None, &parsed, &context, &mut opened)
            .unwrap();
        assert_eq!(made, opened);
    }
}
