//! Presence, conversations, messages and people.

use super::answer::{Answered, answer, execute, no_claimed_user};
use super::schemas::{self as docs};
use super::state::AppState;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::response::Response;
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::{ListFilter, Range};
use lamplight_usecases::{
    AccountCommand, ConversationCommand, MessageCommand, MessageReply, PresenceCommand, Refusal,
    Reply,
};
use lamplight_wire::loose::LooseId;
use lamplight_wire::time;
use lamplight_wire::{body, decode, group};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;

/// The maximum number of entries in a page.
const PAGE_AT_MOST: usize = 200;
/// The default number of entries in a page.
const PAGE: usize = 50;

type Params<T> = Result<Query<T>, QueryRejection>;
pub(super) type Id = Result<Path<String>, PathRejection>;

pub(super) fn params<T>(params: Params<T>) -> Result<T, Refusal> {
    params.map(|Query(params)| params).map_err(|error| {
        let said = error.body_text();
        let said = said
            .strip_prefix("Failed to deserialize query string: ")
            .unwrap_or(&said);
        Refusal::invalid(format!(
            "The query was not understood: {}.",
            in_plain_words(said)
        ))
    })
}

/// Rewords the standard library's errors about numbers for callers who do not know Rust.
fn in_plain_words(said: &str) -> String {
    said.replace(
        "invalid digit found in string",
        "this is a whole number, 0 or more",
    )
    .replace(
        "cannot parse integer from empty string",
        "this is a whole number, and it is empty",
    )
    .replace(
        "number too large to fit in target type",
        "the number is too large",
    )
}

/// A time of the query.
pub(super) fn moment(name: &str, value: Option<&str>) -> Result<Option<Timestamp>, Refusal> {
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    time::parse(value).map(Some).ok_or_else(|| {
        Refusal::invalid(format!(
            "{name} is a time as in 2026-11-24T03:34:51.000Z (RFC 3339)."
        ))
    })
}

pub(super) fn id(id: Id) -> Result<String, Refusal> {
    id.map(|Path(id)| id)
        .map_err(|_| Refusal::invalid("The id in the address is not UTF-8."))
}

pub(super) fn page_length(limit: Option<u64>) -> Result<usize, Refusal> {
    match limit {
        None => Ok(PAGE),
        Some(limit @ 1..=200) => Ok(usize::try_from(limit).unwrap_or(PAGE_AT_MOST)),
        Some(_) => Err(Refusal::invalid("limit is 1 to 200.")),
    }
}

/// A boolean of the query, as pages write it.
fn flag(name: &str, value: Option<&str>) -> Result<bool, Refusal> {
    match value {
        Some("true" | "1") => Ok(true),
        None | Some("" | "false" | "0") => Ok(false),
        Some(_) => Err(Refusal::invalid(format!("{name} is true or false."))),
    }
}

/// `GET /api/online-users`
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct OnlineParams {
    /// Leave this user out.
    exclude_user_id: Option<String>,
    /// `true`: the count only.
    #[param(value_type = Option<bool>)]
    count_only: Option<String>,
    /// The `nextCursor` of an earlier answer.
    cursor: Option<String>,
    /// 1 to 200; the roster limit by default.
    limit: Option<u64>,
}

/// Online users. `AUTH=open` needs no caller here.
#[utoipa::path(get, path = "/api/online-users", tag = "presence", params(OnlineParams), security((), ("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "The online users, in the order in which they came online", body = docs::OnlineAnswer), docs::Refusals))]
pub(crate) async fn online_users(
    State(state): State<Arc<AppState>>,
    query: Params<OnlineParams>,
    request: Request,
) -> Response {
    answer(
        execute(&state, request, no_claimed_user, |_| {
            let query = params(query)?;
            let exclude = query
                .exclude_user_id
                .filter(|user| !user.is_empty())
                .map(|user| LooseId(user).user("excludeUserId"))
                .transpose()?;
            // The original pages send no limit and expect all users, up to `ROSTER_LIMIT`.
            let limit = if query.limit.is_none() {
                state.roster_limit
            } else {
                page_length(query.limit)?
            };
            let count_only = flag("countOnly", query.count_only.as_deref())?;
            Ok(PresenceCommand::ListOnline {
                exclude,
                count_only,
                cursor: query.cursor,
                limit,
            })
        })
        .await,
    )
}

/// A page of conversations.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ConversationsParams {
    /// `true`: those that the caller has archived. `false`: those that the caller has not. `all` by
    /// default.
    archived: Option<String>,
    /// `true`: those that the caller has pinned. Not together with `archived`.
    #[param(value_type = Option<bool>)]
    pinned: Option<String>,
    /// The `nextCursor` of an earlier answer.
    cursor: Option<String>,
    /// 1 to 200; 50 by default.
    limit: Option<u64>,
}

/// The caller's conversations, newest entry first.
#[utoipa::path(get, path = "/api/privatechat/conversations", tag = "messages", params(ConversationsParams), security(("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "The caller's conversations", body = docs::ConversationsAnswer), docs::Refusals))]
pub(crate) async fn list_conversations(
    State(state): State<Arc<AppState>>,
    query: Params<ConversationsParams>,
    request: Request,
) -> Response {
    answer(
        execute(&state, request, no_claimed_user, |_| {
            let query = params(query)?;
            let archived = match query.archived.as_deref() {
                None | Some("" | "all") => None,
                Some("true") => Some(ListFilter::Archived),
                Some("false") => Some(ListFilter::NotArchived),
                Some(_) => return Err(Refusal::invalid("archived is true, false or all.")),
            };
            let pinned = flag("pinned", query.pinned.as_deref())?.then_some(ListFilter::Pinned);
            if archived.is_some() && pinned.is_some() {
                return Err(Refusal::invalid(
                    "Give one of archived and pinned, not both.",
                ));
            }
            Ok(ConversationCommand::List {
                filter: archived.or(pinned),
                cursor: query.cursor,
                limit: page_length(query.limit)?,
            })
        })
        .await,
    )
}

/// Finds or creates the one conversation of two users (`userId`), or makes a group (`memberIds`).
#[utoipa::path(post, path = "/api/privatechat/conversations", tag = "messages", request_body = body::OpenConversation,
    security(("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "The existing conversation", body = docs::ConversationAnswer),
        (status = 201, description = "The new conversation", body = docs::ConversationAnswer), docs::Refusals))]
pub(crate) async fn open_conversation(
    State(state): State<Arc<AppState>>,
    request: Request,
) -> Response {
    // The body's userId is the other one's here.
    let sender = |identity: body::OpenIdentity| identity.sender_id;
    answer(
        execute(&state, request, sender, |request| {
            group::open(request.body()?)
        })
        .await,
    )
}

/// Creates a conversation under an id of your application, or changes its members.
#[utoipa::path(put, path = "/api/privatechat/conversations/{id}", tag = "host", params(("id" = String, Path, description = "The conversation")),
    request_body = body::PutConversation, security(("serverKey" = [])),
    responses((status = 200, description = "Done", body = docs::Done), docs::Refusals))]
pub(crate) async fn put_conversation(
    State(state): State<Arc<AppState>>,
    path: Id,
    request: Request,
) -> Response {
    answer(
        execute(&state, request, no_claimed_user, |request| {
            decode::put_conversation(&id(path)?, &request.body()?)
        })
        .await,
    )
}

/// Advances the caller's read mark; it never moves back.
#[utoipa::path(post, path = "/api/privatechat/conversations/{id}/read", tag = "messages",
    params(("id" = String, Path, description = "The conversation")), request_body = body::ReadBody, security(("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "The mark in force", body = docs::ReadAnswer), docs::Refusals))]
pub(crate) async fn mark_read(
    State(state): State<Arc<AppState>>,
    path: Id,
    request: Request,
) -> Response {
    let says = |identity: body::OpenIdentity| identity.user_id.or(identity.sender_id);
    answer(
        execute(&state, request, says, |request| {
            let conversation = LooseId(id(path)?).conversation()?;
            Ok(MessageCommand::MarkRead {
                conversation,
                seq: request.body::<body::ReadBody>()?.seq,
            })
        })
        .await,
    )
}

/// A part of a log.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct MessagesParams {
    /// Only messages with a smaller `seq`: the newest of them.
    before: Option<u64>,
    /// Only messages with a larger `seq`: the oldest of them.
    after: Option<u64>,
    /// The message of this `seq` and those on both sides of it; `hasBefore` and `hasAfter` report
    /// whether there are more. A conversation's `readSeq` plus 1 is the page of the first unread
    /// message.
    around: Option<u64>,
    /// 1 to 200; 50 by default.
    limit: Option<u64>,
    /// `all`: the entries of all kinds, as they are in the log; messages as they are now by default.
    #[param(value_type = Option<String>)]
    kind: Option<String>,
}

/// A part of a conversation, oldest first: its messages as they are now, or with `kind=all` the
/// entries of its log.
#[utoipa::path(get, path = "/api/privatechat/messages/{conversationId}", tag = "messages",
    params(("conversationId" = String, Path, description = "The conversation"), MessagesParams), security(("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "The messages", body = docs::MessagesAnswer), docs::Refusals))]
pub(crate) async fn messages(
    State(state): State<Arc<AppState>>,
    path: Id,
    query: Params<MessagesParams>,
    request: Request,
) -> Response {
    answer(
        execute(&state, request, no_claimed_user, |_| {
            let query = params(query)?;
            let range = match (query.before, query.after, query.around) {
                (None, None, None) => Range::Newest,
                (Some(before), None, None) => Range::Before(before),
                (None, Some(after), None) => Range::After(after),
                (None, None, Some(around)) => Range::Around(around),
                _ => {
                    return Err(Refusal::invalid(
                        "Give one of before, after and around, not two.",
                    ));
                }
            };
            let conversation = LooseId(id(path)?).conversation()?;
            let limit = page_length(query.limit)?;
            match query.kind.as_deref() {
                None | Some("" | "message") => Ok(MessageCommand::History {
                    conversation,
                    range,
                    limit,
                }),
                Some("all") => Ok(MessageCommand::Entries {
                    conversation,
                    range,
                    limit,
                }),
                Some(_) => Err(Refusal::invalid("kind is message or all.")),
            }
        })
        .await,
    )
}

/// A part of the pinned messages.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PinsParams {
    /// Only messages with a smaller `seq`: the newest of them.
    before: Option<u64>,
    /// 1 to 200; 50 by default.
    limit: Option<u64>,
}

/// The pinned messages of a conversation, wherever they are in its log, oldest first.
#[utoipa::path(get, path = "/api/privatechat/conversations/{id}/pins", tag = "messages",
    params(("id" = String, Path, description = "The conversation"), PinsParams), security(("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "The messages", body = docs::PinnedAnswer), docs::Refusals))]
pub(crate) async fn pins(
    State(state): State<Arc<AppState>>,
    path: Id,
    query: Params<PinsParams>,
    request: Request,
) -> Response {
    answer(
        execute(&state, request, no_claimed_user, |_| {
            let query = params(query)?;
            Ok(MessageCommand::Pinned {
                conversation: LooseId(id(path)?).conversation()?,
                before: query.before.unwrap_or(u64::MAX),
                limit: page_length(query.limit)?,
            })
        })
        .await,
    )
}

/// A time.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SeqParams {
    /// RFC 3339, such as 2026-01-31T12:00:00Z.
    at: Option<String>,
}

/// The place of a time in a conversation's log: the `seq` to give as `around` to show what was
/// written then.
#[utoipa::path(get, path = "/api/privatechat/conversations/{id}/seq", tag = "messages",
    params(("id" = String, Path, description = "The conversation"), SeqParams), security(("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "The place", body = docs::SeqAnswer), docs::Refusals))]
pub(crate) async fn seq_at(
    State(state): State<Arc<AppState>>,
    path: Id,
    query: Params<SeqParams>,
    request: Request,
) -> Response {
    answer(
        execute(&state, request, no_claimed_user, |_| {
            let at = moment("at", params(query)?.at.as_deref())?
                .ok_or_else(|| Refusal::invalid("at is missing: a time (RFC 3339)."))?;
            let conversation = LooseId(id(path)?).conversation()?;
            Ok(MessageCommand::SeqAt { conversation, at })
        })
        .await,
    )
}

/// Sends a message, as a fallback for the socket. The answer equals the socket's acknowledgement.
#[utoipa::path(post, path = "/api/privatechat/message", tag = "messages", request_body = body::SendMessage, security(("bearer" = []), ("cookie" = [])),
    responses((status = 201, description = "Stored", body = docs::SentAnswer),
        (status = 200, description = "A duplicate: stored before", body = docs::SentAnswer), docs::Refusals))]
pub(crate) async fn send(State(state): State<Arc<AppState>>, request: Request) -> Response {
    let began = tokio::time::Instant::now();
    let says = |identity: body::OpenIdentity| identity.sender_id.or(identity.user_id);
    let result = execute(&state, request, says, |request| {
        decode::send(request.body()?)
    })
    .await;
    if let Ok(Answered {
        reply: Reply::Messages(MessageReply::Sent { duplicate, .. }),
        ..
    }) = &result
    {
        crate::metrics::sent("http", *duplicate, began.elapsed());
    }
    answer(result)
}

/// The directory.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct UsersParams {
    /// Part of a name, of an account's user name or of an id; ignores case.
    query: Option<String>,
    /// The `nextCursor` of an earlier answer.
    cursor: Option<String>,
    /// 1 to 200; 50 by default.
    limit: Option<u64>,
}

/// Users, by name.
#[utoipa::path(get, path = "/api/users", tag = "people", params(UsersParams), security(("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "Users", body = docs::UsersAnswer), docs::Refusals))]
pub(crate) async fn users(
    State(state): State<Arc<AppState>>,
    query: Params<UsersParams>,
    request: Request,
) -> Response {
    answer(
        execute(&state, request, no_claimed_user, |_| {
            let query = params(query)?;
            let limit = page_length(query.limit)?;
            Ok(AccountCommand::ListUsers {
                query: query.query.unwrap_or_default(),
                cursor: query.cursor,
                limit,
            })
        })
        .await,
    )
}

/// A user, with the user name of their account where there are accounts: display names are not unique.
#[utoipa::path(get, path = "/api/users/{id}", tag = "people", params(("id" = String, Path, description = "The user")),
    security(("bearer" = []), ("cookie" = [])), responses((status = 200, description = "The user", body = docs::FoundUserAnswer), docs::Refusals))]
pub(crate) async fn user(
    State(state): State<Arc<AppState>>,
    path: Id,
    request: Request,
) -> Response {
    answer(
        execute(&state, request, no_claimed_user, |_| {
            decode::find_user(&id(path)?)
        })
        .await,
    )
}

/// Writes a profile, which overrides a token's claims.
#[utoipa::path(put, path = "/api/users/{id}", tag = "host", params(("id" = String, Path, description = "The user")), request_body = body::PutUser,
    security(("serverKey" = [])), responses((status = 200, description = "The profile", body = docs::UserAnswer), docs::Refusals))]
pub(crate) async fn put_user(
    State(state): State<Arc<AppState>>,
    path: Id,
    request: Request,
) -> Response {
    answer(
        execute(&state, request, no_claimed_user, |request| {
            decode::put_user(&id(path)?, &request.body()?)
        })
        .await,
    )
}

/// Signs a user out everywhere: ends the sessions of a local account, or refuses the tokens that were issued until now, deletes
/// subscriptions to Web Push, and closes the user's sockets on all nodes.
#[utoipa::path(post, path = "/api/users/{id}/sign-out", tag = "host", params(("id" = String, Path, description = "The user")),
    security(("serverKey" = [])), responses((status = 200, description = "The user is signed out", body = docs::Done), docs::Refusals))]
pub(crate) async fn sign_out_user(
    State(state): State<Arc<AppState>>,
    path: Id,
    request: Request,
) -> Response {
    answer(
        execute(&state, request, no_claimed_user, |_| {
            decode::sign_out_user(&id(path)?)
        })
        .await,
    )
}

#[cfg(test)]
mod tests;
