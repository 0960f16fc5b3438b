//! The shapes of answers, for the OpenAPI document.

use lamplight_wire::shape;
use serde::Serialize;
use utoipa::{IntoResponses, ToSchema};

macro_rules! answers {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $kind:ty),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Serialize, ToSchema)]
        #[serde(rename_all = "camelCase")]
        pub(crate) struct $name {
            /// Always `true`.
            success: bool,
            $($(#[$field_doc])* $field: $kind,)*
        }
    )*};
}

answers! {
    /// Done.
    Done {}
    /// The state of the server.
    HealthAnswer {
        /// `ok`, `ready` or `degraded`.
        status: String,
        /// With `degraded`: the parts that hold this node's own view only, `presence` or `bus`.
        #[serde(skip_serializing_if = "Option::is_none")]
        degraded: Option<Vec<String>>,
    }
    /// Online users. `countOnly` leaves out `data`.
    OnlineAnswer {
        /// One page.
        #[schema(required = false)]
        data: Vec<shape::Presence<'static>>,
        /// The number of all online users.
        count: u64,
        /// The cursor of the next page.
        next_cursor: Option<String>,
        /// The shared store is unreachable, so this is the view of one node.
        degraded: Option<bool>,
        /// The store's generation; left out with `countOnly`. If it differs from the previous one,
        /// the data went back in time.
        #[schema(required = false)]
        store: String,
    }
    /// The server's key for Web Push.
    PushKeyAnswer {
        /// An uncompressed point on P-256 in base64url, 65 bytes.
        key: String,
    }
    /// An address of a file for one user.
    SignedUrlAnswer {
        /// A path of this server.
        url: String,
        /// Until then it works.
        expires_at: String,
    }
    /// Conversations.
    ConversationsAnswer {
        /// One page.
        data: Vec<shape::Conversation<'static>>,
        /// The unread messages in all of the caller's conversations that are neither muted nor
        /// archived, on this page or not.
        total_unread: u64,
        /// The cursor of the next page.
        next_cursor: Option<String>,
        /// The store's generation. If it differs from the previous one, the data went back in time:
        /// discard what you hold.
        store: String,
    }
    /// A conversation.
    ConversationAnswer {
        /// As the caller sees it.
        conversation: shape::Conversation<'static>,
        /// This request created it.
        created: bool,
    }
    /// A read mark.
    ReadAnswer {
        conversation_id: String,
        /// The mark in force.
        read_seq: u64,
    }
    /// A part of a log.
    MessagesAnswer {
        /// The messages as they are now, oldest first; with `kind=all`, the entries of all kinds.
        data: Vec<shape::Entry<'static>>,
        /// Users in the page who are not in the `members` of the conversation: members past the
        /// first 100, and former members. Senders come first; at most 250.
        users: Vec<shape::User<'static>>,
        /// The page has every message from this `seq` on. Not with `kind=all`.
        #[schema(required = false)]
        from_seq: u64,
        /// … up to this one. Not with `kind=all`.
        #[schema(required = false)]
        to_seq: u64,
        /// The messages are as they are after the entry of this `seq`. Not with `kind=all`.
        #[schema(required = false)]
        as_of_seq: u64,
        /// There are more messages in the requested direction; with `around`, in either.
        has_more: bool,
        /// With `around`: there are older ones.
        has_before: Option<bool>,
        /// With `around`: there are newer ones.
        has_after: Option<bool>,
        /// The store's generation. If it differs from the previous one, the data went back in time:
        /// discard what you hold.
        store: String,
    }
    /// Pinned messages.
    PinnedAnswer {
        /// The messages as they are now, oldest first.
        data: Vec<shape::Message<'static>>,
        /// The profiles of users in the page who are not in the conversation's `members`: see
        /// `MessagesAnswer`.
        users: Vec<shape::User<'static>>,
        /// There are older ones.
        has_more: bool,
        /// The messages are as they are after the entry of this `seq`.
        as_of_seq: u64,
        /// The store's generation: see `MessagesAnswer`.
        store: String,
    }
    /// Files of a conversation.
    FilesAnswer {
        /// One page, the newest message first.
        data: Vec<shape::ConversationFile<'static>>,
        /// The profiles of senders who are not in the conversation's `members`: see `MessagesAnswer`.
        users: Vec<shape::User<'static>>,
        /// The cursor of the next page.
        next_cursor: Option<String>,
        /// The list is as it is after the entry of this `seq`.
        as_of_seq: u64,
        /// The store's generation: see `MessagesAnswer`.
        store: String,
    }
    /// The place of a time in a log.
    SeqAnswer {
        /// The first entry that is not older, or else the newest one; 0 in an empty log.
        seq: u64,
        /// The store's generation: see `MessagesAnswer`.
        store: String,
    }
    /// The stored message.
    SentAnswer {
        /// The entry in the log: the message as it was sent, empty if it was deleted since.
        entry: shape::Entry<'static>,
        /// The message as it is now.
        message: shape::Message<'static>,
        /// The message was stored before.
        duplicate: bool,
        /// The `tempId` of the request.
        temp_id: Option<String>,
    }
    /// A stored change of a message.
    ChangedAnswer {
        /// The entry in the log, or the one that made the state which the request asks for.
        entry: shape::Entry<'static>,
        /// The change was stored before, or would change nothing.
        duplicate: bool,
    }
    /// A stored change of a group.
    GroupChangedAnswer {
        /// The entry in the log, or the one that made the state which the request asks for; `null`
        /// where no entry made it.
        entry: Option<shape::Entry<'static>>,
        /// The change was stored before, or would change nothing.
        duplicate: bool,
    }
    /// Members of a conversation.
    MembersAnswer {
        /// One page.
        data: Vec<shape::Member<'static>>,
        /// The cursor of the next page.
        next_cursor: Option<String>,
        /// The store's generation. If it differs from the previous one, the data went back in time:
        /// discard what you hold.
        store: String,
    }
    /// Messages that a search found.
    SearchAnswer {
        /// One page, newest first.
        data: Vec<shape::SearchHit<'static>>,
        /// The cursor of the next page.
        next_cursor: Option<String>,
        /// The store's generation. If it differs from the previous one, the data went back in time:
        /// discard what you hold.
        store: String,
    }
    /// Users.
    UsersAnswer {
        /// One page.
        data: Vec<shape::User<'static>>,
        /// The cursor of the next page.
        next_cursor: Option<String>,
        /// The store's generation. If it differs from the previous one, the data went back in time:
        /// discard what you hold.
        store: String,
    }
    /// A user.
    UserAnswer {
        /// The profile.
        user: shape::User<'static>,
    }
    /// A user's privacy settings.
    AccountSettingsAnswer {
        /// The settings.
        settings: shape::AccountSettings,
    }
    /// A user.
    FoundUserAnswer {
        /// The profile.
        user: shape::User<'static>,
        /// The user name of the account: with it the user signs in, and others find them. Left out where there are no accounts.
        #[schema(required = false)]
        username: String,
    }
    /// The signed-in user.
    SessionAnswer {
        /// The profile.
        user: shape::User<'static>,
        /// `open` if anyone may create an account, else `closed`. A 401 has it too.
        registration: String,
    }
    /// How users sign in, and who is signed in.
    AuthAnswer {
        /// `local`, `jwt` or `open`: the setting `AUTH`.
        auth: String,
        /// With `local`: `open` if anyone may create an account, else `closed`.
        #[serde(skip_serializing_if = "Option::is_none")]
        registration: Option<String>,
        /// The user of the session; null without a session, and without local accounts.
        user: Option<shape::User<'static>>,
    }
    /// A session of a local account.
    SignedInAnswer {
        /// The profile.
        user: shape::User<'static>,
        /// The session's token, for clients without cookies.
        token: String,
        /// When the session ends.
        expires_at: String,
    }
}

#[derive(IntoResponses)]
#[allow(dead_code, reason = "read by the derive only")]
pub(crate) enum Refusals {
    /// `invalid` or `empty_message`: the request is malformed.
    #[response(status = 400)]
    Invalid(#[to_schema] shape::Refusal<'static>),
    /// `unauthenticated`: the request proves no user.
    #[response(status = 401)]
    Unauthenticated(#[to_schema] shape::Refusal<'static>),
    /// `forbidden`: the caller has no permission.
    #[response(status = 403)]
    Forbidden(#[to_schema] shape::Refusal<'static>),
    /// `not_found`: it does not exist, or the caller may not see it.
    #[response(status = 404)]
    NotFound(#[to_schema] shape::Refusal<'static>),
    /// `conflict`: it contradicts what the server stores.
    #[response(status = 409)]
    Conflict(#[to_schema] shape::Refusal<'static>),
    /// `too_long`: over the limit.
    #[response(status = 413)]
    TooLong(#[to_schema] shape::Refusal<'static>),
    /// `invalid`: the body is compressed, not JSON, or not UTF-8.
    #[response(status = 415)]
    UnsupportedMedia(#[to_schema] shape::Refusal<'static>),
    /// `rate_limited`: too many requests; wait for `retryAfterMs` (also in `Retry-After`).
    #[response(status = 429)]
    RateLimited(#[to_schema] shape::Refusal<'static>),
    /// `internal`: an error in the server; the outcome is unknown.
    #[response(status = 500)]
    Internal(#[to_schema] shape::Refusal<'static>),
    /// `unavailable`: the store does not respond; the outcome is unknown.
    #[response(status = 503)]
    Unavailable(#[to_schema] shape::Refusal<'static>),
}
