//! From what happened to bytes on sockets: encode once, hand the same bytes to everyone.
//!
//! The publisher of an event calls [`Hub::event`] in place; nothing here waits. What needs the
//! store (a conversation as each member sees it) and what is gathered (the roster) is done by
//! [`Hub::run`].

use crate::socket::SocketData;
use lamplight_domain::conversation::Members;
use lamplight_domain::event::Event;
use lamplight_domain::identity::{ConnectionId, ConversationId, UserId};
use lamplight_domain::message::Message;
use lamplight_domain::presence::Change;
use lamplight_domain::roster_feed::{Delivery, Mode, RosterFeed};
use lamplight_domain::time::Moment;
use lamplight_usecases::Handler;
use lamplight_usecases::ports::{Clock, ConnectionRegistry, WatchedPresence};
use lamplight_usecases::throttle::{self, Due};
use lamplight_usecases::weight::{self, ANSWER_BYTES};
use lamplight_wire::encode;
use parking_lot::{Mutex, RwLock};
use socketio::{Packet, Socket};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};

type MemberSocket = Socket<SocketData>;

#[derive(Default)]
struct Sockets {
    by_session: HashMap<ConnectionId, MemberSocket>,
    by_user: HashMap<UserId, Vec<MemberSocket>>,
}

/// This node's sockets, and what they are told.
pub struct Hub {
    sockets: RwLock<Sockets>,
    feed: Mutex<RosterFeed<MemberSocket>>,
    watch_limit: usize,
    feed_wake: Notify,
    /// Conversations that members are still to be shown: a set, so that a flood of changes costs
    /// one look each.
    changed: Mutex<HashSet<(ConversationId, UserId)>>,
    changed_wake: Notify,
    clock: Arc<dyn Clock>,
    handler: OnceLock<Weak<Handler>>,
    /// Credentials that ended a moment ago: see [`Hub::end_if_signed_out`].
    ended: Mutex<HashMap<Arc<str>, Moment>>,
}

/// A token that was looked up before it ended is on a socket by then.
const ENDED_FOR: Duration = Duration::from_secs(60);

/// What is shown in one part to a socket that asked for more than an answer holds.
const PART_BYTES: usize = 200_000;

/// All sockets of a user together may watch as many as this many sockets may.
const WATCHING_SOCKETS: usize = 4;

/// Changes as packets, of which none is longer than this.
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

impl Hub {
    /// No sockets yet. Lists have at most `roster_limit` entries, which is also how many users a
    /// socket may watch.
    #[must_use]
    pub fn new(roster_limit: usize, clock: Arc<dyn Clock>) -> Self {
        Self {
            sockets: RwLock::default(),
            feed: Mutex::new(RosterFeed::new(roster_limit)),
            watch_limit: if roster_limit == 0 {
                usize::MAX
            } else {
                roster_limit
            },
            feed_wake: Notify::new(),
            changed: Mutex::default(),
            changed_wake: Notify::new(),
            clock,
            handler: OnceLock::new(),
            ended: Mutex::default(),
        }
    }

    /// Sets the use cases, to which it is told what was delivered. Once.
    pub fn set_handler(&self, handler: &Arc<Handler>) {
        let _ = self.handler.set(Arc::downgrade(handler));
    }

    fn handler(&self) -> Option<Arc<Handler>> {
        self.handler.get()?.upgrade()
    }

    /// A socket is connected.
    pub fn connected(&self, session: ConnectionId, socket: &MemberSocket) {
        self.sockets
            .write()
            .by_session
            .insert(session, socket.clone());
    }

    /// A socket is gone.
    pub fn disconnected(&self, session: &ConnectionId, socket: &MemberSocket) {
        let mut sockets = self.sockets.write();
        sockets.by_session.remove(session);
        if let Some(user) = socket.data().user()
            && let Some(theirs) = sockets.by_user.get_mut(user)
        {
            theirs.retain(|held| held != socket);
            if theirs.is_empty() {
                sockets.by_user.remove(user);
            }
        }
        drop(sockets);
        self.feed.lock().unfollow(socket);
    }

    /// The socket of a session.
    #[must_use]
    pub fn socket(&self, session: &ConnectionId) -> Option<MemberSocket> {
        self.sockets.read().by_session.get(session).cloned()
    }

    /// How many sockets belong to a known user, and how many follow anything.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let sockets = self.sockets.read().by_user.values().map(Vec::len).sum();
        (sockets, self.feed.lock().follower_count())
    }

    /// Entries of the tables that follow who is in and who watches.
    #[must_use]
    pub fn held(&self) -> usize {
        self.feed.lock().held()
    }

    /// Something happened.
    pub fn event(&self, event: Event) {
        match event {
            Event::Appended {
                message,
                to,
                except,
            } => self.appended(&message, &to, except.as_ref()),
            Event::Typing {
                conversation,
                user,
                is_typing,
                expires_at,
                to,
            } => {
                let json = || encode::typing(&conversation, &user, is_typing, expires_at);
                self.send("typing", &to, json);
            }
            Event::Receipt {
                conversation,
                receipt,
                to,
            } => {
                self.send("receipt", &to, || encode::receipt(&conversation, &receipt));
            }
            Event::ConversationChanged { conversation, to } => {
                self.conversation_changed(&conversation, &to)
            }
            Event::Presence(change) => self.presence(change),
            Event::SignedOut { user, credential } => self.signed_out(&user, &credential),
        }
    }

    /// Sends what is due of the roster, and conversations as their members see them, for as long as
    /// it is polled.
    pub async fn run(&self) {
        tokio::join!(self.run_feed(), self.run_changed());
    }

    async fn run_feed(&self) {
        loop {
            let next = self.feed.lock().next_flush();
            let now = self.clock.now().moment;
            match next {
                Some(due) if due > now => {
                    tokio::select! {
                        () = tokio::time::sleep(due.since(now)) => {}
                        () = self.feed_wake.notified() => continue,
                    }
                }
                Some(_) => {}
                None => {
                    self.feed_wake.notified().await;
                    continue;
                }
            }
            self.flush_feed();
            // Lets the connections write before the next round, however fast changes come.
            tokio::task::yield_now().await;
        }
    }

    fn flush_feed(&self) {
        let mut feed = self.feed.lock();
        let deliveries = feed.flush(self.clock.now().moment);
        let (count, truncated, version) = (feed.count(), feed.is_truncated(), feed.version());
        let list = deliveries
            .iter()
            .any(|delivery| matches!(delivery, Delivery::Snapshot(_)))
            .then(|| {
                // What is past an answer's length can be had page by page.
                let kept =
                    weight::fitting(feed.listed(), ANSWER_BYTES, |shown| weight::presence(shown));
                let cut = truncated || kept < feed.listed().len();
                Packet::event(
                    "/",
                    "online_users",
                    &encode::online_users(feed.listed().take(kept), count, cut, version),
                )
            });
        drop(feed);
        for delivery in deliveries {
            let (sockets, packets) = match delivery {
                Delivery::Snapshot(sockets) => {
                    let Some(list) = list.clone() else { continue };
                    (sockets, vec![list])
                }
                Delivery::Events(sockets, changes) => {
                    let events = changes.iter().map(|change| {
                        let (name, json) = encode::presence_event(change);
                        Packet::event("/", name, &json)
                    });
                    (sockets, vec![Packet::batch(events)])
                }
                Delivery::Changes(sockets, changes) => (
                    sockets,
                    changes_in_parts(&changes, ANSWER_BYTES, version, truncated.then_some(count)),
                ),
            };
            for socket in sockets {
                for packet in &packets {
                    // A socket that is gone or cut off is unfollowed when it says so itself.
                    let _ = socket.emit_packet(packet);
                }
            }
        }
    }

    /// Shows a socket those whom it watches and whose states were too long for the answer. One part
    /// after the other, each when the one before is written: what waits for a socket is bounded,
    /// and it asked for more than that.
    pub async fn show(&self, socket: &MemberSocket, users: Vec<UserId>) {
        let mut users = users.into_iter().peekable();
        while users.peek().is_some() {
            let packets = {
                let feed = self.feed.lock();
                let (mut changes, mut bytes) = (Vec::new(), 0);
                // As they are now; whoever has gone meanwhile was or will be told to have.
                while bytes < PART_BYTES
                    && let Some(user) = users.next()
                {
                    if let Some(shown) = feed.get(user.as_str()) {
                        bytes += weight::presence(shown);
                        changes.push(Change::Online(Arc::clone(shown)));
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
                let (tell, written) = oneshot::channel();
                if socket
                    .emit_then(&packet, move || {
                        let _ = tell.send(());
                    })
                    .is_err()
                    || written.await.is_err()
                {
                    return;
                }
            }
        }
    }

    async fn run_changed(&self) {
        loop {
            let pending = std::mem::take(&mut *self.changed.lock());
            if pending.is_empty() {
                self.changed_wake.notified().await;
                continue;
            }
            let Some(handler) = self.handler() else {
                return;
            };
            for (conversation, user) in pending {
                let sockets = self.sockets_of(&user);
                if sockets.is_empty() {
                    continue;
                }
                match handler.conversation_for(&user, &conversation).await {
                    Ok(Some(seen)) => {
                        let packet = Packet::event(
                            "/",
                            "conversation_updated",
                            &encode::conversation(&seen),
                        );
                        for socket in sockets {
                            let _ = socket.emit_packet(&packet);
                        }
                    }
                    Ok(None) => {}
                    // The client's next sync brings it.
                    Err(refusal) => {
                        if let Some(Due { left_out }) =
                            throttle::due("conversation", refusal.code.as_str(), None)
                        {
                            tracing::warn!(
                                code = refusal.code.as_str(),
                                left_out,
                                "a changed conversation could not be shown"
                            );
                        }
                    }
                }
            }
        }
    }

    fn appended(&self, message: &Arc<Message>, to: &Members, except: Option<&ConnectionId>) {
        let mut packet = None;
        let sockets = self.sockets.read();
        for member in to.iter() {
            let Some(theirs) = sockets.by_user.get(member) else {
                continue;
            };
            let own = *member == message.sender;
            for socket in theirs {
                // Only a socket of the sender's own may be left out, whatever the request named.
                if own && except.is_some_and(|session| session.as_str() == socket.id()) {
                    continue;
                }
                let packet = packet.get_or_insert_with(|| {
                    Packet::event("/", "new_private_message", &encode::message(message))
                });
                let _ = if own {
                    socket.emit_packet(packet)
                } else {
                    socket.emit_then(packet, self.note_written(message, member))
                };
            }
        }
    }

    /// What to do once a message was written to a socket of `member`.
    fn note_written(
        &self,
        message: &Arc<Message>,
        member: &UserId,
    ) -> impl FnOnce() + Send + 'static {
        let (message, member, handler) = (
            Arc::clone(message),
            member.clone(),
            self.handler.get().cloned(),
        );
        let clock = Arc::clone(&self.clock);
        move || {
            let took = clock.now().wall.0.saturating_sub(message.created_at.0);
            crate::metrics::delivered(Duration::from_millis(u64::try_from(took).unwrap_or(0)));
            if let Some(handler) = handler.and_then(|handler| handler.upgrade()) {
                handler.note_delivered(&member, &message.conversation, message.seq);
            }
        }
    }

    fn send(&self, name: &str, to: &Members, json: impl FnOnce() -> String) {
        let sockets = self.sockets.read();
        let mut receivers = to
            .iter()
            .filter_map(|member| sockets.by_user.get(member))
            .flatten()
            .peekable();
        if receivers.peek().is_some() {
            let packet = Packet::event("/", name, &json());
            for socket in receivers {
                let _ = socket.emit_packet(&packet);
            }
        }
    }

    fn conversation_changed(&self, conversation: &ConversationId, to: &Members) {
        let sockets = self.sockets.read();
        let here: Vec<_> = to
            .iter()
            .filter(|member| sockets.by_user.contains_key(*member))
            .collect();
        if here.is_empty() {
            return;
        }
        self.changed.lock().extend(
            here.into_iter()
                .map(|member| (conversation.clone(), member.clone())),
        );
        drop(sockets);
        self.changed_wake.notify_one();
    }

    fn presence(&self, change: Change) {
        if let (Change::Offline(absence), Some(handler)) = (&change, self.handler())
            && let Some(at) = absence.last_seen_at
        {
            handler.note_seen(&absence.user, at);
        }
        self.feed.lock().push(change);
        self.feed_wake.notify_one();
    }

    fn signed_out(&self, user: &UserId, credential: &Arc<str>) {
        let now = self.clock.now().moment;
        let mut ended = self.ended.lock();
        ended.retain(|_, at| now.since(*at) < ENDED_FOR);
        ended.insert(Arc::clone(credential), now);
        drop(ended);
        for socket in self.sockets_of(user) {
            self.end_if_signed_out(&socket);
        }
    }

    /// Ends a socket whose session is over. To be called when a socket has become somebody's, too:
    /// its session may have ended after the look at its token, when this socket was not known here.
    pub fn end_if_signed_out(&self, socket: &MemberSocket) {
        let over = socket
            .data()
            .credential()
            .is_some_and(|credential| self.ended.lock().contains_key(&credential));
        if over {
            socket.data().set_signed_out();
            // With a DISCONNECT, after which clients do not come back by themselves, as they do
            // after a closed transport. The transport is closed all the same: nothing is left for
            // it to do.
            socket.disconnect_and_close();
        }
    }

    fn sockets_of(&self, user: &UserId) -> Vec<MemberSocket> {
        self.sockets
            .read()
            .by_user
            .get(user)
            .cloned()
            .unwrap_or_default()
    }
}

impl ConnectionRegistry for Hub {
    fn admit(&self, session: &ConnectionId, user: &UserId) -> bool {
        let mut sockets = self.sockets.write();
        let Some(socket) = sockets.by_session.get(session).cloned() else {
            return false;
        };
        let theirs = sockets
            .by_user
            .entry(user.clone())
            .or_insert_with(|| Vec::with_capacity(1));
        let is_connected = socket.is_connected();
        if !theirs.contains(&socket) {
            theirs.push(socket);
        }
        is_connected
    }

    fn follow(&self, session: &ConnectionId, mode: Mode) -> bool {
        let mut feed = self.feed.lock();
        // Looked up under the feed's lock: a socket that is still here is unfollowed only after
        // this, when it goes.
        let Some(socket) = self.socket(session) else {
            return false;
        };
        feed.follow(socket.clone(), mode);
        drop(feed);
        self.feed_wake.notify_one();
        // Looked at last: whatever takes the connection away after this finds what was begun for
        // it, and ends it.
        socket.is_connected()
    }

    fn watch(&self, session: &ConnectionId, users: &[UserId]) -> Option<Vec<WatchedPresence>> {
        let mut feed = self.feed.lock();
        let Some(socket) = self.socket(session) else {
            return Some(Vec::new());
        };
        let here = feed.watched_count_with(&socket, users);
        let elsewhere: usize = socket.data().user().map_or(0, |user| {
            self.sockets_of(user)
                .iter()
                .filter(|other| **other != socket)
                .map(|other| feed.watched_count(other))
                .sum()
        });
        if here > self.watch_limit
            || here.saturating_add(elsewhere) > self.watch_limit.saturating_mul(WATCHING_SOCKETS)
        {
            return None;
        }
        feed.watch(&socket, users.iter().cloned());
        let version = feed.version();
        let seen = users.iter().map(|user| {
            let shown = feed.get(user.as_str()).cloned();
            let version = shown.as_ref().map_or(version, |shown| shown.version);
            WatchedPresence {
                user: user.clone(),
                shown,
                version,
            }
        });
        Some(seen.collect())
    }

    fn unwatch(&self, session: &ConnectionId, users: &[UserId]) {
        if let Some(socket) = self.socket(session) {
            self.feed.lock().unwatch(&socket, users);
        }
    }
}
