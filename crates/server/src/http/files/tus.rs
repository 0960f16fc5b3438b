//! tus 1.0.0 (<https://tus.io/protocols/resumable-upload>) with the extensions creation,
//! creation-with-upload, checksum, termination and expiration.

mod headers;
mod names;
mod receive;
mod refused;

use super::download::download;
use super::in_path::FileInPath;
use crate::http::answer::caller_of;
use crate::http::schemas as docs;
use crate::http::state::AppState;
use crate::metrics::{self, UploadOutcome};
use ::http::request::Parts;
use ::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headers::{check_version, checksum, has_bytes, metadata, number};
use lamplight_domain::file::{FileState, StoredFile};
use lamplight_domain::identity::{ConversationId, FileId};
use lamplight_usecases::{Caller, Code, NewUpload, Refusal};
use names::{
    ALGORITHMS, BYTES, EXPIRES, EXTENSIONS, LENGTH, METADATA, OFFSET, RESUMABLE, STATE, VERSION,
};
use receive::{Wanted, claimed, finish, release, run};
use refused::{Refused, answered, busy, not_here};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// The server's capabilities, for tus clients.
pub(crate) async fn options(State(state): State<Arc<AppState>>) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        ("tus-version", VERSION),
        ("tus-extension", EXTENSIONS),
        ("tus-checksum-algorithm", ALGORITHMS),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if state.files.rules.max_size > 0 {
        headers.insert(
            "tus-max-size",
            HeaderValue::from(state.files.rules.max_size),
        );
    }
    answered(Ok(response))
}

/// Begins an upload by tus 1.0.0. `Upload-Metadata` has `filename`, `filetype` and `conversationId`,
/// each in Base64. The last part of `Location` is the file's id.
#[utoipa::path(post, path = "/api/files", operation_id = "create_file", tag = "files", security(("bearer" = []), ("cookie" = [])),
    params(("Tus-Resumable" = String, Header, description = "1.0.0"), ("Upload-Length" = u64, Header, description = "The bytes of the file"),
        ("Upload-Metadata" = String, Header, description = "filename, filetype, conversationId")),
    responses((status = 201, description = "The upload has begun"), docs::Refusals))]
pub(crate) async fn create(State(state): State<Arc<AppState>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    answered(begin(&state, &parts, body).await)
}

async fn begin(state: &Arc<AppState>, parts: &Parts, body: Body) -> Result<Response, Refused> {
    let headers = &parts.headers;
    let caller = caller_of(state, parts).await?;
    caller.user()?;
    check_version(headers)?;
    if headers.contains_key("upload-defer-length") {
        let why = "The length of a file is known at its beginning: send Upload-Length.";
        return Err(Refusal::invalid(why).into());
    }
    let size =
        number(headers, &LENGTH)?.ok_or_else(|| Refusal::invalid("Upload-Length is missing."))?;
    let checksum = checksum(headers)?;
    let mut pairs = metadata(headers)?;
    let mut take = |key: &str| pairs.remove(key).unwrap_or_default();
    let conversation = ConversationId::parse(&take("conversationId"))
        .map_err(|why| Refusal::invalid(format!("conversationId in Upload-Metadata {why}.")))?;
    let upload = NewUpload {
        conversation,
        name: take("filename"),
        media_type: take("filetype"),
        size,
    };
    let files = state.handler.files();
    let mut file = files.create(&caller, upload, &state.files.rules).await?;
    metrics::upload(UploadOutcome::Begun);
    let id = file.file.id.clone();
    let received = if has_bytes(headers) {
        let wanted = Wanted {
            caller,
            id: id.clone(),
            offset: 0,
            checksum,
        };
        run(state, wanted, parts, body).await
    } else if size == 0 {
        let claimed = claimed(&file);
        let finished = finish(state, &file, &claimed).await;
        finished.map(|state| StoredFile {
            state,
            ..file.clone()
        })
    } else {
        Ok(file.clone())
    };
    // The upload exists, even if its first bytes failed.
    let mut response = match received {
        Ok(received) => {
            file = received;
            StatusCode::CREATED.into_response()
        }
        Err(refused) => answered(Err(refused)),
    };
    let headers = response.headers_mut();
    if let Ok(location) = HeaderValue::from_str(&format!("/api/files/{id}")) {
        headers.insert(header::LOCATION, location);
    }
    headers.insert(OFFSET, HeaderValue::from(file.received));
    headers.insert(STATE, HeaderValue::from_static(file.state.as_str()));
    expires(state, &file, headers);
    Ok(response)
}

fn expires(state: &AppState, file: &StoredFile, headers: &mut HeaderMap) {
    let at = state.handler.files().expires_at(file);
    let since = Duration::from_millis(u64::try_from(at.0).unwrap_or(0));
    if let Ok(value) = HeaderValue::from_str(&httpdate::fmt_http_date(UNIX_EPOCH + since)) {
        headers.insert(EXPIRES, value);
    }
}

/// Goes on with an upload.
#[utoipa::path(patch, path = "/api/files/{id}", operation_id = "upload_file", tag = "files", security(("bearer" = []), ("cookie" = [])),
    params(("id" = String, Path, description = "The file"), ("Tus-Resumable" = String, Header, description = "1.0.0"),
        ("Upload-Offset" = u64, Header, description = "The bytes that the server has"),
        ("Upload-Checksum" = Option<String>, Header, description = "sha1 or sha256, and the sum in Base64")),
    responses((status = 204, description = "`Upload-Offset` is the number of received bytes, `File-State` the state of the file"),
        (status = 409, description = "The server has another number of bytes: `Upload-Offset`"),
        (status = 410, description = "The earlier bytes are not on this node: restart the upload"),
        (status = 423, description = "Another request writes the upload"),
        (status = 460, description = "The checksum is another one"), docs::Refusals))]
pub(crate) async fn patch(
    State(state): State<Arc<AppState>>,
    FileInPath(id): FileInPath,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    answered(go_on(&state, id, &parts, body).await)
}

async fn go_on(
    state: &Arc<AppState>,
    id: FileId,
    parts: &Parts,
    body: Body,
) -> Result<Response, Refused> {
    let caller = caller_of(state, parts).await?;
    caller.user()?;
    let headers = &parts.headers;
    check_version(headers)?;
    if !has_bytes(headers) {
        let why = format!("Send the bytes of an upload with Content-Type: {BYTES}.");
        return Err(Refusal::new(Code::UnsupportedMedia, why).into());
    }
    let wanted = Wanted {
        caller,
        id,
        offset: number(headers, &OFFSET)?
            .ok_or_else(|| Refusal::invalid("Upload-Offset is missing."))?,
        checksum: checksum(headers)?,
    };
    let file = run(state, wanted, parts, body).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(OFFSET, HeaderValue::from(file.received));
    headers.insert(STATE, HeaderValue::from_static(file.state.as_str()));
    expires(state, &file, headers);
    Ok(response)
}

/// The offset of an upload; without `Tus-Resumable`, the headers of a download.
#[utoipa::path(head, path = "/api/files/{id}", operation_id = "file_offset", tag = "files", security(("bearer" = []), ("cookie" = [])),
    params(("id" = String, Path, description = "The file"), ("Tus-Resumable" = String, Header, description = "1.0.0")),
    responses((status = 200, description = "`Upload-Offset`, `Upload-Length` and `File-State`"),
        (status = 410, description = "The earlier bytes are not on this node: restart the upload"), docs::Refusals))]
pub(crate) async fn head(
    state: State<Arc<AppState>>,
    path: FileInPath,
    request: Request,
) -> Response {
    if !request.headers().contains_key(RESUMABLE) {
        return download(state, path, request).await;
    }
    let (parts, _) = request.into_parts();
    let state = Arc::clone(&state);
    // In a task of its own, so that a file is examined to its end.
    let answer = tokio::spawn(async move { progress(&state, &path.0, &parts).await });
    answered(
        answer
            .await
            .unwrap_or_else(|_| Err(Refusal::new(Code::Internal, "The upload failed.").into())),
    )
}

async fn progress(state: &Arc<AppState>, id: &FileId, parts: &Parts) -> Result<Response, Refused> {
    let caller = caller_of(state, parts).await?;
    caller.user()?;
    check_version(&parts.headers)?;
    let files = state.handler.files();
    let mut file = files.own(&caller, id).await?;
    if file.state == FileState::Uploading {
        let Some(_lock) = state.files.locks.take(id).await else {
            return Err(busy());
        };
        file = files.own(&caller, id).await?;
        file = settled(state, &caller, file).await?;
    }
    let mut response = StatusCode::OK.into_response();
    let headers = response.headers_mut();
    headers.insert(OFFSET, HeaderValue::from(file.received));
    headers.insert(LENGTH, HeaderValue::from(file.file.size));
    headers.insert(STATE, HeaderValue::from_static(file.state.as_str()));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let pairs = [
        ("filename", &*file.file.name),
        ("filetype", &*file.file.media_type),
        ("conversationId", file.conversation.as_str()),
    ];
    let pairs = pairs.map(|(key, value)| format!("{key} {}", STANDARD.encode(value)));
    if let Ok(value) = HeaderValue::from_str(&pairs.join(",")) {
        headers.insert(METADATA, value);
    }
    if file.message_seq.is_none() {
        expires(state, &file, headers);
    }
    Ok(response)
}

/// The upload, once no request writes it. The caller holds this process's lock.
async fn settled(
    state: &Arc<AppState>,
    caller: &Caller,
    mut file: StoredFile,
) -> Result<StoredFile, Refused> {
    let files = state.handler.files();
    let id = file.file.id.clone();
    let is_whole = |file: &StoredFile| file.received == file.file.size;
    let mut claimed = claimed(&file);
    if file.state == FileState::Uploading && (file.is_claimed || is_whole(&file)) {
        let Some(now) = files.claim(&id).await? else {
            return Ok(files.own(caller, &id).await?);
        };
        claimed = now;
        file.received = claimed.received;
        if is_whole(&file) {
            // A crash came before it was examined.
            let finished = finish(state, &file, &claimed).await;
            if finished.is_err() {
                release(files, &id, claimed.generation).await;
            }
            return finished.map(|state| StoredFile { state, ..file });
        }
        release(files, &id, claimed.generation).await;
    }
    if file.state == FileState::Uploading && !state.files.store.is_here(&id, &claimed).await? {
        return Err(not_here());
    }
    Ok(file)
}

/// Deletes a file that was not sent.
#[utoipa::path(delete, path = "/api/files/{id}", operation_id = "delete_file", tag = "files", security(("bearer" = []), ("cookie" = [])), params(("id" = String, Path, description = "The file")),
    responses((status = 204, description = "Deleted"), docs::Refusals))]
pub(crate) async fn delete(
    State(state): State<Arc<AppState>>,
    FileInPath(id): FileInPath,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    let deleted = async {
        let caller = caller_of(&state, &parts).await?;
        let files = state.handler.files();
        files.discard(&caller, &id).await?;
        Ok(StatusCode::NO_CONTENT.into_response())
    };
    answered(deleted.await)
}
