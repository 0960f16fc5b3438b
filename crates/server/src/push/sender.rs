//! Sends notices to push services.

use super::connect::{Dial, DialError, origin};
use super::hosts::Hosts;
use super::keys::{new_key, of_target};
use super::vapid::Vapid;
use crate::config::PushSettings;
use crate::metrics;
use crate::system::SystemClock;
use ::http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use ::http::{HeaderMap, Request, StatusCode, Uri};
use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::{
    Clock as _, PushKey, PushNotice, PushOutcome, PushSender, PushSubscription, PushTarget,
};
use lamplight_wire::push::payload;
use std::net::IpAddr;
use std::time::{Duration, UNIX_EPOCH};
use tokio::time::{Instant, timeout};

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection stays open without requests, and how many of each push service.
const IDLE: Duration = Duration::from_secs(30);
const IDLE_AT_MOST: usize = 8;
/// The maximum bytes read of a response, whose content is not used.
const ANSWER_BYTES: usize = 16 << 10;
/// For how long a push service keeps a notice for a device that it cannot reach.
const KEPT_FOR_S: i64 = 24 * 3_600;

/// The sender for Web Push.
pub(crate) struct WebPush {
    client: Client<Dial, Full<Bytes>>,
    dial: Dial,
    vapid: Vapid,
    hosts: Hosts,
    clock: SystemClock,
}

impl WebPush {
    pub(crate) fn new(settings: &PushSettings) -> Self {
        let dial = Dial {
            allow: settings.allow.clone().into(),
        };
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_AT_MOST)
            .build(dial.clone());
        Self {
            client,
            dial,
            vapid: Vapid::new(settings.subject.clone()),
            hosts: Hosts::default(),
            clock: SystemClock::new(),
        }
    }

    /// The address of a target, if it may be one.
    fn address(&self, target: &PushTarget) -> Result<Uri, String> {
        let url: Uri = target
            .endpoint
            .parse()
            .map_err(|_| "endpoint is no address.".to_owned())?;
        let Some(authority) = url.authority() else {
            return Err("endpoint is an address without a host.".to_owned());
        };
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return Err("endpoint is an address with a user name, or without a host.".to_owned());
        }
        if self.dial.is_allowed(&url) {
            return Ok(url);
        }
        if url.scheme_str() != Some("https") {
            return Err("endpoint is no https address.".to_owned());
        }
        let host = authority.host().trim_matches(['[', ']']);
        if host
            .parse::<IpAddr>()
            .is_ok_and(|address| !super::address::is_public(address))
        {
            return Err("endpoint is not on a public address.".to_owned());
        }
        Ok(url)
    }

    /// The request for a notice. An error means that the subscription cannot work.
    fn request(
        &self,
        to: &PushSubscription,
        notice: &PushNotice,
    ) -> Result<(Uri, Request<Full<Bytes>>), String> {
        let url = self.address(&to.target)?;
        let (public, auth) = of_target(&to.target)?;
        let body = web_push_native::encrypt(payload(notice).into_bytes(), &public, &auth)
            .map_err(|error| error.to_string())?;
        let now = self.clock.now().wall;
        let audience = origin(&url).ok_or("the endpoint has no origin")?;
        let token = self
            .vapid
            .header(&audience, &to.key, now)
            .ok_or("the server's key cannot be read")?;
        let age = (now.0 - notice.created_at.0) / 1_000;
        let request = Request::post(url.clone())
            .header(AUTHORIZATION, &*token)
            .header(CONTENT_ENCODING, "aes128gcm")
            .header(CONTENT_TYPE, "application/octet-stream")
            .header("ttl", KEPT_FOR_S.saturating_sub(age).max(60))
            // Otherwise a phone that saves power shows it much later (RFC 8030, section 5.3). It has no
            // topic, by which a later notice would replace it: each message is shown.
            .header("urgency", "high")
            .header(USER_AGENT, concat!("lamplight/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(body.into()))
            .map_err(|error| error.to_string())?;
        Ok((url, request))
    }

    async fn ask(&self, host: &str, request: Request<Full<Bytes>>) -> PushOutcome {
        let answered = async {
            let response = self.client.request(request).await?;
            let (parts, body) = response.into_parts();
            // Read to the end, so that the connection can be used again.
            let _ = Limited::new(body, ANSWER_BYTES).collect().await;
            Ok::<_, legacy::Error>(parts)
        };
        let parts = match timeout(PATIENCE, answered).await {
            Ok(Ok(parts)) => parts,
            Ok(Err(error)) => {
                if is_private(&error) {
                    return PushOutcome::Refused(format!("{host} has no public address"));
                }
                self.hosts.failed(host);
                return later(host, None, &whole(&error));
            }
            Err(_) => {
                self.hosts.failed(host);
                return later(host, None, "no answer in time");
            }
        };
        let status = parts.status;
        if status.is_server_error() {
            self.hosts.failed(host);
        } else {
            self.hosts.answered(host);
        }
        let wait = retry_after(&parts.headers, self.clock.now().wall);
        match status {
            _ if status.is_success() => PushOutcome::Sent,
            StatusCode::NOT_FOUND | StatusCode::GONE => PushOutcome::Gone,
            StatusCode::PAYLOAD_TOO_LARGE => PushOutcome::TooLarge,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY => {
                later(host, wait, status.as_str())
            }
            _ if status.is_server_error() => later(host, wait, status.as_str()),
            // Redirects fail too, because their target is not checked.
            _ => PushOutcome::Refused(format!("{host} answered {}", status.as_u16())),
        }
    }
}

fn later(host: &str, after: Option<Duration>, why: &str) -> PushOutcome {
    PushOutcome::Later {
        after,
        why: format!("{host}: {why}"),
    }
}

/// How long a push service asks to wait: seconds, or a date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    let at = date.duration_since(UNIX_EPOCH).ok()?;
    let now = Duration::from_millis(u64::try_from(now.0).unwrap_or(0));
    Some(at.saturating_sub(now))
}

/// Whether a host has no public address.
fn is_private(error: &legacy::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if matches!(error.downcast_ref(), Some(DialError::Private(_))) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// An error with its causes. None of them has the address, which is secret.
fn whole(error: &legacy::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[async_trait]
impl PushSender for WebPush {
    fn new_key(&self) -> PushKey {
        new_key()
    }

    fn check(&self, target: &PushTarget) -> Result<(), String> {
        self.address(target)?;
        of_target(target).map(drop)
    }

    async fn send(&self, to: &PushSubscription, notice: &PushNotice) -> PushOutcome {
        let began = Instant::now();
        let (url, request) = match self.request(to, notice) {
            Ok(request) => request,
            Err(why) => return PushOutcome::Refused(why),
        };
        let host = url.authority().map_or("", |authority| authority.as_str());
        let outcome = match self.hosts.pause(host) {
            Some(pause) => later(host, Some(pause), "it does not answer"),
            None => self.ask(host, request).await,
        };
        let name = match &outcome {
            PushOutcome::Sent => "sent",
            PushOutcome::Gone => "gone",
            PushOutcome::TooLarge => "too_large",
            PushOutcome::Later { .. } => "later",
            PushOutcome::Refused(_) => "refused",
        };
        metrics::pushed(name, began.elapsed());
        outcome
    }
}
