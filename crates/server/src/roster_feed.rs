//! Presence events: drives the domain's [`RosterFeed`] and sends what it decides.

use crate::connection::Connection;
use crate::hub::Hub;
use futures_util::future::BoxFuture;
use lamplight_domain::identity::{ConnectionId, UserId};
use lamplight_domain::presence::{Change, Offline, OfflineReason};
use lamplight_domain::roster_feed::{Delivery, Mode, RosterFeed};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::{
    Clock, ConnectionRegistry, Directory, PresenceStore, StoreResult, WatchedPresence,
};
use lamplight_usecases::weight::{self, ANSWER_BYTES};
use lamplight_wire::encode;
use parking_lot::Mutex;
use socketio::Packet;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::{Notify, oneshot};

/// The length of one part of an answer that is too long for one packet.
const PART_BYTES: usize = 200_000;

/// All connections of a user together may watch as many users as this many connections may.
const WATCHING_CONNECTIONS: usize = 4;

/// Sends presence events to the connections of this node that follow the roster or watch users.
pub struct RosterPublisher {
    hub: Arc<Hub>,
    /// Locked before the hub's connections are, never after them.
    feed: Mutex<RosterFeed<Connection>>,
    watch_limit: usize,
    wake: Notify,
    clock: Arc<dyn Clock>,
}

/// Packs changes into packets of at most `bytes`.
fn changes_in_parts(
    changes: &[Change],
    bytes: usize,
    version: u64,
    count: Option<usize>,
) -> Vec<Packet> {
    let mut packets = Vec::with_capacity(1);
    let mut left = changes;
    while !left.is_empty() {
        let (part, rest) = left.split_at(weight::fitting(left, bytes, |change| {
            weight::change(change)
        }));
        packets.push(Packet::event(
            "/",
            "presence_changes",
            &encode::presence_changes(part, version, count),
        ));
        left = rest;
    }
    packets
}

impl RosterPublisher {
    /// Lists have at most `roster_limit` entries, and a connection may watch as many users; 0 means
    /// no limit.
    #[must_use]
    pub fn new(hub: Arc<Hub>, roster_limit: usize, clock: Arc<dyn Clock>) -> Self {
        Self {
            hub,
            feed: Mutex::new(RosterFeed::new(roster_limit)),
            watch_limit: if roster_limit == 0 {
                usize::MAX
            } else {
                roster_limit
            },
            wake: Notify::new(),
            clock,
        }
    }

    /// Takes a change, to be sent at the next flush.
    pub fn push(&self, change: Change) {
        self.feed.lock().push(change);
        self.wake.notify_one();
    }

    /// Brings the feed to what the presence store has: at the start, and after the bus lost events.
    /// Subscribe to the bus first.
    ///
    /// # Errors
    /// When a store does not answer; the feed is as before.
    pub async fn resync(
        &self,
        presence: &dyn PresenceStore,
        directory: &dyn Directory,
    ) -> StoreResult<()> {
        let snapshot = presence.snapshot().await?;
        let missing = self.feed.lock().missing_from(&snapshot);
        let last_seen = if missing.is_empty() {
            Vec::new()
        } else {
            directory.last_seen(&missing).await?
        };
        let last_seen: HashMap<_, _> = missing.into_iter().zip(last_seen).collect();
        let last_seen = |user: &UserId| last_seen.get(user).copied().flatten();
        self.feed.lock().resync(snapshot, last_seen);
        self.wake.notify_one();
        Ok(())
    }

    /// The mode of a connection and the users that it watches.
    #[must_use]
    pub fn followed_by(&self, connection: &Connection) -> (Mode, Vec<UserId>) {
        self.feed.lock().followed_by(connection)
    }

    /// Forgets a connection. Remove it from the hub first: [`ConnectionRegistry::follow`] looks it
    /// up there under the feed's lock.
    pub fn forget(&self, connection: &Connection) {
        self.feed.lock().unfollow(connection);
    }

    /// The number of connections that follow the roster or watch users.
    #[must_use]
    pub fn followers(&self) -> usize {
        self.feed.lock().follower_count()
    }

    /// The number of entries in the feed's tables.
    #[must_use]
    pub fn held(&self) -> usize {
        self.feed.lock().held()
    }

    /// Sends what is due, for as long as it is polled.
    pub async fn run(&self) {
        loop {
            let next = self.feed.lock().next_flush();
            let now = self.clock.now().moment;
            match next {
                Some(due) if due > now => {
                    tokio::select! {
                        () = tokio::time::sleep(due.since(now)) => {}
                        () = self.wake.notified() => continue,
                    }
                }
                Some(_) => {}
                None => {
                    self.wake.notified().await;
                    continue;
                }
            }
            self.flush();
            // Lets the connections write before the next round, however fast changes come.
            tokio::task::yield_now().await;
        }
    }

    fn flush(&self) {
        let mut feed = self.feed.lock();
        let deliveries = feed.flush(self.clock.now().moment);
        let (count, is_truncated, version) = (feed.count(), feed.is_truncated(), feed.version());
        let list = deliveries
            .iter()
            .any(|delivery| matches!(delivery, Delivery::Snapshot(_)))
            .then(|| {
                // Clients page through what is past an answer's length.
                let length = weight::fitting(feed.listed(), ANSWER_BYTES, |presence| {
                    weight::presence(presence)
                });
                let is_truncated = is_truncated || length < feed.listed().len();
                let listed = feed.listed().take(length);
                Packet::event(
                    "/",
                    "online_users",
                    &encode::online_users(listed, count, is_truncated, version),
                )
            });
        drop(feed);
        for delivery in deliveries {
            let (connections, packets) = match delivery {
                Delivery::Snapshot(connections) => {
                    let Some(list) = list.clone() else { continue };
                    (connections, vec![list])
                }
                Delivery::Events(connections, changes) => {
                    let events = changes.iter().map(|change| {
                        let (name, json) = encode::presence_event(change);
                        Packet::event("/", name, &json)
                    });
                    (connections, vec![Packet::batch(events)])
                }
                Delivery::Changes(connections, changes) => (
                    connections,
                    changes_in_parts(
                        &changes,
                        ANSWER_BYTES,
                        version,
                        is_truncated.then_some(count),
                    ),
                ),
            };
            for connection in connections {
                for packet in &packets {
                    // A connection that is closed or was cut off removes itself.
                    let _ = connection.emit_packet(packet);
                }
            }
        }
    }

    /// Sends a connection the states of users that it watches.
    pub fn send_watched(
        &self,
        connection: &Connection,
        states: Vec<(WatchedPresence, Option<Timestamp>)>,
    ) {
        let changes: Vec<Change> = states
            .into_iter()
            .map(|(watched, last_seen_at)| match watched.shown {
                Some(shown) => Change::Online(shown),
                None => Change::Offline(Offline {
                    user: watched.user,
                    last_seen_at,
                    reason: OfflineReason::Closed,
                    version: watched.version,
                }),
            })
            .collect();
        let (version, count) = {
            let feed = self.feed.lock();
            (feed.version(), feed.is_truncated().then_some(feed.count()))
        };
        for packet in changes_in_parts(&changes, ANSWER_BYTES, version, count) {
            let _ = connection.emit_packet(&packet);
        }
    }

    /// Sends a connection the states of watched users that were too long for the answer to
    /// `watch_presence`. Each part waits until the one before is written, because a connection's
    /// queue is bounded and this may be longer.
    pub async fn send_states(&self, connection: &Connection, users: Vec<UserId>) {
        let mut users = users.into_iter().peekable();
        while users.peek().is_some() {
            let packets = {
                let feed = self.feed.lock();
                let (mut changes, mut bytes) = (Vec::new(), 0);
                // The states as of now. A user who went offline since is in an event of the feed.
                while bytes < PART_BYTES
                    && let Some(user) = users.next()
                {
                    if let Some(presence) = feed.get(user.as_str()) {
                        bytes += weight::presence(presence);
                        changes.push(Change::Online(Arc::clone(presence)));
                    }
                }
                changes_in_parts(
                    &changes,
                    ANSWER_BYTES,
                    feed.version(),
                    feed.is_truncated().then_some(feed.count()),
                )
            };
            for packet in packets {
                let (on_written, written) = oneshot::channel();
                let queued = connection.emit_then(&packet, move || {
                    let _ = on_written.send(());
                });
                if queued.is_err() || written.await.is_err() {
                    return;
                }
            }
        }
    }
}

impl ConnectionRegistry for RosterPublisher {
    fn admit(&self, id: &ConnectionId, user: &UserId) -> bool {
        self.hub.admit(id, user)
    }

    fn attached(&self, user: &UserId) -> Option<BoxFuture<'static, ()>> {
        self.hub.attached(user)
    }

    fn follow(&self, id: &ConnectionId, mode: Mode) -> bool {
        let mut feed = self.feed.lock();
        // Looked up under the feed's lock, so that `forget` of a connection found here comes later.
        let Some(connection) = self.hub.connection(id) else {
            return false;
        };
        feed.follow(connection.clone(), mode);
        drop(feed);
        self.wake.notify_one();
        // Checked last: whatever closes the connection after this finds that it follows, and ends
        // that.
        connection.is_connected()
    }

    fn watch(&self, id: &ConnectionId, users: &[UserId]) -> Option<Vec<WatchedPresence>> {
        let mut feed = self.feed.lock();
        let Some(connection) = self.hub.connection(id) else {
            return Some(Vec::new());
        };
        let here = feed.watched_count_with(&connection, users);
        let elsewhere: usize = connection.data().user().map_or(0, |user| {
            self.hub
                .connections_of(user)
                .iter()
                .filter(|other| **other != connection)
                .map(|other| feed.watched_count(other))
                .sum()
        });
        if here > self.watch_limit
            || here.saturating_add(elsewhere)
                > self.watch_limit.saturating_mul(WATCHING_CONNECTIONS)
        {
            return None;
        }
        feed.watch(&connection, users.iter().cloned());
        let watched = users.iter().map(|user| {
            let shown = feed.get(user.as_str()).cloned();
            WatchedPresence {
                user: user.clone(),
                version: shown.as_ref().map_or(0, |shown| shown.version),
                shown,
            }
        });
        Some(watched.collect())
    }

    fn unwatch(&self, id: &ConnectionId, users: &[UserId]) {
        if let Some(connection) = self.hub.connection(id) {
            self.feed.lock().unwatch(&connection, users);
        }
    }
}
