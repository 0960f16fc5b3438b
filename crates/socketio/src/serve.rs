//! A small accept loop for servers that serve nothing else.

use std::{convert::Infallible, io, time::Duration};

use http::{Response, StatusCode};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

use crate::{Body, SocketIo};

/// Serves `io` on a listener, for ever; what is not for it is answered with 404. Applications with routes of their own
/// run a loop like this one (see its source) and hand over what [`SocketIo::matches`].
///
/// # Errors
/// None yet: a connection that cannot be accepted is passed over.
pub async fn serve(listener: TcpListener, io: SocketIo) -> io::Result<()> {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(30)).max_headers(100);
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of files, most likely: others may go away in a moment.
                tracing::warn!(%error, "a connection cannot be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let io = io.clone();
        let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
            let io = io.clone();
            async move {
                if io.matches(request.uri().path()) {
                    return Ok::<_, Infallible>(io.handle(request, peer).await);
                }
                let mut response = Response::new(Body::default());
                *response.status_mut() = StatusCode::NOT_FOUND;
                Ok(response)
            }
        });
        let connection = http.serve_connection(TokioIo::new(stream), service).with_upgrades();
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "an HTTP connection ended");
            }
        });
    }
}
