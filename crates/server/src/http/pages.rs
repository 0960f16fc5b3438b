//! The chat page and the API's page, served from the binary.

use super::Site;
use ::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::Router;
use axum::extract::{Path, Request};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use rust_embed::{Embed, EmbeddedFile};
use std::sync::Arc;

#[derive(Embed)]
#[folder = "$CARGO_MANIFEST_DIR/../../apps/chat/dist"]
#[allow_missing = true]
struct Page;

/// Nothing but what this server serves, and pictures over https. No inline script, so that markup in a message could
/// do nothing even if it were shown as markup.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; img-src 'self' https: data:; style-src 'self' 'unsafe-inline'; connect-src 'self' ws: wss:; \
     object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
);

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/", get(async || Redirect::temporary("/chat")))
        .route("/chat", get(async |headers: HeaderMap| file("index.html", &headers)))
        .route("/chat/", get(async || Redirect::permanent("/chat")))
        .route("/chat/{*path}", get(async |Path(path): Path<String>, headers: HeaderMap| file(&path, &headers)))
        .route("/docs", get(async || Redirect::temporary("/docs/")))
        .route("/docs/", get(docs))
        .route("/docs/{*path}", get(docs))
}

fn file(path: &str, headers: &HeaderMap) -> Response {
    let Some(found) = Page::get(path) else {
        let missing = if path == "index.html" {
            "The chat page is not in this binary: build it with `make build`."
        } else {
            "There is no such file."
        };
        return (StatusCode::NOT_FOUND, missing).into_response();
    };
    serve(path, &found, headers)
}

fn serve(path: &str, file: &EmbeddedFile, headers: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", hex(&file.metadata.sha256_hash()[..16]));
    // Names of built assets hold a hash of what is in them, so they never change.
    let lasting = path.starts_with("assets/");
    let cache = if lasting { "public, max-age=31536000, immutable" } else { "no-cache" };
    let unchanged = headers.get(header::IF_NONE_MATCH).and_then(|given| given.to_str().ok()).is_some_and(|given| given.contains(&tag));
    let mut response = if unchanged {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let kind = mime_guess::from_path(path).first_or_octet_stream();
        ([(header::CONTENT_TYPE, kind.as_ref().to_owned())], file.data.clone()).into_response()
    };
    let out = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        out.insert(header::ETAG, tag);
    }
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    out.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    response
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn docs(request: Request) -> Response {
    let path = request.uri().path().trim_start_matches("/docs").trim_start_matches('/').to_owned();
    let config = utoipa_swagger_ui::Config::from("/openapi.json");
    match utoipa_swagger_ui::serve(&path, Arc::new(config)) {
        Ok(Some(file)) => {
            let mut response = ([(header::CONTENT_TYPE, file.content_type)], file.bytes.into_owned()).into_response();
            response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, POLICY);
            response
        }
        Ok(None) => (StatusCode::NOT_FOUND, "There is no such file.").into_response(),
        Err(error) => {
            tracing::error!(%error, "the API's page cannot be served");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
