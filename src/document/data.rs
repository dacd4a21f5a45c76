//! The actions of the data plane.
#![forbid(unsafe_code)]

use super::Reply;
use super::request::{Format, Request};
use crate::blob::{self, Content, MAX_TEXT};
use crate::context::Context;
use crate::error::{Error, Result, Status};
use crate::kms::{DATA_KEY_MAX, Destination, KeySpec, KeyUse, Kms, Source, SourceOf};
use crate::request_id::Call;
use crate::secret::Scratch;
use crate::tree::{Node, named, xml};

pub(super) fn generate_data_key(kms: &Kms, call: &Call, request: &Request) -> Result<Reply> {
    let (key_id, len, context) = wanted(request)?;
    let mut key = Scratch::zeroed(len);
    let mut wrapped = vec![0; blob::len(len)];
    let used = kms.generate_data_key(call, key_id, &context, &mut key, &mut wrapped)?;
    let plaintext = ("Plaintext", Node::secret_base64(&key)?);
    let wrapped = ("CiphertextBlob", Node::base64(&wrapped));
    Ok(Reply::new([plaintext, wrapped]).with_key(used))
}

pub(super) fn generate_data_key_without_plaintext(
    kms: &Kms,
    call: &Call,
    request: &Request,
) -> Result<Reply> {
    let (key_id, len, context) = wanted(request)?;
    let mut wrapped = vec![0; blob::len(len)];
    let used = kms.generate_data_key_without_plaintext(call, key_id, &context, &mut wrapped)?;
    Ok(Reply::new([("CiphertextBlob", Node::base64(&wrapped))]).with_key(used))
}

/// The service keeps the text as it is given, whether or not it is base64.
pub(super) fn encrypt(kms: &Kms, call: &Call, request: &Request) -> Result<Reply> {
    let key_id = request.required("KeyId")?;
    let plaintext = request.required("Plaintext")?.as_bytes();
    let context = context(request, "EncryptionContext")?;
    if plaintext.len() > MAX_TEXT {
        return Err(Error::invalid_parameter(
            "Plaintext",
            "It is longer than 6144 bytes.",
        ));
    }
    let mut wrapped = vec![0; blob::len(plaintext.len())];
    let used = kms.encrypt(
        call,
        key_id,
        &context,
        Content::Text,
        plaintext,
        &mut wrapped,
    )?;
    Ok(Reply::new([("CiphertextBlob", Node::base64(&wrapped))]).with_key(used))
}

pub(super) fn decrypt(kms: &Kms, call: &Call, request: &Request) -> Result<Reply> {
    let wrapped = ciphertext_blob(request)?;
    let context = context(request, "EncryptionContext")?;
    let parsed = blob::parse(&wrapped)?;
    let mut plaintext = Scratch::zeroed(parsed.ciphertext.len());
    let used = kms.decrypt(call, None, &parsed, &context, &mut plaintext)?;
    let plaintext = match parsed.header.content {
        Content::Bytes => Node::secret_base64(&plaintext)?,
        Content::Text if request.format()? == Format::Xml && !xml::carries(&plaintext) => {
            return Err(Error::invalid_parameter(
                "Format",
                "The plaintext has characters that XML cannot carry; ask for JSON.",
            ));
        }
        Content::Text => Node::secret_text(&plaintext)?,
    };
    Ok(Reply::new([("Plaintext", plaintext)]).with_key(used))
}

pub(super) fn re_encrypt(kms: &Kms, call: &Call, request: &Request) -> Result<Reply> {
    let wrapped = ciphertext_blob(request)?;
    let source_context = context(request, "SourceEncryptionContext")?;
    let context = context(request, "DestinationEncryptionContext")?;
    let destination = Destination {
        key_id: request.required("DestinationKeyId")?,
        context: &context,
    };
    let parsed = blob::parse(&wrapped)?;
    let source = Source {
        wrapped: &parsed,
        of: SourceOf {
            expected_key_id: None,
            context: &source_context,
        },
    };
    let mut rewrapped = vec![0; wrapped.len()];
    let used = kms.re_encrypt(call, &source, &destination, &mut rewrapped)?;
    Ok(Reply::new([("CiphertextBlob", Node::base64(&rewrapped))]).with_key(used))
}

impl Reply {
    fn with_key(mut self, used: KeyUse) -> Self {
        self.fields.extend(named([
            ("KeyId", Node::id(used.key_id)),
            ("KeyVersionId", Node::id(used.key_version_id)),
        ]));
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
    Ok((key_id, len, context(request, "EncryptionContext")?))
}

fn ciphertext_blob(request: &Request) -> Result<Vec<u8>> {
    request.base64("CiphertextBlob", blob::len(MAX_TEXT), Status::NotABlob)
}

fn context(request: &Request, name: &str) -> Result<Context> {
    let parsed = Context::parse(request.optional(name).unwrap_or_default());
    // ReEncrypt has two: the message must name the wrong one.
    parsed.map_err(|error| {
        let named = error.message().replacen("EncryptionContext", name, 1);
        Error::with(error.status(), named)
    })
}
