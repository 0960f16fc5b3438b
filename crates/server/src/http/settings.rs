//! A member's settings of a conversation.

use super::answer::{answer, execute, no_claimed_user};
use super::api::{Id, id};
use super::schemas::{self as docs};
use super::state::AppState;
use axum::extract::{Request, State};
use axum::response::Response;
use lamplight_wire::loose::LooseId;
use lamplight_wire::{body, decode};
use std::sync::Arc;

/// Mutes, archives or pins a conversation for the caller. Missing fields stay as they are. The
/// caller's devices get `conversation_updated`; other members notice nothing.
#[utoipa::path(put, path = "/api/privatechat/conversations/{id}/settings", tag = "messages",
    params(("id" = String, Path, description = "The conversation")), request_body = body::SettingsBody,
    security(("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "The conversation with its settings", body = docs::ConversationAnswer), docs::Refusals))]
pub(crate) async fn put_settings(
    State(state): State<Arc<AppState>>,
    path: Id,
    request: Request,
) -> Response {
    answer(
        execute(&state, request, no_claimed_user, |request| {
            decode::conversation_settings(&LooseId(id(path)?), request.body()?)
        })
        .await,
    )
}
