//! Authenticates callers. The use cases authorize them.

use crate::headers::{self, bearer};
use crate::jwt::{TokenError, TokenVerifier, Verified};
use crate::log_notice;
use crate::origin::{Origins, Provenance};
use ::http::HeaderMap;
use ipnet::IpNet;
use lamplight_domain::identity::UserId;
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::{Clock, ProfileSource};
use lamplight_usecases::throttle::{self, Due};
use lamplight_usecases::{Code, Handler, Identity, Principal, Refusal};
use lamplight_wire::decode;
use std::net::IpAddr;
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// The cookie of a local session where the browser speaks plain HTTP.
pub const SESSION_COOKIE: &str = "lamplight_session";

/// The cookie of a local session over TLS. Browsers take a name with this prefix only from the host
/// itself, with `Secure` and for all paths (RFC 6265bis, section 4.1.3.2), so that no page of a
/// neighbouring subdomain can sign a visitor in as somebody else.
pub const HOST_SESSION_COOKIE: &str = "__Host-lamplight_session";

/// A verified token, cookie or key.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub principal: Principal,
    /// The digest of the local session's token.
    pub credential: Option<Arc<str>>,
    /// When the token or session expires.
    pub expires: Option<Timestamp>,
    /// When the host application issued the token, if the token has that.
    pub issued_at: Option<Timestamp>,
    /// Why the token was not compared with the server key, if it was not.
    pub not_compared: Option<Refusal>,
}

impl Credentials {
    fn by(principal: Principal) -> Self {
        Self {
            principal,
            credential: None,
            expires: None,
            issued_at: None,
            not_compared: None,
        }
    }

    fn anonymous() -> Self {
        Self::by(Principal::Anonymous)
    }
}

/// Verifies tokens, cookies and keys.
pub struct Authenticator {
    /// Looks up local sessions and writes profiles.
    pub handler: Arc<Handler>,
    /// For `AUTH=jwt`.
    pub verifier: Option<Arc<TokenVerifier>>,
    pub server_key: Option<String>,
    pub origins: Origins,
    /// Proxies whose `X-Forwarded-For` is trusted.
    pub proxies: Vec<IpNet>,
    pub clock: Arc<dyn Clock>,
}

impl Authenticator {
    /// The principal of a request, by its bearer token or its cookie; anonymous without either.
    ///
    /// # Errors
    /// `unauthenticated` for an invalid token, `rate_limited` after too many of them.
    pub async fn request(
        &self,
        headers: &HeaderMap,
        address: IpAddr,
    ) -> Result<Credentials, Refusal> {
        let credentials = match bearer(headers) {
            Some(token) => match self.is_server_key(token, address) {
                Ok(true) => return Ok(Credentials::by(Principal::Service)),
                compared => self.no_server_key(token, address, compared.err()).await?,
            },
            // A browser sends its cookie by itself, so a stale one is no sign-in attempt: the
            // caller is anonymous.
            None => self
                .cookie(headers)
                .await?
                .unwrap_or_else(Credentials::anonymous),
        };
        // A request of one user's page must not be executed for another user who has signed in in
        // the same browser since.
        let another = || {
            Refusal::new(
                Code::Unauthenticated,
                "You are signed in as another user than X-User-Id names.",
            )
        };
        if fits(&credentials, headers) {
            Ok(credentials)
        } else {
            Err(another())
        }
    }

    /// The principal of a socket, by the token in its `auth`, the header or the cookie.
    ///
    /// # Errors
    /// As [`Authenticator::request`], and `unauthenticated` if one is required and none is present.
    pub async fn socket(
        &self,
        auth_token: Option<&str>,
        headers: &HeaderMap,
        address: IpAddr,
    ) -> Result<Credentials, Refusal> {
        let credentials = match auth_token {
            Some(token) => self.token(token, address).await?,
            None => self.request(headers, address).await?,
        };
        match credentials.principal {
            Principal::Anonymous if self.handler.identity() != Identity::Open => {
                Err(Refusal::unauthenticated())
            }
            // The server key has no user, and a socket always belongs to a user.
            Principal::Service => Err(Refusal::new(
                Code::Forbidden,
                "The server key is not a user.",
            )),
            _ => Ok(credentials),
        }
    }

    /// The user of a token.
    ///
    /// # Errors
    /// `unauthenticated` for an invalid token, `rate_limited` after too many of them.
    pub async fn token(&self, token: &str, address: IpAddr) -> Result<Credentials, Refusal> {
        if self.handler.identity() == Identity::Open {
            // `open` has no tokens; it ignores one, because a page may send an old one after `AUTH`
            // changed.
            return Ok(Credentials::anonymous());
        }
        let token = match headers::token(token) {
            Ok(token) => token,
            Err(refusal) => {
                self.handler.count_refused_token(address)?;
                return Err(refusal);
            }
        };
        let credentials = match self.handler.identity() {
            Identity::Open | Identity::Local => self.session(token).await?,
            Identity::Jwt => return self.jwt(token, address).await,
        };
        match credentials {
            Some(credentials) => Ok(credentials),
            None => {
                self.handler.count_refused_token(address)?;
                Err(Refusal::new(
                    Code::Unauthenticated,
                    "The session is over or was never there. Sign in again.",
                ))
            }
        }
    }

    async fn jwt(&self, token: &str, address: IpAddr) -> Result<Credentials, Refusal> {
        let Some(verifier) = &self.verifier else {
            return Err(Refusal::unauthenticated());
        };
        let verified = match verifier.verify(token, self.clock.now().wall).await {
            Ok(verified) => self.still_counts(verified).await?,
            Err(error) => Err(error),
        };
        match verified {
            Ok(verified) => {
                let user = verified.user;
                let has_claims = verified.name.is_some() || verified.picture.is_some();
                let source = if has_claims {
                    ProfileSource::Claims
                } else {
                    ProfileSource::Nobody
                };
                // A claim that is invalid in a profile is ignored; the user is accepted.
                let profile = decode::profile(
                    user.clone(),
                    verified.name.as_deref(),
                    verified.picture.as_deref(),
                )
                .or_else(|_| decode::profile(user.clone(), verified.name.as_deref(), None))
                .or_else(|_| decode::profile(user.clone(), None, None))?;
                self.handler
                    .ensure_profile(profile, source, verified.issued_at)
                    .await?;
                Ok(Credentials {
                    expires: Some(verified.expires_at),
                    issued_at: verified.issued_at,
                    ..Credentials::by(Principal::User(user))
                })
            }
            // The keys are unreachable: that is no evidence against the token, and does not count
            // as an attempt.
            Err(error) if error.is_unavailable() => {
                if let Some(Due { left_out }) = throttle::due("keys", error.code(), None) {
                    tracing::warn!(code = error.code(), %error, left_out, "tokens cannot be checked");
                }
                Err(Refusal::unavailable())
            }
            Err(error) => {
                self.handler.count_refused_token(address)?;
                log_notice::token_refused(error.code(), &error.to_string(), address);
                Err(Refusal::new(Code::Unauthenticated, error.to_string()))
            }
        }
    }

    /// Refuses a token that was issued before its user was signed out. A token without `iat` cannot
    /// show that it was issued later.
    async fn still_counts(
        &self,
        verified: Verified,
    ) -> Result<Result<Verified, TokenError>, Refusal> {
        let user = std::slice::from_ref(&verified.user);
        let ended_at = self.handler.tokens_ended_at(user).await?;
        Ok(
            match (ended_at.first().copied().flatten(), verified.issued_at) {
                (Some(at), None) => Err(TokenError::SignedOut { issued: None, at }),
                (Some(at), Some(issued)) if issued <= at => Err(TokenError::SignedOut {
                    issued: Some(issued),
                    at,
                }),
                _ => Ok(verified),
            },
        )
    }

    async fn session(&self, token: &str) -> Result<Option<Credentials>, Refusal> {
        if self.handler.identity() != Identity::Local || token.len() > 128 {
            return Ok(None);
        }
        let digest = self.handler.digest(token);
        let session = self.handler.session(&digest).await?;
        Ok(session.map(|(user, expires)| Credentials {
            credential: Some(digest.into()),
            expires: Some(expires),
            ..Credentials::by(Principal::User(user))
        }))
    }

    /// The session of the cookie, if the request may use cookies. Paths and domains of one host can
    /// set several cookies of the same name: the first valid session of the named user wins. If a
    /// cookie with the `__Host-` prefix is present, other cookies do not count.
    async fn cookie(&self, headers: &HeaderMap) -> Result<Option<Credentials>, Refusal> {
        if self.origins.judge(headers) != Provenance::Trusted {
            return Ok(None);
        }
        let mut tokens = headers::cookies(headers, HOST_SESSION_COOKIE);
        if tokens.is_empty() {
            tokens = headers::cookies(headers, SESSION_COOKIE);
        }
        let mut somebody = None;
        for token in tokens {
            match self.session(token).await? {
                Some(credentials) if fits(&credentials, headers) => return Ok(Some(credentials)),
                other => somebody = somebody.or(other),
            }
        }
        Ok(somebody)
    }

    /// Whether this is the server key, compared in constant time. After too many wrong keys from an
    /// address nothing is compared, so that an attacker does not learn which guess was right. The
    /// caller counts a wrong key by [`Handler::count_refused_token`] once it is known to be no user's
    /// token.
    ///
    /// # Errors
    /// `rate_limited` if it was not compared.
    pub fn is_server_key(&self, key: &str, address: IpAddr) -> Result<bool, Refusal> {
        let Some(expected) = &self.server_key else {
            return Ok(false);
        };
        self.handler.may_try_token(address)?;
        Ok(expected.as_bytes().ct_eq(key.as_bytes()).into())
    }

    /// The same for routes that accept only the server key: a wrong one is counted.
    ///
    /// # Errors
    /// `rate_limited` after too many.
    pub fn proves_host(&self, key: &str, address: IpAddr) -> Result<bool, Refusal> {
        let is_key = self.is_server_key(key, address)?;
        if !is_key {
            self.handler.count_refused_token(address)?;
        }
        Ok(is_key)
    }

    /// The user of a token that is not the server key, or was not compared with it.
    async fn no_server_key(
        &self,
        token: &str,
        address: IpAddr,
        not_compared: Option<Refusal>,
    ) -> Result<Credentials, Refusal> {
        if self.handler.identity() == Identity::Open && self.server_key.is_some() {
            // `open` refuses no token, but each may be a guess of the server key.
            let _ = self.handler.count_refused_token(address);
        }
        let credentials = self.token(token, address).await?;
        Ok(Credentials {
            not_compared,
            ..credentials
        })
    }
}

/// Whether this is the user whom the request names, if it names one.
fn fits(credentials: &Credentials, headers: &HeaderMap) -> bool {
    match &credentials.principal {
        Principal::User(user) => {
            claimed(headers).is_ok_and(|claimed| claimed.is_none_or(|claimed| claimed == *user))
        }
        _ => true,
    }
}

/// The user that the request names, for `AUTH=open`.
///
/// # Errors
/// `invalid` for an invalid id.
pub fn claimed(headers: &HeaderMap) -> Result<Option<UserId>, Refusal> {
    let Some(id) = headers::id(headers, "x-user-id")? else {
        return Ok(None);
    };
    UserId::parse(&id)
        .map(Some)
        .map_err(|error| Refusal::invalid(format!("X-User-Id {error}.")))
}
