//! Negotiation of WebSocket extensions (`Sec-WebSocket-Extensions`, RFC 6455, section 9.1):
//! permessage-deflate (RFC 7692, section 7.1) without context takeover on either side.

use std::borrow::Cow;

use http::{HeaderMap, header::SEC_WEBSOCKET_EXTENSIONS};

/// The response to most offers.
const ANSWER: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
/// The response to an offer that limits the server's window, which must be confirmed.
const ANSWER_WITH_WINDOW: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=15";

type Parameter<'a> = (&'a str, Option<Cow<'a, str>>);

/// Returns the response that accepts the first acceptable offer, or `None`. Clients order their
/// offers by preference. A header that violates the grammar offers nothing.
pub fn deflate(headers: &HeaderMap) -> Option<&'static str> {
    let mut answer = None;
    for value in headers.get_all(SEC_WEBSOCKET_EXTENSIONS) {
        let mut header = Header(value.to_str().ok()?);
        loop {
            header.space();
            // Empty list elements are ignored (RFC 9110, section 5.6.1).
            if !header.is_at(',') && !header.0.is_empty() {
                let (name, parameters) = header.extension()?;
                if name == "permessage-deflate" && answer.is_none() {
                    answer = agree(&parameters);
                }
            }
            if header.0.is_empty() {
                break;
            }
            header.take(',').then_some(())?;
        }
    }
    answer
}

/// Returns `None` to decline an offer with an unknown, repeated or invalid parameter (RFC 7692,
/// section 7.1).
fn agree(parameters: &[Parameter<'_>]) -> Option<&'static str> {
    let mut answer = ANSWER;
    for (at, (name, value)) in parameters.iter().enumerate() {
        if parameters[..at].iter().any(|(earlier, _)| earlier == name) {
            return None;
        }
        match (*name, value.as_deref()) {
            (
                "server_no_context_takeover"
                | "client_no_context_takeover"
                | "client_max_window_bits",
                None,
            ) => {}
            // The server's window is large enough for any window of the client.
            (
                "client_max_window_bits",
                Some("8" | "9" | "10" | "11" | "12" | "13" | "14" | "15"),
            ) => {}
            // The compressor supports only the largest window.
            ("server_max_window_bits", Some("15")) => answer = ANSWER_WITH_WINDOW,
            _ => return None,
        }
    }
    Some(answer)
}

/// The unread rest of a header value.
struct Header<'a>(&'a str);

impl<'a> Header<'a> {
    fn space(&mut self) {
        self.0 = self.0.trim_start_matches([' ', '\t']);
    }

    fn is_at(&self, sign: char) -> bool {
        self.0.starts_with(sign)
    }

    /// Consumes a character and the whitespace after it.
    fn take(&mut self, sign: char) -> bool {
        let Some(rest) = self.0.strip_prefix(sign) else {
            return false;
        };
        self.0 = rest;
        self.space();
        true
    }

    /// Reads a name and its parameters, up to a comma or the end.
    fn extension(&mut self) -> Option<(&'a str, Vec<Parameter<'a>>)> {
        let name = self.token()?;
        let mut parameters = Vec::new();
        while self.take(';') {
            let name = self.token()?;
            let value = if self.take('=') {
                Some(self.value()?)
            } else {
                None
            };
            parameters.push((name, value));
        }
        (self.0.is_empty() || self.is_at(',')).then_some((name, parameters))
    }

    fn token(&mut self) -> Option<&'a str> {
        let end = self
            .0
            .bytes()
            .position(|byte| !is_token(byte))
            .unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at(end);
        self.0 = rest;
        self.space();
        (!token.is_empty()).then_some(token)
    }

    /// Reads a token, which may be quoted and escaped.
    fn value(&mut self) -> Option<Cow<'a, str>> {
        let Some(quoted) = self.0.strip_prefix('"') else {
            return self.token().map(Cow::Borrowed);
        };
        let mut value = String::new();
        let mut signs = quoted.char_indices();
        while let Some((at, mut sign)) = signs.next() {
            if sign == '"' {
                self.0 = &quoted[at + 1..];
                self.space();
                return (!value.is_empty()).then_some(Cow::Owned(value));
            }
            if sign == '\\' {
                sign = signs.next()?.1;
            }
            u8::try_from(sign).is_ok_and(is_token).then_some(())?;
            value.push(sign);
        }
        None
    }
}

/// Whether a byte may be part of a token (RFC 9110, section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn answer(values: &[&str]) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(
                SEC_WEBSOCKET_EXTENSIONS,
                HeaderValue::from_bytes(value.as_bytes()).ok()?,
            );
        }
        deflate(&headers)
    }

    #[test]
    fn agrees_to_what_clients_offer() {
        for offer in [
            "permessage-deflate",
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate;client_max_window_bits=8",
            "permessage-deflate ; client_max_window_bits = \"1\\0\" ; server_no_context_takeover;client_no_context_takeover",
            "x-webkit-deflate-frame, permessage-deflate",
            "foo; bar=\"b\\az\"; baz , ,permessage-deflate,,",
            "permessage-deflate; server_max_window_bits=10, permessage-deflate",
            "permessage-deflate; unknown, permessage-deflate; client_max_window_bits",
        ] {
            assert_eq!(answer(&[offer]), Some(ANSWER), "{offer}");
        }
        assert_eq!(
            answer(&["permessage-deflate; server_max_window_bits=15"]),
            Some(ANSWER_WITH_WINDOW)
        );
        assert_eq!(
            answer(&["permessage-deflate; server_max_window_bits=\"15\", permessage-deflate"]),
            Some(ANSWER_WITH_WINDOW)
        );
        assert_eq!(
            answer(&["foo", "permessage-deflate"]),
            Some(ANSWER),
            "several headers are one list"
        );
    }

    #[test]
    fn declines_what_cannot_be_honoured_or_is_wrong() {
        for offer in [
            "",
            "foo",
            "Permessage-Deflate-2",
            "permessage-deflate; server_max_window_bits=8",
            "permessage-deflate; server_max_window_bits=14",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits=015",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; client_max_window_bits=7",
            "permessage-deflate; client_max_window_bits=16",
            "permessage-deflate; client_max_window_bits=08",
            "permessage-deflate; client_max_window_bits=x",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; client_no_context_takeover=\"true\"",
            "permessage-deflate; client_max_window_bits; client_max_window_bits",
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            "permessage-deflate; unknown",
            // Not in the grammar.
            "permessage-deflate;",
            "permessage-deflate; =1",
            "permessage-deflate; client_max_window_bits=",
            "permessage-deflate; client_max_window_bits=\"\"",
            "permessage-deflate; client_max_window_bits=\"10",
            "permessage-deflate; client_max_window_bits=\"1 0\"",
            "permessage-deflate client_max_window_bits",
            "permessage-deflate, foo bar",
            "permessage-deflate, \u{e9}",
        ] {
            assert_eq!(answer(&[offer]), None, "{offer}");
        }
        assert_eq!(answer(&[]), None);
        assert_eq!(
            answer(&["permessage-deflate", "foo;"]),
            None,
            "one header that is wrong spoils the list"
        );
    }

    proptest! {
        #[test]
        fn never_panics(values in proptest::collection::vec("[a-z\\-; =,\"\\\\0-9é\u{80}-\u{ff}]{0,30}", 0..3)) {
            let _ = answer(&values.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }
}
