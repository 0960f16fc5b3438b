//! Hands each event of the bus to the component that delivers it.

use crate::blocker_updates::BlockerUpdates;
use crate::conversation_updates::ConversationUpdates;
use crate::entry_delivery::{Appended, EntryDelivery};
use crate::files::UploadLocks;
use crate::hub::Hub;
use crate::log_repair::{LogRepair, RepairTarget};
use crate::private_users::ReceiptUpdate;
use crate::roster_feed::RosterPublisher;
use crate::session_check::SessionCheck;
use lamplight_domain::conversation::Members;
use lamplight_domain::event::Event;
use lamplight_domain::identity::{ConversationId, UserId};
use lamplight_usecases::ports::{BusMessage, Directory, EventBus, LogFollower, PresenceStore};
use lamplight_usecases::throttle::{self, Due};
use lamplight_usecases::{Handler, Identity, Ports};
use lamplight_wire::encode;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// The pause between two attempts to read the roster.
const RETRY: Duration = Duration::from_secs(1);

/// The subscriber of the event bus on this node.
pub struct EventRouter {
    hub: Arc<Hub>,
    roster: Arc<RosterPublisher>,
    updates: ConversationUpdates,
    entries: EntryDelivery,
    sessions: SessionCheck,
    handler: Arc<Handler>,
    blockers: BlockerUpdates,
    presence: Arc<dyn PresenceStore>,
    directory: Arc<dyn Directory>,
    bus: Arc<dyn EventBus>,
    lagged: Notify,
    repair: Option<LogRepair>,
    uploads: UploadLocks,
    node_ends: Option<watch::Receiver<u64>>,
}

impl EventRouter {
    /// Routes events to the connections of `hub`.
    #[must_use]
    pub fn new(
        hub: Arc<Hub>,
        roster: Arc<RosterPublisher>,
        handler: Arc<Handler>,
        ports: &Ports,
    ) -> Self {
        Self {
            updates: ConversationUpdates::new(Arc::clone(&hub), Arc::clone(&handler)),
            sessions: SessionCheck::new(Arc::clone(&hub), Arc::clone(&handler)),
            blockers: BlockerUpdates::new(
                Arc::clone(&hub),
                Arc::clone(&roster),
                Arc::clone(&handler),
            ),
            entries: EntryDelivery::new(
                Arc::clone(&hub),
                handler.delivery_observer(),
                Arc::clone(&ports.messages),
                Arc::clone(&ports.clock),
            ),
            hub,
            roster,
            handler,
            presence: Arc::clone(&ports.presence),
            directory: Arc::clone(&ports.directory),
            bus: Arc::clone(&ports.bus),
            lagged: Notify::new(),
            repair: None,
            uploads: UploadLocks::default(),
            node_ends: None,
        }
    }

    /// Asks requests that write these uploads to end when another process wants to go on with one.
    #[must_use]
    pub(crate) fn with_uploads(mut self, uploads: UploadLocks) -> Self {
        self.uploads = uploads;
        self
    }

    /// Reads what other nodes may have stored without announcing it whenever one of them ends, which
    /// changes this value.
    #[must_use]
    pub fn with_node_ends(mut self, ends: Option<watch::Receiver<u64>>) -> Self {
        self.node_ends = ends;
        self
    }

    /// Reads events that the bus lost from this log. The bus of one process loses nothing.
    #[must_use]
    pub fn with_log(mut self, follower: Arc<dyn LogFollower>, ports: &Ports) -> Self {
        self.repair = Some(LogRepair::new(
            Arc::clone(&ports.bus),
            follower,
            Arc::clone(&ports.messages),
        ));
        self
    }

    /// The number of entries that wait for entries before them.
    #[must_use]
    pub fn held(&self) -> usize {
        self.entries.held()
    }

    /// Resolves to true once the events that any node published before this call have been sent to
    /// the connections here, as far as they are events of users: presence is read again instead.
    pub async fn settle(&self) -> bool {
        self.bus.settle().await && self.entries.settle().await
    }

    /// Schedules a read of a user's privacy settings and of the users hidden from them.
    pub(crate) fn read_privacy(&self, user: UserId) {
        self.blockers.push(user);
    }

    /// Delivers an event, or queues it if it needs the store or a batch. Never waits.
    pub fn receive(&self, message: BusMessage) {
        match message {
            BusMessage::Event(event) => self.route(event),
            // The roster, ended sessions and later entries of the log are read again. If there are too
            // many entries, clients detect the gap by the next entry of a log.
            BusMessage::Lagged => {
                self.lagged.notify_one();
                self.sessions.lagged();
                self.blockers.lagged();
                if let Some(repair) = &self.repair {
                    repair.lagged();
                }
                if let Some(Due { left_out }) = throttle::due("bus lagged", "", None) {
                    tracing::warn!(
                        left_out,
                        "the event bus lost events on the way to this node"
                    );
                }
            }
        }
    }

    fn route(&self, event: Event) {
        match event {
            Event::Appended {
                entry,
                to,
                newcomers,
                except,
            } => self.deliver(Appended {
                entry,
                to,
                newcomers,
                except,
            }),
            Event::Typing {
                conversation,
                user,
                is_typing,
                expires_at,
                to,
            } => self.hub.send("typing", &to, || {
                encode::typing(&conversation, &user, is_typing, expires_at)
            }),
            Event::TypingEnds {
                between,
                is_published,
            } => self.handler.end_typing(&between, is_published),
            Event::Sharing {
                user,
                file,
                is_active,
            } => self.handler.files().note_sharing(&user, &file, is_active),
            Event::FileProgress { progress, to } => {
                self.hub
                    .send("file_progress", &to, || encode::file_progress(&progress));
            }
            Event::UploadWanted { file, by } => {
                if !self.handler.files().is_own(&by) {
                    self.uploads.want(&file);
                }
            }
            Event::Receipt {
                conversation,
                receipt,
                delivers,
                to,
            } => {
                let update = ReceiptUpdate {
                    conversation,
                    receipt,
                    delivers,
                };
                self.roster.send_receipt(update, &to);
            }
            Event::ConversationChanged { conversation, to } => {
                self.updates.push(&conversation, &to);
            }
            Event::BlockersChanged { user } => {
                self.roster.note_privacy_change();
                self.blockers.push(user);
            }
            Event::Presence(change) => self.roster.push(change),
            Event::SignedOut {
                user, credential, ..
            } => self.hub.sign_out(&user, &credential),
            Event::SignedOutEverywhere { user, until } => match self.handler.identity() {
                // The use cases find out which sessions these are.
                Identity::Local => {}
                Identity::Jwt => {
                    self.hub.sign_out_tokens(&user, until);
                }
                Identity::Open => self.hub.close_unverified(&user),
            },
        }
    }

    /// Sends queued events, for as long as it is polled.
    pub async fn run(&self) {
        tokio::join!(
            self.entries.run(),
            self.roster.run(),
            self.updates.run(),
            self.sessions.run(),
            self.blockers.run(),
            self.run_resyncs(),
            self.run_node_ends(),
            async {
                if let Some(repair) = &self.repair {
                    repair.run(self).await;
                }
            },
        );
    }

    async fn run_node_ends(&self) {
        let Some(mut ends) = self.node_ends.clone() else {
            return;
        };
        while ends.changed().await.is_ok() {
            self.sessions.node_ended();
            self.blockers.lagged();
        }
    }

    async fn run_resyncs(&self) {
        loop {
            self.lagged.notified().await;
            while let Err(error) = self.roster.resync(&*self.presence, &*self.directory).await {
                if let Some(Due { left_out }) = throttle::due("resync", "", None) {
                    tracing::warn!(%error, left_out, "could not read the roster again; retrying");
                }
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

impl RepairTarget for EventRouter {
    fn has_any(&self, users: &Members) -> bool {
        !self.hub.present(users).is_empty()
    }

    /// From the bus too.
    fn deliver(&self, appended: Appended) {
        if let Some(change) = appended.entry.members_change()
            && !change.removed.is_empty()
        {
            let place = &appended.entry.conversation;
            self.handler.members_left(place, &change.removed);
        }
        self.entries.push(appended);
    }

    fn changed(&self, conversation: &ConversationId, to: &Members) {
        self.updates.push(conversation, to);
    }
}
