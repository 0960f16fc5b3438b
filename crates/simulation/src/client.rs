//! A simulated client: the rules of `@lamplight/client` that the promises rest on. An outbox with
//! ids of its own that sends over two wires, contiguous logs that sync over gaps, and a roster.

use crate::acting::EMOJIS;
use crate::bug::Bug;
use crate::entry::{Change, ClientMessageId, Entry, Kind};
use crate::messages::{ConnectionNumber, Reply, Request, Shown, ToClient, ToNode};
use crate::names::{CLIENTS, CONVERSATIONS, NODES};
use crate::world::{Connection, Event, World};
use lamplight_domain::presence::{ManualStatus, Status};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How long a client waits for an answer.
const TIMEOUT: u64 = 6_000;
/// After this long in one state, everyone must know it.
const KNOWN_AFTER: u64 = 45_000;

#[derive(Clone, Debug, Default)]
pub(crate) struct ClientLog {
    pub(crate) entries: Vec<Entry>,
    /// Entries past a gap.
    ahead: BTreeMap<u64, Entry>,
    pub(crate) read: u64,
    /// The others' visible read marks.
    pub(crate) receipts: BTreeMap<usize, u64>,
}

/// What a client has that reads events only: what one connection brings of one log.
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
    /// What was refused. An earlier attempt that was not answered may commit all the same, in any
    /// order.
    pub(crate) refused: BTreeSet<ClientMessageId>,
    /// What was acknowledged.
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

    fn show(&mut self, c: usize, states: &[Shown]) {
        for (user, version, status) in states {
            let before = self.clients[c].view.insert(*user, (*version, *status));
            let was_shown = before.is_some_and(|(_, status)| status.is_some());
            if status.is_none() && was_shown {
                self.left_view(c, *user);
            }
            let invisible_since = self.truth.invisible_since[*user];
            if status.is_some()
                && invisible_since.saturating_add(KNOWN_AFTER) < self.now
                && self.truth.old_until < self.now
            {
                self.violate("P11", || {
                    format!("client {c} sees u{user}, who is invisible since {invisible_since}")
                });
            }
        }
    }

    /// A user leaves a client's view, who must not if they have stayed.
    fn left_view(&mut self, c: usize, user: usize) {
        if let Some(since) = self.truth.stable_since(user, &CLIENTS)
            && since.saturating_add(KNOWN_AFTER) < self.now
        {
            self.violate("P8", || {
                format!("client {c} sees u{user} leave, who is online since {since}")
            });
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

    fn acknowledged(
        &mut self,
        c: usize,
        conversation: usize,
        (key, kind): (ClientMessageId, Kind),
        entry: Entry,
    ) {
        let is_own = entry.key == key && entry.kind == kind;
        if !is_own && !makes(self.clients[c].user, kind, &entry)
            || entry.conversation != conversation
            || !self.database.has(&entry)
        {
            self.violate("M3", || {
                format!("client {c} got an acknowledgement of {key:?} without a commit: {entry:?}")
            });
        }
        let client = &mut self.clients[c];
        client.outbox.retain(|unsent| unsent.key != key);
        if is_own {
            client.acknowledged.push(entry);
        }
        self.take_entry(c, entry);
        self.send_outbox(c);
    }

    fn take_page(
        &mut self,
        c: usize,
        conversation: usize,
        page: Option<crate::database::SyncPage>,
    ) {
        let Some(page) = page else {
            self.clients[c].logs[conversation] = ClientLog::default();
            return;
        };
        let newest = page.entries.last().map(|entry| entry.seq);
        for entry in page.entries {
            self.take_entry(c, entry);
        }
        let have = self.clients[c].logs[conversation].entries.len() as u64;
        let pushed = &mut self.clients[c].pushed[conversation];
        pushed.from.get_or_insert(newest.unwrap_or(have));
        let log = &mut self.clients[c].logs[conversation];
        log.read = log.read.max(page.read);
        for (user, read) in page.receipts {
            let held = log.receipts.entry(user).or_default();
            *held = read.max(*held);
        }
    }

    fn pushed(&mut self, c: usize, entry: Entry) {
        let pushed = &mut self.clients[c].pushed[entry.conversation];
        if !pushed.all.insert(entry.seq) {
            self.violate("M11", || format!("client {c} was pushed {entry:?} twice"));
        }
        self.take_entry(c, entry);
    }

    fn take_entry(&mut self, c: usize, entry: Entry) {
        let user = self.clients[c].user;
        let held = &self.database.conversations[entry.conversation];
        if !held.members.contains_key(&user)
            && held
                .removed
                .get(&user)
                .is_none_or(|removed| entry.seq > *removed)
        {
            self.violate("M15", || {
                format!("client {c} got {entry:?} after the removal of u{user}")
            });
        }
        if !self.database.has(&entry) {
            self.violate("M10", || {
                format!("client {c} got {entry:?}, which is not committed")
            });
        }
        let ignores_gaps = self.has(Bug::GapsIgnored);
        let log = &mut self.clients[c].logs[entry.conversation];
        if entry.sender == user && entry.kind == Kind::Message {
            log.read = log.read.max(entry.seq);
        }
        let next = log.entries.last().map_or(1, |last| last.seq + 1);
        if entry.seq < next {
            let known = log
                .entries
                .iter()
                .rev()
                .find(|known| known.seq == entry.seq);
            if known.is_some_and(|known| known.id != entry.id) {
                self.violate("M4", || {
                    format!("client {c} got another entry at its place: {entry:?}")
                });
            }
            return;
        }
        if entry.seq > next && !ignores_gaps {
            log.ahead.insert(entry.seq, entry);
            return self.sync(c);
        }
        log.entries.push(entry);
        while let Some(first) = log.ahead.first_entry()
            && let Some(last) = log.entries.last()
            && *first.key() <= last.seq + 1
        {
            let next = last.seq + 1;
            let entry = first.remove();
            if entry.seq == next {
                log.entries.push(entry);
            }
        }
    }

    /// Asks for what is missing in all conversations.
    pub(crate) fn sync(&mut self, c: usize) {
        let client = &mut self.clients[c];
        if !client.is_joined {
            return;
        }
        if client.syncing.is_some() {
            client.syncs_again = true;
            return;
        }
        let have = client.logs.iter().enumerate().map(|(conversation, log)| {
            (conversation, log.entries.last().map_or(0, |last| last.seq))
        });
        let request = Request::Sync(have.collect());
        let number = self.ask(c, request, true);
        self.clients[c].syncing = Some(number);
    }

    /// Writes a message, or does something to one.
    pub(crate) fn write(&mut self, c: usize, conversation: usize) {
        let kind = match self.rng.below(10) {
            0..3 => self.change(c, conversation).unwrap_or(Kind::Message),
            _ => Kind::Message,
        };
        let client = &mut self.clients[c];
        client.keys += 1;
        let key = (c, client.keys);
        client.outbox.push_back(Unsent {
            conversation,
            key,
            kind,
            request: None,
        });
        self.send_outbox(c);
    }

    /// Something to do to one of the last messages that the client shows, which others may be
    /// changing or deleting.
    fn change(&mut self, c: usize, conversation: usize) -> Option<Kind> {
        let user = self.clients[c].user;
        let shown = self.clients[c].logs[conversation].entries.iter().rev();
        let messages = shown.filter(|entry| entry.kind == Kind::Message).take(8);
        let messages: Vec<Entry> = messages.copied().collect();
        let what = self.rng.below(10);
        let may = |entry: &&Entry| {
            !self.clients[c].deleted.contains(&(conversation, entry.seq))
                && (what >= 5 || entry.sender == user)
        };
        let open: Vec<&Entry> = messages.iter().filter(may).collect();
        if open.is_empty() {
            return None;
        }
        let of = open[self.rng.below(open.len())].seq;
        let change = match what {
            0..3 => Change::Edit {
                text: self.rng.range(1, 1_000_000),
            },
            3..5 => {
                self.clients[c].deleted.insert((conversation, of));
                Change::Delete
            }
            _ => Change::React {
                emoji: self.rng.below(EMOJIS.len()),
                added: self.rng.below(3) > 0,
            },
        };
        Some(Kind::Change { of, change })
    }

    /// Sends the first unsent message of each conversation. The next one follows its
    /// acknowledgement.
    fn send_outbox(&mut self, c: usize) {
        if !self.clients[c].is_open {
            return;
        }
        let is_eager = self.has(Bug::OutboxOutOfOrder);
        let mut seen = [false; CONVERSATIONS.len()];
        for place in 0..self.clients[c].outbox.len() {
            let Unsent {
                conversation,
                key,
                kind,
                request,
            } = self.clients[c].outbox[place].clone();
            if std::mem::replace(&mut seen[conversation], true) && !is_eager {
                continue;
            }
            if request.is_none() {
                let request = Request::Send {
                    conversation,
                    key,
                    kind,
                };
                let number = self.ask(c, request, false);
                self.clients[c].outbox[place].request = Some(number);
            }
        }
    }

    pub(crate) fn mark_read(&mut self, c: usize, conversation: usize, seq: u64) {
        let log = &mut self.clients[c].logs[conversation];
        let seq = seq.min(log.entries.len() as u64);
        log.read = log.read.max(seq);
        let wanted = self.clients[c]
            .wanted_marks
            .entry(conversation)
            .or_default();
        *wanted = seq.max(*wanted);
        self.ask(c, Request::MarkRead { conversation, seq }, false);
    }

    pub(crate) fn choose_status(&mut self, c: usize, status: ManualStatus) {
        self.clients[c].wanted_status = Some(status);
        self.wake_client(c, false);
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

/// Whether an entry, which another write appended, makes the state that a write is about.
fn makes(user: usize, kind: Kind, entry: &Entry) -> bool {
    let Kind::Change { of, change } = kind else {
        return false;
    };
    match change {
        // It was never there.
        Change::React { added: false, .. } if entry.seq == of => true,
        Change::React { .. } => entry.kind == kind && entry.sender == user,
        Change::Edit { .. } | Change::Delete => entry.kind == kind,
    }
}
