//! Parses JSON texts; errors name the invalid part.

use crate::body::Object;
use lamplight_usecases::Refusal;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

/// Reads a body or a payload that is an object.
///
/// # Errors
/// `invalid`, with what was not understood.
pub fn json<T: DeserializeOwned>(text: &[u8]) -> Result<T, Refusal> {
    value::<Object<T>>(text).map(|Object(read)| read)
}

pub(super) fn value<T: DeserializeOwned>(text: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(text).map_err(|error| match error.classify() {
        Category::Syntax | Category::Eof => not_understood(&format!(
            "it is not JSON ({})",
            without_place(&error.to_string())
        )),
        Category::Data | Category::Io => not_understood(&error.to_string()),
    })
}

/// Refuses a request that a parser rejected, in words for callers, who do not know Rust's types.
#[must_use]
pub fn not_understood(error: &str) -> Refusal {
    let said = error
        .replace("expected u64", "expected a whole number, 0 or more")
        .replace("expected i64", "expected a whole number");
    Refusal::invalid(format!(
        "The request was not understood: {}.",
        brief(without_place(&said))
    ))
}

/// Removes the position in the text, which does not help a caller who sent a value.
fn without_place(error: &str) -> &str {
    error.rfind(" at line ").map_or(error, |at| &error[..at])
}

/// Shortens an error that quotes a value, which may be as long as the request: the beginning and the
/// end, which states what was expected, are enough.
fn brief(error: &str) -> String {
    const BEGINNING: usize = 120;
    const END: usize = 120;
    let count = error.chars().count();
    if count <= BEGINNING + END {
        return error.to_owned();
    }
    let beginning = error.chars().take(BEGINNING);
    let end = error.chars().skip(count - END);
    beginning.chain(" … ".chars()).chain(end).collect()
}

pub(super) fn json_or<T: DeserializeOwned + Default>(text: &str) -> Result<T, Refusal> {
    if text == "null" {
        Ok(T::default())
    } else {
        json(text.as_bytes())
    }
}

pub(super) fn is_object(payload: &str) -> bool {
    payload.starts_with('{')
}

pub(super) fn invalid(error: impl std::fmt::Display) -> Refusal {
    Refusal::invalid(error.to_string())
}
