//! Web Push: the key, and subscriptions.

use super::answer::{answer, execute, no_claimed_user};
use super::schemas::{self as docs};
use super::state::AppState;
use axum::extract::{Request, State};
use axum::response::Response;
use lamplight_usecases::PushCommand;
use lamplight_wire::{body, decode};
use std::sync::Arc;

/// The public key of this server, to give to `pushManager.subscribe` as `applicationServerKey`.
#[utoipa::path(get, path = "/api/push/key", operation_id = "push_key", tag = "push",
    security(("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "The key", body = docs::PushKeyAnswer), docs::Refusals))]
pub(crate) async fn key(State(state): State<Arc<AppState>>, request: Request) -> Response {
    answer(execute(&state, request, no_claimed_user, |_| Ok(PushCommand::Key)).await)
}

/// Sends the caller's messages to a browser from now on. With `AUTH=local` the subscription ends with
/// the session; otherwise with `DELETE`. Repeatable, also to change `content`. A subscription that was
/// made for an earlier key is sent to as well, and `conflict` for a key that this server never had.
#[utoipa::path(post, path = "/api/push/subscriptions", operation_id = "push_subscribe", tag = "push",
    request_body = body::PushSubscriptionBody, security(("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "Done", body = docs::Done), docs::Refusals))]
pub(crate) async fn subscribe(State(state): State<Arc<AppState>>, request: Request) -> Response {
    answer(
        execute(&state, request, no_claimed_user, |request| {
            Ok(decode::subscribe(request.body()?))
        })
        .await,
    )
}

/// Ends a subscription of the caller. Repeatable.
#[utoipa::path(delete, path = "/api/push/subscriptions", operation_id = "push_unsubscribe", tag = "push",
    request_body = body::PushEndpointBody, security(("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "Done", body = docs::Done), docs::Refusals))]
pub(crate) async fn unsubscribe(State(state): State<Arc<AppState>>, request: Request) -> Response {
    answer(
        execute(&state, request, no_claimed_user, |request| {
            Ok(decode::unsubscribe(request.body()?))
        })
        .await,
    )
}
