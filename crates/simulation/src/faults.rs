//! The environment: in each step, users act and faults happen.

use crate::messages::ToNode;
use crate::names::{CHANGING, CLIENTS, COMING_AND_GOING, CONVERSATIONS, NODES};
use crate::node::Node;
use crate::rng::Rng;
use crate::truth::NEVER;
use crate::world::{DEAD_AFTER, Event, World};
use lamplight_domain::presence::ManualStatus;

/// Which faults a run has: each about half of the runs, so that some runs have few.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Profile {
    pub(crate) crashes: bool,
    pub(crate) pauses: bool,
    pub(crate) redis_cuts: bool,
    pub(crate) redis_losses: bool,
    pub(crate) clock_jumps: bool,
    /// Transactions fail, are slow, and their answers are lost; nodes do not reach the database.
    pub(crate) database: bool,
    /// Single changes of presence are lost.
    pub(crate) loses: bool,
    /// The bus repeats.
    pub(crate) repeats: bool,
    /// The bus is silent for a node, which notices.
    pub(crate) deaf: bool,
    pub(crate) stalls: bool,
    /// Members are added and removed.
    pub(crate) members: bool,
    /// People block each other.
    pub(crate) blocks: bool,
}

impl Profile {
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        let mut has = || rng.one_in(2);
        let redis_losses = has();
        Self {
            crashes: has(),
            pauses: has(),
            redis_cuts: has(),
            redis_losses,
            // Versions follow the clock where Redis forgot them: losing both is too much.
            clock_jumps: has() && !redis_losses,
            database: has(),
            loses: has(),
            repeats: has(),
            deaf: has(),
            stalls: has(),
            members: has(),
            blocks: has(),
        }
    }
}

/// The end of a fault, or its detection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    /// A node that died starts again.
    Restart {
        node: usize,
        process: u64,
    },
    Resume {
        node: usize,
        process: u64,
    },
    Die {
        node: usize,
        process: u64,
    },
    /// The clients of a node that stands still give it up.
    GivenUp {
        node: usize,
        process: u64,
    },
    RedisReached(usize),
    RedisBack {
        node: usize,
        process: u64,
        lost_at: u64,
    },
    RedisUp,
    Hearing(usize),
    DatabaseReached(usize),
    Unstall(usize),
}

impl World {
    /// One step.
    pub(crate) fn step(&mut self) {
        self.steps_left -= 1;
        self.truth
            .note_position(self.now, self.database.commits.len());
        if self.rng.one_in(150) {
            self.saved = Some(self.redis.save());
        }
        let c = self.rng.below(CLIENTS.len());
        match self.rng.below(1_000) {
            0..380 => self.write_somewhere(c),
            380..500 => {
                let conversation = self.rng.below(CONVERSATIONS.len());
                if CONVERSATIONS[conversation].contains(&CLIENTS[c]) && self.clients[c].is_open {
                    let known = self.clients[c].logs[conversation].last_seq();
                    let seq = self.rng.range(0, known + 1);
                    self.mark_read(c, conversation, seq);
                }
            }
            500..540 => {
                let statuses = [
                    ManualStatus::Online,
                    ManualStatus::Online,
                    ManualStatus::Away,
                    ManualStatus::Busy,
                    ManualStatus::Invisible,
                ];
                let status = statuses[self.rng.below(statuses.len())];
                self.trace(|| format!("client {c} (u{}) chooses {status:?}", CLIENTS[c]));
                self.choose_status(c, status);
            }
            540..570 if self.clients[c].is_open => {
                self.trace(|| format!("client {c} (u{}) closes its tab", CLIENTS[c]));
                self.set_open(c, false);
            }
            570..620 if !self.clients[c].is_open => self.set_open(c, true),
            620..640 => self.drop_connection(c),
            640..655 if self.profile.stalls => {
                self.clients[c].is_stalled = true;
                if let Some(held) = self.clients[c]
                    .connection
                    .and_then(|connection| self.connections.get_mut(&connection))
                {
                    held.is_healthy = false;
                }
                let delay = self.rng.range(500, 6_000);
                self.after(delay, Event::Fault(End::Unstall(c)));
            }
            655..670 if self.profile.members => {
                let user = COMING_AND_GOING[self.rng.below(COMING_AND_GOING.len())];
                let is_member = self.database.conversations[CHANGING]
                    .members
                    .contains_key(&user);
                let node = self.rng.below(NODES);
                if self.nodes[node].is_alive && !self.nodes[node].is_paused {
                    self.put_member(node, user, !is_member);
                }
            }
            670..680 => self.break_something(),
            680..690 if self.profile.blocks => self.block_somebody(),
            _ => {}
        }
        if self.steps_left > 0 {
            let delay = self.rng.range(20, 280);
            self.after(delay, Event::Step);
        }
    }

    /// One user blocks or unblocks another.
    fn block_somebody(&mut self) {
        let direct = [[0, 1], [2, 3]];
        let [one, two] = direct[self.rng.below(direct.len())];
        let (by, of) = if self.rng.one_in(2) {
            (one, two)
        } else {
            (two, one)
        };
        let is_blocked = self.database.blocks.contains(&(by, of));
        let node = self.rng.below(NODES);
        if self.nodes[node].is_alive && !self.nodes[node].is_paused {
            self.put_block(node, by, of, !is_blocked);
        }
    }

    fn write_somewhere(&mut self, c: usize) {
        let conversation = self.rng.below(CONVERSATIONS.len());
        let user = CLIENTS[c];
        let may = CONVERSATIONS[conversation].contains(&user)
            || conversation == CHANGING && COMING_AND_GOING.contains(&user);
        if may && self.clients[c].is_open && self.clients[c].unsent() < 20 {
            self.write(c, conversation);
        }
    }

    /// A client loses its network: noticed at once, or not.
    fn drop_connection(&mut self, c: usize) {
        let Some(connection) = self.clients[c].connection else {
            return;
        };
        self.trace(|| {
            format!(
                "the network of client {c} (u{}) drops s{connection}",
                CLIENTS[c]
            )
        });
        self.cut(connection);
        if self.rng.one_in(2) {
            self.disconnect(c);
        }
    }

    fn break_something(&mut self) {
        let node = self.rng.below(NODES);
        let is_up = self.nodes[node].is_alive && !self.nodes[node].is_paused;
        let others_up = (0..NODES)
            .filter(|other| *other != node && self.nodes[*other].is_alive)
            .count();
        match self.rng.below(7) {
            0 if self.profile.crashes && is_up && others_up > 0 => self.crash_for_a_while(node),
            1 if self.profile.pauses && is_up && others_up > 0 => self.pause(node),
            2 if self.profile.redis_cuts && !self.links[node].is_cut => {
                self.trace(|| format!("n{node} does not reach Redis"));
                self.truth.troubled_until[node] = NEVER;
                self.unlink(node);
                let delay = self.rng.range(200, 22_000);
                self.after(delay, Event::Fault(End::RedisReached(node)));
            }
            3 if self.profile.redis_losses && self.is_redis_up => self.stop_redis(),
            4 if self.profile.clock_jumps => {
                let jump = if self.rng.one_in(2) {
                    3_600_000
                } else {
                    -3_600_000
                };
                self.redis.skew = if self.redis.skew == 0 { jump } else { 0 };
                self.trace(|| format!("the clock of Redis is off by {}", self.redis.skew));
            }
            5 if self.profile.database => {
                self.trace(|| format!("n{node} does not reach the database"));
                self.database_cut[node] = true;
                self.truth.troubled_until[node] = NEVER;
                let delay = self.rng.range(200, 10_000);
                self.after(delay, Event::Fault(End::DatabaseReached(node)));
            }
            6 if self.profile.deaf && !self.links[node].is_deaf => {
                self.trace(|| format!("n{node} receives nothing from the bus"));
                self.links[node].is_deaf = true;
                self.links[node].lost_at = self.now;
                let delay = self.rng.range(500, 2_000);
                self.after(delay, Event::Fault(End::Hearing(node)));
            }
            _ => {}
        }
    }

    fn crash_for_a_while(&mut self, node: usize) {
        self.crash(node);
        let delay = self.rng.range(300, 25_000);
        let process = self.nodes[node].process;
        self.after(delay, Event::Fault(End::Restart { node, process }));
    }

    /// `kill -9`.
    pub(crate) fn crash(&mut self, node: usize) {
        self.trace(|| format!("n{node} dies"));
        self.truth.troubled_until[node] = NEVER;
        self.nodes[node].is_alive = false;
        self.redis.subscriptions[node].clear();
        let is_reset = self.rng.one_in(2);
        let open: Vec<_> = self
            .connections
            .iter()
            .filter(|(_, held)| held.node == node && held.open_at_node)
            .map(|(connection, _)| *connection)
            .collect();
        for connection in open {
            if let Some(held) = self.connections.get_mut(&connection) {
                held.is_healthy = false;
                held.open_at_node = false;
                held.is_cut = true;
            }
            let delay = if is_reset {
                self.rng.range(1, 50)
            } else {
                DEAD_AFTER
            };
            self.after(
                delay,
                Event::Noticed {
                    connection,
                    by_client: true,
                },
            );
        }
    }

    /// SIGSTOP.
    fn pause(&mut self, node: usize) {
        self.trace(|| format!("n{node} stands still"));
        self.truth.troubled_until[node] = NEVER;
        self.nodes[node].is_paused = true;
        let process = self.nodes[node].process;
        for held in self.connections.values_mut() {
            if held.node == node {
                held.is_healthy = false;
            }
        }
        self.after(DEAD_AFTER, Event::Fault(End::GivenUp { node, process }));
        let delay = self.rng.range(500, 30_000);
        self.after(delay, Event::Fault(End::Resume { node, process }));
    }

    /// Messages in transit between a node and Redis are lost.
    fn unlink(&mut self, node: usize) {
        let now = self.now;
        let link = &mut self.links[node];
        link.is_cut = true;
        link.number += 1;
        link.lost_at = now;
        self.redis.subscriptions[node].clear();
    }

    fn stop_redis(&mut self) {
        self.is_redis_up = false;
        for node in 0..NODES {
            let was_cut = self.links[node].is_cut;
            self.unlink(node);
            self.links[node].is_cut = was_cut;
        }
        let saved = self.saved.clone();
        match (self.rng.below(3), saved) {
            (0, Some(saved)) => {
                self.trace(|| "Redis restarts with an old snapshot".to_owned());
                self.redis.load(saved);
                self.truth.old_until = self.now + 60_000;
            }
            (1, _) => {
                self.trace(|| "Redis restarts".to_owned());
                self.redis.restart();
            }
            _ => {
                self.trace(|| "Redis restarts empty".to_owned());
                self.redis.empty(self.now);
            }
        }
        let delay = self.rng.range(100, 12_000);
        self.after(delay, Event::Fault(End::RedisUp));
    }

    /// A node's client of Redis finds after a moment that it is reached again.
    fn notice_redis(&mut self, node: usize) {
        let delay = self.rng.range(10, 1_000);
        let end = End::RedisBack {
            node,
            process: self.nodes[node].process,
            lost_at: self.links[node].lost_at,
        };
        self.after(delay, Event::Fault(end));
    }

    pub(crate) fn end_fault(&mut self, end: End) {
        match end {
            End::Restart { node, process } => {
                if !self.nodes[node].is_alive && self.nodes[node].process == process {
                    self.trace(|| format!("n{node} starts again"));
                    self.nodes[node] = Node::new(node, process + 1, &self.names, self.now);
                    self.start_node(node);
                    self.calm(node);
                }
            }
            End::Resume { node, process } => {
                if self.nodes[node].is_paused && self.nodes[node].process == process {
                    self.trace(|| format!("n{node} continues"));
                    self.nodes[node].is_paused = false;
                    self.calm(node);
                    let deferred = std::mem::take(&mut self.nodes[node].deferred);
                    for input in deferred {
                        self.at_node(node, input);
                    }
                    // Operations that it started may finish after its death.
                    if self.profile.crashes && self.rng.one_in(3) {
                        let delay = self.rng.range(20, 500);
                        self.after(delay, Event::Fault(End::Die { node, process }));
                    }
                }
            }
            End::Die { node, process } => {
                let held = &self.nodes[node];
                if held.is_alive && held.process == process && self.steps_left > 0 {
                    self.crash_for_a_while(node);
                }
            }
            End::GivenUp { node, process } => {
                if self.nodes[node].is_paused && self.nodes[node].process == process {
                    let clients = self
                        .connections
                        .iter()
                        .filter(|(_, held)| held.node == node && held.open_at_client);
                    let clients: Vec<_> = clients.map(|(_, held)| held.client).collect();
                    for client in clients {
                        self.disconnect(client);
                    }
                }
            }
            End::RedisReached(node) => {
                if std::mem::take(&mut self.links[node].is_cut) {
                    self.calm(node);
                    self.notice_redis(node);
                }
            }
            End::RedisBack {
                node,
                process,
                lost_at,
            } => {
                self.after(
                    0,
                    Event::Node {
                        node,
                        process,
                        input: ToNode::RedisBack { lost_at },
                    },
                );
            }
            End::RedisUp => {
                if !std::mem::replace(&mut self.is_redis_up, true) {
                    for node in 0..NODES {
                        self.notice_redis(node);
                    }
                }
            }
            End::Hearing(node) => {
                if std::mem::take(&mut self.links[node].is_deaf) {
                    self.redis.subscriptions[node].clear();
                    self.notice_redis(node);
                }
            }
            End::DatabaseReached(node) => {
                if std::mem::take(&mut self.database_cut[node]) {
                    self.calm(node);
                }
            }
            End::Unstall(client) => self.unstall(client),
        }
    }

    /// Notes that a node has no trouble any more, if it has none.
    fn calm(&mut self, node: usize) {
        let held = &self.nodes[node];
        let is_calm = held.is_alive
            && !held.is_paused
            && !self.links[node].is_cut
            && !self.database_cut[node];
        if is_calm {
            self.truth.troubled_until[node] = self.now;
        }
    }

    /// Ends every fault.
    pub(crate) fn heal(&mut self) {
        self.trace(|| "everything heals".to_owned());
        self.profile.database = false;
        self.profile.loses = false;
        self.end_fault(End::RedisUp);
        for node in 0..NODES {
            let process = self.nodes[node].process;
            self.end_fault(End::RedisReached(node));
            self.end_fault(End::Hearing(node));
            self.end_fault(End::DatabaseReached(node));
            self.end_fault(End::Restart { node, process });
            self.end_fault(End::Resume { node, process });
        }
        for client in 0..CLIENTS.len() {
            self.unstall(client);
        }
    }
}
