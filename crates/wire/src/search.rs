//! The JSON shape of search results.

use crate::entry::Message;
use lamplight_usecases::search::Found;
use serde::Serialize;
use ts_rs::TS;
use utoipa::ToSchema;

/// A message that a search found.
#[derive(Serialize, TS, ToSchema)]
pub struct SearchHit<'a> {
    /// As it is now.
    pub message: Message<'a>,
    /// The parts of its content that match: the first code unit (UTF-16) and the one after the last.
    pub highlights: Vec<(u32, u32)>,
}

impl<'a> SearchHit<'a> {
    /// `None` if the entry is of another kind than a message.
    #[must_use]
    pub fn of(found: &'a Found) -> Option<Self> {
        Some(Self {
            message: Message::now(&found.message)?,
            highlights: found.highlights.clone(),
        })
    }
}
