//! Turns requests into commands, and replies and refusals into responses.

use super::request_body;
use super::state::{Address, AppState};
use crate::auth::{Credentials, claimed};
use crate::headers;
use ::http::request::Parts;
use ::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::extract::{Query, Request};
use axum::response::{IntoResponse, Response};
use lamplight_domain::identity::{ConnectionId, Generation, UserId};
use lamplight_usecases::{
    Caller, Code, Command, ConversationReply, Identity, MessageReply, Principal, Refusal, Reply,
    Scope,
};
use lamplight_wire::loose::LooseId;
use lamplight_wire::{body, decode, encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Writes without a body.
const SIGN_OUT: [&str; 2] = ["/api/auth/logout", "/api/auth/logout-all"];

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Whether a POST to this path needs no body. Those under `/api/users/` need the server key, which no
/// browser sends by itself.
fn signs_out(path: &str) -> bool {
    let is_of_host = path.starts_with("/api/users/") && path.ends_with("/sign-out");
    is_of_host || SIGN_OUT.contains(&path)
}

pub(super) fn json(status: StatusCode, text: String) -> Response {
    (status, [(header::CONTENT_TYPE, JSON)], text).into_response()
}

pub(super) fn refused(refusal: &Refusal) -> Response {
    refused_with(refusal, encode::refusal(refusal))
}

/// A refusal with a body of its own.
pub(super) fn refused_with(refusal: &Refusal, body: String) -> Response {
    crate::metrics::refused(refusal.code.as_str());
    let status =
        StatusCode::from_u16(refusal.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json(status, body);
    if let Some(wait) = refusal.retry_after {
        // Whole seconds, rounded up.
        response.headers_mut().insert(
            header::RETRY_AFTER,
            HeaderValue::from(wait.as_millis().div_ceil(1_000) as u64),
        );
    }
    if refusal.code == Code::Unauthenticated {
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// A reply, and the generation of the store that it was read from.
pub(super) struct Answered {
    pub(super) reply: Reply,
    pub(super) store: Generation,
}

/// Executes a command. Reads the generation first: if it changes meanwhile, the client sees it in
/// its next answer.
pub(super) async fn handle(
    state: &AppState,
    caller: &Caller,
    command: impl Into<Command>,
) -> Result<Answered, Refusal> {
    let store = state.handler.generation();
    state
        .handler
        .handle(caller, command.into())
        .await
        .map(|reply| Answered { reply, store })
}

pub(super) fn answer(result: Result<Answered, Refusal>) -> Response {
    match result {
        Ok(Answered { reply, store }) => {
            let status = match &reply {
                Reply::Conversations(ConversationReply::One { created: true, .. }) => {
                    StatusCode::CREATED
                }
                Reply::Messages(MessageReply::Sent {
                    duplicate: false, ..
                }) => StatusCode::CREATED,
                _ => StatusCode::OK,
            };
            json(status, encode::reply(&reply, &store))
        }
        Err(refusal) => refused(&refusal),
    }
}

/// The parts of a request: headers, origin, and the bytes of the body.
pub(super) struct ApiRequest {
    pub(super) headers: HeaderMap,
    pub(super) address: std::net::IpAddr,
    pub(super) bytes: Vec<u8>,
    /// Counts the bytes until it is dropped.
    _received: Box<dyn request_body::Received>,
    /// The user in the query of a read, for `AUTH=open` only.
    named: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OpenQuery {
    user_id: Option<String>,
}

/// Pages of the original system name no user when they fetch; in `open` the query of a read can name
/// one.
fn named(parts: &Parts) -> Option<String> {
    let reads = parts.method == Method::GET || parts.method == Method::HEAD;
    Query::<OpenQuery>::try_from_uri(&parts.uri)
        .ok()
        .and_then(|Query(query)| query.user_id)
        .filter(|_| reads)
}

impl ApiRequest {
    /// Reads a request whose body, if it has one, is JSON.
    pub(super) async fn read(state: &AppState, request: Request) -> Result<Self, Refusal> {
        let (parts, body) = request.into_parts();
        let address = parts
            .extensions
            .get::<Address>()
            .map_or(std::net::Ipv4Addr::UNSPECIFIED.into(), |address| address.0);
        let mut received = (state.received)(address);
        let bytes =
            request_body::read(&parts.headers, body, state.max_payload, &mut *received).await?;
        let reads = parts.method == Method::GET || parts.method == Method::HEAD;
        // Other sites cannot send these without a preflight, whatever their content type.
        let may_be_empty = reads || parts.method == Method::PUT || parts.method == Method::DELETE;
        let kind = parts.headers.get(header::CONTENT_TYPE);
        // Signing out needs no body, and without a body its content type does not matter. (The
        // origin was checked before.)
        let says_nothing = bytes.is_empty() && kind.is_none() && signs_out(parts.uri.path());
        if !says_nothing && (!bytes.is_empty() || !may_be_empty) {
            request_body::check_media(&parts.headers)?;
        }
        let named = named(&parts);
        Ok(Self {
            headers: parts.headers,
            address,
            bytes,
            _received: received,
            named,
        })
    }

    /// A request whose body is read elsewhere, or not at all.
    fn without_body(state: &AppState, parts: &Parts) -> Self {
        let address = parts
            .extensions
            .get::<Address>()
            .map_or(std::net::Ipv4Addr::UNSPECIFIED.into(), |address| address.0);
        Self {
            headers: parts.headers.clone(),
            address,
            bytes: Vec::new(),
            _received: (state.received)(address),
            named: named(parts),
        }
    }

    /// The caller of a request whose body does not name the user.
    async fn caller_alone(&self, state: &AppState) -> Result<Caller, Refusal> {
        let (caller, _) = self.caller(state, no_claimed_user).await?;
        let is_open = state.handler.identity() == Identity::Open;
        if is_open && caller.principal == Principal::Anonymous {
            return Err(nameless());
        }
        Ok(caller)
    }

    pub(super) fn body<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        decode::json(request_body::text(&self.bytes)?)
    }

    /// The same for an optional body.
    pub(super) fn body_if_any<T: DeserializeOwned + Default>(&self) -> Result<T, Refusal> {
        if self.bytes.is_empty() {
            Ok(T::default())
        } else {
            self.body()
        }
    }

    /// The caller. In `open`, `body_says` reads the user from the body if the header has none. Also
    /// why the token was not compared with the server key, if it was not.
    async fn caller(
        &self,
        state: &AppState,
        body_says: fn(body::OpenIdentity) -> Option<LooseId>,
    ) -> Result<(Caller, Option<Refusal>), Refusal> {
        let Credentials {
            principal,
            credential,
            not_compared,
            ..
        } = state
            .authenticator
            .request(&self.headers, self.address)
            .await?;
        let principal = match principal {
            Principal::Anonymous if state.handler.identity() == Identity::Open => self
                .claimed(body_says)?
                .map_or(Principal::Anonymous, Principal::UnverifiedUser),
            principal => principal,
        };
        // An invalid id names no socket; the message is accepted all the same.
        let session = headers::id(&self.headers, "x-socket-id")
            .ok()
            .flatten()
            .and_then(|id| ConnectionId::parse(&id).ok());
        Ok((
            Caller {
                principal,
                session,
                address: Some(self.address),
                credential,
            },
            not_compared,
        ))
    }

    fn claimed(
        &self,
        body_says: fn(body::OpenIdentity) -> Option<LooseId>,
    ) -> Result<Option<UserId>, Refusal> {
        if let Some(user) = claimed(&self.headers)? {
            return Ok(Some(user));
        }
        // An unreadable body names no user here; decoding the command reports its error.
        let identity: body::OpenIdentity = self.body().unwrap_or_default();
        let said = body_says(identity).or_else(|| self.named.clone().map(LooseId));
        said.map(|id| id.user("The user id")).transpose()
    }
}

/// The caller of a request whose body is read elsewhere, or not at all.
pub(super) async fn caller_of(state: &AppState, parts: &Parts) -> Result<Caller, Refusal> {
    ApiRequest::without_body(state, parts)
        .caller_alone(state)
        .await
}

/// Reads the request, authenticates the caller, and executes what `command` decodes.
pub(super) async fn execute<C: Into<Command>>(
    state: &AppState,
    request: Request,
    body_says: fn(body::OpenIdentity) -> Option<LooseId>,
    command: impl FnOnce(&ApiRequest) -> Result<C, Refusal>,
) -> Result<Answered, Refusal> {
    let request = ApiRequest::read(state, request).await?;
    let (caller, not_compared) = request.caller(state, body_says).await?;
    let is_open = state.handler.identity() == Identity::Open;
    let command: Command = command(&request).map(Into::into).map_err(|refusal| {
        // Reports missing authentication before validation errors. In `open` the unreadable body
        // may have named the user.
        let must_be_known = !is_open && caller.principal == Principal::Anonymous;
        if must_be_known {
            Refusal::unauthenticated()
        } else {
            refusal
        }
    })?;
    let is_for_host = command.metadata().scope == Scope::Service;
    let answered = handle(state, &caller, command).await;
    answered.map_err(|refusal| match not_compared {
        // The key may have been correct.
        Some(not_compared) if is_open && refusal.code == Code::Unauthenticated => not_compared,
        None if is_open && refusal.code == Code::Unauthenticated && !is_for_host => nameless(),
        _ => refusal,
    })
}

/// `open` has no sign-in: the request has to name a user.
fn nameless() -> Refusal {
    let how = "The request names no user: send the header X-User-Id, or add ?userId= to the URL of a GET.";
    Refusal::new(Code::Unauthenticated, how)
}

/// The body never names the user.
pub(super) fn no_claimed_user(_: body::OpenIdentity) -> Option<LooseId> {
    None
}

pub(super) async fn nothing_here() -> Response {
    refused(&Refusal::new(
        Code::NotFound,
        "There is nothing at this address.",
    ))
}
