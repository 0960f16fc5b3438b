//! One server on several tokio runtimes with one thread each: connections, broadcasts and timers
//! work across them.
#![allow(clippy::unwrap_used)]

mod common;

use std::{net::SocketAddr, thread::JoinHandle, time::Duration};

use common::{Echo, Fixture, Poller, WEBSOCKET, Ws, config, expect_no_connections};
use socketio::{Config, SocketIo};
use tokio::{net::TcpListener, sync::oneshot};

struct Core {
    addr: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Core {
    /// A runtime that serves until it is dropped, with everything on it.
    fn start(io: &SocketIo) -> Self {
        let (io, (stop, stopped)) = (io.clone(), oneshot::channel());
        let (send_address, address) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                send_address.send(listener.local_addr().unwrap()).unwrap();
                tokio::select! {
                    result = socketio::serve(listener, io) => result.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        Self {
            addr: address.recv().unwrap(),
            stop,
            thread,
        }
    }

    fn end(self) {
        self.stop.send(()).unwrap();
        self.thread.join().unwrap();
    }
}

fn start(config: Config) -> (Fixture, [Core; 2]) {
    let echo = Echo::default();
    let io = SocketIo::builder(config)
        .namespace("/", echo.clone())
        .build();
    let cores = [Core::start(&io), Core::start(&io)];
    (
        Fixture {
            addr: cores[0].addr,
            io,
            log: echo.log.clone(),
            echo,
        },
        cores,
    )
}

#[tokio::test]
async fn broadcasts_from_any_runtime_arrive_everywhere_in_order() {
    let (fixture, cores) = start(config());
    let mut clients = Vec::new();
    for core in cores.iter().cycle().take(6) {
        clients.push(Ws::join(core.addr).await);
    }
    let speaking: Vec<_> = (0..2)
        .map(|who| {
            let all = fixture.io.of("/").unwrap();
            std::thread::spawn(move || (0..200).for_each(|number| all.emit("n", &(who, number))))
        })
        .collect();
    for thread in speaking {
        thread.join().unwrap();
    }
    for client in &mut clients {
        let mut next = [0; 2];
        for _ in 0..400 {
            let text = client.text().await;
            let (who, number): (usize, u32) =
                serde_json::from_str(&text["42[\"n\",".len()..text.len() - 1]).unwrap();
            assert_eq!(
                number, next[who],
                "the events of each sender arrive in order"
            );
            next[who] += 1;
        }
    }
    // From one core to the other, in a room.
    let sockets = fixture.echo.sockets.lock().clone();
    sockets[0].join("a");
    sockets[1].join("a");
    sockets[0].to("a").emit("to the other", &1);
    assert_eq!(clients[1].text().await, "42[\"to the other\",1]");
    drop(clients);
    expect_no_connections(&fixture).await;
    cores.into_iter().for_each(Core::end);
}

#[tokio::test]
async fn a_session_is_polled_and_upgraded_on_another_core() {
    let (fixture, cores) = start(config());
    let mut poller = Poller::join(cores[0].addr).await;
    poller.addr = cores[1].addr;
    let mut poll = poller.start_poll().await;
    assert_eq!(poller.post("42[\"message\",1]").await.body, "ok");
    assert_eq!(
        common::read_answer(&mut poll).await.body,
        "42[\"message-back\",1]"
    );
    let mut ws = Ws::connect(poller.addr, &format!("{WEBSOCKET}&sid={}", poller.sid)).await;
    ws.send("2probe").await;
    assert_eq!(ws.text().await, "3probe");
    ws.send("5").await;
    for number in 0..50 {
        ws.send(&format!("42[\"message\",{number}]")).await;
    }
    for number in 0..50 {
        assert_eq!(ws.text().await, format!("42[\"message-back\",{number}]"));
    }
    drop(ws);
    expect_no_connections(&fixture).await;
    cores.into_iter().for_each(Core::end);
}

#[tokio::test]
async fn the_end_of_one_runtime_closes_only_its_own_connections() {
    let interval = Duration::from_millis(60);
    let (fixture, [first, second]) = start(Config {
        ping_interval: interval,
        ..config()
    });
    // The first connection starts the timers, on its own runtime.
    let mut gone = Ws::join(first.addr).await;
    let mut stays = Ws::join(second.addr).await;
    first.end();
    assert_eq!(gone.end().await, None);
    fixture.log.wait_for("disconnected: transport close").await;
    assert_eq!(fixture.io.connections().websocket, 1);
    let mut next = Ws::join(second.addr).await;
    for _ in 0..2 {
        for ws in [&mut stays, &mut next] {
            while ws.text().await != "2" {}
            ws.send("3").await;
        }
    }
    drop((stays, next));
    expect_no_connections(&fixture).await;
    second.end();
}
