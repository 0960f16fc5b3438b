//! The application under test.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::Value;
use socketio::{
    BoxFuture, ConnectError, ConnectRequest, DisconnectReason, Event, Handler, Packet, Placeholder,
    Socket,
};

use super::Log;

/// Replies to the events of the tests.
#[derive(Clone, Default)]
pub struct Echo {
    pub log: Log,
    pub sockets: Arc<Mutex<Vec<Socket<Value>>>>,
    pub moves: Arc<Moves>,
}

type Step = Box<dyn Fn(&Socket<Value>) -> bool + Send + Sync>;

/// What happens while a socket moves between nodes. `false` ends the move.
#[derive(Default)]
pub struct Moves {
    pub prepare: Mutex<Option<Step>>,
    pub settle: Mutex<Option<Step>>,
    /// The preparation takes for ever.
    pub never_prepared: std::sync::atomic::AtomicBool,
}

fn run(step: &Mutex<Option<Step>>, socket: &Socket<Value>) -> bool {
    step.lock().as_ref().is_none_or(|step| step(socket))
}

/// Records how a handler's future ends.
struct Held {
    log: Log,
    is_let_go: bool,
}

impl Held {
    fn let_go(mut self) {
        self.is_let_go = true;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.log.add(if self.is_let_go {
            "let go"
        } else {
            "dropped while it was held"
        });
    }
}

impl Handler for Echo {
    type Data = Value;

    async fn connect(&self, request: ConnectRequest) -> Result<Value, ConnectError> {
        let auth: Value = request.auth.map_or(Value::Null, |auth| {
            serde_json::from_str(auth.get()).unwrap()
        });
        if auth["slow"] == true {
            std::future::pending::<()>().await;
        }
        if auth["refuse"] == true {
            return Err(ConnectError::with_data(
                "not you",
                &serde_json::json!({ "code": 7 }),
            ));
        }
        self.log.add(format!(
            "connect {}",
            request.handshake.query("name").unwrap_or_default()
        ));
        Ok(auth)
    }

    fn connected(&self, socket: &Socket<Value>) {
        self.sockets.lock().push(socket.clone());
        if !socket.data().is_null() {
            let _ = socket.emit("auth", socket.data());
        }
        self.log.add("connected");
    }

    fn event(&self, socket: &Socket<Value>, mut event: Event) -> Option<BoxFuture<'static, ()>> {
        self.log
            .add(format!("event {} {}", event.name(), event.args()));
        match event.name() {
            "message" => {
                let _ = socket.emit_packet(&Packet::binary_event(
                    socket.namespace(),
                    "message-back",
                    event.args(),
                    &event.attachments,
                ));
            }
            "message-with-ack" => {
                let ack = event.take_ack().expect("the client asks for one");
                ack.send_binary(event.args(), &event.attachments).unwrap();
            }
            "hold" | "leave and hold" => {
                if event.name() != "hold" {
                    socket.disconnect();
                }
                let (socket, log) = (socket.clone(), self.log.clone());
                let time = event.parse::<Option<u64>>(0).unwrap().unwrap_or(100);
                let held = Held {
                    log,
                    is_let_go: false,
                };
                return Some(Box::pin(async move {
                    tokio::time::sleep(Duration::from_millis(time)).await;
                    let _ = socket.emit("held", "");
                    held.let_go();
                }));
            }
            "hold for ever" => return Some(Box::pin(std::future::pending())),
            "count" => {
                let (socket, from, count) = (
                    socket.clone(),
                    event.parse::<u64>(0).unwrap(),
                    event.parse::<u64>(1).unwrap(),
                );
                let more = event
                    .arg(2)
                    .map(|more| format!(",{more}"))
                    .unwrap_or_default();
                tokio::spawn(async move {
                    for number in from..from + count {
                        tokio::time::sleep(Duration::from_millis(3)).await;
                        socket
                            .emit_packet(&Packet::event(
                                socket.namespace(),
                                "n",
                                &format!("{number}{more}"),
                            ))
                            .unwrap();
                    }
                });
            }
            "ask" => {
                let reply = socket.emit_with_ack(
                    "question",
                    &serde_json::to_string(&Placeholder(0)).unwrap(),
                    &[Bytes::from_static(&[9, 8])],
                    Duration::from_millis(event.parse::<Option<u64>>(0).unwrap().unwrap_or(5000)),
                );
                let log = self.log.clone();
                tokio::spawn(async move {
                    match reply.await {
                        Ok(reply) => {
                            log.add(format!("answer {} {:?}", reply.args(), reply.attachments))
                        }
                        Err(error) => log.add(format!("no answer: {error}")),
                    }
                });
            }
            "leave" => socket.disconnect(),
            "drop" => socket.close_transport(),
            "panic" => panic!("as the test asked"),
            _ => {}
        }
        None
    }

    /// Accepts only the same user.
    fn recover(&self, socket: &Socket<Value>, fresh: Value) -> Result<(), Value> {
        if socket.data()["user"] == fresh["user"] {
            Ok(())
        } else {
            Err(fresh)
        }
    }

    fn hand_over(&self, socket: &Socket<Value>) -> Option<String> {
        self.log.add(format!("hand over {}", socket.id()));
        Some(socket.data().to_string())
    }

    async fn settle(&self, socket: &Socket<Value>) -> bool {
        run(&self.moves.settle, socket)
    }

    fn take_over(&self, _: &str, state: &str, fresh: &Value) -> Option<Value> {
        let state: Value = serde_json::from_str(state).unwrap();
        (state["user"] == fresh["user"]).then_some(state)
    }

    async fn prepare(&self, socket: &Socket<Value>) -> bool {
        self.log.add(format!("prepare {}", socket.id()));
        if self
            .moves
            .never_prepared
            .load(std::sync::atomic::Ordering::Relaxed)
        {
            std::future::pending::<()>().await;
        }
        let goes_on = run(&self.moves.prepare, socket);
        self.sockets.lock().push(socket.clone());
        goes_on
    }

    fn suspended(&self, _: &Socket<Value>, reason: DisconnectReason) {
        self.log.add(format!("suspended: {reason}"));
    }

    fn recovered(&self, socket: &Socket<Value>) {
        self.log.add(format!("recovered {}", socket.id()));
        let _ = socket.emit("welcome back", &1);
    }

    fn disconnecting(&self, socket: &Socket<Value>, _: DisconnectReason) {
        let rooms = socket.rooms();
        if rooms.iter().any(|room| &**room == "observers") {
            self.log.add(format!("disconnecting from {rooms:?}"));
            socket.to("observers").emit("leaving", &rooms.len());
        }
    }

    fn disconnected(&self, _: &Socket<Value>, reason: DisconnectReason) {
        self.log.add(format!("disconnected: {reason}"));
    }
}
