//! What blobs say about themselves.
#![forbid(unsafe_code)]

use clap::Args;
use kmsbox::blob;
use kmsbox::error::Error;
use serde_json::{Value, json};
use uuid::Uuid;

use super::data::name_of;
use crate::failure::{Failure, Result, json_of, sentence_of};
use crate::input::{BlobArgs, decode};
use crate::open::Global;
use crate::output;
use crate::table::json_text;
use crate::table::{self, Table};

/// Show what a blob says about itself; needs no keystore
#[derive(Args)]
#[command(after_help = "\
Nothing of it is proved: only opening the blob does that. A blob does not hold
its encryption context. Many blobs in base64, each in a line or wrapped at 76
or 64 columns, give one row each.

Examples:
  kmsbox inspect orders.blob
  kmsbox inspect --blob iUtNQg...
  kmsbox inspect all.blobs --json | jq -r .KeyVersionId | sort | uniq -c")]
pub struct Inspect {
    #[command(flatten)]
    blob: BlobArgs,
}

/// What is told of one blob.
struct Told {
    key_id: String,
    key_version_id: String,
    content: &'static str,
    plaintext_len: usize,
    blob_len: usize,
}

/// The one format version that there is; a blob of another one is refused.
const FORMAT: u8 = 1;

impl Inspect {
    pub fn run(self, global: &Global) -> Result<()> {
        let mut input = self.blob.open()?;
        if input.is_raw()? {
            return one(global, &tell(&input.raw()?)?);
        }
        let mut told = Vec::new();
        while let Some(item) = input.item()? {
            if !item.text.is_empty() {
                told.push((item.line, decode(&item.text).and_then(|blob| tell(&blob))));
            }
        }
        match told.len() {
            0 => Err(Error::missing_parameter("CiphertextBlob").into()),
            1 => match told.remove(0) {
                (_, Ok(told)) => one(global, &told),
                (_, Err(error)) => Err(error.into()),
            },
            _ => many(global, &told),
        }
    }
}

fn tell(wrapped: &[u8]) -> Result<Told, Error> {
    let parsed = blob::parse(wrapped)?;
    Ok(Told {
        key_id: Uuid::from_bytes(parsed.header.key_id).to_string(),
        key_version_id: Uuid::from_bytes(parsed.header.key_version_id).to_string(),
        content: name_of(parsed.header.content),
        plaintext_len: parsed.ciphertext.len(),
        blob_len: wrapped.len(),
    })
}

fn json(told: &Told) -> Value {
    json!({
        "Format": FORMAT,
        "KeyId": told.key_id,
        "KeyVersionId": told.key_version_id,
        "Content": told.content,
        "PlaintextLength": told.plaintext_len,
        "BlobLength": told.blob_len,
    })
}

fn one(global: &Global, told: &Told) -> Result<()> {
    if global.json {
        return output::json(&json(told));
    }
    output::text(table::pairs(&[
        ("Key", told.key_id.clone()),
        ("Version", told.key_version_id.clone()),
        ("Format", FORMAT.to_string()),
        ("Content", told.content.to_owned()),
        ("Plaintext", format!("{} bytes", told.plaintext_len)),
        ("Blob", format!("{} bytes", told.blob_len)),
    ]))
}

fn many(global: &Global, all: &[(u64, Result<Told, Error>)]) -> Result<()> {
    let mut table = Table::new(&["LINE", "KEY", "VERSION", "CONTENT", "BYTES"]);
    let mut lines = String::new();
    let mut refused = false;
    for (number, told) in all {
        match told {
            Ok(told) if global.json => {
                let mut fields = json(told);
                fields["Line"] = (*number).into();
                lines.push_str(&format!("{}\n", json_text(&fields)));
            }
            Ok(told) => table.row([
                number.to_string(),
                told.key_id.clone(),
                told.key_version_id.clone(),
                told.content.to_owned(),
                told.plaintext_len.to_string(),
            ]),
            Err(error) => {
                refused = true;
                match global.json {
                    true => lines.push_str(&format!(
                        "{}\n",
                        json_text(&json!({"Line": number, "Error": json_of(error)}))
                    )),
                    false => output::note(format_args!("line {number}: {}", sentence_of(error))),
                }
            }
        }
    }
    match global.json {
        true => output::text(lines)?,
        false => output::text(table)?,
    }
    if refused {
        Err(Failure::Reported)
    } else {
        Ok(())
    }
}
