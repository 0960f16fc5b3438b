//! The opening handshake of a WebSocket (RFC 6455, section 4.2).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{
    HeaderMap, HeaderName, Method,
    header::{CONNECTION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE},
};
use sha1::{Digest, Sha1};

/// The GUID that is hashed with every key (RFC 6455, section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Returns the value of the response's `Sec-WebSocket-Accept`, or `None` if the request is not an
/// opening handshake of version 13.
pub fn accept(method: &Method, headers: &HeaderMap) -> Option<String> {
    let key = headers.get(SEC_WEBSOCKET_KEY)?.as_bytes();
    let is_handshake = method == Method::GET
        && has_token(headers, UPGRADE, "websocket")
        && has_token(headers, CONNECTION, "upgrade")
        && headers
            .get(SEC_WEBSOCKET_VERSION)
            .is_some_and(|version| version == "13")
        && STANDARD.decode(key).is_ok_and(|key| key.len() == 16);
    is_handshake
        .then(|| STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize()))
}

fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|part| part.trim().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn answers_the_example_of_the_rfc() {
        let good = [
            (UPGRADE, "WebSocket"),
            (CONNECTION, "keep-alive, Upgrade"),
            (SEC_WEBSOCKET_VERSION, "13"),
            (SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        assert_eq!(
            accept(&Method::GET, &headers(&good)).as_deref(),
            Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        );
        assert_eq!(accept(&Method::POST, &headers(&good)), None);
        for missing in 0..good.len() {
            let mut some = good.to_vec();
            some.remove(missing);
            assert_eq!(
                accept(&Method::GET, &headers(&some)),
                None,
                "without {}",
                good[missing].0
            );
        }
        for (at, wrong) in [
            (0, "h2c"),
            (1, "close"),
            (2, "8"),
            (3, "c2hvcnQ="),
            (3, "not base64"),
        ] {
            let mut some = good.to_vec();
            some[at].1 = wrong;
            assert_eq!(accept(&Method::GET, &headers(&some)), None, "{wrong}");
        }
    }
}
