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
