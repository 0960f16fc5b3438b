//! Version 2 of the envelope: bytes instead of JSON, for nodes that all read it (see
//! `super::Form`).
//!
//! | part | form |
//! |---|---|
//! | version | the byte 2; version 1 begins with `{` |
//! | run | eight bytes, the lowest first |
//! | number | a count |
//! | kind | a byte |
//! | fields | those of the kind, in a fixed order |
//!
//! A count is seven bits in a byte, the lowest first, with the eighth bit set in all bytes but the
//! last. A text is the count of its bytes, and they; one that may be absent has a count greater by
//! one, and 0 if it is absent. A time is eight bytes. A list is a count, and its parts. A later
//! version adds fields at the end and kinds: readers skip what follows the fields that they know, and
//! kinds that they do not.

use super::contents::{Contents, Head, Malformed};
use lamplight_domain::conversation::{Members, Receipt};
use lamplight_domain::entry::{Entry, EntryKind};
use lamplight_domain::event::Event;
use lamplight_domain::identity::{ConnectionId, ConversationId, FileId, MessageId, UserId};
use lamplight_domain::message::Content;
use lamplight_domain::time::Timestamp;
use lamplight_usecases::record;
use std::borrow::Cow;
use std::sync::Arc;

/// The first byte.
pub(super) const VERSION: u8 = 2;

const APPENDED: u8 = 1;
const TYPING: u8 = 2;
const RECEIPT: u8 = 3;
const CONVERSATION: u8 = 4;
const SIGNED_OUT: u8 = 5;
const SIGNED_OUT_EVERYWHERE: u8 = 6;
const FILE_PROGRESS: u8 = 7;
const BLOCKERS: u8 = 8;
const LOST: u8 = 9;
const SHARING: u8 = 10;
const UPLOAD_WANTED: u8 = 11;
const TYPING_ENDS: u8 = 12;

/// The kind of an entry. Unknown kinds, of later versions, show nothing.
const ENTRY_UNKNOWN: u8 = 0;
/// The content.
const ENTRY_MESSAGE: u8 = 1;
/// The content and the extras of a message: see `usecases::record`.
const ENTRY_MESSAGE_WITH_EXTRAS: u8 = 2;
/// The name of the kind, and its record.
const ENTRY_OTHER: u8 = 3;

/// Writes an event behind its head. `false`, and nothing, for events that do not leave the node.
pub(super) fn write_event(out: &mut Vec<u8>, head: Head, event: &Event) -> bool {
    let mut out = Out(out);
    match event {
        Event::Appended {
            entry,
            to,
            newcomers,
            except,
        } => {
            out.head(head, APPENDED);
            out.users(to);
            out.text(entry.conversation.as_str());
            out.count(entry.seq);
            // Nearly always one of the receivers.
            let place = to.iter().position(|user| *user == entry.sender);
            out.count(place.map_or(0, |place| place as u64 + 1));
            if place.is_none() {
                out.text(entry.sender.as_str());
            }
            out.text(entry.id.as_str());
            out.time(entry.created_at);
            out.maybe(entry.client_message_id.as_deref());
            out.maybe(except.as_ref().map(ConnectionId::as_str));
            out.users(newcomers);
            out.entry_kind(&entry.kind);
        }
        Event::Typing {
            conversation,
            user,
            is_typing,
            expires_at,
            to,
        } => {
            out.head(head, TYPING);
            out.users(to);
            out.text(conversation.as_str());
            out.text(user.as_str());
            out.flag(*is_typing);
            out.time(*expires_at);
        }
        Event::Receipt {
            conversation,
            receipt,
            delivers,
            to,
        } => {
            out.head(head, RECEIPT);
            out.users(to);
            out.text(conversation.as_str());
            out.text(receipt.user.as_str());
            out.count(receipt.delivered_seq);
            out.count(receipt.read_seq);
            // Earlier versions do not read this far.
            if !delivers {
                out.flag(false);
            }
        }
        Event::ConversationChanged { conversation, to } => {
            out.head(head, CONVERSATION);
            out.users(to);
            out.text(conversation.as_str());
        }
        Event::SignedOut {
            user,
            credential,
            is_stored,
        } => {
            out.head(head, SIGNED_OUT);
            out.text(user.as_str());
            out.text(credential);
            out.flag(*is_stored);
        }
        Event::SignedOutEverywhere { user, until } => {
            out.head(head, SIGNED_OUT_EVERYWHERE);
            out.text(user.as_str());
            out.time(*until);
        }
        Event::FileProgress { progress, to } => {
            out.head(head, FILE_PROGRESS);
            out.users(to);
            out.text(&record::write_progress(progress));
        }
        Event::BlockersChanged { user } => {
            out.head(head, BLOCKERS);
            out.text(user.as_str());
        }
        Event::Sharing {
            user,
            file,
            is_active,
        } => {
            out.head(head, SHARING);
            out.text(user.as_str());
            out.text(file.as_str());
            out.flag(*is_active);
        }
        Event::UploadWanted { file, by } => {
            out.head(head, UPLOAD_WANTED);
            out.text(file.as_str());
            out.text(by);
        }
        Event::TypingEnds {
            between,
            is_published,
        } => {
            out.head(head, TYPING_ENDS);
            for user in between {
                out.text(user.as_str());
            }
            out.flag(*is_published);
        }
        Event::Presence(_) => return false,
    }
    true
}

/// Writes that durable events were lost.
pub(super) fn write_lost(out: &mut Vec<u8>, head: Head) {
    Out(out).head(head, LOST);
}

/// Reads the head.
pub(super) fn peek(payload: &[u8]) -> Option<Head> {
    let mut read = Reader(payload.strip_prefix(&[VERSION])?);
    read.head().ok()
}

/// Reads an envelope that begins with [`VERSION`].
pub(super) fn decode(payload: &[u8]) -> Result<Contents, Malformed> {
    let mut read = Reader(payload);
    read.byte()?;
    read.head()?;
    let event = match read.byte()? {
        APPENDED => read.appended()?,
        TYPING => {
            let to = read.users()?;
            Event::Typing {
                conversation: ConversationId::trusted(read.text()?),
                user: UserId::trusted(read.text()?),
                is_typing: read.flag()?,
                expires_at: read.time()?,
                to,
            }
        }
        RECEIPT => {
            let to = read.users()?;
            Event::Receipt {
                conversation: ConversationId::trusted(read.text()?),
                receipt: Receipt {
                    user: UserId::trusted(read.text()?),
                    delivered_seq: read.count()?,
                    read_seq: read.count()?,
                },
                // Absent where it does, and from what earlier versions sent.
                delivers: read.flag().unwrap_or(true),
                to,
            }
        }
        CONVERSATION => {
            let to = read.users()?;
            Event::ConversationChanged {
                conversation: ConversationId::trusted(read.text()?),
                to,
            }
        }
        SIGNED_OUT => Event::SignedOut {
            user: UserId::trusted(read.text()?),
            credential: read.text()?.into(),
            is_stored: read.flag()?,
        },
        SIGNED_OUT_EVERYWHERE => Event::SignedOutEverywhere {
            user: UserId::trusted(read.text()?),
            until: read.time()?,
        },
        FILE_PROGRESS => {
            let to = read.users()?;
            let progress = record::read_progress(read.text()?);
            let progress = progress.ok_or_else(|| malformed("the progress of a file"))?;
            Event::FileProgress {
                progress: Box::new(progress),
                to,
            }
        }
        BLOCKERS => Event::BlockersChanged {
            user: UserId::trusted(read.text()?),
        },
        SHARING => Event::Sharing {
            user: UserId::trusted(read.text()?),
            file: FileId::trusted(read.text()?),
            is_active: read.flag()?,
        },
        UPLOAD_WANTED => Event::UploadWanted {
            file: FileId::trusted(read.text()?),
            by: read.text()?.into(),
        },
        TYPING_ENDS => Event::TypingEnds {
            between: [UserId::trusted(read.text()?), UserId::trusted(read.text()?)],
            is_published: read.flag()?,
        },
        LOST => return Ok(Contents::Lost),
        _ => return Ok(Contents::Unknown),
    };
    Ok(Contents::Event(event))
}

/// Writes a summary: conversations, each with its first number and how many follow.
pub(super) fn write_summary(entries: &[(Cow<'_, str>, u64, u64)]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(16 + entries.len() * 48);
    let mut out = Out(&mut bytes);
    out.0.push(VERSION);
    out.count(entries.len() as u64);
    for (conversation, first, last) in entries {
        out.text(conversation);
        out.count(*first);
        out.count(last - first);
    }
    bytes
}

/// Reads a summary that begins with [`VERSION`].
pub(super) fn read_summary(payload: &[u8]) -> Result<Summarized<'_>, Malformed> {
    let mut read = Reader(payload);
    read.byte()?;
    let count = read.count()?;
    let mut entries = Vec::with_capacity(read.at_most(count, 3));
    for _ in 0..count {
        let conversation = Cow::Borrowed(read.text()?);
        let first = read.count()?;
        entries.push((conversation, first, first.saturating_add(read.count()?)));
    }
    Ok(entries)
}

/// The conversations of a summary, each with the first and the last of its numbers.
pub(super) type Summarized<'a> = Vec<(Cow<'a, str>, u64, u64)>;

fn malformed(what: &str) -> Malformed {
    Malformed(format!("{what} cannot be read"))
}

struct Out<'a>(&'a mut Vec<u8>);

impl Out<'_> {
    fn head(&mut self, head: Head, kind: u8) {
        self.0.push(VERSION);
        self.0.extend_from_slice(&head.run.to_le_bytes());
        self.count(head.number);
        self.0.push(kind);
    }

    fn count(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn text(&mut self, text: &str) {
        self.count(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    fn maybe(&mut self, text: Option<&str>) {
        self.count(text.map_or(0, |text| text.len() as u64 + 1));
        self.0.extend_from_slice(text.unwrap_or("").as_bytes());
    }

    fn time(&mut self, time: Timestamp) {
        self.0.extend_from_slice(&time.0.to_le_bytes());
    }

    fn flag(&mut self, flag: bool) {
        self.0.push(u8::from(flag));
    }

    fn users(&mut self, users: &[UserId]) {
        self.count(users.len() as u64);
        for user in users {
            self.text(user.as_str());
        }
    }

    fn entry_kind(&mut self, kind: &EntryKind) {
        match kind {
            EntryKind::Message {
                content,
                extras: None,
            } => {
                self.0.push(ENTRY_MESSAGE);
                self.text(content.as_str());
            }
            EntryKind::Message {
                content,
                extras: Some(extras),
            } => {
                self.0.push(ENTRY_MESSAGE_WITH_EXTRAS);
                self.text(content.as_str());
                self.text(&record::write_whole_extras(extras));
            }
            other => match record::write_other(other) {
                Some((name, record)) => {
                    self.0.push(ENTRY_OTHER);
                    self.text(name);
                    self.text(&record);
                }
                None => self.0.push(ENTRY_UNKNOWN),
            },
        }
    }
}

/// The unread rest of a payload.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .ok_or_else(|| malformed("the end"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.take(1)?[0])
    }

    fn eight(&mut self) -> Result<[u8; 8], Malformed> {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(self.take(8)?);
        Ok(bytes)
    }

    fn head(&mut self) -> Result<Head, Malformed> {
        let run = u64::from_le_bytes(self.eight()?);
        let number = self.count()?;
        Ok(Head { run, number })
    }

    fn count(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            value |= bits << shift;
            if byte & 0x80 == 0 {
                // The tenth byte has room for one bit.
                return match bits << shift >> shift == bits {
                    true => Ok(value),
                    false => Err(malformed("a count")),
                };
            }
        }
        Err(malformed("a count"))
    }

    /// The space to reserve for so many parts of at least `least` bytes: no more than are there.
    fn at_most(&self, count: u64, least: usize) -> usize {
        let most = self.0.len() / least;
        usize::try_from(count).unwrap_or(most).min(most)
    }

    fn of_length(&mut self, length: u64) -> Result<&'a str, Malformed> {
        let length = usize::try_from(length).map_err(|_| malformed("a length"))?;
        std::str::from_utf8(self.take(length)?).map_err(|_| malformed("a text"))
    }

    fn text(&mut self) -> Result<&'a str, Malformed> {
        let length = self.count()?;
        self.of_length(length)
    }

    fn maybe(&mut self) -> Result<Option<&'a str>, Malformed> {
        match self.count()? {
            0 => Ok(None),
            more => self.of_length(more - 1).map(Some),
        }
    }

    fn time(&mut self) -> Result<Timestamp, Malformed> {
        Ok(Timestamp(i64::from_le_bytes(self.eight()?)))
    }

    fn flag(&mut self) -> Result<bool, Malformed> {
        Ok(self.byte()? != 0)
    }

    fn users(&mut self) -> Result<Members, Malformed> {
        let count = self.count()?;
        if count == 0 {
            return Ok(Members::default());
        }
        let mut users = Vec::with_capacity(self.at_most(count, 1));
        for _ in 0..count {
            users.push(UserId::trusted(self.text()?));
        }
        Ok(users.into())
    }

    fn appended(&mut self) -> Result<Event, Malformed> {
        let to = self.users()?;
        let conversation = ConversationId::trusted(self.text()?);
        let seq = self.count()?;
        let sender = match self.count()? {
            0 => UserId::trusted(self.text()?),
            place => {
                let place = usize::try_from(place - 1).unwrap_or(usize::MAX);
                let sender = to.get(place);
                sender.ok_or_else(|| malformed("the sender"))?.clone()
            }
        };
        let id = MessageId::trusted(self.text()?);
        let created_at = self.time()?;
        let client_message_id = self.maybe()?.map(Into::into);
        let except = self.maybe()?.map(ConnectionId::trusted);
        let newcomers = self.users()?;
        let kind = self.entry_kind()?;
        Ok(Event::Appended {
            entry: Arc::new(Entry {
                id,
                conversation,
                seq,
                sender,
                client_message_id,
                kind,
                created_at,
            }),
            to,
            newcomers,
            except,
        })
    }

    fn entry_kind(&mut self) -> Result<EntryKind, Malformed> {
        Ok(match self.byte()? {
            ENTRY_MESSAGE => EntryKind::message(Content::trusted(self.text()?)),
            ENTRY_MESSAGE_WITH_EXTRAS => EntryKind::Message {
                content: Content::trusted(self.text()?),
                extras: record::read_extras(self.text()?).boxed(),
            },
            ENTRY_OTHER => {
                let name = self.text()?;
                record::read_change(name, self.text()?)
            }
            _ => EntryKind::Unknown,
        })
    }
}
