//! Invalid input from many clients at once, repeatedly: the server, in its own process, stays
//! within its memory limits, and a well-behaved client is not delayed. `bad_input` tests each kind
//! of input once, with its response.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    net::SocketAddr,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use common::{POLLING, Poller, WEBSOCKET, Ws, config, request, send_request, start};
use futures_util::future::join_all;
use socketio::{Config, codec::frame::OpCode};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
    sync::Mutex,
    time::{Instant, timeout},
};

const ADDRESS: &str = "SOCKETIO_HOSTILE_SERVER";
/// Number of concurrent attackers.
const CROWD: usize = 40;
const MAX_PAYLOAD: usize = 100_000;
/// Memory that each attacker may make the server hold: an incoming message (in a vector that
/// doubles), one that is waiting, and unread responses.
const SHARE: usize = 4 * MAX_PAYLOAD + 50_000;
/// Thread stacks, the allocator's own memory, and code that is paged in.
const SLACK: usize = 10 << 20;

/// These tests measure, so they run one after another.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// Not a test: the server process that the tests start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server() {
    if std::env::var_os(ADDRESS).is_some() {
        let second = Duration::from_secs(1);
        let limits = Config {
            max_payload: MAX_PAYLOAD,
            max_queue_bytes: MAX_PAYLOAD,
            body_timeout: second,
            connect_timeout: second,
            ..config()
        };
        let fixture = start(limits).await;
        println!("\nlistening on {}", fixture.addr);
        std::future::pending::<()>().await;
    }
}

struct Server {
    child: Child,
    addr: SocketAddr,
}

impl Server {
    async fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "the_server",
                "--nocapture",
                "--test-threads",
                "1",
            ])
            .env(ADDRESS, "1")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        loop {
            let line = lines
                .next_line()
                .await
                .unwrap()
                .expect("the server prints its address");
            if let Some(addr) = line.strip_prefix("listening on ") {
                return Self {
                    child,
                    addr: addr.parse().unwrap(),
                };
            }
        }
    }

    /// Bytes in memory now (`VmRSS`), or at most (`VmHWM`).
    fn memory(&self, what: &str) -> usize {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.child.id().unwrap())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(what)?.strip_prefix(':'))
            .unwrap();
        line.trim()
            .trim_end_matches(" kB")
            .parse::<usize>()
            .unwrap()
            * 1024
    }
}

/// Runs an attack, and measures its effect on another client and on the server's memory.
async fn measure_attack<F: Future<Output = ()>>(
    share: usize,
    abuse: impl Fn(SocketAddr, usize) -> F,
) {
    let _one = ONE_AT_A_TIME.lock().await;
    let server = Server::start().await;
    let addr = server.addr;
    let done = Arc::new(AtomicBool::new(false));
    let neighbour = tokio::spawn({
        let mut ws = Ws::join(addr).await;
        let done = done.clone();
        async move {
            let mut waits = Vec::new();
            while !done.load(Ordering::Relaxed) {
                let asked = Instant::now();
                ws.send("42[\"message\",1]").await;
                let mut got = ws.text().await;
                if got == "2" {
                    ws.send("3").await;
                    got = ws.text().await;
                }
                assert_eq!(got, "42[\"message-back\",1]");
                waits.push(asked.elapsed());
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            waits
        }
    });
    let before = server.memory("VmRSS");
    let crowd = join_all((0..CROWD).map(|number| abuse(addr, number)));
    timeout(Duration::from_secs(20), crowd)
        .await
        .expect("everybody is done with in time");
    done.store(true, Ordering::Relaxed);
    let mut waits = neighbour.await.unwrap();
    waits.sort_unstable();
    let (usual, worst) = (waits[waits.len() * 9 / 10], waits[waits.len() - 1]);
    // The machine may be busy; the test detects a server that is blocked for a while.
    assert!(
        usual < Duration::from_secs(1) && worst < Duration::from_secs(5),
        "{usual:?}, at worst {worst:?}"
    );
    let grown = server.memory("VmHWM").saturating_sub(before);
    assert!(grown < SLACK + CROWD * share, "{} KiB more", grown / 1024);
}

fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let header = if payload.len() < 126 {
        vec![first, 0x80 | length[1]]
    } else {
        vec![first, 0xFE, length[0], length[1]]
    };
    [&header[..], &[0; 4], payload].concat()
}

#[tokio::test]
async fn requests_of_unknown_sessions_and_other_versions() {
    measure_attack(0, |addr, number| async move {
        for round in 0..15 {
            let query = match (number + round) % 4 {
                0 => "EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAAAAAA".to_owned(),
                1 => "EIO=3&transport=polling".to_owned(),
                2 => format!("EIO=4&transport=polling&sid={}", "A".repeat(20_000)),
                _ => format!("{}transport=none", "%41=%42&".repeat(5_000)),
            };
            assert_eq!(
                request(addr, &format!("GET /socket.io/?{query}"), b"")
                    .await
                    .status,
                400
            );
        }
    })
    .await;
}

#[tokio::test]
async fn abandoned_sessions() {
    // None joins a namespace: they are closed after the connect timeout, and small until then.
    measure_attack(30 * 8_000, |addr, _| async move {
        let mut pollers = Vec::new();
        for _ in 0..30 {
            pollers.push(Poller::open(addr).await);
        }
        let last = pollers.pop().unwrap();
        assert_eq!(last.poll().await.body, "1");
        for poller in pollers {
            poller.poll().await;
            assert_eq!(poller.poll().await.status, 400);
        }
    })
    .await;
}

#[tokio::test]
async fn polls_that_are_cut_off_and_opened_twice() {
    measure_attack(20_000, |addr, number| async move {
        for round in 0..5 {
            let poller = Poller::join(addr).await;
            let first = send_request(addr, &format!("GET {}", poller.url()), b"").await;
            if (number + round) % 2 == 0 {
                drop(first);
            } else {
                poller.poll().await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn bodies_that_trickle_in() {
    measure_attack(SHARE, |addr, _| async move {
        let poller = Poller::join(addr).await;
        let head = format!("POST {}\r\nContent-Length: {MAX_PAYLOAD}\r\n", poller.url());
        let mut post = send_request(addr, &head, &vec![b'4'; MAX_PAYLOAD / 2]).await;
        let begun = Instant::now();
        while post.write_all(b"4").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // One second for the body, plus the time that a close waits for a client that does not
        // read.
        assert!(
            begun.elapsed() < Duration::from_secs(15),
            "a body has a time limit as a whole"
        );
    })
    .await;
}

#[tokio::test]
async fn bodies_and_packets_over_the_limit() {
    measure_attack(SHARE, |addr, number| async move {
        let poller = Poller::join(addr).await;
        let head = format!(
            "POST {}\r\nTransfer-Encoding: chunked\r\nX: content-length\r\n",
            poller.url()
        );
        let mut post = send_request(addr, &head, b"").await;
        let chunk = [b"4000\r\n", &[b'4'; 0x4000][..], b"\r\n"].concat();
        // Endless, until the server closes.
        while post.write_all(&chunk).await.is_ok() {
            tokio::task::yield_now().await;
        }
        for _ in 0..3 {
            let mut ws = Ws::join(addr).await;
            if number % 2 == 0 {
                ws.raw(b"\x81\xFF\x00\x00\x00\xFF\x00\x00\x00\x00").await;
            } else {
                ws.frame(true, OpCode::Text, &vec![b'4'; MAX_PAYLOAD + 1])
                    .await;
            }
            assert_eq!(ws.end().await, Some(1009));
        }
    })
    .await;
}

#[tokio::test]
async fn endless_messages_in_fragments() {
    measure_attack(SHARE, |addr, number| async move {
        let mut ws = Ws::join(addr).await;
        // Text is validated as it arrives; binary data is only buffered.
        ws.frame(
            false,
            if number % 2 == 0 {
                OpCode::Text
            } else {
                OpCode::Binary
            },
            &[b'4'; 1_000],
        )
        .await;
        let more = masked(0x00, &[b'x'; 1_000]);
        while ws.stream.write_all(&more).await.is_ok() {
            tokio::task::yield_now().await;
        }
        ws.end().await;
    })
    .await;
}

#[tokio::test]
async fn floods_of_fragments_and_of_pings() {
    measure_attack(SHARE, |addr, number| async move {
        if number % 2 == 0 {
            let mut ws = Ws::join(addr).await;
            ws.frame(false, OpCode::Text, b"4").await;
            let flood = masked(0x00, b"").repeat(200);
            while ws.stream.write_all(&flood).await.is_ok() {
                tokio::task::yield_now().await;
            }
        } else {
            // The server answers, but the client reads no answers.
            let mut ws = Ws::join(addr).await;
            let flood = masked(0x89, &[b'p'; 125]).repeat(100);
            while ws.stream.write_all(&flood).await.is_ok() {
                tokio::task::yield_now().await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn invalid_frames() {
    measure_attack(SHARE, |addr, _| async move {
        for (bytes, code) in [
            (masked(0xC1, b"4"), 1002),
            (b"\x81\x014".to_vec(), 1002),
            (masked(0x83, b""), 1002),
            (masked(0x09, b""), 1002),
            (vec![0x89, 0xFE, 0, 126, 0, 0, 0, 0], 1002),
            (
                masked(0x81, &[b"4", &[b'x'; 10_000][..], b"\xFF"].concat()),
                1007,
            ),
        ] {
            let mut ws = Ws::join(addr).await;
            ws.raw(&bytes.repeat(20)).await;
            assert_eq!(ws.end().await, Some(code));
        }
    })
    .await;
}

#[tokio::test]
async fn headers_by_the_hundred_and_headers_without_an_end() {
    measure_attack(500_000, |addr, number| async move {
        let many: String = (0..2_000)
            .map(|header| format!("X-{header}: x\r\n"))
            .collect();
        assert_eq!(
            request(addr, &format!("GET {POLLING}\r\n{many}"), b"")
                .await
                .status,
            431
        );
        let mut endless = tokio::net::TcpStream::connect(addr).await.unwrap();
        let _ = endless
            .write_all(format!("GET {WEBSOCKET} HTTP/1.1\r\nX: ").as_bytes())
            .await;
        while endless.write_all(&[b'x'; 10_000]).await.is_ok() {
            tokio::task::yield_now().await;
        }
        // Some stay connected with an incomplete header.
        if number % 4 == 0 {
            let mut idle = tokio::net::TcpStream::connect(addr).await.unwrap();
            let _ = idle.write_all(b"GET / HTTP/1.1\r\nHost").await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn invalid_packets() {
    measure_attack(SHARE, |addr, _| async move {
        let placeholder =
            |num: &str| format!("451-[\"message\",{{\"_placeholder\":true,\"num\":{num}}}]");
        for text in [
            "4299999999999999999999[\"a\"]".to_owned(),
            "45999999999999999999999999-[\"a\"]".to_owned(),
            "4511-[\"a\"]".to_owned(),
            placeholder("1"),
            placeholder("0.5"),
            "42[null]".to_owned(),
            "42[\"disconnect\"]".to_owned(),
            "42/nowhere,[\"a\"]".to_owned(),
            format!("42[\"a\",{}", "[".repeat(MAX_PAYLOAD - 100)),
            format!("42[\"a\",{}", "{\"a\":".repeat(MAX_PAYLOAD / 5 - 100)),
            format!("42[\"a\",\"{}", "\\u0041".repeat(MAX_PAYLOAD / 6 - 100)),
            format!("42[\"a\"{}", ",0".repeat(MAX_PAYLOAD / 2 - 100)),
            format!(
                "451-[\"a\"{}]",
                ",{\"_placeholder\":true,\"num\":9}".repeat(3_000)
            ),
        ] {
            let mut ws = Ws::join(addr).await;
            ws.send(&text).await;
            ws.end().await;
        }
    })
    .await;
}

#[tokio::test]
async fn packets_before_a_namespace_is_joined() {
    measure_attack(SHARE, |addr, _| async move {
        for text in [
            "42[\"message\"]",
            "431[]",
            "41",
            "451-[\"message\",{\"_placeholder\":true,\"num\":0}]",
        ] {
            let mut ws = Ws::open(addr).await;
            ws.send(text).await;
            ws.send_binary(b"x").await;
            ws.end().await;
        }
        // A CONNECT that the handler never decides on, with events behind it.
        let mut ws = Ws::open(addr).await;
        ws.send("40{\"slow\":true}").await;
        ws.send("42[\"message\"]").await;
        ws.end().await;
    })
    .await;
}

#[tokio::test]
async fn attachments_without_the_last_one() {
    // Ten attachments of the maximum size wait for another that never arrives: together they exceed
    // the limit.
    measure_attack(2 * MAX_PAYLOAD + SHARE, |addr, _| async move {
        let mut ws = Ws::join(addr).await;
        ws.send("4510-[\"message\"]").await;
        for _ in 0..9 {
            ws.send_binary(&vec![0; MAX_PAYLOAD]).await;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        ws.send("42[\"message\"]").await;
        ws.end().await;
    })
    .await;
}
