//! Data keys made, and plaintext wrapped and unwrapped.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use kmsbox::blob::{self, Content};
use kmsbox::error::Error;
use kmsbox::kms::{KeySpec, KeyUse};
use kmsbox::request_id::Call;
use kmsbox::secret::Scratch;
use serde_json::json;
use zeroize::Zeroizing;

use crate::failure::{Failure, Result};
use crate::input::{self, BlobArgs};
use crate::naming::{ContextArgs, KeyArg};
use crate::new_file::{self, NewFile};
use crate::open::{Access, Global};
use crate::output;
use crate::secret_out::{self, SecretOut};
use crate::table;

/// Make a data key, wrapped under a CMK
#[derive(Args)]
#[command(after_help = "\
The blob, which is no secret, goes to standard output in base64, or raw to
--out. The data key itself is made only where --plaintext says where to put
it; without that, GenerateDataKeyWithoutPlaintext is performed and nobody sees
the key.

Examples:
  kmsbox generate-data-key alias/orders -c table=orders --out orders.blob
  kmsbox generate-data-key alias/orders --plaintext orders.key --out orders.blob
  kmsbox generate-data-key alias/orders --plaintext - --out orders.blob | use-it
  kmsbox generate-data-key alias/orders --bytes 64 --json")]
pub struct GenerateDataKey {
    #[command(flatten)]
    key: KeyArg,

    #[command(flatten)]
    context: ContextArgs,

    /// AES_256 (32 bytes) or AES_128 (16 bytes)
    #[arg(long, value_name = "SPEC", default_value = "AES_256")]
    spec: String,

    /// So many bytes instead: 1 to 1024
    #[arg(long, value_name = "N", conflicts_with = "spec")]
    bytes: Option<u64>,

    /// Put the data key, raw, into this new file; "-": standard output
    #[arg(long, value_name = "FILE")]
    plaintext: Option<PathBuf>,

    /// Put the blob, raw, into this new file; "-" or nothing: standard output, in base64
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Let a secret be shown on a terminal
    #[arg(long)]
    show: bool,
}

impl GenerateDataKey {
    pub fn run(self, global: &Global) -> Result<()> {
        let to_stdout = self.plaintext.as_deref() == Some(Path::new("-"));
        let file = new_file::named(self.out.as_deref());
        if to_stdout && file.is_none() && !global.json {
            return Err(Failure::Usage(
                "The data key and the blob cannot both go to standard output: name a file for the \
                 blob with --out, or use --json."
                    .to_owned(),
            ));
        }
        let context = self.context.context()?;
        let len = KeySpec::data_key_len(self.bytes, || KeySpec::from_name(&self.spec).map(Some))?;
        let files = [("--plaintext", self.plaintext.as_deref()), ("--out", file)];
        let kms = global.open_beside(Access::Write, &files)?;
        // Places are found before the key is made.
        let secret_out = match &self.plaintext {
            Some(path) => Some(SecretOut::find(Some(path), self.show)?),
            None => None,
        };
        let blob_out = file.map(NewFile::create).transpose()?;
        let mut wrapped = vec![0; blob::len(len)];
        let mut key = Scratch::zeroed(if secret_out.is_some() { len } else { 0 });
        let call = Call::default();
        let name = &self.key.key;
        let used = match secret_out {
            Some(_) => kms.generate_data_key(&call, name, &context, &mut key, &mut wrapped)?,
            None => kms.generate_data_key_without_plaintext(&call, name, &context, &mut wrapped)?,
        };
        if let Some(mut file) = blob_out {
            file.write(&wrapped)?;
            file.finish()?;
        }
        let wrapped_text = STANDARD.encode(&wrapped);
        match secret_out {
            Some(out) if to_stdout && global.json => {
                let plaintext = secret_out::base64(&key)?;
                out.write(json_with_secret(used, &wrapped_text, &plaintext).as_bytes())
            }
            Some(out) if to_stdout => write_shown(out, &key, Content::Bytes),
            // The blob first: a key whose blob nobody has got is not kept.
            Some(out) => {
                tell_blob(global, file, used, &wrapped_text)?;
                out.write(&key)
            }
            None => tell_blob(global, file, used, &wrapped_text),
        }
    }
}

/// Wrap up to 6144 bytes under a CMK
#[derive(Args)]
#[command(after_help = "\
The plaintext comes from a file or a pipe, never from the command line. The
blob goes to standard output in base64, or raw to --out.

Examples:
  kmsbox encrypt alias/orders master.key --out master.blob
  kmsbox encrypt alias/orders password.txt --text -c user=anna > password.blob")]
pub struct Encrypt {
    #[command(flatten)]
    key: KeyArg,

    /// The file with the plaintext; "-" or nothing: standard input
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,

    #[command(flatten)]
    context: ContextArgs,

    /// It is text (UTF-8): the API's Decrypt then gives it back as it is, not in base64
    #[arg(long)]
    text: bool,

    /// Put the blob, raw, into this new file; "-" or nothing: standard output, in base64
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Encrypt {
    pub fn run(self, global: &Global) -> Result<()> {
        let context = self.context.context()?;
        let plaintext = input::plaintext(self.file.as_deref())?;
        let content = match self.text {
            true if std::str::from_utf8(&plaintext).is_err() => {
                return Err(Error::invalid_parameter("Plaintext", "It is not UTF-8.").into());
            }
            true => Content::Text,
            false => Content::Bytes,
        };
        let kms = global.open_beside(Access::Write, &[("--out", self.out.as_deref())])?;
        let file = new_file::named(self.out.as_deref());
        let out = file.map(NewFile::create).transpose()?;
        let mut wrapped = vec![0; blob::len(plaintext.len())];
        let call = Call::default();
        let used = kms.encrypt(
            &call,
            &self.key.key,
            &context,
            content,
            &plaintext,
            &mut wrapped,
        )?;
        if let Some(mut file) = out {
            file.write(&wrapped)?;
            file.finish()?;
        }
        tell_blob(global, file, used, &STANDARD.encode(&wrapped))
    }
}

/// Open a blob, and get its plaintext
#[derive(Args)]
#[command(after_help = "\
The plaintext goes to standard output as it is, or to --out. A terminal shows
it only with --show, and then bytes in base64.

Examples:
  kmsbox decrypt orders.blob -c table=orders --out orders.key
  kmsbox decrypt --blob iUtNQg... --expect alias/orders | use-it
  kmsbox decrypt password.blob -c user=anna --show")]
pub struct Decrypt {
    #[command(flatten)]
    blob: BlobArgs,

    #[command(flatten)]
    context: ContextArgs,

    /// Refuse a blob that is under another CMK than this
    #[arg(long, value_name = "KEY")]
    expect: Option<String>,

    /// Put the plaintext into this new file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Write the plaintext in base64
    #[arg(long)]
    base64: bool,

    /// Let a terminal show it
    #[arg(long)]
    show: bool,
}

impl Decrypt {
    pub fn run(self, global: &Global) -> Result<()> {
        let context = self.context.context()?;
        let wrapped = self.blob.read()?;
        let parsed = blob::parse(&wrapped)?;
        let kms = global.open_beside(Access::Write, &[("--out", self.out.as_deref())])?;
        let out = SecretOut::find(self.out.as_deref(), self.show)?;
        let mut plaintext = Scratch::zeroed(parsed.ciphertext.len());
        let expect = self.expect.as_deref();
        let used = kms.decrypt(&Call::default(), expect, &parsed, &context, &mut plaintext)?;
        let content = parsed.header.content;
        let to_stdout = !matches!(out, SecretOut::File(_));
        if to_stdout && global.json {
            let plaintext = secret_out::base64(&plaintext)?;
            let text = json_of_plaintext(used, content, &plaintext);
            return out.write(text.as_bytes());
        }
        match self.base64 {
            true => out.write(line_of_base64(&plaintext)?.as_bytes())?,
            false => write_shown(out, &plaintext, content)?,
        }
        match (to_stdout, global.json) {
            (false, true) => output::json(&json!({
                "KeyId": used.key_id.to_string(),
                "KeyVersionId": used.key_version_id.to_string(),
                "Content": name_of(content),
                "Out": self.out.as_deref().map(|path| path.display().to_string()),
            })),
            _ => Ok(()),
        }
    }
}

/// What a blob holds, in a word.
pub fn name_of(content: Content) -> &'static str {
    match content {
        Content::Bytes => "bytes",
        Content::Text => "text",
    }
}

/// Bytes could do anything to a terminal; it gets base64. So could text with control characters and those that turn
/// its direction.
fn write_shown(out: SecretOut, secret: &[u8], content: Content) -> Result<()> {
    let harmless = || {
        let text = std::str::from_utf8(secret).ok();
        text.is_some_and(|text| {
            !text
                .chars()
                .any(|c| table::acts(c) && c != '\n' && c != '\t')
        })
    };
    match out {
        SecretOut::Terminal if content == Content::Text && harmless() => {
            let mut line = Zeroizing::new(Vec::with_capacity(secret.len() + 1));
            line.extend_from_slice(secret);
            line.push(b'\n');
            out.write(&line)
        }
        SecretOut::Terminal => out.write(line_of_base64(secret)?.as_bytes()),
        out => out.write(secret),
    }
}

fn line_of_base64(secret: &[u8]) -> Result<Zeroizing<String>> {
    let text = secret_out::base64(secret)?;
    let mut line = Zeroizing::new(String::with_capacity(text.len() + 1));
    line.push_str(&text);
    line.push('\n');
    Ok(line)
}

/// A blob is no secret: to standard output, unless it went to a file.
fn tell_blob(global: &Global, out: Option<&Path>, used: KeyUse, wrapped: &str) -> Result<()> {
    if global.json {
        return output::json(&json!({
            "KeyId": used.key_id.to_string(),
            "KeyVersionId": used.key_version_id.to_string(),
            "CiphertextBlob": wrapped,
        }));
    }
    match out {
        Some(_) => Ok(()),
        None => output::line(wrapped),
    }
}

/// By hand, into memory that does not grow: ids and base64 need no escapes.
fn json_with_secret(used: KeyUse, wrapped: &str, plaintext: &str) -> Zeroizing<String> {
    let before = format!(
        "{{\"CiphertextBlob\":\"{wrapped}\",\"KeyId\":\"{}\",\"KeyVersionId\":\"{}\",\"Plaintext\":\"",
        used.key_id, used.key_version_id
    );
    join([&before, plaintext, "\"}\n"])
}

fn json_of_plaintext(used: KeyUse, content: Content, plaintext: &str) -> Zeroizing<String> {
    let before = format!(
        "{{\"Content\":\"{}\",\"KeyId\":\"{}\",\"KeyVersionId\":\"{}\",\"Plaintext\":\"",
        name_of(content),
        used.key_id,
        used.key_version_id
    );
    join([&before, plaintext, "\"}\n"])
}

fn join(parts: [&str; 3]) -> Zeroizing<String> {
    let len = parts.iter().map(|part| part.len()).sum();
    let mut text = Zeroizing::new(String::with_capacity(len));
    for part in parts {
        text.push_str(part);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn json_by_hand_is_json() {
        let used = KeyUse {
            key_id: Uuid::from_bytes([1; 16]),
            key_version_id: Uuid::from_bytes([2; 16]),
        };
        let one: serde_json::Value =
            serde_json::from_str(&json_with_secret(used, "iUtN", "YQ==")).unwrap();
        assert_eq!(one["Plaintext"], "YQ==");
        assert_eq!(one["KeyVersionId"], "02020202-0202-0202-0202-020202020202");
        let other: serde_json::Value =
            serde_json::from_str(&json_of_plaintext(used, Content::Text, "YQ==")).unwrap();
        assert_eq!(other["Content"], "text");
    }
}
