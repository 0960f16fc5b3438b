//! The scripts, their arguments and their answers. Each runs in Redis as one step, on one hash slot.

use super::change::Kind;
use super::keys::Keys;
use crate::redis::{RedisClient, RedisError, RedisResult, RedisScript, ScriptCall};
use lamplight_domain::identity::{NodeId, UserId};
use lamplight_domain::time::{Moment, Now, Timestamp};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// More time between two calls of a bucket than this does not count as time: each node calls every
/// bucket about once a second, so Redis was away or its clock jumped.
const CLOCK_GAP: Duration = Duration::from_secs(5);
/// A step is computed again if it was computed for a moment that is further from Redis' clock. The
/// tolerance doubles with each attempt, up to [`MOST_TOLERANCE`]: otherwise a node that is short of
/// time would never end.
const TOLERANCE: Duration = Duration::from_millis(500);
const MOST_TOLERANCE: Duration = Duration::from_secs(4);
/// The most timers that one poll returns.
pub(super) const DUE: usize = 200;

macro_rules! bucket_script {
    ($name:literal) => {
        RedisScript::new(concat!(
            include_str!("scripts/bucket.lua"),
            include_str!($name)
        ))
    };
}

pub(super) struct Scripts {
    client: RedisClient,
    keys: Arc<Keys>,
    read: RedisScript,
    commit: RedisScript,
    poll: RedisScript,
    page: RedisScript,
    fence: RedisScript,
    unfence: RedisScript,
    pub(super) leases: RedisScript,
}

/// A node and the incarnation that it writes as.
#[derive(Clone, Copy, Debug)]
pub(super) struct Writer<'a> {
    pub(super) node: &'a NodeId,
    pub(super) incarnation: u64,
}

/// A record with the time at which it was read.
#[derive(Clone, Debug)]
pub(super) struct Read {
    pub(super) text: String,
    pub(super) now: Now,
    /// It was not read: most likely there is no record.
    pub(super) is_guess: bool,
}

/// The answer to a read or a commit.
#[derive(Debug)]
pub(super) enum Answer {
    /// The writer's lease has ended.
    Fenced,
    /// The record as it is. A commit did nothing, because the record or the time is another.
    Record(Read),
    Committed(Committed),
}

#[derive(Debug)]
pub(super) struct Committed {
    pub(super) epoch: Arc<str>,
    pub(super) number: u64,
    pub(super) version: u64,
    pub(super) since: u64,
}

/// The writes of a commit.
#[derive(Debug)]
pub(super) struct Commit<'a> {
    pub(super) bucket: usize,
    pub(super) user: &'a UserId,
    pub(super) revision: u64,
    /// The moment that the step was computed for.
    pub(super) moment: Moment,
    /// How often it was computed before.
    pub(super) attempt: u32,
    /// The JSON of the record, `None` to remove it.
    pub(super) record: Option<&'a str>,
    pub(super) due: Option<Moment>,
    pub(super) kind: Option<Kind>,
    pub(super) body: &'a str,
    /// The version is higher than this.
    pub(super) floor: u64,
    /// The place in the order of arrival of a user who is shown here already.
    pub(super) since: Option<u64>,
    /// Incarnations that have sessions of the user now.
    pub(super) with: &'a [u64],
    /// Incarnations that have none any more.
    pub(super) without: &'a [u64],
}

#[derive(Debug)]
pub(super) struct Poll {
    pub(super) epoch: Arc<str>,
    pub(super) number: u64,
    pub(super) is_fenced: bool,
    /// The number of users with sessions of the incarnation.
    pub(super) own: usize,
    pub(super) due: Vec<UserId>,
}

#[derive(Debug)]
pub(super) struct Page {
    pub(super) epoch: String,
    pub(super) number: u64,
    pub(super) version: u64,
    pub(super) cursor: String,
    pub(super) records: Vec<(String, String)>,
}

impl Scripts {
    pub(super) fn new(client: RedisClient, keys: Arc<Keys>) -> Self {
        Self {
            client,
            keys,
            read: bucket_script!("scripts/read.lua"),
            commit: bucket_script!("scripts/commit.lua"),
            poll: bucket_script!("scripts/poll.lua"),
            page: bucket_script!("scripts/page.lua"),
            fence: bucket_script!("scripts/fence.lua"),
            unfence: RedisScript::new(include_str!("scripts/unfence.lua")),
            leases: RedisScript::new(include_str!("scripts/leases.lua")),
        }
    }

    pub(super) async fn read(
        &self,
        writer: Writer<'_>,
        bucket: usize,
        user: &UserId,
    ) -> RedisResult<Answer> {
        let keys = self.keys.bucket(bucket);
        let call = clocked(
            self.read
                .call()
                .key(&keys.meta)
                .key(&keys.users)
                .key(&keys.nodes),
        )
        .arg(user.as_str())
        .arg(writer.node.as_str())
        .arg(writer.incarnation);
        answer(self.client.run(&call).await?)
    }

    pub(super) async fn commit(
        &self,
        writer: Writer<'_>,
        commit: &Commit<'_>,
    ) -> RedisResult<Answer> {
        let keys = self.keys.bucket(commit.bucket);
        let call = self.commit.call();
        let mut call = call
            .key(&keys.meta)
            .key(&keys.users)
            .key(&keys.nodes)
            .key(&keys.timers);
        for incarnation in commit.with.iter().chain(commit.without) {
            call = call.key(keys.users_of(*incarnation));
        }
        let number =
            |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
        let call = clocked(call)
            .arg(commit.user.as_str())
            .arg(writer.node.as_str())
            .arg(writer.incarnation)
            .arg(commit.revision)
            .arg(commit.moment.0)
            .arg(millis(
                (TOLERANCE * (1 << commit.attempt.min(8))).min(MOST_TOLERANCE),
            ))
            .arg(commit.record.unwrap_or_default())
            .arg(number(commit.due.map(|due| due.0)))
            .arg(commit.kind.map(Kind::name).unwrap_or_default())
            .arg(commit.body)
            .arg(commit.floor)
            .arg(number(commit.since))
            .arg(commit.with.len())
            .arg(&*self.keys.channel)
            .arg(commit.bucket);
        answer(self.client.run(&call).await?)
    }

    pub(super) async fn poll(&self, writer: Writer<'_>, bucket: usize) -> RedisResult<Poll> {
        let keys = self.keys.bucket(bucket);
        let call = self
            .poll
            .call()
            .key(&keys.meta)
            .key(&keys.timers)
            .key(&keys.nodes);
        let call = clocked(call.key(keys.users_of(writer.incarnation)))
            .arg(writer.node.as_str())
            .arg(writer.incarnation)
            .arg(DUE);
        let (epoch, number, is_fenced, own, due): (String, u64, u8, usize, Vec<String>) =
            self.client.run(&call).await?;
        Ok(Poll {
            epoch: epoch.into(),
            number,
            is_fenced: is_fenced == 1,
            own,
            due: due.into_iter().map(UserId::trusted).collect(),
        })
    }

    pub(super) async fn page(
        &self,
        bucket: usize,
        cursor: &str,
        count: usize,
    ) -> RedisResult<Page> {
        let keys = self.keys.bucket(bucket);
        let call = self.page.call().key(&keys.meta).key(&keys.users);
        let call = clocked(call).arg(cursor).arg(count);
        let (epoch, number, version, cursor, flat): (String, u64, u64, String, Vec<String>) =
            self.client.run(&call).await?;
        let mut flat = flat.into_iter();
        let mut records = Vec::with_capacity(flat.len() / 2);
        while let (Some(user), Some(record)) = (flat.next(), flat.next()) {
            records.push((user, record));
        }
        Ok(Page {
            epoch,
            number,
            version,
            cursor,
            records,
        })
    }

    /// Lets an incarnation write to a bucket.
    pub(super) async fn fence(
        &self,
        client: &RedisClient,
        keys: &Keys,
        writer: Writer<'_>,
        bucket: usize,
    ) -> RedisResult<()> {
        let keys = keys.bucket(bucket);
        let call = clocked(self.fence.call().key(&keys.meta).key(&keys.nodes))
            .arg(writer.node.as_str())
            .arg(writer.incarnation);
        client.run(&call).await
    }

    /// Refuses the writes of an incarnation to a bucket.
    pub(super) async fn unfence(
        &self,
        client: &RedisClient,
        keys: &Keys,
        writer: Writer<'_>,
        bucket: usize,
    ) -> RedisResult<()> {
        let call = self.unfence.call().key(&keys.bucket(bucket).nodes);
        let call = call.arg(writer.node.as_str()).arg(writer.incarnation);
        client.run(&call).await
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The arguments that every script of a bucket begins with.
fn clocked(call: ScriptCall<'_>) -> ScriptCall<'_> {
    call.arg(random_id()).arg(millis(CLOCK_GAP))
}

/// 64 random bits in hexadecimal digits.
fn random_id() -> String {
    let mut bytes = [0; 8];
    // Without randomness, an epoch that is not new is noticed by its numbers.
    let _ = getrandom::fill(&mut bytes);
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn answer(parts: Vec<String>) -> RedisResult<Answer> {
    let unexpected = || RedisError::Unexpected("a script answered something else".to_owned());
    let number = |index: usize| -> RedisResult<u64> {
        let text = parts.get(index).ok_or_else(unexpected)?;
        text.parse().map_err(|_| unexpected())
    };
    let kind = parts.first().ok_or_else(unexpected)?;
    if kind == "fenced" {
        return Ok(Answer::Fenced);
    }
    let epoch = parts.get(4).ok_or_else(unexpected)?.as_str().into();
    if kind == "ok" {
        return Ok(Answer::Committed(Committed {
            epoch,
            number: number(5)?,
            version: number(6)?,
            since: number(7)?,
        }));
    }
    let now = Now {
        moment: Moment(number(2)?),
        wall: Timestamp(i64::try_from(number(3)?).unwrap_or(i64::MAX)),
    };
    let text = parts.into_iter().nth(1).unwrap_or_default();
    Ok(Answer::Record(Read {
        text,
        now,
        is_guess: false,
    }))
}
