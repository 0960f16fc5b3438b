//! One step of one user: read the record, apply the rules of the domain, and commit the new record
//! unless it changed meanwhile.

use super::change::{Kind, Message, Moved, Position, write_body};
use super::keys::bucket;
use super::node::Node;
use super::record::Record;
use super::scripts::{Answer, Commit, Committed, Writer};
use super::user_step::Step;
use lamplight_domain::identity::UserId;
use lamplight_domain::presence::{Change, ManualStatus, Presence, Roster, UserRecord};
use lamplight_domain::time::{Moment, Now};
use lamplight_usecases::ports::{StoreError, StoreResult};
use std::sync::Arc;
use std::time::Duration;

/// How often a step is computed again because another node wrote the record.
const ATTEMPTS: u32 = 40;
/// From this attempt on a step pauses before it tries again.
const PATIENT: u32 = 3;
/// How long a write waits until it can be read on this node.
const VISIBLE: Duration = Duration::from_secs(1);
/// Ticks that are due later are left to the regular look at the timers.
const SOON: Duration = Duration::from_secs(10);

/// The changes of a step.
struct Outcome {
    after: Option<UserRecord>,
    kind: Option<Kind>,
    change: Option<Change>,
    hidden: bool,
    moved: Moved,
    due: Option<Moment>,
}

impl Node {
    /// `run` may be called several times. The caller holds the lock of the user.
    pub(super) async fn step(
        &self,
        user: &UserId,
        run: impl Fn(&mut Step) -> Vec<Change> + Send + Sync,
    ) -> StoreResult<()> {
        let writer = self.writer()?;
        let index = bucket(user);
        let (feed, scripts) = (&self.feed, &self.feed.scripts);
        // An unknown user most likely has no record: then one call suffices.
        let guess = feed.guess(user, index);
        let mut answer = match guess {
            Some(read) => Answer::Record(read),
            None => scripts.read(writer, index, user).await?,
        };
        for attempt in 0..ATTEMPTS {
            let read = match answer {
                Answer::Fenced => return Err(self.fenced(writer)),
                Answer::Record(read) => read,
                // The loop ends after a commit.
                Answer::Committed(_) => return Ok(()),
            };
            if !read.is_guess {
                feed.set_clock(index, read.now);
            }
            if attempt >= PATIENT {
                let millis = 1 + u64::from(user.as_str().len() as u32 + attempt) % 7;
                tokio::time::sleep(Duration::from_millis(millis)).await;
            }
            let Some(record) = Record::read(user, &read.text) else {
                return Err(StoreError::Internal(format!(
                    "the presence record of {user} cannot be read"
                )));
            };
            let (step, changes) = self.compute(writer, user, &record, read.now, &run);
            let outcome = outcome(user, &step, &changes, writer.incarnation);
            if outcome.after == step.before && !step.moves_timer {
                if !read.is_guess {
                    if step.is_tick {
                        // Nothing is to be seen yet, and the timer in Redis may be older.
                        self.schedule(user, outcome.due, read.now);
                    }
                    return Ok(());
                }
                answer = scripts.read(writer, index, user).await?;
                continue;
            }
            answer = self
                .commit(writer, user, (&record, attempt), &step, &outcome)
                .await?;
            if let Answer::Committed(committed) = answer {
                self.committed(user, outcome, committed, read.now).await;
                return Ok(());
            }
        }
        Err(StoreError::Internal(format!(
            "the presence record of {user} is written by too many nodes at once"
        )))
    }

    /// For how long a user has not been active at any device, as Redis has it.
    pub(super) async fn last_active(&self, user: &UserId) -> StoreResult<Option<Duration>> {
        let writer = self.writer()?;
        let answer = self.feed.scripts.read(writer, bucket(user), user).await?;
        let Answer::Record(read) = answer else {
            return Err(self.fenced(writer));
        };
        let record = Record::read(user, &read.text).unwrap_or_default();
        let mut roster = Roster::new(self.rules, 0);
        if let Some(record) = record.user {
            roster.import(user, record);
        }
        Ok(roster.last_active(read.now, user.as_str()))
    }

    fn compute(
        &self,
        writer: Writer<'_>,
        user: &UserId,
        record: &Record,
        now: Now,
        run: &(impl Fn(&mut Step) -> Vec<Change> + Send + Sync),
    ) -> (Step, Vec<Change>) {
        // Versions are assigned by the script; in the roster they have to grow only.
        let shown = match &record.user {
            Some(UserRecord::Attached(state)) => state.shown.as_ref().map_or(0, |one| one.version),
            _ => 0,
        };
        let mut roster = Roster::new(self.rules, shown);
        if let Some(record) = record.user.clone() {
            roster.import(user, record);
        }
        let mut step = Step {
            roster,
            now,
            incarnations: record.incarnations.clone(),
            before: record.user.clone(),
            incarnation: writer.incarnation,
            moves_timer: false,
            is_tick: false,
        };
        let changes = run(&mut step);
        (step, changes)
    }

    async fn commit(
        &self,
        writer: Writer<'_>,
        user: &UserId,
        (record, attempt): (&Record, u32),
        step: &Step,
        outcome: &Outcome,
    ) -> StoreResult<Answer> {
        let index = bucket(user);
        let with = step.incarnations.with_sessions(outcome.after.as_ref());
        let mut without = record.incarnations.with_sessions(record.user.as_ref());
        without.retain(|incarnation| !with.contains(incarnation));
        let text = outcome
            .after
            .as_ref()
            .map(|after| Record::write(after, &step.incarnations));
        let body = outcome.kind.map(|_| {
            write_body(
                user,
                outcome.change.as_ref(),
                outcome.hidden,
                &outcome.moved,
            )
        });
        let since = self.feed.get(user).map(|shown| shown.since);
        let commit = Commit {
            bucket: index,
            user,
            revision: record.revision,
            moment: step.now.moment,
            attempt,
            record: text.as_deref(),
            due: outcome.due,
            kind: outcome.kind,
            body: body.as_deref().unwrap_or_default(),
            floor: self.feed.version(index),
            since: since.filter(|_| outcome.kind == Some(Kind::Online)),
            with: &with,
            without: &without,
        };
        Ok(self.feed.scripts.commit(writer, &commit).await?)
    }

    async fn committed(&self, user: &UserId, outcome: Outcome, done: Committed, now: Now) {
        let index = bucket(user);
        self.schedule(user, outcome.due, now);
        if outcome.kind.is_none() {
            return;
        }
        let change = outcome.change.map(|change| with_version(change, &done));
        // Queued before anyone can ask because of the event.
        if let Some(Change::Offline(offline)) = &change {
            self.last_seen.add(offline);
        }
        let message = Message::new(
            index,
            Position {
                epoch: Arc::clone(&done.epoch),
                number: done.number,
            },
            done.version,
            user,
            change,
            outcome.hidden,
        );
        // The copy that arrives over the channel is dropped as repeated.
        self.feed.apply(message);
        let wait = self.feed.wait_for(index, &done.epoch, done.number, VISIBLE);
        if !wait.await {
            tracing::debug!(%user, "a write is not visible on this node yet");
        }
    }
}

impl Node {
    fn schedule(&self, user: &UserId, due: Option<Moment>, now: Now) {
        let left = due.map(|due| due.since(now.moment));
        if let Some(left) = left.filter(|left| *left <= SOON) {
            // A tick runs after the moment at which it is due.
            self.timers.add(user, left + Duration::from_millis(1));
        }
    }
}

fn outcome(user: &UserId, step: &Step, changes: &[Change], incarnation: u64) -> Outcome {
    let after = step.roster.export(user);
    let (shown_before, hidden_before) = visible(step.before.as_ref());
    let (shown, hidden) = visible(after.as_ref());
    // One step may have several changes; only the last state is published.
    let change = match (shown_before, shown, changes.last()) {
        (_, _, None) | (None, None, _) => None,
        (None, Some(shown), _) => Some(Change::Online(shown)),
        (Some(_), Some(shown), _) => Some(Change::Updated(shown)),
        (Some(_), None, _) => changes
            .iter()
            .rfind(|change| matches!(change, Change::Offline(_)))
            .cloned(),
    };
    let moved = Moved {
        sessions: step.taken_over(after.as_ref()),
        to: incarnation,
    };
    let kind = match &change {
        Some(Change::Online(_)) => Some(Kind::Online),
        Some(Change::Updated(_)) => Some(Kind::Updated),
        Some(Change::Offline(_)) => Some(Kind::Offline),
        None if hidden != hidden_before || !moved.is_empty() => Some(Kind::Hidden),
        None => None,
    };
    Outcome {
        due: step.roster.next_wake(),
        after,
        kind,
        change,
        hidden,
        moved,
    }
}

/// How a user is shown, and whether they are invisible.
fn visible(record: Option<&UserRecord>) -> (Option<Arc<Presence>>, bool) {
    match record {
        Some(UserRecord::Attached(state)) => (
            state.shown.clone(),
            state.status.chosen.status == ManualStatus::Invisible,
        ),
        _ => (None, false),
    }
}

fn with_version(change: Change, done: &Committed) -> Change {
    let assigned = |presence: Arc<Presence>| {
        Arc::new(Presence {
            version: done.version,
            since: done.since,
            ..Arc::unwrap_or_clone(presence)
        })
    };
    match change {
        Change::Online(presence) => Change::Online(assigned(presence)),
        Change::Updated(presence) => Change::Updated(assigned(presence)),
        Change::Offline(mut offline) => {
            offline.version = done.version;
            Change::Offline(offline)
        }
    }
}
