//! A simulated client: the rules of `@lamplight/client` that the promises rest on. An outbox with
//! ids of its own that sends over two wires, contiguous logs that sync over gaps, and a roster.

mod logs;
mod view;
mod writing;

use crate::entry::{ClientMessageId, Entry, Kind};
use crate::messages::{ConnectionNumber, Reply, Request, ToClient, ToNode};
use crate::names::{CLIENTS, CONVERSATIONS, NODES};
use crate::world::{Connection, Event, World};
use lamplight_domain::presence::{ManualStatus, Status};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How long a client waits for an answer.
const TIMEOUT: u64 = 6_000;

#[derive(Clone, Debug, Default)]
pub(crate) struct ClientLog {
    pub(crate) entries: Vec<Entry>,
    /// Its beginning, according to the newest sync.
    first: u64,
    /// Entries past a gap.
    ahead: BTreeMap<u64, Entry>,
    pub(crate) read: u64,
    /// The others' visible read marks.
    pub(crate) receipts: BTreeMap<usize, u64>,
}

impl ClientLog {
    /// The newest entry, 0 if there is none.
    pub(crate) fn last_seq(&self) -> u64 {
        self.entries.last().map_or(0, |last| last.seq)
    }
}

/// The entries of one log that a client gets from events of one connection only.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pushed {
    /// Everything after it must be pushed; known once the client has caught up.
    pub(crate) from: Option<u64>,
    pub(crate) all: BTreeSet<u64>,
}

#[derive(Clone, Debug)]
struct Unsent {
    conversation: usize,
    key: ClientMessageId,
    kind: Kind,
    /// The request that carries it now.
    request: Option<u64>,
}

#[derive(Clone, Debug)]
struct Asked {
    request: Request,
    connection: Option<ConnectionNumber>,
}

#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) user: usize,
    /// The tab is open.
    pub(crate) is_open: bool,
    /// It does not read.
    pub(crate) is_stalled: bool,
    pub(crate) connection: Option<ConnectionNumber>,
    pub(crate) is_joined: bool,
    pub(crate) logs: Vec<ClientLog>,
    /// By conversation, of this connection.
    pub(crate) pushed: Vec<Pushed>,
    outbox: VecDeque<Unsent>,
    keys: u64,
    requests: BTreeMap<u64, Asked>,
    last_request: u64,
    /// The sync that is under way, and whether another one must follow.
    syncing: Option<u64>,
    syncs_again: bool,
    wanted_status: Option<ManualStatus>,
    /// By conversation, a read mark that is not confirmed.
    wanted_marks: BTreeMap<usize, u64>,
    /// How each user is shown, at which version.
    pub(crate) view: BTreeMap<usize, (u64, Option<Status>)>,
    /// Writes that were refused or had no effect. An earlier unanswered attempt may still commit, in any order.
    pub(crate) refused: BTreeSet<ClientMessageId>,
    /// Acknowledged writes.
    pub(crate) acknowledged: Vec<Entry>,
    /// The user's own messages that this client deleted, by conversation and `seq`.
    deleted: BTreeSet<(usize, u64)>,
}

impl Client {
    pub(crate) fn new(user: usize) -> Self {
        Self {
            user,
            is_open: true,
            is_stalled: false,
            connection: None,
            is_joined: false,
            logs: vec![ClientLog::default(); CONVERSATIONS.len()],
            pushed: Vec::new(),
            outbox: VecDeque::new(),
            keys: 0,
            requests: BTreeMap::new(),
            last_request: 0,
            syncing: None,
            syncs_again: false,
            wanted_status: None,
            wanted_marks: BTreeMap::new(),
            view: BTreeMap::new(),
            refused: BTreeSet::new(),
            acknowledged: Vec::new(),
            deleted: BTreeSet::new(),
        }
    }

    pub(crate) fn unsent(&self) -> usize {
        self.outbox.len()
    }
}

impl World {
    pub(crate) fn wake_client(&mut self, c: usize, connects: bool) {
        if connects {
            self.connect(c);
        }
        self.send_outbox(c);
        if let Some(status) = self.clients[c].wanted_status {
            let has_asked = self.clients[c]
                .requests
                .values()
                .any(|asked| matches!(asked.request, Request::SetStatus(_)));
            if !has_asked {
                self.ask(c, Request::SetStatus(status), false);
            }
        }
        for (conversation, seq) in self.clients[c].wanted_marks.clone() {
            let has_asked = self.clients[c].requests.values().any(|asked| {
                matches!(asked.request, Request::MarkRead { conversation: of, .. } if of == conversation)
            });
            if !has_asked && self.clients[c].is_open {
                self.ask(c, Request::MarkRead { conversation, seq }, false);
            }
        }
    }

    fn connect(&mut self, c: usize) {
        let client = &self.clients[c];
        if !client.is_open || client.connection.is_some() {
            return;
        }
        let node = self.rng.below(NODES);
        if !self.nodes[node].is_alive {
            let delay = self.rng.range(300, 1_500);
            self.after(
                delay,
                Event::ClientWake {
                    client: c,
                    connects: true,
                },
            );
            return;
        }
        self.last_connection += 1;
        let connection = self.last_connection;
        let held = Connection::new(
            c,
            node,
            self.nodes[node].process,
            !self.nodes[node].is_paused,
        );
        self.connections.insert(connection, held);
        let client = &mut self.clients[c];
        client.connection = Some(connection);
        client.is_joined = false;
        client.view.clear();
        client.pushed = vec![Pushed::default(); CONVERSATIONS.len()];
        self.trace(|| {
            format!(
                "client {c} (u{}) opens s{connection} to n{node}",
                CLIENTS[c]
            )
        });
        let opened = ToNode::Opened {
            client: c,
            connection,
        };
        self.client_sends(node, Some(connection), opened);
        self.ask(c, Request::Join, true);
        if self.nodes[node].is_paused {
            let delay = crate::world::DEAD_AFTER;
            self.after(
                delay,
                Event::Noticed {
                    connection,
                    by_client: true,
                },
            );
        }
    }

    /// Sends a request over the socket, or else over HTTP to any node. Its number.
    fn ask(&mut self, c: usize, request: Request, over_socket: bool) -> u64 {
        let client = &mut self.clients[c];
        client.last_request += 1;
        let number = client.last_request;
        let connection = client
            .connection
            .filter(|_| over_socket || client.is_joined && self.rng.below(4) > 0);
        let asked = Asked {
            request: request.clone(),
            connection,
        };
        client.requests.insert(number, asked);
        let node = connection
            .and_then(|connection| self.connections.get(&connection))
            .map_or_else(|| self.rng.below(NODES), |held| held.node);
        let mut timeout = TIMEOUT;
        if connection.is_none() && !self.nodes[node].is_alive {
            timeout = 100; // Refused.
        }
        let input = ToNode::Request {
            client: c,
            connection,
            number,
            request,
        };
        self.client_sends(node, connection, input);
        self.after(timeout, Event::RequestTimeout { client: c, number });
        number
    }

    pub(crate) fn request_timed_out(&mut self, c: usize, number: u64) {
        let Some(asked) = self.clients[c].requests.remove(&number) else {
            return;
        };
        let is_bounded = matches!(
            asked.request,
            Request::Send { .. } | Request::Sync(_) | Request::MarkRead { .. }
        );
        if is_bounded
            && let Some(connection) = asked.connection
            && self
                .connections
                .get(&connection)
                .is_some_and(|held| held.is_healthy && held.open_at_client && held.open_at_node)
        {
            self.violate("M13", || {
                format!("client {c} got no answer to {:?}", asked.request)
            });
        }
        self.unanswered_request(c, number, &asked);
    }

    fn unanswered_request(&mut self, c: usize, number: u64, asked: &Asked) {
        let client = &mut self.clients[c];
        match asked.request {
            Request::Join => self.disconnect(c),
            Request::Send { .. } => {
                for unsent in &mut client.outbox {
                    if unsent.request == Some(number) {
                        unsent.request = None;
                    }
                }
                self.wake_soon(c);
            }
            Request::Sync(_) => {
                if client.syncing == Some(number) {
                    client.syncing = None;
                    self.sync(c);
                }
            }
            Request::SetStatus(_) | Request::MarkRead { .. } => self.wake_soon(c),
            Request::SignOut => {}
        }
    }

    fn wake_soon(&mut self, c: usize) {
        let delay = self.rng.range(200, 1_500);
        self.after(
            delay,
            Event::ClientWake {
                client: c,
                connects: false,
            },
        );
    }

    /// The client gives its connection up, or lost it.
    pub(crate) fn disconnect(&mut self, c: usize) {
        let client = &mut self.clients[c];
        client.is_joined = false;
        client.syncing = None;
        self.truth.joined[c] = None;
        let Some(connection) = client.connection.take() else {
            return;
        };
        let requests = std::mem::take(&mut client.requests);
        let (lost, kept): (BTreeMap<_, _>, BTreeMap<_, _>) = requests
            .into_iter()
            .partition(|(_, asked)| asked.connection == Some(connection));
        client.requests = kept;
        if let Some(held) = self.connections.get_mut(&connection) {
            held.open_at_client = false;
            held.is_healthy = false;
            let node = held.node;
            self.client_sends(node, Some(connection), ToNode::Closed(connection));
        }
        for (number, asked) in lost {
            if !matches!(asked.request, Request::Join | Request::Sync(_)) {
                self.unanswered_request(c, number, &asked);
            }
        }
        if self.clients[c].is_open {
            let delay = self.rng.range(50, 1_500);
            self.after(
                delay,
                Event::ClientWake {
                    client: c,
                    connects: true,
                },
            );
        }
    }

    pub(crate) fn reach_client(
        &mut self,
        c: usize,
        connection: Option<ConnectionNumber>,
        message: ToClient,
    ) {
        if connection.is_some() && connection != self.clients[c].connection {
            return;
        }
        match message {
            ToClient::Closed => self.disconnect(c),
            ToClient::Reply(number, reply) => {
                if let Some(asked) = self.clients[c].requests.remove(&number) {
                    self.answered(c, number, &asked, reply);
                }
            }
            ToClient::Entry(entry) => self.pushed(c, entry),
            ToClient::Receipt {
                conversation,
                user,
                read,
            } => {
                let log = &mut self.clients[c].logs[conversation];
                let held = log.receipts.entry(user).or_default();
                *held = read.max(*held);
            }
            ToClient::OwnMark { conversation, read } => {
                let log = &mut self.clients[c].logs[conversation];
                log.read = log.read.max(read);
            }
            ToClient::Changed => self.sync(c),
            ToClient::Snapshot(shown) => {
                let known = std::mem::take(&mut self.clients[c].view);
                for (user, (_, status)) in &known {
                    if status.is_some() && !shown.iter().any(|(of, _, _)| of == user) {
                        self.left_view(c, *user);
                    }
                }
                self.show(c, &shown);
            }
            ToClient::Watched(states) => self.show(c, &states),
            ToClient::Changes(changes) => {
                let mut newer = changes;
                newer.retain(|(user, version, _)| {
                    let known = self.clients[c].view.get(user);
                    let known = known.copied().filter(|(known, _)| known >= version);
                    // A Redis that went back in time knows older versions only.
                    if let Some((known, _)) = known
                        && !self.profile.redis_losses
                    {
                        self.violate("P5", || {
                            format!("client {c} got version {version} of u{user} after {known}")
                        });
                    }
                    known.is_none()
                });
                self.show(c, &newer);
            }
        }
    }

    fn answered(&mut self, c: usize, number: u64, asked: &Asked, reply: Reply) {
        match (&asked.request, reply) {
            (Request::Join, Reply::Done) => {
                let client = &mut self.clients[c];
                client.is_joined = true;
                let node = client
                    .connection
                    .and_then(|connection| self.connections.get(&connection))
                    .map_or(0, |held| held.node);
                self.truth.joined[c] = Some((self.now, node));
                self.sync(c);
                self.send_outbox(c);
            }
            (
                Request::Send {
                    conversation,
                    key,
                    kind,
                },
                Reply::Acknowledged(entry),
            ) => {
                self.acknowledged(c, *conversation, (*key, *kind), entry);
            }
            (Request::Send { key, .. }, Reply::NotFound) => {
                let client = &mut self.clients[c];
                client.outbox.retain(|unsent| unsent.key != *key);
                client.refused.insert(*key);
                self.send_outbox(c);
            }
            (Request::Sync(_), Reply::Synced(pages)) => {
                let client = &mut self.clients[c];
                if client.syncing == Some(number) {
                    client.syncing = None;
                }
                for (conversation, page) in pages {
                    self.take_page(c, conversation, page);
                }
                let client = &mut self.clients[c];
                if std::mem::take(&mut client.syncs_again) {
                    self.sync(c);
                }
            }
            (Request::SetStatus(status), Reply::Done) => {
                let wanted = &mut self.clients[c].wanted_status;
                if *wanted == Some(*status) {
                    *wanted = None;
                }
            }
            (Request::MarkRead { conversation, seq }, Reply::Done | Reply::NotFound) => {
                let wanted = &mut self.clients[c].wanted_marks;
                if wanted.get(conversation).is_some_and(|wanted| wanted <= seq) {
                    wanted.remove(conversation);
                } else {
                    self.wake_soon(c);
                }
            }
            (_, Reply::Unavailable) => self.unanswered_request(c, number, asked),
            _ => {}
        }
    }

    /// The user opens or closes the tab; now and then by signing out.
    pub(crate) fn set_open(&mut self, c: usize, is_open: bool) {
        self.clients[c].is_open = is_open;
        if is_open {
            self.wake_client(c, true);
        } else {
            if self.clients[c].is_joined && self.rng.one_in(4) {
                self.ask(c, Request::SignOut, true);
            }
            self.disconnect(c);
        }
    }
}
