//! The state of one Socket.IO connection.

use crate::auth::Credentials;
use crate::connections::Counted;
use crate::moving::MovingConnection;
use lamplight_domain::identity::{ConnectionId, UserId};
use lamplight_domain::time::{Moment, Timestamp};
use lamplight_usecases::{Caller, Identity, Principal};
use parking_lot::Mutex;
use socketio::Socket;
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// A client's connection to the `/` namespace.
pub type Connection = Socket<SocketData>;

/// The proof of a connection's user. A token sent with `authenticate` replaces it; the user stays
/// the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct TokenProof {
    /// The digest of the local session's token.
    pub(crate) credential: Option<Arc<str>>,
    pub(crate) expires: Option<Timestamp>,
    /// When the host application issued the token, if the token has that.
    pub(crate) issued_at: Option<Timestamp>,
}

/// The users whose states wait to be sent to a connection, while a task sends some.
#[derive(Default)]
#[expect(
    clippy::box_collection,
    reason = "every connection has this field, and nearly none has such a set"
)]
pub(crate) struct WaitingStates(Mutex<Option<Box<HashSet<UserId>>>>);

impl WaitingStates {
    /// Adds users. `false` if a task sends already, which takes them too.
    pub(crate) fn start(&self, users: impl IntoIterator<Item = UserId>) -> bool {
        let mut waiting = self.0.lock();
        let is_first = waiting.is_none();
        waiting.get_or_insert_default().extend(users);
        is_first
    }

    /// The next packet of the task, `None` at its end.
    pub(crate) fn next(&self) -> Option<HashSet<UserId>> {
        let mut waiting = self.0.lock();
        let next = waiting.as_deref_mut().map(std::mem::take);
        let next = next.filter(|users| !users.is_empty());
        if next.is_none() {
            *waiting = None;
        }
        next
    }

    /// The task gives up.
    pub(crate) fn end(&self) {
        *self.0.lock() = None;
    }
}

/// The state of one connection.
pub struct SocketData {
    pub(crate) id: ConnectionId,
    pub(crate) address: IpAddr,
    /// Set at the connect where a token proves it, and by `join_user` with `AUTH=open`.
    pub(crate) principal: OnceLock<Principal>,
    pub(crate) proof: Mutex<TokenProof>,
    /// The user joined over this connection, so presence needs its end.
    pub(crate) has_joined: AtomicBool,
    pub(crate) signed_out: AtomicBool,
    /// Requests that have not been answered yet.
    pub(crate) in_flight: AtomicUsize,
    /// When a send or typing was last reported to presence as activity, in milliseconds of the
    /// monotonic clock.
    pub(crate) active_at: AtomicU64,
    /// Events wait until this moment (milliseconds of the monotonic clock) after too many refusals.
    pub(crate) paused_until: AtomicU64,
    /// Counts against the address' limit while the client is away and may recover this connection.
    pub(crate) suspended: Mutex<Option<Counted>>,
    /// The connection's state from another node, until it continues here.
    pub(crate) moving: Mutex<Option<Box<MovingConnection>>>,
    /// States of users that it watches, too long for one answer.
    pub(crate) states: WaitingStates,
}

impl SocketData {
    /// Lets the next event wait until this moment.
    pub(crate) fn pause_until(&self, until: Moment) {
        self.paused_until.store(until.0, Ordering::Relaxed);
    }

    pub(crate) fn new(id: ConnectionId, address: IpAddr, credentials: Credentials) -> Self {
        let principal = OnceLock::new();
        if credentials.principal != Principal::Anonymous {
            let _ = principal.set(credentials.principal);
        }
        Self {
            id,
            address,
            principal,
            proof: Mutex::new(TokenProof {
                credential: credentials.credential,
                expires: credentials.expires,
                issued_at: credentials.issued_at,
            }),
            has_joined: AtomicBool::new(false),
            signed_out: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
            active_at: AtomicU64::new(0),
            paused_until: AtomicU64::new(0),
            suspended: Mutex::default(),
            moving: Mutex::default(),
            states: WaitingStates::default(),
        }
    }

    /// The data of a connection that comes from another node, where it had this id. `fresh` is the
    /// client's connection here. `None` where the two belong to different users.
    pub(crate) fn moved(
        id: ConnectionId,
        moving: MovingConnection,
        fresh: &Self,
        identity: Identity,
    ) -> Option<Self> {
        let principal = match (fresh.principal.get(), moving.user()) {
            // A connect has no user yet; the recovery secret is the only proof.
            (None, user) if identity == Identity::Open => {
                user.map_or(Principal::Anonymous, Principal::UnverifiedUser)
            }
            (Some(principal), Some(user)) if fresh.user() == Some(&user) => principal.clone(),
            _ => return None,
        };
        let proof = fresh.proof.lock().clone();
        let credentials = Credentials {
            principal,
            credential: proof.credential,
            expires: proof.expires,
            issued_at: proof.issued_at,
            not_compared: None,
        };
        let data = Self::new(id, fresh.address, credentials);
        *data.moving.lock() = Some(Box::new(moving));
        Some(data)
    }

    /// The user of this connection, once known.
    #[must_use]
    pub fn user(&self) -> Option<&UserId> {
        match self.principal.get()? {
            Principal::User(user) | Principal::UnverifiedUser(user) => Some(user),
            Principal::Anonymous | Principal::Service => None,
        }
    }

    /// The digest of the local session's token that authenticates this connection.
    #[must_use]
    pub fn credential(&self) -> Option<Arc<str>> {
        self.proof.lock().credential.clone()
    }

    /// The user and the issue time of the host application's token that authenticates this connection.
    #[must_use]
    pub fn token(&self) -> Option<(&UserId, Option<Timestamp>)> {
        let Some(Principal::User(user)) = self.principal.get() else {
            return None;
        };
        let proof = self.proof.lock();
        proof
            .credential
            .is_none()
            .then_some((user, proof.issued_at))
    }

    pub(crate) fn caller(&self) -> Caller {
        Caller {
            principal: self
                .principal
                .get()
                .cloned()
                .unwrap_or(Principal::Anonymous),
            session: Some(self.id.clone()),
            address: Some(self.address),
            credential: self.credential(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_task_sends_states_including_those_added_meanwhile() {
        let waiting = WaitingStates::default();
        let [a, b] = ["a", "b"].map(UserId::trusted);
        assert!(waiting.start([a.clone()]));
        assert_eq!(waiting.next(), Some(HashSet::from([a.clone()])));
        assert!(!waiting.start([b.clone(), a.clone()]), "one sends");
        assert!(!waiting.start([b.clone()]));
        assert_eq!(waiting.next(), Some(HashSet::from([a.clone(), b])));
        assert_eq!(waiting.next(), None);
        assert!(waiting.start([a.clone()]), "the task has ended");
        waiting.end();
        assert!(waiting.start([a]));
    }
}
