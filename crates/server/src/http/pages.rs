//! The chat page and the API's page, served from the binary.

use super::assets;
use super::state::AppState;
use ::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use lamplight_usecases::Identity;
use std::sync::Arc;

/// Allows only content of this server. No inline script, so that markup in a message could do
/// nothing even if it were shown as markup. `'self'` covers `WebSocket` (CSP level 3).
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; style-src 'self' 'unsafe-inline'; connect-src 'self'; \
     frame-src 'none'; manifest-src 'self'; worker-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
);

/// And pictures over https: a host application has its users' pictures anywhere.
const POLICY_WITH_PICTURES: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; img-src 'self' https: data: blob:; media-src 'self' blob:; style-src 'self' 'unsafe-inline'; connect-src 'self'; \
     frame-src 'none'; manifest-src 'self'; worker-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
);

/// Voice messages are recorded; the page uses nothing else of a device.
const PERMISSIONS: HeaderValue = HeaderValue::from_static(
    "camera=(), display-capture=(), geolocation=(), microphone=(self), midi=(), payment=(), usb=()",
);

/// With accounts of this server users choose the addresses of pictures themselves, and upload them
/// here: another server would learn who views them, and when.
fn policy(identity: Identity) -> HeaderValue {
    match identity {
        Identity::Local => POLICY,
        Identity::Jwt | Identity::Open => POLICY_WITH_PICTURES,
    }
}

pub(super) fn routes(identity: Identity) -> Router<Arc<AppState>> {
    Router::new()
        .route("/", get(async || Redirect::temporary("/chat")))
        .route(
            "/chat",
            get(async move |headers: HeaderMap| chat(&headers, identity)),
        )
        .route("/chat/", get(async || Redirect::permanent("/chat")))
        .route(
            "/chat/{*path}",
            get(async move |Path(path): Path<String>, headers: HeaderMap| {
                page(&path, &headers, identity)
            }),
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

/// The page in the best language of the request, or in English. This text shows until the page's
/// script replaces it by the user's language.
fn chat(headers: &HeaderMap, identity: Identity) -> Response {
    let document = assets::accepted(headers, header::ACCEPT_LANGUAGE)
        .iter()
        .map(|tag| tag.split('-').next().unwrap_or(""))
        .take_while(|language| *language != "en")
        .map(|language| format!("index.{language}.html"))
        .find(|document| assets::has_page(document));
    let document = document.as_deref().unwrap_or("index.html");
    let mut response = page(document, headers, identity);
    response
        .headers_mut()
        .append(header::VARY, HeaderValue::from_static("accept-language"));
    response
}

/// The script of the service worker, which lies below the page that it is for.
const WORKER: &str = "sw.js";

fn page(path: &str, headers: &HeaderMap, identity: Identity) -> Response {
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
    guarded(found, missing, policy(identity))
}

fn docs(path: &str, headers: &HeaderMap) -> Response {
    guarded(
        assets::docs(path, headers),
        "There is no such file.",
        POLICY,
    )
}

fn guarded(found: Option<Response>, missing: &'static str, policy: HeaderValue) -> Response {
    let Some(mut response) = found else {
        return (StatusCode::NOT_FOUND, missing).into_response();
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(HeaderName::from_static("permissions-policy"), PERMISSIONS);
    response
}
