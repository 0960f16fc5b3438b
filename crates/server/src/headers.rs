//! Reads ids, tokens and cookies from request headers. Reads bytes, because `HeaderValue::to_str`
//! rejects a value with any byte beyond ASCII, and a browser also sends other applications'
//! cookies.

use ::http::HeaderMap;
use ::http::header::{AUTHORIZATION, COOKIE, HeaderName};
use lamplight_usecases::{Code, Refusal};
use percent_encoding::percent_decode;

/// Maximum number of session cookies of one request that are checked: a browser sends one for each
/// path and domain that set it.
const COOKIES_AT_MOST: usize = 4;

/// An id in a header: percent-encoded UTF-8, or the UTF-8 itself. A `%` that is not followed by two
/// hexadecimal digits stands for itself, as in the WHATWG URL standard, so that an id such as
/// `100%` need not be encoded.
///
/// # Errors
/// `invalid` if it does not decode to UTF-8.
pub fn id(headers: &HeaderMap, name: &'static str) -> Result<Option<String>, Refusal> {
    let Some(value) = headers.get(HeaderName::from_static(name)) else {
        return Ok(None);
    };
    // White space around the value belongs to the header; encoded white space belongs to the id.
    let decoded = percent_decode(value.as_bytes().trim_ascii()).decode_utf8();
    let text = decoded.map_err(|_| {
        Refusal::invalid(format!("The header {name} is not percent-encoded UTF-8."))
    })?;
    Ok(Some(text.into_owned()))
}

/// The bearer token of a request, including white space around it.
#[must_use]
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = std::str::from_utf8(headers.get(AUTHORIZATION)?.as_bytes()).ok()?;
    let (scheme, token) = value.trim_start().split_once([' ', '\t'])?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| trim(token))
        .filter(|token| !token.is_empty())
}

/// Trims a token: a file or a shell appends a line end, an editor prepends a byte-order mark.
///
/// # Errors
/// `unauthenticated` if white space or a control character is inside it.
pub fn token(text: &str) -> Result<&str, Refusal> {
    let token = trim(text);
    if token.chars().any(|c| c.is_whitespace() || c.is_control()) {
        let why = "The token has white space or a line end inside it: it was cut or joined on its way. Send it in one piece.";
        return Err(Refusal::new(Code::Unauthenticated, why));
    }
    Ok(token)
}

fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
}

/// The values of all cookies of one name that are ASCII and not empty, without quotes around them.
/// Cookies of other names may contain anything.
pub fn cookies<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    let all = headers
        .get_all(COOKIE)
        .into_iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b';'));
    for cookie in all {
        let Some(equals) = cookie.iter().position(|byte| *byte == b'=') else {
            continue;
        };
        if cookie[..equals].trim_ascii() != name.as_bytes() {
            continue;
        }
        let value = cookie[equals + 1..].trim_ascii();
        let value = value
            .strip_prefix(b"\"")
            .and_then(|value| value.strip_suffix(b"\""))
            .unwrap_or(value);
        let Ok(value) = std::str::from_utf8(value) else {
            continue;
        };
        if value.is_ascii() && !value.is_empty() && !found.contains(&value) {
            found.push(value);
            if found.len() == COOKIES_AT_MOST {
                break;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::http::HeaderValue;

    fn headers(pairs: &[(&'static str, &[u8])]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_bytes(value).unwrap(),
            );
        }
        headers
    }

    #[test]
    fn f3_ids_may_be_percent_encoded() {
        let read = |value: &[u8]| id(&headers(&[("x-user-id", value)]), "x-user-id");
        let cases: &[(&[u8], &str)] = &[
            (b"42", "42"),
            (b"%D0%96%D0%B0%D0%BD%D0%BD%D0%B0", "Жанна"),
            ("Жанна".as_bytes(), "Жанна"),
            (b"jos%c3%a9", "josé"),
            ("a😀b".as_bytes(), "a😀b"),
            (b"a%20b", "a b"),
            (b"%20a%20", " a "),
            (b"100%25", "100%"),
            // No escape: it stands for itself.
            (b"100%", "100%"),
            (b"5%zz%4", "5%zz%4"),
            (b"a+b", "a+b"),
            (b"", ""),
        ];
        for (value, expected) in cases {
            assert_eq!(read(value).unwrap().as_deref(), Some(*expected));
        }
        for bad in [&b"%FF"[..], b"%C3", b"\xe9"] {
            assert_eq!(read(bad).unwrap_err().code, Code::Invalid);
        }
        assert_eq!(id(&headers(&[]), "x-user-id"), Ok(None));
    }

    #[test]
    fn f2_malformed_other_cookies_are_ignored() {
        let read = |values: &[&[u8]]| {
            let pairs: Vec<_> = values.iter().map(|value| ("cookie", *value)).collect();
            cookies(&headers(&pairs), "s")
                .into_iter()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        for other in [
            "a=ø",
            "ø",
            "",
            "=",
            "a",
            "a=\"x; y",
            "a==;b=%zz",
            "s2=1",
            "as=1",
            "S=1",
            "\u{feff}=1",
        ] {
            let line = format!("{other}; s=token ;{other}");
            assert_eq!(read(&[line.as_bytes()]), ["token"], "{other}");
        }
        assert_eq!(read(&[b"a=\xff; s=token; b=\x80"]), ["token"]);
        assert_eq!(read(&[b"a=\xff", b"s=token"]), ["token"]);
        assert_eq!(read(&[b"s=\"token\""]), ["token"]);
        // Of ours, each is a candidate: any page of the domain can set one more.
        assert_eq!(
            read(&[b"s=\xc3\xb8; s=; s=one; s=one; s=two"]),
            ["one", "two"]
        );
        assert_eq!(read(&[b"s=1; s=2; s=3; s=4; s=5"]).len(), COOKIES_AT_MOST);
        assert!(read(&[b"other=1"]).is_empty());
    }

    #[test]
    fn f5_a_line_end_after_a_token_is_ignored() {
        for around in [
            "token",
            "token\n",
            "\r\n token\t",
            "\u{feff}token",
            "\u{a0}token\u{2028}",
        ] {
            assert_eq!(token(around), Ok("token"));
        }
        for inside in ["to\nken", "to ken", "to\0ken", "to\u{a0}ken"] {
            let refusal = token(inside).unwrap_err();
            assert!(refusal.code == Code::Unauthenticated && refusal.message.contains("inside"));
        }
        assert_eq!(token(" \n"), Ok(""));
    }

    #[test]
    fn f5_white_space_around_a_bearer_token_is_ignored() {
        let read = |value: &[u8]| bearer(&headers(&[("authorization", value)])).map(str::to_owned);
        for value in [
            "Bearer token",
            "bearer \t token ",
            "BEARER\ttoken",
            "Bearer \u{feff}token",
        ] {
            assert_eq!(read(value.as_bytes()).as_deref(), Some("token"), "{value}");
        }
        assert_eq!(read(b"Basic token"), None);
        assert_eq!(read(b"Bearer "), None);
        assert_eq!(read(b"Bearer\xff token"), None);
    }
}
