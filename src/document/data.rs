//! The actions of the data plane.
#![forbid(unsafe_code)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Reply;
use super::request::Request;
use super::tree::Node;
use crate::blob::{self, Content};
use crate::context::Context;
use crate::error::{Error, Result, Status};
use crate::kms::{DATA_KEY_MAX, KeySpec, KeyUse, Kms};
use crate::secret::Scratch;

pub(super) fn generate_data_key(kms: &Kms, request: &Request) -> Result<Reply> {
    let (key_id, len, context) = wanted(request)?;
    let mut key = Scratch::zeroed(len);
    let mut wrapped = vec![0; blob::len(len)];
    let used = kms.generate_data_key(key_id, &context, &mut key, &mut wrapped)?;
    let plaintext = ("Plaintext", Node::secret_base64(&key)?);
    let wrapped = ("CiphertextBlob", Node::base64(&wrapped));
    Ok(Reply::new([plaintext, wrapped]).with_key(used))
}

pub(super) fn generate_data_key_without_plaintext(kms: &Kms, request: &Request) -> Result<Reply> {
    let (key_id, len, context) = wanted(request)?;
    let mut wrapped = vec![0; blob::len(len)];
    let used = kms.generate_data_key_without_plaintext(key_id, &context, &mut wrapped)?;
    Ok(Reply::new([("CiphertextBlob", Node::base64(&wrapped))]).with_key(used))
}

pub(super) fn decrypt(kms: &Kms, request: &Request) -> Result<Reply> {
    let wrapped = request.required("CiphertextBlob")?;
    let context = context(request)?;
    let wrapped = STANDARD.decode(wrapped).map_err(|_| {
        Error::with(
            Status::NotABlob,
            "The specified parameter \"CiphertextBlob\" is not valid. It is not base64.",
        )
    })?;
    let parsed = blob::parse(&wrapped)?;
    let mut plaintext = Scratch::zeroed(parsed.ciphertext.len());
    let used = kms.decrypt(None, &parsed, &context, &mut plaintext)?;
    let plaintext = match parsed.header.content {
        Content::Bytes => Node::secret_base64(&plaintext)?,
        Content::Text => Node::secret_text(&plaintext)?,
    };
    Ok(Reply::new([("Plaintext", plaintext)]).with_key(used))
}

impl Reply {
    fn with_key(mut self, used: KeyUse) -> Self {
        self.fields.extend([
            ("KeyId", Node::id(used.key_id)),
            ("KeyVersionId", Node::id(used.key_version_id)),
        ]);
        self.using(used)
    }
}

/// Which data key is wanted: under which CMK, how long, bound to what.
fn wanted(request: &Request) -> Result<(&str, usize, Context)> {
    let key_id = request.required("KeyId")?;
    let number_of_bytes = request.number("NumberOfBytes", 1, DATA_KEY_MAX as u64)?;
    let len = KeySpec::data_key_len(number_of_bytes, || {
        request
            .optional("KeySpec")
            .map(KeySpec::from_name)
            .transpose()
    })?;
    Ok((key_id, len, context(request)?))
}

fn context(request: &Request) -> Result<Context> {
    Context::parse(request.optional("EncryptionContext").unwrap_or_default())
}
