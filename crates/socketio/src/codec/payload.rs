//! Polling payloads (Engine.IO protocol 4): packets parted by U+001E; a binary one is `b` and
//! base64.

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// Padding is not asked for: the reference does without, and the protocol says nothing of it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What parts the packets of a payload.
pub const SEPARATOR: u8 = 0x1e;

/// The packets of a payload, one after another. An empty payload is one empty packet, which nothing
/// accepts.
pub fn packets(payload: &str) -> std::str::Split<'_, char> {
    payload.split(SEPARATOR as char)
}

/// How many packets a payload holds.
pub fn count(payload: &str) -> usize {
    memchr::memchr_iter(SEPARATOR, payload.as_bytes()).count() + 1
}

/// The bytes of a binary packet, given what stands after its `b`. `None` if it is not base64.
pub fn binary(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text).ok()
}

/// How many bytes base64 with its padding stands for.
pub fn binary_length(base64: &[u8]) -> usize {
    let padding = base64
        .iter()
        .rev()
        .take_while(|byte| **byte == b'=')
        .count();
    (base64.len() / 4 * 3).saturating_sub(padding)
}

/// Whether this looks like a packet that a client sends: what needs no more than a look at its
/// start.
pub fn is_packet(packet: &str) -> bool {
    // A close, a pong, a message, an upgrade, a noop, or binary. It is the server that opens and
    // pings.
    matches!(
        packet.as_bytes().first(),
        Some(b'1' | b'3' | b'4' | b'5' | b'6' | b'b')
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn splits_the_example_of_the_document() {
        let payload = "4hello\u{1e}2\u{1e}4world";
        assert_eq!(
            packets(payload).collect::<Vec<_>>(),
            ["4hello", "2", "4world"]
        );
        assert_eq!(count(payload), 3);
        assert_eq!(packets("").collect::<Vec<_>>(), [""]);
        assert_eq!(binary("AQID"), Some(vec![1, 2, 3]));
        assert_eq!(binary("AQ=="), Some(vec![1]));
        assert_eq!(binary("AQ"), Some(vec![1]));
        assert_eq!(binary("AQ*="), None);
        for (length, base64) in ["", "AQ==", "AQI=", "AQID", "AQIDBA=="]
            .into_iter()
            .enumerate()
        {
            assert_eq!(binary_length(base64.as_bytes()), length);
        }
    }

    proptest! {
        #[test]
        fn never_panics_and_counts_right(payload: String) {
            prop_assert_eq!(packets(&payload).count(), count(&payload));
            for packet in packets(&payload) {
                let _ = crate::codec::engine::decode(packet);
                let _ = binary(packet);
            }
        }
    }
}
