//! A node's reads from its copy.

use super::super::keys::bucket;
use super::super::scripts::Read;
use super::Feed;
use lamplight_domain::identity::UserId;
use lamplight_domain::presence::{Presence, RosterSnapshot, VersionFloors};
use lamplight_usecases::ports::PresenceState;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

impl Feed {
    /// An assumed read of an unknown user. The commit fails if a record exists or if the clock of
    /// the bucket differs.
    pub(in super::super) fn guess(&self, user: &UserId, index: usize) -> Option<Read> {
        if !self.is_whole() || self.state.lock().copy.is_known(user) {
            return None;
        }
        let (mut now, at) = self.clocks.lock()[index]?;
        let passed = at.elapsed();
        now.moment = now.moment.plus(passed);
        now.wall.0 += i64::try_from(passed.as_millis()).unwrap_or(0);
        Some(Read {
            text: String::new(),
            now,
            is_guess: true,
        })
    }

    pub(in super::super) fn losses(&self, index: usize) -> u64 {
        self.state.lock().copy.losses(index)
    }

    pub(in super::super) fn version(&self, index: usize) -> u64 {
        self.state.lock().copy.version(index)
    }

    pub(in super::super) fn get(&self, user: &UserId) -> Option<Arc<Presence>> {
        self.state.lock().copy.get(user).cloned()
    }

    pub(in super::super) fn is_hidden(&self, user: &UserId) -> bool {
        self.state.lock().copy.is_hidden(user)
    }

    pub(in super::super) fn states(&self, users: &[UserId]) -> Vec<PresenceState> {
        let state = self.state.lock();
        let one = |user: &UserId| {
            let shown = state.copy.get(user).cloned();
            let version = match &shown {
                Some(shown) => shown.version,
                None => state.copy.version(bucket(user)),
            };
            PresenceState { shown, version }
        };
        users.iter().map(one).collect()
    }

    /// Those who follow `after` in the order of arrival, at most `limit`.
    pub(in super::super) fn list(
        &self,
        after: Option<(u64, UserId)>,
        limit: usize,
        except: &HashSet<UserId>,
    ) -> Vec<Arc<Presence>> {
        let state = self.state.lock();
        let listed = state.copy.present_after(after);
        listed
            .filter(|shown| !except.contains(&shown.profile.id))
            .take(limit)
            .cloned()
            .collect()
    }

    pub(in super::super) fn snapshot(&self) -> RosterSnapshot {
        let state = self.state.lock();
        RosterSnapshot {
            present: state.copy.present().cloned().collect(),
            floors: VersionFloors::by_bucket(state.copy.versions()),
        }
    }

    /// How often a bucket was loaded because changes were missing or Redis was away, for metrics.
    #[must_use]
    pub fn reloads(&self) -> u64 {
        self.reloads.load(Ordering::Relaxed)
    }

    /// For how long changes that Redis is known to have have been missing here, for metrics.
    #[must_use]
    pub fn lag(&self) -> Duration {
        self.state.lock().copy.lag(self.now())
    }

    /// How many users are shown as online.
    #[must_use]
    pub fn count(&self) -> usize {
        self.state.lock().copy.count()
    }
}
