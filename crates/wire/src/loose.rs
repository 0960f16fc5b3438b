//! Ids as they may arrive: a string, or a JSON number, which is read as its decimal string.

use lamplight_domain::identity::{ConversationId, MessageId, UserId};
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use std::fmt;

/// An id as text, not checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LooseId(pub String);

impl<'de> Deserialize<'de> for LooseId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IdVisitor;

        impl Visitor<'_> for IdVisitor {
            type Value = LooseId;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an id: a string or a whole number")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<LooseId, E> {
                Ok(LooseId(text.to_owned()))
            }

            fn visit_string<E: de::Error>(self, text: String) -> Result<LooseId, E> {
                Ok(LooseId(text))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<LooseId, E> {
                Ok(LooseId(number.to_string()))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<LooseId, E> {
                Ok(LooseId(number.to_string()))
            }
        }

        deserializer.deserialize_any(IdVisitor)
    }
}

impl LooseId {
    /// As a user's id.
    ///
    /// # Errors
    /// With what is wrong with it.
    pub fn user(&self, field: &str) -> Result<UserId, lamplight_usecases::Refusal> {
        UserId::parse(&self.0)
            .map_err(|error| lamplight_usecases::Refusal::invalid(format!("{field} {error}.")))
    }

    /// As a message's id.
    ///
    /// # Errors
    /// With what is wrong with it.
    pub fn message(&self, field: &str) -> Result<MessageId, lamplight_usecases::Refusal> {
        MessageId::parse(&self.0)
            .map_err(|error| lamplight_usecases::Refusal::invalid(format!("{field} {error}.")))
    }

    /// As a conversation's id.
    ///
    /// # Errors
    /// With what is wrong with it.
    pub fn conversation(&self) -> Result<ConversationId, lamplight_usecases::Refusal> {
        ConversationId::parse(&self.0).map_err(|error| {
            lamplight_usecases::Refusal::invalid(format!("conversationId {error}."))
        })
    }
}
