//! Moves a socket of another node to this one.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{ClaimReply, MAX_CLAIM, Question, decode_log};
use crate::{
    DisconnectReason, Handler, Socket,
    id::Id,
    namespace::TypedNamespace,
    nodes::Owner,
    recovery::{Claim, MovedLog, Recoverable, RecoveryRequest},
    session::{Item, Session},
    socket::{AnySocket, SocketInner},
};

/// Time for a move. A client that returns waits no longer for a node that does not answer.
const MOVE_WITHIN: Duration = Duration::from_secs(2);
/// Time for the node that made the private id to confirm the socket's new node. It answered a moment
/// ago.
const PLACED_WITHIN: Duration = Duration::from_millis(300);
/// Time for a notice that no request waits for.
const NOTICE_WITHIN: Duration = Duration::from_secs(5);

/// The requests of one move.
#[derive(Clone)]
struct Exchange {
    session: Arc<Session>,
    question: Arc<Question>,
}

/// A socket whose move is not complete. It ends when this is dropped.
struct Incomplete<D: Send + Sync + 'static>(Option<Arc<SocketInner<D>>>);

impl<D: Send + Sync + 'static> Drop for Incomplete<D> {
    fn drop(&mut self) {
        if let Some(socket) = self.0.take() {
            socket.finish(DisconnectReason::TransportClose);
        }
    }
}

/// Moves the socket that a client asks to resume to this node, if another node has it. Returns it
/// with the number of the last event that the client has. `None` if there is no such socket, or the
/// other node does not hand it over in time.
pub(crate) async fn fetch<H: Handler, N: TypedNamespace<Socket<H::Data>> + 'static>(
    namespace: &Arc<N>,
    handler: &H,
    session: &Arc<Session>,
    request: &RecoveryRequest,
    fresh: &H::Data,
) -> Option<(Arc<SocketInner<H::Data>>, u64)> {
    let (engine, recoverable) = (&session.engine, &namespace.hub().recoverable);
    let cluster = engine.cluster.as_ref()?;
    // A private id of no node costs nothing but this.
    let key = engine.key_of(&request.pid)?;
    let place = match engine.owner(&request.pid)? {
        Owner::Other(tag) => tag.to_owned(),
        Owner::Here(_) => recoverable.moved.lock().place_of(&request.pid)?.to_owned(),
    };
    let arrival = recoverable.begin_arrival(key)?;
    let exchange = Exchange {
        session: session.clone(),
        question: Arc::new(Question {
            request: request.clone(),
            namespace: namespace.name().to_owned(),
            by: cluster.tag().to_owned(),
        }),
    };
    let moving = async {
        let _permit = recoverable.moves.0.acquire().await.ok()?;
        move_here(namespace, handler, &exchange, key, &place, fresh).await
    };
    let moved = match tokio::time::timeout(MOVE_WITHIN, moving).await {
        Ok(moved) => moved,
        Err(_) => not_moved("it took too long"),
    };
    let (socket, after, from) = moved?;
    // Its client may lose this connection as soon as it has it.
    exchange.report_place(&from, recoverable).await;
    drop(arrival);
    Some((socket, after))
}

async fn move_here<H: Handler, N: TypedNamespace<Socket<H::Data>> + 'static>(
    namespace: &Arc<N>,
    handler: &H,
    exchange: &Exchange,
    key: u64,
    place: &str,
    fresh: &H::Data,
) -> Option<(Arc<SocketInner<H::Data>>, u64, String)> {
    let session = &exchange.session;
    let Some((place, claim)) = exchange.claim(place).await else {
        return not_moved("no node has it, or its client has missed too much");
    };
    let Some(data) = handler.take_over(&claim.id, &claim.state, fresh) else {
        return not_moved("the application refused it");
    };
    let socket = SocketInner::arriving(
        session.clone(),
        namespace.clone(),
        Id::parse(&claim.id)?,
        (&exchange.question.request.pid, key, claim.suffix),
        data,
    );
    let mut incomplete = Incomplete(Some(socket.clone()));
    let handle = Socket::of(socket.clone());
    namespace.rooms().insert(socket.id().key(), socket.clone());
    for room in &claim.rooms {
        handle.join(room);
    }
    if !handler.prepare(&handle).await {
        return not_moved("the application is not prepared");
    }
    let Some(log) = exchange.take(&place).await else {
        return not_moved("the other node did not hand it over");
    };
    // What the other node has emitted, and this one not yet: it waits too, and is not sent twice.
    if !handler.settle(&handle).await {
        return not_moved("this node may be behind");
    }
    let after = log.after;
    let on_written = log.has_callbacks.then(|| exchange.on_written(&place));
    if !socket.clone().arrive(log, on_written) {
        return not_moved("events are missing");
    }
    incomplete.0 = None;
    Some((socket, after, place))
}

fn not_moved<T>(reason: &str) -> Option<T> {
    tracing::debug!(reason, "a socket did not move here");
    None
}

impl Exchange {
    async fn ask(&self, tag: &str, step: &str, max: usize) -> Option<Bytes> {
        let engine = &self.session.engine;
        let cluster = engine.cluster.as_ref()?;
        let body = serde_json::to_vec(&*self.question).ok()?;
        let path = format!("{}/?move={step}", engine.config.path.trim_end_matches('/'));
        cluster
            .ask(tag, &path, body.into(), self.session.peer, max)
            .await
    }

    /// The socket, and the tag of the node that has it.
    async fn claim(&self, tag: &str) -> Option<(String, Claim)> {
        let mut tag = tag.to_owned();
        // The node that made the private id knows which node has the socket.
        for _ in 0..2 {
            let reply = self.ask(&tag, "claim", MAX_CLAIM).await?;
            let reply: ClaimReply = serde_json::from_slice(&reply).ok()?;
            match (reply.socket, reply.at) {
                (Some(claim), _) => return Some((tag, claim)),
                (None, Some(at)) => tag = at,
                (None, None) => return None,
            }
        }
        None
    }

    async fn take(&self, tag: &str) -> Option<MovedLog> {
        let limits = self.session.engine.config.recovery.as_ref()?;
        let max = limits.max_bytes.saturating_mul(2).saturating_add(MAX_CLAIM);
        decode_log(self.ask(tag, "take", max).await?)
    }

    /// Reports to the old node that its events are written, for their callbacks.
    fn on_written(&self, tag: &str) -> Item {
        let (exchange, tag) = (self.clone(), tag.to_owned());
        Item::Written(Box::new(move || exchange.notify(tag, "written")))
    }

    /// The node that made the private id finds the socket here from now on.
    async fn report_place(&self, from: &str, recoverable: &Recoverable) {
        let engine = &self.session.engine;
        let pid = &self.question.request.pid;
        match engine.owner(pid) {
            // The old node knows it already.
            Some(Owner::Other(home)) if home != from => {
                let notice = self.ask(home, "placed", MAX_CLAIM);
                let _ = tokio::time::timeout(PLACED_WITHIN, notice).await;
            }
            Some(Owner::Here(_)) => recoverable.moved.lock().forget(pid),
            _ => {}
        }
    }

    fn notify(&self, tag: String, step: &'static str) {
        let exchange = self.clone();
        tokio::spawn(async move {
            let sent = exchange.ask(&tag, step, MAX_CLAIM);
            if tokio::time::timeout(NOTICE_WITHIN, sent).await.is_err() {
                tracing::debug!(tag, step, "another node did not take a notice");
            }
        });
    }
}
