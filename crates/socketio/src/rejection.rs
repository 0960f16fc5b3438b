//! The responses to refused requests.

use http::{Response, StatusCode};

use crate::{Body, Rejection, engine::Engine, response::error};

/// The response to a refused request. Codes and messages are those of the reference implementation
/// (`engine.io`, `Server.errors`) where it has them.
pub(crate) fn reject<S>(engine: &Engine<S>, why: Rejection) -> Response<Body> {
    engine.refused(why);
    let (status, code, message) = match why {
        Rejection::UnknownTransport => (StatusCode::BAD_REQUEST, 0, "Transport unknown"),
        Rejection::UnknownSession => (StatusCode::BAD_REQUEST, 1, "Session ID unknown"),
        Rejection::BadMethod => (StatusCode::BAD_REQUEST, 2, "Bad handshake method"),
        Rejection::UnsupportedVersion => {
            (StatusCode::BAD_REQUEST, 5, "Unsupported protocol version")
        }
        Rejection::NodeUnreachable => (
            StatusCode::BAD_GATEWAY,
            3,
            "The node of the session does not answer",
        ),
        Rejection::Stopping => (
            StatusCode::SERVICE_UNAVAILABLE,
            3,
            "The server is shutting down",
        ),
        Rejection::NoRandomness => (
            StatusCode::SERVICE_UNAVAILABLE,
            3,
            "No session can be opened",
        ),
        Rejection::TooManyHandshakes => (
            StatusCode::SERVICE_UNAVAILABLE,
            3,
            "Too many connections are being opened",
        ),
        Rejection::TooManyConnections => {
            (StatusCode::SERVICE_UNAVAILABLE, 3, "Too many connections")
        }
        Rejection::TooManyFromAddress => (
            StatusCode::TOO_MANY_REQUESTS,
            3,
            "Too many connections from this address",
        ),
        Rejection::TooMuchReceived => (
            StatusCode::TOO_MANY_REQUESTS,
            3,
            "Too much that is not whole yet comes from this address",
        ),
        _ => (StatusCode::BAD_REQUEST, 3, "Bad request"),
    };
    error(status, code, message)
}
