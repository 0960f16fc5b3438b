//! Puts the parts of a node together, starts it and stops it.

use crate::auth::Authenticator;
use crate::backends::{BackendError, Backends, Component};
use crate::config::{Config, FilesPlace};
use crate::connections::ConnectionCounts;
use crate::event_router::EventRouter;
use crate::expiry::TokenExpiry;
use crate::files::{FileStore, FileTransfers, Scanner, Scans, UploadLocks, check_s3_at_start};
use crate::health::HealthProbe;
use crate::http::{self, AppState};
use crate::hub::Hub;
use crate::jwt::TokenVerifier;
use crate::metrics;
use crate::nodes::ClusterNodes;
use crate::origin::Origins;
use crate::passwords::Argon2Passwords;
use crate::push::{PushComponent, WebPush};
use crate::roster_feed::RosterPublisher;
use crate::serve::{self, Service};
use crate::socket::ChatNamespace;
use crate::system::{SystemClock, SystemIds};
use crate::tasks::{Task, TaskEnded, Tasks};
use crate::transport::{UNSENT_SHARES, socket_io};
use crate::unsent::Unsent;
use futures_util::future::join_all;
use lamplight_usecases::ports::{Clock, Subscription};
use lamplight_usecases::{Handler, Identity, Ports, PushRunner, Settings};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

/// Clients of a node that stops come back spread over so long, so that the others can take them.
const RETURN_WITHIN: Duration = Duration::from_secs(3);
/// After the sockets are closed, collected marks have this long to be written.
const WIND_DOWN: Duration = Duration::from_millis(1_500);

/// Why Lamplight did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A store, presence or the bus cannot be used.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The tokens' keys cannot be used.
    #[error("{0}")]
    Jwt(String),
    /// The place of files cannot be used.
    #[error("{0}")]
    Files(String),
}

/// Opens the place of files.
async fn open_files(config: &Config) -> Result<FileStore, StartError> {
    let settings = match &config.files {
        FilesPlace::Directory(directory) => return Ok(FileStore::in_directory(directory)),
        FilesPlace::S3(settings) => settings,
    };
    let store = FileStore::in_s3(settings, config.data_dir.join("spool"));
    let store = store.map_err(StartError::Files)?;
    check_s3_at_start(settings).await.map_err(|error| {
        let (bucket, prefix) = (&settings.bucket, &settings.prefix);
        StartError::Files(format!(
            "Files cannot be kept in s3://{bucket}/{prefix} (LL-131): {error}. \"lamplight doctor\" finds the cause."
        ))
    })?;
    Ok(store)
}

/// A Lamplight, ready to serve.
pub struct Lamplight {
    service: Service,
    handler: Arc<Handler>,
    components: Vec<Arc<dyn Component>>,
    background: Tasks,
    router: Arc<EventRouter>,
    /// Ends with this, for the router owns the handler, which publishes to the bus.
    _subscription: Subscription,
    token_expiry: Arc<TokenExpiry>,
    clock: Arc<dyn Clock>,
}

impl Lamplight {
    /// Opens the store and puts the parts together, for a node that listens on this address. To be
    /// called within a tokio runtime.
    ///
    /// # Errors
    /// When the store or the tokens' keys cannot be used.
    pub async fn build(config: &Config, listen: SocketAddr) -> Result<Self, StartError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let node_id = config.node_id(listen.port());
        let mut backends = Backends::open(config, &node_id, listen, &clock).await?;
        let hub = Arc::new(Hub::new(Arc::clone(&backends.bus), Arc::clone(&clock)));
        let roster = Arc::new(RosterPublisher::new(
            Arc::clone(&hub),
            config.roster_limit,
            Arc::clone(&clock),
        ));

        let ports = Ports {
            messages: backends.messages,
            groups: backends.groups,
            search: backends.search,
            blocks: backends.blocks,
            files: backends.files,
            push: backends.push,
            push_sender: Arc::new(WebPush::new(&config.push)),
            directory: backends.directory,
            accounts: backends.accounts,
            passwords: Arc::new(Argon2Passwords::new()),
            presence: backends.presence,
            bus: backends.bus,
            connections: Arc::clone(&roster) as _,
            clock: Arc::clone(&clock),
            ids: Arc::new(SystemIds::new()),
            shared_limits: backends.shared_limits,
            shared_sign_outs: backends.shared_sign_outs,
        };
        let settings = Settings {
            identity: config.identity,
            quotas: config.quotas,
            watch_limit: config.roster_limit,
            max_sessions: config.max_sessions,
            is_registration_open: config.is_registration_open,
            group_limit: config.group_limit,
            edit_window: config.edit_window,
            ..Settings::default()
        };
        let handler = Arc::new(Handler::new(&ports, settings));
        let router = EventRouter::new(
            Arc::clone(&hub),
            Arc::clone(&roster),
            Arc::clone(&handler),
            &ports,
        );
        let uploads = UploadLocks::default();
        let router = router
            .with_uploads(uploads.clone())
            .with_node_ends(backends.node_ends);
        let router = Arc::new(match backends.log {
            Some(log) => router.with_log(log, &ports),
            None => router,
        });
        let subscriber = Arc::clone(&router);
        let subscription = ports
            .bus
            .subscribe(Box::new(move |message| subscriber.receive(message)));
        let pushes = PushRunner::new(&ports, backends.follower);
        backends.components.push(Arc::new(PushComponent(pushes)));
        let mut background = Tasks::default();
        background.start(backends.components.iter().flat_map(|part| part.tasks()));
        join_all(backends.components.iter().map(|part| part.warm_up())).await;
        handler.warm_up().await;
        roster
            .resync(&*ports.presence, &*ports.directory)
            .await
            .map_err(BackendError::from)?;

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
        let sessions =
            ConnectionCounts::shared(config.limit_connections, ports.shared_limits.clone());
        let namespace = ChatNamespace {
            handler: Arc::clone(&handler),
            authenticator: Arc::clone(&authenticator),
            hub: Arc::clone(&hub),
            roster: Arc::clone(&roster),
            router: Arc::clone(&router),
            token_expiry: Arc::clone(&token_expiry),
            tasks: tasks.clone(),
            counts: sessions.clone(),
        };
        let nodes = backends.registry.map(ClusterNodes::new);
        let io = socket_io(config, namespace, &authenticator, nodes.as_ref());
        let ready = Arc::new(HealthProbe {
            components: backends.components.clone(),
            hub: Arc::clone(&hub),
            roster,
            router: Arc::clone(&router),
            handler: Arc::clone(&handler),
            token_expiry: Arc::clone(&token_expiry),
            io: io.clone(),
        });
        let file_store = Arc::new(open_files(config).await?);
        let scans = config.file_scan.as_ref().map(|_| Arc::new(Notify::new()));
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
            files: FileTransfers {
                store: Arc::clone(&file_store),
                locks: uploads,
                rules: file_store.limited(&config.file_rules),
                scans: scans.clone(),
            },
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
        if let Some((scanner, wake)) = config.file_scan.as_ref().zip(scans) {
            let scans = Scans {
                handler: Arc::clone(&handler),
                store: Arc::clone(&file_store),
                scanner: Scanner::from(scanner),
                wake,
            };
            background.start([Task::new("file scans", scans.run())]);
        }
        let sweep = (Arc::clone(&handler), file_store);
        background.start([Task::new("files", async move {
            let (handler, bytes) = sweep;
            handler.files().run_sweep(&*bytes).await;
        })]);
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
            nodes,
            hub,
            // The rest of the grace period is for the way.
            return_within: (config.presence_grace / 2).min(RETURN_WITHIN),
        };
        Ok(Self {
            service,
            handler,
            components: backends.components,
            background,
            router,
            _subscription: subscription,
            token_expiry,
            clock,
        })
    }

    /// Serves until `stop` resolves, then stops in order: running requests finish, and collected marks
    /// are written.
    ///
    /// # Errors
    /// When a background task ended; the node stopped in order for that.
    pub async fn serve(
        mut self,
        listener: TcpListener,
        stop: impl Future<Output = ()>,
    ) -> Result<(), TaskEnded> {
        let own = self.own_tasks();
        let mut tasks = std::mem::take(&mut self.background);
        tasks.start(own);
        let mut failure = None;
        let stop = async {
            tokio::select! {
                () = stop => {}
                ended = tasks.ended() => {
                    if ended.begins_anew {
                        tracing::warn!(cause = ended.cause, "restarting this node");
                    } else {
                        tracing::error!(task = ended.name, cause = ended.cause, "a background task ended; stopping");
                    }
                    failure = Some(ended);
                }
            }
        };
        serve::serve(listener, self.service, stop).await;
        drop(tasks);
        let wind_down = async {
            for part in &self.components {
                part.leave().await;
            }
            self.handler.flush().await;
            for part in self.components.iter().rev() {
                part.close().await;
            }
        };
        if tokio::time::timeout(WIND_DOWN, wind_down).await.is_err() {
            tracing::warn!(
                "the store did not finish within {WIND_DOWN:?}; acknowledged writes are on the disk in any case"
            );
        }
        failure.map_or(Ok(()), Err)
    }

    fn own_tasks(&self) -> [Task; 3] {
        let (handler, router) = (Arc::clone(&self.handler), Arc::clone(&self.router));
        let (token_expiry, clock) = (Arc::clone(&self.token_expiry), Arc::clone(&self.clock));
        [
            Task::new("use cases", async move { handler.run_background().await }),
            Task::new("events", async move { router.run().await }),
            Task::new("tokens", async move { token_expiry.run(clock).await }),
        ]
    }
}
