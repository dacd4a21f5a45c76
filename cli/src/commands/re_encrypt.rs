//! Blobs moved under another version or CMK: one, or as many as come.
#![forbid(unsafe_code)]

use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use kmsbox::blob;
use kmsbox::context::Context;
use kmsbox::error::Error;
use kmsbox::kms::{Destination, KeyUse, Kms, Source, SourceOf};
use kmsbox::request_id::Call;
use serde_json::json;

use crate::failure::{Failure, Result, is_fatal, json_of, sentence_of};
use crate::input::{BlobArgs, Input, Item, decode};
use crate::naming::{self, ContextArgs, context};
use crate::new_file::{self, NewFile};
use crate::open::{Access, Global};
use crate::output;
use crate::progress::Progress;
use crate::table::json_text;

/// How many lines a thread works on at a time.
const PART: usize = 2048;

/// Move blobs to the primary version of a CMK, the plaintext shown to nobody
#[derive(Args)]
#[command(after_help = "\
One raw blob gives one raw blob. Blobs in base64, one in each line, give as
many lines in the same order; one that is wrapped at 76 or 64 columns, as by
base64(1) or OpenSSL, gives one line. A blob that does not open gives an empty
line, and is reported by its line number on standard error; the rest goes on,
and the exit code is 1. What is wrong with the destination or the keystore ends
the command, and the file of --out is removed again.

The new blobs are bound to the context of the old ones unless another is
given.

Examples:
  kmsbox re-encrypt old.blob --to alias/orders --out new.blob
  kmsbox re-encrypt --to alias/orders -c table=orders < old.blobs > new.blobs
  kmsbox re-encrypt old.blobs --to alias/new --expect alias/old --out new.blobs
  kmsbox re-encrypt old.blob --to alias/b -c db=a --to-context db=b")]
pub struct ReEncrypt {
    #[command(flatten)]
    blobs: BlobArgs,

    /// The CMK that the new blobs are under
    #[arg(long, value_name = "KEY")]
    to: String,

    #[command(flatten)]
    context: ContextArgs,

    /// A pair of the new blobs' encryption context; may be repeated
    #[arg(long = "to-context", value_name = "NAME=VALUE")]
    to_pairs: Vec<String>,

    /// The new blobs' encryption context as a JSON object; {} is the empty one
    #[arg(long, value_name = "JSON", conflicts_with = "to_pairs")]
    to_context_json: Option<String>,

    /// Refuse blobs that are under another CMK than this
    #[arg(long, value_name = "KEY")]
    expect: Option<String>,

    /// Put the new blobs into this new file; "-" or nothing: standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl ReEncrypt {
    pub fn run(self, global: &Global) -> Result<()> {
        let from = self.context.context()?;
        let to = match self.to_pairs.is_empty() && self.to_context_json.is_none() {
            true => from.clone(),
            false => context(&self.to_pairs, self.to_context_json.as_deref())?,
        };
        let mut input = self.blobs.open()?;
        let raw = input.is_raw()?;
        let kms = global.open_beside(Access::Write, &[("--out", self.out.as_deref())])?;
        // Every blob would be refused for what is wrong with the destination.
        let destination = naming::find(&kms, &self.to)?;
        destination.usable()?;
        let job = Job {
            kms: &kms,
            source: SourceOf {
                expected_key_id: self.expect.as_deref(),
                context: &from,
            },
            key_id: destination.key_id.to_string(),
            context: &to,
            json: global.json,
        };
        let out = Out::find(self.out.as_deref())?;
        match raw {
            true => job.one(&input.raw()?, out),
            false => job.lines(input, out),
        }
    }
}

/// What is to be done to each blob.
struct Job<'a> {
    kms: &'a Kms,
    source: SourceOf<'a>,
    key_id: String,
    context: &'a Context,
    json: bool,
}

/// What one thread has made of its items.
#[derive(Default)]
struct Done {
    output: Vec<u8>,
    errors: Vec<(u64, Error)>,
    blobs: u64,
}

impl Job<'_> {
    fn destination(&self) -> Destination<'_> {
        Destination {
            key_id: &self.key_id,
            context: self.context,
        }
    }

    fn one(&self, wrapped: &[u8], mut out: Out) -> Result<()> {
        let parsed = blob::parse(wrapped)?;
        let source = Source {
            wrapped: &parsed,
            of: self.source,
        };
        let mut rewrapped = vec![0; wrapped.len()];
        let call = Call::default();
        let used = self
            .kms
            .re_encrypt(&call, &source, &self.destination(), &mut rewrapped)?;
        let text = STANDARD.encode(&rewrapped);
        let raw = out.takes_raw();
        if raw && !self.json {
            out.write(&rewrapped)?;
        } else if !self.json {
            out.write(format!("{text}\n").as_bytes())?;
        }
        if self.json {
            // A file gets the blob, whoever reads the JSON.
            match &mut out {
                Out::File(_) => out.write(&rewrapped)?,
                Out::Stdout(_) => {}
            }
            output::json(&fields(used, &text))?;
        }
        out.finish()
    }

    fn lines(&self, mut input: Input, mut out: Out) -> Result<()> {
        let threads = thread::available_parallelism()
            .map_or(1, usize::from)
            .min(16);
        let mut progress = Progress::new(input.len);
        let mut total = Done::default();
        let mut refused: u64 = 0;
        loop {
            let mut items = Vec::with_capacity(PART * threads);
            while items.len() < PART * threads
                && let Some(item) = input.item()?
            {
                items.push(item);
            }
            if items.is_empty() {
                break;
            }
            for done in self.batch(&items, threads)? {
                out.write(&done.output)?;
                total.blobs += done.blobs;
                for (line, error) in done.errors {
                    refused += 1;
                    if !self.json {
                        progress.clear();
                        output::note(format_args!("line {line}: {}", sentence_of(&error)));
                    }
                    if is_fatal(&error) {
                        return Err(error.into());
                    }
                }
            }
            progress.show(total.blobs, refused, input.read);
        }
        out.finish()?;
        progress.finish(total.blobs, refused);
        match (total.blobs, refused) {
            (0, _) => Err(Error::missing_parameter("CiphertextBlob").into()),
            (_, 0) => Ok(()),
            _ => Err(Failure::Reported),
        }
    }

    /// Works on items in several threads; what comes of them is in the order of the items.
    fn batch(&self, items: &[Item], threads: usize) -> Result<Vec<Done>> {
        let size = items.len().div_ceil(threads).max(1);
        let parts = items.chunks(size);
        if items.len() <= 64 {
            return parts.map(|part| self.part(part)).collect();
        }
        thread::scope(|scope| {
            let running: Vec<_> = parts
                .map(|part| scope.spawn(move || self.part(part)))
                .collect();
            let joined = running.into_iter().map(|thread| match thread.join() {
                Ok(done) => done,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            joined.collect()
        })
    }

    fn part(&self, items: &[Item]) -> Result<Done> {
        let decoded: Vec<Option<Result<Vec<u8>, Error>>> = items
            .iter()
            .map(|item| (!item.text.is_empty()).then(|| decode(&item.text)))
            .collect();
        let blobs: Vec<&[u8]> = decoded
            .iter()
            .filter_map(|blob| blob.as_ref()?.as_ref().ok())
            .map(Vec::as_slice)
            .collect();
        let mut rewrapped = vec![0; blobs.iter().map(|blob| blob.len()).sum()];
        let mut outcomes = Vec::with_capacity(blobs.len());
        if !blobs.is_empty() {
            let call = Call::default();
            let each = |_, outcome| outcomes.push(outcome);
            let room = &mut rewrapped[..];
            let destination = self.destination();
            self.kms
                .re_encrypt_many(&call, &blobs, self.source, &destination, room, each)?;
        }
        let mut done = Done {
            output: Vec::with_capacity(rewrapped.len() * 4 / 3 + 8 * items.len()),
            ..Done::default()
        };
        let mut outcomes = outcomes.into_iter();
        let mut rest = &rewrapped[..];
        let mut text = String::new();
        for (decoded, line) in decoded.into_iter().zip(items.iter().map(|item| item.line)) {
            let outcome = match decoded {
                None => {
                    self.put(&mut done, line, None);
                    continue;
                }
                Some(Err(error)) => Err(error),
                Some(Ok(blob)) => {
                    let (rewrapped, after) = rest.split_at(blob.len());
                    rest = after;
                    text.clear();
                    STANDARD.encode_string(rewrapped, &mut text);
                    let lacking = || Error::new(kmsbox::error::Status::Internal);
                    outcomes.next().unwrap_or_else(|| Err(lacking()))
                }
            };
            done.blobs += 1;
            self.put(&mut done, line, Some((outcome, &text)));
        }
        Ok(done)
    }

    /// One line out for one item in.
    fn put(&self, done: &mut Done, line: u64, outcome: Option<(Result<KeyUse, Error>, &str)>) {
        match outcome {
            Some((Ok(used), text)) if self.json => {
                let mut fields = fields(used, text);
                fields["Line"] = line.into();
                done.output.extend_from_slice(json_text(&fields).as_bytes());
            }
            Some((Ok(_), text)) => done.output.extend_from_slice(text.as_bytes()),
            Some((Err(error), _)) => {
                if self.json {
                    let fields = json!({"Line": line, "Error": json_of(&error)});
                    done.output.extend_from_slice(json_text(&fields).as_bytes());
                }
                done.errors.push((line, error));
            }
            None if self.json => return,
            None => {}
        }
        done.output.push(b'\n');
    }
}

fn fields(used: KeyUse, text: &str) -> serde_json::Value {
    json!({
        "KeyId": used.key_id.to_string(),
        "KeyVersionId": used.key_version_id.to_string(),
        "CiphertextBlob": text,
    })
}

/// Where new blobs go. They are no secret.
enum Out {
    File(NewFile),
    Stdout(BufWriter<io::Stdout>),
}

impl Out {
    fn find(file: Option<&Path>) -> Result<Self> {
        match new_file::named(file) {
            Some(path) => NewFile::create(path).map(Out::File),
            None => Ok(Out::Stdout(BufWriter::with_capacity(1 << 16, io::stdout()))),
        }
    }

    /// A terminal does not take raw bytes.
    fn takes_raw(&self) -> bool {
        match self {
            Out::File(_) => true,
            Out::Stdout(_) => !io::stdout().is_terminal(),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Out::File(file) => file.write(bytes),
            Out::Stdout(stdout) => stdout.write_all(bytes).map_err(|e| Failure::output(&e)),
        }
    }

    fn finish(self) -> Result<()> {
        match self {
            Out::File(file) => file.finish(),
            Out::Stdout(mut stdout) => stdout.flush().map_err(|error| Failure::output(&error)),
        }
    }
}
