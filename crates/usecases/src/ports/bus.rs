//! The event bus.

use futures_util::future::BoxFuture;
use lamplight_domain::event::Event;
use lamplight_domain::identity::UserId;

/// What a subscriber receives.
#[derive(Clone, Debug)]
pub enum BusMessage {
    Event(Event),
    /// Events to this subscriber were lost, durable ones perhaps. It takes a new snapshot of what it
    /// follows; entries of logs are read from the store.
    Lagged,
}

/// Called for each message, on a thread of the bus. It does not block, and may publish and
/// subscribe itself.
pub type Subscriber = Box<dyn Fn(BusMessage) + Send + Sync>;

/// Passes events to every node.
///
/// Delivery is best effort: events may come late, more than once or not at all, and only events of
/// one publisher stay in order. A subscriber that loses a durable event because it is too slow
/// receives [`BusMessage::Lagged`].
pub trait EventBus: Send + Sync + 'static {
    /// Passes an event to every subscriber on every node. Never blocks for long.
    fn publish(&self, event: Event);

    /// Calls `subscriber` for each later event, until the subscription is dropped.
    #[must_use = "dropping the subscription ends it"]
    fn subscribe(&self, subscriber: Subscriber) -> Subscription;

    /// Asks for the events that are addressed to `user`, until the attachment is dropped. A bus may
    /// pass on events for users without an attachment too.
    #[must_use = "dropping the attachment ends it"]
    fn attach(&self, user: &UserId) -> Attachment {
        let _ = user;
        Attachment::default()
    }

    /// Resolves to true once every event has been passed to this node's subscribers that reached
    /// another node before this call, and once other nodes can receive every event that this node
    /// published before it. To false if that is unknown, within seconds.
    fn settle(&self) -> BoxFuture<'static, bool> {
        Box::pin(std::future::ready(true))
    }

    /// Whether events of other nodes reach this one, as far as it knows. `Lagged` follows after a
    /// time without them.
    fn is_healthy(&self) -> bool {
        true
    }
}

/// A user whose events reach this node. The default is that of a bus where all events reach all
/// nodes.
#[derive(Default)]
pub struct Attachment(Option<Box<dyn Attached>>);

/// The guard of an attachment. Dropping it ends the attachment.
pub trait Attached: Send + Sync + 'static {
    /// Resolves once what is published from then on reaches this node, `None` if it does already.
    /// It resolves within seconds in any case: if events do not reach this node then, `Lagged`
    /// follows.
    fn ready(&self) -> Option<BoxFuture<'static, ()>>;
}

impl Attachment {
    #[must_use]
    pub fn new(attached: impl Attached) -> Self {
        Self(Some(Box::new(attached)))
    }

    /// See [`Attached::ready`].
    #[must_use]
    pub fn ready(&self) -> Option<BoxFuture<'static, ()>> {
        self.0.as_ref()?.ready()
    }
}

/// A subscription, which ends when this is dropped.
pub struct Subscription(Option<Box<dyn FnOnce() + Send + Sync>>);

impl Subscription {
    /// `end` removes the subscriber from the bus.
    #[must_use]
    pub fn new(end: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self(Some(Box::new(end)))
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(end) = self.0.take() {
            end();
        }
    }
}
