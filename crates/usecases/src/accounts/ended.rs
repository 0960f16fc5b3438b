//! Sign-outs that the store does not have yet: they apply at once in the memory of every node, and
//! are written as soon as the store accepts writes again.
//!
//! Nodes receive them over the bus and from a list that all of them read, and each node writes them:
//! so they survive the node that accepted them. Without such a list, a crash before the write
//! restores the session. The caller who signed out therefore gets `unavailable` and not a success.

use crate::deadline;
use crate::ports::{
    Accounts, BusMessage, EventBus, Exchanged, SharedSignOuts, SignOut, Subscription,
};
use crate::refusal::Refusal;
use crate::settings::{Identity, Settings};
use crate::throttle::{self, Due};
use lamplight_domain::event::Event;
use lamplight_domain::identity::UserId;
use lamplight_domain::time::Timestamp;
use parking_lot::Mutex;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// The maximum number of sign-outs in memory. All are of sessions that the store had.
const AT_MOST: usize = 10_000;
/// A failed write is repeated after this long.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// How often the list of all nodes is read.
const SHARE_INTERVAL: Duration = Duration::from_secs(2);
/// How long a caller waits for the list of all nodes.
const SHARE_DEADLINE: Duration = Duration::from_secs(2);

/// The sign-outs that the store does not have.
pub(crate) struct EndedSessions {
    accounts: Arc<dyn Accounts>,
    bus: Arc<dyn EventBus>,
    shared: Option<Arc<dyn SharedSignOuts>>,
    /// How long a session lives.
    life: Duration,
    pending: Arc<Pending>,
    /// Sign-outs that the store has by now, but that the shared list may still contain.
    stored: Mutex<Vec<SignOut>>,
    /// Serializes exchanges.
    exchange: tokio::sync::Mutex<()>,
    _subscription: Subscription,
}

struct Pending {
    items: Mutex<HashMap<Key, Item>>,
    wake: Notify,
    /// Whether there are sessions of local accounts.
    has_sessions: bool,
}

/// The key of a sign-out.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    Session(Arc<str>),
    User(UserId),
}

struct Item {
    sign_out: SignOut,
    /// Whether it was seen in the list of all nodes.
    is_shared: bool,
}

fn key(sign_out: &SignOut) -> Key {
    match sign_out {
        SignOut::Session { credential, .. } => Key::Session(Arc::clone(credential)),
        SignOut::Everywhere { user, .. } => Key::User(user.clone()),
    }
}

impl Pending {
    fn new(identity: Identity) -> Self {
        Self {
            items: Mutex::default(),
            wake: Notify::new(),
            has_sessions: identity == Identity::Local,
        }
    }

    /// `false` if it was inserted already.
    fn insert(&self, sign_out: SignOut, is_shared: bool) -> bool {
        let mut items = self.items.lock();
        let is_full = items.len() >= AT_MOST;
        match items.entry(key(&sign_out)) {
            Entry::Occupied(mut known) => {
                let known = known.get_mut();
                if known.sign_out == sign_out {
                    known.is_shared |= is_shared;
                    return false;
                }
                // Of two sign-outs of one user, the later one covers both.
                if let (SignOut::Everywhere { until, .. }, SignOut::Everywhere { until: other, .. }) =
                    (&known.sign_out, &sign_out)
                    && until >= other
                {
                    return false;
                }
                *known = Item {
                    sign_out,
                    is_shared,
                };
            }
            Entry::Vacant(_) if is_full => {
                drop(items);
                if let Some(Due { left_out }) = throttle::due("ended", "", None) {
                    tracing::error!(
                        left_out,
                        "too many sessions ended while the store takes no writes; this one stays valid until the store can end it"
                    );
                }
                return true;
            }
            Entry::Vacant(place) => {
                place.insert(Item {
                    sign_out,
                    is_shared,
                });
            }
        }
        drop(items);
        self.wake.notify_one();
        true
    }

    fn receive(&self, message: BusMessage) {
        match message {
            BusMessage::Event(Event::SignedOut {
                user,
                credential,
                is_stored: false,
            }) => {
                self.insert(SignOut::Session { user, credential }, false);
            }
            BusMessage::Event(Event::SignedOutEverywhere { user, until }) if self.has_sessions => {
                self.insert(SignOut::Everywhere { user, until }, false);
            }
            BusMessage::Event(_) | BusMessage::Lagged => {}
        }
    }
}

impl EndedSessions {
    pub(crate) fn new(
        accounts: &Arc<dyn Accounts>,
        bus: &Arc<dyn EventBus>,
        shared: Option<Arc<dyn SharedSignOuts>>,
        settings: &Settings,
    ) -> Self {
        let pending = Arc::new(Pending::new(settings.identity));
        let receiver = Arc::clone(&pending);
        let subscription = bus.subscribe(Box::new(move |message| receiver.receive(message)));
        Self {
            accounts: Arc::clone(accounts),
            bus: Arc::clone(bus),
            shared,
            life: settings.session_life,
            pending,
            stored: Mutex::default(),
            exchange: tokio::sync::Mutex::default(),
            _subscription: subscription,
        }
    }

    /// Whether this session is over, which the store may still have.
    pub(crate) fn contains(&self, digest: &str, user: &UserId, expires: Timestamp) -> bool {
        let items = self.pending.items.lock();
        if items.is_empty() {
            return false;
        }
        if items.contains_key(&Key::Session(digest.into())) {
            return true;
        }
        let life = i64::try_from(self.life.as_millis()).unwrap_or(i64::MAX);
        matches!(
            items.get(&Key::User(user.clone())),
            Some(Item { sign_out: SignOut::Everywhere { until, .. }, .. })
                if expires.0 <= until.0.saturating_add(life)
        )
    }

    pub(crate) fn len(&self) -> usize {
        self.pending.items.lock().len()
    }

    /// Ends a session on every node, and closes its sockets.
    pub(crate) fn end(&self, user: &UserId, credential: Arc<str>) {
        let user = user.clone();
        let sign_out = SignOut::Session {
            user: user.clone(),
            credential: Arc::clone(&credential),
        };
        self.pending.insert(sign_out, false);
        self.bus.publish(Event::SignedOut {
            user,
            credential,
            is_stored: false,
        });
    }

    /// Ends all sessions of a user that were opened until then, on every node. Their sockets are
    /// closed when the store can be read again.
    fn end_all(&self, user: &UserId, until: Timestamp) {
        let user = user.clone();
        let sign_out = SignOut::Everywhere {
            user: user.clone(),
            until,
        };
        self.pending.insert(sign_out, false);
        self.bus.publish(Event::SignedOutEverywhere { user, until });
    }

    /// Closes the sockets of sessions that the store has ended.
    pub(crate) fn publish_stored(&self, user: &UserId, ended: Vec<String>) {
        for digest in ended {
            self.bus.publish(Event::SignedOut {
                user: user.clone(),
                credential: digest.into(),
                is_stored: true,
            });
        }
    }

    /// Ends all sessions of a user in the store and on every node. If the store takes no writes, every
    /// node refuses the sessions until the store has their end; `own` is one of them that is known.
    ///
    /// # Errors
    /// When that is not written; the sessions are over all the same.
    pub(crate) async fn end_account(
        &self,
        user: &UserId,
        own: Option<Arc<str>>,
        until: Timestamp,
    ) -> Result<(), Refusal> {
        let ended = deadline::store(self.accounts.end_sessions(user, None)).await;
        let outcome = match ended {
            Ok(ended) => {
                self.publish_stored(user, ended);
                Ok(())
            }
            Err(refusal) => {
                // A store that takes no writes can often be read: then their sockets can be closed.
                let all = deadline::store(self.accounts.sessions_of(user)).await;
                let all = all.unwrap_or_default().into_iter().map(Arc::from);
                let all: HashSet<Arc<str>> = all.chain(own).collect();
                for digest in all {
                    self.end(user, digest);
                }
                self.end_all(user, until);
                Err(refusal)
            }
        };
        self.reach_other_nodes().await;
        outcome
    }

    /// Waits until other nodes can know of what ended, at most for seconds. A client may close its
    /// socket as soon as it has the reply; a node that does not know by then that the session ended
    /// takes that for a lost connection, and shows the user for the grace period.
    pub(crate) async fn reach_other_nodes(&self) {
        // If it is unknown whether they know, the session is over all the same.
        let _ = tokio::join!(self.bus.settle(), self.share());
    }

    /// Writes these sign-outs and exchanges them with other nodes, for as long as it is polled.
    pub(crate) async fn run(&self) {
        tokio::join!(self.run_writes(), self.run_exchanges());
    }

    async fn run_writes(&self) {
        loop {
            self.pending.wake.notified().await;
            while self.len() > 0 {
                tokio::time::sleep(RETRY_INTERVAL).await;
                self.write().await;
            }
        }
    }

    async fn run_exchanges(&self) {
        if self.shared.is_none() {
            return;
        }
        loop {
            tokio::time::sleep(SHARE_INTERVAL).await;
            self.exchange().await;
        }
    }

    /// Tries once to write these sign-outs to the store.
    pub(crate) async fn write(&self) {
        let all: Vec<SignOut> = {
            let items = self.pending.items.lock();
            items.values().map(|item| item.sign_out.clone()).collect()
        };
        for sign_out in all {
            if self.write_one(&sign_out).await.is_err() {
                return;
            }
            self.forget(&sign_out);
            let mut stored = self.stored.lock();
            if self.shared.is_some() && stored.len() < AT_MOST {
                stored.push(sign_out);
            }
        }
    }

    async fn write_one(&self, sign_out: &SignOut) -> Result<(), Refusal> {
        match sign_out {
            SignOut::Session { credential, .. } => {
                deadline::store(self.accounts.end_session(credential)).await?;
            }
            SignOut::Everywhere { user, until } => {
                let ended = self.accounts.end_sessions(user, Some(*until));
                self.publish_stored(user, deadline::store(ended).await?);
            }
        }
        Ok(())
    }

    fn forget(&self, sign_out: &SignOut) {
        let mut items = self.pending.items.lock();
        if let Entry::Occupied(item) = items.entry(key(sign_out))
            && item.get().sign_out == *sign_out
        {
            item.remove();
        }
    }

    /// Waits, for a bounded time, until these sign-outs outlive this node.
    async fn share(&self) {
        let is_shared = |item: &Item| item.is_shared;
        let is_done = || self.pending.items.lock().values().all(is_shared);
        let exchange = async {
            let _one = self.exchange.lock().await;
            // The exchange before had them too.
            if !is_done() {
                self.exchange_now().await;
            }
        };
        if self.shared.is_some() {
            let _ = tokio::time::timeout(SHARE_DEADLINE, exchange).await;
        }
    }

    /// Reads the list of all nodes, and adds what it does not have.
    pub(crate) async fn exchange(&self) {
        let _one = self.exchange.lock().await;
        self.exchange_now().await;
    }

    async fn exchange_now(&self) {
        let Some(shared) = &self.shared else {
            return;
        };
        let add: Vec<SignOut> = {
            let items = self.pending.items.lock();
            let new = items.values().filter(|item| !item.is_shared);
            new.map(|item| item.sign_out.clone()).collect()
        };
        let remove = std::mem::take(&mut *self.stored.lock());
        match shared.exchange(&add, &remove).await {
            Ok(Exchanged { began_anew, all }) => {
                if let Some(all) = all {
                    self.merge(all, began_anew);
                }
            }
            Err(error) => {
                self.stored.lock().extend(remove);
                if let Some(Due { left_out }) = throttle::due("sign-outs", "", None) {
                    tracing::warn!(%error, left_out, "sign-outs are not shared with other nodes");
                }
            }
        }
    }

    fn merge(&self, all: Vec<SignOut>, began_anew: bool) {
        let listed: HashSet<SignOut> = all.iter().cloned().collect();
        self.pending.items.lock().retain(|_, item| {
            let was_shared =
                std::mem::replace(&mut item.is_shared, listed.contains(&item.sign_out));
            // Another node removes a sign-out from the list once the store has it.
            item.is_shared || !was_shared || began_anew
        });
        for sign_out in all {
            if self.pending.insert(sign_out.clone(), true)
                && let SignOut::Session { user, credential } = sign_out
            {
                // The bus may have lost it. Other nodes read the same list.
                self.publish_stored(&user, vec![credential.to_string()]);
            }
        }
    }
}
