//! Material of its owner: imported, and deleted again.
#![forbid(unsafe_code)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use kmsbox::clock::Timestamp;
use kmsbox::error::Error;
use kmsbox::kms::Kms;
use kmsbox::random;
use kmsbox::request_id::Call;
use rand::rngs::SysRng;
use rsa::pkcs8::DecodePublicKey;
use rsa::rand_core::UnwrapErr;
use rsa::{Oaep, RsaPublicKey};
use serde_json::{Value, json};
use sha2::Sha256;

use super::state::{described, show};
use crate::confirm::confirm;
use crate::failure::{Failure, Result};
use crate::input;
use crate::naming::{self, KeyArg};
use crate::new_file;
use crate::open::{Access, Global};
use crate::output;

const MATERIAL_LEN: usize = 32;

/// Import your own material into a CMK made with --external
#[derive(Args)]
#[command(after_help = "\
The material is 32 random bytes, raw. Give it in FILE and all is done at once.
Where the material must not come to this machine unwrapped, do it in two
steps: --parameters alone writes a public key and a token that is good for 24
hours; wrap the material with the public key elsewhere (RSAES-OAEP with
SHA-256), and come back with --material and the same --parameters.

What is imported again into the same CMK must be the material of the first
time.

Examples:
  kmsbox import alias/orders material.bin
  kmsbox import alias/orders material.bin --expires 2027-12-31T00:00:00Z
  kmsbox import alias/orders --parameters parameters.json
  jq -r .PublicKey parameters.json | base64 -d > public.der
  openssl pkeyutl -encrypt -pubin -keyform DER -inkey public.der \\
      -in material.bin -out wrapped.bin \\
      -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256
  kmsbox import alias/orders --parameters parameters.json --material wrapped.bin")]
pub struct Import {
    #[command(flatten)]
    key: KeyArg,

    /// The material, not wrapped; "-": standard input
    #[arg(value_name = "FILE", conflicts_with_all = ["parameters", "material"],
        required_unless_present = "parameters")]
    file: Option<PathBuf>,

    /// Write what wrapping elsewhere needs to this new file; with --material: read it from there
    #[arg(long, value_name = "FILE")]
    parameters: Option<PathBuf>,

    /// The material, wrapped with the public key of --parameters
    #[arg(long, value_name = "FILE", requires = "parameters")]
    material: Option<PathBuf>,

    /// When the CMK forgets the material again
    #[arg(long, value_name = "UTC", value_parser = time)]
    expires: Option<Timestamp>,
}

impl Import {
    pub fn run(self, global: &Global) -> Result<()> {
        let parameters = ("--parameters", self.parameters.as_deref());
        let kms = global.open_beside(Access::Write, &[parameters])?;
        let id = naming::find(&kms, &self.key.key)?.key_id.to_string();
        match (&self.file, &self.parameters, &self.material) {
            (_, Some(parameters), None) => return write_parameters(global, &kms, &id, parameters),
            (_, Some(parameters), Some(material)) => {
                let token = token(parameters, &id)?;
                let wrapped =
                    fs::read(material).map_err(|error| Failure::file("read", material, error))?;
                self.import(&kms, &id, &wrapped, &token)?;
            }
            (file, None, _) => {
                let material = material(file.as_deref())?;
                let parameters = kms.get_parameters_for_import(&Call::default(), &id)?;
                let wrapped = wrap(&parameters.public_key, &material)?;
                self.import(&kms, &id, &wrapped, &parameters.token)?;
            }
        }
        show(global, &kms, &id, "has its material")
    }

    fn import(&self, kms: &Kms, id: &str, wrapped: &[u8], token: &[u8]) -> Result<()> {
        if self
            .expires
            .is_some_and(|expires| expires <= Timestamp::now())
        {
            return Err(
                Error::invalid_parameter("KeyMaterialExpireUnix", "It is in the past.").into(),
            );
        }
        let call = Call::default();
        Ok(kms.import_key_material(&call, id, wrapped, token, self.expires)?)
    }
}

fn write_parameters(global: &Global, kms: &Kms, id: &str, path: &Path) -> Result<()> {
    let parameters = kms.get_parameters_for_import(&Call::default(), id)?;
    let document = json!({
        "KeyId": id,
        "PublicKey": STANDARD.encode(&parameters.public_key),
        "ImportToken": STANDARD.encode(&parameters.token),
        "TokenExpireTime": parameters.expires.to_string(),
    });
    new_file::write(path, format!("{document}\n").as_bytes())?;
    let path = path.display();
    match global.json {
        true => output::json(&json!({
            "KeyId": id,
            "Parameters": path.to_string(),
            "TokenExpireTime": parameters.expires.to_string(),
        })),
        false => output::line(format_args!(
            "Wrote {path}; its token is good until {}.",
            parameters.expires
        )),
    }
    .map_err(Failure::after_the_change)
}

fn token(path: &Path, id: &str) -> Result<Vec<u8>> {
    let text = fs::read(path).map_err(|error| Failure::file("read", path, error))?;
    let document: Value = serde_json::from_slice(&text).unwrap_or_default();
    let other = |what| Failure::Files(format!("{} {what}.", path.display()));
    if document["KeyId"].as_str().is_some_and(|other| other != id) {
        return Err(other("is of another CMK"));
    }
    document["ImportToken"]
        .as_str()
        .and_then(|token| STANDARD.decode(token).ok())
        .ok_or_else(|| other("is not what --parameters writes"))
}

fn material(file: Option<&Path>) -> Result<zeroize::Zeroizing<Vec<u8>>> {
    if let Some(path) = file.filter(|path| *path != Path::new("-")) {
        let metadata = fs::metadata(path).map_err(|error| Failure::file("read", path, error))?;
        let mode = metadata.permissions().mode();
        if metadata.is_file() && mode & 0o077 != 0 {
            return Err(Failure::Files(format!(
                "{} may be used by group or others (mode {:04o}); make it 0600.",
                path.display(),
                mode & 0o7777
            )));
        }
    }
    let material = input::secret(file, MATERIAL_LEN)?;
    match material.len() {
        MATERIAL_LEN => Ok(material),
        _ => Err(Failure::Files(
            "The material is not exactly 32 bytes.".to_owned(),
        )),
    }
}

fn wrap(public_key: &[u8], material: &[u8]) -> Result<Vec<u8>> {
    let internal = || {
        Error::with(
            kmsbox::error::Status::Internal,
            "The material could not be wrapped.",
        )
    };
    // What wraps cannot report that the system gives no random bytes; this can.
    random::fill(&mut [0; 1])?;
    RsaPublicKey::from_public_key_der(public_key)
        .ok()
        .and_then(|key| {
            let mut random = UnwrapErr(SysRng);
            key.encrypt(&mut random, Oaep::<Sha256>::new(), material)
                .ok()
        })
        .ok_or_else(|| internal().into())
}

fn time(text: &str) -> Result<Timestamp, String> {
    humantime::parse_rfc3339(text)
        .ok()
        .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok())
        .map(|since| Timestamp::from_seconds(since.as_secs()))
        .ok_or_else(|| "a time such as 2027-12-31T00:00:00Z".to_owned())
}

/// Delete the imported material of a CMK
#[derive(Args)]
#[command(after_help = "\
The CMK waits for the same material again; until then nothing under it opens.
Keep the material.

Examples:
  kmsbox delete-material alias/orders")]
pub struct DeleteMaterial {
    #[command(flatten)]
    key: KeyArg,
}

impl DeleteMaterial {
    pub fn run(self, global: &Global) -> Result<()> {
        let kms = global.open(Access::Write)?;
        let key = naming::find(&kms, &self.key.key)?;
        let id = key.key_id.to_string();
        let question = format!(
            "The CMK {id}{} will lose its material; nothing under it opens until the same material is \
             imported again.",
            described(&key.description)
        );
        confirm(global.yes, &question)?;
        kms.delete_key_material(&Call::default(), &id)?;
        show(global, &kms, &id, "waits for its material")
    }
}
