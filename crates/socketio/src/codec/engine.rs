//! Engine.IO packets (protocol 4, "Packet encoding"): one digit for the type, then the data.

/// The type of an Engine.IO packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum EngineType {
    /// Opens a session: the reply to the handshake, sent by the server.
    Open = b'0',
    /// Closes the transport.
    Close = b'1',
    /// A heartbeat, sent by the server; also the probe of an upgrade, sent by the client.
    Ping = b'2',
    /// The reply to a [`Self::Ping`].
    Pong = b'3',
    /// A message of the layer above, such as Socket.IO.
    Message = b'4',
    /// Ends polling during an upgrade, sent by the client.
    Upgrade = b'5',
    /// No content: answers an open poll during an upgrade.
    Noop = b'6',
}

impl EngineType {
    /// Returns the type with this digit.
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

/// Splits a text packet into its type and data. Returns `None` if it is empty or its type is
/// unknown.
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
