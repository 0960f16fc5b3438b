//! Changes of messages that were sent: edits, deletions, reactions and pins.

use super::answer::{Answered, ApiRequest, answer, execute};
use super::schemas::{self as docs};
use super::state::AppState;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use lamplight_usecases::{MessageChange, MessageCommand, MessageReply, Refusal, Reply};
use lamplight_wire::loose::LooseId;
use lamplight_wire::{body, decode};
use std::sync::Arc;

/// A conversation and a message.
type Place = Result<Path<(String, String)>, PathRejection>;
/// A conversation, a message and an emoji.
type PlaceWithEmoji = Result<Path<(String, String, String)>, PathRejection>;

/// Changes the text of one of the caller's messages. The answer equals the socket's acknowledgement.
#[utoipa::path(patch, path = "/api/privatechat/messages/{conversationId}/{messageId}", tag = "messages",
    params(("conversationId" = String, Path, description = "The conversation"), ("messageId" = String, Path, description = "The message")),
    request_body = body::EditBody, security(("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "The edit", body = docs::ChangedAnswer), docs::Refusals))]
pub(crate) async fn edit(
    State(state): State<Arc<AppState>>,
    path: Place,
    request: Request,
) -> Response {
    change(&state, request, |request| {
        let (conversation, message) = place(path)?;
        let body: body::EditBody = request.body()?;
        let edit = decode::edited(body.content, body.mentions)?;
        decode::change((&conversation, &message), body.client_message_id, edit)
    })
    .await
}

/// Deletes a message for everyone: its author may, and an admin of its group. The body is optional.
#[utoipa::path(delete, path = "/api/privatechat/messages/{conversationId}/{messageId}", tag = "messages",
    params(("conversationId" = String, Path, description = "The conversation"), ("messageId" = String, Path, description = "The message")),
    request_body = Option<body::ChangeBody>, security(("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "The deletion", body = docs::ChangedAnswer), docs::Refusals))]
pub(crate) async fn delete(
    State(state): State<Arc<AppState>>,
    path: Place,
    request: Request,
) -> Response {
    simple(state, path, request, MessageChange::Delete).await
}

/// Adds a reaction of the caller. The body is optional.
#[utoipa::path(put, path = "/api/privatechat/messages/{conversationId}/{messageId}/reactions/{emoji}", tag = "messages",
    params(("conversationId" = String, Path, description = "The conversation"), ("messageId" = String, Path, description = "The message"),
        ("emoji" = String, Path, description = "One emoji, percent-encoded as UTF-8")),
    request_body = Option<body::ChangeBody>, security(("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "The reaction", body = docs::ChangedAnswer), docs::Refusals))]
pub(crate) async fn react(
    State(state): State<Arc<AppState>>,
    path: PlaceWithEmoji,
    request: Request,
) -> Response {
    reaction(state, path, request, true).await
}

/// Removes a reaction of the caller. The body is optional.
#[utoipa::path(delete, path = "/api/privatechat/messages/{conversationId}/{messageId}/reactions/{emoji}", tag = "messages",
    params(("conversationId" = String, Path, description = "The conversation"), ("messageId" = String, Path, description = "The message"),
        ("emoji" = String, Path, description = "One emoji, percent-encoded as UTF-8")),
    request_body = Option<body::ChangeBody>, security(("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "The reaction", body = docs::ChangedAnswer), docs::Refusals))]
pub(crate) async fn unreact(
    State(state): State<Arc<AppState>>,
    path: PlaceWithEmoji,
    request: Request,
) -> Response {
    reaction(state, path, request, false).await
}

/// Pins a message: either of two people may, and an admin of a group. The body is optional.
#[utoipa::path(put, path = "/api/privatechat/messages/{conversationId}/{messageId}/pin", tag = "messages",
    params(("conversationId" = String, Path, description = "The conversation"), ("messageId" = String, Path, description = "The message")),
    request_body = Option<body::ChangeBody>, security(("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "The pin", body = docs::ChangedAnswer), docs::Refusals))]
pub(crate) async fn pin(
    State(state): State<Arc<AppState>>,
    path: Place,
    request: Request,
) -> Response {
    simple(state, path, request, MessageChange::Pin { pinned: true }).await
}

/// Unpins a message. The body is optional.
#[utoipa::path(delete, path = "/api/privatechat/messages/{conversationId}/{messageId}/pin", tag = "messages",
    params(("conversationId" = String, Path, description = "The conversation"), ("messageId" = String, Path, description = "The message")),
    request_body = Option<body::ChangeBody>, security(("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "The pin", body = docs::ChangedAnswer), docs::Refusals))]
pub(crate) async fn unpin(
    State(state): State<Arc<AppState>>,
    path: Place,
    request: Request,
) -> Response {
    simple(state, path, request, MessageChange::Pin { pinned: false }).await
}

/// A change that the path describes completely.
async fn simple(
    state: Arc<AppState>,
    path: Place,
    request: Request,
    wanted: MessageChange,
) -> Response {
    change(&state, request, |request| {
        let (conversation, message) = place(path)?;
        let body: body::ChangeBody = request.body_if_any()?;
        decode::change((&conversation, &message), body.client_message_id, wanted)
    })
    .await
}

async fn reaction(
    state: Arc<AppState>,
    path: PlaceWithEmoji,
    request: Request,
    added: bool,
) -> Response {
    change(&state, request, |request| {
        let Path((conversation, message, emoji)) = path.map_err(|_| not_utf8())?;
        let place = (&LooseId(conversation), &LooseId(message));
        let body: body::ChangeBody = request.body_if_any()?;
        let react = MessageChange::React { emoji, added };
        decode::change(place, body.client_message_id, react)
    })
    .await
}

async fn change(
    state: &AppState,
    request: Request,
    command: impl FnOnce(&ApiRequest) -> Result<MessageCommand, Refusal>,
) -> Response {
    let says = |identity: body::OpenIdentity| identity.sender_id.or(identity.user_id);
    let result = execute(state, request, says, command).await;
    if let Ok(Answered {
        reply: Reply::Messages(MessageReply::Changed { entry, duplicate }),
        ..
    }) = &result
    {
        crate::metrics::changed("http", entry, *duplicate);
    }
    answer(result)
}

fn place(path: Place) -> Result<(LooseId, LooseId), Refusal> {
    let Path((conversation, message)) = path.map_err(|_| not_utf8())?;
    Ok((LooseId(conversation), LooseId(message)))
}

pub(super) fn not_utf8() -> Refusal {
    Refusal::invalid("The ids in the address are not UTF-8.")
}
