//! JSON strings.

use std::borrow::Cow;

/// Decodes the escapes of a well-formed string, given without its quotes. An unpaired surrogate,
/// which UTF-8 cannot encode, becomes U+FFFD.
pub(super) fn unescaped(text: &str) -> Cow<'_, str> {
    let Some(first) = text.find('\\') else {
        return Cow::Borrowed(text);
    };
    let mut whole = text[..first].to_owned();
    let mut rest = &text[first..];
    while let Some(at) = rest.find('\\') {
        whole.push_str(&rest[..at]);
        let escape = &rest[at + 1..];
        let Some(kind) = escape.chars().next() else {
            return Cow::Owned(whole);
        };
        let mut length = kind.len_utf8();
        whole.push(match kind {
            'u' => {
                let (sign, digits) = sign(escape);
                length = digits;
                sign
            }
            'b' => '\u{8}',
            'f' => '\u{C}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            itself => itself,
        });
        rest = escape.get(length..).unwrap_or_default();
    }
    whole.push_str(rest);
    Cow::Owned(whole)
}

/// The character at the start of this `uXXXX`, and the length of its escape.
fn sign(escape: &str) -> (char, usize) {
    let unit = |at: usize| u32::from_str_radix(escape.get(at..at + 4)?, 16).ok();
    let Some(first) = unit(1) else {
        return (char::REPLACEMENT_CHARACTER, 1);
    };
    if (0xD800..0xDC00).contains(&first)
        && escape.get(5..7) == Some("\\u")
        && let Some(second @ 0xDC00..=0xDFFF) = unit(7)
    {
        let both = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
        return (
            char::from_u32(both).unwrap_or(char::REPLACEMENT_CHARACTER),
            11,
        );
    }
    (
        char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER),
        5,
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::unescaped;

    #[test]
    fn reads_every_escape() {
        assert_eq!(unescaped("plain é"), "plain é");
        assert_eq!(
            unescaped(r#"a\"\\\/\b\f\n\r\t\u00e9\uD83D\uDE00z"#),
            "a\"\\/\u{8}\u{c}\n\r\té\u{1F600}z"
        );
        assert_eq!(unescaped(r"\ud83d"), "\u{FFFD}");
        assert_eq!(
            unescaped(r"\ud83dx\ude00\ud83d\ud83d\ude00"),
            "\u{FFFD}x\u{FFFD}\u{FFFD}\u{1F600}"
        );
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json(text: String, ascii: bool) {
            let quoted = serde_json::to_string(&text).unwrap();
            let inner = &quoted[1..quoted.len() - 1];
            prop_assert_eq!(unescaped(inner), &*text);
            if ascii {
                let all: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
                prop_assert_eq!(unescaped(&all), text);
            }
        }

        #[test]
        fn never_panics(text in "[\\\\uD8-f0-9é\"]{0,20}") {
            let _ = unescaped(&text);
        }
    }
}
