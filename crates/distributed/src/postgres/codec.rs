//! Values as the columns have them.

use lamplight_domain::permission::Role;
use lamplight_domain::presence::{ManualStatus, StatusOverride};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::ProfileSource;
use std::borrow::Cow;

/// Now by the database's clock, in milliseconds.
macro_rules! now {
    () => {
        "(extract(epoch FROM clock_timestamp()) * 1000)::int8"
    };
}
pub(super) use now;

const NUL: char = '\u{0}';
const ESCAPE: char = '\u{1}';

/// A content as its column has it. PostgreSQL's text has no U+0000: it becomes U+0001 and `0`, and
/// U+0001 becomes U+0001 and `1`.
pub(crate) fn content_to_db(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| byte <= 1) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            NUL => escaped.extend([ESCAPE, '0']),
            ESCAPE => escaped.extend([ESCAPE, '1']),
            c => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

/// The content that [`content_to_db`] was given.
pub(crate) fn content_from_db(stored: &str) -> Cow<'_, str> {
    if !stored.bytes().any(|byte| byte == 1) {
        return Cow::Borrowed(stored);
    }
    let mut text = String::with_capacity(stored.len());
    let mut chars = stored.chars();
    while let Some(c) = chars.next() {
        match (c, c == ESCAPE) {
            (_, true) if chars.next() == Some('0') => text.push(NUL),
            (_, true) => text.push(ESCAPE),
            (c, false) => text.push(c),
        }
    }
    Cow::Owned(text)
}

/// A `seq` or a revision as a column has it.
pub(crate) fn to_db(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A `seq` or a revision of a column.
pub(crate) fn from_db(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

pub(super) fn source_to_db(source: ProfileSource) -> i16 {
    match source {
        ProfileSource::Nobody => 0,
        ProfileSource::Claims => 1,
        ProfileSource::Host => 2,
        ProfileSource::Deleted => 3,
    }
}

pub(super) fn source_from_db(source: i16) -> ProfileSource {
    match source {
        0 => ProfileSource::Nobody,
        1 => ProfileSource::Claims,
        3 => ProfileSource::Deleted,
        _ => ProfileSource::Host,
    }
}

/// A role that a newer version wrote gives no rights beyond a member's.
pub(crate) fn role_from_db(role: i16) -> Role {
    match role {
        1 => Role::Admin,
        2 => Role::Owner,
        _ => Role::Member,
    }
}

/// Whether a manual status hides its user at `at`.
pub(crate) fn invisible_at(status: i16, until: Option<i64>, at: Timestamp) -> bool {
    let chosen = StatusOverride {
        status: manual_from_db(status),
        text: None,
        until: until.map(Timestamp),
    };
    chosen.at(at).status == ManualStatus::Invisible
}

pub(crate) fn manual_from_db(status: i16) -> ManualStatus {
    match status {
        1 => ManualStatus::Away,
        2 => ManualStatus::Busy,
        3 => ManualStatus::Invisible,
        _ => ManualStatus::Online,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_round_trip() {
        for text in [
            "",
            "plain",
            "\0",
            "a\0b",
            "\u{1}",
            "\u{1}0",
            "\u{1}1\0",
            "zoë \0\u{1}\u{2} 🙂",
        ] {
            let stored = content_to_db(text);
            assert!(!stored.contains('\0'));
            assert_eq!(content_from_db(&stored), text);
        }
    }
}
