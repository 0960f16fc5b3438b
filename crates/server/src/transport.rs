//! The Socket.IO server, with this server's settings and origins.

use crate::auth::Authenticator;
use crate::config::Config;
use crate::http;
use crate::log_notice;
use crate::metrics;
use crate::nodes::ClusterNodes;
use crate::origin::{Provenance, client_address};
use crate::socket::ChatNamespace;
use lamplight_usecases::{Code, Identity};
use socketio::{Refusal, SocketIo};
use std::sync::Arc;
use std::time::Duration;

/// How long a socket may take to send its CONNECT.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// So many sockets of one address may have as much waiting for them as one may have.
pub(crate) const UNSENT_SHARES: usize = 8;
/// Bytes that are held of messages and bodies of one address that are not whole yet, over sockets
/// and over HTTP. No more than what may wait to be sent to it, and room for far more than a few
/// hundred people behind one address have on its way at once.
const RECEIVED_PER_ADDRESS: usize = 32 << 20;
/// ... or room for so many of the longest, where those are longer than usual.
const RECEIVED_PAYLOADS: usize = 4;

/// Builds it; `namespace` serves `/`. `nodes`: the other nodes, if there may be any.
pub(crate) fn socket_io(
    config: &Config,
    namespace: ChatNamespace,
    authenticator: &Arc<Authenticator>,
    nodes: Option<&ClusterNodes>,
) -> SocketIo {
    let settings = socketio::Config {
        path: config.socket_path.clone(),
        max_payload: config.max_payload,
        write_timeout: config.write_timeout,
        connect_timeout: CONNECT_TIMEOUT,
        recovery: Some(socketio::Recovery::default()),
        max_queue_bytes: config.limit_unsent.unwrap_or(usize::MAX),
        max_received_bytes_per_address: Some(
            RECEIVED_PER_ADDRESS.max(config.max_payload.saturating_mul(RECEIVED_PAYLOADS)),
        ),
        max_queue_bytes_per_address: config
            .limit_unsent
            .map(|limit| limit.saturating_mul(UNSENT_SHARES)),
        ..socketio::Config::default()
    };
    let (refusing, reading) = (Arc::clone(authenticator), Arc::clone(authenticator));
    let mut builder = SocketIo::builder(settings).namespace("/", namespace);
    if let Some(nodes) = nodes
        && let Some(tag) = nodes.tag()
    {
        builder = builder.nodes(tag, nodes.clone());
    }
    builder
        .allow_request(
            move |parts, peer| match refusing.origins.judge(&parts.headers) {
                Provenance::Trusted => Ok(()),
                // Without an `Origin` the request is not from a page's script; without cookies, and
                // outside `AUTH=open`, it acts for no user.
                Provenance::CrossSite if refusing.handler.identity() != Identity::Open => Ok(()),
                Provenance::CrossSite | Provenance::Foreign => {
                    let why = refusing.origins.explain(&parts.headers);
                    log_notice::foreign(
                        "a socket",
                        &why,
                        client_address(&parts.headers, peer, &refusing.proxies),
                    );
                    metrics::refused(Code::Forbidden.as_str());
                    Err(Refusal::forbidden(why))
                }
            },
        )
        .cors(move |origin, parts| reading.origins.allows(origin, &parts.headers))
        .build()
}

impl http::Received for socketio::Received {
    fn hold(&mut self, bytes: usize) -> bool {
        Self::hold(self, bytes)
    }
}
