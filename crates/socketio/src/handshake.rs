//! The HTTP request that opens a connection, and what the application adds to it.

use std::{any::Any, borrow::Cow, net::SocketAddr, sync::Arc};

use http::{Extensions, HeaderMap, HeaderValue, StatusCode, Uri, request::Parts};

/// The HTTP request that opened a connection. [`crate::Config::retain_handshake`] sets how long it
/// is kept.
#[derive(Debug, Clone)]
pub struct Handshake {
    /// The request's headers.
    pub headers: HeaderMap,
    /// The request's path and query.
    pub uri: Uri,
    /// The client's address, as the application passed it to [`crate::SocketIo::handle`].
    pub peer: SocketAddr,
    /// Whether the request arrived encrypted, according to a [`Secure`] among the request's
    /// extensions.
    pub secure: bool,
    /// The extensions that the application added to the request before it passed it to
    /// [`crate::SocketIo::handle`].
    pub extensions: Extensions,
}

impl Handshake {
    /// Reads a request. If it is kept for long, `retains` copies it out of the buffer that hyper read
    /// it into.
    pub(crate) fn of(parts: Parts, peer: SocketAddr, retains: bool) -> Self {
        let secure = parts
            .extensions
            .get::<Secure>()
            .is_some_and(|secure| secure.0);
        let Parts {
            mut headers,
            mut uri,
            extensions,
            ..
        } = parts;
        if retains {
            // As parsed, header values keep that whole buffer alive.
            for value in headers.values_mut() {
                if let Ok(copy) = HeaderValue::from_bytes(value.as_bytes()) {
                    *value = copy;
                }
            }
            uri = uri.to_string().parse().unwrap_or(uri);
        }
        Self {
            headers,
            uri,
            peer,
            secure,
            extensions,
        }
    }

    pub(crate) fn bare(peer: SocketAddr) -> Self {
        Self {
            headers: HeaderMap::new(),
            uri: Uri::default(),
            peer,
            secure: false,
            extensions: Extensions::new(),
        }
    }

    /// Returns the first query parameter with this name, percent-decoded; invalid UTF-8 becomes
    /// U+FFFD.
    pub fn query(&self, name: &str) -> Option<Cow<'_, str>> {
        crate::query::find(self.uri.query().unwrap_or(""), name)
    }

    pub(crate) fn wants_base64(&self) -> bool {
        crate::query::wants_base64(self.uri.query().unwrap_or(""))
    }
}

/// A request extension with which the application marks requests that arrived over TLS.
#[derive(Debug, Clone, Copy)]
pub struct Secure(
    /// True for `https` and `wss`.
    pub bool,
);

/// A request extension that is dropped when the connection ends, for example to count the
/// connections of a user.
///
/// In a request that opens a connection, it lives as long as the connection, whether or not the
/// client joins a namespace. In a request that upgrades a connection, it lives until the upgrade is
/// complete or its WebSocket is closed.
#[derive(Clone)]
pub struct ConnectionGuard(
    /// The value that is dropped when the connection ends.
    pub Arc<dyn Any + Send + Sync>,
);

/// Why a request is refused before it reaches a session: see [`crate::Builder::allow_request`].
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The status of the response; use 403 if unsure. A WebSocket request is answered with 400
    /// whatever this is, as in Node.
    pub status: StatusCode,
    /// A message for people who read the response.
    pub message: String,
}

impl Refusal {
    /// Creates a refusal with status 403.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            message: message.into(),
        }
    }
}
