//! The files of a conversation's messages.

use super::answer::{answer, execute, no_claimed_user};
use super::api::{Id, id, page_length, params};
use super::schemas::{self as docs};
use super::state::AppState;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::response::Response;
use lamplight_domain::file::FileKind;
use lamplight_usecases::{MessageCommand, Refusal};
use lamplight_wire::loose::LooseId;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;

/// A part of the files of a conversation.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FilesParams {
    /// `media` (pictures and videos), `audio`, `document` (everything else), or several of them with
    /// commas between; all by default.
    kind: Option<String>,
    /// The `nextCursor` of an earlier answer with the same `kind`.
    cursor: Option<String>,
    /// 1 to 200; 50 by default.
    limit: Option<u64>,
}

/// The files that the messages of a conversation have: the newest message first, and the files of a
/// message in its order. A page can have fewer files than `limit`, even none, and a `nextCursor`:
/// then there may be more.
#[utoipa::path(get, path = "/api/privatechat/conversations/{id}/files", operation_id = "list_conversation_files", tag = "files",
    params(("id" = String, Path, description = "The conversation"), FilesParams), security(("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "The files", body = docs::FilesAnswer), docs::Refusals))]
pub(crate) async fn list(
    State(state): State<Arc<AppState>>,
    path: Id,
    query: Result<Query<FilesParams>, QueryRejection>,
    request: Request,
) -> Response {
    answer(
        execute(&state, request, no_claimed_user, |_| {
            let query = params(query)?;
            Ok(MessageCommand::Files {
                conversation: LooseId(id(path)?).conversation()?,
                kinds: kinds(query.kind.as_deref().unwrap_or_default())?,
                cursor: query.cursor.filter(|cursor| !cursor.is_empty()),
                limit: page_length(query.limit)?,
            })
        })
        .await,
    )
}

/// The kinds with these names, each once.
fn kinds(names: &str) -> Result<Vec<FileKind>, Refusal> {
    if names.is_empty() {
        return Ok(FileKind::ALL.into());
    }
    let mut kinds = Vec::with_capacity(FileKind::ALL.len());
    for name in names.split(',') {
        let kind = FileKind::named(name.trim()).ok_or_else(|| {
            Refusal::invalid("kind is media, audio, document, or several with commas between.")
        })?;
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    Ok(kinds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_kinds_count_once_and_unknown_ones_are_refused() {
        assert_eq!(kinds("").unwrap(), FileKind::ALL);
        assert_eq!(
            kinds("document,audio, document").unwrap(),
            [FileKind::Document, FileKind::Audio]
        );
        for bad in ["Media", "media,", ",", "all", "media audio", "\0"] {
            assert!(kinds(bad).is_err(), "{bad}");
        }
    }
}
