//! The port through which the use cases attach connections to the roster.

use super::RosterPublisher;
use futures_util::future::BoxFuture;
use lamplight_domain::identity::{ConnectionId, UserId};
use lamplight_domain::presence::Privacy;
use lamplight_domain::roster_feed::Mode;
use lamplight_usecases::ports::{ConnectionRegistry, HiddenTicket, WatchedPresence};
use lamplight_wire::encode;
use std::collections::HashMap;
use std::sync::atomic::Ordering;

/// All connections of a user together may watch as many users as this many connections may.
const WATCHING_CONNECTIONS: usize = 4;

impl ConnectionRegistry for RosterPublisher {
    /// Until the user's privacy settings are known, their sockets see the least of others.
    fn admit(&self, id: &ConnectionId, user: &UserId) -> bool {
        if self.hub.knows_privacy(user) {
            return self.hub.admit(id, user);
        }
        // Before the user's events come.
        self.privacy.expect(user, || self.hub.knows_privacy(user));
        let is_connected = self.hub.admit(id, user);
        // Another connection may have closed since, whose `forget` came before this.
        self.privacy.expect(user, || self.hub.knows_privacy(user));
        if self.hub.connections_of(user).is_empty() {
            self.privacy.forget(user);
        }
        is_connected
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
        // Usually no user is hidden.
        if hidden.is_empty() && self.hidden.is_still_empty(from, is_latest) {
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

    fn set_privacy(&self, user: &UserId, privacy: Privacy, revision: u64) {
        // If the last connection has closed, nothing is noted, and nothing stays here. If it closes
        // after this, `forget` finds what is set.
        let note = || self.hub.note_privacy(user, revision);
        for update in self.privacy.set(user, privacy, note) {
            self.hub.send("receipt", std::slice::from_ref(user), || {
                encode::receipt(&update.conversation, &update.receipt)
            });
        }
    }

    fn privacy_changes(&self) -> u64 {
        self.privacy_changes.load(Ordering::Acquire)
    }

    fn privacy_of(&self, user: &UserId) -> Privacy {
        self.privacy.of(user)
    }

    fn unwatch(&self, id: &ConnectionId, users: &[UserId]) {
        if let Some(connection) = self.hub.connection(id) {
            self.feed.lock().unwatch(&connection, users);
        }
    }
}
