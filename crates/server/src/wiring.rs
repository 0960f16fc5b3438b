//! Puts the parts together for the embedded default. The only place that knows which adapter stands
//! behind which port.

use crate::auth::Authenticator;
use crate::config::Config;
use crate::connections::ConnectionCounts;
use crate::event_router::EventRouter;
use crate::expiry::TokenExpiry;
use crate::http::{self, AppState, Ready};
use crate::hub::Hub;
use crate::jwt::TokenVerifier;
use crate::log_notice;
use crate::metrics::{self, Gauges};
use crate::origin::{Origins, Provenance, client_address};
use crate::passwords::Argon2Passwords;
use crate::roster_feed::RosterPublisher;
use crate::serve::{self, Service};
use crate::socket::ChatNamespace;
use crate::system::{SystemClock, SystemIds};
use crate::unsent::Unsent;
use lamplight_domain::presence::Rules;
use lamplight_embedded::event_bus::EmbeddedEventBus;
use lamplight_embedded::messages::{OpenError, SqliteOptions, SqliteStore};
use lamplight_embedded::presence::EmbeddedPresence;
use lamplight_usecases::ports::{Clock, EventBus, StoreError, Subscription};
use lamplight_usecases::{Code, Handler, Identity, Ports, Settings};
use socketio::{Refusal, SocketIo};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

/// How long a socket may take to say what it wants.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// A store that has not answered by then is not ready.
const READY_DEADLINE: Duration = Duration::from_secs(2);

/// After everything is closed, what is noted has this long to be written.
const WIND_DOWN: Duration = Duration::from_millis(1_500);

/// Why Lamplight did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// Presence cannot be read.
    #[error("presence could not be read: {0}")]
    Presence(#[from] StoreError),
    /// The tokens' keys cannot be used.
    #[error("{0}")]
    Jwt(String),
}

/// A Lamplight, ready to serve.
pub struct Lamplight {
    service: Service,
    handler: Arc<Handler>,
    presence: Arc<EmbeddedPresence>,
    router: Arc<EventRouter>,
    /// Ends with this, for the router owns the handler, which publishes to the bus.
    _subscription: Subscription,
    token_expiry: Arc<TokenExpiry>,
    store: Arc<SqliteStore>,
    clock: Arc<dyn Clock>,
}

impl Lamplight {
    /// Opens the store and puts the parts together. To be called within a tokio runtime.
    ///
    /// # Errors
    /// When the store or the tokens' keys cannot be used.
    pub async fn build(config: &Config) -> Result<Self, StartError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let bus: Arc<dyn EventBus> = Arc::new(EmbeddedEventBus::new());
        let store = SqliteStore::open(SqliteOptions::new(&config.database), Arc::clone(&bus))?;
        let rules = Rules {
            grace: config.presence_grace,
            time_to_live: config.presence_ttl,
            ..Rules::default()
        };
        let presence = Arc::new(EmbeddedPresence::new(
            rules,
            store.presence_version(),
            Arc::clone(&clock),
            Arc::clone(&bus),
        ));
        let hub = Arc::new(Hub::new(Arc::clone(&clock)));
        let roster = Arc::new(RosterPublisher::new(
            Arc::clone(&hub),
            config.roster_limit,
            Arc::clone(&clock),
        ));

        let ports = Ports {
            messages: Arc::clone(&store) as _,
            directory: Arc::clone(&store) as _,
            accounts: Arc::clone(&store) as _,
            passwords: Arc::new(Argon2Passwords::new()),
            presence: Arc::clone(&presence) as _,
            bus: Arc::clone(&bus),
            connections: Arc::clone(&roster) as _,
            clock: Arc::clone(&clock),
            ids: Arc::new(SystemIds::new()),
        };
        let settings = Settings {
            identity: config.identity,
            quotas: config.quotas,
            watch_limit: config.roster_limit,
            max_sessions: config.max_sessions,
            is_registration_open: config.is_registration_open,
            ..Settings::default()
        };
        let handler = Arc::new(Handler::new(&ports, settings));
        let router = Arc::new(EventRouter::new(
            Arc::clone(&hub),
            Arc::clone(&roster),
            Arc::clone(&handler),
            &ports,
        ));
        let subscriber = Arc::clone(&router);
        let subscription = bus.subscribe(Box::new(move |message| subscriber.receive(message)));
        roster.resync(&*presence, &*store).await?;

        let verifier = match config.identity {
            Identity::Jwt => Some(
                TokenVerifier::new(&config.jwt)
                    .await
                    .map_err(|error| StartError::Jwt(error.to_string()))?,
            ),
            _ => None,
        };
        let open = config.identity == Identity::Open;
        let origins = Origins {
            allowed: config.allowed_origins.clone(),
            allow_loopback: open,
            own_must_be_loopback: open && config.listen.ip().is_loopback(),
        };
        let authenticator = Arc::new(Authenticator {
            handler: Arc::clone(&handler),
            verifier: verifier.map(Arc::new),
            server_key: config
                .server_key
                .as_ref()
                .map(|key| key.expose().to_owned()),
            origins,
            proxies: config.trusted_proxies.clone(),
            clock: Arc::clone(&clock),
        });
        let token_expiry = Arc::new(TokenExpiry::default());
        let tasks = TaskTracker::new();
        let sessions = ConnectionCounts::new(config.limit_connections);
        let namespace = ChatNamespace {
            handler: Arc::clone(&handler),
            authenticator: Arc::clone(&authenticator),
            hub: Arc::clone(&hub),
            roster: Arc::clone(&roster),
            token_expiry: Arc::clone(&token_expiry),
            tasks: tasks.clone(),
            counts: sessions.clone(),
        };
        let io = transport(config, namespace, &authenticator);
        let ready = Arc::new(HealthProbe {
            store: Arc::clone(&store),
            presence: Arc::clone(&presence),
            hub,
            roster,
            router: Arc::clone(&router),
            handler: Arc::clone(&handler),
            token_expiry: Arc::clone(&token_expiry),
            io: io.clone(),
        });
        let state = Arc::new(AppState {
            handler: Arc::clone(&handler),
            authenticator,
            ready,
            metrics: metrics::install(),
            roster_limit: if config.roster_limit == 0 {
                usize::MAX - 2
            } else {
                config.roster_limit
            },
            max_payload: config.max_payload,
            received: {
                let io = io.clone();
                Box::new(move |address| Box::new(io.received(address)))
            },
            // Over HTTP as over sockets; half of all there can be stands for no limit, so that sums
            // do not overflow.
            unsent: Unsent::new(
                config
                    .limit_unsent
                    .map_or(usize::MAX / 2, |limit| limit.saturating_mul(UNSENT_SHARES)),
            ),
        });
        let service = Service {
            router: http::router(state),
            io,
            connections: ConnectionCounts::new(config.limit_connections),
            sessions,
            upgrades: ConnectionCounts::new(config.limit_connections),
            proxies: config.trusted_proxies.clone(),
            tasks,
            write_timeout: config.write_timeout,
            keep_alive: config.keep_alive,
        };
        Ok(Self {
            service,
            handler,
            presence,
            router,
            _subscription: subscription,
            token_expiry,
            store,
            clock,
        })
    }

    /// Serves until `stop` resolves, then winds down: what is in flight is finished, what is noted
    /// is written.
    pub async fn serve(self, listener: TcpListener, stop: impl Future<Output = ()>) {
        let background = {
            let (presence, handler, router) = (
                Arc::clone(&self.presence),
                Arc::clone(&self.handler),
                Arc::clone(&self.router),
            );
            let (token_expiry, clock) = (Arc::clone(&self.token_expiry), Arc::clone(&self.clock));
            let (versions, store) = (Arc::clone(&self.presence), Arc::clone(&self.store));
            [
                tokio::spawn(async move { presence.run().await }),
                tokio::spawn(async move { handler.run_background().await }),
                tokio::spawn(async move { router.run().await }),
                tokio::spawn(async move { token_expiry.run(clock).await }),
                tokio::spawn(async move { versions.reserve_versions(&store).await }),
            ]
        };
        serve::serve(listener, self.service, stop).await;
        for task in background {
            task.abort();
        }
        self.presence.queue_everyone();
        let wind_down = async {
            self.handler.flush().await;
            // Exactly, so that the next start goes on from here.
            drop(
                self.store
                    .keep_presence_version(self.presence.version())
                    .await,
            );
            self.store.close().await;
        };
        if tokio::time::timeout(WIND_DOWN, wind_down).await.is_err() {
            tracing::warn!(
                "the store did not finish within {WIND_DOWN:?}; what was acknowledged is on the disk all the same"
            );
        }
    }
}

/// So many sockets of one address may have as much waiting for them as one may have.
const UNSENT_SHARES: usize = 8;
/// Bytes that are held of messages and bodies of one address that are not whole yet, over sockets
/// and over HTTP. No more than what may wait to be sent to it, and room for far more than a few
/// hundred people behind one address have on its way at once.
const RECEIVED_PER_ADDRESS: usize = 32 << 20;
/// ... or room for so many of the longest, where those are longer than usual.
const RECEIVED_PAYLOADS: usize = 4;

fn transport(
    config: &Config,
    namespace: ChatNamespace,
    authenticator: &Arc<Authenticator>,
) -> SocketIo {
    let settings = socketio::Config {
        path: config.socket_path.clone(),
        max_payload: config.max_payload,
        write_timeout: config.write_timeout,
        connect_timeout: CONNECT_TIMEOUT,
        recovery: Some(socketio::Recovery::default()),
        max_queue_bytes: config.limit_unsent.unwrap_or(usize::MAX),
        max_received_bytes_per_address: Some(
            RECEIVED_PER_ADDRESS.max(config.max_payload.saturating_mul(RECEIVED_PAYLOADS)),
        ),
        max_queue_bytes_per_address: config
            .limit_unsent
            .map(|limit| limit.saturating_mul(UNSENT_SHARES)),
        ..socketio::Config::default()
    };
    let (refusing, reading) = (Arc::clone(authenticator), Arc::clone(authenticator));
    SocketIo::builder(settings)
        .namespace("/", namespace)
        .allow_request(
            move |parts, peer| match refusing.origins.judge(&parts.headers) {
                Provenance::Trusted => Ok(()),
                // Without an Origin it is no page's script; without its cookies and outside `open`
                // it is nobody's word.
                Provenance::CrossSite if refusing.handler.identity() != Identity::Open => Ok(()),
                Provenance::CrossSite | Provenance::Foreign => {
                    let why = refusing.origins.explain(&parts.headers);
                    log_notice::foreign(
                        "a socket",
                        &why,
                        client_address(&parts.headers, peer, &refusing.proxies),
                    );
                    metrics::refused(Code::Forbidden.as_str());
                    Err(Refusal::forbidden(why))
                }
            },
        )
        .cors(move |origin, parts| reading.origins.allows(origin, &parts.headers))
        .build()
}

impl http::Received for socketio::Received {
    fn hold(&mut self, bytes: usize) -> bool {
        Self::hold(self, bytes)
    }
}

/// What readiness and the gauges are read from.
struct HealthProbe {
    store: Arc<SqliteStore>,
    presence: Arc<EmbeddedPresence>,
    hub: Arc<Hub>,
    roster: Arc<RosterPublisher>,
    router: Arc<EventRouter>,
    handler: Arc<Handler>,
    token_expiry: Arc<TokenExpiry>,
    io: SocketIo,
}

#[async_trait::async_trait]
impl Ready for HealthProbe {
    async fn check(&self) -> Result<(), String> {
        self.store
            .ping(READY_DEADLINE)
            .await
            .map_err(|error| error.to_string())
    }

    fn gauges(&self) -> Gauges {
        let connections = self.io.connections();
        let tables = self.handler.table_sizes();
        Gauges {
            websocket: connections.websocket,
            polling: connections.polling,
            online: self.presence.online_count(),
            sessions: self.presence.session_count(),
            sockets: self.hub.user_connections(),
            followers: self.roster.followers(),
            store_queue: self.store.queue_depth(),
            socket_bytes: self.io.queued_bytes(),
            held: [
                ("limits", tables.limits),
                ("typing", tables.typing),
                ("marks", tables.marks),
                ("ended", tables.ended),
                ("roster", self.presence.held()),
                ("feed", self.roster.held()),
                ("entries", self.router.held()),
                ("tokens", self.token_expiry.len()),
                (
                    "tasks",
                    tokio::runtime::Handle::try_current()
                        .map_or(0, |runtime| runtime.metrics().num_alive_tasks()),
                ),
            ],
        }
    }
}
