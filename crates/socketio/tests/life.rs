//! Random sequences of a connection's operations: sending, receiving, upgrades that succeed or
//! fail, joining and leaving namespaces, disconnects by the server, and every kind of end, on both
//! transports. A model predicts exactly what both sides observe.
//!
//! Everything runs on one thread, over pipes, with paused time, which advances only when no task
//! can run.
#![allow(clippy::unwrap_used)]

mod common;
mod piped;

use std::time::Duration;

use common::Echo;
use piped::{Client, UPGRADE_TIMEOUT};
use proptest::{prelude::*, sample::select, test_runner::Config as Cases};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use serde_json::Value;
use socketio::{Config, Connections, Socket, SocketIo};
use tokio::runtime::Runtime;

const NAMESPACES: [&str; 2] = ["/", "/custom"];
const PING_INTERVAL: Duration = Duration::from_secs(60);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transport {
    Polling,
    WebSocket,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Out,
    In,
    /// The server has disconnected the client, which may not know it yet.
    PutOut {
        pinged: bool,
    },
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The client sends a close packet.
    ClosePacket,
    /// A WebSocket close frame; on polling, the same as a packet.
    CloseFrame,
    /// The WebSocket or a poll is aborted.
    Cut,
    /// On polling, two polls at once. On WebSocket, an invalid packet.
    Nonsense,
    /// The server closes the transport.
    ByServer,
    /// A PING is not answered.
    NoPong,
}

#[derive(Debug, Clone)]
enum Step {
    Open(Transport),
    Join(usize),
    Leave(usize),
    PutOut(usize),
    /// This many events at once.
    Send(usize, u32),
    /// The client requests an acknowledgement.
    Ask(usize),
    Emit(usize, u32),
    /// The client reads everything available.
    Receive,
    /// A PING arrives and is answered.
    Ping,
    /// With or without an open poll.
    Upgrade(bool),
    /// An upgrade that stops after its probe.
    UpgradeStalls,
    UpgradeIsCut,
    End(End),
}

#[derive(Debug, Clone)]
struct Open {
    transport: Transport,
    places: [Place; 2],
    /// Packets that the client has not read yet.
    queued: Vec<String>,
}

/// What must have happened.
#[derive(Debug, Clone, Default)]
struct Model {
    open: Option<Open>,
    /// The calls of the handlers.
    log: Vec<String>,
    next: u32,
    /// What the client must receive in this step.
    received: Vec<String>,
}

fn prefix(kind: &str, at: usize) -> String {
    if at == 0 {
        kind.to_owned()
    } else {
        format!("{kind}{},", NAMESPACES[at])
    }
}

impl Open {
    fn is_in(&self, at: usize) -> bool {
        self.places[at] == Place::In
    }

    fn taken(&mut self) -> Vec<String> {
        std::mem::take(&mut self.queued)
    }
}

impl Model {
    fn end(&mut self, end: End) {
        let Some(mut open) = self.open.take() else {
            return;
        };
        let polling = open.transport == Transport::Polling;
        let reason = match end {
            End::ClosePacket | End::CloseFrame => "transport close",
            End::Cut if polling => "transport error",
            End::Cut => "transport close",
            End::Nonsense if polling => "transport error",
            End::Nonsense => "parse error",
            End::ByServer => "forced close",
            End::NoPong => "ping timeout",
        };
        let joined = open
            .places
            .iter()
            .filter(|place| **place == Place::In)
            .count();
        self.log
            .extend((0..joined).map(|_| format!("disconnected: {reason}")));
        if end == End::ByServer {
            self.received = open.taken();
        }
    }
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(state: &Self) -> BoxedStrategy<Step> {
        let Some(open) = &state.open else {
            return select(vec![
                Step::Open(Transport::Polling),
                Step::Open(Transport::WebSocket),
            ])
            .boxed();
        };
        let mut steps = vec![
            (3, Just(Step::Receive).boxed()),
            (1, Just(Step::Ping).boxed()),
        ];
        for at in 0..2 {
            match open.places[at] {
                Place::Out => steps.push((6, Just(Step::Join(at)).boxed())),
                Place::In => steps.extend([
                    (
                        1,
                        select(vec![Step::Join(at), Step::Leave(at), Step::PutOut(at)]).boxed(),
                    ),
                    (
                        3,
                        (1u32..5)
                            .prop_map(move |count| Step::Send(at, count))
                            .boxed(),
                    ),
                    (
                        3,
                        (1u32..5)
                            .prop_map(move |count| Step::Emit(at, count))
                            .boxed(),
                    ),
                    (1, Just(Step::Ask(at)).boxed()),
                ]),
                Place::PutOut { .. } => steps.push((
                    3,
                    select(vec![Step::Join(at), Step::Leave(at), Step::Send(at, 2)]).boxed(),
                )),
            }
        }
        if open.transport == Transport::Polling {
            steps.push((2, any::<bool>().prop_map(Step::Upgrade).boxed()));
            steps.push((
                1,
                select(vec![Step::UpgradeStalls, Step::UpgradeIsCut]).boxed(),
            ));
        }
        let ends = vec![
            End::ClosePacket,
            End::CloseFrame,
            End::Cut,
            End::Nonsense,
            End::ByServer,
            End::NoPong,
        ];
        steps.push((1, select(ends).prop_map(Step::End).boxed()));
        proptest::strategy::Union::new_weighted(steps).boxed()
    }

    fn preconditions(state: &Self, step: &Step) -> bool {
        let Some(open) = &state.open else {
            return matches!(step, Step::Open(_));
        };
        match *step {
            Step::Open(_) => false,
            Step::Join(_) | Step::Receive | Step::Ping => true,
            Step::Leave(at) | Step::Send(at, _) => open.places[at] != Place::Out,
            // The server closes through a socket.
            Step::End(End::ByServer) => open.is_in(0) || open.is_in(1),
            Step::PutOut(at) | Step::Emit(at, _) | Step::Ask(at) => open.is_in(at),
            Step::Upgrade(_) | Step::UpgradeStalls | Step::UpgradeIsCut => {
                open.transport == Transport::Polling
            }
            Step::End(_) => true,
        }
    }

    fn apply(mut state: Self, step: &Step) -> Self {
        state.received.clear();
        if let Step::End(end) = step {
            state.end(*end);
            return state;
        }
        if let Step::Open(transport) = *step {
            state.open = Some(Open {
                transport,
                places: [Place::Out; 2],
                queued: Vec::new(),
            });
            return state;
        }
        let Self {
            open: Some(open),
            log,
            next,
            received,
        } = &mut state
        else {
            return state;
        };
        match *step {
            Step::Join(at) => {
                open.queued.push(prefix("40", at));
                // A repeated CONNECT gets the same reply.
                if !open.is_in(at) {
                    open.places[at] = Place::In;
                    log.extend(["connect ".to_owned(), "connected".to_owned()]);
                }
            }
            Step::Leave(at) => {
                if open.is_in(at) {
                    log.push("disconnected: client namespace disconnect".to_owned());
                }
                open.places[at] = Place::Out;
            }
            Step::PutOut(at) => {
                open.places[at] = Place::PutOut { pinged: false };
                open.queued.push(prefix("41", at));
                log.push("disconnected: server namespace disconnect".to_owned());
            }
            Step::Send(at, count) => {
                for _ in 0..count {
                    if open.is_in(at) {
                        log.push(format!("event message {next}"));
                        open.queued
                            .push(format!("{}[\"message-back\",{next}]", prefix("42", at)));
                    }
                    *next += 1;
                }
            }
            Step::Ask(at) => {
                log.push(format!("event message-with-ack {next}"));
                open.queued
                    .push(format!("{}{next}[{next}]", prefix("43", at)));
                *next += 1;
            }
            Step::Emit(at, count) => {
                for _ in 0..count {
                    open.queued
                        .push(format!("{}[\"n\",{next}]", prefix("42", at)));
                    *next += 1;
                }
            }
            Step::Receive => *received = open.taken(),
            Step::Ping => {
                *received = open.taken();
                for place in &mut open.places {
                    *place = match *place {
                        Place::PutOut { pinged: false } => Place::PutOut { pinged: true },
                        // The client knows by now, so the server has dropped the entry.
                        Place::PutOut { pinged: true } => Place::Out,
                        place => place,
                    };
                }
            }
            Step::Upgrade(with_poll) => {
                open.transport = Transport::WebSocket;
                if with_poll {
                    // A poll is answered at once if something is queued, otherwise when it is
                    // released.
                    *received = open.taken();
                    if received.is_empty() {
                        received.push("6".to_owned());
                    }
                }
            }
            Step::UpgradeStalls | Step::UpgradeIsCut | Step::Open(_) | Step::End(_) => {}
        }
        state
    }
}

struct Life {
    runtime: Runtime,
    io: SocketIo,
    echo: Echo,
    client: Option<Client>,
}

/// The current or the last socket in a namespace.
fn socket_in(echo: &Echo, at: usize) -> Socket<Value> {
    let sockets = echo.sockets.lock();
    sockets
        .iter()
        .rev()
        .find(|socket| socket.namespace() == NAMESPACES[at])
        .unwrap()
        .clone()
}

impl StateMachineTest for Life {
    type SystemUnderTest = Self;
    type Reference = Model;

    fn init_test(_: &Model) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        let echo = Echo::default();
        let config = Config {
            ping_interval: PING_INTERVAL,
            ping_timeout: PING_TIMEOUT,
            upgrade_timeout: UPGRADE_TIMEOUT,
            connect_timeout: Duration::from_secs(100_000),
            // A silent client is disconnected for its missing PONG.
            write_timeout: None,
            ..Config::default()
        };
        let io = SocketIo::builder(config)
            .namespace("/", echo.clone())
            .namespace("/custom", echo.clone())
            .build();
        Self {
            runtime,
            io,
            echo,
            client: None,
        }
    }

    fn apply(state: Self, model: &Model, step: Step) -> Self {
        let Self {
            runtime,
            io,
            echo,
            mut client,
        } = state;
        let number = |count: u32| model.next - count..model.next;
        let received = runtime.block_on(async {
            let mut received = Vec::new();
            if let Step::Open(transport) = step {
                client = Some(Client::open(&io, transport == Transport::WebSocket).await);
                return received;
            }
            let Some(open) = &mut client else {
                return received;
            };
            match step {
                Step::Join(at) => open.send(&[prefix("40", at)]).await,
                Step::Leave(at) => open.send(&[prefix("41", at)]).await,
                Step::PutOut(at) => socket_in(&echo, at).disconnect(),
                Step::Send(at, count) => {
                    let packets: Vec<_> = number(count)
                        .map(|number| format!("{}[\"message\",{number}]", prefix("42", at)))
                        .collect();
                    open.send(&packets).await;
                }
                Step::Ask(at) => {
                    let number = model.next - 1;
                    open.send(&[format!(
                        "{}{number}[\"message-with-ack\",{number}]",
                        prefix("42", at)
                    )])
                    .await;
                }
                Step::Emit(at, count) => number(count)
                    .for_each(|number| socket_in(&echo, at).emit("n", &number).unwrap()),
                Step::Receive => received = open.receive().await,
                Step::Ping => {
                    received = open.receive().await;
                    open.ping().await;
                    open.send(&["3".to_owned()]).await;
                }
                Step::Upgrade(with_poll) => received = open.upgrade(with_poll).await,
                Step::UpgradeStalls => open.stall_upgrade().await,
                Step::UpgradeIsCut => open.cut_upgrade().await,
                Step::End(end) => {
                    let open = client.take().unwrap();
                    received = match end {
                        End::ClosePacket => open.close(false).await,
                        End::CloseFrame => open.close(true).await,
                        End::Cut => open.cut().await,
                        End::Nonsense => open.send_invalid().await,
                        End::ByServer => {
                            let socket = echo
                                .sockets
                                .lock()
                                .iter()
                                .rev()
                                .find(|socket| socket.is_connected())
                                .unwrap()
                                .clone();
                            socket.close_transport();
                            open.closed_by_server().await
                        }
                        End::NoPong => open.no_pong(PING_INTERVAL + PING_TIMEOUT).await,
                    };
                }
                Step::Open(_) => {}
            }
            received
        });
        // Until nothing is left to do.
        runtime.block_on(async { tokio::time::sleep(Duration::from_millis(10)).await });
        assert_eq!(received, model.received, "after {step:?}");
        Self {
            runtime,
            io,
            echo,
            client,
        }
    }

    fn check_invariants(state: &Self, model: &Model) {
        assert_eq!(state.echo.log.lines(), model.log);
        let on = |transport| {
            usize::from(
                model
                    .open
                    .as_ref()
                    .is_some_and(|open| open.transport == transport),
            )
        };
        let expected = Connections {
            polling: on(Transport::Polling),
            websocket: on(Transport::WebSocket),
        };
        assert_eq!(state.io.connections(), expected);
        for (at, namespace) in NAMESPACES.iter().enumerate() {
            let joined = model.open.as_ref().is_some_and(|open| open.is_in(at));
            assert_eq!(state.io.of(namespace).unwrap().count(), usize::from(joined));
        }
        // A WebSocket's bytes are in the pipe by now; those of polling wait until they are fetched.
        let waits = model
            .open
            .as_ref()
            .is_some_and(|open| open.transport == Transport::Polling && !open.queued.is_empty());
        assert_eq!(state.io.queued_bytes() > 0, waits);
    }

    fn teardown(state: Self, _: Model) {
        let Self {
            runtime,
            io,
            echo,
            client,
        } = state;
        drop(client);
        runtime.block_on(async {
            io.drain();
            let closed = tokio::time::timeout(2 * PING_TIMEOUT, io.closed());
            assert!(closed.await.is_ok(), "nothing is left to wait for");
            tokio::time::sleep(2 * PING_TIMEOUT).await;
        });
        let count = |start: &str| {
            echo.log
                .lines()
                .iter()
                .filter(|line| line.starts_with(start))
                .count()
        };
        assert_eq!(count("connected"), count("disconnected"));
        assert_eq!(
            (io.connections(), io.queued_bytes()),
            (Connections::default(), 0)
        );
    }
}

prop_state_machine! {
    #![proptest_config(Cases { cases: 2_000, failure_persistence: None, ..Cases::default() })]

    #[test]
    fn any_sequence_matches_the_model(sequential 1..40 => Life);
}
