//! This node's connections, and how an event reaches them: encoded once, the same bytes for every
//! connection.
//!
//! Nothing here waits: the bus calls these methods on the publisher's thread.

use crate::connection::Connection;
use crate::hidden_users::LatestRead;
use crate::recent::Recent;
use futures_util::future::BoxFuture;
use lamplight_domain::conversation::Members;
use lamplight_domain::entry::Entry;
use lamplight_domain::identity::{ConnectionId, UserId};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::Principal;
use lamplight_usecases::delivery::DeliveryObserver;
use lamplight_usecases::ports::{Attachment, Clock, EventBus, HiddenTicket};
use lamplight_wire::encode;
use parking_lot::{Mutex, RwLock};
use socketio::Packet;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long a credential that ended is remembered. A connect that looked up the token before it
/// ended is registered here by then.
const ENDED_FOR: Duration = Duration::from_secs(60);

/// Clients that are asked to reconnect do so at this many different moments.
const RECONNECT_MOMENTS: usize = 64;

/// An entry on its way to the members' connections.
pub struct Appended {
    pub entry: Arc<Entry>,
    pub to: Members,
    /// Those of them who get it as [`Entry::without_past`] has it.
    pub newcomers: Members,
    pub except: Option<ConnectionId>,
}

/// A message on its way to connections: what happens after each write, held once for all of them.
struct Delivery {
    entry: Arc<Entry>,
    observer: Arc<dyn DeliveryObserver>,
    clock: Arc<dyn Clock>,
}

impl Delivery {
    /// Called once the message has been written to a connection of `member`.
    fn when_written(self: &Arc<Self>, member: &UserId) -> impl FnOnce() + Send + 'static {
        let (delivery, member) = (Arc::clone(self), member.clone());
        move || {
            let Self {
                entry,
                observer,
                clock,
            } = &*delivery;
            let took = clock.now().wall.0.saturating_sub(entry.created_at.0);
            crate::metrics::delivered(Duration::from_millis(u64::try_from(took).unwrap_or(0)));
            observer.delivered(&member, &entry.conversation, entry.seq);
        }
    }
}

#[derive(Default)]
struct Connections {
    by_id: HashMap<ConnectionId, Connection>,
    by_user: HashMap<UserId, UserConnections>,
}

/// The connections of a user, at least one.
struct UserConnections {
    list: Vec<Connection>,
    /// Subscribes this node to the user's events.
    attachment: Attachment,
    /// The latest read of users hidden from this one.
    hidden_read: LatestRead,
    /// The revision of the known privacy settings plus 1; 0 until they are known.
    privacy_revision: AtomicU64,
}

/// The connections of this node, by id and by user.
pub struct Hub {
    connections: RwLock<Connections>,
    bus: Arc<dyn EventBus>,
    clock: Arc<dyn Clock>,
    /// Credentials that ended lately: see [`Hub::close_if_signed_out`].
    ended: Mutex<Recent<Arc<str>, ()>>,
    /// Users who were signed out lately, and until when their tokens are refused.
    ended_tokens: Mutex<Recent<UserId, Timestamp>>,
}

impl Hub {
    /// A hub without connections. The bus is asked for the events of users who have one.
    #[must_use]
    pub fn new(bus: Arc<dyn EventBus>, clock: Arc<dyn Clock>) -> Self {
        Self {
            connections: RwLock::default(),
            bus,
            clock,
            ended: Mutex::new(Recent::new(ENDED_FOR)),
            ended_tokens: Mutex::new(Recent::new(ENDED_FOR)),
        }
    }

    /// Registers a connection.
    pub fn add(&self, connection: &Connection) {
        self.connections
            .write()
            .by_id
            .insert(connection.data().id.clone(), connection.clone());
    }

    /// Removes a connection.
    pub fn remove(&self, connection: &Connection) {
        let data = connection.data();
        let mut connections = self.connections.write();
        connections.by_id.remove(&data.id);
        if let Some(user) = data.user()
            && let Some(theirs) = connections.by_user.get_mut(user)
        {
            theirs.list.retain(|other| other != connection);
            if theirs.list.is_empty() {
                let ended = connections.by_user.remove(user);
                drop(connections);
                // The bus has locks of its own.
                drop(ended);
            }
        }
    }

    /// Registers a connection as one of `user`'s, which receives the user's events from now on.
    /// `false` where no client is connected to it.
    pub fn admit(&self, id: &ConnectionId, user: &UserId) -> bool {
        let mut connections = self.connections.write();
        let Some(connection) = connections.by_id.get(id).cloned() else {
            return false;
        };
        let theirs = connections
            .by_user
            .entry(user.clone())
            .or_insert_with(|| UserConnections {
                list: Vec::with_capacity(1),
                attachment: self.bus.attach(user),
                hidden_read: LatestRead::default(),
                privacy_revision: AtomicU64::new(0),
            });
        let is_connected = connection.is_connected();
        if !theirs.list.contains(&connection) {
            theirs.list.push(connection);
        }
        is_connected
    }

    /// Resolves once the events of a user with a connection reach this node, `None` if they do
    /// already.
    #[must_use]
    pub fn attached(&self, user: &UserId) -> Option<BoxFuture<'static, ()>> {
        let connections = self.connections.read();
        connections.by_user.get(user)?.attachment.ready()
    }

    /// The connection with this id.
    #[must_use]
    pub fn connection(&self, id: &ConnectionId) -> Option<Connection> {
        self.connections.read().by_id.get(id).cloned()
    }

    /// The connections of a user.
    #[must_use]
    pub fn connections_of(&self, user: &UserId) -> Vec<Connection> {
        self.connections
            .read()
            .by_user
            .get(user)
            .map(|theirs| theirs.list.clone())
            .unwrap_or_default()
    }

    /// All users who have a connection here.
    #[must_use]
    pub fn users(&self) -> Vec<UserId> {
        self.connections.read().by_user.keys().cloned().collect()
    }

    /// Those of `users` who have a connection here.
    #[must_use]
    pub fn present<'a>(&self, users: &'a [UserId]) -> Vec<&'a UserId> {
        let connections = self.connections.read();
        users
            .iter()
            .filter(|user| connections.by_user.contains_key(*user))
            .collect()
    }

    /// Records a read of the users hidden from a user. `false` if a later one was recorded before, or
    /// if the user has no connection here.
    #[must_use]
    pub fn note_hidden_read(&self, user: &UserId, ticket: HiddenTicket) -> bool {
        let connections = self.connections.read();
        let theirs = connections.by_user.get(user);
        theirs.is_some_and(|theirs| theirs.hidden_read.note(ticket))
    }

    /// Records the revision of known privacy settings. `false` if a later one was recorded before, or if
    /// the user has no connection here.
    #[must_use]
    pub fn note_privacy(&self, user: &UserId, revision: u64) -> bool {
        let connections = self.connections.read();
        let noted = revision.saturating_add(1);
        connections.by_user.get(user).is_some_and(|theirs| {
            theirs.privacy_revision.fetch_max(noted, Ordering::AcqRel) <= noted
        })
    }

    /// Whether the privacy settings of a user with a connection here are known.
    #[must_use]
    pub fn knows_privacy(&self, user: &UserId) -> bool {
        let connections = self.connections.read();
        let theirs = connections.by_user.get(user);
        theirs.is_some_and(|theirs| theirs.privacy_revision.load(Ordering::Acquire) > 0)
    }

    /// The number of connections that belong to a known user.
    #[must_use]
    pub fn user_connections(&self) -> usize {
        let connections = self.connections.read();
        let users = connections.by_user.values();
        users.map(|theirs| theirs.list.len()).sum()
    }

    /// Sends an event to every connection of these users. `json` is called only if there is one.
    pub fn send(&self, name: &str, to: &[UserId], json: impl FnOnce() -> String) {
        let connections = self.connections.read();
        let mut receivers = to
            .iter()
            .filter_map(|user| connections.by_user.get(user))
            .flat_map(|theirs| &theirs.list)
            .peekable();
        if receivers.peek().is_some() {
            let packet = Packet::event("/", name, &json());
            for connection in receivers {
                // A connection that is closed or was cut off removes itself.
                let _ = connection.emit_packet(&packet);
            }
        }
    }

    /// Sends an entry to every connection of its receivers except one. The observer is called for each
    /// write of a message to a connection of a member who is not the sender.
    pub fn send_entry(&self, appended: &Appended, observer: &Arc<dyn DeliveryObserver>) {
        let Appended {
            entry,
            to,
            newcomers,
            except,
        } = appended;
        let packet_of = |entry: &Entry| {
            let (name, json) = encode::entry_event(entry);
            Packet::event("/", name, &json)
        };
        let (mut whole, mut without_past) = (None, None);
        let mut delivery = None;
        let connections = self.connections.read();
        for member in to.iter() {
            let Some(theirs) = connections.by_user.get(member) else {
                continue;
            };
            let is_sender = *member == entry.sender;
            let is_newcomer = !newcomers.is_empty() && newcomers.binary_search(member).is_ok();
            for connection in &theirs.list {
                // Only connections of the sender can be excluded, whatever the request named.
                let is_left_out = except.as_ref();
                if is_sender && is_left_out.is_some_and(|id| id.as_str() == connection.id()) {
                    continue;
                }
                let packet = if is_newcomer {
                    without_past
                        .get_or_insert_with(|| packet_of(&entry.as_ref().clone().without_past()))
                } else {
                    whole.get_or_insert_with(|| packet_of(entry))
                };
                // Delivered marks are of messages.
                let _ = if is_sender || !entry.kind.is_message() {
                    connection.emit_packet(packet)
                } else {
                    let delivery = delivery.get_or_insert_with(|| {
                        Arc::new(Delivery {
                            entry: Arc::clone(entry),
                            observer: Arc::clone(observer),
                            clock: Arc::clone(&self.clock),
                        })
                    });
                    connection.emit_then(packet, delivery.when_written(member))
                };
            }
        }
    }

    /// Asks every client to reconnect, each at its own moment within `spread`: this node is leaving.
    pub fn ask_to_reconnect(&self, spread: Duration) {
        let connections = self.connections.read();
        let count = connections.by_id.len();
        let mut packets: [Option<Packet>; RECONNECT_MOMENTS] = std::array::from_fn(|_| None);
        // The table is unordered, so neighbours in it are unrelated.
        for (index, connection) in connections.by_id.values().enumerate() {
            let moment = index * RECONNECT_MOMENTS / count;
            let packet = packets[moment].get_or_insert_with(|| {
                let after = spread * moment as u32 / RECONNECT_MOMENTS as u32;
                let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
                Packet::event("/", "reconnect", &encode::reconnect(after_ms))
            });
            let _ = connection.emit_packet(packet);
        }
    }

    /// The credentials of local sessions that authenticate connections here, with their users.
    #[must_use]
    pub fn credentials(&self) -> HashMap<Arc<str>, UserId> {
        let connections = self.connections.read();
        let of_user = |(user, theirs): (&UserId, &UserConnections)| {
            let credentials = theirs.list.iter().filter_map(|one| one.data().credential());
            credentials
                .map(|credential| (credential, user.clone()))
                .collect::<Vec<_>>()
        };
        connections.by_user.iter().flat_map(of_user).collect()
    }

    /// Closes the connections that a credential authenticates, now and for those that are just
    /// being made.
    pub fn sign_out(&self, user: &UserId, credential: &Arc<str>) {
        let now = self.clock.now().moment;
        self.ended.lock().insert(Arc::clone(credential), (), now);
        for connection in self.connections_of(user) {
            self.close_if_signed_out(&connection);
        }
    }

    /// The users with connections here that a token of the host application authenticates.
    #[must_use]
    pub fn users_by_token(&self) -> Vec<UserId> {
        let connections = self.connections.read();
        let has_token = |theirs: &UserConnections| {
            let mut list = theirs.list.iter();
            list.any(|connection| connection.data().token().is_some())
        };
        let users = connections.by_user.iter();
        users
            .filter(|(_, theirs)| has_token(theirs))
            .map(|(user, _)| user.clone())
            .collect()
    }

    /// Closes the connections of a user that a token authenticates which was issued at `until` or
    /// before, now and for those that are just being made. Returns how many were closed.
    pub fn sign_out_tokens(&self, user: &UserId, until: Timestamp) -> usize {
        let now = self.clock.now().moment;
        let mut ended = self.ended_tokens.lock();
        let until = ended.get(user).map_or(until, |known| until.max(*known));
        ended.insert(user.clone(), until, now);
        drop(ended);
        let connections = self.connections_of(user);
        let closed = connections
            .iter()
            .filter(|one| self.close_if_signed_out(one));
        closed.count()
    }

    /// Closes the connections of a user that nothing authenticates. The user can come back at once.
    pub fn close_unverified(&self, user: &UserId) {
        for connection in self.connections_of(user) {
            if let Some(Principal::UnverifiedUser(_)) = connection.data().principal.get() {
                close(&connection);
            }
        }
    }

    /// Closes a connection whose credential ended. Call it after [`Hub::admit`] too: the credential
    /// may have ended after the token was looked up and before this hub knew the connection. Returns
    /// whether it was closed.
    pub fn close_if_signed_out(&self, connection: &Connection) -> bool {
        let data = connection.data();
        let is_over = match (data.credential(), data.token()) {
            (Some(credential), _) => self.ended.lock().get(&credential).is_some(),
            (None, Some((user, issued_at))) => {
                let ended = self.ended_tokens.lock();
                ended
                    .get(user)
                    .is_some_and(|until| issued_at.is_none_or(|at| at <= *until))
            }
            (None, None) => false,
        };
        if is_over {
            close(connection);
        }
        is_over
    }
}

/// Closes the connection of a user who was signed out.
fn close(connection: &Connection) {
    connection.data().signed_out.store(true, Ordering::Release);
    // A DISCONNECT packet keeps clients from reconnecting by themselves, as they would after a closed
    // transport. The transport has no further use and is closed as well.
    connection.disconnect_and_close();
}
