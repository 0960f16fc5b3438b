//! The feed with clients that apply the deliveries, and panic at repeated, late or missing ones.

mod bounds;
mod order;
mod pace;
mod resync;
mod together;

use super::*;
use crate::identity::Profile;
use crate::presence::{Offline, OfflineReason, RosterSnapshot, Status, VersionFloors};
use crate::time::Timestamp;

/// A socket.
pub(super) type Key = u8;

pub(super) fn user(n: u16) -> UserId {
    UserId::trusted(format!("u{n}"))
}

pub(super) fn presence(user: &UserId, version: u64, since: u64) -> Arc<Presence> {
    Arc::new(Presence {
        profile: Profile::bare(user.clone()),
        status: Status::Online,
        text: None,
        last_active_at: Timestamp(0),
        hides_last_seen: false,
        activities: Vec::new(),
        version,
        since,
    })
}

pub(super) fn offline(user: &UserId, version: u64) -> Change {
    Change::Offline(Offline {
        user: user.clone(),
        last_seen_at: Some(Timestamp(1)),
        reason: OfflineReason::Closed,
        version,
    })
}

/// A roster too simple to be wrong.
#[derive(Default)]
pub(super) struct Truth {
    pub(super) version: u64,
    pub(super) present: HashMap<UserId, Arc<Presence>>,
}

impl Truth {
    /// The user comes online, or changes.
    pub(super) fn show(&mut self, user: &UserId) -> Change {
        self.version += 1;
        let since = self.present.get(user).map(|presence| presence.since);
        let now = presence(user, self.version, since.unwrap_or(self.version));
        self.present.insert(user.clone(), Arc::clone(&now));
        if since.is_some() {
            Change::Updated(now)
        } else {
            Change::Online(now)
        }
    }

    pub(super) fn hide(&mut self, user: &UserId) -> Option<Change> {
        self.present.remove(user)?;
        self.version += 1;
        Some(offline(user, self.version))
    }
}

/// The state of a client that received everything sent to one connection.
#[derive(Default)]
pub(super) struct Client {
    pub(super) mode: Mode,
    /// It waits for the snapshot of its latest join.
    pub(super) joining: bool,
    pub(super) list: HashMap<UserId, Arc<Presence>>,
    /// The users it watches, with the version and the state that it was sent.
    pub(super) watched: HashMap<UserId, (u64, Option<Arc<Presence>>)>,
    pub(super) lists: Vec<Moment>,
}

impl Client {
    fn follows_list(&self) -> bool {
        matches!(self.mode, Mode::Full | Mode::Diff)
    }

    /// A change that came by way of the list.
    fn take_listed(&mut self, change: &Change) {
        assert!(
            self.follows_list() && !self.joining,
            "who waits for a snapshot gets no changes of before: {change:?}"
        );
        let user = change.user().clone();
        match change {
            Change::Online(presence) => {
                assert!(
                    self.list.insert(user, Arc::clone(presence)).is_none(),
                    "came twice: {change:?}"
                );
            }
            Change::Updated(presence) => {
                let before = self
                    .list
                    .insert(user, Arc::clone(presence))
                    .expect("an update of a listed user");
                assert!(before.version < presence.version, "not newer: {change:?}");
            }
            Change::Offline(_) => assert!(
                self.list.remove(&user).is_some(),
                "out, but was not in: {change:?}"
            ),
        }
        if let Some(held) = self.watched.get_mut(change.user())
            && held.0 < change.version()
        {
            *held = (change.version(), shown(change));
        }
    }

    /// A change that came because it watches.
    fn take_watched(&mut self, change: &Change) {
        let (version, held) = self
            .watched
            .get_mut(change.user())
            .expect("only watched users");
        assert!(
            *version < change.version(),
            "p5, p6: sent twice or backwards: {change:?} after {version}"
        );
        (*version, *held) = (change.version(), shown(change));
    }

    fn take_list(&mut self, listed: &HashMap<UserId, Arc<Presence>>, whole: bool) {
        self.list.clone_from(listed);
        for (user, (sent, held)) in &mut self.watched {
            match listed.get(user) {
                Some(presence) => {
                    (*sent, *held) = (presence.version.max(*sent), Some(Arc::clone(presence)));
                }
                None if whole => *held = None,
                None => {}
            }
        }
    }
}

fn shown(change: &Change) -> Option<Arc<Presence>> {
    match change {
        Change::Online(presence) | Change::Updated(presence) => Some(Arc::clone(presence)),
        Change::Offline(_) => None,
    }
}

/// A feed, the true roster, and clients, with a driver that follows [`RosterFeed::next_flush`].
pub(super) struct World {
    pub(super) feed: RosterFeed<Key>,
    pub(super) truth: Truth,
    pub(super) clients: HashMap<Key, Client>,
    pub(super) now: Moment,
    /// The bus loses every change.
    pub(super) is_bus_down: bool,
    /// Since when something waits to be sent.
    waiting_since: Option<Moment>,
    /// How many changes were sent; each counts once, however many share it.
    pub(super) sent: usize,
}

impl World {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            feed: RosterFeed::new(limit),
            truth: Truth::default(),
            clients: HashMap::new(),
            now: Moment(500_000),
            is_bus_down: false,
            waiting_since: None,
            sent: 0,
        }
    }

    fn push(&mut self, change: Change) {
        if self.is_bus_down {
            return;
        }
        self.feed.push(change);
        self.note_waiting();
    }

    pub(super) fn snapshot(&self) -> RosterSnapshot {
        RosterSnapshot {
            present: self.truth.present.values().cloned().collect(),
            floors: VersionFloors::one(self.truth.version),
        }
    }

    pub(super) fn resync(&mut self, snapshot: RosterSnapshot) {
        self.feed.resync(snapshot, |_| Some(Timestamp(1)));
        self.note_waiting();
    }

    fn note_waiting(&mut self) {
        if !self.feed.pending.is_empty() || !self.feed.pending_watched.is_empty() {
            self.waiting_since.get_or_insert(self.now);
        }
    }

    pub(super) fn show(&mut self, user: &UserId) {
        let change = self.truth.show(user);
        self.push(change);
    }

    pub(super) fn hide(&mut self, user: &UserId) {
        if let Some(change) = self.truth.hide(user) {
            self.push(change);
        }
    }

    pub(super) fn follow(&mut self, key: Key, mode: Mode) {
        self.feed.follow(key, mode);
        let client = self.clients.entry(key).or_default();
        client.mode = mode;
        client.joining = client.follows_list();
    }

    pub(super) fn unfollow(&mut self, key: Key) {
        self.feed.unfollow(&key);
        self.clients.remove(&key);
    }

    pub(super) fn watch(&mut self, key: Key, users: &[UserId]) {
        self.feed.watch(&key, users.iter().cloned());
        let client = self.clients.entry(key).or_insert_with(|| Client {
            mode: Mode::None,
            ..Client::default()
        });
        for user in users {
            let shown = self.feed.get(user.as_str()).cloned();
            // As the use case answers: of an offline user, the store knows the version.
            let version = match (&shown, self.truth.present.get(user)) {
                (Some(presence), _) => presence.version,
                (None, Some(presence)) => presence.version - 1,
                (None, None) => self.truth.version,
            };
            client.watched.insert(user.clone(), (version, shown));
        }
    }

    pub(super) fn unwatch(&mut self, key: Key, users: &[UserId]) {
        self.feed.unwatch(&key, users);
        if let Some(client) = self.clients.get_mut(&key) {
            users
                .iter()
                .for_each(|user| drop(client.watched.remove(user)));
        }
    }

    fn deliver(&mut self, delivery: Delivery<Key>, gathered: &[Change]) {
        let listed: HashMap<_, _> = self
            .feed
            .listed()
            .map(|presence| (presence.profile.id.clone(), Arc::clone(presence)))
            .collect();
        match delivery {
            Delivery::Snapshot(keys) => {
                assert!(!keys.is_empty());
                for key in keys {
                    let client = self
                        .clients
                        .get_mut(&key)
                        .expect("a list for a connected client");
                    assert!(client.follows_list(), "a list for a client that follows it");
                    if !std::mem::take(&mut client.joining) {
                        assert_eq!(client.mode, Mode::Full);
                        assert_eq!(
                            client.list, listed,
                            "p6: the changes alone led to the same list"
                        );
                    }
                    client.lists.push(self.now);
                    client.take_list(&listed, !self.feed.is_truncated());
                }
            }
            Delivery::Events(keys, changes) => {
                self.sent += changes.len();
                assert!(!keys.is_empty() && !changes.is_empty());
                for key in keys {
                    let client = self
                        .clients
                        .get_mut(&key)
                        .expect("changes for a connected client");
                    assert_eq!(client.mode, Mode::Full);
                    changes.iter().for_each(|change| client.take_listed(change));
                }
            }
            Delivery::Changes(keys, changes) => {
                self.sent += changes.len();
                assert!(!keys.is_empty() && !changes.is_empty());
                for key in keys {
                    let client = self
                        .clients
                        .get_mut(&key)
                        .expect("changes for a connected client");
                    // A watcher's events do not repeat the list.
                    let by_list =
                        client.mode == Mode::Diff && !client.joining && changes == gathered;
                    for change in &changes {
                        if by_list {
                            client.take_listed(change)
                        } else {
                            client.take_watched(change)
                        }
                    }
                }
            }
        }
    }

    pub(super) fn flush(&mut self) {
        let waiting = self.waiting_since;
        let due = self.feed.next_flush().is_some_and(|due| due <= self.now);
        let gathered = self.feed.pending.clone().take();
        let deliveries = self.feed.flush(self.now);
        if self.feed.pending.is_empty() && self.feed.pending_watched.is_empty() {
            self.waiting_since = None;
            if let Some(since) = waiting {
                assert!(
                    self.now.since(since) <= MAX_FLUSH_INTERVAL,
                    "gathered for {:?}",
                    self.now.since(since)
                );
            }
        }
        assert!(due || deliveries.is_empty(), "a delivery before it was due");
        for delivery in deliveries {
            self.deliver(delivery, &gathered);
        }
        assert!(
            self.feed.next_flush().is_none_or(|next| next > self.now),
            "a flush leaves nothing undone"
        );
    }

    /// Lets time pass as a driver does that flushes when a flush is due.
    pub(super) fn pass(&mut self, by: u64) {
        let end = Moment(self.now.0 + by);
        while let Some(next) = self.feed.next_flush().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.flush();
        }
        self.now = end;
    }

    /// Until there is nothing left to send.
    pub(super) fn settle(&mut self) {
        for _ in 0..10 {
            let Some(next) = self.feed.next_flush() else {
                break;
            };
            self.now = self.now.max(next);
            self.flush();
        }
        assert_eq!(
            self.feed.next_flush(),
            None,
            "the last list is out some time"
        );
    }

    /// Checks that every client has exactly the users that it follows or watches.
    pub(super) fn check(&self) {
        let mut in_order: Vec<_> = self.truth.present.values().cloned().collect();
        in_order.sort_by_key(|presence| presence.since);
        assert_eq!(self.feed.count(), in_order.len());
        let listed: HashMap<_, _> = self
            .feed
            .listed()
            .map(|presence| (presence.profile.id.clone(), Arc::clone(presence)))
            .collect();
        assert_eq!(
            listed.len(),
            in_order.len().min(self.feed.limit),
            "as long as it may be"
        );
        assert_eq!(self.feed.is_truncated(), in_order.len() > self.feed.limit);
        for (user, presence) in &self.truth.present {
            assert_eq!(self.feed.get(user.as_str()), Some(presence));
        }
        for (user, presence) in &listed {
            assert_eq!(self.truth.present.get(user), Some(presence));
        }
        for (key, client) in &self.clients {
            if client.follows_list() {
                assert_eq!(client.list, listed, "p6: what {key} believes");
            }
            for (user, (_, held)) in &client.watched {
                assert_eq!(
                    held.as_ref(),
                    self.truth.present.get(user),
                    "p6: what {key} believes of {user}"
                );
            }
        }
    }

    /// Nothing is held of anyone.
    pub(super) fn is_empty(&self) -> bool {
        let feed = &self.feed;
        feed.followers.is_empty()
            && feed.watchers.is_empty()
            && feed.newcomers.is_empty()
            && feed.pending.is_empty()
            && feed.pending_watched.is_empty()
            && feed.full_count == 0
            && feed.listed.is_empty()
            && feed.beyond.is_empty()
            && feed.since.is_empty()
    }
}
