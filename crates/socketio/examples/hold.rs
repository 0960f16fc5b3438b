//! Measures what a connection costs: `cargo run --release -p socketio --example hold --
//! [connections [server command]]`. With a command it measures another server, which must print its
//! address and reply to `message` and `broadcast` as this one does.
//!
//! The program starts itself again as the server, pinned to the first core if `taskset` exists,
//! loads it over loopback, and reads the server's memory and CPU time from `/proc`. The figures are
//! those of the library with almost no application.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::Mutex,
    time::Duration,
};

use bytes::{Buf, BytesMut};
use socketio::{
    BoxFuture, Config, ConnectError, ConnectRequest, DisconnectReason, Event, Handler, Packet,
    Socket, SocketIo,
    codec::frame::{self, OpCode},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::Instant,
};

#[derive(Default)]
struct Load {
    sockets: Mutex<Vec<Socket<()>>>,
}

impl Handler for Load {
    type Data = ();

    async fn connect(&self, _: ConnectRequest) -> Result<(), ConnectError> {
        Ok(())
    }

    fn connected(&self, socket: &Socket<()>) {
        self.sockets
            .lock()
            .expect("the lock is not poisoned")
            .push(socket.clone());
    }

    fn event(&self, _: &Socket<()>, mut event: Event) -> Option<BoxFuture<'static, ()>> {
        match event.name() {
            "message" => {
                if let Some(ack) = event.take_ack() {
                    let _ = ack.send("{\"success\":true}");
                }
            }
            "broadcast" => {
                for number in 0..100 {
                    let args = format!("{{\"number\":{number},\"text\":\"{}\"}}", "x".repeat(100));
                    let packet = Packet::event("/", "news", &args);
                    for socket in self
                        .sockets
                        .lock()
                        .expect("the lock is not poisoned")
                        .iter()
                    {
                        let _ = socket.emit_packet(&packet);
                    }
                }
            }
            _ => {}
        }
        None
    }

    fn disconnected(&self, socket: &Socket<()>, _: DisconnectReason) {
        self.sockets
            .lock()
            .expect("the lock is not poisoned")
            .retain(|other| other != socket);
    }
}

type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Fallible<()> {
    let argument = std::env::args().nth(1);
    if argument.as_deref() == Some("serve") {
        let io = SocketIo::builder(Config::default())
            .namespace("/", Load::default())
            .build();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        return Ok(socketio::serve(listener, io).await?);
    }
    let connections = argument.map_or(Ok(5_000), |text| text.parse())?;
    let mut server = Server::start()?;
    let result = measure(&server, connections).await;
    server.child.kill()?;
    server.child.wait()?;
    result
}

async fn measure(server: &Server, connections: usize) -> Fallible<()> {
    // The first connections allocate buffers and thread stacks that later ones share.
    let mut clients = open(server.addr, 50).await?;
    let (memory, cpu) = (server.memory()?, server.cpu()?);
    clients.extend(open(server.addr, connections).await?);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let grown = (server.memory()? - memory) as f64 * 1024.0 / connections as f64;
    println!(
        "resident memory per idle connection  {grown:.0} bytes ({} KiB in all)",
        server.memory()?
    );
    println!(
        "CPU to accept and join                {:.1} us",
        per(server.cpu()? - cpu, connections)
    );

    for in_flight in [1, 8] {
        let rounds = 40_000 / in_flight;
        let cpu = server.cpu()?;
        let started = Instant::now();
        let busy: Vec<_> = clients
            .drain(..50)
            .map(|client| tokio::spawn(async move { client.chat(rounds / 50, in_flight).await }))
            .collect();
        let mut back = Vec::new();
        for client in busy {
            back.push(client.await??);
        }
        let spent = per(server.cpu()? - cpu, rounds * in_flight);
        let rate = (rounds * in_flight) as f64 / started.elapsed().as_secs_f64();
        println!(
            "CPU per acknowledged message, {in_flight} at once  {spent:.2} us ({rate:.0} a second)"
        );
        clients.extend(back);
    }

    let readers = connections.min(4_000);
    let cpu = server.cpu()?;
    let mut last = clients.pop().ok_or("no clients")?;
    let reading: Vec<_> = clients
        .drain(..)
        .map(|client| tokio::spawn(async move { client.listen(100).await }))
        .collect();
    last.send("42[\"broadcast\"]").await?;
    let heard = reading.len();
    for client in reading {
        client.await??;
    }
    println!(
        "CPU per broadcast delivery, 100 queued {:.2} us (to {heard}, {readers} asked)",
        per(server.cpu()? - cpu, heard * 100)
    );
    drop(last);
    for round in 1..=3 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let empty = server.memory()?;
        let held = open(server.addr, connections).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        println!(
            "round {round} of coming and going: {empty} KiB empty, {} KiB full",
            server.memory()?
        );
        drop(held);
    }
    Ok(())
}

fn per(ticks: u64, count: usize) -> f64 {
    // A tick in `/proc` is 10 ms on Linux.
    ticks as f64 * 10_000.0 / count as f64
}

async fn open(addr: SocketAddr, count: usize) -> Fallible<Vec<Client>> {
    let mut clients = Vec::with_capacity(count);
    while clients.len() < count {
        let some: Vec<_> = (0..100.min(count - clients.len()))
            .map(|_| tokio::spawn(Client::join(addr)))
            .collect();
        for client in some {
            clients.push(client.await??);
        }
    }
    Ok(clients)
}

struct Server {
    child: Child,
    addr: SocketAddr,
}

impl Server {
    fn start() -> Fallible<Self> {
        let own = std::env::current_exe()?;
        let mut words: Vec<_> = std::env::args_os().skip(2).collect();
        if words.is_empty() {
            words = vec![own.into(), "serve".into()];
        }
        let pinned = Command::new("taskset")
            .args(["-c", "0"])
            .args(&words)
            .stdout(Stdio::piped())
            .spawn();
        let mut child = pinned.or_else(|_| {
            Command::new(&words[0])
                .args(&words[1..])
                .stdout(Stdio::piped())
                .spawn()
        })?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        Ok(Self {
            child,
            addr: line.trim().parse()?,
        })
    }

    /// In KiB.
    fn memory(&self) -> Fallible<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS"))
            .ok_or("no VmRSS")?;
        Ok(line.split_whitespace().nth(1).ok_or("no figure")?.parse()?)
    }

    fn cpu(&self) -> Fallible<u64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields: Vec<&str> = stat
            .rsplit(") ")
            .next()
            .ok_or("no fields")?
            .split(' ')
            .collect();
        Ok(fields[11].parse::<u64>()? + fields[12].parse::<u64>()?)
    }
}

struct Client {
    stream: TcpStream,
    buffer: BytesMut,
}

impl Client {
    async fn join(addr: SocketAddr) -> Fallible<Self> {
        let mut stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        let head = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
                    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        stream.write_all(head.as_bytes()).await?;
        let mut client = Self {
            stream,
            buffer: BytesMut::new(),
        };
        loop {
            if let Some(end) = client
                .buffer
                .windows(4)
                .position(|four| four == b"\r\n\r\n")
            {
                client.buffer.advance(end + 4);
                break;
            }
            client.fill().await?;
        }
        client.text().await?;
        client.send("40").await?;
        client.text().await?;
        Ok(client)
    }

    async fn fill(&mut self) -> Fallible<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err("the server closed the connection".into()),
            _ => Ok(()),
        }
    }

    async fn send(&mut self, text: &str) -> Fallible<()> {
        let mut out = BytesMut::new();
        frame::encode_client(&mut out, true, OpCode::Text, text.as_bytes(), [1, 2, 3, 4]);
        Ok(self.stream.write_all(&out).await?)
    }

    /// The next message that is not a PING; PINGs are answered.
    async fn text(&mut self) -> Fallible<()> {
        loop {
            let frame = frame::server_frames(&self.buffer)
                .next()
                .map(|(_, data)| (data.len(), data == b"2"));
            match frame {
                None => self.fill().await?,
                Some((length, is_ping)) => {
                    self.buffer
                        .advance(length + frame::server_header(OpCode::Text, length).1);
                    if !is_ping {
                        return Ok(());
                    }
                    self.send("3").await?;
                }
            }
        }
    }

    async fn chat(mut self, rounds: usize, in_flight: usize) -> Fallible<Self> {
        let text = format!("42{}[\"message\",{{\"text\":\"{}\"}}]", 7, "x".repeat(60));
        let mut out = BytesMut::new();
        for _ in 0..in_flight {
            frame::encode_client(&mut out, true, OpCode::Text, text.as_bytes(), [1, 2, 3, 4]);
        }
        for _ in 0..rounds {
            self.stream.write_all(&out).await?;
            for _ in 0..in_flight {
                self.text().await?;
            }
        }
        Ok(self)
    }

    async fn listen(mut self, count: usize) -> Fallible<Self> {
        for _ in 0..count {
            self.text().await?;
        }
        Ok(self)
    }
}
