//! The connections between clients and nodes.

use super::{DEAD_AFTER, Event, UNREAD_AT_MOST, World};
use crate::bug::Bug;
use crate::messages::{ConnectionNumber, ToClient, ToNode};

impl World {
    /// Sends a message over a connection, or over HTTP, to a node.
    pub(crate) fn client_sends(
        &mut self,
        node: usize,
        connection: Option<ConnectionNumber>,
        input: ToNode,
    ) {
        let mut at = self.now + self.rng.delay();
        let mut process = self.nodes[node].process;
        if let Some(number) = connection {
            let Some(held) = self.connections.get_mut(&number) else {
                return;
            };
            if held.is_cut {
                return;
            }
            at = at.max(held.to_node_at);
            held.to_node_at = at;
            process = held.process;
        }
        self.at(
            at,
            Event::Node {
                node,
                process,
                input,
            },
        );
    }

    /// Sends a message of a node to a client.
    pub(crate) fn node_sends(
        &mut self,
        client: usize,
        connection: Option<ConnectionNumber>,
        message: ToClient,
    ) {
        let mut at = self.now + self.rng.delay();
        if let Some(number) = connection {
            let skips = self.has(Bug::SlowReadersSkipped);
            let is_stalled = self.clients[client].is_stalled;
            let Some(held) = self.connections.get_mut(&number) else {
                return;
            };
            if !held.open_at_node || held.is_cut {
                return;
            }
            if is_stalled {
                if held.unread.len() < UNREAD_AT_MOST {
                    held.unread.push_back(message);
                } else if !skips {
                    self.trace(|| format!("s{number} of client {client} reads too slowly"));
                    self.node_closes(number);
                }
                return;
            }
            at = at.max(held.to_client_at);
            held.to_client_at = at;
        }
        self.at(
            at,
            Event::Client {
                client,
                connection,
                message,
            },
        );
    }

    /// A node closes a connection; the client sees the close after earlier messages.
    pub(super) fn node_closes(&mut self, number: ConnectionNumber) {
        let Some(held) = self.connections.get_mut(&number) else {
            return;
        };
        held.open_at_node = false;
        held.unread.push_back(ToClient::Closed);
        let (node, process) = (held.node, held.process);
        self.truth.joined[held.client] = None;
        self.after(
            1,
            Event::Node {
                node,
                process,
                input: ToNode::Closed(number),
            },
        );
    }

    /// A client that stood still reads again.
    pub(crate) fn unstall(&mut self, client: usize) {
        self.clients[client].is_stalled = false;
        let Some(number) = self.clients[client].connection else {
            return;
        };
        let Some(held) = self.connections.get_mut(&number) else {
            return;
        };
        let unread = std::mem::take(&mut held.unread);
        for message in unread {
            self.after(
                1,
                Event::Client {
                    client,
                    connection: Some(number),
                    message,
                },
            );
        }
        let held = self.connections.get_mut(&number);
        if let Some(held) = held {
            held.to_client_at = held.to_client_at.max(self.now + 1);
        }
    }

    /// One end of a connection notices that it is dead.
    pub(super) fn notice(&mut self, number: ConnectionNumber, by_client: bool) {
        let Some(held) = self.connections.get(&number) else {
            return;
        };
        let (client, node, process) = (held.client, held.node, held.process);
        if by_client {
            if held.open_at_client {
                self.reach_client(client, Some(number), ToClient::Closed);
            }
        } else if held.open_at_node {
            if let Some(held) = self.connections.get_mut(&number) {
                held.open_at_node = false;
            }
            self.reach_node(node, process, ToNode::Closed(number));
        }
    }

    /// Nothing passes over this connection any more; both ends notice after a while.
    pub(crate) fn cut(&mut self, number: ConnectionNumber) {
        let Some(held) = self.connections.get_mut(&number) else {
            return;
        };
        held.is_cut = true;
        held.is_healthy = false;
        if held.open_at_client {
            self.truth.joined[held.client] = None;
        }
        for by_client in [true, false] {
            let delay = self.rng.range(DEAD_AFTER / 2, DEAD_AFTER);
            self.after(
                delay,
                Event::Noticed {
                    connection: number,
                    by_client,
                },
            );
        }
    }
}
