//! Presence events: drives the domain's [`RosterFeed`] and sends what it decides.

mod registry;

use crate::connection::Connection;
use crate::hidden_users::{Hidden, HiddenUsers, ListMark, visible};
use crate::hub::Hub;
use crate::private_users::{PrivateUsers, ReceiptUpdate};
use crate::roster_packets::{changes_of, emit, events_of, list_of};
use crate::roster_view::{Apart, Listed, View};
use lamplight_domain::identity::UserId;
use lamplight_domain::presence::{Change, Offline, OfflineReason, Presence, clock_version};
use lamplight_domain::roster_feed::{Delivery, Mode, RosterFeed};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::{Clock, Directory, PresenceStore, StoreResult, WatchedPresence};
use lamplight_usecases::weight;
use lamplight_wire::encode;
use parking_lot::Mutex;
use socketio::Packet;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{Notify, oneshot};

/// The length of one part of an answer that is too long for one packet.
const PART_BYTES: usize = 200_000;

/// Sends presence events to the connections of this node that follow the roster or watch users.
pub struct RosterPublisher {
    hub: Arc<Hub>,
    /// Locked before the hub's connections are, never after them.
    feed: Mutex<RosterFeed<Connection>>,
    hidden: HiddenUsers,
    privacy: PrivateUsers,
    watch_limit: usize,
    wake: Notify,
    clock: Arc<dyn Clock>,
    /// The last ticket given out.
    tickets: AtomicU64,
    /// Changes that came, of any user.
    privacy_changes: AtomicU64,
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
            privacy: PrivateUsers::default(),
            watch_limit: if roster_limit == 0 {
                usize::MAX
            } else {
                roster_limit
            },
            wake: Notify::new(),
            clock,
            tickets: AtomicU64::new(0),
            privacy_changes: AtomicU64::new(0),
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

    /// Counts a change of privacy settings or blocks; call it before the check whether the user has a
    /// connection here.
    pub(crate) fn note_privacy_change(&self) {
        self.privacy_changes.fetch_add(1, Ordering::AcqRel);
    }

    /// Sends a receipt to those who may know of it.
    pub(crate) fn send_receipt(&self, update: ReceiptUpdate, to: &[UserId]) {
        let send = |update: &ReceiptUpdate, to: &[UserId]| {
            self.hub.send("receipt", to, || {
                encode::receipt(&update.conversation, &update.receipt)
            });
        };
        match self.privacy.split(&update, to) {
            None => send(&update, to),
            Some([whole, private]) => {
                send(&update, &whole);
                let receipt = update.receipt.without_read();
                send(&ReceiptUpdate { receipt, ..update }, &private);
            }
        }
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
        if is_last && let Some(user) = user {
            self.privacy.forget(user);
        }
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
            self.flush().await;
            // Lets the connections write before the next round, however fast changes come.
            tokio::task::yield_now().await;
        }
    }

    async fn flush(&self) {
        let (deliveries, roster) = {
            let mut feed = self.feed.lock();
            let deliveries = feed.flush(self.clock.now().moment);
            let has_list = deliveries
                .iter()
                .any(|delivery| matches!(delivery, Delivery::Snapshot(_)));
            let roster = Listed::of(&feed, has_list, self.hidden.most());
            (deliveries, roster)
        };
        let version = self.clock_version();
        let mut list = None;
        for mut delivery in deliveries {
            if let Some(private) = self.privacy.take_apart(&mut delivery) {
                self.deliver(private, &roster, &mut list, version).await;
            }
            self.deliver(delivery, &roster, &mut list, version).await;
        }
    }

    async fn deliver(
        &self,
        mut delivery: Delivery<Connection>,
        roster: &Listed,
        list: &mut Option<Packet>,
        version: u64,
    ) {
        let apart = self.take_apart(&mut delivery);
        let is_truncated = roster.is_truncated;
        let (connections, packets) = match &delivery {
            Delivery::Snapshot(connections) => {
                let list: &Packet = list.get_or_insert_with(|| {
                    list_of(&roster.listed, roster.count, is_truncated, version)
                });
                (connections, vec![list.clone()])
            }
            Delivery::Events(connections, changes) => (connections, events_of(changes)),
            Delivery::Changes(connections, changes) => {
                let count = is_truncated.then_some(roster.count);
                (connections, changes_of(changes, count))
            }
        };
        emit(connections, &packets);
        // Each list or batch of its own takes as long to encode as the one for all others.
        for group in apart {
            self.deliver_apart(&delivery, &group, roster, &packets, version);
            tokio::task::yield_now().await;
        }
    }

    /// Takes the connections from which users are hidden out of a delivery, grouped by user.
    fn take_apart(&self, delivery: &mut Delivery<Connection>) -> Vec<Apart> {
        let mut groups: Vec<Apart> = Vec::new();
        if self.hidden.is_empty() {
            return groups;
        }
        let (Delivery::Snapshot(connections)
        | Delivery::Events(connections, _)
        | Delivery::Changes(connections, _)) = delivery;
        let mut apart = Vec::new();
        connections.retain(|connection| {
            let is_apart = self.hidden.of_connection(connection).is_some();
            if is_apart {
                apart.push(connection.clone());
            }
            !is_apart
        });
        let feed = self.feed.lock();
        let mut places = HashMap::new();
        for connection in apart {
            let is_filled = feed.mode_of(&connection) != Mode::Diff;
            let place = places.entry((connection.data().user().cloned(), is_filled));
            let place = *place.or_insert_with(|| {
                groups.push(Apart {
                    connections: Vec::with_capacity(1),
                    is_filled,
                });
                groups.len() - 1
            });
            groups[place].connections.push(connection);
        }
        groups
    }

    /// Sends a filtered delivery to the connections of a user from whom other users are hidden.
    /// `packets` is the unfiltered delivery.
    fn deliver_apart(
        &self,
        delivery: &Delivery<Connection>,
        group: &Apart,
        roster: &Listed,
        packets: &[Packet],
        version: u64,
    ) {
        let Apart {
            connections,
            is_filled,
        } = group;
        let Some(first) = connections.first() else {
            return;
        };
        // As of now: other groups came before this one.
        let hidden = &*self.hidden.of_connection(first).unwrap_or_default();
        let view = &View::of(&self.feed.lock(), hidden, *is_filled);
        // No hidden user is online now or was at the last flush: the unfiltered delivery is
        // correct.
        let is_visible = |user: &UserId| !hidden.contains_key(user);
        let is_shared = view.hidden_online == 0 && view.count == roster.count;
        match delivery {
            Delivery::Snapshot(_) => {
                let shown = roster.without(hidden, view);
                let mark = ListMark::of(&shown, view.count);
                let is_new = |connection: &&Connection| self.hidden.is_new_list(connection, mark);
                let connections: Vec<_> = connections.iter().filter(is_new).cloned().collect();
                let is_shared =
                    is_shared && roster.listed.iter().all(|one| is_visible(&one.profile.id));
                if is_shared || connections.is_empty() {
                    emit(&connections, packets);
                } else {
                    let list = list_of(&shown, view.count, view.is_truncated, version);
                    emit(&connections, &[list]);
                }
            }
            Delivery::Events(_, changes) | Delivery::Changes(_, changes) => {
                if is_shared && changes.iter().all(|change| is_visible(change.user())) {
                    return emit(connections, packets);
                }
                let changes = visible(changes, hidden);
                let packets = match delivery {
                    Delivery::Events(..) => events_of(&changes),
                    _ => changes_of(&changes, view.is_truncated.then_some(view.count)),
                };
                emit(connections, &packets);
            }
        }
    }

    /// A version as new as any change so far. That of the feed would reveal when a hidden user changed.
    fn clock_version(&self) -> u64 {
        clock_version(self.clock.now().wall)
    }

    /// The count that a connection receives with changes, if its list is truncated.
    fn count_for(&self, feed: &RosterFeed<Connection>, connection: &Connection) -> Option<usize> {
        let view = match self.hidden.of_connection(connection) {
            Some(hidden) => View::of(feed, &hidden, feed.mode_of(connection) != Mode::Diff),
            None => View::of(feed, &Hidden::new(), true),
        };
        view.is_truncated.then_some(view.count)
    }

    /// Sends to a user's connections the changes of users who became hidden or visible to them.
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
                changes_of(&changes, None)
            };
            emit(std::slice::from_ref(&connection), &packets);
        }
    }

    /// Sends a connection the states of users that it watches.
    pub fn send_watched(
        &self,
        connection: &Connection,
        states: Vec<(WatchedPresence, Option<Timestamp>)>,
    ) {
        let sees_last_seen = self.privacy.sees_last_seen(connection);
        let changes: Vec<Change> = states
            .into_iter()
            .map(|(watched, last_seen_at)| match watched.shown {
                Some(shown) => Change::Online(shown),
                None => Change::Offline(Offline {
                    user: watched.user,
                    last_seen_at: last_seen_at.filter(|_| sees_last_seen),
                    reason: OfflineReason::Closed,
                    version: watched.version,
                }),
            })
            .collect();
        let count = self.count_for(&self.feed.lock(), connection);
        emit(
            std::slice::from_ref(connection),
            &changes_of(&changes, count),
        );
    }

    /// Sends a connection the states of watched users that were too long for the answer to
    /// `watch_presence`. Each part waits until the one before is written, because a connection's
    /// queue is bounded and this may be longer.
    ///
    /// One call at a time sends to a connection; another one leaves its users to that and returns.
    pub async fn send_states(&self, connection: &Connection, users: Vec<UserId>) {
        let states = &connection.data().states;
        if !states.start(users) {
            return;
        }
        while let Some(users) = states.next() {
            if !self.send_some_states(connection, users).await {
                return states.end();
            }
        }
    }

    /// `false` if the connection closed.
    async fn send_some_states(&self, connection: &Connection, users: HashSet<UserId>) -> bool {
        let mut users = users.into_iter().peekable();
        while users.peek().is_some() {
            let (changes, count) = {
                let feed = self.feed.lock();
                let hidden = self.hidden.of_connection(connection).unwrap_or_default();
                let (mut changes, mut bytes) = (Vec::new(), 0);
                // The states as of now. A user who went offline since is in an event of the feed.
                while bytes < PART_BYTES
                    && let Some(user) = users.next()
                {
                    if let Some(presence) = feed.get(user.as_str())
                        && !hidden.contains_key(&user)
                    {
                        bytes += weight::presence(presence);
                        changes.push(Change::Online(Arc::clone(presence)));
                    }
                }
                (changes, self.count_for(&feed, connection))
            };
            // Encoded without the lock, for which every change of the roster waits.
            let packets = changes_of(&changes, count);
            for packet in packets {
                let (on_written, written) = oneshot::channel();
                let queued = connection.emit_then(&packet, move || {
                    let _ = on_written.send(());
                });
                if queued.is_err() || written.await.is_err() {
                    return false;
                }
            }
        }
        true
    }
}
