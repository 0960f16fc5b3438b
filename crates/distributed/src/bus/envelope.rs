//! The envelopes of events between nodes, in two formats. Version 1 is JSON, which all nodes read.
//! Version 2 is binary (`compact.rs`) and costs less; it is used when all subscribed nodes read it
//! (`listeners.rs`).
//!
//! ```json
//! {"v":1,"run":"00c0ffee00c0ffee","n":7,"node":"a:3000","kind":"appended", ...}
//! ```
//!
//! `v`, `run` and `n` come first and in this form, so that a node finds out without parsing JSON
//! that an envelope is its own or a repetition. `run` is chosen at random when a bus starts, and `n`
//! counts what it publishes. Nodes of two versions work side by side: a reader skips versions and
//! kinds that it does not know, and ignores fields that it does not know.

use lamplight_domain::conversation::{Members, Receipt};
use lamplight_domain::entry::{Entry, EntryKind};
use lamplight_domain::event::Event;
use lamplight_domain::identity::{ConnectionId, ConversationId, FileId, MessageId, UserId};
use lamplight_domain::message::Content;
use lamplight_domain::time::Timestamp;
use lamplight_usecases::record;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;

mod compact;
mod contents;

pub(crate) use contents::{Contents, Head, Malformed};

/// The version in JSON.
const VERSION: u32 = 1;

/// How an envelope is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Version 1, for nodes of any version.
    Json,
    /// Version 2.
    Compact,
}

/// Reads the head of an envelope without parsing the rest. `None` if it has another form, as other
/// versions may.
pub(crate) fn peek(payload: &[u8]) -> Option<Head> {
    if payload.first() == Some(&compact::VERSION) {
        return compact::peek(payload);
    }
    let rest = payload.strip_prefix(b"{\"v\":1,\"run\":\"")?;
    let (run, rest) = rest.split_at_checked(16)?;
    let run = u64::from_str_radix(std::str::from_utf8(run).ok()?, 16).ok()?;
    let rest = rest.strip_prefix(b"\",\"n\":")?;
    let digits = rest.iter().position(|byte| !byte.is_ascii_digit())?;
    let number = std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()?;
    Some(Head { run, number })
}

/// Reads an envelope.
pub(crate) fn decode(payload: &[u8]) -> Result<Contents, Malformed> {
    match payload.first() {
        Some(&compact::VERSION) => return compact::decode(payload),
        // A later one.
        Some(3..=31) => return Ok(Contents::Unknown),
        _ => {}
    }
    let malformed = |error: serde_json::Error| Malformed(error.to_string());
    if !is_this_version(payload).map_err(malformed)? {
        return Ok(Contents::Unknown);
    }
    let envelope: Envelope = serde_json::from_slice(payload).map_err(malformed)?;
    if !KINDS.contains(&&*envelope.kind) {
        return Ok(Contents::Unknown);
    }
    let contents = envelope.contents();
    contents.ok_or_else(|| Malformed(format!("fields are missing for {}", &*envelope.kind)))
}

const KINDS: [&str; 12] = [
    "appended",
    "typing",
    "typing_ends",
    "receipt",
    "conversation",
    "signed_out",
    "signed_out_everywhere",
    "file_progress",
    "sharing",
    "upload_wanted",
    "blockers",
    "lost",
];

#[derive(Deserialize)]
struct Version {
    v: u32,
}

/// A later version may give every other field another meaning, so this comes first.
fn is_this_version(payload: &[u8]) -> serde_json::Result<bool> {
    // As this version writes it: then one pass over the rest is enough.
    if payload.starts_with(b"{\"v\":1,") {
        return Ok(true);
    }
    let version: Version = serde_json::from_slice(payload)?;
    Ok(version.v == VERSION)
}

/// Borrows from the payload where the text has no escapes. `serde` does that for `Cow` itself, but
/// not within an `Option` or `Vec`.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl std::ops::Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

/// All kinds have the same fields, most of them absent.
#[derive(Default, Serialize, Deserialize)]
struct Envelope<'a> {
    v: u32,
    #[serde(borrow)]
    run: Cow<'a, str>,
    n: u64,
    #[serde(borrow)]
    node: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    conversation: Option<Text<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    user: Option<Text<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    entry: Option<EntryFields<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    except: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_typing: Option<bool>,
    /// The record of an upload's progress; of a wanted upload, the file's id.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    file: Option<Text<'a>>,
    /// The process that wants an upload.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    by: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivered_seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_seq: Option<u64>,
    /// Absent where the delivered mark moved, and from what earlier versions sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    delivers: Option<bool>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    credential: Option<Text<'a>>,
    /// Absent from what earlier versions sent, which was stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    is_stored: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<i64>,
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    to: Vec<Text<'a>>,
    /// Members whose logs begin after the message that the entry refers to.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    newcomers: Vec<Text<'a>>,
}

#[derive(Serialize, Deserialize)]
struct EntryFields<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    seq: u64,
    #[serde(borrow)]
    sender: Cow<'a, str>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    client_message_id: Option<Text<'a>>,
    /// Absent from entries of other kinds than messages. The first versions know no others, and show
    /// nothing of an entry without it.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    content: Option<Text<'a>>,
    /// The parts of a message besides its content: see `usecases::record`.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    extras: Option<Text<'a>>,
    /// The kind of an entry that is not a message, and its record.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    kind: Option<Text<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    record: Option<Text<'a>>,
    created_at: i64,
}

/// Writes the envelopes of one bus.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) run: u64,
    run_text: String,
    /// For people who inspect the traffic.
    node: Arc<str>,
}

impl Writer {
    pub(crate) fn new(run: u64, node: &str) -> Self {
        Self {
            run,
            run_text: format!("{run:016x}"),
            node: node.into(),
        }
    }

    /// Appends the envelope of an event. `false`, and nothing, for events that do not leave the node:
    /// presence has a channel of its own.
    pub(crate) fn event(&self, form: Form, number: u64, event: &Event, out: &mut Vec<u8>) -> bool {
        match form {
            Form::Json => self.json(number, event, out),
            Form::Compact => compact::write_event(out, self.head(number), event),
        }
    }

    fn head(&self, number: u64) -> Head {
        Head {
            run: self.run,
            number,
        }
    }

    fn json(&self, number: u64, event: &Event, out: &mut Vec<u8>) -> bool {
        let base = self.base(number);
        let other = match event {
            Event::Appended { entry, .. } => record::write_other(&entry.kind),
            _ => None,
        };
        let envelope = match event {
            Event::Appended {
                entry,
                to,
                newcomers,
                except,
            } => Envelope {
                kind: "appended".into(),
                conversation: Some(entry.conversation.as_str().into()),
                newcomers: names(newcomers),
                entry: Some(EntryFields {
                    id: entry.id.as_str().into(),
                    seq: entry.seq,
                    sender: entry.sender.as_str().into(),
                    client_message_id: entry.client_message_id.as_deref().map(Into::into),
                    content: entry.content().map(|content| content.as_str().into()),
                    extras: entry
                        .extras()
                        .map(|extras| record::write_whole_extras(extras).into()),
                    kind: other.as_ref().map(|(kind, _)| (*kind).into()),
                    record: other.map(|(_, record)| record.into()),
                    created_at: entry.created_at.0,
                }),
                except: except.as_ref().map(|id| id.as_str().into()),
                to: names(to),
                ..base
            },
            Event::Sharing {
                user,
                file,
                is_active,
            } => Envelope {
                kind: "sharing".into(),
                user: Some(user.as_str().into()),
                file: Some(Text(file.as_str().into())),
                is_typing: Some(*is_active),
                ..base
            },
            Event::FileProgress { progress, to } => Envelope {
                kind: "file_progress".into(),
                file: Some(Text(record::write_progress(progress).into())),
                to: names(to),
                ..base
            },
            Event::UploadWanted { file, by } => Envelope {
                kind: "upload_wanted".into(),
                file: Some(file.as_str().into()),
                by: Some((&**by).into()),
                ..base
            },
            Event::Typing {
                conversation,
                user,
                is_typing,
                expires_at,
                to,
            } => Envelope {
                kind: "typing".into(),
                conversation: Some(conversation.as_str().into()),
                user: Some(user.as_str().into()),
                is_typing: Some(*is_typing),
                expires_at: Some(expires_at.0),
                to: names(to),
                ..base
            },
            Event::Receipt {
                conversation,
                receipt,
                delivers,
                to,
            } => Envelope {
                kind: "receipt".into(),
                conversation: Some(conversation.as_str().into()),
                user: Some(receipt.user.as_str().into()),
                delivered_seq: Some(receipt.delivered_seq),
                read_seq: Some(receipt.read_seq),
                delivers: (!delivers).then_some(false),
                to: names(to),
                ..base
            },
            Event::ConversationChanged { conversation, to } => Envelope {
                kind: "conversation".into(),
                conversation: Some(conversation.as_str().into()),
                to: names(to),
                ..base
            },
            Event::SignedOut {
                user,
                credential,
                is_stored,
            } => Envelope {
                kind: "signed_out".into(),
                user: Some(user.as_str().into()),
                credential: Some((&**credential).into()),
                is_stored: Some(*is_stored),
                ..base
            },
            Event::SignedOutEverywhere { user, until } => Envelope {
                kind: "signed_out_everywhere".into(),
                user: Some(user.as_str().into()),
                until: Some(until.0),
                ..base
            },
            Event::TypingEnds {
                between,
                is_published,
            } => Envelope {
                kind: "typing_ends".into(),
                to: between.iter().map(|user| user.as_str().into()).collect(),
                is_typing: Some(*is_published),
                ..base
            },
            Event::BlockersChanged { user } => Envelope {
                kind: "blockers".into(),
                user: Some(user.as_str().into()),
                ..base
            },
            Event::Presence(_) => return false,
        };
        write(&envelope, out);
        true
    }

    /// Appends the envelope that reports lost durable events.
    pub(crate) fn lost(&self, form: Form, number: u64, out: &mut Vec<u8>) {
        match form {
            Form::Json => write(
                &Envelope {
                    kind: "lost".into(),
                    ..self.base(number)
                },
                out,
            ),
            Form::Compact => compact::write_lost(out, self.head(number)),
        }
    }

    fn base(&self, number: u64) -> Envelope<'_> {
        Envelope {
            v: VERSION,
            run: (&*self.run_text).into(),
            n: number,
            node: (&*self.node).into(),
            ..Envelope::default()
        }
    }
}

fn write(envelope: &Envelope<'_>, out: &mut Vec<u8>) {
    // Texts and numbers always have a form in JSON.
    let _ = serde_json::to_writer(out, envelope);
}

fn names(users: &Members) -> Vec<Text<'_>> {
    users.iter().map(|user| user.as_str().into()).collect()
}

impl Envelope<'_> {
    /// `None` if a field is missing.
    fn contents(&self) -> Option<Contents> {
        let conversation = || {
            let id = self.conversation.as_deref()?;
            Some(ConversationId::trusted(id))
        };
        let user = || Some(UserId::trusted(self.user.as_deref()?));
        let to = || self.to.iter().map(|id| UserId::trusted(&**id)).collect();
        let event = match &*self.kind {
            "appended" => {
                let fields = self.entry.as_ref()?;
                let kind = fields.entry_kind();
                Event::Appended {
                    entry: Arc::new(Entry {
                        id: MessageId::trusted(&*fields.id),
                        conversation: conversation()?,
                        seq: fields.seq,
                        sender: UserId::trusted(&*fields.sender),
                        client_message_id: fields.client_message_id.as_deref().map(Into::into),
                        kind,
                        created_at: Timestamp(fields.created_at),
                    }),
                    to: to(),
                    newcomers: self
                        .newcomers
                        .iter()
                        .map(|id| UserId::trusted(&**id))
                        .collect(),
                    except: self.except.as_deref().map(ConnectionId::trusted),
                }
            }
            "sharing" => Event::Sharing {
                user: user()?,
                file: FileId::trusted(&*self.file.as_ref()?.0),
                is_active: self.is_typing?,
            },
            "file_progress" => Event::FileProgress {
                progress: Box::new(record::read_progress(&self.file.as_ref()?.0)?),
                to: to(),
            },
            "upload_wanted" => Event::UploadWanted {
                file: FileId::trusted(self.file.as_deref()?),
                by: self.by.as_deref()?.into(),
            },
            "typing" => Event::Typing {
                conversation: conversation()?,
                user: user()?,
                is_typing: self.is_typing?,
                expires_at: Timestamp(self.expires_at?),
                to: to(),
            },
            "typing_ends" => Event::TypingEnds {
                between: match self.to.as_slice() {
                    [one, other] => [one, other].map(|id| UserId::trusted(&**id)),
                    _ => return None,
                },
                is_published: self.is_typing?,
            },
            "receipt" => Event::Receipt {
                conversation: conversation()?,
                receipt: Receipt {
                    user: user()?,
                    delivered_seq: self.delivered_seq?,
                    read_seq: self.read_seq?,
                },
                delivers: self.delivers.unwrap_or(true),
                to: to(),
            },
            "conversation" => Event::ConversationChanged {
                conversation: conversation()?,
                to: to(),
            },
            "signed_out" => Event::SignedOut {
                user: user()?,
                credential: self.credential.as_deref()?.into(),
                is_stored: self.is_stored.unwrap_or(true),
            },
            "signed_out_everywhere" => Event::SignedOutEverywhere {
                user: user()?,
                until: Timestamp(self.until?),
            },
            "blockers" => Event::BlockersChanged { user: user()? },
            "lost" => return Some(Contents::Lost),
            _ => return Some(Contents::Unknown),
        };
        Some(Contents::Event(event))
    }
}

impl EntryFields<'_> {
    fn entry_kind(&self) -> EntryKind {
        match (&self.content, &self.kind, &self.record) {
            (Some(content), _, _) => EntryKind::Message {
                content: Content::trusted(&**content),
                extras: self
                    .extras
                    .as_deref()
                    .and_then(|extras| record::read_extras(extras).boxed()),
            },
            (None, Some(kind), Some(record)) => record::read_change(kind, record),
            (None, _, _) => EntryKind::Unknown,
        }
    }
}

/// The newest `seq` of each conversation in a batch, for the republisher:
/// `{"v":1,"entries":[["conversation",first,last], ...]}`, or the same in bytes.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Summary<'a> {
    v: u32,
    #[serde(borrow, default)]
    pub(crate) entries: Vec<(Cow<'a, str>, u64, u64)>,
}

impl<'a> Summary<'a> {
    pub(crate) fn new() -> Self {
        Self {
            v: VERSION,
            entries: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, conversation: &'a str, seq: u64) {
        let follows = |(last, _, to): &&mut (Cow<'a, str>, u64, u64)| {
            &**last == conversation && *to + 1 == seq
        };
        match self.entries.iter_mut().rev().take(8).find(follows) {
            Some((_, _, to)) => *to = seq,
            None => self.entries.push((conversation.into(), seq, seq)),
        }
    }

    pub(crate) fn encode(&self, form: Form) -> Vec<u8> {
        match form {
            Form::Json => serde_json::to_vec(self).unwrap_or_default(),
            Form::Compact => compact::write_summary(&self.entries),
        }
    }

    /// `None` for versions that this code does not know.
    pub(crate) fn decode(payload: &'a [u8]) -> Option<Self> {
        if payload.first() == Some(&compact::VERSION) {
            let entries = compact::read_summary(payload).ok()?;
            return Some(Self {
                v: VERSION,
                entries,
            });
        }
        is_this_version(payload)
            .ok()?
            .then(|| serde_json::from_slice(payload).ok())
            .flatten()
    }
}

#[cfg(test)]
mod tests;
