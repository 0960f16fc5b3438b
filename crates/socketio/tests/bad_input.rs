//! Invalid input: each kind gets a clear refusal or a closed connection, and other clients are not
//! affected.

mod common;

use std::time::Duration;

use common::{
    Answer, Echo, POLLING, Poller, WEBSOCKET, Ws, config, expect_no_connections, expect_served,
    read_answer, request, send_request, serve, start,
};
use socketio::{
    BoxFuture, Config, ConnectError, ConnectRequest, Event, Handler, Refusal, Socket, SocketIo,
    Transports, codec::frame::OpCode,
};
use tokio::io::AsyncWriteExt;

fn refused(answer: &Answer, code: u8) {
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(
        answer
            .body
            .starts_with(&format!("{{\"code\":{code},\"message\":")),
        "{answer:?}"
    );
}

#[tokio::test]
async fn invalid_engine_requests() {
    let fixture = start(config()).await;
    let get = |query: &str| {
        let head = format!("GET /socket.io/?{query}");
        async move { request(fixture.addr, &head, b"").await }
    };
    refused(&get("EIO=4").await, 0);
    refused(&get("EIO=4&transport=carrier-pigeon").await, 0);
    refused(&get("EIO=4&transport=polling&sid=unknown").await, 1);
    refused(
        &get("EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAAAAAA").await,
        1,
    );
    refused(&get("EIO=3&transport=polling").await, 5);
    refused(&get("transport=polling").await, 5);
    refused(&get("EIO=4&transport=websocket").await, 3);
    refused(
        &request(fixture.addr, &format!("POST {POLLING}"), b"4").await,
        2,
    );
    let poller = Poller::open(fixture.addr).await;
    for method in ["PUT", "DELETE", "PATCH"] {
        refused(
            &request(fixture.addr, &format!("{method} {}", poller.url()), b"").await,
            3,
        );
    }
    // An id with a valid beginning.
    refused(
        &get(&format!(
            "EIO=4&transport=polling&sid={}AAAAA",
            &poller.sid[..15]
        ))
        .await,
        1,
    );
    for header in [
        "Sec-WebSocket-Version: 8\r\n",
        "Sec-WebSocket-Key: short\r\n",
    ] {
        let head =
            format!("GET {WEBSOCKET}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{header}");
        refused(&request(fixture.addr, &head, b"").await, 3);
    }
    let answer = Ws::try_connect(fixture.addr, "/socket.io/?EIO=3&transport=websocket", "")
        .await
        .err()
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"));
    expect_served(&fixture).await;
}

#[tokio::test]
async fn transports_that_are_not_offered() {
    let no_polling = start(Config {
        transports: Transports {
            polling: false,
            websocket: true,
        },
        ..config()
    })
    .await;
    refused(
        &request(no_polling.addr, &format!("GET {POLLING}"), b"").await,
        0,
    );
    let no_websocket = start(Config {
        transports: Transports {
            polling: true,
            websocket: false,
        },
        ..config()
    })
    .await;
    assert!(
        Ws::try_connect(no_websocket.addr, WEBSOCKET, "")
            .await
            .is_err()
    );
    assert!(
        request(no_websocket.addr, &format!("GET {POLLING}"), b"")
            .await
            .body
            .contains("\"upgrades\":[]")
    );
}

#[tokio::test]
async fn origins_are_checked_on_every_transport_and_every_request() {
    let echo = Echo::default();
    let io = SocketIo::builder(config())
        .namespace("/", echo.clone())
        .allow_request(|parts, peer| {
            assert!(peer.ip().is_loopback());
            match parts.headers.get("origin") {
                Some(origin) if origin != "https://good.example" => {
                    Err(Refusal::forbidden("not from \"there\""))
                }
                _ => Ok(()),
            }
        })
        .cors(|origin, _| origin == "https://good.example")
        .build();
    let fixture = serve(io, echo).await;
    let evil = "Origin: https://evil.example\r\n";
    let good = "Origin: https://good.example\r\n";
    let refused = Ws::try_connect(fixture.addr, WEBSOCKET, evil)
        .await
        .err()
        .unwrap();
    assert!(
        refused.starts_with("HTTP/1.1 400"),
        "S7: as Node has it for a WebSocket: {refused}"
    );
    let answer = request(fixture.addr, &format!("GET {POLLING}\r\n{evil}"), b"").await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (403, "{\"code\":4,\"message\":\"not from \\\"there\\\"\"}")
    );
    assert_eq!(answer.header("access-control-allow-origin"), None);
    let poller = Poller::open(fixture.addr).await;
    for method in ["GET", "POST"] {
        let answer = request(
            fixture.addr,
            &format!("{method} {}\r\n{evil}", poller.url()),
            b"40",
        )
        .await;
        assert_eq!(answer.status, 403);
    }
    assert!(
        Ws::try_connect(
            fixture.addr,
            &format!("{WEBSOCKET}&sid={}", poller.sid),
            evil
        )
        .await
        .is_err()
    );
    assert_eq!(fixture.io.connections().websocket, 0);

    assert!(Ws::try_connect(fixture.addr, WEBSOCKET, good).await.is_ok());
    let answer = request(fixture.addr, &format!("GET {POLLING}\r\n{good}"), b"").await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("access-control-allow-origin"),
        Some("https://good.example")
    );
    assert_eq!(
        answer.header("access-control-allow-credentials"),
        Some("true")
    );
    assert_eq!(answer.header("vary"), Some("Origin"));

    let asked =
        "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization\r\n";
    let preflight = request(
        fixture.addr,
        &format!("OPTIONS {POLLING}\r\n{good}{asked}"),
        b"",
    )
    .await;
    assert_eq!(preflight.status, 204);
    assert_eq!(
        preflight.header("access-control-allow-origin"),
        Some("https://good.example")
    );
    assert_eq!(
        preflight.header("access-control-allow-headers"),
        Some("authorization")
    );
    let preflight = request(
        fixture.addr,
        &format!("OPTIONS {POLLING}\r\n{evil}{asked}"),
        b"",
    )
    .await;
    assert_eq!(
        (
            preflight.status,
            preflight.header("access-control-allow-origin")
        ),
        (403, None)
    );
}

#[tokio::test]
async fn payloads_over_the_limit_are_stopped_while_they_are_read() {
    let fixture = start(Config {
        max_payload: 1_000,
        ..config()
    })
    .await;
    let poller = Poller::join(fixture.addr).await;
    let announced = request(
        fixture.addr,
        &format!("POST {}", poller.url()),
        &[b'4'; 1_001],
    )
    .await;
    assert_eq!(announced.status, 413);

    let poller = Poller::join(fixture.addr).await;
    let head = format!("POST {}\r\nContent-Length: 1001\r\n", poller.url());
    let mut post = send_request(fixture.addr, &head, b"").await;
    assert_eq!(
        read_answer(&mut post).await.status,
        413,
        "before any of it has come"
    );

    let poller = Poller::join(fixture.addr).await;
    let head = format!(
        "POST {}\r\nTransfer-Encoding: chunked\r\nX: content-length\r\n",
        poller.url()
    );
    let mut post = send_request(fixture.addr, &head, b"").await;
    // Endless: the response must arrive before the end of the body.
    post.write_all(&[b"400\r\n", &[b'4'; 0x400][..], b"\r\n"].concat())
        .await
        .unwrap();
    assert_eq!(read_answer(&mut post).await.status, 413);

    let mut ws = Ws::join(fixture.addr).await;
    ws.frame(true, OpCode::Text, &[b'4'; 1_001]).await;
    assert_eq!(ws.end().await, Some(1009));
    let mut ws = Ws::join(fixture.addr).await;
    // A `Content-Length` over the limit is sufficient.
    ws.raw(b"\x81\xFF\x00\x00\x00\x00\x00\x00\x03\xE9").await;
    assert_eq!(ws.end().await, Some(1009));
    expect_served(&fixture).await;
}

#[tokio::test]
async fn a_body_that_trickles_in_is_cut_off() {
    let fixture = start(Config {
        body_timeout: Duration::from_millis(80),
        ..config()
    })
    .await;
    let poller = Poller::join(fixture.addr).await;
    let head = format!("POST {}\r\nContent-Length: 100\r\n", poller.url());
    let mut post = send_request(fixture.addr, &head, b"4").await;
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(30)).await;
        let _ = post.write_all(b"4").await;
    }
    assert_eq!(read_answer(&mut post).await.status, 408);
    fixture.log.wait_for("disconnected: transport error").await;
}

#[tokio::test]
async fn invalid_payloads() {
    let fixture = start(Config {
        max_packets_per_payload: 100,
        ..config()
    })
    .await;
    for payload in [
        &b""[..],
        b"x",
        b"2",
        b"0",
        b"4",
        b"\x1e",
        b"42[\"message\"]\x1e",
        b"b",
        b"bAQID",
        b"b!!!!",
        b"\xFF\xFE",
        b"451-[\"message\",{\"_placeholder\":true,\"num\":0}]\x1e42[\"message\"]",
        "3\u{1e}".repeat(101).as_bytes(),
    ] {
        let poller = Poller::join(fixture.addr).await;
        poller.post_bytes(payload).await;
        let wrong = timeout_log(&fixture, "disconnected: parse error", 1).await;
        assert!(wrong, "{payload:?}");
        expect_no_connections(&fixture).await;
    }
    let poller = Poller::join(fixture.addr).await;
    let old = format!(
        "POST {}\r\nContent-Type: application/octet-stream\r\n",
        poller.url()
    );
    assert_eq!(request(fixture.addr, &old, b"4").await.status, 400);
    expect_served(&fixture).await;
}

/// Waits for a line and removes it from the log, so that it can occur again.
async fn timeout_log(fixture: &common::Fixture, line: &str, at_least: usize) -> bool {
    for _ in 0..500 {
        if fixture
            .log
            .lines()
            .iter()
            .filter(|seen| *seen == line)
            .count()
            >= at_least
        {
            fixture.log.clear();
            return true;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    false
}

#[tokio::test]
async fn frames_that_break_the_websocket_protocol() {
    let fixture = start(Config {
        max_fragments: 16,
        ..config()
    })
    .await;
    let addr = fixture.addr;
    let masked = |first: u8, second: u8| [first, 0x80 | second, 0, 0, 0, 0].to_vec();
    for (what, bytes, code) in [
        ("unmasked", b"\x81\x014".to_vec(), 1002),
        ("reserved bit 1", masked(0xC1, 0), 1002),
        ("reserved bit 2", masked(0xA1, 0), 1002),
        ("reserved bit 3", masked(0x91, 0), 1002),
        ("reserved opcode", masked(0x83, 0), 1002),
        ("reserved control opcode", masked(0x8B, 0), 1002),
        (
            "control frame over 125 bytes",
            vec![0x89, 0xFE, 0, 126, 0, 0, 0, 0],
            1002,
        ),
        ("fragmented control frame", masked(0x09, 0), 1002),
        ("continuation of nothing", masked(0x80, 0), 1002),
        (
            "message within a message",
            [masked(0x01, 0), masked(0x81, 0)].concat(),
            1002,
        ),
        (
            "bad UTF-8",
            [masked(0x81, 2), vec![0xC3, 0x28]].concat(),
            1007,
        ),
        (
            "close with one byte",
            [masked(0x88, 1), vec![3]].concat(),
            1002,
        ),
        (
            "close with a code that is never sent",
            [masked(0x88, 2), vec![3, 0xEE]].concat(),
            1002,
        ),
        (
            "a flood of fragments",
            [masked(0x01, 0), masked(0x00, 0).repeat(20)].concat(),
            1009,
        ),
    ] {
        let mut ws = Ws::join(addr).await;
        ws.raw(&bytes).await;
        assert_eq!(ws.end().await, Some(code), "{what}");
        assert!(
            timeout_log(&fixture, "disconnected: transport error", 1).await,
            "{what}"
        );
    }
    expect_served(&fixture).await;
}

#[tokio::test]
async fn an_endless_fragmented_message_takes_no_more_than_the_limit() {
    let fixture = start(Config {
        max_payload: 100_000,
        max_fragments: usize::MAX,
        ..config()
    })
    .await;
    let mut ws = Ws::join(fixture.addr).await;
    ws.frame(false, OpCode::Binary, &[0; 1_000]).await;
    for _ in 0..150 {
        ws.frame(false, OpCode::Continuation, &[0; 1_000]).await;
    }
    assert_eq!(ws.end().await, Some(1009));
    expect_served(&fixture).await;
}

#[tokio::test]
async fn a_flood_of_pings_does_not_fill_memory() {
    let fixture = start(Config {
        max_queue_bytes: 20_000,
        ..config()
    })
    .await;
    let mut ws = Ws::join(fixture.addr).await;
    let ping = [&[0x89, 0xFD, 0, 0, 0, 0][..], &[b'p'; 125]]
        .concat()
        .repeat(100);
    let flood = async {
        // It never reads, so at some point the server must stop accepting its pings.
        for _ in 0..10_000 {
            if ws.stream.write_all(&ping).await.is_err() {
                return true;
            }
        }
        false
    };
    let cut_off = tokio::time::timeout(common::PATIENCE, flood).await;
    assert_eq!(cut_off, Ok(true));
    fixture.log.wait_for("disconnected: slow reader").await;
    expect_served(&fixture).await;
}

#[tokio::test]
async fn headers_by_the_hundred() {
    let fixture = start(config()).await;
    let headers: String = (0..200)
        .map(|number| format!("X-{number}: x\r\n"))
        .collect();
    let answer = request(fixture.addr, &format!("GET {POLLING}\r\n{headers}"), b"").await;
    assert_eq!(answer.status, 431);
    assert!(
        Ws::try_connect(fixture.addr, WEBSOCKET, &headers)
            .await
            .is_err()
    );
    expect_served(&fixture).await;
}

#[tokio::test]
async fn invalid_socketio_packets() {
    let fixture = start(config()).await;
    let placeholder =
        |num: &str| format!("451-[\"message\",{{\"_placeholder\":true,\"num\":{num}}}]");
    let wrong = vec![
        "4".to_owned(),
        "47".to_owned(),
        "40/custom,[]".to_owned(),
        "42".to_owned(),
        "42[]".to_owned(),
        "42[true,2]".to_owned(),
        "42[null]".to_owned(),
        "42[{\"a\":1}]".to_owned(),
        "42{\"0\":\"a\"}".to_owned(),
        "42[\"a\"".to_owned(),
        "42[\"a\",]".to_owned(),
        "42/custom,[\"a\"]".to_owned(),
        "42/nowhere,[\"a\"]".to_owned(),
        "41/nowhere,".to_owned(),
        "41{}".to_owned(),
        "43[]".to_owned(),
        "431{}".to_owned(),
        "44{\"message\":\"x\"}".to_owned(),
        "4299999999999999999999[\"a\"]".to_owned(),
        "45-[\"a\"]".to_owned(),
        "4511-[\"a\"]".to_owned(),
        "45999999999999999999999999-[\"a\"]".to_owned(),
        placeholder("1"),
        placeholder("-1"),
        placeholder("0.5"),
        placeholder("\"0\""),
        placeholder("1e1000"),
        format!("42[\"a\",{}", "[".repeat(400_000)),
        format!("42[\"a\",{}{}]", "[".repeat(200), "]".repeat(200)),
        format!("42[\"a\",{}1{}]", "{\"a\":".repeat(200), "}".repeat(200)),
        format!("40/custom,{}1{}", "{\"a\":".repeat(200), "}".repeat(200)),
        "2".to_owned(),
        "0".to_owned(),
        "x".to_owned(),
    ];
    for text in wrong {
        let mut ws = Ws::join(fixture.addr).await;
        ws.send(&text).await;
        ws.end().await;
        assert!(
            timeout_log(&fixture, "disconnected: parse error", 1).await,
            "{text:.60}"
        );
    }
    expect_no_connections(&fixture).await;
    expect_served(&fixture).await;
}

#[tokio::test]
async fn event_names_that_are_reserved() {
    let fixture = start(config()).await;
    for name in [
        "connect",
        "connect_error",
        "disconnect",
        "disconnecting",
        "newListener",
        "removeListener",
        "disc\\u006fnnect",
    ] {
        for text in [
            format!("42[\"{name}\"]"),
            format!("427[ \"{name}\", 1]"),
            format!("451-[\"{name}\",{{\"_placeholder\":true,\"num\":0}}]"),
        ] {
            let mut ws = Ws::join(fixture.addr).await;
            ws.send(&text).await;
            ws.end().await;
            assert!(
                timeout_log(&fixture, "disconnected: parse error", 1).await,
                "{text}"
            );
        }
    }
    // Similar names are allowed.
    let mut ws = Ws::join(fixture.addr).await;
    ws.send("42[\"Connect\"]").await;
    ws.send("42[\"message\",\"disconnect\"]").await;
    assert_eq!(ws.text().await, "42[\"message-back\",\"disconnect\"]");
    assert!(fixture.log.lines().contains(&"event Connect ".to_owned()));
}

#[tokio::test]
async fn s5_numeric_event_names_are_converted_as_in_javascript() {
    let fixture = start(config()).await;
    let mut ws = Ws::join(fixture.addr).await;
    for text in [
        "42[42,1]",
        "42[42.0]",
        "42[-0,\"x\"]",
        "427[1e21]",
        "451-[0.5,{\"_placeholder\":true,\"num\":0}]",
    ] {
        ws.send(text).await;
    }
    ws.send_binary(&[1]).await;
    ws.send("42[\"message\",3]").await;
    assert_eq!(ws.text().await, "42[\"message-back\",3]");
    let poller = Poller::join(fixture.addr).await;
    assert_eq!(
        poller.post("42[17]\u{1e}42[\"message\",4]").await.body,
        "ok"
    );
    assert_eq!(poller.poll().await.body, "42[\"message-back\",4]");
    let events: Vec<_> = fixture
        .log
        .lines()
        .into_iter()
        .filter(|line| line.starts_with("event"))
        .collect();
    let binary = "event 0.5 {\"_placeholder\":true,\"num\":0}";
    assert_eq!(
        events[..5],
        [
            "event 42 1",
            "event 42 ",
            "event 0 \"x\"",
            "event 1e+21 ",
            binary
        ]
    );
    assert_eq!(events[6], "event 17 ");
}

#[tokio::test]
async fn attachments_out_of_order() {
    let fixture = start(config()).await;
    let mut ws = Ws::join(fixture.addr).await;
    ws.send_binary(&[1]).await;
    ws.end().await;
    assert!(timeout_log(&fixture, "disconnected: parse error", 1).await);
    let mut ws = Ws::join(fixture.addr).await;
    ws.send("451-[\"message\",{\"_placeholder\":true,\"num\":0}]")
        .await;
    ws.send("42[\"message\"]").await;
    ws.end().await;
    assert!(timeout_log(&fixture, "disconnected: parse error", 1).await);
    assert!(
        !fixture
            .log
            .lines()
            .iter()
            .any(|line| line.starts_with("event"))
    );
}

#[tokio::test]
async fn events_before_connect() {
    let fixture = start(config()).await;
    for text in ["42[\"message\"]", "431[]", "41"] {
        let mut ws = Ws::open(fixture.addr).await;
        ws.send(text).await;
        ws.end().await;
    }
    let mut ws = Ws::open(fixture.addr).await;
    ws.send("40{\"slow\":true}").await;
    ws.send("42[\"message\"]").await;
    ws.end().await;
    assert_eq!(fixture.log.lines(), [""; 0], "no handler was asked");
    expect_no_connections(&fixture).await;
}

#[tokio::test]
async fn h5_attachments_count_against_the_payload_limit_together() {
    let fixture = start(Config {
        max_payload: 10_000,
        ..config()
    })
    .await;
    let text = "453-[\"message\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1},{\"_placeholder\":true,\"num\":2}]";
    let mut ws = Ws::join(fixture.addr).await;
    ws.send(text).await;
    for _ in 0..3 {
        ws.send_binary(&[1; 3_200]).await;
    }
    assert!(
        ws.text().await.starts_with("453-[\"message-back\""),
        "what fits together is taken"
    );
    let mut ws = Ws::join(fixture.addr).await;
    ws.send(text).await;
    ws.send_binary(&[1; 6_000]).await;
    ws.send_binary(&[1; 6_000]).await;
    ws.end().await;
    assert!(timeout_log(&fixture, "disconnected: parse error", 1).await);
    // The same on polling, in payloads that are small enough each.
    let poller = Poller::join(fixture.addr).await;
    assert_eq!(poller.post(text).await.body, "ok");
    let attachment = format!("b{}", "AAAA".repeat(1_500));
    for _ in 0..3 {
        poller.post(&attachment).await;
    }
    assert!(timeout_log(&fixture, "disconnected: parse error", 1).await);
    expect_served(&fixture).await;
}

#[tokio::test]
async fn h5_no_attachment_is_accepted_before_connect() {
    let fixture = start(config()).await;
    for text in [
        "451-[\"message\",{\"_placeholder\":true,\"num\":0}]",
        "451-/custom,[\"message\"]",
        "461-7[]",
    ] {
        let mut ws = Ws::open(fixture.addr).await;
        ws.send(text).await;
        // Closed at the first part, before anything is buffered.
        ws.end().await;
    }
    let mut ws = Ws::open(fixture.addr).await;
    ws.send("40{\"slow\":true}").await;
    ws.send("451-[\"message\",{\"_placeholder\":true,\"num\":0}]")
        .await;
    ws.end().await;
    expect_no_connections(&fixture).await;
}

/// Accepts no attachments.
struct TextOnly(Echo);

impl Handler for TextOnly {
    type Data = ();

    async fn connect(&self, _: ConnectRequest) -> Result<(), ConnectError> {
        Ok(())
    }

    fn takes_attachments(&self) -> bool {
        false
    }

    fn event(&self, socket: &Socket<()>, mut event: Event) -> Option<BoxFuture<'static, ()>> {
        assert!(event.attachments.is_empty());
        self.0.log.add(format!(
            "event {} without {}",
            event.args(),
            event.refused_attachments
        ));
        if event.name() == "ask" {
            let (asked, log) = (
                socket.emit_with_ack("q", "", &[], Duration::from_secs(5)),
                self.0.log.clone(),
            );
            tokio::spawn(async move {
                let reply = asked.await.expect("an answer");
                log.add(format!(
                    "answer {} {}",
                    reply.args(),
                    reply.attachments.len()
                ));
            });
        }
        if let Some(ack) = event.take_ack() {
            ack.reply("no bytes").expect("a socket");
        }
        // The next event waits, its attachments are dropped at once.
        let wait = event.name() == "hold";
        wait.then(|| -> BoxFuture<'static, ()> {
            Box::pin(tokio::time::sleep(Duration::from_millis(50)))
        })
    }
}

#[tokio::test]
async fn h5_a_namespace_can_refuse_attachments() {
    let echo = Echo::default();
    let io = SocketIo::builder(Config {
        max_payload: 10_000,
        ..config()
    })
    .namespace("/", TextOnly(echo.clone()))
    .build();
    let fixture = serve(io, echo).await;
    let mut ws = Ws::join(fixture.addr).await;
    // Acknowledged before the attachments arrive, which are skipped.
    ws.send("452-7[\"x\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]")
        .await;
    assert_eq!(ws.text().await, "437[\"no bytes\"]");
    ws.send_binary(&[1; 9_000]).await;
    ws.send_binary(&[1; 9_000]).await;
    ws.send("451-[\"hold\",{\"_placeholder\":true,\"num\":0}]")
        .await;
    ws.send_binary(&[1]).await;
    ws.send("421[\"x\"]").await;
    assert_eq!(ws.text().await, "431[\"no bytes\"]");
    ws.send("42[\"ask\"]").await;
    assert_eq!(ws.text().await, "420[\"q\"]");
    ws.send("461-0[1,{\"_placeholder\":true,\"num\":0}]").await;
    fixture
        .log
        .wait_for("answer 1,{\"_placeholder\":true,\"num\":0} 0")
        .await;
    ws.send_binary(&[1]).await;
    ws.send("422[\"x\"]").await;
    assert_eq!(ws.text().await, "432[\"no bytes\"]");
    // They arrive directly after their packet, as usual.
    ws.send("451-[\"x\",{\"_placeholder\":true,\"num\":0}]")
        .await;
    ws.send("42[\"x\"]").await;
    ws.end().await;
}
