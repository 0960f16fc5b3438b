//! WebSocket frames (RFC 6455, section 5).

use bytes::{BufMut, BytesMut};

/// Maximum bytes in the header of an unmasked frame.
pub const MAX_SERVER_HEADER: usize = 10;
/// The RSV1 bit of the first byte: the message is compressed (RFC 7692, section 6).
pub const RSV1: u8 = 0x40;

/// The type of a frame (RFC 6455, section 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum OpCode {
    /// Continues a fragmented message.
    Continuation = 0x0,
    /// Starts a text message.
    Text = 0x1,
    /// Starts a binary message.
    Binary = 0x2,
    /// Closes the connection.
    Close = 0x8,
    /// Requests a pong.
    Ping = 0x9,
    /// Replies to a ping.
    Pong = 0xA,
}

impl OpCode {
    const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return None,
        })
    }

    /// Whether this is a control frame, which may occur between the fragments of a message.
    pub const fn is_control(self) -> bool {
        self as u8 >= 0x8
    }
}

/// Why a client's frame is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameError {
    /// It violates the protocol.
    Protocol,
    /// A text or a close reason is not UTF-8.
    Utf8,
    /// The message is too large or has too many fragments.
    TooBig,
    /// The message is marked as compressed and cannot be inflated.
    Deflate,
}

impl FrameError {
    /// The status code of the close frame to send (RFC 6455, section 7.4.1).
    pub const fn close_code(self) -> u16 {
        match self {
            Self::Protocol => 1002,
            Self::Utf8 | Self::Deflate => 1007,
            Self::TooBig => 1009,
        }
    }
}

/// The header of a frame from a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientHeader {
    /// Whether this is the last fragment of its message.
    pub fin: bool,
    /// Whether the message that starts here is compressed.
    pub compressed: bool,
    /// The type of the frame.
    pub opcode: OpCode,
    /// The masking key of the payload.
    pub mask: [u8; 4],
    /// Bytes of this header.
    pub header_len: usize,
    /// Bytes of the payload after it.
    pub payload_len: usize,
}

/// Parses a client's frame header at the start of `bytes`; `None` if more bytes are needed.
///
/// # Errors
/// Reserved bits and opcodes, a missing mask, control frames that are fragmented or longer than 125
/// bytes, and a payload over `max_payload`; each as soon as the bytes that show it are present.
pub fn client_header(bytes: &[u8], max_payload: usize) -> Result<Option<ClientHeader>, FrameError> {
    header(bytes, max_payload, false)
}

/// Like [`client_header`], for a client that may compress its messages (RFC 7692): the first frame
/// of a compressed message has RSV1 set.
///
/// # Errors
/// As [`client_header`], and RSV1 on a control frame or a continuation.
pub fn compressed_header(
    bytes: &[u8],
    max_payload: usize,
) -> Result<Option<ClientHeader>, FrameError> {
    header(bytes, max_payload, true)
}

fn header(
    bytes: &[u8],
    max_payload: usize,
    may_compress: bool,
) -> Result<Option<ClientHeader>, FrameError> {
    let (Some(&first), Some(&second)) = (bytes.first(), bytes.get(1)) else {
        return Ok(None);
    };
    let compressed = first & RSV1 != 0;
    if first & 0x30 != 0 || second & 0x80 == 0 || compressed && !may_compress {
        return Err(FrameError::Protocol);
    }
    let opcode = OpCode::from_bits(first & 0x0F).ok_or(FrameError::Protocol)?;
    if compressed && !matches!(opcode, OpCode::Text | OpCode::Binary) {
        return Err(FrameError::Protocol);
    }
    let fin = first & 0x80 != 0;
    let short = second & 0x7F;
    if opcode.is_control() && (!fin || short > 125) {
        return Err(FrameError::Protocol);
    }
    let (payload_len, mask_at) = match short {
        126 => {
            let Some(length) = bytes.get(2..4) else {
                return Ok(None);
            };
            (u64::from(u16::from_be_bytes([length[0], length[1]])), 4)
        }
        127 => {
            let Some(length) = bytes.get(2..10) else {
                return Ok(None);
            };
            let mut eight = [0; 8];
            eight.copy_from_slice(length);
            (u64::from_be_bytes(eight), 10)
        }
        short => (u64::from(short), 2),
    };
    if payload_len > max_payload as u64 {
        return Err(if payload_len >> 63 == 1 {
            FrameError::Protocol
        } else {
            FrameError::TooBig
        });
    }
    let Some(key) = bytes.get(mask_at..mask_at + 4) else {
        return Ok(None);
    };
    let mask = [key[0], key[1], key[2], key[3]];
    Ok(Some(ClientHeader {
        fin,
        compressed,
        opcode,
        mask,
        header_len: mask_at + 4,
        payload_len: payload_len as usize,
    }))
}

/// Applies a masking key, eight bytes at a time. Applying it again undoes it.
pub fn unmask(data: &mut [u8], mask: [u8; 4]) {
    let four = u32::from_ne_bytes(mask);
    let eight = (u64::from(four) << 32 | u64::from(four)).to_ne_bytes();
    let mask_word = u64::from_ne_bytes(eight);
    let (chunks, rest) = data.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ mask_word).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(eight) {
        *byte ^= key;
    }
}

/// Returns the header of an unfragmented, unmasked frame, and its length in bytes.
pub fn server_header(opcode: OpCode, payload_len: usize) -> ([u8; MAX_SERVER_HEADER], usize) {
    let mut header = [0; MAX_SERVER_HEADER];
    header[0] = 0x80 | opcode as u8;
    if payload_len < 126 {
        header[1] = payload_len as u8;
        (header, 2)
    } else if let Ok(length) = u16::try_from(payload_len) {
        header[1] = 126;
        header[2..4].copy_from_slice(&length.to_be_bytes());
        (header, 4)
    } else {
        header[1] = 127;
        header[2..10].copy_from_slice(&(payload_len as u64).to_be_bytes());
        (header, 10)
    }
}

/// Appends an unfragmented, unmasked frame.
pub fn encode(out: &mut BytesMut, opcode: OpCode, payload: &[u8]) {
    encode_parts(out, opcode, false, &[payload]);
}

/// Like [`encode`], for a payload in several parts that may be compressed.
pub fn encode_parts(out: &mut BytesMut, opcode: OpCode, compressed: bool, parts: &[&[u8]]) {
    let payload_len = parts.iter().map(|part| part.len()).sum();
    let (mut header, length) = server_header(opcode, payload_len);
    if compressed {
        header[0] |= RSV1;
    }
    out.reserve(length + payload_len);
    out.put_slice(&header[..length]);
    parts.iter().for_each(|part| out.put_slice(part));
}

/// Appends a masked frame, as a client sends it. The server does not need it; tests and load
/// generators do.
pub fn encode_client(out: &mut BytesMut, fin: bool, opcode: OpCode, payload: &[u8], mask: [u8; 4]) {
    let (mut header, length) = server_header(opcode, payload.len());
    header[1] |= 0x80;
    if !fin {
        header[0] &= 0x7F;
    }
    out.put_slice(&header[..length]);
    out.put_slice(&mask);
    let start = out.len();
    out.put_slice(payload);
    unmask(&mut out[start..], mask);
}

/// Iterates over complete frames that [`encode`] wrote; yields their payloads, compressed or not.
pub fn server_frames(frames: &[u8]) -> impl Iterator<Item = (OpCode, &[u8])> {
    written_frames(frames).map(|(opcode, _, payload)| (opcode, payload))
}

/// Like [`server_frames`], and whether each frame is compressed.
pub fn written_frames(mut frames: &[u8]) -> impl Iterator<Item = (OpCode, bool, &[u8])> {
    std::iter::from_fn(move || {
        let first = *frames.first()?;
        let opcode = OpCode::from_bits(first & 0x0F)?;
        let (length, header): (usize, usize) = match frames.get(1)? {
            126 => (
                u16::from_be_bytes(frames.get(2..4)?.try_into().ok()?) as usize,
                4,
            ),
            127 => (
                u64::from_be_bytes(frames.get(2..10)?.try_into().ok()?) as usize,
                10,
            ),
            short => (*short as usize, 2),
        };
        let end = header.checked_add(length)?;
        let payload = frames.get(header..end)?;
        frames = &frames[end..];
        Some((opcode, first & RSV1 != 0, payload))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    #[test]
    fn reads_the_example_of_the_rfc() {
        let mut frame = *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
        let header = client_header(&frame, 100).unwrap().unwrap();
        assert_eq!(
            (header.fin, header.opcode, header.payload_len),
            (true, OpCode::Text, 5)
        );
        unmask(&mut frame[header.header_len..], header.mask);
        assert_eq!(&frame[6..], b"Hello");
    }

    #[test]
    fn refuses_what_the_rfc_forbids() {
        let refused = |bytes: &[u8]| client_header(bytes, 1000).unwrap_err();
        assert_eq!(refused(b"\x81\x05"), FrameError::Protocol, "no mask");
        for bit in [0x40, 0x20, 0x10] {
            assert_eq!(
                refused(&[0x81 | bit, 0x80]),
                FrameError::Protocol,
                "reserved bit"
            );
        }
        for bit in [0x60, 0x50, 0x20, 0x10] {
            assert_eq!(
                compressed_header(&[0x81 | bit, 0x80], 1000),
                Err(FrameError::Protocol),
                "reserved bit"
            );
        }
        for opcode in [0, 8, 9, 0xA] {
            assert_eq!(
                compressed_header(&[0xC0 | opcode, 0x80], 1000),
                Err(FrameError::Protocol),
                "only a message is compressed"
            );
        }
        for opcode in [3, 4, 5, 6, 7, 0xB, 0xC, 0xD, 0xE, 0xF] {
            assert_eq!(
                refused(&[0x80 | opcode, 0x80]),
                FrameError::Protocol,
                "reserved opcode"
            );
        }
        for opcode in [8, 9, 0xA] {
            assert_eq!(
                refused(&[opcode, 0x80]),
                FrameError::Protocol,
                "fragmented control frame"
            );
            assert_eq!(
                refused(&[0x80 | opcode, 0xFE]),
                FrameError::Protocol,
                "long control frame"
            );
        }
        assert_eq!(
            refused(b"\x82\xFE\x03\xE9"),
            FrameError::TooBig,
            "known from the header alone"
        );
        assert_eq!(
            refused(b"\x82\xFF\x80\0\0\0\0\0\0\0"),
            FrameError::Protocol,
            "the highest bit of a length"
        );
        assert_eq!(
            refused(b"\x82\xFF\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF"),
            FrameError::TooBig
        );
    }

    proptest! {
        #[test]
        fn round_trip(data in proptest::collection::vec(any::<u8>(), 0..70_000), fin: bool, mask: [u8; 4]) {
            let mut frame = BytesMut::new();
            encode_client(&mut frame, fin, OpCode::Binary, &data, mask);
            for short in 0..frame.len().min(14) {
                if let Some(header) = client_header(&frame[..short], 100_000).unwrap() {
                    prop_assert!(header.header_len <= short);
                }
            }
            let header = client_header(&frame, 100_000).unwrap().unwrap();
            prop_assert_eq!((header.fin, header.payload_len), (fin, data.len()));
            unmask(&mut frame[header.header_len..], header.mask);
            prop_assert_eq!(&frame[header.header_len..], &data[..]);

            let mut server = BytesMut::new();
            encode(&mut server, OpCode::Text, &data);
            encode(&mut server, OpCode::Binary, b"next");
            let walked: Vec<_> = server_frames(&server).collect();
            prop_assert_eq!(walked, vec![(OpCode::Text, &data[..]), (OpCode::Binary, &b"next"[..])]);
        }

        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64), max in 0usize..200) {
            let _ = client_header(&bytes, max);
            server_frames(&bytes).for_each(drop);
        }

        #[test]
        fn unmask_is_the_plain_loop(data in proptest::collection::vec(any::<u8>(), 0..64), mask: [u8; 4]) {
            let plain: Vec<u8> = data.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]).collect();
            let mut fast = data;
            unmask(&mut fast, mask);
            prop_assert_eq!(fast, plain);
        }
    }

    #[test]
    fn an_empty_masked_payload_is_accepted() {
        assert!(
            client_header(&[0x89, 0x80, MASK[0], MASK[1], MASK[2], MASK[3]], 0)
                .unwrap()
                .is_some()
        );
    }
}
