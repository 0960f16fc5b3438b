//! Searches of messages.

use super::answer::{answer, execute, no_claimed_user};
use super::api::{moment, params};
use super::schemas::{self as docs};
use super::state::AppState;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::response::Response;
use lamplight_usecases::{MessageQuery, Refusal, SearchCommand};
use lamplight_wire::loose::LooseId;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;

/// The default number of messages in a page.
const PAGE: usize = 20;

/// A search. All fields except `query` are optional.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct SearchParams {
    /// Words, or beginnings of words, all of which a message must have, in any order; at most 200
    /// characters. Leaves case aside, and the marks of Latin, Greek and Cyrillic letters.
    #[param(required = true)]
    query: Option<String>,
    /// Only in this conversation.
    conversation_id: Option<String>,
    /// Only from this user.
    sender_id: Option<String>,
    /// Only messages sent before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    before: Option<String>,
    /// Only messages sent after this time.
    #[param(value_type = Option<String>, format = DateTime)]
    after: Option<String>,
    /// The `nextCursor` of an earlier answer to the same search.
    cursor: Option<String>,
    /// 1 to 50; 20 by default.
    limit: Option<u64>,
}

/// Searches the messages of the caller's conversations, newest first. A page can have fewer messages
/// than `limit`, even none, and a `nextCursor`: then there may be more. A new message is found about a
/// second after it was sent.
#[utoipa::path(get, path = "/api/privatechat/search", tag = "messages", params(SearchParams), security(("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "Messages as they are now", body = docs::SearchAnswer), docs::Refusals))]
pub(crate) async fn search(
    State(state): State<Arc<AppState>>,
    query: Result<Query<SearchParams>, QueryRejection>,
    request: Request,
) -> Response {
    answer(
        execute(&state, request, no_claimed_user, |_| {
            command(params(query)?)
        })
        .await,
    )
}

fn command(params: SearchParams) -> Result<SearchCommand, Refusal> {
    let given = |id: Option<String>| id.filter(|id| !id.is_empty()).map(LooseId);
    let limit = match params.limit {
        None => PAGE,
        Some(limit @ 1..=50) => usize::try_from(limit).unwrap_or(PAGE),
        Some(_) => return Err(Refusal::invalid("limit is 1 to 50.")),
    };
    Ok(SearchCommand::Messages(MessageQuery {
        query: params
            .query
            .ok_or_else(|| Refusal::invalid("query is missing."))?,
        conversation: given(params.conversation_id)
            .map(|id| id.conversation())
            .transpose()?,
        sender: given(params.sender_id)
            .map(|id| id.user("senderId"))
            .transpose()?,
        before: moment("before", params.before.as_deref())?,
        after: moment("after", params.after.as_deref())?,
        cursor: params.cursor.filter(|cursor| !cursor.is_empty()),
        limit,
    }))
}
