//! The audit log: one line of JSON for each operation, refused ones too, before its output is
//! released. Without a sink none of this runs.
#![forbid(unsafe_code)]

mod log;

use std::cell::RefCell;
use std::collections::hash_map::Entry;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use uuid::Uuid;

use crate::action::Action;
use crate::allocation;
use crate::clock::Timestamp;
use crate::context::Context;
use crate::error::{Error, Result, Status};
use crate::key_name::KeyUse;
use crate::maps::HashMap;
use crate::request_id::Call;
use crate::tree::{Fields, Node, named};
use log::{Durability, Log};

/// The most characters of what a caller gave as a name: a line must not grow with its nonsense.
const TOLD_MAX: usize = 300;

/// Where lines go.
#[derive(Clone)]
pub enum Sink {
    /// To the end of a file.
    File(Log),
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
    /// What only this action tells.
    pub notes: Notes,
    /// What became of each of many blobs.
    pub tally: RefCell<Tally>,
}

/// How many blobs, by what they are under and what became of them.
#[derive(Default)]
pub struct Tally {
    counts: HashMap<(Option<KeyUse>, Option<Status>), usize>,
    uncounted: usize,
    first_refusal: Option<Status>,
}

/// A line tells so many groups of blobs apart; whoever makes up ids must not make it endless.
const GROUPS_MAX: usize = 256;

impl Tally {
    /// Counts a blob: what it says that it is under, and how it was refused.
    pub fn count(&mut self, blob: Option<KeyUse>, refusal: Option<Status>) {
        self.first_refusal = self.first_refusal.or(refusal);
        let more = self.counts.len() < GROUPS_MAX && self.counts.try_reserve(1).is_ok();
        match self.counts.entry((blob, refusal)) {
            Entry::Occupied(mut count) => *count.get_mut() += 1,
            Entry::Vacant(new) if more => {
                new.insert(1);
            }
            Entry::Vacant(_) => self.uncounted += 1,
        }
    }

    fn tell(&self, fields: &mut Fields) {
        if self.counts.is_empty() {
            return;
        }
        let groups = self.counts.iter().map(|((blob, refusal), count)| {
            let mut group = Fields::new();
            if let Some(blob) = blob {
                group.push(("blob_key_id".into(), Node::id(blob.key_id)));
                group.push(("blob_key_version_id".into(), Node::id(blob.key_version_id)));
            }
            group.push(("status".into(), Node::text(status_name(*refusal))));
            group.push(("count".into(), Node::count(*count)));
            Node::Object(group)
        });
        fields.push(("blobs".into(), Node::List(groups.collect())));
        if self.uncounted > 0 {
            fields.push(("other_blobs".into(), Node::count(self.uncounted)));
        }
    }
}

/// Named texts, also ones that are known only while the action is under way.
pub type Notes = RefCell<Vec<(&'static str, String)>>;

/// What came of an action, or will.
#[derive(Default)]
pub struct Made {
    /// The CMK and the version.
    pub used: Option<KeyUse>,
    /// The CMKs that left the file with the change, since their deletion window had ended.
    pub purged: Vec<Uuid>,
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
            notes: Notes::default(),
            tally: RefCell::default(),
        }
    }

    /// Bound to this context.
    pub fn with(self, context: &'a Context) -> Self {
        Event {
            context: Some(context),
            ..self
        }
    }

    /// With one more text of this name.
    pub fn noting(self, name: &'static str, text: impl Into<String>) -> Self {
        self.note(name, text);
        self
    }

    /// As [`Event::noting`], for what is known only within the change. It replaces what was noted under
    /// this name.
    pub fn note(&self, name: &'static str, text: impl Into<String>) {
        let mut notes = self.notes.borrow_mut();
        notes.retain(|(known, _)| *known != name);
        notes.push((name, text.into()));
    }
}

impl Sink {
    /// A file to append to.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Sink::File(Log::new(path.into()))
    }

    /// The same sink, wherever the process goes, for a client of this keystore and root key. A place that
    /// cannot be a log is refused.
    pub fn resolved(&self, keystore: Option<&Path>, root_key: Option<&Path>) -> Result<Self> {
        match self {
            Sink::File(log) => log.resolved(keystore, root_key).map(Sink::File),
            Sink::Host(host) => Ok(Sink::Host(Arc::clone(host))),
        }
    }

    /// Writes down that a change is about to be made: it is on disk before the change is.
    pub fn intent(&self, call: &Call, event: &Event<'_>, made: &Made, epoch: u64) -> Result<()> {
        let mut fields = begin(call, event, "intent")?;
        tell(&mut fields, made)?;
        fields.push(("epoch".into(), Node::number(epoch)));
        self.put(fields, Durability::Synced)
    }

    /// Writes down how an operation ended.
    pub fn result(
        &self,
        call: &Call,
        event: &Event<'_>,
        made: &Made,
        error: Option<&Error>,
    ) -> Result<()> {
        let mut fields = begin(call, event, "result")?;
        tell(&mut fields, made)?;
        // Where it was refused, or wrapped anew under another version, this is all that names it.
        if let Some(blob) = event.blob.filter(|blob| made.used != Some(*blob)) {
            fields.push(("blob_key_id".into(), Node::id(blob.key_id)));
            fields.push(("blob_key_version_id".into(), Node::id(blob.key_version_id)));
        }
        let tally = event.tally.borrow();
        tally.tell(&mut fields);
        // A call about many blobs is not called a success where one of them was refused.
        let status = error.map(Error::status).or(tally.first_refusal);
        fields.push(("status".into(), Node::text(status_name(status))));
        if let Some(error) = error {
            fields.push(("code".into(), Node::text(error.status().code())));
        }
        self.put(fields, Durability::Written)
    }

    fn put(&self, fields: Fields, durability: Durability) -> Result<()> {
        let line = Node::Object(fields).to_line()?;
        let line = line.as_bytes();
        match self {
            Sink::File(log) => log.append(line, durability).map_err(|error| {
                Error::with(
                    Status::AuditFailed,
                    format!(
                        "The audit log {} could not be written: {error}.",
                        log.path().display()
                    ),
                )
            }),
            Sink::Host(host) if host(line) => Ok(()),
            Sink::Host(_) => Err(Error::with(
                Status::AuditFailed,
                "The audit callback did not take the line.",
            )),
        }
    }
}

fn begin(call: &Call, event: &Event<'_>, phase: &'static str) -> Result<Fields> {
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
        fields.push(("key".into(), Node::text(cut(key))));
    }
    if let Some(count) = event.count {
        fields.push(("count".into(), Node::count(count)));
    }
    for (name, context) in [
        ("encryption_context", event.context),
        ("source_encryption_context", event.source_context),
    ] {
        if let Some(context) = context {
            fields.push((name.into(), as_object(context)?));
        }
    }
    for (name, text) in event.notes.borrow().iter() {
        fields.push(((*name).into(), Node::text(cut(text))));
    }
    Ok(fields)
}

fn tell(fields: &mut Fields, made: &Made) -> Result<()> {
    if let Some(used) = made.used {
        fields.push(("key_id".into(), Node::id(used.key_id)));
        fields.push(("key_version_id".into(), Node::id(used.key_version_id)));
    }
    if !made.purged.is_empty() {
        let mut ids = allocation::room(made.purged.len())?;
        ids.extend(made.purged.iter().copied().map(Node::id));
        fields.push(("purged".into(), Node::List(ids)));
    }
    Ok(())
}

fn status_name(status: Option<Status>) -> String {
    status.map_or(String::from("KMS_OK"), |status| {
        format!("KMS_ERR_{}", status.name())
    })
}

fn cut(text: &str) -> String {
    text.chars().take(TOLD_MAX).collect()
}

fn as_object(context: &Context) -> Result<Node> {
    let mut pairs = allocation::room(context.pairs().count())?;
    for (key, value) in context.pairs() {
        let (key, value) = (allocation::text(key)?, allocation::text(value)?);
        pairs.push((key.into(), Node::text(value)));
    }
    Ok(Node::Object(pairs))
}
