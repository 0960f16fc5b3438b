//! The chat page and the API's page, served from the binary.

use super::assets;
use super::state::AppState;
use ::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use std::sync::Arc;

/// Nothing but what this server serves, and pictures over https. No inline script, so that markup
/// in a message could do nothing even if it were shown as markup.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; img-src 'self' https: data: blob:; media-src 'self' blob:; style-src 'self' 'unsafe-inline'; connect-src 'self' ws: wss:; \
     manifest-src 'self'; worker-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
);

pub(super) fn routes() -> Router<Arc<AppState>> {
    Router::new()
        .route("/", get(async || Redirect::temporary("/chat")))
        .route(
            "/chat",
            get(async |headers: HeaderMap| page("index.html", &headers)),
        )
        .route("/chat/", get(async || Redirect::permanent("/chat")))
        .route(
            "/chat/{*path}",
            get(async |Path(path): Path<String>, headers: HeaderMap| page(&path, &headers)),
        )
        .route("/docs", get(async || Redirect::temporary("/docs/")))
        .route(
            "/docs/",
            get(async |headers: HeaderMap| docs("index.html", &headers)),
        )
        .route(
            "/docs/{*path}",
            get(async |Path(path): Path<String>, headers: HeaderMap| docs(&path, &headers)),
        )
}

/// The script of the service worker, which lies below the page that it is for.
const WORKER: &str = "sw.js";

fn page(path: &str, headers: &HeaderMap) -> Response {
    let missing = if path == "index.html" {
        "The chat page is not in this binary: build it with `make build`."
    } else {
        "There is no such file."
    };
    let mut found = assets::page(path, headers);
    if let Some(response) = found.as_mut().filter(|_| path == WORKER) {
        response.headers_mut().insert(
            HeaderName::from_static("service-worker-allowed"),
            HeaderValue::from_static("/chat"),
        );
    }
    guarded(found, missing)
}

fn docs(path: &str, headers: &HeaderMap) -> Response {
    guarded(assets::docs(path, headers), "There is no such file.")
}

fn guarded(found: Option<Response>, missing: &'static str) -> Response {
    let Some(mut response) = found else {
        return (StatusCode::NOT_FOUND, missing).into_response();
    };
    response
        .headers_mut()
        .insert(header::CONTENT_SECURITY_POLICY, POLICY);
    response
}
