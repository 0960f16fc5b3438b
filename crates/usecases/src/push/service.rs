//! Web Push: runs the commands of this area.

use super::command::{PushCommand, PushReply};
use super::rules::{MOST_ENDPOINT_BYTES, MOST_SUBSCRIPTIONS};
use crate::caller::Caller;
use crate::command::Reply;
use crate::deadline;
use crate::ports::{
    Clock, Directory, NewSubscription, Ports, ProfileSource, PushSender, PushSubscriptions,
    PushTarget, SubscribeOutcome,
};
use crate::refusal::{Code, Refusal};
use lamplight_domain::identity::Profile;
use std::sync::Arc;

pub(crate) struct PushService {
    store: Arc<dyn PushSubscriptions>,
    directory: Arc<dyn Directory>,
    sender: Arc<dyn PushSender>,
    clock: Arc<dyn Clock>,
}

impl PushService {
    pub(crate) fn new(ports: &Ports) -> Self {
        Self {
            store: Arc::clone(&ports.push),
            directory: Arc::clone(&ports.directory),
            sender: Arc::clone(&ports.push_sender),
            clock: Arc::clone(&ports.clock),
        }
    }

    pub(crate) async fn handle(
        &self,
        caller: &Caller,
        command: PushCommand,
    ) -> Result<Reply, Refusal> {
        let user = caller.user()?;
        match command {
            PushCommand::Key => {
                let key = self.key().await?;
                Ok(Reply::Push(PushReply { key }))
            }
            PushCommand::Subscribe {
                target,
                content,
                key,
            } => {
                let new = NewSubscription {
                    user: user.clone(),
                    session: caller.credential.clone(),
                    target,
                    content,
                    key,
                };
                self.subscribe(new).await
            }
            PushCommand::Unsubscribe { endpoint } => {
                deadline::store(self.store.unsubscribe(user, &endpoint)).await?;
                Ok(Reply::Done)
            }
        }
    }

    /// The key for new subscriptions, which the first caller creates.
    pub(crate) async fn key(&self) -> Result<Arc<str>, Refusal> {
        let new = self.sender.new_key();
        let key = deadline::store(self.store.push_key(&new, self.clock.now().wall)).await?;
        Ok(key.public)
    }

    async fn subscribe(&self, new: NewSubscription) -> Result<Reply, Refusal> {
        self.check(&new.target)?;
        if new.key.is_none() {
            // So that there is one.
            self.key().await?;
        }
        let at = self.clock.now().wall;
        // The directory may not have the user of a token yet.
        let bare = Profile::bare(new.user.clone());
        let known = self
            .directory
            .upsert_profile(bare, ProfileSource::Nobody, at);
        deadline::store(known).await?;
        let outcome = self.store.subscribe(new, MOST_SUBSCRIPTIONS, at);
        match deadline::store(outcome).await? {
            SubscribeOutcome::Subscribed => Ok(Reply::Done),
            SubscribeOutcome::OtherKey => Err(Refusal::new(
                Code::Conflict,
                "The subscription was made for another key. Subscribe again with the key of GET /api/push/key.",
            )),
            SubscribeOutcome::NoSession => Err(Refusal::unauthenticated()),
        }
    }

    fn check(&self, target: &PushTarget) -> Result<(), Refusal> {
        if target.endpoint.len() > MOST_ENDPOINT_BYTES {
            return Err(Refusal::new(
                Code::TooLong,
                format!("An endpoint has at most {MOST_ENDPOINT_BYTES} bytes."),
            ));
        }
        self.sender.check(target).map_err(Refusal::invalid)
    }
}
