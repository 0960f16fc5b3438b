//! Sets up connections.

use super::error::{RedisError, RedisResult};
use super::options::{Address, RedisOptions, Topology};
use super::tap::{OnMessage, Tap};
use redis::aio::MultiplexedConnection;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{RoutingInfo, SingleNodeRoutingInfo};
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, PushInfo, PushKind,
    TlsCertificates, Value, cmd,
};
use std::future::Future;
use std::sync::Once;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::AbortHandle;

/// The oldest version whose commands are all that we use.
const OLDEST: (u32, u32) = (7, 0);

/// The server's properties, as read on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerInfo {
    /// As `INFO` has it: of Valkey, the version of Redis that it is compatible with.
    pub(crate) version: String,
    /// Changes when the server restarts or another takes its place.
    pub(crate) run_id: String,
}

#[derive(Clone)]
pub(crate) enum Connection {
    Single(MultiplexedConnection),
    Cluster(Box<ClusterConnection>),
}

impl Connection {
    pub(crate) async fn query(&mut self, command: &Cmd) -> redis::RedisResult<Value> {
        let answer = match self {
            Self::Single(connection) => connection.send_packed_command(command).await,
            Self::Cluster(connection) => {
                use redis::aio::ConnectionLike as _;
                connection.req_packed_command(command).await
            }
        };
        answer?.extract_error()
    }

    /// Sends a command that has no key, to any node of a cluster.
    async fn query_anywhere(&mut self, command: Cmd) -> redis::RedisResult<Value> {
        match self {
            Self::Single(_) => self.query(&command).await,
            Self::Cluster(connection) => {
                let anywhere = RoutingInfo::SingleNode(SingleNodeRoutingInfo::RandomPrimary);
                let answer = connection.route_command(command, anywhere).await;
                answer?.extract_error()
            }
        }
    }

    pub(crate) async fn ping(&mut self) -> redis::RedisResult<()> {
        self.query_anywhere(cmd("PING")).await.map(drop)
    }

    async fn server_info(&mut self) -> RedisResult<ServerInfo> {
        let mut command = cmd("INFO");
        command.arg("server");
        let answer = match self.query_anywhere(command).await {
            Ok(answer) => redis::from_redis_value::<String>(answer)?,
            Err(error) => return Err(error.into()),
        };
        let field = |name: &str| {
            let mut lines = answer.lines();
            let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            value.unwrap_or_default().trim().to_owned()
        };
        let version = field("redis_version");
        if is_too_old(&version) {
            return Err(RedisError::Refused(format!(
                "its version is {version}; Lamplight needs Redis 7.0 or later, or Valkey"
            )));
        }
        Ok(ServerInfo {
            version,
            run_id: field("run_id"),
        })
    }
}

fn is_too_old(version: &str) -> bool {
    let mut parts = version
        .split('.')
        .map_while(|part| part.parse::<u32>().ok());
    match (parts.next(), parts.next()) {
        (Some(major), minor) => (major, minor.unwrap_or(0)) < OLDEST,
        // A server that hides its version is given the benefit of the doubt.
        (None, _) => false,
    }
}

/// Gives up after `deadline`.
pub(crate) async fn within<T>(
    deadline: Duration,
    work: impl Future<Output = RedisResult<T>>,
) -> RedisResult<T> {
    match tokio::time::timeout(deadline, work).await {
        Ok(result) => result,
        Err(_) => Err(RedisError::Timeout(
            u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX),
        )),
    }
}

/// A connection for commands to the server that takes writes.
pub(crate) async fn connect(options: &RedisOptions) -> RedisResult<(Connection, ServerInfo)> {
    within(options.connect_deadline, async {
        let mut connection = match options.topology {
            Topology::Cluster => Connection::Cluster(Box::new(connect_cluster(options).await?)),
            _ => Connection::Single(connect_primary(options, None).await?.connection.clone()),
        };
        let info = connection.server_info().await?;
        Ok((connection, info))
    })
    .await
}

/// Called for what Redis sends unasked, on the task of the connection.
pub(crate) struct OnPush {
    /// With a channel and a payload.
    pub(crate) message: OnMessage,
    pub(crate) broken: Box<dyn Fn() + Send + Sync>,
}

/// A connection to one server.
pub(crate) struct Plain {
    pub(crate) connection: MultiplexedConnection,
    /// Ends with it; of other connections the client does that by itself.
    driver: Option<AbortHandle>,
}

impl Drop for Plain {
    fn drop(&mut self) {
        if let Some(driver) = &self.driver {
            driver.abort();
        }
    }
}

/// A connection to one server, for publishing and subscribing: the primary, or any node of a
/// cluster. `attempt` chooses another node each time.
pub(crate) async fn connect_plain(
    options: &RedisOptions,
    attempt: usize,
    on_push: Option<OnPush>,
) -> RedisResult<Plain> {
    within(options.connect_deadline, async {
        if options.topology != Topology::Cluster {
            return connect_primary(options, on_push).await;
        }
        let addresses = &options.addresses;
        let address = &addresses[attempt % addresses.len()];
        open(options, options.connection_info(address), on_push).await
    })
    .await
}

async fn connect_primary(options: &RedisOptions, on_push: Option<OnPush>) -> RedisResult<Plain> {
    let address = match &options.topology {
        Topology::Sentinel { service } => &ask_sentinels(options, service).await?,
        _ => &options.addresses[0],
    };
    let mut plain = open(options, options.connection_info(address), on_push).await?;
    // During a failover the old address may lead to a replica. A user without the permission to ask
    // finds out by the first refused write.
    if let Ok(Value::Array(role)) = plain.connection.send_packed_command(&cmd("ROLE")).await
        && let Some(Value::BulkString(role)) = role.first()
        && role.as_slice() != b"master"
    {
        return Err(RedisError::Unavailable(format!(
            "{address} is a replica, not the primary"
        )));
    }
    Ok(plain)
}

/// Asks one Sentinel after the other for the address of the primary.
async fn ask_sentinels(options: &RedisOptions, service: &str) -> RedisResult<Address> {
    // Together they may not take longer than the connection.
    let deadline =
        options.connect_deadline / 2 / u32::try_from(options.addresses.len()).unwrap_or(1);
    let mut last = RedisError::Unavailable("no Sentinel".to_owned());
    for sentinel in &options.addresses {
        let asked = within(deadline, async {
            let mut plain = open(options, options.sentinel_info(sentinel), None).await?;
            let mut command = cmd("SENTINEL");
            command.arg("GET-MASTER-ADDR-BY-NAME").arg(service);
            let answer = plain.connection.send_packed_command(&command).await?;
            Ok(redis::from_redis_value::<Option<(String, u16)>>(
                answer.extract_error()?,
            )?)
        });
        match asked.await {
            Ok(Some((host, port))) => return Ok(Address::Tcp { host, port }),
            Ok(None) => {
                last = RedisError::Unavailable(format!("{sentinel} knows no service {service}"));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn open(
    options: &RedisOptions,
    info: ConnectionInfo,
    on_push: Option<OnPush>,
) -> RedisResult<Plain> {
    let info = info.set_tcp_settings(tcp_settings());
    let on_push = match on_push {
        Some(on_push) => match subscribe_plainly(options, &info, on_push).await? {
            Ok(plain) => return Ok(plain),
            Err(on_push) => Some(on_push),
        },
        None => None,
    };
    let client = match certificates(options)? {
        Some(certificates) => Client::build_with_tls(info, certificates)?,
        None => Client::open(info)?,
    };
    let mut config = config(options);
    if let Some(on_push) = on_push {
        config = config.set_push_sender(move |push| {
            on_push.receive(push);
            Ok::<(), std::convert::Infallible>(())
        });
    }
    let connection = client.get_multiplexed_async_connection_with_config(&config);
    Ok(Plain {
        connection: connection.await?,
        driver: None,
    })
}

impl OnPush {
    fn receive(&self, push: PushInfo) {
        match (push.kind, push.data.as_slice()) {
            (PushKind::Message, [Value::BulkString(channel), Value::BulkString(payload)]) => {
                (self.message)(channel, payload);
            }
            (PushKind::Disconnection, _) => (self.broken)(),
            _ => {}
        }
    }
}

/// A connection whose messages a [`Tap`] takes out of what comes. Not for TLS, where `on_push` comes
/// back.
async fn subscribe_plainly(
    options: &RedisOptions,
    info: &ConnectionInfo,
    on_push: OnPush,
) -> RedisResult<Result<Plain, OnPush>> {
    let unreachable = |error: std::io::Error| {
        RedisError::Unavailable(format!("cannot connect to {}: {error}", info.addr()))
    };
    let plain = match info.addr() {
        ConnectionAddr::Tcp(host, port) => {
            let stream = TcpStream::connect((&**host, *port))
                .await
                .map_err(unreachable)?;
            stream.set_nodelay(true).map_err(unreachable)?;
            tap(options, info, stream, on_push).await?
        }
        ConnectionAddr::Unix(path) => {
            let stream = UnixStream::connect(path).await.map_err(unreachable)?;
            tap(options, info, stream, on_push).await?
        }
        _ => return Ok(Err(on_push)),
    };
    Ok(Ok(plain))
}

async fn tap<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    options: &RedisOptions,
    info: &ConnectionInfo,
    stream: S,
    OnPush { message, broken }: OnPush,
) -> RedisResult<Plain> {
    let pushes = move |push: PushInfo| {
        if matches!(push.kind, PushKind::Disconnection) {
            broken();
        }
        Ok::<(), std::convert::Infallible>(())
    };
    let config = config(options).set_push_sender(pushes);
    let stream = Tap::new(stream, message);
    let made = MultiplexedConnection::new_with_config(info.redis_settings(), stream, config);
    let (connection, driver) = made.await?;
    Ok(Plain {
        connection,
        driver: Some(tokio::spawn(driver).abort_handle()),
    })
}

fn config(options: &RedisOptions) -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(options.connect_deadline))
        .set_response_timeout(None)
}

async fn connect_cluster(options: &RedisOptions) -> RedisResult<ClusterConnection> {
    let nodes = options.addresses.iter();
    let nodes = nodes.map(|address| options.connection_info(address));
    let mut builder = redis::cluster::ClusterClientBuilder::new(nodes)
        .tcp_settings(tcp_settings())
        .connection_timeout(options.connect_deadline)
        .response_timeout(options.command_deadline)
        .overall_response_timeout(None)
        .retries(3);
    if let Some(certificates) = certificates(options)? {
        builder = builder.certs(certificates);
    }
    Ok(builder.build()?.get_async_connection().await?)
}

fn tcp_settings() -> TcpSettings {
    // Commands are small and wait for nothing.
    TcpSettings::default().set_nodelay(true)
}

fn certificates(options: &RedisOptions) -> RedisResult<Option<TlsCertificates>> {
    if !options.tls {
        return Ok(None);
    }
    // rustls wants one provider of cryptography for the process. Another part may have installed
    // the same one first.
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    let Some(path) = &options.certificate_authority else {
        return Ok(Some(TlsCertificates {
            client_tls: None,
            root_cert: None,
        }));
    };
    match std::fs::read(path) {
        Ok(pem) => Ok(Some(TlsCertificates {
            client_tls: None,
            root_cert: Some(pem),
        })),
        Err(error) => Err(RedisError::Unavailable(format!(
            "cannot read the certificates in {}: {error}",
            path.display()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::is_too_old;

    #[test]
    fn versions_before_7_0_are_too_old() {
        for version in ["6.2.14", "5.0", "6"] {
            assert!(is_too_old(version), "{version}");
        }
        for version in [
            "7.0.0",
            "7.0.15",
            "7.2.4",
            "8.1",
            "10.0.1",
            "255.255.255",
            "",
        ] {
            assert!(!is_too_old(version), "{version}");
        }
    }
}
