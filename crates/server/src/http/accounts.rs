//! Local accounts: `/api/auth/*`, which are not there in other modes.

use super::answer::{
    Answered, ApiRequest, answer, execute, handle, json, no_claimed_user, refused, refused_with,
};
use super::schemas::{self as docs};
use super::state::{AppState, Tls};
use crate::auth::{HOST_SESSION_COOKIE, SESSION_COOKIE};
use crate::headers::bearer;
use ::http::{HeaderValue, StatusCode, header};
use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{any, get, patch, post};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::{
    AccountCommand, AccountReply, Caller, Code, Identity, Principal, Refusal, Reply,
};
use lamplight_wire::{body, decode, encode};
use std::sync::Arc;

/// The routes of accounts. Without local accounts, those below `/api/auth/` answer 404.
pub(crate) fn routes(identity: Identity) -> Router<Arc<AppState>> {
    let settings = Router::new().route(
        "/api/account/settings",
        get(account_settings).put(put_account_settings),
    );
    let settings = settings.route("/api/auth", get(auth));
    if let Err(refusal) = identity.local_accounts() {
        // Says why, since an application may call them by mistake, for example to sign its user out.
        let refuse = any(move || async move { refused(&refusal) });
        return settings
            .route("/api/auth/{*rest}", refuse.clone())
            .route("/api/account", refuse);
    }
    settings
        .route("/api/auth/register", post(register))
        .route("/api/auth/login", post(login))
        .route("/api/auth/logout", post(logout))
        .route("/api/auth/logout-all", post(logout_all))
        .route("/api/auth/password", post(change_password))
        .route("/api/auth/session", get(session))
        .route("/api/account", patch(update_account).delete(delete_account))
}

/// Creates an account and signs in. With the server key it creates one for another user, also with
/// `REGISTRATION=closed`, and answers with the user only.
#[utoipa::path(post, path = "/api/auth/register", tag = "accounts", request_body = body::Register, security((), ("serverKey" = [])),
    responses((status = 201, description = "Signed in; the cookie is set. With the server key `user` only", body = docs::SignedInAnswer),
        docs::Refusals))]
pub(crate) async fn register(State(state): State<Arc<AppState>>, request: Request) -> Response {
    let tls = tls(&request);
    let result = sign_in(&state, request, |request| {
        let body::Register {
            username,
            password,
            name,
        } = request.body()?;
        Ok(AccountCommand::Register {
            username,
            password,
            name,
        })
    });
    signed_in(&state, result.await, StatusCode::CREATED, tls)
}

/// Signs in.
#[utoipa::path(post, path = "/api/auth/login", tag = "accounts", request_body = body::Login, security(()),
    responses((status = 200, description = "Signed in; the cookie is set", body = docs::SignedInAnswer), docs::Refusals))]
pub(crate) async fn login(State(state): State<Arc<AppState>>, request: Request) -> Response {
    let tls = tls(&request);
    let result = sign_in(&state, request, |request| {
        let body::Login { username, password } = request.body()?;
        Ok(AccountCommand::Login { username, password })
    });
    signed_in(&state, result.await, StatusCode::OK, tls)
}

/// Ends the session and closes its sockets. The user goes offline at once, unless another session is
/// online.
#[utoipa::path(post, path = "/api/auth/logout", tag = "accounts", security(("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "Signed out; the cookie is cleared", body = docs::Done), docs::Refusals))]
pub(crate) async fn logout(State(state): State<Arc<AppState>>, request: Request) -> Response {
    let tls = tls(&request);
    // A page that names its user may have been refused because the cookie now belongs to another
    // user.
    let may_be_stale = !request.headers().contains_key("x-user-id");
    let result = execute(&state, request, no_claimed_user, |_| {
        Ok(AccountCommand::Logout)
    })
    .await;
    out(result, may_be_stale, tls)
}

/// Ends every session of the account, this one included.
#[utoipa::path(post, path = "/api/auth/logout-all", tag = "accounts", security(("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "Signed out everywhere; the cookie is cleared", body = docs::Done), docs::Refusals))]
pub(crate) async fn logout_all(State(state): State<Arc<AppState>>, request: Request) -> Response {
    let tls = tls(&request);
    out(
        execute(&state, request, no_claimed_user, |_| {
            Ok(AccountCommand::LogoutAll)
        })
        .await,
        false,
        tls,
    )
}

/// The answer to signing out. It clears the cookie if the session is over.
fn out(result: Result<Answered, Refusal>, may_be_stale: bool, tls: bool) -> Response {
    let over = match &result {
        Ok(_) => true,
        Err(refusal) if refusal.code == Code::Unauthenticated => may_be_stale,
        // The store could not write it, and the session is over all the same.
        Err(refusal) => matches!(refusal.code, Code::Unavailable | Code::Internal),
    };
    let mut response = answer(result);
    if over {
        clear_cookies(&mut response, tls);
    }
    response
}

/// Replaces the password and ends every other session of the account. A wrong `current` is
/// `forbidden` and counts as a sign-in attempt.
#[utoipa::path(post, path = "/api/auth/password", tag = "accounts", request_body = body::ChangePassword,
    security(("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "Changed", body = docs::Done), docs::Refusals))]
pub(crate) async fn change_password(
    State(state): State<Arc<AppState>>,
    request: Request,
) -> Response {
    let result = execute(&state, request, no_claimed_user, |request| {
        let body::ChangePassword { current, next } = request.body()?;
        Ok(AccountCommand::ChangePassword { current, next })
    });
    answer(result.await)
}

/// Changes the name or the picture of the caller's account.
#[utoipa::path(patch, path = "/api/account", tag = "accounts", request_body = body::UpdateAccount,
    security(("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "The profile", body = docs::UserAnswer), docs::Refusals))]
pub(crate) async fn update_account(
    State(state): State<Arc<AppState>>,
    request: Request,
) -> Response {
    answer(
        execute(&state, request, no_claimed_user, |request| {
            decode::update_account(&request.body()?)
        })
        .await,
    )
}

/// Deletes the caller's account and ends its sessions. The user's messages stay in their conversations,
/// under a profile with `deleted: true` and no name, unless `messages` is `delete`. A wrong `password`
/// is `forbidden` and counts as a sign-in attempt.
#[utoipa::path(delete, path = "/api/account", operation_id = "delete_account", tag = "accounts", request_body = body::DeleteAccount,
    security(("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "Deleted; the cookie is cleared", body = docs::Done), docs::Refusals))]
pub(crate) async fn delete_account(
    State(state): State<Arc<AppState>>,
    request: Request,
) -> Response {
    let tls = tls(&request);
    let result = execute(&state, request, no_claimed_user, |request| {
        decode::delete_account(request.body()?)
    })
    .await;
    let is_deleted = result.is_ok();
    let mut response = answer(result);
    if is_deleted {
        clear_cookies(&mut response, tls);
    }
    response
}

/// The caller's privacy settings. A user who hides something does not see it of others. They exist
/// with every `AUTH`.
#[utoipa::path(get, path = "/api/account/settings", operation_id = "account_settings", tag = "people",
    security(("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "The settings", body = docs::AccountSettingsAnswer), docs::Refusals))]
pub(crate) async fn account_settings(
    State(state): State<Arc<AppState>>,
    request: Request,
) -> Response {
    answer(
        execute(&state, request, no_claimed_user, |_| {
            Ok(AccountCommand::Settings)
        })
        .await,
    )
}

/// Changes the caller's privacy settings: whether others see when they were last seen (`lastSeen`) and
/// how far they have read (`receipts`). A caller who hides one does not see that of others either.
#[utoipa::path(put, path = "/api/account/settings", operation_id = "put_account_settings", tag = "people",
    request_body = body::AccountSettingsBody, security(("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "The settings", body = docs::AccountSettingsAnswer), docs::Refusals))]
pub(crate) async fn put_account_settings(
    State(state): State<Arc<AppState>>,
    request: Request,
) -> Response {
    answer(
        execute(&state, request, no_claimed_user, |request| {
            decode::account_settings(&request.body()?)
        })
        .await,
    )
}

/// The signed-in user, or a refusal; both also have `registration`: whether anyone may create an
/// account.
#[utoipa::path(get, path = "/api/auth/session", tag = "accounts", security(("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "The user of the session", body = docs::SessionAnswer), docs::Refusals))]
pub(crate) async fn session(State(state): State<Arc<AppState>>, request: Request) -> Response {
    let is_open = state.handler.is_registration_open();
    match execute(&state, request, no_claimed_user, |_| {
        Ok(AccountCommand::WhoAmI)
    })
    .await
    {
        Ok(Answered {
            reply: Reply::Accounts(AccountReply::User(user)),
            ..
        }) => json(StatusCode::OK, encode::session(Ok(&user), is_open)),
        Err(refusal) if refusal.code == Code::Unauthenticated => {
            refused_with(&refusal, encode::session(Err(&refusal), is_open))
        }
        other => answer(other),
    }
}

/// How this server authenticates users, and the signed-in user: null without a session, and if the
/// server has no accounts. Pages request this first; it succeeds without a session, because browsers
/// log every 401 to the console.
#[utoipa::path(get, path = "/api/auth", tag = "accounts", security((), ("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "How users sign in, and the user of the session", body = docs::AuthAnswer), docs::Refusals))]
pub(crate) async fn auth(State(state): State<Arc<AppState>>, request: Request) -> Response {
    let identity = state.handler.identity();
    let is_open = state.handler.is_registration_open();
    if identity != Identity::Local {
        return json(StatusCode::OK, encode::auth(identity, is_open, None));
    }
    match execute(&state, request, no_claimed_user, |_| {
        Ok(AccountCommand::WhoAmI)
    })
    .await
    {
        Ok(Answered {
            reply: Reply::Accounts(AccountReply::User(user)),
            ..
        }) => json(StatusCode::OK, encode::auth(identity, is_open, Some(&user))),
        Err(refusal) if refusal.code == Code::Unauthenticated => {
            json(StatusCode::OK, encode::auth(identity, is_open, None))
        }
        other => answer(other),
    }
}

fn tls(request: &Request) -> bool {
    request.extensions().get::<Tls>().is_some_and(|tls| tls.0)
}

/// Signing in ignores a token of the request, which may be stale. Only the server key counts.
async fn sign_in(
    state: &AppState,
    request: Request,
    command: impl FnOnce(&ApiRequest) -> Result<AccountCommand, Refusal>,
) -> Result<Answered, Refusal> {
    let request = ApiRequest::read(state, request).await?;
    let is_host = bearer(&request.headers)
        .is_some_and(|key| state.authenticator.proves_host(key, request.address) == Ok(true));
    let principal = if is_host {
        Principal::Service
    } else {
        Principal::Anonymous
    };
    let caller = Caller {
        principal,
        session: None,
        address: Some(request.address),
        credential: None,
    };
    handle(state, &caller, command(&request)?).await
}

fn signed_in(
    state: &AppState,
    result: Result<Answered, Refusal>,
    status: StatusCode,
    tls: bool,
) -> Response {
    match result {
        Ok(Answered { reply, store }) => {
            let mut response = json(status, encode::reply(&reply, &store));
            if let Reply::Accounts(AccountReply::SignedIn { token, expires, .. }) = &reply
                && let Ok(cookie) = HeaderValue::from_str(&cookie(
                    token,
                    seconds_until(*expires, state.authenticator.clock.now().wall),
                    tls,
                ))
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

/// Sets `Secure` only if the browser used TLS: a page on plain HTTP would lose a `Secure` cookie.
fn cookie(token: &str, max_age: i64, tls: bool) -> String {
    let (name, secure) = if tls {
        (HOST_SESSION_COOKIE, "; Secure")
    } else {
        (SESSION_COOKIE, "")
    };
    format!("{name}={token}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age}{secure}")
}

/// Over TLS both names end: a session may have begun over plain HTTP.
fn clear_cookies(response: &mut Response, tls: bool) {
    for tls in if tls { &[true, false][..] } else { &[false] } {
        if let Ok(cookie) = HeaderValue::from_str(&cookie("", 0, *tls)) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
}
