//! Files for members of their conversation. Browsers may show pictures, audio, video and PDF, as
//! detected from the bytes; everything else is a download.

use super::in_path::FileInPath;
use super::range::{Wanted, wanted};
use crate::files::StoreFailure;
use crate::http::answer::{caller_of, json, refused};
use crate::http::schemas as docs;
use crate::http::state::{Address, AppState};
use crate::metrics;
use ::http::request::Parts;
use ::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::response::{IntoResponse, Response};
use futures_util::TryStreamExt as _;
use lamplight_domain::file::{Attachment, DOWNLOAD_ONLY, is_inline, sniff};
use lamplight_domain::identity::{FileId, UserId};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::throttle::{self, Due};
use lamplight_usecases::{Caller, Code, Principal, Refusal, SignedAddress};
use lamplight_wire::encode;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode, utf8_percent_encode};
use serde::Deserialize;
use std::sync::Arc;

/// No script runs, nothing is loaded, and the document has an origin of its own.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox";
/// The characters that RFC 5987 allows unescaped in a file name.
const NAME: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// The parameters of a signed URL.
#[derive(Deserialize)]
struct Signed {
    user: String,
    expires: i64,
    signature: String,
}

/// The caller: by a signed address, or as everywhere.
async fn reader(state: &AppState, parts: &Parts, id: &FileId) -> Result<Caller, Refusal> {
    let Ok(Query(signed)) = Query::<Signed>::try_from_uri(&parts.uri) else {
        return caller_of(state, parts).await;
    };
    let user = UserId::parse(&signed.user)
        .map_err(|why| Refusal::invalid(format!("The user of this address {why}.")))?;
    let address = SignedAddress {
        user: user.clone(),
        expires_at: Timestamp(signed.expires),
        signature: signed.signature,
    };
    state.handler.files().check_signed(id, &address).await?;
    Ok(Caller {
        principal: Principal::User(user),
        session: None,
        address: parts.extensions.get::<Address>().map(|address| address.0),
        credential: None,
    })
}

/// A file, for members of its conversation; before it is sent, for its owner only. Supports one byte
/// range per request.
#[utoipa::path(get, path = "/api/files/{id}", operation_id = "download_file", tag = "files", params(("id" = String, Path, description = "The file")),
    security(("bearer" = []), ("cookie" = []), ()),
    responses((status = 200, description = "The bytes, with the type that they were found to have", content_type = "application/octet-stream"),
        (status = 206, description = "A part of them"), (status = 304, description = "The caller has them"),
        (status = 416, description = "The range is past the end"), docs::Refusals))]
pub(crate) async fn download(
    State(state): State<Arc<AppState>>,
    FileInPath(id): FileInPath,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    match answer(&state, &id, &parts).await {
        Ok(response) => response,
        Err(refusal) => refused(&refusal),
    }
}

async fn answer(state: &AppState, id: &FileId, parts: &Parts) -> Result<Response, Refusal> {
    let caller = reader(state, parts, id).await?;
    let file = state.handler.files().readable(&caller, id).await?.file;
    let etag = format!("\"{id}\"");
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    describe(headers, &file, &etag);
    if is_known(&parts.headers, &etag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    let asked = parts.headers.get(header::RANGE);
    // Of another version, the whole is wanted.
    let is_of_this = parts
        .headers
        .get(header::IF_RANGE)
        .is_none_or(|of| of.as_bytes() == etag.as_bytes());
    let asked = asked
        .filter(|_| is_of_this)
        .and_then(|value| value.to_str().ok());
    let (part, length) = match wanted(asked, file.size) {
        Wanted::Whole => (None, file.size),
        Wanted::Part(part) => {
            let length = part.end - part.start;
            let range = format!("bytes {}-{}/{}", part.start, part.end - 1, file.size);
            insert(headers, header::CONTENT_RANGE, &range);
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            (Some(part), length)
        }
        Wanted::Nothing => {
            insert(
                headers,
                header::CONTENT_RANGE,
                &format!("bytes */{}", file.size),
            );
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            return Ok(response);
        }
    };
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    if parts.method != Method::HEAD && length > 0 {
        let bytes = state.files.store.read(id, part).await.map_err(unreadable)?;
        let counted = bytes.inspect_ok(|some| metrics::file_served(some.len() as u64));
        *response.body_mut() = Body::from_stream(counted);
    }
    Ok(response)
}

/// The headers that describe a file and keep browsers from executing it.
fn describe(headers: &mut HeaderMap, file: &Attachment, etag: &str) {
    let is_shown = is_inline(&file.media_type);
    let kind = if is_shown {
        &*file.media_type
    } else {
        DOWNLOAD_ONLY
    };
    insert(headers, header::CONTENT_TYPE, kind);
    insert(
        headers,
        header::CONTENT_DISPOSITION,
        &disposition(is_shown, &file.name),
    );
    insert(headers, header::ETAG, etag);
    insert(headers, header::ACCEPT_RANGES, "bytes");
    harmless(headers);
}

pub(in crate::http) fn harmless(headers: &mut HeaderMap) {
    insert(headers, header::CONTENT_SECURITY_POLICY, POLICY);
    // Check every request.
    insert(headers, header::CACHE_CONTROL, "private, no-cache");
}

pub(in crate::http) fn insert(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// `Content-Disposition` (RFC 6266): the name in ASCII for old clients, and as it is.
fn disposition(is_shown: bool, name: &str) -> String {
    let how = if is_shown { "inline" } else { "attachment" };
    let plain: String = name
        .chars()
        .map(|c| match c {
            '"' | '\\' | '%' => '_',
            ' '..='~' => c,
            _ => '_',
        })
        .collect();
    let whole = utf8_percent_encode(name, NAME);
    format!("{how}; filename=\"{plain}\"; filename*=UTF-8''{whole}")
}

/// Whether the caller already has this version.
pub(in crate::http) fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let known = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok());
    known.is_some_and(|known| {
        known.trim() == "*"
            || known
                .split(',')
                .any(|one| one.trim().trim_start_matches("W/") == etag)
    })
}

fn unreadable(error: StoreFailure) -> Refusal {
    if let StoreFailure::Missing = error {
        // Another node's disk may have it.
        return Refusal::new(
            Code::NotFound,
            "The bytes of this file are not on this node.",
        );
    }
    log(&error);
    Refusal::unavailable()
}

pub(in crate::http) fn log(error: &dyn std::fmt::Display) {
    metrics::file_error();
    if let Some(Due { left_out }) = throttle::due("files", &error.to_string(), None) {
        tracing::error!(cause = %error, left_out, "the bytes of a file could not be read or written");
    }
}

/// A small picture of a file, for those who may have the file.
#[utoipa::path(get, path = "/api/files/{id}/thumbnail", operation_id = "file_thumbnail", tag = "files", params(("id" = String, Path, description = "The file")),
    security(("bearer" = []), ("cookie" = []), ()),
    responses((status = 200, description = "A JPEG or a PNG", content_type = "image/jpeg"), (status = 304, description = "The caller has it"), docs::Refusals))]
pub(crate) async fn thumbnail(
    State(state): State<Arc<AppState>>,
    FileInPath(id): FileInPath,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    match small(&state, &id, &parts).await {
        Ok(response) => response,
        Err(refusal) => refused(&refusal),
    }
}

async fn small(state: &AppState, id: &FileId, parts: &Parts) -> Result<Response, Refusal> {
    let caller = reader(state, parts, id).await?;
    let file = state.handler.files().readable(&caller, id).await?.file;
    if !file.has_thumbnail {
        return Err(Refusal::new(Code::NotFound, "This file has no thumbnail."));
    }
    let etag = format!("\"{id}.thumbnail\"");
    let mut response = StatusCode::NOT_MODIFIED.into_response();
    if !is_known(&parts.headers, &etag) {
        let bytes = state.files.store.thumbnail(id).await.map_err(unreadable)?;
        metrics::file_served(bytes.len() as u64);
        let kind = sniff(&bytes).unwrap_or(DOWNLOAD_ONLY);
        response = Response::new(Body::from(bytes));
        insert(response.headers_mut(), header::CONTENT_TYPE, kind);
    }
    insert(response.headers_mut(), header::ETAG, &etag);
    harmless(response.headers_mut());
    Ok(response)
}

/// An address of a file that works without a cookie or a token, for the caller and for 12 hours:
/// for pictures and players of a page. Whether the caller may have the file is checked at each use.
#[utoipa::path(post, path = "/api/files/{id}/url", operation_id = "sign_file_url", tag = "files", security(("bearer" = []), ("cookie" = [])), params(("id" = String, Path, description = "The file")),
    responses((status = 200, description = "The address", body = docs::SignedUrlAnswer), docs::Refusals))]
pub(crate) async fn sign(
    State(state): State<Arc<AppState>>,
    FileInPath(id): FileInPath,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    let signed = async {
        let caller = caller_of(&state, &parts).await?;
        state.handler.files().sign(&caller, &id).await
    };
    match signed.await {
        Ok(address) => {
            let query = |text: &str| percent_encode(text.as_bytes(), NON_ALPHANUMERIC).to_string();
            let url = format!(
                "/api/files/{}?user={}&expires={}&signature={}",
                query(id.as_str()),
                query(address.user.as_str()),
                address.expires_at.0,
                query(&address.signature)
            );
            json(StatusCode::OK, encode::signed_url(&url, address.expires_at))
        }
        Err(refusal) => refused(&refusal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_cannot_break_out_of_its_header() {
        assert_eq!(
            disposition(false, "a\"b\\c%22;é\u{202e}.txt"),
            "attachment; filename=\"a_b_c_22;__.txt\"; filename*=UTF-8''a%22b%5Cc%2522%3B%C3%A9%E2%80%AE.txt"
        );
        assert_eq!(
            disposition(true, "plan.png"),
            "inline; filename=\"plan.png\"; filename*=UTF-8''plan.png"
        );
    }

    #[test]
    fn a_version_that_the_caller_has_is_not_sent_again() {
        let with = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static(value));
            is_known(&headers, "\"f\"")
        };
        assert!(with("\"f\"") && with("*") && with("\"a\", W/\"f\""));
        assert!(!with("\"g\"") && !with("f") && !with(""));
    }
}
