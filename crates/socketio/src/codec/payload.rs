//! Polling payloads (Engine.IO protocol 4, "Packet encoding"): packets separated by U+001E; a
//! binary packet is `b` and base64.

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// Padding is optional: the reference implementation omits it, and the protocol does not specify
/// it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The separator of packets in a payload.
pub const SEPARATOR: u8 = 0x1e;

/// Iterates over the packets of a payload. An empty payload yields one empty packet, which is
/// invalid.
pub fn packets(payload: &str) -> std::str::Split<'_, char> {
    payload.split(SEPARATOR as char)
}

/// Number of packets in a payload.
pub fn count(payload: &str) -> usize {
    memchr::memchr_iter(SEPARATOR, payload.as_bytes()).count() + 1
}

/// Decodes a binary packet, given the text after its `b`. Returns `None` if it is not base64.
pub fn binary(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text).ok()
}

/// Number of bytes that padded base64 encodes.
pub fn binary_length(base64: &[u8]) -> usize {
    let padding = base64
        .iter()
        .rev()
        .take_while(|byte| **byte == b'=')
        .count();
    (base64.len() / 4 * 3).saturating_sub(padding)
}

/// Whether the first byte is the type of a packet that clients send.
pub fn is_packet(packet: &str) -> bool {
    // Close, pong, message, upgrade, noop or binary. Only the server sends open and ping.
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
