//! The limits of an accept loop.

use std::time::Duration;

/// Limits for the TCP connections of a loop.
#[derive(Clone)]
pub(super) struct Limits {
    pub(super) head_timeout: Duration,
    pub(super) idle_timeout: Duration,
    pub(super) stop_timeout: Duration,
    #[cfg(feature = "tls")]
    pub(super) tls_timeout: Duration,
    pub(super) max_headers: usize,
    pub(super) max_head_bytes: usize,
    pub(super) max_connections: usize,
    pub(super) max_connections_per_address: Option<usize>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(75),
            stop_timeout: Duration::from_secs(5),
            #[cfg(feature = "tls")]
            tls_timeout: Duration::from_secs(10),
            max_headers: 100,
            max_head_bytes: 32 << 10,
            max_connections: 100_000,
            max_connections_per_address: None,
        }
    }
}
