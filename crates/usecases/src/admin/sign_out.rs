//! Signs a user out everywhere, for the host application.

use super::service::AdminService;
use crate::command::Reply;
use crate::deadline;
use crate::ports::ProfileSource;
use crate::refusal::{Code, Refusal};
use crate::settings::Identity;
use lamplight_domain::event::Event;
use lamplight_domain::identity::{Profile, UserId};

impl AdminService {
    /// Ends the sessions of a local account, or refuses the tokens that the host application issued
    /// until now, and closes the user's connections on every node. With `AUTH=open` there is nothing
    /// to refuse: connections are closed, and the user can come back at once.
    pub(super) async fn sign_out(&self, user: &UserId) -> Result<Reply, Refusal> {
        let until = self.now();
        if self.identity == Identity::Local {
            if !deadline::store(self.directory.unknown(std::slice::from_ref(user)))
                .await?
                .is_empty()
            {
                return Err(unknown(user));
            }
            let ended = self.ended.end_account(user, None, until).await;
            ended.map_err(|refusal| Refusal {
                message:
                    "The user is signed out. The server could not save this yet and tries again."
                        .into(),
                ..refusal
            })?;
            return Ok(Reply::Done);
        }
        if self.identity == Identity::Jwt {
            // A token may have been issued to a user who has not used one yet.
            let bare = Profile::bare(user.clone());
            self.profiles
                .ensure_profile(bare, ProfileSource::Nobody, None)
                .await?;
        }
        if !deadline::store(self.accounts.end_tokens(user, until)).await? {
            return Err(unknown(user));
        }
        self.bus.publish(Event::SignedOutEverywhere {
            user: user.clone(),
            until,
        });
        self.ended.reach_other_nodes().await;
        Ok(Reply::Done)
    }
}

fn unknown(user: &UserId) -> Refusal {
    Refusal::new(Code::NotFound, format!("There is no such user: {user}."))
}
