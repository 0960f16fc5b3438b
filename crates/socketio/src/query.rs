//! Parameters in query strings.

use std::borrow::Cow;

/// Returns the first parameter with this name, percent-decoded; invalid UTF-8 becomes U+FFFD.
pub(crate) fn find<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(key) == name).then(|| decode(value))
    })
}

/// Whether the client accepts binary messages only as base64 text (`forceBase64` in Node's client).
pub(crate) fn wants_base64(query: &str) -> bool {
    find(query, "b64").is_some_and(|value| !value.is_empty())
}

fn decode(text: &str) -> Cow<'_, str> {
    if memchr::memchr2(b'%', b'+', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = |offset: usize| (*bytes.get(at + offset)? as char).to_digit(16);
        match (byte, hex(1), hex(2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                decoded.push(if byte == b'+' { b' ' } else { byte });
                at += 1;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&decoded).into_owned())
}

#[cfg(test)]
mod tests {
    use super::find;
    use proptest::prelude::*;

    #[test]
    fn finds_and_decodes() {
        assert_eq!(
            find("EIO=4&transport=polling&t=", "transport").as_deref(),
            Some("polling")
        );
        assert_eq!(find("a=b+c%20d%C3%A9", "a").as_deref(), Some("b c dé"));
        assert_eq!(find("a", "a").as_deref(), Some(""));
        assert_eq!(find("%61=1", "a").as_deref(), Some("1"));
        assert_eq!(find("ab=1", "a"), None);
        assert_eq!(find("a=%4&a=2", "a").as_deref(), Some("%4"));
        assert_eq!(find("a=%FF", "a").as_deref(), Some("\u{fffd}"));
        assert_eq!(find("", "a"), None);
    }

    proptest! {
        #[test]
        fn never_panics(query: String, name: String) {
            let _ = find(&query, &name);
        }
    }
}
