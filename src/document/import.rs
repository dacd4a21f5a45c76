//! The actions on imported material.
#![forbid(unsafe_code)]

use super::Reply;
use super::request::Request;
use crate::clock::Timestamp;
use crate::error::{Error, Result, Status};
use crate::kms::Kms;
use crate::request_id::Call;
use crate::tree::Node;

pub(super) fn get_parameters_for_import(
    kms: &Kms,
    call: &Call,
    request: &Request,
) -> Result<Reply> {
    let key_id = request.required("KeyId")?;
    for (name, only) in [
        ("WrappingAlgorithm", "RSAES_OAEP_SHA_256"),
        ("WrappingKeySpec", "RSA_2048"),
    ] {
        request.required(name)?;
        request.one_of(name, &[only], |_| {
            Error::invalid_parameter(name, &format!("Only {only} is offered."))
        })?;
    }
    let parameters = kms.get_parameters_for_import(call, key_id)?;
    Ok(Reply::new([
        ("KeyId", Node::id(parameters.key_id)),
        ("ImportToken", Node::base64(&parameters.token)),
        ("PublicKey", Node::base64(&parameters.public_key)),
        (
            "TokenExpireTime",
            Node::text(parameters.expires.to_string()),
        ),
    ]))
}

pub(super) fn import_key_material(kms: &Kms, call: &Call, request: &Request) -> Result<Reply> {
    let key_id = request.required("KeyId")?;
    let material = base64(request, "EncryptedKeyMaterial")?;
    let token = base64(request, "ImportToken")?;
    // 0 is never, as the API has it.
    let expires = match request.number("KeyMaterialExpireUnix", 0, u32::MAX.into())? {
        None | Some(0) => None,
        Some(seconds) => Some(Timestamp::from_seconds(seconds)),
    };
    if expires.is_some_and(|expires| expires <= Timestamp::now()) {
        return Err(Error::invalid_parameter(
            "KeyMaterialExpireUnix",
            "It is in the past.",
        ));
    }
    kms.import_key_material(call, key_id, &material, &token, expires)?;
    Ok(Reply::new([]))
}

pub(super) fn delete_key_material(kms: &Kms, call: &Call, request: &Request) -> Result<Reply> {
    kms.delete_key_material(call, request.required("KeyId")?)?;
    Ok(Reply::new([]))
}

/// What is longer is neither.
const LONGEST: usize = 8192;

fn base64(request: &Request, name: &str) -> Result<Vec<u8>> {
    request.base64(name, LONGEST, Status::InvalidParameter)
}
