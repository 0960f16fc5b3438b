//! TLS for the accept loop.

use std::{fmt, sync::Arc, time::Duration};

use crate::sync::RwLock;
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, ServerConfig,
        crypto::ring,
        pki_types::{
            CertificateDer, PrivateKeyDer,
            pem::{self, PemObject},
        },
    },
    server::TlsStream,
};

/// TLS configuration of a [`crate::Serve`]. Clones are cheap and share the configuration, so a
/// clone can replace the certificates while the server runs: new connections use the new ones, open
/// connections keep theirs.
///
/// An idle WebSocket over TLS costs about 9 KiB (`examples/hold_tls.rs`), against 1.5 KiB without:
/// rustls holds a read buffer of 4 KiB, keys and connection state. Where that matters, let a proxy
/// terminate TLS.
///
/// ```no_run
/// # async fn run(listener: tokio::net::TcpListener, io: socketio::SocketIo) -> Result<(), Box<dyn std::error::Error>> {
/// let read = || Ok::<_, std::io::Error>((std::fs::read("chain.pem")?, std::fs::read("key.pem")?));
/// let (chain, key) = read()?;
/// let tls = socketio::Tls::from_pem(&chain, &key)?;
/// tokio::spawn(socketio::Serve::new(listener, io).tls(tls.clone()).run());
/// // When they have been renewed:
/// let (chain, key) = read()?;
/// tls.replace_pem(&chain, &key)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Tls {
    config: Arc<RwLock<Arc<ServerConfig>>>,
}

impl Tls {
    /// Uses a rustls configuration. The server offers only `http/1.1` by ALPN, because WebSockets
    /// require it.
    pub fn new(config: ServerConfig) -> Self {
        Self {
            config: Arc::new(RwLock::new(for_http(config))),
        }
    }

    /// Reads a certificate chain (the server's certificate first) and its private key, both PEM.
    /// The server uses TLS 1.2 and 1.3 with ring, requests no client certificates, and issues
    /// session tickets, so that returning clients use an abbreviated handshake without state on the
    /// server.
    ///
    /// # Errors
    /// [`TlsError`] if they are not valid PEM, or do not belong together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        Ok(Self::new(read(chain, key)?))
    }

    /// Uses another configuration for new connections.
    pub fn replace(&self, config: ServerConfig) {
        *self.config.write() = for_http(config);
    }

    /// Uses another certificate and key for new connections.
    ///
    /// # Errors
    /// As [`Self::from_pem`]; the configuration then stays unchanged.
    pub fn replace_pem(&self, chain: &[u8], key: &[u8]) -> Result<(), TlsError> {
        self.replace(read(chain, key)?);
        Ok(())
    }

    /// Performs a handshake. Returns `None` if it fails or takes too long.
    pub(super) async fn accept(
        &self,
        stream: TcpStream,
        limit: Duration,
    ) -> Option<TlsStream<TcpStream>> {
        let acceptor = TlsAcceptor::from(self.config.read().clone());
        match tokio::time::timeout(limit, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(error)) => {
                tracing::debug!(%error, "TLS handshake failed");
                None
            }
            Err(_) => None,
        }
    }
}

fn for_http(mut config: ServerConfig) -> Arc<ServerConfig> {
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

fn read(chain: &[u8], key: &[u8]) -> Result<ServerConfig, TlsError> {
    let chain = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<Vec<_>, _>>()
        .map_err(TlsError::Pem)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(TlsError::Pem)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(TlsError::Tls)?;
    config.ticketer = ring::Ticketer::new().map_err(TlsError::Tls)?;
    Ok(config)
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// Why a certificate cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum TlsError {
    /// The certificate or its key is not valid PEM.
    Pem(pem::Error),
    /// The certificate and its key cannot be used, for example because they do not match.
    Tls(rustls::Error),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pem(error) => write!(f, "cannot read the certificate or its key as PEM: {error}"),
            Self::Tls(error) => write!(f, "cannot use the certificate with its key: {error}"),
        }
    }
}

impl std::error::Error for TlsError {}
