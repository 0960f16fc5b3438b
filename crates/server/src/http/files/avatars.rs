//! Avatars: pictures of accounts and of groups, re-encoded at one size. An avatar's URL has 256
//! random bits and never refers to another picture.

use super::super::answer::{Answered, answer, caller_of, handle, nothing_here, refused};
use super::super::api::{Id, id};
use super::super::request_body::{self, drain};
use super::super::schemas::{self as docs};
use super::super::state::{Address, AppState};
use super::download::{harmless, insert, is_known, log};
use crate::files::{StoreFailure, square};
use ::http::{StatusCode, header};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, put};
use lamplight_domain::entry::DetailsChange;
use lamplight_domain::file::{DOWNLOAD_ONLY, avatar_path, sniff};
use lamplight_domain::group::GroupAction;
use lamplight_domain::identity::FileId;
use lamplight_usecases::{
    AccountCommand, AvatarOwner, Caller, Code, Command, GroupCommand, Identity, Principal, Refusal,
};
use lamplight_wire::loose::LooseId;
use std::net::Ipv4Addr;
use std::sync::Arc;

/// The most bytes of a picture.
const MOST_BYTES: usize = 5_000_000;
/// A picture at an address stays the same.
const FOR_EVER: &str = "private, max-age=31536000, immutable";

/// Only local accounts are Lamplight's to change: elsewhere a profile is the host application's.
pub(in super::super) fn routes(identity: Identity) -> Router<Arc<AppState>> {
    let account = if identity == Identity::Local {
        put(set_account).delete(remove_account)
    } else {
        any(nothing_here)
    };
    Router::new()
        .route("/api/account/avatar", account)
        .route(
            "/api/privatechat/conversations/{id}/avatar",
            put(set_group).delete(remove_group),
        )
        .route("/api/avatars/{id}", get(avatar))
}

/// Gives the caller's account a picture: a PNG, JPEG, GIF or WebP of at most 5 MB, of which the middle
/// square is kept, at 256 pixels and without metadata. `avatarUrl` is its address from then on.
#[utoipa::path(put, path = "/api/account/avatar", operation_id = "set_account_avatar", tag = "accounts",
    request_body(content = Vec<u8>, content_type = "image/png", description = "The picture's bytes; the declared type is ignored"),
    security(("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "The profile", body = docs::UserAnswer), docs::Refusals))]
pub(crate) async fn set_account(State(state): State<Arc<AppState>>, request: Request) -> Response {
    answer(set(&state, request, AvatarOwner::Account).await)
}

/// Removes the picture of the caller's account.
#[utoipa::path(delete, path = "/api/account/avatar", operation_id = "remove_account_avatar", tag = "accounts", security(("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "The profile", body = docs::UserAnswer), docs::Refusals))]
pub(crate) async fn remove_account(
    State(state): State<Arc<AppState>>,
    request: Request,
) -> Response {
    answer(remove(&state, request, AvatarOwner::Account).await)
}

/// Sets the picture of a group, like `PUT /api/account/avatar` for an account. Requires an admin of the
/// group. Appends an entry of the kind `details`.
#[utoipa::path(put, path = "/api/privatechat/conversations/{id}/avatar", operation_id = "set_group_avatar", tag = "groups", params(("id" = String, Path, description = "The conversation")),
    request_body(content = Vec<u8>, content_type = "image/png", description = "The picture's bytes; the declared type is ignored"),
    security(("bearer" = []), ("cookie" = []), ("serverKey" = [])),
    responses((status = 200, description = "The change", body = docs::GroupChangedAnswer), docs::Refusals))]
pub(crate) async fn set_group(
    State(state): State<Arc<AppState>>,
    path: Id,
    request: Request,
) -> Response {
    match group(path) {
        Ok(owner) => answer(set(&state, request, owner).await),
        Err(refusal) => refused(&refusal),
    }
}

/// Removes the picture of a group: its admins may.
#[utoipa::path(delete, path = "/api/privatechat/conversations/{id}/avatar", operation_id = "remove_group_avatar", tag = "groups", params(("id" = String, Path, description = "The conversation")),
    security(("bearer" = []), ("cookie" = []), ("serverKey" = [])),
    responses((status = 200, description = "The change", body = docs::GroupChangedAnswer), docs::Refusals))]
pub(crate) async fn remove_group(
    State(state): State<Arc<AppState>>,
    path: Id,
    request: Request,
) -> Response {
    match group(path) {
        Ok(owner) => answer(remove(&state, request, owner).await),
        Err(refusal) => refused(&refusal),
    }
}

fn group(path: Id) -> Result<AvatarOwner, Refusal> {
    Ok(AvatarOwner::Group(LooseId(id(path)?).conversation()?))
}

async fn set(state: &AppState, request: Request, owner: AvatarOwner) -> Result<Answered, Refusal> {
    let (parts, body) = request.into_parts();
    let files = state.handler.files();
    let allowed = async {
        let caller = caller_of(state, &parts).await?;
        files.may_set_avatar(&caller, &owner).await?;
        Ok(caller)
    };
    let caller: Caller = match allowed.await {
        Ok(caller) => caller,
        Err(refusal) => {
            drain(body).await;
            return Err(refusal);
        }
    };
    let address = parts.extensions.get::<Address>();
    let address = address.map_or(Ipv4Addr::UNSPECIFIED.into(), |address| address.0);
    let mut received = (state.received)(address);
    let bytes = request_body::read(&parts.headers, body, MOST_BYTES, &mut *received).await?;
    let made = square(caller.user().ok(), bytes).await;
    let made = made.map_err(|_| Refusal::unavailable())?;
    let picture = made.ok_or_else(|| {
        let why = "This is no picture that can be an avatar: a PNG, JPEG, GIF or WebP of at most 16,384 pixels a side.";
        Refusal::new(Code::UnsupportedMedia, why)
    })?;
    drop(received);
    let id = files.begin_avatar(&caller, &owner).await?;
    state
        .files
        .store
        .put_avatar(&id, picture)
        .await
        .map_err(|error| {
            log(&error);
            Refusal::unavailable()
        })?;
    handle(state, &caller, command(owner, Some(avatar_path(&id)))).await
}

async fn remove(
    state: &AppState,
    request: Request,
    owner: AvatarOwner,
) -> Result<Answered, Refusal> {
    let (parts, _) = request.into_parts();
    let caller = caller_of(state, &parts).await?;
    handle(state, &caller, command(owner, None)).await
}

/// The change that gives an account or a group this picture.
fn command(owner: AvatarOwner, url: Option<Arc<str>>) -> Command {
    match owner {
        AvatarOwner::Account => AccountCommand::Update {
            name: None,
            avatar_url: Some(url),
        }
        .into(),
        AvatarOwner::Group(conversation) => GroupCommand::Change {
            conversation,
            action: GroupAction::SetDetails(DetailsChange {
                name: None,
                avatar_url: Some(url),
            }),
            key: None,
        }
        .into(),
    }
}

/// A picture, for every signed-in user. With `AUTH=jwt` and `AUTH=open`, `<img>` requests carry no
/// token, so the secret URL is the proof: only signed-in users receive it.
#[utoipa::path(get, path = "/api/avatars/{id}", operation_id = "get_avatar", tag = "people", params(("id" = String, Path, description = "The last part of `avatarUrl`")),
    security(("bearer" = []), ("cookie" = []), ()),
    responses((status = 200, description = "A JPEG or a PNG of 256 pixels a side", content_type = "image/jpeg"), (status = 304, description = "The caller has it"), docs::Refusals))]
pub(crate) async fn avatar(
    State(state): State<Arc<AppState>>,
    path: Id,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    let shown = async {
        let address = parts.extensions.get::<Address>().map(|address| address.0);
        let caller = match state.handler.identity() {
            Identity::Local => {
                let caller = caller_of(&state, &parts).await?;
                caller.user()?;
                caller
            }
            _ => Caller {
                principal: Principal::Anonymous,
                session: None,
                address,
                credential: None,
            },
        };
        state.handler.count_lookup(&caller)?;
        let unknown = || Refusal::new(Code::NotFound, "There is no such picture.");
        let Path(id) = path.map_err(|_| unknown())?;
        if !is_id(&id) {
            return Err(unknown());
        }
        let etag = format!("\"{id}\"");
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        if !is_known(&parts.headers, &etag) {
            let found = state.files.store.avatar(&FileId::trusted(id)).await;
            let bytes = found.map_err(|error| match error {
                StoreFailure::Missing => unknown(),
                error => {
                    log(&error);
                    Refusal::unavailable()
                }
            })?;
            let kind = sniff(&bytes).unwrap_or(DOWNLOAD_ONLY);
            response = Response::new(Body::from(bytes));
            insert(response.headers_mut(), header::CONTENT_TYPE, kind);
        }
        let headers = response.headers_mut();
        insert(headers, header::ETAG, &etag);
        harmless(headers);
        insert(headers, header::CACHE_CONTROL, FOR_EVER);
        Ok(response)
    };
    shown.await.unwrap_or_else(|refusal| refused(&refusal))
}

/// Whether this may be the id of a picture. Other texts never become a path.
fn is_id(id: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=128).contains(&id.len()) && id.bytes().all(is_plain)
}
