//! Blocks.

use super::answer::{answer, execute, no_claimed_user};
use super::api::{Id, id, page_length, params};
use super::schemas::{self as docs};
use super::state::AppState;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::response::Response;
use lamplight_usecases::{BlockCommand, Refusal};
use lamplight_wire::loose::LooseId;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;

/// A page of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct BlocksParams {
    /// The `nextCursor` of an earlier answer.
    cursor: Option<String>,
    /// 1 to 200; 50 by default.
    limit: Option<u64>,
}

/// The users whom the caller has blocked, sorted by name.
#[utoipa::path(get, path = "/api/blocks", operation_id = "list_blocks", tag = "people", params(BlocksParams), security(("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "The users whom the caller has blocked", body = docs::UsersAnswer), docs::Refusals))]
pub(crate) async fn list(
    State(state): State<Arc<AppState>>,
    query: Result<Query<BlocksParams>, QueryRejection>,
    request: Request,
) -> Response {
    answer(
        execute(&state, request, no_claimed_user, |_| {
            let query = params(query)?;
            Ok(BlockCommand::List {
                cursor: query.cursor,
                limit: page_length(query.limit)?,
            })
        })
        .await,
    )
}

/// Blocks a user: neither can write in a conversation of these two any more, apart from deleting
/// messages. Repeatable.
#[utoipa::path(put, path = "/api/blocks/{userId}", operation_id = "block_user", tag = "people", params(("userId" = String, Path, description = "The user")),
    security(("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "Done", body = docs::Done), docs::Refusals))]
pub(crate) async fn block(
    State(state): State<Arc<AppState>>,
    path: Id,
    request: Request,
) -> Response {
    one(&state, path, request, BlockCommand::Block).await
}

/// Ends a block. Repeatable.
#[utoipa::path(delete, path = "/api/blocks/{userId}", operation_id = "unblock_user", tag = "people", params(("userId" = String, Path, description = "The user")),
    security(("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "Done", body = docs::Done), docs::Refusals))]
pub(crate) async fn unblock(
    State(state): State<Arc<AppState>>,
    path: Id,
    request: Request,
) -> Response {
    one(&state, path, request, BlockCommand::Unblock).await
}

async fn one(
    state: &AppState,
    path: Id,
    request: Request,
    command: fn(lamplight_domain::identity::UserId) -> BlockCommand,
) -> Response {
    answer(
        execute(state, request, no_claimed_user, |_| {
            let user = LooseId(id(path)?).user("userId")?;
            Ok::<_, Refusal>(command(user))
        })
        .await,
    )
}
