//! The TypeScript types of everything that travels, made from the shapes themselves.

use crate::{body, shape};
use lamplight_usecases::Code;
use std::fmt::Write;
use ts_rs::{Config, TS};

/// The text of `packages/client/src/generated/wire.ts`.
#[must_use]
pub fn declarations() -> String {
    let config = Config::new().with_large_int("number");
    let codes: Vec<String> = Code::ALL
        .iter()
        .map(|code| format!("\"{}\"", code.as_str()))
        .collect();
    let mut text = String::from("// Made by `make generate` from crates/wire. Do not edit.\n\n");
    let _ = writeln!(
        text,
        "/** A stable code a program can act on. */\nexport type RefusalCode = {};",
        codes.join(" | ")
    );
    macro_rules! declare {
        ($($shape:ty),* $(,)?) => {$(
            let _ = write!(text, "\n{}export {}\n", <$shape>::docs().unwrap_or_default(), <$shape>::decl(&config));
        )*};
    }
    declare!(
        shape::User<'_>,
        shape::Activity<'_>,
        shape::Presence<'_>,
        shape::UserOffline<'_>,
        shape::PresenceChange<'_>,
        shape::PresenceChanges<'_>,
        shape::OnlineUsers<'_>,
        shape::WatchedOffline<'_>,
        shape::WatchedState<'_>,
        shape::Message<'_>,
        shape::Hidden<'_>,
        shape::Entry<'_>,
        shape::Conversation<'_>,
        shape::Marks<'_>,
        shape::Receipt<'_>,
        shape::Typing<'_>,
        shape::ChosenStatus<'_>,
        shape::Refusal<'_>,
        shape::SyncPage<'_>,
        body::JoinUser,
        body::UserActivity,
        body::SetStatus,
        body::ActivityBody,
        body::SetActivity,
        body::WatchPresence,
        body::ConversationRef,
        body::SendMessage,
        body::TypingBody,
        body::MarkRead,
        body::SyncBody,
        body::Authenticate,
    );
    text
}
