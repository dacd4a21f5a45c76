//! Any action of the API.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

use clap::Args;
use kmsbox::action::Action;
use kmsbox::document;
use kmsbox::error::{Error, Status};
use kmsbox::request_id::Call;
use kmsbox::tree::Text;
use zeroize::Zeroizing;

use crate::confirm::confirm;
use crate::failure::{Failure, Result};
use crate::input;
use crate::open::{Access, Global};
use crate::secret_out::SecretOut;
use crate::table::{self, printable};

/// The longest value from a file.
const VALUE_MAX: usize = 1 << 16;
/// Parameters that are base64 and no secret, which many programs wrap.
const BASE64: &[&str] = &["CiphertextBlob", "ImportToken", "EncryptedKeyMaterial"];
/// Actions whose answers hold a secret.
const SECRET: &[&str] = &["Decrypt", "GenerateDataKey"];
/// Actions after which something may be lost.
const LOSING: &[&str] = &["ScheduleKeyDeletion", "DeleteKeyMaterial"];
/// Actions after which a name stands for something else.
const REDIRECTING: &[&str] = &["UpdateAlias", "DeleteAlias"];

/// Perform any action of the API, and print the document it answers with
#[derive(Args)]
#[command(after_help = "\
NAME@FILE takes a value from a file, NAME@- from standard input: a secret does
not belong on a command line. One argument with \"&\" in it is a whole request,
form-encoded already, and is taken as it stands; \"-\" reads such a request from
standard input. Format=XML asks for XML. A refusal prints the API's error
document, and the exit code is 1.

Examples:
  kmsbox call Action=DescribeKey KeyId=alias/orders
  kmsbox call 'Action=ListKeys&PageSize=100&Format=XML'
  kmsbox call Action=Encrypt KeyId=alias/orders Plaintext@secret.txt
  kmsbox call Action=Decrypt CiphertextBlob@blob.txt --out secret.json")]
pub struct CallArgs {
    /// The parameters; Action is one of them
    #[arg(required = true, value_name = "NAME=VALUE")]
    parameters: Vec<String>,

    /// Put the document into this new file; "-" or nothing: standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Let a terminal show an answer that holds a secret
    #[arg(long)]
    show: bool,
}

impl CallArgs {
    pub fn run(self, global: &Global) -> Result<()> {
        let request = self.request()?;
        let action = action(&request);
        let consequence = match action.as_str() {
            action if LOSING.contains(&action) => Some("can lose what is wrapped under a CMK"),
            action if REDIRECTING.contains(&action) => Some("redirects whoever uses the alias"),
            _ => None,
        };
        if let Some(consequence) = consequence {
            confirm(global.yes, &format!("{action} {consequence}."))?;
        }
        let kms = global.open_beside(Access::Write, &[("--out", self.out.as_deref())])?;
        let show = self.show || !SECRET.contains(&action.as_str());
        let out = SecretOut::find(self.out.as_deref(), show)?;
        let answer = document::perform(&kms, &Call::default(), &request);
        let shown = show_document(answer.document, out);
        answer.outcome?;
        match Action::from_name(&action).is_some_and(Action::changes) {
            true => shown.map_err(Failure::after_the_change),
            false => shown,
        }
    }

    /// The request, form-encoded.
    fn request(&self) -> Result<Zeroizing<Vec<u8>>> {
        match &self.parameters[..] {
            [all] if all == "-" => {
                let mut request = input::secret(None, 1 << 20)?;
                let len = request.trim_ascii_end().len();
                request.truncate(len);
                return Ok(request);
            }
            [all] if all.contains('&') => {
                refuse_secret(all.split('&').filter_map(|pair| pair.split('=').next()))?;
                return Ok(Zeroizing::new(all.clone().into_bytes()));
            }
            _ => {}
        }
        let values: Vec<(&str, Zeroizing<Vec<u8>>)> = self
            .parameters
            .iter()
            .map(|parameter| value_of(parameter))
            .collect::<Result<_>>()?;
        let most = values
            .iter()
            .map(|(name, value)| 3 * (name.len() + value.len()) + 2);
        let mut request = Zeroizing::new(Vec::with_capacity(most.sum()));
        for (name, value) in &values {
            if !request.is_empty() {
                request.push(b'&');
            }
            encode(name.as_bytes(), &mut request);
            request.push(b'=');
            encode(value, &mut request);
        }
        Ok(request)
    }
}

fn show_document(document: kmsbox::error::Result<Text>, out: SecretOut) -> Result<()> {
    let document = document?;
    let document = str::from_utf8(document.as_bytes()).map_err(|_| Error::new(Status::Internal))?;
    let document = table::document(document);
    let mut line = Zeroizing::new(Vec::with_capacity(document.len() + 1));
    line.extend_from_slice(document.as_bytes());
    line.push(b'\n');
    out.write(&line)
}

/// `NAME=VALUE`, `NAME@FILE` or `NAME@-`, by whichever sign comes first.
fn value_of(parameter: &str) -> Result<(&str, Zeroizing<Vec<u8>>)> {
    let Some(at) = parameter.find(['=', '@']) else {
        return Err(Failure::Usage(format!(
            "A parameter is NAME=VALUE or NAME@FILE; \"{}\" is neither.",
            printable(parameter)
        )));
    };
    let (name, value) = (&parameter[..at], &parameter[at + 1..]);
    if parameter.as_bytes()[at] == b'=' {
        refuse_secret([name].into_iter())?;
        return Ok((name, Zeroizing::new(value.as_bytes().to_vec())));
    }
    let mut content = input::secret(Some(Path::new(value)), VALUE_MAX)?;
    if content.len() > VALUE_MAX {
        return Err(Failure::Files(format!("{value} has more than 64 KiB.")));
    }
    // What was written as a line, or as base64 in many, is meant without the ends of lines.
    if BASE64.contains(&name) {
        content.retain(|byte| !byte.is_ascii_whitespace());
    } else if name != "Plaintext" {
        let len = content.trim_ascii_end().len();
        content.truncate(len);
    }
    Ok((name, content))
}

fn refuse_secret<'a>(mut names: impl Iterator<Item = &'a str>) -> Result<()> {
    // As the service reads it: the name of a whole request is encoded, too.
    match names.any(|name| decoded(name) == "Plaintext") {
        true => Err(Failure::Usage(
            "A secret does not belong on a command line: give Plaintext@FILE, or the request by \
             standard input."
                .to_owned(),
        )),
        false => Ok(()),
    }
}

/// The action's name, decoded only as far as such a name needs.
fn action(request: &[u8]) -> String {
    let text = String::from_utf8_lossy(request);
    let mut pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    let value = pairs.find(|(name, _)| decoded(name) == "Action");
    value.map(|(_, value)| decoded(value)).unwrap_or_default()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn encode(text: &[u8], request: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                request.push(*byte);
            }
            _ => request.extend_from_slice(&[
                b'%',
                HEX[usize::from(byte >> 4)],
                HEX[usize::from(byte & 15)],
            ]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(parameters: &[&str]) -> Result<String> {
        let args = CallArgs {
            parameters: parameters.iter().map(|&text| text.to_owned()).collect(),
            out: None,
            show: false,
        };
        Ok(String::from_utf8_lossy(&args.request()?).into_owned())
    }

    #[test]
    fn parameters_are_encoded_and_a_request_is_not() {
        assert_eq!(
            request(&["Action=CreateKey", "Description=a&b=c d\u{e9}"]).unwrap(),
            "Action=CreateKey&Description=a%26b%3Dc%20d%C3%A9"
        );
        let whole = "Action=ListKeys&PageSize=100";
        assert_eq!(request(&[whole]).unwrap(), whole);
    }

    #[test]
    fn a_secret_on_the_command_line_is_refused() {
        for parameters in [
            &["Action=Encrypt", "Plaintext=x"][..],
            &["Action=Encrypt&Plaintext=x"],
            &["Action=Encrypt&Pl%61intext=x"],
            &["Action=Encrypt&%50%6c%61%69%6E%74%65%78%74=x"],
            &["Action=Encrypt", "Pl%61intext=x"],
        ] {
            assert!(matches!(request(parameters), Err(Failure::Usage(_))));
        }
        assert!(matches!(request(&["Action"]), Err(Failure::Usage(_))));
    }

    #[test]
    fn the_action_is_found_however_it_is_written() {
        assert_eq!(action(b"KeyId=x&Action=Decrypt"), "Decrypt");
        assert_eq!(action(b"%41ction=%44ecrypt&KeyId=x"), "Decrypt");
        assert_eq!(action(b"KeyId=x"), "");
    }
}
