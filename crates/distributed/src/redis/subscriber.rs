//! A connection that stays subscribed to a set of channels.

use super::backoff::Backoff;
use super::connect::{OnPush, Plain, connect_plain, within};
use super::error::{RedisError, RedisResult};
use super::options::RedisOptions;
use lamplight_usecases::throttle::{self, Due};
use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinHandle;

/// Channels in one `SUBSCRIBE`. After a reconnect they go out one by one, so that a node with many
/// users does not occupy Redis for long.
const BATCH: usize = 500;
/// The pause between two pings. They find a connection that is dead without having been closed.
const PING: Duration = Duration::from_secs(1);

/// How many deadlines an answer may take while messages come.
const BUSY_DEADLINES: u32 = 5;

/// The callbacks of a subscriber, on the task of the connection. They must not block. Messages that
/// are not read fast enough queue up in Redis, which disconnects a slow subscriber.
#[derive(Clone, Copy, Debug)]
pub enum Received<'a> {
    Message {
        channel: &'a [u8],
        payload: &'a [u8],
    },
    /// The connection broke: messages are lost from some time before this on.
    Interrupted,
    /// All channels are subscribed on a new connection, the first or a later one.
    Complete { is_first: bool },
}

type Receiver = Box<dyn Fn(Received<'_>) + Send + Sync>;

/// Subscribes to the wanted channels, and again after each reconnect. Ends when it is dropped.
pub struct RedisSubscriber {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    options: RedisOptions,
    receive: Receiver,
    channels: Mutex<Channels>,
    changed: Notify,
    /// The number of the connection whose messages count. A connection that was given up must not
    /// pass anything on.
    current: AtomicU64,
    broken: Notify,
    /// Counts messages.
    received: AtomicU64,
    /// Whether every wanted channel was subscribed at some time on this connection.
    is_complete: watch::Sender<bool>,
    mark: Option<Mark>,
}

/// The initial subscriptions of each connection, in one step.
pub(crate) struct Mark {
    /// Followed by the number of the connection, this is a channel of its own, which identifies the
    /// connection in Redis.
    pub(crate) prefix: String,
    /// Channels to which the subscriber is always subscribed together.
    pub(crate) together: Vec<Arc<str>>,
}

/// A connection whose subscriptions Redis has, for as long as this is the same. See
/// [`RedisSubscriber::standing`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The channel that this connection alone is subscribed to.
    pub(crate) mark: Arc<str>,
    /// Counts channels that were given up.
    released: u64,
}

#[derive(Default)]
struct Channels {
    /// `None` while there is no connection, or no mark.
    standing: Option<Standing>,
    wanted: HashSet<Arc<str>>,
    subscribed: HashSet<Arc<str>>,
    /// Channels that may have to be subscribed or unsubscribed.
    dirty: Vec<Arc<str>>,
    waiting: HashMap<Arc<str>, Vec<oneshot::Sender<()>>>,
}

impl Drop for RedisSubscriber {
    fn drop(&mut self) {
        self.shared.current.store(0, Ordering::Relaxed);
        self.task.abort();
    }
}

impl RedisSubscriber {
    /// Begins to connect, within a tokio runtime, and returns at once.
    #[must_use]
    pub fn start(
        options: RedisOptions,
        channels: impl IntoIterator<Item = Arc<str>>,
        receive: impl Fn(Received<'_>) + Send + Sync + 'static,
    ) -> Self {
        Self::start_marked(options, channels, None, receive)
    }

    /// The same, for a subscriber whose subscriptions are counted: see
    /// [`RedisSubscriber::standing`].
    pub(crate) fn start_marked(
        options: RedisOptions,
        channels: impl IntoIterator<Item = Arc<str>>,
        mark: Option<Mark>,
        receive: impl Fn(Received<'_>) + Send + Sync + 'static,
    ) -> Self {
        let together = mark.iter().flat_map(|mark| mark.together.iter().cloned());
        let wanted = channels.into_iter().chain(together).collect();
        let shared = Arc::new(Shared {
            mark,
            options,
            receive: Box::new(receive),
            channels: Mutex::new(Channels {
                wanted,
                ..Channels::default()
            }),
            changed: Notify::new(),
            current: AtomicU64::new(0),
            broken: Notify::new(),
            received: AtomicU64::new(0),
            is_complete: watch::Sender::new(false),
        });
        let task = tokio::spawn(supervise(Arc::clone(&shared)));
        Self { shared, task }
    }

    /// Subscribes to a channel. The answer comes once its messages reach this process.
    pub fn subscribe(&self, channel: &Arc<str>) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        let mut channels = self.shared.channels.lock();
        if channels.wanted.insert(Arc::clone(channel)) {
            channels.dirty.push(Arc::clone(channel));
        }
        if channels.subscribed.contains(channel) {
            let _ = sender.send(());
            return receiver;
        }
        let waiting = channels.waiting.entry(Arc::clone(channel)).or_default();
        waiting.retain(|sender| !sender.is_closed());
        waiting.push(sender);
        drop(channels);
        self.shared.changed.notify_one();
        receiver
    }

    /// Subscribes to a channel without waiting.
    pub fn want(&self, channel: &Arc<str>) {
        let mut channels = self.shared.channels.lock();
        if channels.wanted.insert(Arc::clone(channel)) {
            channels.dirty.push(Arc::clone(channel));
            drop(channels);
            self.shared.changed.notify_one();
        }
    }

    /// Whether a channel's messages reach this process.
    #[must_use]
    pub fn is_subscribed(&self, channel: &Arc<str>) -> bool {
        self.shared.channels.lock().subscribed.contains(channel)
    }

    /// Whether all channels that are wanted are subscribed.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let channels = self.shared.channels.lock();
        self.is_up() && channels.subscribed.len() == channels.wanted.len()
    }

    /// Gives channels up.
    pub fn unsubscribe(&self, channels: impl IntoIterator<Item = Arc<str>>) {
        let mut state = self.shared.channels.lock();
        for channel in channels {
            if state.wanted.remove(&channel) {
                state.waiting.remove(&channel);
                state.dirty.push(channel);
            }
        }
        drop(state);
        self.shared.changed.notify_one();
    }

    /// The number of channels that are subscribed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.channels.lock().subscribed.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Counts messages.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.shared.received.load(Ordering::Relaxed)
    }

    /// Whether there is a connection on which all channels were subscribed.
    #[must_use]
    pub fn is_up(&self) -> bool {
        *self.shared.is_complete.borrow()
    }

    /// For waiting until the subscriptions stand.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<bool> {
        self.shared.is_complete.subscribe()
    }

    /// What identifies the subscriptions, and which of these channels are among them. If Redis has
    /// one subscriber of the mark, and this returns the same afterwards, then Redis counted this
    /// process as a subscriber of exactly those channels. A broken connection that was not noticed
    /// yet has no subscriber of its mark.
    pub(crate) fn standing<'a>(
        &self,
        channels: impl Iterator<Item = &'a str>,
    ) -> Option<(Standing, Vec<bool>)> {
        let state = self.shared.channels.lock();
        let standing = state.standing.clone()?;
        let own = channels.map(|channel| state.subscribed.contains(channel));
        Some((standing, own.collect()))
    }

    /// Replaces the connection, since no message arrives through it.
    pub fn reconnect(&self) {
        self.shared.broken.notify_one();
    }
}

async fn supervise(shared: Arc<Shared>) {
    let mut backoff = Backoff::default();
    let mut is_first = true;
    for number in 1.. {
        let attempt = usize::try_from(number).unwrap_or(0);
        let on_push = shared.on_push(number);
        match connect_plain(&shared.options, attempt, Some(on_push)).await {
            Ok(connection) => {
                let ended = shared.serve(connection, number, &mut backoff, &mut is_first);
                let reason = ended.await;
                shared.current.store(0, Ordering::Relaxed);
                {
                    let mut channels = shared.channels.lock();
                    channels.subscribed.clear();
                    channels.standing = None;
                }
                if shared.is_complete.send_replace(false) {
                    (shared.receive)(Received::Interrupted);
                }
                log(&shared.options, &reason);
            }
            Err(reason) => log(&shared.options, &reason),
        }
        backoff.pause().await;
    }
}

fn log(options: &RedisOptions, reason: &RedisError) {
    if let Some(Due { left_out }) = throttle::due("Redis subscriber", &reason.to_string(), None) {
        tracing::warn!(%reason, redis = %options, left_out, "subscriptions in Redis are interrupted");
    }
}

impl Shared {
    fn on_push(self: &Arc<Self>, number: u64) -> OnPush {
        // Only the connection that counts passes something on.
        let of = move |shared: &Weak<Self>| {
            let shared = shared.upgrade()?;
            (shared.current.load(Ordering::Relaxed) == number).then_some(shared)
        };
        let (for_messages, for_breaks) = (Arc::downgrade(self), Arc::downgrade(self));
        OnPush {
            message: Box::new(move |channel, payload| {
                if let Some(shared) = of(&for_messages) {
                    shared.received.fetch_add(1, Ordering::Relaxed);
                    (shared.receive)(Received::Message { channel, payload });
                }
            }),
            broken: Box::new(move || {
                if let Some(shared) = of(&for_breaks) {
                    shared.broken.notify_one();
                }
            }),
        }
    }

    /// Keeps a connection subscribed until it breaks, and returns the reason.
    async fn serve(
        &self,
        mut plain: Plain,
        number: u64,
        backoff: &mut Backoff,
        is_first: &mut bool,
    ) -> RedisError {
        let connection = &mut plain.connection;
        {
            let mut channels = self.channels.lock();
            channels.subscribed.clear();
            channels.dirty = channels.wanted.iter().cloned().collect();
        }
        self.current.store(number, Ordering::Relaxed);
        if let Err(reason) = self.subscribe_to_mark(connection, number).await {
            return reason;
        }
        let mut is_complete = false;
        loop {
            if let Err(reason) = self.apply(connection).await {
                return reason;
            }
            if !is_complete {
                is_complete = true;
                let is_first = std::mem::take(is_first);
                // Before others see it, so that they find the receiver in the new state.
                (self.receive)(Received::Complete { is_first });
                self.is_complete.send_replace(true);
            }
            tokio::select! {
                biased;
                () = self.broken.notified() => {
                    return RedisError::Unavailable("the subscriber's connection broke".to_owned());
                }
                () = self.changed.notified() => {}
                () = tokio::time::sleep(PING) => {
                    if let Err(reason) = self.ping(connection).await {
                        return reason;
                    }
                    *backoff = Backoff::default();
                }
            }
        }
    }

    async fn subscribe_to_mark(
        &self,
        connection: &mut MultiplexedConnection,
        number: u64,
    ) -> RedisResult<()> {
        let Some(Mark { prefix, together }) = &self.mark else {
            return Ok(());
        };
        let mark: Arc<str> = format!("{prefix}{number}").into();
        let names: Vec<&str> = together.iter().chain([&mark]).map(|name| &**name).collect();
        self.answered(async { Ok(connection.subscribe(names).await?) })
            .await?;
        let mut channels = self.channels.lock();
        channels.subscribed.extend(together.iter().cloned());
        channels.standing = Some(Standing { mark, released: 0 });
        Ok(())
    }

    async fn ping(&self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        self.answered(async {
            let answer = connection.send_packed_command(&redis::cmd("PING")).await?;
            answer.extract_error()?;
            Ok(())
        })
        .await
    }

    /// Waits for an answer: up to the deadline, and several times as long while messages come, behind
    /// which it may wait.
    async fn answered(&self, work: impl Future<Output = RedisResult<()>>) -> RedisResult<()> {
        let deadline = self.options.command_deadline;
        let mut work = std::pin::pin!(work);
        for _ in 1..BUSY_DEADLINES {
            let before = self.received.load(Ordering::Relaxed);
            let answer = within(deadline, work.as_mut()).await;
            let is_busy = self.received.load(Ordering::Relaxed) != before;
            if !is_busy || !matches!(answer, Err(RedisError::Timeout(_))) {
                return answer;
            }
        }
        within(deadline, work).await
    }

    /// Subscribes and unsubscribes until the subscriptions equal the wanted ones.
    async fn apply(&self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        loop {
            let (mut add, mut remove) = (Vec::new(), Vec::new());
            {
                let mut channels = self.channels.lock();
                let count = channels.dirty.len().min(BATCH);
                let from = channels.dirty.len() - count;
                let mut seen = HashSet::with_capacity(count);
                for channel in channels.dirty.split_off(from) {
                    if !seen.insert(Arc::clone(&channel)) {
                        continue;
                    }
                    let is_wanted = channels.wanted.contains(&channel);
                    let is_subscribed = channels.subscribed.contains(&channel);
                    match (is_wanted, is_subscribed) {
                        (true, false) => add.push(channel),
                        (false, true) => {
                            // Before the answer arrives, so that concurrent requests wait.
                            channels.subscribed.remove(&channel);
                            if let Some(standing) = &mut channels.standing {
                                standing.released += 1;
                            }
                            remove.push(channel);
                        }
                        _ => {}
                    }
                }
                if add.is_empty() && remove.is_empty() {
                    if channels.dirty.is_empty() {
                        return Ok(());
                    }
                    continue;
                }
            }
            if !remove.is_empty() {
                let names: Vec<&str> = remove.iter().map(|channel| &**channel).collect();
                self.answered(async { Ok(connection.unsubscribe(names).await?) })
                    .await?;
            }
            if !add.is_empty() {
                let names: Vec<&str> = add.iter().map(|channel| &**channel).collect();
                self.answered(async { Ok(connection.subscribe(names).await?) })
                    .await?;
            }
            let mut channels = self.channels.lock();
            for channel in add {
                for waiting in channels.waiting.remove(&channel).unwrap_or_default() {
                    let _ = waiting.send(());
                }
                channels.subscribed.insert(channel);
            }
        }
    }
}
