//! Unguessable ids.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

const BYTES: usize = 15;
const CHARS: usize = 20;

/// An id of 120 random bits, as 20 characters of base64url.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Id([u8; CHARS]);

impl Id {
    /// # Errors
    /// If the operating system returns no random bytes.
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes)?;
        let mut text = [0; CHARS];
        // 15 bytes encode to exactly 20 characters, so the buffer always fits.
        let _ = URL_SAFE_NO_PAD.encode_slice(bytes, &mut text);
        Ok(Self(text))
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The first 64 bits of the id: the key in lookup tables.
    pub(crate) fn key(&self) -> u64 {
        Self::key_of(self.as_str()).unwrap_or_default()
    }

    /// An id that another node made; `None` if the text is not an id.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::key_of(text)?;
        Some(Self(text.as_bytes().try_into().ok()?))
    }

    /// The [`Self::key`] of an id given as text; `None` if the text is not an id.
    pub(crate) fn key_of(text: &str) -> Option<u64> {
        let mut bytes = [0; BYTES];
        if text.len() != CHARS || URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) != Ok(BYTES) {
            return None;
        }
        let mut key = [0; 8];
        key.copy_from_slice(&bytes[..8]);
        Some(u64::from_ne_bytes(key))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Id;

    #[test]
    fn ids_differ_and_are_found_by_their_text() {
        let ids: Vec<Id> = (0..100).map(|_| Id::random().unwrap()).collect();
        for (at, id) in ids.iter().enumerate() {
            assert_eq!(id.as_str().len(), 20);
            assert_eq!(Id::key_of(id.as_str()), Some(id.key()));
            assert!(
                ids[..at]
                    .iter()
                    .all(|other| other != id && other.key() != id.key())
            );
        }
        for bad in [
            "",
            "short",
            "====================",
            "éééééééééé",
            "AAAAAAAAAAAAAAAAAAAAA",
        ] {
            assert_eq!(Id::key_of(bad), None, "{bad}");
        }
    }
}
