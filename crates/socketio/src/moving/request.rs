//! Requests of other nodes for sockets of this one.

use std::{sync::Arc, time::Duration};

use bytes::Buf;
use http::{Response, StatusCode, request::Parts};

use super::{ClaimReply, MAX_REQUEST, Question, encode_log};
use crate::{
    Body,
    engine::Engine,
    hub::Hub,
    nodes::Cluster,
    query,
    recovery::Claim,
    request_body::RequestBody,
    response::{error, respond},
    session::Session,
    socket::AnySocket,
};

/// Time in which a socket must be ready to leave. The other node waits no longer.
const LEAVE_WITHIN: Duration = Duration::from_secs(1);

/// Answers another node, which has proved itself, on a request for which
/// [`super::is_request`] holds.
pub(crate) async fn answer<B>(
    engine: &Engine<Session>,
    hub: &Hub,
    parts: &Parts,
    body: &mut RequestBody<B>,
) -> Response<Body>
where
    B: http_body::Body + Unpin,
    B::Data: Buf,
{
    let none = || error(StatusCode::NOT_FOUND, 1, "No such socket");
    let received = engine.received([0, 0, 0, 0].into());
    let read = body.payload(&parts.headers, MAX_REQUEST, received);
    let question = match tokio::time::timeout(LEAVE_WITHIN, read).await {
        Ok(Ok(body)) => serde_json::from_slice::<Question>(&body).ok(),
        _ => None,
    };
    let (Some(cluster), Some(question)) = (&engine.cluster, question) else {
        return error(StatusCode::BAD_REQUEST, 3, "Bad request");
    };
    let step = query::find(parts.uri.query().unwrap_or(""), "move");
    match step.as_deref() {
        Some("claim") => match claim(engine, hub, &question).await {
            Some(reply) => respond(
                StatusCode::OK,
                "application/json",
                Body::new(serde_json::to_vec(&reply).unwrap_or_default()),
            ),
            None => none(),
        },
        Some("take") => take(engine, hub, cluster, question)
            .await
            .unwrap_or_else(none),
        Some("written") => {
            let callbacks = hub
                .recoverable
                .moved
                .lock()
                .take_callbacks(&question.request.pid);
            if let Some(callbacks) = callbacks {
                callbacks.call();
            }
            done()
        }
        Some("placed") => {
            let mut moved = hub.recoverable.moved.lock();
            // Only for sockets that were here.
            if moved.place_of(&question.request.pid).is_some() {
                moved.place(&question.request.pid, &question.by);
            }
            drop(moved);
            done()
        }
        _ => none(),
    }
}

fn done() -> Response<Body> {
    respond(StatusCode::NO_CONTENT, "application/json", Body::default())
}

fn find(engine: &Engine<Session>, hub: &Hub, question: &Question) -> Option<Arc<dyn AnySocket>> {
    hub.recoverable.get(engine.key_of(&question.request.pid)?)
}

async fn claim(engine: &Engine<Session>, hub: &Hub, question: &Question) -> Option<ClaimReply> {
    let Some(socket) = find(engine, hub, question) else {
        let moved = hub.recoverable.moved.lock();
        return moved.place_of(&question.request.pid).map(|tag| ClaimReply {
            at: Some(tag.to_owned()),
            socket: None,
        });
    };
    let claim: Claim = socket.claim(&question.namespace, &question.request).await?;
    Some(ClaimReply {
        at: None,
        socket: Some(claim),
    })
}

async fn take(
    engine: &Engine<Session>,
    hub: &Hub,
    cluster: &Cluster,
    question: Question,
) -> Option<Response<Body>> {
    let socket = find(engine, hub, &question)?;
    let Question {
        request,
        namespace,
        by,
    } = question;
    let leaving = socket.leave_node(&namespace, &request);
    let (log, callbacks) = tokio::time::timeout(LEAVE_WITHIN, leaving).await.ok()??;
    let mut moved = hub.recoverable.moved.lock();
    if cluster.is_own(&request.pid) {
        moved.place(&request.pid, &by);
    }
    let uncalled = log
        .has_callbacks
        .then(|| moved.store_callbacks(&request.pid, callbacks));
    drop(moved);
    drop(uncalled);
    Some(respond(
        StatusCode::OK,
        "application/octet-stream",
        Body::new(encode_log(&log)),
    ))
}
