//! Dynamic namespaces: created on demand, removed with their last socket.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Echo, Fixture, Ws, config, expect_no_connections, expect_served, serve};
use socketio::{
    BoxFuture, Config, ConnectError, ConnectRequest, Event, Handler, Recovery, Socket, SocketIo,
};

/// Replies with the namespace's name.
struct Where;

impl Handler for Where {
    type Data = Box<str>;

    async fn connect(&self, request: ConnectRequest) -> Result<Box<str>, ConnectError> {
        if request
            .auth
            .is_some_and(|auth| auth.get().contains("refuse"))
        {
            return Err(ConnectError::new("no"));
        }
        Ok(request.namespace)
    }

    fn event(&self, socket: &Socket<Box<str>>, event: Event) -> Option<BoxFuture<'static, ()>> {
        assert_eq!(**socket.data(), *socket.namespace());
        if event.name() == "leave" {
            socket.disconnect();
        }
        socket.broadcast().emit(event.name(), socket.data());
        None
    }
}

async fn start(config: Config) -> Fixture {
    let echo = Echo::default();
    let numbered = |name: &str| {
        name.strip_prefix("/room-").is_some_and(|rest| {
            (1..6).contains(&rest.len()) && rest.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    let io = SocketIo::builder(config)
        .namespace("/", echo.clone())
        .namespace("/room-0", echo.clone())
        .dynamic_namespace(numbered, Where);
    serve(io.build(), echo).await
}

async fn join(ws: &mut Ws, name: &str) {
    ws.send(&format!("40{name},")).await;
    let answer = ws.text().await;
    assert!(
        answer.starts_with(&format!("40{name},{{\"sid\":")),
        "{answer}"
    );
}

#[tokio::test]
async fn namespaces_that_disconnected_a_client_do_not_count() {
    let fixture = start(Config {
        max_namespaces: 2,
        ..config()
    })
    .await;
    let mut ws = Ws::join(fixture.addr).await;
    for number in [1, 2, 3, 1] {
        let name = format!("/room-{number}");
        join(&mut ws, &name).await;
        ws.send(&format!("42{name},[\"leave\"]")).await;
        assert_eq!(ws.text().await, format!("41{name},"));
        // Packets that the client had sent before it knew are ignored.
        ws.send(&format!("42{name},[\"late\"]")).await;
    }
    ws.send("42[\"message\"]").await;
    assert_eq!(ws.text().await, "42[\"message-back\"]");
    // Nor do they exist for a client that knows of the disconnect because it has answered two PINGs
    // since.
    assert_eq!(fixture.io.namespaces().len(), 2);
    ws.send("3").await;
    ws.send("3").await;
    ws.send("42[\"message\"]").await;
    assert_eq!(ws.text().await, "42[\"message-back\"]");
    ws.send("42/room-1,[\"late\"]").await;
    ws.end().await;
}

#[tokio::test]
async fn each_is_separate_and_exists_while_it_has_a_socket() {
    let fixture = start(config()).await;
    let names = || {
        let mut names = fixture.io.namespaces();
        names.sort();
        names.split_off(2).join(" ")
    };
    let mut one = Ws::open(fixture.addr).await;
    let mut two = Ws::open(fixture.addr).await;
    assert_eq!(names(), "");
    join(&mut one, "/room-1").await;
    join(&mut one, "/room-2").await;
    join(&mut two, "/room-2").await;
    assert_eq!(names(), "/room-1 /room-2");
    assert_eq!(fixture.io.of("/room-2").unwrap().count(), 2);
    one.send("42/room-1,[\"nobody hears\"]").await;
    one.send("42/room-2,[\"hello\"]").await;
    assert_eq!(two.text().await, "42/room-2,[\"hello\",\"/room-2\"]");
    // Left by the client, by the server, and with the connection.
    one.send("41/room-1,").await;
    two.send("42/room-2,[\"leave\"]").await;
    assert_eq!(two.text().await, "41/room-2,");
    assert_eq!(one.text().await, "42/room-2,[\"leave\",\"/room-2\"]");
    join(&mut two, "/room-2").await;
    assert_eq!(names(), "/room-2");
    assert!(fixture.io.of("/room-1").is_none());
    two.send("42/room-2,[\"leave\"]").await;
    assert_eq!(two.text().await, "41/room-2,");
    drop(one);
    drop(two);
    expect_no_connections(&fixture).await;
    assert_eq!(names(), "");
    assert!(fixture.io.of("/room-2").is_none());
}

#[tokio::test]
async fn unmatched_and_overlong_names_are_refused() {
    let fixture = start(Config {
        max_namespaces: 5,
        ..config()
    })
    .await;
    let mut ws = Ws::open(fixture.addr).await;
    for name in ["/room-", "/room-x", "/room-1234567", "/other", "/room-1/"] {
        ws.send(&format!("40{name},")).await;
        assert_eq!(
            ws.text().await,
            format!("44{name},{{\"message\":\"Invalid namespace\"}}")
        );
    }
    for number in 0..20 {
        ws.send(&format!("40/room-{},{{\"refuse\":1}}", number + 100))
            .await;
        assert_eq!(
            ws.text().await,
            format!("44/room-{},{{\"message\":\"no\"}}", number + 100)
        );
    }
    assert_eq!(fixture.io.namespaces().len(), 2);
    assert!(
        fixture.io.of("/room-100").is_none(),
        "who is refused leaves none behind"
    );
    for number in 0..5 {
        join(&mut ws, &format!("/room-{number}")).await;
    }
    ws.send("40/room-5,").await;
    assert_eq!(
        ws.text().await,
        "44/room-5,{\"message\":\"Too many namespaces\"}"
    );
    ws.send("41/room-3,").await;
    join(&mut ws, "/room-5").await;
    expect_served(&fixture).await;
}

#[tokio::test]
async fn a_suspended_socket_keeps_its_namespace() {
    let window = std::time::Duration::from_millis(300);
    let fixture = start(Config {
        recovery: Some(Recovery {
            window,
            ..Recovery::default()
        }),
        ..config()
    })
    .await;
    let url = format!("{}&recovery=1", common::WEBSOCKET);
    let mut ws = Ws::connect(fixture.addr, &url).await;
    ws.text().await;
    ws.send("40/room-1,").await;
    let answer = ws.text().await;
    drop(ws);
    while fixture.io.connections().websocket > 0 {
        tokio::task::yield_now().await;
    }
    fixture
        .io
        .of("/room-1")
        .expect("it is kept")
        .emit("missed", &1);
    let mut ws = Ws::connect(fixture.addr, &url).await;
    ws.text().await;
    ws.send(&format!(
        "40/room-1,{{\"pid\":\"{}\"}}",
        answer.split('"').nth(7).unwrap()
    ))
    .await;
    assert!(ws.text().await.starts_with("42/room-1,[\"missed\",1,"));
    assert_eq!(ws.text().await, answer);
    drop(ws);
    let gone = async {
        while fixture.io.of("/room-1").is_some() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(common::PATIENCE, gone).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn namespaces_are_created_and_removed_concurrently() {
    let fixture = start(config()).await;
    let addr = fixture.addr;
    let clients = (0..12).map(|_| {
        tokio::spawn(async move {
            let mut ws = Ws::open(addr).await;
            for round in 0..40 {
                let name = format!("/room-{}", 1 + round % 2);
                join(&mut ws, &name).await;
                ws.send(&format!("41{name},")).await;
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    expect_no_connections(&fixture).await;
    assert_eq!(fixture.io.namespaces().len(), 2);
    assert!(fixture.io.of("/room-1").is_none() && fixture.io.of("/room-2").is_none());
}
