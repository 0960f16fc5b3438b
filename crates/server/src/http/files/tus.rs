//! tus 1.0.0 (<https://tus.io/protocols/resumable-upload>) with the extensions creation,
//! creation-with-upload, checksum, termination and expiration.

use super::download::{download, log};
use crate::files::{Checksum, Outcome, StoreFailure, Upload, UploadEnd, UploadFailure, UploadLock};
use crate::http::answer::{caller_of, refused};
use crate::http::request_body::drain;
use crate::http::schemas as docs;
use crate::http::state::AppState;
use crate::metrics::{self, UploadOutcome};
use ::http::request::Parts;
use ::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lamplight_domain::file::{FileState, StoredFile};
use lamplight_domain::identity::{ConversationId, FileId};
use lamplight_usecases::files::not_allowed;
use lamplight_usecases::ports::Claimed;
use lamplight_usecases::{Caller, Code, FileService, NewUpload, Refusal};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// Between two reports of a file that is examined, which may take longer than an upload may be silent.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);

const VERSION: &str = "1.0.0";
const EXTENSIONS: &str = "creation,creation-with-upload,checksum,termination,expiration";
const ALGORITHMS: &str = "sha1,sha256";
const BYTES: &str = "application/offset+octet-stream";

const RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const LENGTH: HeaderName = HeaderName::from_static("upload-length");
const METADATA: HeaderName = HeaderName::from_static("upload-metadata");
const EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
/// The file's state, which tus has no header for.
const STATE: HeaderName = HeaderName::from_static("file-state");
const CHECKSUM: HeaderName = HeaderName::from_static("upload-checksum");

/// A refusal, with what tus says besides.
struct Refused {
    /// Where it is not the refusal's own.
    status: Option<u16>,
    refusal: Refusal,
    offset: Option<u64>,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self {
            status: None,
            refusal,
            offset: None,
        }
    }
}

impl Refused {
    fn with(status: u16, code: Code, message: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        Self {
            status: Some(status),
            ..Refusal::new(code, message).into()
        }
    }
}

impl From<UploadFailure> for Refused {
    fn from(failure: UploadFailure) -> Self {
        match failure {
            UploadFailure::WrongChecksum => Self::with(
                460,
                Code::Invalid,
                "The bytes do not have this checksum. Send them again.",
            ),
            UploadFailure::TooMany => {
                Refusal::new(Code::TooLong, "The request has more bytes than the file.").into()
            }
            UploadFailure::Store(error) => error.into(),
            UploadFailure::Refused(refusal) => refusal.into(),
        }
    }
}

impl From<StoreFailure> for Refused {
    fn from(failure: StoreFailure) -> Self {
        if let StoreFailure::Missing = failure {
            return not_here();
        }
        log(&failure);
        Refusal::unavailable().into()
    }
}

/// What was uploaded is on another node's disk, or lost: the client begins anew.
fn not_here() -> Refused {
    Refused::with(
        410,
        Code::NotFound,
        "The bytes that were uploaded before are not on this node. Upload the file anew.",
    )
}

fn busy() -> Refused {
    Refused::with(
        423,
        Code::Conflict,
        "Another request writes this upload. Try again in a moment.",
    )
}

fn answered(result: Result<Response, Refused>) -> Response {
    let mut response = result.unwrap_or_else(|refused_with| {
        let mut response = refused(&refused_with.refusal);
        let status = refused_with
            .status
            .and_then(|code| StatusCode::from_u16(code).ok());
        if let Some(status) = status {
            *response.status_mut() = status;
        }
        if status == Some(StatusCode::PRECONDITION_FAILED) {
            let version = HeaderName::from_static("tus-version");
            response
                .headers_mut()
                .insert(version, HeaderValue::from_static(VERSION));
        }
        if let Some(offset) = refused_with.offset {
            response
                .headers_mut()
                .insert(OFFSET, HeaderValue::from(offset));
        }
        response
    });
    response
        .headers_mut()
        .insert(RESUMABLE, HeaderValue::from_static(VERSION));
    response
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn check_version(headers: &HeaderMap) -> Result<(), Refused> {
    if text(headers, &RESUMABLE) == Some(VERSION) {
        return Ok(());
    }
    Err(Refused::with(
        412,
        Code::Invalid,
        "Uploads go by tus 1.0.0: send Tus-Resumable: 1.0.0.",
    ))
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Result<Option<u64>, Refused> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    let value = value.to_str().unwrap_or("?");
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    match value.parse() {
        // The store's integers are signed.
        Ok(number) if is_number && number <= i64::MAX as u64 => Ok(Some(number)),
        _ => Err(Refusal::invalid(format!("{name} is a number of bytes.")).into()),
    }
}

fn has_bytes(headers: &HeaderMap) -> bool {
    text(headers, &header::CONTENT_TYPE).is_some_and(|kind| kind.eq_ignore_ascii_case(BYTES))
}

/// `Upload-Metadata`: keys, each with a value in Base64.
fn metadata(headers: &HeaderMap) -> Result<HashMap<String, String>, Refused> {
    let wrong = || {
        Refused::from(Refusal::invalid(
            "Upload-Metadata has keys with values in Base64, of UTF-8: filename, filetype, conversationId.",
        ))
    };
    let Some(value) = headers.get(&METADATA) else {
        return Ok(HashMap::new());
    };
    let value = value.to_str().map_err(|_| wrong())?;
    let mut pairs = HashMap::new();
    for pair in value
        .split(',')
        .map(str::trim)
        .filter(|pair| !pair.is_empty())
    {
        let (key, encoded) = pair.split_once(' ').unwrap_or((pair, ""));
        let bytes = STANDARD.decode(encoded.trim()).map_err(|_| wrong())?;
        let decoded = String::from_utf8(bytes).map_err(|_| wrong())?;
        pairs.insert(key.to_owned(), decoded);
    }
    Ok(pairs)
}

fn checksum(headers: &HeaderMap) -> Result<Option<Checksum>, Refused> {
    let Some(value) = headers.get(&CHECKSUM) else {
        return Ok(None);
    };
    let wrong = || {
        Refused::from(Refusal::invalid(
            "Upload-Checksum is an algorithm (sha1 or sha256), a space, and the sum in Base64.",
        ))
    };
    let (algorithm, sum) = value
        .to_str()
        .ok()
        .and_then(|value| value.trim().split_once(' '))
        .ok_or_else(wrong)?;
    let sum = STANDARD.decode(sum.trim()).map_err(|_| wrong())?;
    match (algorithm.to_ascii_lowercase().as_str(), sum.len()) {
        ("sha256", 32) => Ok(Some(Checksum::Sha256(sum))),
        ("sha1", 20) => Ok(Some(Checksum::Sha1(sum))),
        _ => Err(wrong()),
    }
}

/// What the server can do, for tus clients.
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
    // The upload is there, whatever became of the first bytes.
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
    responses((status = 204, description = "`Upload-Offset` says how many bytes there are now, `File-State` what became of the file"),
        (status = 409, description = "The server has another number of bytes: `Upload-Offset`"),
        (status = 410, description = "What was uploaded before is not on this node: begin anew"),
        (status = 423, description = "Another request writes the upload"),
        (status = 460, description = "The checksum is another one"), docs::Refusals))]
pub(crate) async fn patch(
    State(state): State<Arc<AppState>>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    answered(go_on(&state, FileId::trusted(id), &parts, body).await)
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
        let why = format!("An upload goes on with Content-Type: {BYTES}.");
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

/// A request with bytes.
struct Wanted {
    caller: Caller,
    id: FileId,
    offset: u64,
    checksum: Option<Checksum>,
}

/// Takes the bytes in a task of its own: hyper drops the handler of a connection that is cut, and
/// what has arrived is to be kept.
async fn run(
    state: &Arc<AppState>,
    wanted: Wanted,
    parts: &Parts,
    body: Body,
) -> Result<StoredFile, Refused> {
    let length = number(&parts.headers, &header::CONTENT_LENGTH)?;
    let state = Arc::clone(state);
    let task = tokio::spawn(async move { receive(&state, wanted, length, body).await });
    task.await
        .unwrap_or_else(|_| Err(Refusal::new(Code::Internal, "The upload failed.").into()))
}

async fn receive(
    state: &Arc<AppState>,
    wanted: Wanted,
    length: Option<u64>,
    body: Body,
) -> Result<StoredFile, Refused> {
    let files = state.handler.files();
    let id = &wanted.id.clone();
    // Before the lock, so that a stranger cannot end an upload.
    files.own(&wanted.caller, id).await?;
    let Some(lock) = state.files.locks.take(id).await else {
        return Err(busy());
    };
    let claimed = files.claim(id).await?;
    let file = files.own(&wanted.caller, id).await;
    if let (Err(_), Some(claimed)) = (&file, &claimed) {
        release(files, id, claimed.generation).await;
    }
    let mut file = file?;
    let Some(claimed) = claimed else {
        // Another request brought its last bytes.
        return match wanted.offset == file.received {
            true => Ok(file),
            false => Err(elsewhere(&file, body).await),
        };
    };
    file.received = claimed.received;
    let generation = claimed.generation;
    let received = take(state, &lock, wanted, length, body, file, claimed).await;
    if !matches!(&received, Ok(file) if file.received == file.file.size) {
        release(files, id, generation).await;
    }
    received
}

/// Lets others write an upload. Where that fails, they wait for a while.
async fn release(files: &FileService, id: &FileId, generation: u64) {
    if let Err(refusal) = files.release(id, generation).await {
        log(&refusal.message);
    }
}

/// The caller is wrong about the bytes that there are.
async fn elsewhere(file: &StoredFile, body: Body) -> Refused {
    drain(body).await;
    let why = format!("{} bytes of this file are there.", file.received);
    Refused {
        offset: Some(file.received),
        ..Refusal::new(Code::Conflict, why).into()
    }
}

/// Takes bytes for an upload that is claimed.
async fn take(
    state: &Arc<AppState>,
    lock: &UploadLock,
    wanted: Wanted,
    length: Option<u64>,
    body: Body,
    file: StoredFile,
    claimed: Claimed,
) -> Result<StoredFile, Refused> {
    let files = state.handler.files();
    if wanted.offset != file.received {
        return Err(elsewhere(&file, body).await);
    }
    if length.is_some_and(|length| length > file.file.size - file.received) {
        drain(body).await;
        return Err(UploadFailure::TooMany.into());
    }
    let mut upload = Upload {
        store: &state.files.store,
        files,
        lock,
        file,
        claimed,
    };
    let outcome = if upload.file.received == upload.file.file.size {
        Ok(UploadEnd::Whole)
    } else {
        let of = upload.file.clone();
        let report = |received| files.report(&of, received, FileState::Uploading);
        report(of.received);
        upload.write(body, wanted.checksum, &report).await
    };
    let (mut file, claimed) = (upload.file, upload.claimed);
    file.received = claimed.received;
    if outcome? == UploadEnd::Cut {
        metrics::upload(UploadOutcome::Cut);
    }
    if file.received == file.file.size {
        file.state = finish(state, &file, &claimed).await?;
    }
    Ok(file)
}

/// What the record says, for a file that nobody else writes.
fn claimed(file: &StoredFile) -> Claimed {
    Claimed {
        generation: file.generation,
        received: file.received,
        place: Arc::clone(&file.place),
    }
}

/// Examines a file whose bytes are all there.
async fn finish(
    state: &Arc<AppState>,
    file: &StoredFile,
    claimed: &Claimed,
) -> Result<FileState, Refused> {
    let files = state.handler.files();
    let report = |state| files.report(file, file.received, state);
    let work = examine(state, file, claimed);
    tokio::pin!(work);
    let mut sign = tokio::time::interval(SIGN_OF_LIFE);
    let ended = loop {
        tokio::select! {
            _ = sign.tick() => report(FileState::Processing),
            ended = &mut work => break ended,
        }
    };
    report(match &ended {
        Ok(state) => *state,
        Err(_) => FileState::Failed,
    });
    metrics::upload(match &ended {
        Ok(_) => UploadOutcome::Finished,
        Err(refused) if refused.refusal.code == Code::UnsupportedMedia => UploadOutcome::Refused,
        Err(_) => UploadOutcome::Failed,
    });
    if let (Ok(FileState::Processing), Some(scans)) = (&ended, &state.files.scans) {
        scans.notify_one();
    }
    ended
}

/// Returns the state of the file then.
async fn examine(
    state: &Arc<AppState>,
    file: &StoredFile,
    claimed: &Claimed,
) -> Result<FileState, Refused> {
    let files = state.handler.files();
    let then = match state.files.scans {
        Some(_) => FileState::Processing,
        None => FileState::Ready,
    };
    let (store, types) = (&state.files.store, &state.files.rules.types);
    let id = &file.file.id;
    match store.examine(file, claimed, types, then).await {
        Ok(Outcome::Ready(found)) => {
            let examined = files.examined(id, found).await;
            if examined.is_err() {
                store.delete_if_gone(files, id, claimed).await;
            }
            Ok(examined?)
        }
        Ok(Outcome::NotAllowed(kind)) => {
            files.refuse(id).await?;
            Err(not_allowed(&kind).into())
        }
        Err(error) => {
            store.delete_if_gone(files, id, claimed).await;
            Err(error.into())
        }
    }
}

/// How far an upload is; without `Tus-Resumable`, what a download would say.
#[utoipa::path(head, path = "/api/files/{id}", operation_id = "file_offset", tag = "files", security(("bearer" = []), ("cookie" = [])),
    params(("id" = String, Path, description = "The file"), ("Tus-Resumable" = String, Header, description = "1.0.0")),
    responses((status = 200, description = "`Upload-Offset`, `Upload-Length` and `File-State`"),
        (status = 410, description = "What was uploaded before is not on this node: begin anew"), docs::Refusals))]
pub(crate) async fn head(
    state: State<Arc<AppState>>,
    path: Path<String>,
    request: Request,
) -> Response {
    if !request.headers().contains_key(RESUMABLE) {
        return download(state, path, request).await;
    }
    let (parts, _) = request.into_parts();
    let state = Arc::clone(&state);
    // In a task of its own, so that a file is examined to its end.
    let answer =
        tokio::spawn(async move { progress(&state, &FileId::trusted(path.0), &parts).await });
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

/// An upload as it is once nobody writes it. This process has the lock.
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
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    let deleted = async {
        let caller = caller_of(&state, &parts).await?;
        let files = state.handler.files();
        files.discard(&caller, &FileId::trusted(id)).await?;
        Ok(StatusCode::NO_CONTENT.into_response())
    };
    answered(deleted.await)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn metadata_has_values_in_base64() {
        let read = |value: &str| metadata(&with(METADATA, value)).ok();
        let pairs = read("filename w6kucG5n,conversationId Yw==, empty").unwrap();
        assert_eq!(pairs["filename"], "é.png");
        assert_eq!(pairs["conversationId"], "c");
        assert_eq!(pairs["empty"], "");
        assert!(read("filename ???").is_none());
        assert!(read("filename /w==").is_none(), "not UTF-8");
        assert!(metadata(&HeaderMap::new()).is_ok_and(|pairs| pairs.is_empty()));
    }

    #[test]
    fn numbers_are_digits_only() {
        let read = |value: &str| number(&with(LENGTH, value), &LENGTH).ok().flatten();
        assert_eq!(read("12"), Some(12));
        for wrong in ["-1", "+1", " 1", "1.0", "0x1", "99999999999999999999", ""] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn checksums_have_a_known_algorithm_and_its_length() {
        let read = |value: &str| checksum(&with(CHECKSUM, value)).ok().flatten();
        assert!(read(&format!("sha1 {}", STANDARD.encode([0; 20]))).is_some());
        assert!(read(&format!("sha256 {}", STANDARD.encode([0; 32]))).is_some());
        for wrong in ["md5 AAAA", "sha1 AAAA", "sha1", "sha256 ???"] {
            assert!(checksum(&with(CHECKSUM, wrong)).is_err(), "{wrong}");
        }
    }
}
