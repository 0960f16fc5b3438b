//! A client's request to join a namespace, and the error that refuses it.

use std::sync::Arc;

use serde_json::value::RawValue;

use crate::Handshake;

/// A client's request to join a namespace (Socket.IO protocol 5, packet type CONNECT).
#[derive(Debug)]
pub struct ConnectRequest {
    /// The id of the socket if the request is accepted. (A recovered socket has its previous id.)
    pub socket_id: String,
    /// The namespace's name, with its leading slash.
    pub namespace: Box<str>,
    /// The client's `auth` payload: a JSON object. Clients that resume a socket add the keys `pid`
    /// and `offset`.
    pub auth: Option<Box<RawValue>>,
    /// The HTTP request that opened the connection.
    pub handshake: Arc<Handshake>,
}

/// Why a CONNECT is refused: the `message` and `data` of a CONNECT_ERROR (Socket.IO protocol 5).
#[derive(Debug)]
pub struct ConnectError {
    /// A message for people; `err.message` in the client.
    pub message: String,
    /// JSON data for programs; `err.data` in the client.
    pub data: Option<Box<RawValue>>,
}

impl ConnectError {
    /// Creates an error without data.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            data: None,
        }
    }

    /// Creates an error with data. Data that does not serialize to JSON is left out.
    pub fn with_data<T: serde::Serialize + ?Sized>(message: impl Into<String>, data: &T) -> Self {
        Self {
            message: message.into(),
            data: serde_json::value::to_raw_value(data).ok(),
        }
    }
}
