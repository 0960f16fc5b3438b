//! Engine.IO packets (protocol 4, "Packet encoding"): one digit for the type, then the data.

/// The type of an Engine.IO packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum EngineType {
    /// The handshake's answer; server to client.
    Open = b'0',
    /// The transport is to be closed.
    Close = b'1',
    /// Heartbeat, server to client; and the probe of an upgrade, client to server.
    Ping = b'2',
    /// The answer to either.
    Pong = b'3',
    /// A packet of the layer above.
    Message = b'4',
    /// The client is done with polling.
    Upgrade = b'5',
    /// Nothing: lets go of a poll.
    Noop = b'6',
}

impl EngineType {
    /// The type that a digit stands for.
    pub const fn from_digit(digit: u8) -> Option<Self> {
        Some(match digit {
            b'0' => Self::Open,
            b'1' => Self::Close,
            b'2' => Self::Ping,
            b'3' => Self::Pong,
            b'4' => Self::Message,
            b'5' => Self::Upgrade,
            b'6' => Self::Noop,
            _ => return None,
        })
    }
}

/// Takes a text packet apart: its type and its data. `None` if it is empty or starts with no known
/// type.
pub fn decode(text: &str) -> Option<(EngineType, &str)> {
    let kind = EngineType::from_digit(*text.as_bytes().first()?)?;
    Some((kind, &text[1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_packets_apart() {
        assert_eq!(decode("4hello"), Some((EngineType::Message, "hello")));
        assert_eq!(decode("2probe"), Some((EngineType::Ping, "probe")));
        assert_eq!(decode("3"), Some((EngineType::Pong, "")));
        assert_eq!(decode(""), None);
        assert_eq!(decode("7"), None);
        assert_eq!(decode("é"), None);
    }
}
