//! For those who run it: liveness, readiness, metrics, the API described.

use super::answer::{json, refused};
use super::schemas;
use super::state::{AppState, Readiness};
use crate::headers::bearer;
use crate::origin::{client_address, names_loopback};
use ::http::{HeaderMap, StatusCode, header};
use axum::extract::{ConnectInfo, State};
use axum::response::{IntoResponse, Response};
use lamplight_usecases::throttle::{self, Due};
use lamplight_usecases::{Code, Refusal};
use std::net::SocketAddr;
use std::sync::Arc;

/// Liveness: the process responds.
#[utoipa::path(get, path = "/healthz", tag = "operations", security(()),
    responses((status = 200, description = "Alive", body = schemas::HealthAnswer), schemas::Refusals))]
pub(crate) async fn healthz() -> Response {
    json(
        StatusCode::OK,
        r#"{"success":true,"status":"ok"}"#.to_owned(),
    )
}

/// Readiness: the store accepts writes. With `degraded`, messages work, and the parts in `degraded`
/// (`presence`, `bus`) hold this node's own view only.
#[utoipa::path(get, path = "/readyz", tag = "operations", security(()),
    responses((status = 200, description = "Ready", body = schemas::HealthAnswer), schemas::Refusals))]
pub(crate) async fn readyz(State(state): State<Arc<AppState>>) -> Response {
    match state.ready.check().await {
        Readiness::Yes => json(
            StatusCode::OK,
            r#"{"success":true,"status":"ready"}"#.to_owned(),
        ),
        Readiness::Degraded(parts) => json(
            StatusCode::OK,
            serde_json::json!({ "success": true, "status": "degraded", "degraded": parts })
                .to_string(),
        ),
        Readiness::No(sentence) => {
            if let Some(Due { left_out }) = throttle::due("not ready", &sentence, None) {
                tracing::warn!(cause = sentence, left_out, "not ready");
            }
            let why =
                "Not ready: the store takes no writes just now. The server's log has the cause.";
            refused(&Refusal {
                message: why.into(),
                ..Refusal::unavailable()
            })
        }
    }
}

/// Metrics for Prometheus, for this machine or with the server key. A request that a proxy forwards
/// does not count as from this machine.
#[utoipa::path(get, path = "/metrics", tag = "operations", security((), ("serverKey" = [])),
    responses((status = 200, description = "Metrics in Prometheus' text format", body = String, content_type = "text/plain"), schemas::Refusals))]
pub(crate) async fn metrics(
    State(state): State<Arc<AppState>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    let forwarded = ["forwarded", "x-forwarded-for", "x-real-ip", "via"]
        .iter()
        .any(|name| headers.contains_key(*name));
    // A page whose name was pointed at this machine is not this machine either.
    let here = peer.ip().to_canonical().is_loopback() && !forwarded && names_loopback(&headers);
    let keyed = match bearer(&headers).filter(|_| !here) {
        Some(key) => state.authenticator.proves_host(
            key,
            client_address(&headers, peer, &state.authenticator.proxies),
        ),
        None => Ok(false),
    };
    match keyed {
        Ok(true) => {}
        Ok(false) if here => {}
        Ok(false) => {
            return refused(&Refusal::new(
                Code::Unauthenticated,
                "Metrics answer this machine, or the server key.",
            ));
        }
        Err(refusal) => return refused(&refusal),
    }
    state.ready.gauges().set();
    state.metrics.run_upkeep();
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        state.metrics.render(),
    )
        .into_response()
}
