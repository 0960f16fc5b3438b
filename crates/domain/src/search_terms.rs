//! The terms of a text, which a message search compares. Every store indexes exactly these, so that
//! all stores find the same messages.
//!
//! A term is a word, folded as [`search_key`] folds it. In scripts without spaces between words
//! (Chinese, Japanese, Thai, Lao, Khmer, Burmese) terms are pairs of neighbouring characters, and
//! the last character of each run alone, so that any part of a run can be found.

use crate::text::search_key;
use icu_properties::CodePointMapData;
use icu_properties::props::{GeneralCategory, GeneralCategoryGroup, Script};
use std::collections::BTreeSet;

/// The most characters of a term; the rest of a longer word is not compared.
pub const MAX_TERM_CHARS: usize = 40;
/// The most terms of a query; further ones are ignored.
pub const MAX_QUERY_TERMS: usize = 10;

/// A term of a query.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueryTerm {
    pub text: String,
    /// Whether it stands for every term that begins with it.
    pub is_prefix: bool,
}

impl QueryTerm {
    /// Whether it stands for a term of a text.
    #[must_use]
    pub fn matches(&self, term: &str) -> bool {
        if self.is_prefix {
            term.starts_with(&self.text)
        } else {
            term == self.text
        }
    }
}

/// The terms of a text, each once: what an index holds of it.
#[must_use]
pub fn terms(text: &str) -> BTreeSet<String> {
    located(text).map(|located| located.term).collect()
}

/// The terms that a text must all have to be found. None where the query has no letter and no digit:
/// it finds nothing.
#[must_use]
pub fn query_terms(query: &str) -> Vec<QueryTerm> {
    let mut found: Vec<QueryTerm> = Vec::new();
    for run in runs(query) {
        let terms = match run.script {
            Spacing::Spaced => vec![QueryTerm {
                text: folded(run.text),
                is_prefix: true,
            }],
            Spacing::Unspaced => unspaced_query(&run),
        };
        for term in terms {
            if found.len() == MAX_QUERY_TERMS {
                return found;
            }
            if !term.text.is_empty() && !found.contains(&term) {
                found.push(term);
            }
        }
    }
    found
}

/// The pairs of a run; of a single character, every pair that begins with it. A mark may follow the
/// last one.
fn unspaced_query(run: &Run<'_>) -> Vec<QueryTerm> {
    let mut terms: Vec<String> = unspaced(run)
        .into_iter()
        .map(|located| located.term)
        .collect();
    if terms.len() > 1 {
        terms.pop();
    }
    let last = terms.len() - 1;
    let of_place = |(place, text)| QueryTerm {
        text,
        is_prefix: place == last,
    };
    terms.into_iter().enumerate().map(of_place).collect()
}

/// Whether a text has all terms of a query.
#[must_use]
pub fn finds(query: &[QueryTerm], text: &str) -> bool {
    let terms = terms(text);
    !query.is_empty()
        && query
            .iter()
            .all(|asked| terms.iter().any(|term| asked.matches(term)))
}

/// The parts of a text that a query finds, in UTF-16 code units from its beginning: sorted, and
/// neighbours in one.
#[must_use]
pub fn highlights(text: &str, query: &[QueryTerm]) -> Vec<(u32, u32)> {
    let mut parts: Vec<(usize, usize)> = Vec::new();
    let hits = located(text).filter(|located| query.iter().any(|term| term.matches(&located.term)));
    for Located { start, end, .. } in hits {
        match parts.last_mut() {
            Some((_, last)) if *last >= start => *last = end.max(*last),
            _ => parts.push((start, end)),
        }
    }
    let mut units = Utf16 {
        text,
        bytes: 0,
        units: 0,
    };
    parts
        .into_iter()
        .map(|(start, end)| (units.at(start), units.at(end)))
        .collect()
}

/// Counts code units while iterating over a text.
struct Utf16<'a> {
    text: &'a str,
    bytes: usize,
    units: u32,
}

impl Utf16<'_> {
    fn at(&mut self, byte: usize) -> u32 {
        let between = &self.text[self.bytes..byte];
        let units = between.encode_utf16().count();
        self.units = self
            .units
            .saturating_add(u32::try_from(units).unwrap_or(u32::MAX));
        self.bytes = byte;
        self.units
    }
}

/// A term and where it stands in the text, in bytes.
struct Located {
    term: String,
    start: usize,
    end: usize,
}

fn located(text: &str) -> impl Iterator<Item = Located> + '_ {
    runs(text)
        .flat_map(|run| {
            let (word, pairs) = match run.script {
                Spacing::Spaced => {
                    let word = Located {
                        term: folded(run.text),
                        start: run.start,
                        end: run.start + run.text.len(),
                    };
                    (Some(word), Vec::new())
                }
                Spacing::Unspaced => (None, unspaced(&run)),
            };
            word.into_iter().chain(pairs)
        })
        .filter(|located| !located.term.is_empty())
}

fn unspaced(run: &Run<'_>) -> Vec<Located> {
    // A mark belongs to the character before it.
    let mut starts: Vec<usize> = Vec::new();
    for (at, c) in run.text.char_indices() {
        if starts.is_empty() || !is_mark(c) {
            starts.push(at);
        }
    }
    let end_of = |place: usize| starts.get(place).copied().unwrap_or(run.text.len());
    (0..starts.len())
        .map(|place| {
            let (start, end) = (starts[place], end_of(place + 2));
            Located {
                term: folded(&run.text[start..end]),
                start: run.start + start,
                end: run.start + end,
            }
        })
        .collect()
}

fn folded(word: &str) -> String {
    if word.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        // As below, which most words do not need.
        return word[..word.len().min(MAX_TERM_CHARS)].to_ascii_lowercase();
    }
    search_key(word).chars().take(MAX_TERM_CHARS).collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spacing {
    Spaced,
    Unspaced,
}

/// Neighbouring letters, digits and marks of one kind of script.
struct Run<'a> {
    text: &'a str,
    start: usize,
    script: Spacing,
}

fn runs(text: &str) -> impl Iterator<Item = Run<'_>> {
    let mut chars = text.char_indices().peekable();
    std::iter::from_fn(move || {
        let (start, script) = loop {
            let (at, c) = chars.next()?;
            // A mark without a letter before it is no word.
            if let Some(script) = spacing(c)
                && !is_mark(c)
            {
                break (at, script);
            }
        };
        let mut end = text.len();
        while let Some((at, c)) = chars.peek() {
            if !is_mark(*c) && spacing(*c) != Some(script) {
                end = *at;
                break;
            }
            chars.next();
        }
        Some(Run {
            text: &text[start..end],
            start,
            script,
        })
    })
}

fn is_mark(c: char) -> bool {
    !c.is_ascii()
        && GeneralCategoryGroup::Mark.contains(CodePointMapData::<GeneralCategory>::new().get(c))
}

/// `None` for separators.
fn spacing(c: char) -> Option<Spacing> {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric().then_some(Spacing::Spaced);
    }
    let category = CodePointMapData::<GeneralCategory>::new().get(c);
    let counts = GeneralCategoryGroup::Letter
        .union(GeneralCategoryGroup::Number)
        .union(GeneralCategoryGroup::Mark);
    if !counts.contains(category) {
        return None;
    }
    let script = CodePointMapData::<Script>::new().get(c);
    let is_unspaced = script == Script::Han
        || script == Script::Hiragana
        || script == Script::Katakana
        || script == Script::Thai
        || script == Script::Lao
        || script == Script::Khmer
        || script == Script::Myanmar
        // The long vowel of Katakana belongs to no script.
        || c == 'ー';
    Some(if is_unspaced {
        Spacing::Unspaced
    } else {
        Spacing::Spaced
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn indexed(text: &str) -> Vec<String> {
        terms(text).into_iter().collect()
    }

    fn finds(query: &str, text: &str) -> bool {
        super::finds(&query_terms(query), text)
    }

    #[test]
    fn words_are_found_by_prefix_without_case_and_marks() {
        assert_eq!(
            indexed("Hello, hello WORLD-wide 42!"),
            ["42", "hello", "wide", "world"]
        );
        assert!(finds("wor HEL", "Hello, world"));
        assert!(
            !finds("orld", "Hello, world"),
            "not from the middle of a word"
        );
        assert!(finds("zurich", "in ZÜRICH"));
        assert!(finds("Zürich", "zurich"));
        assert!(finds("αθηνα", "Αθήνα"));
        assert!(finds("STRASSE", "straße"));
        assert!(finds("e\u{301}te", "été"));
        assert!(!finds("hello moon", "hello world"), "all of them");
        for nothing in ["", "  ", "!?", "👍", "\u{301}"] {
            assert_eq!(query_terms(nothing), [], "{nothing:?}");
        }
    }

    #[test]
    fn scripts_without_spaces_are_found_by_any_part() {
        assert_eq!(indexed("東京都"), ["京都", "東京", "都"]);
        for part in ["東", "京", "都", "東京", "京都", "東京都"] {
            assert!(finds(part, "今日は東京都に行く"), "{part}");
        }
        assert!(!finds("東都", "東京都"));
        assert!(finds("ラーメン", "うまいラーメンだ"));
        assert!(finds("สวัสดี", "คุณสวัสดีครับ"));
        assert!(
            finds("tokyo 東京", "Tokyo（東京）"),
            "beside words of other scripts"
        );
    }

    #[test]
    fn highlights_are_in_utf16_units_and_adjacent_ones_merge() {
        let of = |text: &str, query: &str| highlights(text, &query_terms(query));
        assert_eq!(of("😀 Hello hello", "hel"), [(3, 8), (9, 14)]);
        assert_eq!(of("今日は東京都", "東京都"), [(3, 6)]);
        assert_eq!(of("ZÜRICH", "zur"), [(0, 6)]);
        assert_eq!(of("nothing", "x"), []);
        assert_eq!(of("x", ""), []);
    }

    #[test]
    fn long_texts_and_queries_are_bounded() {
        let long = "x".repeat(8_000);
        assert_eq!(indexed(&long), ["x".repeat(MAX_TERM_CHARS)]);
        assert!(finds(&long, &long));
        let many: Vec<String> = (0..50).map(|number| format!("w{number}")).collect();
        assert_eq!(query_terms(&many.join(" ")).len(), MAX_QUERY_TERMS);
    }
}
