//! Measures the memory of an idle WebSocket over TLS: `cargo run --release -p socketio --features
//! tls --example hold_tls -- [connections]`. The program starts itself again as the server, and
//! reads the server's memory from `/proc`.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use socketio::{
    BoxFuture, Config, ConnectError, ConnectRequest, Event, Handler, Serve, Socket, SocketIo, Tls,
    codec::frame::{self, OpCode},
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

struct Nothing;

impl Handler for Nothing {
    type Data = ();

    async fn connect(&self, _: ConnectRequest) -> Result<(), ConnectError> {
        Ok(())
    }

    fn event(&self, _: &Socket<()>, _: Event) -> Option<BoxFuture<'static, ()>> {
        None
    }
}

#[tokio::main]
async fn main() -> Fallible<()> {
    let argument = std::env::args().nth(1);
    if argument.as_deref() == Some("serve") {
        let tls = Tls::from_pem(
            std::env::var("CERTIFICATE")?.as_bytes(),
            std::env::var("KEY")?.as_bytes(),
        )?;
        let io = SocketIo::builder(Config::default())
            .namespace("/", Nothing)
            .build();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        return Ok(Serve::new(listener, io).tls(tls).run().await?);
    }
    let connections: u64 = argument.map_or(Ok(2_000), |text| text.parse())?;
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let mut server = Command::new(std::env::current_exe()?)
        .arg("serve")
        .env("CERTIFICATE", made.cert.pem())
        .env("KEY", made.signing_key.serialize_pem())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut address = String::new();
    BufReader::new(server.stdout.take().ok_or("no output")?).read_line(&mut address)?;
    let result = measure(address.trim(), &made.cert.pem(), server.id(), connections).await;
    server.kill()?;
    server.wait()?;
    result
}

async fn measure(address: &str, certificate: &str, server: u32, connections: u64) -> Fallible<()> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate.as_bytes())?)?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    // The first connections allocate buffers and thread stacks that later ones share.
    let mut held = Vec::new();
    for _ in 0..50 {
        held.push(join(&connector, address).await?);
    }
    let before = memory(server)?;
    for _ in 0..connections {
        held.push(join(&connector, address).await?);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let after = memory(server)?;
    println!(
        "resident memory per idle connection over TLS  {} bytes ({after} KiB in all)",
        (after - before) * 1024 / connections
    );
    Ok(())
}

async fn join(connector: &TlsConnector, address: &str) -> Fallible<TlsStream<TcpStream>> {
    let mut stream = connector
        .connect(
            ServerName::try_from("localhost")?,
            TcpStream::connect(address).await?,
        )
        .await?;
    let head = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
                Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    let mut bytes = bytes::BytesMut::new();
    // The HTTP response, OPEN, and the CONNECT reply.
    wait_for(&mut stream, &mut bytes, b"0{\"sid\"").await?;
    let mut out = bytes::BytesMut::new();
    frame::encode_client(&mut out, true, OpCode::Text, b"40", [1, 2, 3, 4]);
    stream.write_all(&out).await?;
    wait_for(&mut stream, &mut bytes, b"40{\"sid\"").await?;
    Ok(stream)
}

async fn wait_for(
    stream: &mut TlsStream<TcpStream>,
    bytes: &mut bytes::BytesMut,
    text: &[u8],
) -> Fallible<()> {
    while !bytes.windows(text.len()).any(|part| part == text) {
        if stream.read_buf(bytes).await? == 0 {
            return Err("the server closed the connection".into());
        }
    }
    Ok(())
}

/// In KiB.
fn memory(process: u32) -> Fallible<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .ok_or("no VmRSS")?;
    Ok(line.split_whitespace().nth(1).ok_or("no figure")?.parse()?)
}
