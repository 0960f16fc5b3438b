//! How texts are compared, and which of them can be seen. A text is stored and shown as it was
//! typed; only comparisons normalise them.
//!
//! | what | compared by |
//! |---|---|
//! | user names | [`username_key`]: NFKC, full case folding, no U+0307 after `i` |
//! | user names, by their looks | [`username_look`]: the skeleton of UTS #39, without case |
//! | search | [`search_key`]: as above, without the marks of Latin, Greek and Cyrillic letters, without default-ignorables, with single spaces |
//! | passwords | [`password`]: OpaqueString of RFC 8265 |
//! | ids | as they are |
//!
//! The tables are ICU4X's, so that all of them are of one version of Unicode
//! (`docs/decisions/0020`). It has none of look-alikes: those are `unicode-security`'s.

use icu_casemap::CaseMapper;
use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
use icu_properties::props::{
    CanonicalCombiningClass, DefaultIgnorableCodePoint, GeneralCategory, Script, WhiteSpace,
};
use icu_properties::{CodePointMapData, CodePointSetData};
use std::borrow::Cow;
use unicode_segmentation::UnicodeSegmentation as _;

#[cfg(test)]
mod tests;

/// The version of the rules and tables behind [`username_key`], [`username_look`] and
/// [`search_key`]. Keys stored by another version are computed again; a test fails when the version
/// has to grow.
pub const KEYS_VERSION: i64 = 2;

/// The fewest characters (Unicode scalar values, in NFC) a user name may have.
pub const MIN_USERNAME_CHARS: usize = 2;
/// The most characters (Unicode scalar values, in NFC) a user name may have.
pub const MAX_USERNAME_CHARS: usize = 32;
/// The most nonspacing marks in a row in a user name (UTS #39, section 5.4).
const MAX_MARKS_IN_A_ROW: usize = 4;

fn category(c: char) -> GeneralCategory {
    CodePointMapData::<GeneralCategory>::new().get(c)
}

fn is_default_ignorable(c: char) -> bool {
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

/// The beginning of a text, of at most so many bytes: whole grapheme clusters, and an ellipsis where
/// something is left out.
#[must_use]
pub fn shortened(text: &str, bytes: usize) -> Cow<'_, str> {
    const ELLIPSIS: char = '…';
    if text.len() <= bytes {
        return Cow::Borrowed(text);
    }
    let room = bytes.saturating_sub(ELLIPSIS.len_utf8());
    let graphemes = text.grapheme_indices(true);
    let end = graphemes
        .map(|(at, grapheme)| at + grapheme.len())
        .take_while(|end| *end <= room)
        .last();
    let kept = text[..end.unwrap_or(0)].trim_end();
    Cow::Owned(format!("{kept}{ELLIPSIS}"))
}

/// Whether a text has at least one visible character: one that is
///
/// - no white space, control or format character (General_Category Z, Cc, Cf),
/// - no nonspacing or enclosing mark (Mn, Me), which only changes the look of a neighbour,
/// - no Default_Ignorable_Code_Point (Hangul fillers, variation selectors, tags, U+034F, U+00AD
///   ...),
/// - neither U+2800 (braille blank) nor U+1D159 (musical null notehead), which are symbols without
///   ink.
///
/// Unassigned and private-use characters count as visible: newer emoji and icon fonts must pass.
/// The client's `isVisible` is the same rule; `fixtures/text/visible.json` is read by the tests of
/// both.
#[must_use]
pub fn is_visible(text: &str) -> bool {
    text.chars().any(is_visible_char)
}

fn is_visible_char(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_graphic();
    }
    let is_blank_symbol = matches!(c, '\u{2800}' | '\u{1d159}');
    let is_blank_category = matches!(
        category(c),
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::SpaceSeparator
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
            | GeneralCategory::NonspacingMark
            | GeneralCategory::EnclosingMark
    );
    !is_blank_symbol && !is_blank_category && !is_default_ignorable(c)
}

/// A text without white space at its ends, and without the marks that copying leaves there: zero
/// width space, word joiner, byte-order mark. Joiners and variation selectors stay, since they
/// belong to the character before them.
#[must_use]
pub fn trim(text: &str) -> &str {
    let white_space = CodePointSetData::new::<WhiteSpace>();
    text.trim_matches(|c: char| {
        matches!(c, '\u{200b}' | '\u{2060}' | '\u{feff}') || white_space.contains(c)
    })
}

/// The key by which two user names are the same. Idempotent.
#[must_use]
pub fn username_key(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    ComposingNormalizerBorrowed::new_nfkc()
        .normalize(&fold(text))
        .into_owned()
}

/// The key by which two user names look alike, such as `paul`, `pau1`, `PauI` and `раul` with two
/// Cyrillic letters: the skeleton of UTS #39, section 4. Case changes the look of a letter (`I`
/// looks like `l`, `i` does not), so the skeleton is computed from the name as typed and again from
/// the folded name. Two names with different [`username_key`]s may look alike, and the other way
/// round.
#[must_use]
pub fn username_look(text: &str) -> String {
    let skeleton = |text: &str| unicode_security::skeleton(text).collect::<String>();
    fold(&skeleton(&fold(&skeleton(text))))
}

/// The key of an account whose [`username_key`] belongs to another account: see
/// [`account_names`](crate::account_names). It sorts before every key, since no key has a control
/// character.
#[must_use]
pub fn exact_username_key(username: &str) -> String {
    format!("\u{1}{username}")
}

/// The key for searches: a text matches if its key contains the query's key.
#[must_use]
pub fn search_key(text: &str) -> String {
    if text.is_ascii() {
        return single_spaces(&text.to_ascii_lowercase());
    }
    let bare = without_marks(&fold(text));
    single_spaces(&ComposingNormalizerBorrowed::new_nfkc().normalize(&bare))
}

/// Compatibility decomposition, full case folding, and no U+0307 after `i`, so that `İ` folds as
/// `I` and `i` do. The result is decomposed.
fn fold(text: &str) -> String {
    let nfkd = DecomposingNormalizerBorrowed::new_nfkd();
    // Decomposed first, because folding U+0345 makes a letter of it, which must not come to stand
    // between marks.
    let folded = CaseMapper::new()
        .fold_string(&nfkd.normalize(text))
        .into_owned();
    let classes = CodePointMapData::<CanonicalCombiningClass>::new();
    let mut is_after_i = false;
    let without_dot = |c: &char| {
        let is_dot = *c == '\u{307}';
        let keeps = !(is_dot && is_after_i);
        is_after_i = match classes.get(*c) {
            CanonicalCombiningClass::NotReordered => *c == 'i',
            // A mark above stands between the letter and the dot.
            CanonicalCombiningClass::Above => is_after_i && is_dot,
            _ => is_after_i,
        };
        keeps
    };
    nfkd.normalize(&folded)
        .chars()
        .filter(without_dot)
        .collect()
}

/// A decomposed text without the marks of Latin, Greek and Cyrillic letters and without
/// invisible characters. Marks of other scripts are vowels and tones, and stay.
fn without_marks(decomposed: &str) -> String {
    let scripts = CodePointMapData::<Script>::new();
    let mut strips = false;
    let stays = |c: &char| {
        if is_default_ignorable(*c) {
            return false;
        }
        if matches!(
            category(*c),
            GeneralCategory::NonspacingMark | GeneralCategory::EnclosingMark
        ) {
            return !strips;
        }
        strips = matches!(
            scripts.get(*c),
            Script::Latin | Script::Greek | Script::Cyrillic
        );
        true
    };
    decomposed.chars().filter(stays).collect()
}

fn single_spaces(text: &str) -> String {
    let mut words = text.split_whitespace();
    let mut spaced = words.next().unwrap_or_default().to_owned();
    for word in words {
        spaced.push(' ');
        spaced.push_str(word);
    }
    spaced
}

/// A password as it is hashed: the OpaqueString profile of RFC 8265, section 4.2 (non-ASCII spaces
/// become U+0020, then NFC), but nothing is refused. Hashes made before this rule are of the
/// typed form, so if the two differ a verification tries both.
#[must_use]
pub fn password(typed: &str) -> Cow<'_, str> {
    if typed.is_ascii() {
        return Cow::Borrowed(typed);
    }
    let is_space = |c: char| !c.is_ascii() && category(c) == GeneralCategory::SpaceSeparator;
    let nfc = ComposingNormalizerBorrowed::new_nfc();
    if typed.contains(is_space) {
        Cow::Owned(nfc.normalize(&typed.replace(is_space, " ")).into_owned())
    } else {
        nfc.normalize(typed)
    }
}

/// Whether a text may be a new account's user name: 2 to 32 letters, digits, dots, dashes or
/// underscores, of any script, with the marks that the script's letters need. Default-ignorable and
/// bidi control characters are not allowed. The name's key must satisfy the rule too, since
/// compatibility characters may hide a space or a symbol.
#[must_use]
pub fn is_username(text: &str) -> bool {
    let composed = ComposingNormalizerBorrowed::new_nfc().normalize(text);
    let key = username_key(text);
    let length = composed.chars().count();
    let fits = (MIN_USERNAME_CHARS..=MAX_USERNAME_CHARS).contains(&length)
        && key.chars().nth(MIN_USERNAME_CHARS - 1).is_some();
    fits && has_username_chars(&composed) && has_username_chars(&key)
}

fn has_username_chars(text: &str) -> bool {
    let mut has_base = false;
    let mut marks = 0;
    text.chars().all(|c| {
        let (fits, is_base) = match category(c) {
            _ if is_default_ignorable(c) => (false, false),
            _ if ".-_".contains(c) => (true, false),
            GeneralCategory::NonspacingMark => (has_base && marks < MAX_MARKS_IN_A_ROW, true),
            GeneralCategory::SpacingMark => (has_base, true),
            GeneralCategory::UppercaseLetter
            | GeneralCategory::LowercaseLetter
            | GeneralCategory::TitlecaseLetter
            | GeneralCategory::ModifierLetter
            | GeneralCategory::OtherLetter
            | GeneralCategory::DecimalNumber
            | GeneralCategory::LetterNumber
            | GeneralCategory::OtherNumber => (true, true),
            _ => (false, false),
        };
        marks = if category(c) == GeneralCategory::NonspacingMark {
            marks + 1
        } else {
            0
        };
        has_base = is_base;
        fits
    })
}
