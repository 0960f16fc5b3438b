//! The state that all routes share, and the context of a request.

use super::request_body::Received;
use crate::auth::Authenticator;
use crate::files::FileTransfers;
use crate::unsent::Unsent;
use lamplight_usecases::Handler;
use metrics_exporter_prometheus::PrometheusHandle;
use std::net::IpAddr;
use std::sync::Arc;

/// The shared state of the routes.
pub struct AppState {
    /// The use cases.
    pub handler: Arc<Handler>,
    pub authenticator: Arc<Authenticator>,
    pub ready: Arc<dyn Ready>,
    pub metrics: PrometheusHandle,
    /// The default number of users in a page of the roster.
    pub roster_limit: usize,
    /// Maximum bytes of a body.
    pub max_payload: usize,
    /// Counts incomplete input by address.
    pub received: Box<dyn Fn(IpAddr) -> Box<dyn Received> + Send + Sync>,
    /// The bytes of files.
    pub(crate) files: FileTransfers,
    /// Counts unsent answers by address.
    pub unsent: Unsent,
}

/// Whether the node can serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    Yes,
    /// It serves, but these parts work less well.
    Degraded(Vec<&'static str>),
    /// It cannot, for this cause, which is for the log.
    No(String),
}

/// The source of readiness and of the gauges.
#[async_trait::async_trait]
pub trait Ready: Send + Sync + 'static {
    /// Whether everything that a request needs responds.
    async fn check(&self) -> Readiness;
    fn gauges(&self) -> crate::metrics::Gauges;
}

/// The client's address; a trusted proxy may report it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Address(pub(crate) IpAddr);

/// Whether the browser used TLS.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tls(pub(crate) bool);
