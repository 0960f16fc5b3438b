//! Groups: their details, members and roles. The host application may do all of it, in its own name.

use super::answer::{ApiRequest, answer, execute, no_claimed_user};
use super::api::{Id, page_length, params};
use super::changes::not_utf8;
use super::schemas::{self as docs};
use super::state::AppState;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::response::Response;
use lamplight_usecases::{GroupCommand, Refusal};
use lamplight_wire::loose::LooseId;
use lamplight_wire::{body, group};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;

/// A page of members.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct MembersParams {
    /// The `nextCursor` of an earlier answer.
    cursor: Option<String>,
    /// 1 to 200; 50 by default.
    limit: Option<u64>,
}

/// A conversation and a user.
type Seat = Result<Path<(String, String)>, PathRejection>;

/// Changes the name or the picture of a group: its admins may.
#[utoipa::path(patch, path = "/api/privatechat/conversations/{id}", tag = "groups", params(("id" = String, Path, description = "The conversation")),
    request_body = body::UpdateGroup, security(("bearer" = []), ("cookie" = []), ("serverKey" = [])),
    responses((status = 200, description = "The change", body = docs::GroupChangedAnswer), docs::Refusals))]
pub(crate) async fn update(
    State(state): State<Arc<AppState>>,
    path: Id,
    request: Request,
) -> Response {
    change(&state, request, |request| {
        group::details(&place(path)?, request.body()?)
    })
    .await
}

/// The members of a conversation, in the order of their ids.
#[utoipa::path(get, path = "/api/privatechat/conversations/{id}/members", operation_id = "list_members", tag = "groups",
    params(("id" = String, Path, description = "The conversation"), MembersParams), security(("bearer" = []), ("cookie" = []), ("serverKey" = [])),
    responses((status = 200, description = "The members", body = docs::MembersAnswer), docs::Refusals))]
pub(crate) async fn members(
    State(state): State<Arc<AppState>>,
    path: Id,
    query: Result<Query<MembersParams>, QueryRejection>,
    request: Request,
) -> Response {
    answer(
        execute(&state, request, no_claimed_user, |_| {
            let query = params(query)?;
            Ok(GroupCommand::Members {
                conversation: place(path)?.conversation()?,
                cursor: query.cursor,
                limit: page_length(query.limit)?,
            })
        })
        .await,
    )
}

/// Adds members: the admins of the group may.
#[utoipa::path(post, path = "/api/privatechat/conversations/{id}/members", operation_id = "add_members", tag = "groups", params(("id" = String, Path, description = "The conversation")),
    request_body = body::AddMembers, security(("bearer" = []), ("cookie" = []), ("serverKey" = [])),
    responses((status = 200, description = "The change", body = docs::GroupChangedAnswer), docs::Refusals))]
pub(crate) async fn add(
    State(state): State<Arc<AppState>>,
    path: Id,
    request: Request,
) -> Response {
    change(&state, request, |request| {
        group::add(&place(path)?, request.body()?)
    })
    .await
}

/// Removes a member: the admins of the group may, and everyone may leave. Only an owner removes an
/// owner. The last owner who leaves hands over to the admin who has been there longest, or else to
/// such a member. The body is optional.
#[utoipa::path(delete, path = "/api/privatechat/conversations/{id}/members/{userId}", operation_id = "remove_member", tag = "groups",
    params(("id" = String, Path, description = "The conversation"), ("userId" = String, Path, description = "The member; oneself to leave")),
    request_body = Option<body::ChangeBody>, security(("bearer" = []), ("cookie" = []), ("serverKey" = [])),
    responses((status = 200, description = "The change", body = docs::GroupChangedAnswer), docs::Refusals))]
pub(crate) async fn remove(
    State(state): State<Arc<AppState>>,
    path: Seat,
    request: Request,
) -> Response {
    change(&state, request, |request| {
        let (conversation, user) = seat(path)?;
        let body: body::ChangeBody = request.body_if_any()?;
        group::remove(&conversation, &user, body.client_message_id)
    })
    .await
}

/// Gives a member another role: the owners of the group may.
#[utoipa::path(put, path = "/api/privatechat/conversations/{id}/members/{userId}", operation_id = "set_member_role", tag = "groups",
    params(("id" = String, Path, description = "The conversation"), ("userId" = String, Path, description = "The member")),
    request_body = body::SetRole, security(("bearer" = []), ("cookie" = []), ("serverKey" = [])),
    responses((status = 200, description = "The change", body = docs::GroupChangedAnswer), docs::Refusals))]
pub(crate) async fn set_role(
    State(state): State<Arc<AppState>>,
    path: Seat,
    request: Request,
) -> Response {
    change(&state, request, |request| {
        let (conversation, user) = seat(path)?;
        group::role(&conversation, &user, request.body()?)
    })
    .await
}

async fn change(
    state: &AppState,
    request: Request,
    command: impl FnOnce(&ApiRequest) -> Result<GroupCommand, Refusal>,
) -> Response {
    // The body's userId may be another user's.
    let sender = |identity: body::OpenIdentity| identity.sender_id;
    answer(execute(state, request, sender, command).await)
}

fn place(path: Id) -> Result<LooseId, Refusal> {
    path.map(|Path(id)| LooseId(id)).map_err(|_| not_utf8())
}

fn seat(path: Seat) -> Result<(LooseId, LooseId), Refusal> {
    let Path((conversation, user)) = path.map_err(|_| not_utf8())?;
    Ok((LooseId(conversation), LooseId(user)))
}
