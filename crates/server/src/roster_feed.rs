//! Presence events: drives the domain's [`RosterFeed`] and sends what it decides.

use crate::connection::Connection;
use crate::hidden_users::{Hidden, HiddenUsers, visible};
use crate::hub::Hub;
use crate::roster_packets::{changes_in_parts, events_of, list_of};
use futures_util::future::BoxFuture;
use lamplight_domain::identity::{ConnectionId, UserId};
use lamplight_domain::presence::{Change, Offline, OfflineReason, Presence, clock_version};
use lamplight_domain::roster_feed::{Delivery, Mode, RosterFeed};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::{
    Clock, ConnectionRegistry, Directory, HiddenTicket, PresenceStore, StoreResult, WatchedPresence,
};
use lamplight_usecases::weight::{self, ANSWER_BYTES};
use lamplight_wire::encode;
use parking_lot::Mutex;
use socketio::Packet;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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
    hidden: HiddenUsers,
    watch_limit: usize,
    wake: Notify,
    clock: Arc<dyn Clock>,
    /// The last ticket given out.
    tickets: AtomicU64,
}

impl RosterPublisher {
    /// Lists have at most `roster_limit` entries, and a connection may watch as many users; 0 means
    /// no limit.
    #[must_use]
    pub fn new(hub: Arc<Hub>, roster_limit: usize, clock: Arc<dyn Clock>) -> Self {
        Self {
            hub,
            feed: Mutex::new(RosterFeed::new(roster_limit)),
            hidden: HiddenUsers::default(),
            watch_limit: if roster_limit == 0 {
                usize::MAX
            } else {
                roster_limit
            },
            wake: Notify::new(),
            clock,
            tickets: AtomicU64::new(0),
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
        let mut feed = self.feed.lock();
        feed.unfollow(connection);
        let user = connection.data().user();
        let is_last = user.is_some_and(|user| self.hub.connections_of(user).is_empty());
        self.hidden.forget(connection, is_last);
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
        // For those from whom somebody is hidden.
        let listed: Vec<Arc<Presence>> = if list.is_some() {
            feed.listed().cloned().collect()
        } else {
            Vec::new()
        };
        drop(feed);
        for delivery in deliveries {
            let delivery = self.deliver_apart(delivery, &listed, is_truncated);
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

    /// Sends what is left of a delivery to the connections from which somebody is hidden, and returns
    /// it for the others.
    fn deliver_apart(
        &self,
        mut delivery: Delivery<Connection>,
        listed: &[Arc<Presence>],
        is_truncated: bool,
    ) -> Delivery<Connection> {
        if self.hidden.is_empty() {
            return delivery;
        }
        let (Delivery::Snapshot(connections)
        | Delivery::Events(connections, _)
        | Delivery::Changes(connections, _)) = &mut delivery;
        let mut apart = Vec::new();
        connections.retain(|connection| match self.hidden.of_connection(connection) {
            Some(hidden) => {
                apart.push((connection.clone(), hidden));
                false
            }
            None => true,
        });
        for (connection, hidden) in apart {
            let count = self.count_without(&hidden);
            let packets = match &delivery {
                Delivery::Snapshot(_) => {
                    let shown = |one: &&Arc<Presence>| !hidden.contains_key(&one.profile.id);
                    let shown: Vec<_> = listed.iter().filter(shown).cloned().collect();
                    if !self.hidden.is_new_list(&connection, &shown, count) {
                        continue;
                    }
                    vec![list_of(&shown, count, is_truncated, self.clock_version())]
                }
                Delivery::Events(_, changes) => events_of(&visible(changes, &hidden)),
                Delivery::Changes(_, changes) => {
                    let changes = visible(changes, &hidden);
                    let version = changes.iter().map(Change::version).max().unwrap_or(0);
                    let count = is_truncated.then_some(count);
                    changes_in_parts(&changes, ANSWER_BYTES, version, count)
                }
            };
            for packet in &packets {
                let _ = connection.emit_packet(packet);
            }
        }
        delivery
    }

    /// A version as new as any change so far. That of the feed would tell when a hidden user changed.
    fn clock_version(&self) -> u64 {
        clock_version(self.clock.now().wall)
    }

    /// How many users are online, without those who are hidden.
    fn count_without(&self, hidden: &Hidden) -> usize {
        let feed = self.feed.lock();
        let is_online = |user: &&UserId| feed.get(user.as_str()).is_some();
        feed.count() - hidden.keys().filter(is_online).count()
    }

    /// Sends the connections of a user who was hidden from it, or is no longer.
    fn send_difference(
        &self,
        feed: &RosterFeed<Connection>,
        user: &UserId,
        before: &Hidden,
        now: &Hidden,
    ) {
        let mut changes = Vec::new();
        for (of, since) in now.iter().filter(|(of, _)| !before.contains_key(*of)) {
            if let Some(shown) = feed.get(of.as_str()) {
                changes.push(Change::Offline(Offline {
                    user: of.clone(),
                    last_seen_at: None,
                    reason: OfflineReason::Closed,
                    version: (*since).max(shown.version.saturating_add(1)),
                }));
            }
        }
        // Newer than the version since which they looked offline.
        let clock = self.clock_version();
        for of in before.keys().filter(|of| !now.contains_key(*of)) {
            if let Some(shown) = feed.get(of.as_str()) {
                changes.push(Change::Online(Arc::new(Presence {
                    version: shown.version.max(clock),
                    ..Presence::clone(shown)
                })));
            }
        }
        if changes.is_empty() {
            return;
        }
        for connection in self.hub.connections_of(user) {
            let (mode, watched) = feed.followed_by(&connection);
            let follows = matches!(mode, Mode::Full | Mode::Diff);
            let concerns = |change: &&Change| follows || watched.contains(change.user());
            let changes: Vec<Change> = changes.iter().filter(concerns).cloned().collect();
            let packets = if mode == Mode::Full {
                events_of(&changes)
            } else {
                let version = changes.iter().map(Change::version).max().unwrap_or(0);
                changes_in_parts(&changes, ANSWER_BYTES, version, None)
            };
            for packet in &packets {
                let _ = connection.emit_packet(packet);
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
    pub async fn send_states(&self, connection: &Connection, mut users: Vec<UserId>) {
        if let Some(hidden) = self.hidden.of_connection(connection) {
            users.retain(|user| !hidden.contains_key(user));
        }
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
        self.hidden.wants_list(id);
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
        let hidden = self.hidden.of_connection(&connection);
        let watched = users.iter().map(|user| {
            let since = hidden.as_ref().and_then(|all| all.get(user)).copied();
            let shown = feed.get(user.as_str()).filter(|_| since.is_none());
            WatchedPresence {
                user: user.clone(),
                version: since.or(shown.map(|shown| shown.version)).unwrap_or(0),
                shown: shown.cloned(),
                is_hidden: since.is_some(),
            }
        });
        Some(watched.collect())
    }

    fn hide(&self, from: &UserId, ticket: HiddenTicket, hidden: HashMap<UserId, u64>) {
        // If the last connection has closed, nothing is noted, and nothing stays here. If it closes
        // after this, `forget` finds what is set.
        let is_latest = || self.hub.note_hidden_read(from, ticket);
        // Nearly always nobody is.
        if hidden.is_empty() && self.hidden.is_still_nobody(from, is_latest) {
            return;
        }
        let feed = self.feed.lock();
        if let Some(before) = self.hidden.set(from, hidden.clone(), is_latest) {
            self.send_difference(&feed, from, &before, &hidden);
        }
    }

    fn hidden_ticket(&self) -> HiddenTicket {
        HiddenTicket(self.tickets.fetch_add(1, Ordering::AcqRel) + 1)
    }

    fn unwatch(&self, id: &ConnectionId, users: &[UserId]) {
        if let Some(connection) = self.hub.connection(id) {
            self.feed.lock().unwatch(&connection, users);
        }
    }
}
