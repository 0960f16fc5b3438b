//! Which messages each subscription is to be sent: a queue by time, by the clock of the database, since
//! the nodes' clocks differ. Whoever moves the position from where it was found writes the queue in the
//! same transaction; any node sends what it claims.

use super::codec::{from_db, now, to_db};
use super::connection::{Params, Sql};
use super::database::{Database, Repeat};
use super::error::Failure;
use super::follower;
use super::push_subscriptions::key;
use lamplight_domain::identity::{ConversationId, UserId};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::{
    CommitPosition, PushJob, PushStep, PushSubscription, PushTarget, PushThen, StoreResult,
};
use lamplight_usecases::push::{FOLLOWER, SUBSCRIBED_SLACK_MS};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

/// Without a subscription, entries are passed over so many at a time at least: the position moves
/// rarely while no user has a subscription.
const PASSED_OVER: u64 = 1_000;

/// Where the queue is, and whether there is any subscription.
const POSITION: Sql = Sql {
    text: "SELECT position, coalesce((SELECT max(id) FROM entries), 0), EXISTS (SELECT FROM push_subscriptions)
           FROM follower_positions WHERE name = $1",
    types: &[Type::TEXT],
};

/// Entries behind a fence, as [`follower::READ`] has them. Only messages are sent.
pub(super) const STEP: Sql = Sql {
    text: "SELECT e.id, e.conversation, e.seq, e.created_at, o.kind IS NULL
           FROM (SELECT * FROM entries WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3) e
           LEFT JOIN other_entries o ON o.conversation = e.conversation AND o.seq = e.seq
           WHERE pg_snapshot_xmin(pg_current_snapshot()) >= $4::text::xid8 ORDER BY e.id",
    types: &[Type::INT8, Type::INT8, Type::INT8, Type::TEXT],
};

const MOVE: Sql = Sql {
    text: "UPDATE follower_positions SET position = $3 WHERE name = $1 AND position = $2",
    types: &[Type::TEXT, Type::INT8, Type::INT8],
};

/// The same, if no user has subscribed meanwhile.
const PASS_OVER: Sql = Sql {
    text: "UPDATE follower_positions SET position = $3
           WHERE name = $1 AND position = $2 AND NOT EXISTS (SELECT FROM push_subscriptions)",
    types: &[Type::TEXT, Type::INT8, Type::INT8],
};

/// Messages of conversations, for the subscriptions of the members who have not read them.
pub(super) const QUEUE: Sql = Sql {
    text: concat!(
        "INSERT INTO push_queue AS q (subscription, conversation, from_seq, to_seq, due_at)
           SELECT s.id, m.conversation, a.from_seq, a.to_seq, greatest(",
        now!(),
        " + $5, s.retry_at)
           FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::int8[]) AS a (conversation, from_seq, to_seq, newest_at)
           JOIN members m ON m.conversation = a.conversation AND m.read_seq < a.to_seq
           JOIN push_subscriptions s ON s.person = m.person AND s.created_at <= a.newest_at
           LEFT JOIN member_settings t ON t.conversation = m.conversation AND t.person = m.person
           WHERE coalesce(t.muted_until, 0) <= ",
        now!(),
        " ORDER BY s.id, m.conversation
           ON CONFLICT (subscription, conversation) DO UPDATE SET to_seq = greatest(q.to_seq, excluded.to_seq)"
    ),
    types: &[
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8,
    ],
};

/// After the clock went back, nothing waits longer than the longest pause (and some). The time is read
/// once, since an index cannot be asked for what changes meanwhile.
pub(super) const CLAIM: Sql = Sql {
    text: concat!(
        "WITH due AS (SELECT subscription, conversation FROM push_queue WHERE due_at <= (SELECT ",
        now!(),
        ") ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED),
         late AS (SELECT subscription, conversation FROM push_queue WHERE due_at > (SELECT ",
        now!(),
        " + 7200000) LIMIT 1 FOR UPDATE SKIP LOCKED)
         UPDATE push_queue q SET claim = q.claim + 1, due_at = ",
        now!(),
        " + $1 FROM (SELECT * FROM due UNION ALL SELECT * FROM late) d
               JOIN push_subscriptions s ON s.id = d.subscription
               JOIN people p ON p.id = s.person
               JOIN push_keys k ON k.id = s.push_key
               JOIN conversations c ON c.id = d.conversation
               LEFT JOIN sessions ss ON ss.digest = s.session
         WHERE q.subscription = d.subscription AND q.conversation = d.conversation
         RETURNING s.id, p.user_id, s.endpoint, s.p256dh, s.auth, s.content, k.public_key, k.private_key, s.failures,
             s.created_at, coalesce(ss.expires_at <= ",
        now!(),
        ", s.session IS NOT NULL), c.conversation_id, q.from_seq, q.to_seq, q.claim"
    ),
    types: &[Type::INT8, Type::INT8],
};

pub(super) const MOVE_JOB: Sql = Sql {
    text: concat!(
        "UPDATE push_queue SET from_seq = greatest(from_seq, $3), due_at = ",
        now!(),
        " + $4 WHERE subscription = $1 AND claim = $5
             AND conversation = (SELECT id FROM conversations WHERE conversation_id = $2)
         RETURNING conversation"
    ),
    types: &[Type::INT8, Type::TEXT, Type::INT8, Type::INT8, Type::INT8],
};

/// The claim ends with the job: a late worker moves nothing.
const END_JOB: Sql = Sql {
    text: "DELETE FROM push_queue WHERE subscription = $1 AND conversation = $2 AND from_seq > to_seq",
    types: &[Type::INT8, Type::INT8],
};

const FAIL: Sql = Sql {
    text: concat!(
        "UPDATE push_subscriptions SET failures = failures + 1, retry_at = ",
        now!(),
        " + $2 WHERE id = $1"
    ),
    types: &[Type::INT8, Type::INT8],
};

const WAIT: Sql = Sql {
    text: concat!(
        "UPDATE push_queue SET due_at = greatest(due_at, ",
        now!(),
        " + $2) WHERE (subscription, conversation) IN (
             SELECT subscription, conversation FROM push_queue WHERE subscription = $1 FOR UPDATE SKIP LOCKED)"
    ),
    types: &[Type::INT8, Type::INT8],
};

const RECOVER: Sql = Sql {
    text: "UPDATE push_subscriptions SET failures = 0, retry_at = 0 WHERE id = $1",
    types: &[Type::INT8],
};

fn millis(duration: Duration) -> i64 {
    to_db(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// Messages of one conversation.
struct Run {
    from: i64,
    to: i64,
    newest_at: i64,
}

pub(crate) async fn queue_pushes(
    database: &Database,
    delay: Duration,
    limit: usize,
) -> StoreResult<PushStep> {
    let Some(row) = database.row(&POSITION, &[&FOLLOWER]).await? else {
        // Whoever subscribes first sets the position.
        let newest = follower::newest(database).await?;
        return Ok(PushStep {
            position: newest,
            newest,
            ..PushStep::default()
        });
    };
    let read = || {
        let (position, newest): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        Ok::<_, tokio_postgres::Error>((position, newest, row.try_get::<_, bool>(2)?))
    };
    let (position, newest, has_subscriptions) = read().map_err(Failure::from)?;
    let idle = PushStep {
        position: CommitPosition(from_db(position)),
        newest: CommitPosition(from_db(newest.max(position))),
        ..PushStep::default()
    };
    if !has_subscriptions {
        return pass_over(database, idle).await;
    }
    if newest <= position {
        return Ok(idle);
    }
    let rows = follower::behind_fence(database, &STEP, idle.position, limit).await?;
    let Some(last) = rows.last() else {
        // A transaction is open that may still commit an entry before these.
        return Ok(idle);
    };
    let last: i64 = last.try_get(0).map_err(Failure::from)?;
    let runs = runs(&rows).map_err(Failure::from)?;
    let (mut conversations, mut from, mut to, mut at) = (vec![], vec![], vec![], vec![]);
    for (conversation, run) in runs {
        conversations.push(conversation);
        from.push(run.from);
        to.push(run.to);
        at.push(run.newest_at.saturating_add(SUBSCRIBED_SLACK_MS));
    }
    let has_queued = !conversations.is_empty();
    let runs: Params<'_> = &[&conversations, &from, &to, &at, &millis(delay)];
    let is_moved = database
        .transact(Repeat::Safe, |connection| async move {
            let to: Params<'_> = &[&FOLLOWER, &position, &last];
            if connection.execute(&MOVE, to).await? == 0 {
                return Ok(false);
            }
            if has_queued {
                connection.execute(&QUEUE, runs).await?;
            }
            Ok(true)
        })
        .await?;
    Ok(PushStep {
        position: CommitPosition(from_db(last)),
        has_queued,
        is_full: rows.len() >= limit,
        is_outrun: !is_moved,
        ..idle
    })
}

async fn pass_over(database: &Database, idle: PushStep) -> StoreResult<PushStep> {
    // Nothing waits for the entries that are not passed over yet.
    let unused = PushStep {
        position: idle.newest,
        ..idle
    };
    if idle.newest.0.saturating_sub(idle.position.0) < PASSED_OVER {
        return Ok(unused);
    }
    // Behind a fence: whatever is passed over was committed before this statement sees that there is
    // no subscription.
    let head = follower::head(database).await?;
    let (from, to) = (to_db(idle.position.0), to_db(head.0));
    database
        .transact(Repeat::Safe, |connection| async move {
            connection
                .execute(&PASS_OVER, &[&FOLLOWER, &from, &to])
                .await
        })
        .await?;
    Ok(unused)
}

fn runs(rows: &[Row]) -> Result<BTreeMap<i64, Run>, tokio_postgres::Error> {
    let mut runs: BTreeMap<i64, Run> = BTreeMap::new();
    for row in rows {
        if !row.try_get::<_, bool>(4)? {
            continue;
        }
        let (seq, at): (i64, i64) = (row.try_get(2)?, row.try_get(3)?);
        let run = runs.entry(row.try_get(1)?).or_insert(Run {
            from: seq,
            to: seq,
            newest_at: at,
        });
        run.to = seq;
        run.newest_at = run.newest_at.max(at);
    }
    Ok(runs)
}

pub(crate) async fn claim_pushes(
    database: &Database,
    lease: Duration,
    limit: usize,
) -> StoreResult<Vec<PushJob>> {
    let (lease, limit) = (&millis(lease), &to_db(limit as u64));
    // What a lost connection leaves in doubt is free again after the lease.
    let rows = database
        .transact(Repeat::Never, |connection| async move {
            connection.query(&CLAIM, &[lease, limit]).await
        })
        .await?;
    let jobs: Result<Vec<PushJob>, tokio_postgres::Error> = rows.iter().map(job).collect();
    Ok(jobs.map_err(Failure::from)?)
}

fn job(row: &Row) -> Result<PushJob, tokio_postgres::Error> {
    let text = |at| row.try_get::<_, &str>(at);
    let number = |at| row.try_get::<_, i64>(at);
    Ok(PushJob {
        subscription: PushSubscription {
            id: number(0)?,
            user: UserId::trusted(text(1)?),
            target: PushTarget {
                endpoint: text(2)?.into(),
                p256dh: text(3)?.into(),
                auth: text(4)?.into(),
            },
            content: row.try_get::<_, i16>(5)? != 0,
            key: key(row, 6)?,
            failures: u32::try_from(from_db(number(8)?)).unwrap_or(u32::MAX),
            created_at: Timestamp(number(9)?),
        },
        is_expired: row.try_get(10)?,
        conversation: ConversationId::trusted(text(11)?),
        seqs: from_db(number(12)?)..=from_db(number(13)?),
        claim: number(14)?,
    })
}

pub(crate) async fn move_push(
    database: &Database,
    job: &PushJob,
    next_seq: u64,
    then: PushThen,
) -> StoreResult<bool> {
    let id = job.subscription.id;
    let pause = match then {
        PushThen::Done => Duration::ZERO,
        PushThen::Continue(pause) | PushThen::Later(pause) | PushThen::Failed(pause) => pause,
    };
    let pause = millis(pause);
    let has_recovered = job.subscription.failures > 0 && next_seq > *job.seqs.start();
    let (conversation, next) = (job.conversation.as_str(), to_db(next_seq));
    database
        .transact(Repeat::Safe, |connection| async move {
            let moved: Params<'_> = &[&id, &conversation, &next, &pause, &job.claim];
            let Some(row) = connection.query_opt(&MOVE_JOB, moved).await? else {
                return Ok(false);
            };
            let conversation: i64 = row.try_get(0)?;
            if !matches!(then, PushThen::Continue(_)) {
                connection.execute(&END_JOB, &[&id, &conversation]).await?;
            }
            if let PushThen::Failed(_) = then {
                connection.execute(&FAIL, &[&id, &pause]).await?;
                connection.execute(&WAIT, &[&id, &pause]).await?;
            } else if has_recovered {
                connection.execute(&RECOVER, &[&id]).await?;
            }
            Ok(true)
        })
        .await
}
