//! HTTP: the same use cases as over the socket.

mod accounts;
mod answer;
mod api;
mod assets;
mod blocks;
mod changes;
mod conversation_files;
mod files;
mod groups;
pub mod openapi;
mod ops;
mod pages;
mod push;
mod request_body;
mod schemas;
mod search;
mod settings;
mod state;
mod unread;

use crate::headers::bearer;
use crate::origin::{Provenance, client_address, is_secure};
use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use answer::{nothing_here, refused};
use axum::Router;
use axum::body::HttpBody;
use axum::extract::{ConnectInfo, DefaultBodyLimit, MatchedPath, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post, put};
use lamplight_usecases::{Code, Identity, Refusal};
pub use request_body::Received;
use state::{Address, Tls};
pub use state::{AppState, Readiness, Ready};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tracing::Instrument;
use unread::read_the_rest;

/// An answer below this size is not counted: its connection costs as much.
const SMALL: u64 = 8_192;

/// Every route except the socket's.
pub fn router(state: Arc<AppState>) -> Router {
    let api = Router::new()
        .route("/api/online-users", get(api::online_users))
        .route(
            "/api/privatechat/conversations",
            get(api::list_conversations).post(api::open_conversation),
        )
        .route(
            "/api/privatechat/conversations/{id}",
            put(api::put_conversation).patch(groups::update),
        )
        .route(
            "/api/privatechat/conversations/{id}/members",
            get(groups::members).post(groups::add),
        )
        .route(
            "/api/privatechat/conversations/{id}/members/{user}",
            put(groups::set_role).delete(groups::remove),
        )
        .route(
            "/api/privatechat/conversations/{id}/read",
            post(api::mark_read),
        )
        .route(
            "/api/privatechat/conversations/{id}/settings",
            put(settings::put_settings),
        )
        .route("/api/privatechat/conversations/{id}/pins", get(api::pins))
        .route("/api/privatechat/conversations/{id}/seq", get(api::seq_at))
        .route(
            "/api/privatechat/conversations/{id}/files",
            get(conversation_files::list),
        )
        .route("/api/privatechat/messages/{id}", get(api::messages))
        .route(
            "/api/privatechat/messages/{id}/{message}",
            patch(changes::edit).delete(changes::delete),
        )
        .route(
            "/api/privatechat/messages/{id}/{message}/reactions/{emoji}",
            put(changes::react).delete(changes::unreact),
        )
        .route(
            "/api/privatechat/messages/{id}/{message}/pin",
            put(changes::pin).delete(changes::unpin),
        )
        .route("/api/privatechat/search", get(search::search))
        .route("/api/privatechat/message", post(api::send))
        .route("/api/blocks", get(blocks::list))
        .route(
            "/api/blocks/{userId}",
            put(blocks::block).delete(blocks::unblock),
        )
        .route("/api/push/key", get(push::key))
        .route(
            "/api/push/subscriptions",
            post(push::subscribe).delete(push::unsubscribe),
        )
        .route("/api/users", get(api::users))
        .route("/api/users/{id}", get(api::user).put(api::put_user))
        .route("/api/users/{id}/sign-out", post(api::sign_out_user))
        .merge(accounts::routes(state.handler.identity()))
        .merge(files::avatars::routes(state.handler.identity()))
        // Inside the layers: no route accepts OPTIONS, and a preflight has to reach the origin
        // check.
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(state.max_payload))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&state),
            bound_unsent,
        ))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&state),
            check_origin,
        ));
    // Neither limit applies to these routes: they stream uploads and downloads.
    let files = files::routes()
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn(read_the_rest))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&state),
            check_origin,
        ));
    Router::new()
        .merge(api)
        .merge(files)
        .merge(pages::routes(state.handler.identity()))
        .route("/healthz", get(ops::healthz))
        .route("/readyz", get(ops::readyz))
        .route("/metrics", get(ops::metrics))
        .route("/openapi.json", get(openapi::openapi))
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(
            Arc::clone(&state),
            request_context,
        ))
        .with_state(state)
}

async fn wrong_method() -> Response {
    let mut response = refused(&Refusal::invalid("This address does not take that method."));
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
}

/// Wraps every request: address, an id for the log, the duration, and security headers.
async fn request_context(
    State(state): State<Arc<AppState>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    let began = tokio::time::Instant::now();
    let address = client_address(request.headers(), peer, &state.authenticator.proxies);
    let tls = is_secure(request.headers(), peer, &state.authenticator.proxies);
    request.extensions_mut().insert(Address(address));
    request.extensions_mut().insert(Tls(tls));
    let id = request_id(&request);
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    let method = request.method().clone();
    let span = tracing::info_span!("request", id = %id, %method, route);
    let admitted = admit(&state, &route, request.headers(), address);
    let mut response = match admitted {
        Ok(()) => next.run(request).instrument(span.clone()).await,
        Err(refusal) => {
            crate::log_notice::too_many_requests(address);
            refused(&refusal)
        }
    };
    // A client that continues after refusals is answered more slowly, which blocks its connection.
    if response.status() == StatusCode::TOO_MANY_REQUESTS
        && let Some(pause) = state.handler.pause_after_refusal(None, address)
    {
        tokio::time::sleep(pause).await;
    }
    let status = response.status().as_u16();
    let took = began.elapsed();
    span.in_scope(|| tracing::debug!(status, took_ms = took.as_secs_f64() * 1e3, "answered"));
    crate::metrics::http(route, status, took);
    let headers = response.headers_mut();
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("same-origin"),
    );
    headers
        .entry(header::X_FRAME_OPTIONS)
        .or_insert(HeaderValue::from_static("DENY"));
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(HeaderName::from_static("x-request-id"), id);
    }
    response
}

/// Counts a request. Every route counts, except liveness. Requests of the host application are
/// admitted beyond the limit; the key is compared there only, where a guess is counted.
fn admit(
    state: &AppState,
    route: &str,
    headers: &HeaderMap,
    address: IpAddr,
) -> Result<(), Refusal> {
    if route == "/healthz" {
        return Ok(());
    }
    state.handler.count_request(address).or_else(|refusal| {
        let compare = |key| state.authenticator.is_server_key(key, address) == Ok(true);
        let is_exempt = |key| state.handler.is_exempt(address, || compare(key));
        if bearer(headers).is_some_and(is_exempt) {
            Ok(())
        } else {
            Err(refusal)
        }
    })
}

/// Refuses an address whose earlier answers wait unread.
async fn bound_unsent(
    State(state): State<Arc<AppState>>,
    request: Request,
    next: Next,
) -> Response {
    let Some(Address(address)) = request.extensions().get::<Address>().copied() else {
        return next.run(request).await;
    };
    if let Err(refusal) = state.unsent.check(address) {
        return refused(&refusal);
    }
    let (parts, body) = next.run(request).await.into_parts();
    if body.size_hint().exact().is_none_or(|bytes| bytes < SMALL) {
        return Response::from_parts(parts, body);
    }
    // The whole answer is in memory: no answer is longer than a page.
    match axum::body::to_bytes(body, usize::MAX).await {
        Ok(bytes) => Response::from_parts(parts, state.unsent.count(address, bytes).into()),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The caller's id of the request if it is plain, otherwise a new one.
fn request_id(request: &Request) -> String {
    let given = request
        .headers()
        .get("x-request-id")
        .and_then(|id| id.to_str().ok());
    let plain = |id: &&str| {
        (1..=64).contains(&id.len())
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    given.filter(plain).map_or_else(fresh_id, str::to_owned)
}

/// Distinguishes requests in the log; it need not be unguessable.
fn fresh_id() -> String {
    getrandom::u64().map_or_else(|_| "unknown".to_owned(), |number| format!("{number:016x}"))
}

/// Cross-site requests: refuses pages of other origins, and lets pages of allowed origins read the
/// answers.
async fn check_origin(
    State(state): State<Arc<AppState>>,
    request: Request,
    next: Next,
) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let preflight = request.method() == Method::OPTIONS
        && request
            .headers()
            .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let open = state.handler.identity() == Identity::Open;
    match state.authenticator.origins.judge(request.headers()) {
        Provenance::Trusted => {}
        // `open` verifies no user, so the origin is the only protection.
        Provenance::CrossSite if open => return foreign(&state, &request),
        Provenance::CrossSite => {}
        Provenance::Foreign => return foreign(&state, &request),
    }
    let mut response = if preflight {
        StatusCode::NO_CONTENT.into_response()
    } else {
        next.run(request).await
    };
    if let Some(origin) = origin {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
            HeaderValue::from_static("true"),
        );
        headers.insert(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static(
                "retry-after, x-request-id, location, tus-resumable, tus-version, tus-extension, tus-max-size, \
                 tus-checksum-algorithm, upload-offset, upload-length, upload-metadata, upload-expires, file-state, \
                 content-disposition, content-range, accept-ranges, etag",
            ),
        );
        headers.append(header::VARY, HeaderValue::from_static("origin"));
        if preflight {
            headers.insert(
                header::ACCESS_CONTROL_ALLOW_METHODS,
                HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE"),
            );
            headers.insert(
                header::ACCESS_CONTROL_ALLOW_HEADERS,
                HeaderValue::from_static(
                    "authorization, content-type, x-request-id, x-socket-id, x-user-id, range, if-none-match, \
                     if-range, tus-resumable, upload-length, upload-metadata, upload-offset, upload-checksum, \
                     upload-defer-length",
                ),
            );
            headers.insert(
                header::ACCESS_CONTROL_MAX_AGE,
                HeaderValue::from_static("600"),
            );
        }
    }
    response
}

fn foreign(state: &AppState, request: &Request) -> Response {
    let why = state.authenticator.origins.explain(request.headers());
    let address = request
        .extensions()
        .get::<Address>()
        .map_or(IpAddr::from([0, 0, 0, 0]), |address| address.0);
    crate::log_notice::foreign("a request", &why, address);
    refused(&Refusal::new(Code::Forbidden, why))
}
