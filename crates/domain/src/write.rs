//! Writes to a log.

use crate::entry::{Entry, EntryKind, MessageAction};
use crate::identity::{ConversationId, FileId, MessageId, UserId};
use crate::message::{Content, SendKey, dedupe_key};
use crate::time::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

/// An entry that may be appended to a log.
#[derive(Clone, Debug)]
pub struct NewEntry {
    /// The id of the entry, unless this repeats an earlier write.
    pub id: MessageId,
    pub conversation: ConversationId,
    pub sender: UserId,
    pub write: Write,
    /// Present if the client can repeat the write.
    pub key: Option<SendKey>,
    /// When the server accepted it.
    pub created_at: Timestamp,
    /// Messages sent before this time can no longer be edited.
    pub editable_since: Option<Timestamp>,
}

/// The content of a member's write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    Message {
        content: Content,
        /// A message of the same log.
        reply_to: Option<MessageId>,
        /// Each once.
        mentions: Vec<UserId>,
        /// Files of the sender's, each once.
        attachments: Vec<FileId>,
    },
    Change {
        /// A message of the same log.
        message: MessageId,
        action: MessageAction,
    },
}

impl From<Content> for Write {
    /// A message that has nothing but its content.
    fn from(content: Content) -> Self {
        Self::Message {
            content,
            reply_to: None,
            mentions: Vec::new(),
            attachments: Vec::new(),
        }
    }
}

impl Write {
    /// Its text.
    #[must_use]
    pub fn content(&self) -> Option<&Content> {
        match self {
            Self::Message { content, .. }
            | Self::Change {
                action: MessageAction::Edit { content, .. },
                ..
            } => Some(content),
            Self::Change { .. } => None,
        }
    }

    /// The key by which a store recognises a repetition: see [`dedupe_key`].
    #[must_use]
    pub fn dedupe_key(&self, key: &SendKey) -> String {
        let content = self.content().cloned();
        let content = content.unwrap_or_else(|| Content::trusted(""));
        match self {
            // A temporary id stands for the files too.
            Self::Message { attachments, .. } if !attachments.is_empty() => {
                let mut all = content.as_str().to_owned();
                for file in attachments {
                    all.push('\0');
                    all.push_str(file.as_str());
                }
                dedupe_key(key, &Content::trusted(all))
            }
            _ => dedupe_key(key, &content),
        }
    }

    /// Whether this is what made an entry that is not erased: a repetition under the same key is a
    /// duplicate then, and a conflict otherwise.
    #[must_use]
    pub fn made(&self, entry: &Entry) -> bool {
        Self::of(entry).as_ref() == Some(self)
    }

    /// A digest of its content, under a secret key of the store. It is stored where the entry is
    /// erased, so that a repetition is still recognised and the text cannot be guessed from it.
    #[must_use]
    pub fn digest(&self, key: &[u8]) -> String {
        let mut parts = Parts::default();
        let mut add = |part: &str| parts.add(part);
        match self {
            Self::Message {
                content,
                reply_to,
                mentions,
                attachments,
            } => {
                add("message");
                add(content.as_str());
                add(reply_to.as_ref().map_or("", MessageId::as_str));
                mentions.iter().for_each(|user| add(user.as_str()));
                // Nothing is added where there are none: older digests stay the same.
                for file in attachments {
                    add("file");
                    add(file.as_str());
                }
            }
            Self::Change { message, action } => {
                add(action.name());
                add(message.as_str());
                match action {
                    MessageAction::Edit { content, mentions } => {
                        add(content.as_str());
                        mentions.iter().for_each(|user| add(user.as_str()));
                    }
                    MessageAction::Delete => {}
                    MessageAction::React { emoji, added } => {
                        add(emoji.as_str());
                        add(if *added { "1" } else { "0" });
                    }
                    MessageAction::Pin { pinned } => add(if *pinned { "1" } else { "0" }),
                }
            }
        }
        parts.digest(key)
    }

    /// The replacement of this write's dedupe key when its entry is erased. `None` if the key
    /// stays. Only the key of a temporary id has a digest of the content, from which a reader of
    /// the store could guess the content.
    #[must_use]
    pub fn erased_dedupe_key(&self, dedupe_key: &str, key: &[u8]) -> Option<String> {
        let (id, _) = dedupe_key.strip_prefix('t')?.rsplit_once(':')?;
        Some(format!("t{id}:{}", self.digest(key)))
    }

    /// Whether it is allowed in a direct conversation with a block. There, users can only delete
    /// their own messages.
    #[must_use]
    pub fn passes_block(&self) -> bool {
        matches!(
            self,
            Self::Change {
                action: MessageAction::Delete,
                ..
            }
        )
    }

    /// The write that made an entry that is not erased; `None` for kinds that are written in
    /// another way or unknown to this version.
    #[must_use]
    pub fn of(entry: &Entry) -> Option<Self> {
        match &entry.kind {
            EntryKind::Message { content, extras } => {
                let extras = extras.as_deref().cloned().unwrap_or_default();
                Some(Self::Message {
                    content: content.clone(),
                    reply_to: extras.reply_to.map(|quote| quote.id),
                    mentions: extras.mentions,
                    attachments: extras.attachments.into_iter().map(|file| file.id).collect(),
                })
            }
            EntryKind::Change(change) => Some(Self::Change {
                message: change.message.clone(),
                action: change.action.clone(),
            }),
            _ => None,
        }
    }
}

/// The input of a digest: each part after its length, so that different lists have different bytes.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    bytes: Vec<u8>,
}

impl Parts {
    pub(crate) fn add(&mut self, part: &str) {
        let length = (part.len() as u64).to_be_bytes();
        self.bytes.extend_from_slice(&length);
        self.bytes.extend_from_slice(part.as_bytes());
    }

    pub(crate) fn digest(&self, key: &[u8]) -> String {
        // Two passes, as HMAC has them: one digest would reveal others of longer texts.
        let inner = Sha256::new().chain_update(key).chain_update(&self.bytes);
        let outer = Sha256::new()
            .chain_update(key)
            .chain_update(inner.finalize());
        URL_SAFE_NO_PAD.encode(outer.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m2_an_erased_key_reveals_nothing_without_the_stores_key() {
        let write = Write::from(Content::trusted("hello"));
        let client = write.dedupe_key(&SendKey::ClientMessageId("t1:2".into()));
        assert_eq!(write.erased_dedupe_key(&client, b"key"), None);
        let temporary = write.dedupe_key(&SendKey::TempId("temp-1:2".into()));
        let erased = write.erased_dedupe_key(&temporary, b"key");
        let erased = erased.expect("a digest of the content");
        assert!(erased.starts_with("ttemp-1:2:"));
        assert_ne!(erased, temporary);
        let of = |write: &Write, key: &[u8]| write.erased_dedupe_key(&temporary, key);
        assert_eq!(of(&write, b"key"), Some(erased.clone()));
        assert_ne!(of(&write, b"another"), Some(erased.clone()));
        let other = Write::from(Content::trusted("other"));
        assert_ne!(of(&other, b"key"), Some(erased));
    }

    #[test]
    fn m2_a_digest_distinguishes_writes_and_depends_on_the_stores_key() {
        let mention = |ids: &[&str]| {
            ids.iter()
                .map(|id| UserId::trusted(*id))
                .collect::<Vec<_>>()
        };
        let message = |content: &str, reply_to: Option<&str>, ids: &[&str]| Write::Message {
            content: Content::trusted(content),
            reply_to: reply_to.map(MessageId::trusted),
            mentions: mention(ids),
            attachments: Vec::new(),
        };
        let change = |action| Write::Change {
            message: MessageId::trusted("m"),
            action,
        };
        let edit = |content: &str| MessageAction::Edit {
            content: Content::trusted(content),
            mentions: Vec::new(),
        };
        let writes = [
            message("hello", None, &[]),
            message("hello", Some("m"), &[]),
            message("hello", None, &["m"]),
            message("hell", Some("om"), &[]),
            message("hello", None, &["a", "b"]),
            message("hello", None, &["ab"]),
            change(edit("hello")),
            change(edit("other")),
            change(MessageAction::Delete),
            change(MessageAction::Pin { pinned: true }),
            change(MessageAction::Pin { pinned: false }),
        ];
        let digests: std::collections::BTreeSet<String> =
            writes.iter().map(|write| write.digest(b"key")).collect();
        assert_eq!(digests.len(), writes.len());
        assert_ne!(writes[0].digest(b"key"), writes[0].digest(b"another"));
        assert_eq!(writes[0].digest(b"key"), writes[0].clone().digest(b"key"));
    }
}
