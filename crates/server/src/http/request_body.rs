//! Reads the bodies of requests, within bounds.

use ::http::{HeaderMap, header};
use axum::body::Body;
use http_body_util::BodyExt as _;
use lamplight_usecases::{Code, Refusal};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long no byte of a body may arrive.
const SILENCE: Duration = Duration::from_secs(20);
/// On average a body arrives with at least this many bytes a second, after a first `SILENCE`: a picture of
/// 5 MB comes through the slowest networks, and a client that sends byte by byte is not waited for.
const LEAST_RATE: u32 = 4 << 10;
/// The server reads and discards this much of a body over the limit before it refuses the request:
/// a client that has sent its whole request sees the answer and can reuse the connection. Beyond
/// that the server answers at once and closes the connection.
pub(super) const DRAIN_BYTES: usize = 16 << 20;
/// ... and for this long.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Counts the buffered bytes of a request for its address, together with the incomplete input of
/// the address' sockets, until it is dropped.
pub trait Received: Send + Sync {
    /// Reports the buffered bytes. False if they are too many for the address.
    fn hold(&mut self, bytes: usize) -> bool;
}

/// Checks the announced body: JSON in UTF-8, not compressed.
pub(super) fn check_media(headers: &HeaderMap) -> Result<(), Refusal> {
    let text = |name| {
        headers
            .get(name)
            .map(|value| value.to_str().unwrap_or("?").trim())
    };
    if let Some(encoding) = text(header::CONTENT_ENCODING)
        .filter(|encoding| !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity"))
    {
        let shown: String = encoding.chars().take(40).collect();
        return Err(unsupported(format!(
            "The body is encoded ({shown}): send it without Content-Encoding."
        )));
    }
    // A page of another site can send a form or plain text without a preflight, but not JSON.
    let mut parts = text(header::CONTENT_TYPE)
        .unwrap_or("")
        .split(';')
        .map(str::trim);
    if !parts
        .next()
        .unwrap_or("")
        .eq_ignore_ascii_case("application/json")
    {
        return Err(unsupported(
            "The body is JSON: send Content-Type: application/json.",
        ));
    }
    let charset = parts
        .filter_map(|part| part.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
    match charset.map(|(_, value)| value.trim().trim_matches('"')) {
        Some(charset)
            if !["utf-8", "utf8", "us-ascii"]
                .iter()
                .any(|known| charset.eq_ignore_ascii_case(known)) =>
        {
            Err(unsupported(
                "The body is JSON in UTF-8: send Content-Type: application/json without another charset.",
            ))
        }
        _ => Ok(()),
    }
}

fn unsupported(message: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Refusal::new(Code::UnsupportedMedia, message)
}

/// Reads a body of at most `limit` bytes, 0 for no limit, within the limit of its address.
pub(super) async fn read(
    headers: &HeaderMap,
    mut body: Body,
    limit: usize,
    received: &mut dyn Received,
) -> Result<Vec<u8>, Refusal> {
    let limit = if limit == 0 { usize::MAX } else { limit };
    let too_long = || {
        Refusal::new(
            Code::TooLong,
            format!("The body has more than {limit} bytes."),
        )
    };
    let length = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok())
        .unwrap_or(0);
    if length > limit && (headers.contains_key(header::EXPECT) || length - limit > DRAIN_BYTES) {
        // The client waits for `100 Continue`, or sends too much to read.
        return Err(too_long());
    }
    let began = Instant::now();
    let mut read = Vec::new();
    loop {
        let deadline = deadline(began, Instant::now(), read.len());
        let frame = match timeout_at(deadline, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) => return Err(Refusal::invalid("The body was cut off.")),
            Ok(None) => return Ok(read),
            Err(_) => return Err(Refusal::invalid("The body took too long to arrive.")),
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if length > limit || data.len() > limit - read.len() {
            drop(read);
            drain(body).await;
            return Err(too_long());
        }
        read.extend_from_slice(&data);
        if !received.hold(read.capacity()) {
            drop(read);
            drain(body).await;
            let why = "Too much that is not whole yet is on its way from your address.";
            return Err(Refusal::rate_limited(why, Duration::from_secs(1)));
        }
    }
}

/// Until when the next bytes of a body are waited for, after this many.
fn deadline(began: Instant, now: Instant, bytes: usize) -> Instant {
    let earned = Duration::from_secs_f64(bytes as f64 / f64::from(LEAST_RATE));
    (now + SILENCE).min(began + SILENCE + earned)
}

/// Reads and discards the rest of a body, within bounds.
pub(super) async fn drain(mut body: Body) {
    let deadline = Instant::now() + DRAIN_TIMEOUT;
    let mut left = DRAIN_BYTES;
    while let Ok(Some(Ok(frame))) = timeout_at(deadline, body.frame()).await {
        match left.checked_sub(frame.data_ref().map_or(0, |data| data.len())) {
            Some(less) => left = less,
            None => return,
        }
    }
}

/// The text of a body without a byte-order mark, or why it is not UTF-8.
pub(super) fn text(bytes: &[u8]) -> Result<&[u8], Refusal> {
    match bytes {
        [] => Err(Refusal::invalid("The body is empty: send a JSON object.")),
        [0x1f, 0x8b, ..] => Err(unsupported("The body is compressed: send it as it is.")),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
            Err(unsupported("The body is UTF-16: send it in UTF-8."))
        }
        [0xef, 0xbb, 0xbf, rest @ ..] => Ok(rest),
        _ => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::http::{HeaderName, HeaderValue};

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn f11_only_uncompressed_json_in_utf_8_is_accepted() {
        use header::{CONTENT_ENCODING, CONTENT_TYPE};
        let json = (CONTENT_TYPE, "application/json");
        for taken in [
            headers(std::slice::from_ref(&json)),
            headers(&[(CONTENT_TYPE, "Application/JSON; charset=\"UTF-8\"")]),
            headers(&[json.clone(), (CONTENT_ENCODING, "identity")]),
        ] {
            assert!(check_media(&taken).is_ok(), "{taken:?}");
        }
        for (refused, word) in [
            (headers(&[]), "Content-Type: application/json"),
            (
                headers(&[(CONTENT_TYPE, "text/plain")]),
                "Content-Type: application/json",
            ),
            (
                headers(&[(CONTENT_TYPE, "application/json-seq")]),
                "Content-Type: application/json",
            ),
            (
                headers(&[(CONTENT_TYPE, "application/json; charset=utf-16")]),
                "UTF-8",
            ),
            (headers(&[json.clone(), (CONTENT_ENCODING, "gzip")]), "gzip"),
            (
                headers(&[json, (CONTENT_ENCODING, "br, gzip")]),
                "Content-Encoding",
            ),
        ] {
            let refusal = check_media(&refused).expect_err("refused");
            assert_eq!(
                (refusal.code.status(), refusal.code.as_str()),
                (415, "invalid")
            );
            assert!(refusal.message.contains(word), "{}", refusal.message);
        }
    }

    #[test]
    fn f11_a_byte_order_mark_is_skipped_and_other_encodings_are_named() {
        assert_eq!(text(b"\xef\xbb\xbf{}").ok(), Some(&b"{}"[..]));
        assert_eq!(text(b"{}").ok(), Some(&b"{}"[..]));
        for (bytes, word) in [
            (&b""[..], "empty"),
            (b"\x1f\x8b\x08", "compressed"),
            (b"\xff\xfe{\0", "UTF-16"),
            (b"\xfe\xff\0{", "UTF-16"),
        ] {
            let refusal = text(bytes).expect_err("refused");
            assert!(refusal.message.contains(word), "{}", refusal.message);
        }
    }

    /// A body whose parts come a second apart, and how many of them were asked for.
    async fn request(
        parts: usize,
        length: Option<usize>,
        limit: usize,
    ) -> (Result<usize, u16>, Duration) {
        asked_beside(usize::MAX, 1_000, parts, length, limit).await
    }

    /// Room for so many bytes.
    struct UpTo(usize);

    impl Received for UpTo {
        fn hold(&mut self, bytes: usize) -> bool {
            bytes <= self.0
        }
    }

    /// The same with parts of another size, where there is room for so much.
    async fn asked_beside(
        room: usize,
        size: usize,
        parts: usize,
        length: Option<usize>,
        limit: usize,
    ) -> (Result<usize, u16>, Duration) {
        let began = Instant::now();
        let stream = futures_util::stream::unfold(0, move |part| async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            (part < parts).then(|| (Ok::<_, std::io::Error>(vec![b'x'; size]), part + 1))
        });
        let length =
            length.map(|length| (header::CONTENT_LENGTH, HeaderValue::from(length as u64)));
        let mut received = UpTo(room);
        let read = read(
            &length.into_iter().collect(),
            Body::from_stream(stream),
            limit,
            &mut received,
        )
        .await;
        (
            read.map(|read| read.len())
                .map_err(|refusal| refusal.code.status()),
            began.elapsed(),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn f8_a_body_over_the_limit_is_read_to_its_end_within_bounds() {
        assert_eq!(request(3, Some(3_000), 3_000).await.0, Ok(3_000));
        assert_eq!(request(3, None, 0).await.0, Ok(3_000), "0 is no limit");
        for length in [Some(4_000), None] {
            let (answer, took) = request(4, length, 2_500).await;
            assert_eq!((answer, took.as_secs()), (Err(413), 5), "to its end");
        }
        let (answer, took) = request(1_000, None, 2_500).await;
        assert_eq!((answer, took.as_secs()), (Err(413), 8), "and not for ever");
        let (answer, took) = request(1_000, Some(1_000_000_000), 2_500).await;
        assert_eq!(
            (answer, took.as_secs()),
            (Err(413), 0),
            "nor at all where it announces too much"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_is_refused_only_without_progress() {
        // 1,000 bytes a second for 20 s, for which it gets 5 s more, and for those one.
        let (answer, took) = request(1_000, None, 1_000_000).await;
        assert_eq!(
            (answer, took.as_secs()),
            (Err(400), 26),
            "a body that trickles in"
        );
        let (answer, took) = asked_beside(usize::MAX, 5_000, 1_000, None, 0).await;
        assert_eq!(
            (answer, took.as_secs()),
            (Ok(5_000_000), 1_001),
            "a slow network"
        );
        let began = Instant::now();
        let begins =
            futures_util::stream::once(async { Ok::<_, std::io::Error>(vec![0; 400_000]) });
        let never = futures_util::stream::pending();
        let stream = futures_util::StreamExt::chain(begins, never);
        let body = Body::from_stream(stream);
        let answer = read(&HeaderMap::new(), body, 0, &mut UpTo(usize::MAX)).await;
        let status = answer
            .map(|read| read.len())
            .map_err(|refusal| refusal.code.status());
        assert_eq!(
            (status, began.elapsed().as_secs()),
            (Err(400), 20),
            "a body that stops"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn h5_a_body_over_the_budget_of_its_address_is_refused() {
        // A vector may have a larger capacity than content.
        assert_eq!(
            asked_beside(800_000, 100_000, 4, Some(400_000), 0).await.0,
            Ok(400_000)
        );
        let (answer, took) = asked_beside(300_000, 100_000, 4, Some(400_000), 0).await;
        assert_eq!(
            (answer, took.as_secs()),
            (Err(429), 5),
            "read to its end, without being held"
        );
    }
}
