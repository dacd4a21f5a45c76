//! The audit log: one line of JSON for each operation, refused ones too, before its output is
//! released. Without a sink none of this runs.
#![forbid(unsafe_code)]

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::action::Action;
use crate::clock::Timestamp;
use crate::context::Context;
use crate::document::tree::{Fields, Node, named};
use crate::error::{Error, Result, Status};
use crate::kms::KeyUse;
use crate::request_id::Call;
use crate::secret::fork;

/// Where lines go.
#[derive(Clone)]
pub enum Sink {
    /// To the end of this file, opened anew for each line, so that it may be renamed at any time.
    File(PathBuf),
    /// To the host, which answers whether it has taken the line.
    Host(Host),
}

/// What takes the lines in a host's stead.
pub type Host = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// What is asked for.
pub struct Event<'a> {
    /// The action.
    pub action: Action,
    /// The CMK as the caller named it.
    pub key: Option<&'a str>,
    /// What the blob that is read says that it is under.
    pub blob: Option<KeyUse>,
    /// The encryption context.
    pub context: Option<&'a Context>,
    /// The context of the blob that is read, where another is made.
    pub source_context: Option<&'a Context>,
    /// How many keys or blobs, where one call is about several.
    pub count: Option<usize>,
}

impl<'a> Event<'a> {
    /// An action on a CMK as the caller named it.
    pub fn on(action: Action, key: &'a str) -> Self {
        Event {
            key: Some(key),
            ..Event::new(action)
        }
    }

    /// An action that is not about one CMK.
    pub fn new(action: Action) -> Self {
        Event {
            action,
            key: None,
            blob: None,
            context: None,
            source_context: None,
            count: None,
        }
    }

    /// Bound to this context.
    pub fn with(self, context: &'a Context) -> Self {
        Event {
            context: Some(context),
            ..self
        }
    }
}

impl Sink {
    /// Writes down that a change is about to be made: it is on disk before the change is.
    pub fn intent(&self, call: &Call, event: &Event<'_>, epoch: u64) -> Result<()> {
        let mut fields = begin(call, event, "intent");
        fields.push(("epoch".into(), Node::number(epoch)));
        self.put(fields, Durability::Synced)
    }

    /// Writes down how an operation ended.
    pub fn result(
        &self,
        call: &Call,
        event: &Event<'_>,
        used: Option<KeyUse>,
        error: Option<&Error>,
    ) -> Result<()> {
        let mut fields = begin(call, event, "result");
        if let Some(used) = used {
            fields.push(("key_id".into(), Node::id(used.key_id)));
            fields.push(("key_version_id".into(), Node::id(used.key_version_id)));
        }
        // Where it was refused, or wrapped anew under another version, this is all that names it.
        if let Some(blob) = event.blob.filter(|blob| used != Some(*blob)) {
            fields.push(("blob_key_id".into(), Node::id(blob.key_id)));
            fields.push(("blob_key_version_id".into(), Node::id(blob.key_version_id)));
        }
        let status = error.map_or(String::from("KMS_OK"), |error| {
            format!("KMS_ERR_{}", error.status().name())
        });
        fields.push(("status".into(), Node::text(status)));
        if let Some(error) = error {
            fields.push(("code".into(), Node::text(error.status().code())));
        }
        self.put(fields, Durability::Written)
    }

    fn put(&self, fields: Fields, durability: Durability) -> Result<()> {
        let mut line = Node::Object(fields).to_json().as_bytes().to_vec();
        line.push(b'\n');
        match self {
            Sink::File(path) => append(path, &line, durability).map_err(|error| {
                Error::with(
                    Status::AuditFailed,
                    format!(
                        "The audit log {} could not be written: {error}.",
                        path.display()
                    ),
                )
            }),
            Sink::Host(host) if host(&line) => Ok(()),
            Sink::Host(_) => Err(Error::with(
                Status::AuditFailed,
                "The audit callback did not take the line.",
            )),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Durability {
    Written,
    Synced,
}

fn begin(call: &Call, event: &Event<'_>, phase: &'static str) -> Fields {
    let request_id = call.request_id();
    let mut fields = named([
        ("time", Node::text(Timestamp::now().to_string())),
        ("request_id", Node::text(request_id.as_str().to_owned())),
        ("process", Node::number(std::process::id().into())),
        ("phase", Node::text(phase)),
        ("action", Node::text(event.action.name())),
    ]);
    if call.is_dry_run() {
        fields.push(("dry_run".into(), Node::Bool(true)));
    }
    if let Some(key) = event.key {
        fields.push(("key".into(), Node::text(key.to_owned())));
    }
    if let Some(count) = event.count {
        fields.push(("count".into(), Node::count(count)));
    }
    for (name, context) in [
        ("encryption_context", event.context),
        ("source_encryption_context", event.source_context),
    ] {
        if let Some(context) = context {
            fields.push((name.into(), as_object(context)));
        }
    }
    fields
}

fn as_object(context: &Context) -> Node {
    let pairs = context
        .pairs()
        .map(|(key, value)| (key.to_owned().into(), Node::text(value.to_owned())));
    Node::Object(pairs.collect())
}

/// One write for the whole line: lines of many processes do not mix.
fn append(path: &Path, line: &[u8], durability: Durability) -> io::Result<()> {
    let _gate = fork::enter();
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(libc::O_NOCTTY | libc::O_NONBLOCK)
        .open(path)?;
    if file.write(line)? != line.len() {
        return Err(io::Error::new(
            io::ErrorKind::WriteZero,
            "the line was not written whole",
        ));
    }
    match durability {
        Durability::Written => Ok(()),
        Durability::Synced => file.sync_data(),
    }
}
