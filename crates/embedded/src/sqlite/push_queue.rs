//! Which messages each subscription is to be sent: a queue by time, by the clock of the database.

use super::codec::{from_db, now, to_db};
use super::follower::{commit_head, confirm, follower_position};
use super::push_subscriptions::subscription;
use lamplight_domain::identity::ConversationId;
use lamplight_usecases::ports::{CommitPosition, PushJob, PushStep, PushThen};
use lamplight_usecases::push::{FOLLOWER, SUBSCRIBED_SLACK_MS};
use rusqlite::{Connection, OptionalExtension as _, params};
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// Without subscriptions, at least this many entries are skipped at a time, so that the position is
/// rarely written.
const PASSED_OVER: u64 = 1_000;
/// How long a step keeps the writer at a time, without the commit.
const HOLD: Duration = Duration::from_millis(4);
/// After the clock went back, nothing waits longer than the longest pause (and some).
const LONGEST: i64 = 2 * 3_600 * 1_000;

/// The next entries. Only messages are sent.
const AFTER: &str = "SELECT e.id, e.conversation, e.seq, e.created_at
     FROM entries e LEFT JOIN other_entries o ON o.conversation = e.conversation AND o.seq = e.seq
     WHERE e.id > ?1 AND e.id <= ?2 AND o.kind IS NULL ORDER BY e.id";

/// Messages of a conversation, for the subscriptions of the members who have not read them.
pub(super) const QUEUE: &str = concat!(
    "INSERT INTO push_queue (subscription, conversation, from_seq, to_seq, due_at)
     SELECT s.id, m.conversation, ?2, ?3, max(",
    now!(),
    " + ?5, s.retry_at)
     FROM members m CROSS JOIN push_subscriptions s ON s.person = m.person
     LEFT JOIN member_settings t ON t.conversation = m.conversation AND t.person = m.person
     WHERE m.conversation = ?1 AND m.read_seq < ?3 AND s.created_at <= ?4 AND ifnull(t.muted_until, 0) <= ",
    now!(),
    " ON CONFLICT (subscription, conversation) DO UPDATE SET to_seq = max(to_seq, excluded.to_seq)"
);

/// The next entries of the log and what they add to the queue: made by a reader, written by the writer.
pub(crate) struct Step {
    /// Where the position was; `None` if there was none.
    after: Option<CommitPosition>,
    up_to: CommitPosition,
    newest: CommitPosition,
    runs: Vec<Run>,
    is_full: bool,
    /// There is no subscription.
    is_unused: bool,
}

/// Messages of one conversation.
#[derive(Clone, Copy)]
struct Run {
    conversation: i64,
    from: i64,
    to: i64,
    newest_at: i64,
}

impl Step {
    /// Whether so many runs are all.
    pub(crate) fn is_written(&self, written: usize) -> bool {
        written >= self.runs.len()
    }

    /// Whether the position stays where it is.
    pub(crate) fn is_idle(&self) -> bool {
        self.after == Some(self.up_to)
    }

    pub(crate) fn outcome(&self) -> PushStep {
        PushStep {
            // Nothing waits for the entries that are not passed over yet.
            position: if self.is_unused {
                self.newest
            } else {
                self.up_to
            },
            newest: self.newest,
            has_queued: !self.runs.is_empty(),
            is_full: self.is_full,
            is_outrun: false,
        }
    }
}

/// Reads at most `limit` further entries, in one snapshot.
pub(crate) fn read_push_step(conn: &Connection, limit: usize) -> rusqlite::Result<Step> {
    let newest = commit_head(conn)?;
    let after = follower_position(conn, FOLLOWER)?;
    let mut step = Step {
        after,
        up_to: newest,
        newest,
        runs: Vec::new(),
        is_full: false,
        is_unused: false,
    };
    // The first step begins at the end of the log.
    let Some(position) = after else {
        return Ok(step);
    };
    let has_subscriptions = conn
        .prepare_cached("SELECT 1 FROM push_subscriptions LIMIT 1")?
        .exists([])?;
    if !has_subscriptions {
        step.is_unused = true;
        if newest.0.saturating_sub(position.0) < PASSED_OVER {
            step.up_to = position;
        }
        return Ok(step);
    }
    let end = position.0.saturating_add(limit as u64);
    step.up_to = CommitPosition(newest.0.min(end));
    step.is_full = step.up_to < newest;
    let mut runs: HashMap<i64, Run> = HashMap::new();
    let mut statement = conn.prepare_cached(AFTER)?;
    let mut found = statement.query(params![to_db(position.0), to_db(step.up_to.0)])?;
    while let Some(row) = found.next()? {
        let (conversation, seq, at): (i64, i64, i64) = (row.get(1)?, row.get(2)?, row.get(3)?);
        let run = runs.entry(conversation).or_insert(Run {
            conversation,
            from: seq,
            to: seq,
            newest_at: at,
        });
        run.to = seq;
        run.newest_at = run.newest_at.max(at);
    }
    step.runs = runs.into_values().collect();
    Ok(step)
}

/// Writes the runs of a step from the one at `from` on, for as long as it may keep the writer; moves the
/// position with the last one. Returns how many runs of the step are written by then, and nothing if
/// the position is not where the step found it. A step that ends early is made again: what is queued
/// twice is queued once.
pub(crate) fn write_push_step(
    conn: &Connection,
    step: &Step,
    from: usize,
    delay: Duration,
) -> rusqlite::Result<Option<usize>> {
    if follower_position(conn, FOLLOWER)? != step.after {
        return Ok(None);
    }
    let began = Instant::now();
    let mut statement = conn.prepare_cached(QUEUE)?;
    let mut written = from;
    for run in &step.runs[from..] {
        if written > from && began.elapsed() >= HOLD {
            return Ok(Some(written));
        }
        statement.execute(params![
            run.conversation,
            run.from,
            run.to,
            run.newest_at.saturating_add(SUBSCRIBED_SLACK_MS),
            millis(delay)
        ])?;
        written += 1;
    }
    confirm(conn, FOLLOWER, step.up_to)?;
    Ok(Some(written))
}

fn millis(duration: Duration) -> i64 {
    to_db(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

pub(super) const DUE: &str = concat!(
    "SELECT subscription, conversation FROM push_queue WHERE due_at <= ",
    now!(),
    " ORDER BY due_at LIMIT ?1"
);
const DUE_TOO_LATE: &str = concat!(
    "SELECT subscription, conversation FROM push_queue WHERE due_at > ",
    now!(),
    " + ?2 ORDER BY due_at LIMIT ?1"
);

/// The subscriptions and conversations that are due.
pub(crate) fn due_pushes(conn: &Connection, limit: usize) -> rusqlite::Result<Vec<(i64, i64)>> {
    let limit = to_db(limit as u64);
    let pair = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let mut due: Vec<(i64, i64)> = conn
        .prepare_cached(DUE)?
        .query_map([limit], pair)?
        .collect::<rusqlite::Result<_>>()?;
    if due.is_empty() {
        due = conn
            .prepare_cached(DUE_TOO_LATE)?
            .query_map([limit, LONGEST], pair)?
            .collect::<rusqlite::Result<_>>()?;
    }
    Ok(due)
}

pub(crate) fn claim_pushes(
    conn: &Connection,
    lease: Duration,
    limit: usize,
) -> rusqlite::Result<Vec<PushJob>> {
    let due = due_pushes(conn, limit)?;
    let mut jobs = Vec::with_capacity(due.len());
    for (id, conversation) in due {
        let taken = conn
            .prepare_cached(concat!(
                "UPDATE push_queue SET claim = claim + 1, is_claimed = 1, due_at = ",
                now!(),
                " + ?3 WHERE subscription = ?1 AND conversation = ?2
                 RETURNING from_seq, to_seq, claim, (SELECT conversation_id FROM conversations WHERE id = ?2)"
            ))?
            .query_row(params![id, conversation, millis(lease)], |row| {
                let (from, to): (i64, i64) = (row.get(0)?, row.get(1)?);
                let name = ConversationId::trusted(row.get_ref(3)?.as_str()?);
                Ok((from_db(from)..=from_db(to), row.get(2)?, name))
            })
            .optional()?;
        if let Some((seqs, claim, conversation)) = taken
            && let Some((subscription, is_expired)) = subscription(conn, id)?
        {
            jobs.push(PushJob {
                subscription,
                conversation,
                seqs,
                claim,
                is_expired,
            });
        }
    }
    Ok(jobs)
}

pub(crate) fn move_push(
    conn: &Connection,
    job: &PushJob,
    next_seq: u64,
    then: PushThen,
) -> rusqlite::Result<bool> {
    let id = job.subscription.id;
    let (pause, is_claimed) = match then {
        PushThen::Continue(lease) => (lease, true),
        PushThen::Done => (Duration::ZERO, false),
        PushThen::Later(pause) | PushThen::Failed(pause) => (pause, false),
    };
    let conversation: Option<i64> = conn
        .prepare_cached(concat!(
            "UPDATE push_queue SET from_seq = max(from_seq, ?3), is_claimed = ?5, due_at = ",
            now!(),
            " + ?4 WHERE subscription = ?1 AND claim = ?6
                 AND conversation = (SELECT id FROM conversations WHERE conversation_id = ?2)
             RETURNING conversation"
        ))?
        .query_row(
            params![
                id,
                job.conversation.as_str(),
                to_db(next_seq),
                millis(pause),
                is_claimed,
                job.claim
            ],
            |row| row.get(0),
        )
        .optional()?;
    let Some(conversation) = conversation else {
        return Ok(false);
    };
    if !is_claimed {
        conn.prepare_cached(
            "DELETE FROM push_queue WHERE subscription = ?1 AND conversation = ?2 AND from_seq > to_seq",
        )?
        .execute([id, conversation])?;
    }
    if let PushThen::Failed(pause) = then {
        conn.prepare_cached(concat!(
            "UPDATE push_subscriptions SET failures = failures + 1, retry_at = ",
            now!(),
            " + ?2 WHERE id = ?1"
        ))?
        .execute([id, millis(pause)])?;
        conn.prepare_cached(concat!(
            "UPDATE push_queue SET due_at = max(due_at, ",
            now!(),
            " + ?2) WHERE subscription = ?1 AND is_claimed = 0"
        ))?
        .execute([id, millis(pause)])?;
    } else if job.subscription.failures > 0 && next_seq > *job.seqs.start() {
        conn.prepare_cached(
            "UPDATE push_subscriptions SET failures = 0, retry_at = 0 WHERE id = ?1",
        )?
        .execute([id])?;
    }
    Ok(true)
}

/// Frees what an earlier process had claimed. This one is the only one that uses the database.
pub(super) fn release_claims(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute(
        "UPDATE push_queue SET due_at = 0, is_claimed = 0 WHERE is_claimed = 1",
        [],
    )
    .map(drop)
}
