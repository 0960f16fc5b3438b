//! The text of a message, and what makes a write repeatable.

use crate::text::is_visible;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::sync::Arc;

/// The most characters (Unicode scalar values) a message may have.
pub const MAX_CONTENT_CHARS: usize = 8_000;

/// A text that may be sent, exactly as it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content(Arc<str>);

/// Why a text may not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidContent {
    /// No visible character.
    Empty,
    /// More than [`MAX_CONTENT_CHARS`] characters; how many it has.
    TooLong(usize),
}

impl fmt::Display for InvalidContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("The message is empty: it has no visible character."),
            Self::TooLong(count) => write!(
                f,
                "The message has {count} characters; at most 8000 can be sent."
            ),
        }
    }
}

impl Content {
    /// Checks a text and keeps it as typed.
    ///
    /// # Errors
    /// When it has no visible character or is too long.
    pub fn parse(text: &str) -> Result<Self, InvalidContent> {
        if !is_visible(text) {
            return Err(InvalidContent::Empty);
        }
        if text.len() > MAX_CONTENT_CHARS {
            let count = text.chars().count();
            if count > MAX_CONTENT_CHARS {
                return Err(InvalidContent::TooLong(count));
            }
        }
        Ok(Self(text.into()))
    }

    /// Takes a text that was checked before, such as one read back from the store.
    #[must_use]
    pub fn trusted(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The key that makes a send idempotent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendKey {
    /// The client promises that this id stands for this message alone; the same id with other
    /// content is a conflict.
    ClientMessageId(Arc<str>),
    /// A `temp-<milliseconds>` of the original pages. Two tabs can make the same one, so other
    /// content under it is another message.
    TempId(Arc<str>),
}

/// The key by which a store recognises a repeated send, together with the sender and the
/// conversation. A temporary id is unique for its content only, so the content's digest is part of
/// the key.
#[must_use]
pub fn dedupe_key(key: &SendKey, content: &Content) -> String {
    match key {
        SendKey::ClientMessageId(id) => format!("c{id}"),
        SendKey::TempId(id) => format!(
            "t{id}:{}",
            URL_SAFE_NO_PAD.encode(Sha256::digest(content.as_str().as_bytes()))
        ),
    }
}

/// The client's own message id in a dedupe key, if the key has one.
#[must_use]
pub fn client_message_id(dedupe_key: &str) -> Option<Arc<str>> {
    dedupe_key.strip_prefix('c').map(Arc::from)
}

/// The most characters of an excerpt.
pub const MAX_EXCERPT_CHARS: usize = 140;

/// The most characters of a message that its excerpt depends on, so that a store need not read the
/// rest.
pub const EXCERPT_DEPENDS_ON: usize = 1_000;

/// The beginning of a message in one line, for quotes: each run of white space is one space, and text
/// omitted from the first [`EXCERPT_DEPENDS_ON`] characters leaves an ellipsis.
#[must_use]
pub fn excerpt(content: &Content) -> Arc<str> {
    let mut line = String::new();
    let text = content.as_str();
    let end = text.char_indices().nth(EXCERPT_DEPENDS_ON);
    let text = end.map_or(text, |(end, _)| &text[..end]);
    for (count, c) in spaced(text).enumerate() {
        if count == MAX_EXCERPT_CHARS {
            line.truncate(line.trim_end().len());
            line.push('…');
            break;
        }
        line.push(c);
    }
    line.into()
}

/// The characters of a text with one space for each run of white space, none at its ends.
fn spaced(text: &str) -> impl Iterator<Item = char> + '_ {
    text.split_whitespace().enumerate().flat_map(|(at, word)| {
        let space = (at > 0).then_some(' ');
        space.into_iter().chain(word.chars())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_stored_as_typed() {
        assert_eq!(Content::parse("  hi\n ").unwrap().as_str(), "  hi\n ");
        assert_eq!(
            Content::parse(" \n\u{a0}\u{2003}"),
            Err(InvalidContent::Empty)
        );
        assert_eq!(
            Content::parse("\u{200b}\u{3164}\u{2800}"),
            Err(InvalidContent::Empty)
        );
    }

    /// Both forms are in databases, and must stay as they are.
    #[test]
    fn m2_the_format_of_dedupe_keys_is_stable() {
        let hello = Content::trusted("hello");
        let client = SendKey::ClientMessageId("id-1".into());
        assert_eq!(dedupe_key(&client, &hello), "cid-1");
        assert_eq!(dedupe_key(&client, &Content::trusted("other")), "cid-1");
        let temporary = SendKey::TempId("temp-1".into());
        assert_eq!(
            dedupe_key(&temporary, &Content::trusted("to all")),
            "ttemp-1:UAJFp3zayurjkYY7MKF86kgEpThA1I4dekpkNsRwzj0"
        );
        assert_ne!(
            dedupe_key(&temporary, &hello),
            dedupe_key(&temporary, &Content::trusted("other")),
            "two tabs can make the same temporary id"
        );
        assert_eq!(client_message_id("cid-1").as_deref(), Some("id-1"));
        assert_eq!(client_message_id(&dedupe_key(&temporary, &hello)), None);
    }

    #[test]
    fn an_excerpt_is_one_line_of_bounded_length() {
        let of = |text: &str| excerpt(&Content::trusted(text)).to_string();
        assert_eq!(of("  one\n\n two\u{a0}three "), "one two three");
        assert_eq!(of(&"x".repeat(140)), "x".repeat(140));
        assert_eq!(of(&"x".repeat(141)), format!("{}…", "x".repeat(140)));
        assert_eq!(
            of(&format!("{} y", "x".repeat(139))),
            format!("{}…", "x".repeat(139))
        );
        assert_eq!(of(""), "");
        let far = format!("a{}b", " ".repeat(EXCERPT_DEPENDS_ON - 1));
        assert_eq!(of(&far), "a", "later text does not count");
    }

    #[test]
    fn length_counts_characters_not_bytes() {
        assert!(Content::parse(&"😀".repeat(8_000)).is_ok());
        assert_eq!(
            Content::parse(&"x".repeat(8_001)),
            Err(InvalidContent::TooLong(8_001))
        );
    }
}
