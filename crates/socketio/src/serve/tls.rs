//! TLS under the accept loop.

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

/// What a [`crate::Serve`] speaks TLS with. Cheap to clone; all clones are the same, so that a
/// clone that is kept replaces certificates while the server runs: connections that come from then
/// on get the new ones, those that are there keep theirs.
///
/// An idle WebSocket over TLS costs about 9 KiB (`examples/hold_tls.rs`), against 1.5 KiB without:
/// rustls keeps a buffer of 4 KiB to read records into, keys and the connection's state. Where that
/// counts, a proxy can do TLS.
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
    /// With a configuration of rustls. It will offer `http/1.1` and nothing else by ALPN, since
    /// WebSockets need that.
    pub fn new(config: ServerConfig) -> Self {
        Self {
            config: Arc::new(RwLock::new(for_http(config))),
        }
    }

    /// With a certificate, those of its issuers behind it, and its key, as PEM. TLS 1.2 and 1.3 by
    /// ring, no certificates of clients, and tickets, by which those who come back are spared half
    /// of the handshake and the server keeps nothing for it.
    ///
    /// # Errors
    /// When they are no PEM, or do not belong together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        Ok(Self::new(read(chain, key)?))
    }

    /// Goes on with another configuration.
    pub fn replace(&self, config: ServerConfig) {
        *self.config.write() = for_http(config);
    }

    /// Goes on with another certificate and key.
    ///
    /// # Errors
    /// As [`Self::from_pem`]; then nothing is changed.
    pub fn replace_pem(&self, chain: &[u8], key: &[u8]) -> Result<(), TlsError> {
        self.replace(read(chain, key)?);
        Ok(())
    }

    /// `None` if the client cannot do it, or takes too long.
    pub(super) async fn accept(
        &self,
        stream: TcpStream,
        limit: Duration,
    ) -> Option<TlsStream<TcpStream>> {
        let acceptor = TlsAcceptor::from(self.config.read().clone());
        match tokio::time::timeout(limit, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a TLS handshake failed");
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

/// Why a certificate cannot be served with.
#[derive(Debug)]
#[non_exhaustive]
pub enum TlsError {
    /// It, or its key, cannot be read.
    Pem(pem::Error),
    /// They can, but not be used.
    Tls(rustls::Error),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pem(error) => write!(f, "the certificate or its key cannot be read: {error}"),
            Self::Tls(error) => write!(f, "the certificate and its key cannot be used: {error}"),
        }
    }
}

impl std::error::Error for TlsError {}
