//! Validates reactions.

use icu_properties::CodePointSetData;
use icu_properties::props::{Emoji as EmojiProperty, EmojiPresentation, RegionalIndicator};
use std::fmt;
use std::sync::Arc;
use unicode_segmentation::UnicodeSegmentation as _;

/// The most bytes of an emoji. The longest of Unicode's recommended ones, families of four with
/// skin tones, have 41.
pub const MAX_EMOJI_BYTES: usize = 64;

/// The variation selector that shows a character as an emoji.
const AS_EMOJI: char = '\u{fe0f}';
/// The combining character that turns a digit into a keycap, as in `1️⃣`.
const KEYCAP: char = '\u{20e3}';

/// One emoji: a single grapheme with emoji presentation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Emoji(Arc<str>);

impl Emoji {
    /// `None` if the text is not a single emoji. A digit, `#` and `©` have Unicode's property of the
    /// name, and count only together with what shows them as emoji.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_EMOJI_BYTES || text.graphemes(true).nth(1).is_some() {
            return None;
        }
        let first = text.chars().next()?;
        let emoji = CodePointSetData::new::<EmojiProperty>();
        let shown = CodePointSetData::new::<EmojiPresentation>();
        let regional = CodePointSetData::new::<RegionalIndicator>();
        let is_shown = if regional.contains(first) {
            // A flag has two of them.
            text.chars()
                .nth(1)
                .is_some_and(|second| regional.contains(second))
        } else {
            shown.contains(first) || text.chars().any(|c| c == AS_EMOJI || c == KEYCAP)
        };
        (emoji.contains(first) && is_shown).then(|| Self(text.into()))
    }

    /// Takes a text that was checked before, such as one read back from the store.
    #[must_use]
    pub fn trusted(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for Emoji {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl From<Emoji> for Arc<str> {
    fn from(value: Emoji) -> Self {
        value.0
    }
}

impl fmt::Display for Emoji {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_valid_emoji_is_one_grapheme() {
        for text in [
            "👍",
            "❤️",
            "👍🏽",
            "👨‍👩‍👧‍👦",
            "🏳️‍🌈",
            "🇩🇪",
            "1️⃣",
            "#️⃣",
            "©️",
            "🫡",
            "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
            "👩🏽‍❤️‍💋‍👨🏿",
        ] {
            assert_eq!(Emoji::parse(text).expect(text).as_str(), text);
        }
    }

    #[test]
    fn other_texts_are_not_emoji() {
        let long = format!("👍{}", "\u{200d}👍".repeat(10));
        for text in [
            "", "a", "1", "#", "©", "👍👍", "👍 ", " 👍", "ok", "🇩", "\u{fe0f}", "\u{200d}",
            "e\u{301}", "<b>", &long,
        ] {
            assert_eq!(Emoji::parse(text), None, "{text:?}");
        }
    }
}
