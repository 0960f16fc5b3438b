//! Hands each event of the bus to the component that delivers it.

use crate::conversation_updates::ConversationUpdates;
use crate::hub::Hub;
use crate::roster_feed::RosterPublisher;
use lamplight_domain::event::Event;
use lamplight_domain::presence::Change;
use lamplight_usecases::Handler;
use lamplight_usecases::delivery::DeliveryObserver;
use lamplight_wire::encode;
use std::sync::Arc;

/// The subscriber of the event bus on this node.
pub struct EventRouter {
    hub: Arc<Hub>,
    roster: Arc<RosterPublisher>,
    updates: ConversationUpdates,
    observer: Arc<dyn DeliveryObserver>,
    handler: Arc<Handler>,
}

impl EventRouter {
    /// Routes events to the connections of `hub`.
    #[must_use]
    pub fn new(hub: Arc<Hub>, roster: Arc<RosterPublisher>, handler: Arc<Handler>) -> Self {
        Self {
            updates: ConversationUpdates::new(Arc::clone(&hub), Arc::clone(&handler)),
            observer: handler.delivery_observer(),
            hub,
            roster,
            handler,
        }
    }

    /// Delivers an event, or queues what needs the store or is gathered. Never waits.
    pub fn route(&self, event: Event) {
        match event {
            Event::Appended { entry, to, except } => {
                self.hub
                    .send_entry(&entry, &to, except.as_ref(), &self.observer)
            }
            Event::Typing {
                conversation,
                user,
                is_typing,
                expires_at,
                to,
            } => self.hub.send("typing", &to, || {
                encode::typing(&conversation, &user, is_typing, expires_at)
            }),
            Event::Receipt {
                conversation,
                receipt,
                to,
            } => self
                .hub
                .send("receipt", &to, || encode::receipt(&conversation, &receipt)),
            Event::ConversationChanged { conversation, to } => {
                self.updates.push(&conversation, &to);
            }
            Event::Presence(change) => {
                if let Change::Offline(offline) = &change
                    && let Some(at) = offline.last_seen_at
                {
                    self.handler.record_last_seen(&offline.user, at);
                }
                self.roster.push(change);
            }
            Event::SignedOut { user, credential } => self.hub.sign_out(&user, &credential),
        }
    }

    /// Sends what is queued, for as long as it is polled.
    pub async fn run(&self) {
        tokio::join!(self.roster.run(), self.updates.run());
    }
}
