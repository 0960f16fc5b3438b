//! Who is in, page by page.

use crate::command::{Caller, Principal, Reply};
use crate::handler::{Handler, Identity};
use crate::refusal::Refusal;
use crate::weight;
use lamplight_domain::identity::UserId;

/// The most entries of one answer: as many as the shortest that there are.
const MOST: usize = weight::ANSWER_BYTES / 150;

impl Handler {
    /// In `open` anyone may ask; elsewhere a user or the host application.
    pub(crate) async fn list_online(
        &self,
        caller: &Caller,
        exclude: Option<UserId>,
        count_only: bool,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Reply, Refusal> {
        if caller.principal == Principal::Anonymous && self.settings.identity != Identity::Open {
            return Err(Refusal::unauthenticated());
        }
        let degraded = self.ports.presence.is_degraded();
        let excluded = match &exclude {
            Some(user) => self.store(self.ports.presence.get(user)).await?.is_some(),
            None => false,
        };
        // They may have left between the two looks.
        let count = self
            .store(self.ports.presence.count())
            .await?
            .saturating_sub(usize::from(excluded));
        if count_only {
            return Ok(Reply::OnlineCount { count, degraded });
        }
        let after = match cursor {
            Some(cursor) => u64::from_str_radix(cursor, 36)
                .map_err(|_| Refusal::invalid("The cursor is not one of ours."))?,
            None => 0,
        };
        // More than this fit into no answer, and a roster without a limit may hold many more.
        let limit = limit.min(MOST);
        // One more tells whether there is a next page, and another makes up for the one left out.
        let mut users = self
            .store(self.ports.presence.list(after, limit + 2))
            .await?;
        users.retain(|shown| exclude.as_ref() != Some(&shown.profile.id));
        let kept =
            users
                .len()
                .min(limit)
                .min(weight::fitting(&users, weight::ANSWER_BYTES, |shown| {
                    weight::presence(shown)
                }));
        let next = (users.len() > kept).then(|| base36(users[kept - 1].since));
        users.truncate(kept);
        Ok(Reply::Online {
            users,
            count,
            next,
            degraded,
        })
    }
}

fn base36(mut number: u64) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(char::from_digit((number % 36) as u32, 36).unwrap_or('0'));
        number /= 36;
        if number == 0 {
            return digits.into_iter().rev().collect();
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_cursor_reads_back() {
        for number in [0, 35, 36, u64::MAX] {
            assert_eq!(u64::from_str_radix(&super::base36(number), 36), Ok(number));
        }
    }
}
