//! The sources of the readiness check and the gauges.

use crate::backends::{Component, Condition};
use crate::event_router::EventRouter;
use crate::expiry::TokenExpiry;
use crate::http::{Readiness, Ready};
use crate::hub::Hub;
use crate::metrics::Gauges;
use crate::roster_feed::RosterPublisher;
use futures_util::future::join_all;
use lamplight_usecases::Handler;
use lamplight_usecases::throttle::{self, Due};
use socketio::SocketIo;
use std::sync::Arc;

/// Asks the parts of this node.
pub(crate) struct HealthProbe {
    pub(crate) components: Vec<Arc<dyn Component>>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) roster: Arc<RosterPublisher>,
    pub(crate) router: Arc<EventRouter>,
    pub(crate) handler: Arc<Handler>,
    pub(crate) token_expiry: Arc<TokenExpiry>,
    pub(crate) io: SocketIo,
}

#[async_trait::async_trait]
impl Ready for HealthProbe {
    async fn check(&self) -> Readiness {
        let conditions = join_all(self.components.iter().map(|part| part.condition())).await;
        let mut affected = Vec::new();
        for condition in conditions {
            match condition {
                Condition::Working => {}
                Condition::Degraded { part, cause } => {
                    if let Some(Due { left_out }) = throttle::due("degraded", part, None) {
                        tracing::warn!(part, cause, left_out, "degraded");
                    }
                    if !affected.contains(&part) {
                        affected.push(part);
                    }
                }
                Condition::Down(cause) => return Readiness::No(cause),
            }
        }
        if affected.is_empty() {
            Readiness::Yes
        } else {
            Readiness::Degraded(affected)
        }
    }

    fn gauges(&self) -> Gauges {
        let connections = self.io.connections();
        let tables = self.handler.table_sizes();
        let mut gauges = Gauges {
            websocket: connections.websocket,
            polling: connections.polling,
            sockets: self.hub.user_connections(),
            followers: self.roster.followers(),
            socket_bytes: self.io.queued_bytes(),
            held: vec![
                ("limits", tables.limits),
                ("typing", tables.typing),
                ("marks", tables.marks),
                ("ended", tables.ended),
                ("feed", self.roster.held()),
                ("entries", self.router.held()),
                ("tokens", self.token_expiry.len()),
                (
                    "tasks",
                    tokio::runtime::Handle::try_current()
                        .map_or(0, |runtime| runtime.metrics().num_alive_tasks()),
                ),
            ],
            ..Gauges::default()
        };
        if let Some(forwarded) = self.io.forwarded() {
            gauges.adapters.extend([
                ("lamplight_forwarded_requests", forwarded as f64),
                ("lamplight_forwarded_websockets", self.io.tunnels() as f64),
            ]);
        }
        for part in &self.components {
            part.measure(&mut gauges);
        }
        gauges
    }
}
