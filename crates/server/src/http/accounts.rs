//! Local accounts: `/api/auth/*`, which are not there in other modes.

use super::answer::{Answered, Asked, answer, handle, json, nobody, refused, run};
use super::openapi::{self as docs};
use super::{Site, Tls, nothing_here};
use crate::auth::SESSION_COOKIE;
use ::http::{HeaderValue, StatusCode, header};
use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{any, get, post};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::handler::Identity;
use lamplight_usecases::{Caller, Command, Refusal, Reply, command::Who};
use lamplight_wire::{body, encode};
use std::sync::Arc;

/// The routes of `/api/auth`. Where accounts are not Lamplight's, nothing is there, whatever is sent and by which method.
pub(crate) fn routes(identity: Identity) -> Router<Arc<Site>> {
    if identity != Identity::Local {
        return Router::new().route("/api/auth/{*rest}", any(nothing_here));
    }
    Router::new()
        .route("/api/auth/register", post(register))
        .route("/api/auth/login", post(login))
        .route("/api/auth/logout", post(logout))
        .route("/api/auth/session", get(session))
}

/// Makes an account and signs in.
#[utoipa::path(post, path = "/api/auth/register", tag = "accounts", request_body = body::Register,
    responses((status = 201, description = "Signed in; the cookie is set", body = docs::SignedInAnswer), docs::Refusals))]
pub(crate) async fn register(State(site): State<Arc<Site>>, request: Request) -> Response {
    let tls = tls(&request);
    let result = sign_in(&site, request, |asked| {
        let body::Register { username, password, name } = asked.body()?;
        Ok(Command::Register { username, password, name })
    });
    signed_in(&site, result.await, StatusCode::CREATED, tls)
}

/// Signs in.
#[utoipa::path(post, path = "/api/auth/login", tag = "accounts", request_body = body::Login,
    responses((status = 200, description = "Signed in; the cookie is set", body = docs::SignedInAnswer), docs::Refusals))]
pub(crate) async fn login(State(site): State<Arc<Site>>, request: Request) -> Response {
    let tls = tls(&request);
    let result = sign_in(&site, request, |asked| {
        let body::Login { username, password } = asked.body()?;
        Ok(Command::Login { username, password })
    });
    signed_in(&site, result.await, StatusCode::OK, tls)
}

/// Ends the session. Its sockets are closed, and its user is out at once unless they are in elsewhere.
#[utoipa::path(post, path = "/api/auth/logout", tag = "accounts", security(("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "Signed out; the cookie is gone", body = docs::Done), docs::Refusals))]
pub(crate) async fn logout(State(site): State<Arc<Site>>, request: Request) -> Response {
    let tls = tls(&request);
    // A page that says whose it is may have been refused because the cookie is somebody else's by now.
    let may_be_stale = !request.headers().contains_key("x-user-id");
    let result = run(&site, request, nobody, |_| Ok(Command::Logout)).await;
    let is_stale = matches!(&result, Err(Refusal { code: lamplight_usecases::Code::Unauthenticated, .. }));
    let over = result.is_ok() || may_be_stale && is_stale;
    let mut response = answer(result);
    if over && let Ok(cookie) = HeaderValue::from_str(&cookie("", 0, tls)) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// Who am I?
#[utoipa::path(get, path = "/api/auth/session", tag = "accounts", security(("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "The user of the session", body = docs::UserAnswer), docs::Refusals))]
pub(crate) async fn session(State(site): State<Arc<Site>>, request: Request) -> Response {
    answer(run(&site, request, nobody, |_| Ok(Command::WhoAmI)).await)
}

fn tls(request: &Request) -> bool {
    request.extensions().get::<Tls>().is_some_and(|tls| tls.0)
}

/// Signing in asks for nothing that was proved before: a stale token must not stand in the way.
async fn sign_in(site: &Site, request: Request, command: impl FnOnce(&Asked) -> Result<Command, Refusal>) -> Result<Answered, Refusal> {
    let asked = Asked::read(site, request).await?;
    let caller = Caller { who: Who::Nobody, session: None, address: Some(asked.address), credential: None };
    handle(site, &caller, command(&asked)?).await
}

fn signed_in(site: &Site, result: Result<Answered, Refusal>, status: StatusCode, tls: bool) -> Response {
    match result {
        Ok(Answered { reply, store }) => {
            let mut response = json(status, encode::reply(&reply, &store));
            if let Reply::SignedIn { token, expires, .. } = &reply
                && let Ok(cookie) = HeaderValue::from_str(&cookie(token, seconds_until(*expires, site.gate.clock.now().wall), tls))
            {
                response.headers_mut().insert(header::SET_COOKIE, cookie);
            }
            response
        }
        Err(refusal) => refused(&refusal),
    }
}

fn seconds_until(at: Timestamp, now: Timestamp) -> i64 {
    at.0.saturating_sub(now.0) / 1_000
}

/// `Secure` where the browser is known to have spoken TLS: without it a page on plain HTTP could not stay signed in.
fn cookie(token: &str, max_age: i64, tls: bool) -> String {
    let secure = if tls { "; Secure" } else { "" };
    format!("{SESSION_COOKIE}={token}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age}{secure}")
}
