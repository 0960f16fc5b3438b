//! The transaction of a batch of appends, run until its outcome is known or its time is over.

use super::append::{AUTHORS, Append, Asked, DRAW, FIND, Found, LOCK, Locked, WITNESS, WRITE};
use super::changes::sql::AT;
use super::codec::to_db;
use super::connect::jittered;
use super::connection::{Connection, Params};
use super::database::{Database, READS};
use super::error::Failure;
use super::plan::Planner;
use super::planned::Plan;
use super::{settings, states};
use futures_util::future::join_all;
use lamplight_domain::event::Event;
use lamplight_domain::identity::ConversationId;
use lamplight_usecases::ports::{AppendError, Appended, StoreError};
use lamplight_usecases::throttle::{self, Due};
use std::collections::HashMap;
use std::time::Duration;
use tokio::join;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep, timeout_at};

/// The first pause before another attempt; each one is twice as long as the one before.
const PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(320);
/// After the database was away for this long, a batch no longer waits for it until its deadline.
const OUTAGE: Duration = Duration::from_secs(10);

/// A batch that is committed.
pub(super) struct Settled {
    /// In the order of the batch.
    pub(super) answers: Vec<Result<Appended, AppendError>>,
    pub(super) events: Vec<Event>,
    /// The id of the last entry, if any was added.
    pub(super) newest: Option<i64>,
}

impl From<Plan> for Settled {
    fn from(plan: Plan) -> Self {
        Self {
            newest: plan.entries.ids.last().copied(),
            answers: plan.answers,
            events: plan.events,
        }
    }
}

/// Runs a batch. An item that fails the transaction fails alone.
pub(super) async fn run(
    database: &Database,
    batch: &[Append],
    deadline: Instant,
) -> Result<Settled, StoreError> {
    let failure = match run_whole(database, batch, deadline).await {
        Ok(settled) => return Ok(settled),
        Err(failure) => failure,
    };
    let error = StoreError::from(failure);
    if batch.len() == 1 || !matches!(error, StoreError::Internal(_)) {
        return Err(error);
    }
    if let Some(Due { left_out }) = throttle::due("postgres batch", &error.to_string(), None) {
        let items = batch.len();
        tracing::warn!(cause = %error, items, left_out, "a batch failed and is run item by item");
    }
    let mut all = Settled {
        answers: Vec::with_capacity(batch.len()),
        events: Vec::new(),
        newest: None,
    };
    for one in batch.chunks(1) {
        match run_whole(database, one, deadline).await {
            Ok(settled) => {
                all.answers.extend(settled.answers);
                all.events.extend(settled.events);
                all.newest = settled.newest.or(all.newest);
            }
            Err(failure) => all.answers.push(Err(StoreError::from(failure).into())),
        }
    }
    Ok(all)
}

/// Attempts a batch until its outcome is known. Where the connection was lost during `COMMIT`, the
/// batch may be committed; the next attempt waits for its locks and then looks for its first entry.
async fn run_whole(
    database: &Database,
    batch: &[Append],
    deadline: Instant,
) -> Result<Settled, Failure> {
    let mut unsettled = None;
    let mut retry = Retry::new(database, deadline);
    loop {
        let attempt = async {
            let connection = database.connection().await?;
            let transaction = in_transaction(database, &connection, batch, &mut unsettled);
            let outcome = Box::pin(transaction).await;
            end_failed(&connection, &outcome).await;
            outcome
        };
        if let Some(settled) = retry.judge(timeout_at(deadline, attempt).await).await? {
            return Ok(settled);
        }
    }
}

/// Decides whether a transaction is run again: where others caused a rollback, where there is no
/// connection, and where the connection was lost, so that the outcome is unknown.
pub(super) struct Retry<'a> {
    database: &'a Database,
    deadline: Instant,
    pause: Duration,
    /// Connections that were found broken.
    broken: u32,
    last: Option<Failure>,
}

impl<'a> Retry<'a> {
    pub(super) fn new(database: &'a Database, deadline: Instant) -> Self {
        Self {
            database,
            deadline,
            pause: PAUSE,
            broken: 0,
            last: None,
        }
    }

    /// The result of an attempt, or `None`, after a pause, for another one.
    pub(super) async fn judge<T>(
        &mut self,
        outcome: Result<Result<T, Failure>, Elapsed>,
    ) -> Result<Option<T>, Failure> {
        let failure = match outcome {
            Ok(Ok(done)) => {
                self.database.outage.note(false);
                return Ok(Some(done));
            }
            Ok(Err(failure)) => failure,
            Err(_) => return Err(self.late()),
        };
        let is_lost = failure.is_lost_connection();
        let is_away = is_lost || matches!(failure, Failure::NoConnection(_));
        self.database.outage.note(is_away);
        let is_worth_it = is_away && !self.database.outage.is_longer_than(OUTAGE);
        if !failure.is_conflict() && !is_worth_it {
            return Err(failure);
        }
        self.last = Some(failure);
        // After a restart of the server every idle connection is broken.
        self.broken += u32::from(is_lost);
        if is_lost && self.broken < READS {
            return Ok(None);
        }
        if timeout_at(self.deadline, sleep(jittered(self.pause)))
            .await
            .is_err()
        {
            return Err(self.late());
        }
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Ok(None)
    }

    fn late(&mut self) -> Failure {
        let late = || StoreError::Unavailable("PostgreSQL did not answer in time".into()).into();
        self.last.take().unwrap_or_else(late)
    }
}

/// Rolls a failed transaction back, so that its connection can be used again.
pub(super) async fn end_failed<T>(connection: &Connection, outcome: &Result<T, Failure>) {
    if let Err(failure) = outcome
        && !failure.is_lost_connection()
    {
        drop(connection.rollback().await);
    }
}

/// One transaction. While it is not known whether it is committed, its plan is in `unsettled`.
async fn in_transaction(
    database: &Database,
    connection: &Connection,
    batch: &[Append],
    unsettled: &mut Option<Plan>,
) -> Result<Settled, Failure> {
    let [lock, find, draw] = connection.prepare_all([&LOCK, &FIND, &DRAW]).await?;
    let asked = Asked::of(batch);
    let count = to_db(batch.len() as u64);
    let of_lock: Params<'_> = &[&asked.distinct];
    let of_find: Params<'_> = &[
        &asked.conversations,
        &asked.senders,
        &asked.keys,
        &asked.erased_keys,
    ];
    let of_draw: Params<'_> = &[&count];
    let (begun, locked, found, drawn) = join!(
        connection.begin(),
        connection.query_ready(&lock, of_lock),
        connection.query_ready(&find, of_find),
        connection.query_ready(&draw, of_draw),
    );
    begun?;
    let (locked, found, drawn) = (locked?, found?, drawn?);
    if let Some(plan) = unsettled.as_ref() {
        let is_committed = is_committed(connection, plan).await?;
        if let Some(plan) = unsettled.take_if(|_| is_committed) {
            return finish(connection, batch, plan).await;
        }
        *unsettled = None;
    }
    let mut conversations = HashMap::with_capacity(locked.len());
    for row in &locked {
        let (id, locked) = Locked::read(row)?;
        conversations.insert(ConversationId::trusted(id), locked);
    }
    states::fill_members(database, connection, &mut conversations).await?;
    settings::fill_archived(connection, &mut conversations).await?;
    let mut found = Found::read(&found, batch)?;
    Found::fill_former(connection, batch, &mut found).await?;
    let read = states::read(database, connection, batch, &conversations, &found).await?;
    let plan = Planner::plan(batch, conversations, found, &drawn, read)?;
    if plan.entries.ids.is_empty() {
        return finish(connection, batch, plan).await;
    }
    write(connection, batch, plan, unsettled).await
}

async fn write(
    connection: &Connection,
    batch: &[Append],
    plan: Plan,
    unsettled: &mut Option<Plan>,
) -> Result<Settled, Failure> {
    let written = connection.prepare(&WRITE).await?;
    let authors = if plan.receipts.is_empty() {
        None
    } else {
        Some(connection.prepare(&AUTHORS).await?)
    };
    let mut further = Vec::new();
    for (sql, columns) in plan.changes.statements() {
        further.push((connection.prepare(sql).await?, columns));
    }
    let of_at = states::at(plan.pending());
    let at = if plan.has_pending() {
        Some(connection.prepare(&AT).await?)
    } else {
        None
    };
    let plan = unsettled.insert(plan);
    let (message_ids, contents, keys) = (
        plan.entries.message_ids(),
        plan.entries.contents(batch),
        plan.entries.keys(batch),
    );
    let (entries, heads, marks, receipts) =
        (&plan.entries, &plan.heads, &plan.marks, &plan.receipts);
    let of_write: Params<'_> = &[
        &entries.ids,
        &entries.conversations,
        &entries.seqs,
        &message_ids,
        &entries.senders,
        &contents,
        &keys,
        &entries.created_at,
        &heads.ids,
        &heads.seqs,
        &heads.last_at,
        &heads.positions,
        &marks.conversations,
        &marks.persons,
        &marks.seqs,
    ];
    let of_authors: Params<'_> = &[
        &receipts.conversations,
        &receipts.after,
        &receipts.up_to,
        &receipts.persons,
    ];
    let authors = async {
        match &authors {
            Some(authors) => connection.query_ready(authors, of_authors).await,
            None => Ok(Vec::new()),
        }
    };
    let of_further: Vec<_> = further
        .iter()
        .map(|(statement, columns)| (statement, states::borrowed(columns)))
        .collect();
    let further = join_all(
        of_further
            .iter()
            .map(|(statement, params)| connection.execute_ready(statement, params)),
    );
    let of_at = states::borrowed(&of_at);
    let at = async {
        match &at {
            Some(at) => connection.query_ready(at, &of_at).await,
            None => Ok(Vec::new()),
        }
    };
    let (written, further, there, authors, committed) = join!(
        connection.execute_ready(&written, of_write),
        further,
        at,
        authors,
        connection.commit(),
    );
    let (authors, unread) = match authors {
        Ok(authors) => (authors, None),
        Err(failure) => (Vec::new(), Some(failure)),
    };
    // `COMMIT` after a failed statement rolls back and reports success: the answers to the
    // statements before it decide.
    let (there, missing) = match there {
        Ok(there) => (there, None),
        Err(failure) => (Vec::new(), Some(failure)),
    };
    let further = further.into_iter().find_map(Result::err);
    let failures = [written.err(), further, missing, unread];
    let failure = failures.into_iter().flatten().next().or(committed.err());
    if let Some(failure) = failure {
        if !failure.is_lost_connection() {
            *unsettled = None;
        }
        return Err(failure);
    }
    let Some(mut plan) = unsettled.take() else {
        return Err(StoreError::Internal("the plan of a batch is missing".into()).into());
    };
    plan.address(&authors)?;
    plan.answer(batch, &there)?;
    Ok(plan.into())
}

/// Whether the batch of this plan is committed. Runs under the locks of its conversations, so that
/// the earlier transaction has ended. Its entries were written together, so one entry proves all.
async fn is_committed(connection: &Connection, plan: &Plan) -> Result<bool, Failure> {
    let entries = &plan.entries;
    let (Some(conversation), Some(seq), Some(id)) = (
        entries.conversations.first(),
        entries.seqs.first(),
        entries.message_ids.first(),
    ) else {
        return Ok(false);
    };
    let found = connection
        .query_opt(&WITNESS, &[conversation, seq, &id.as_str()])
        .await?;
    Ok(found.is_some())
}

/// Ends the transaction of a batch that turned out to be committed, or that writes nothing.
async fn finish(
    connection: &Connection,
    batch: &[Append],
    mut plan: Plan,
) -> Result<Settled, Failure> {
    if !plan.receipts.is_empty() {
        let receipts = &plan.receipts;
        let params: Params<'_> = &[
            &receipts.conversations,
            &receipts.after,
            &receipts.up_to,
            &receipts.persons,
        ];
        let authors = connection.query(&AUTHORS, params).await?;
        plan.address(&authors)?;
    }
    if plan.has_pending() {
        let columns = states::at(plan.pending());
        let there = connection.query(&AT, &states::borrowed(&columns)).await?;
        plan.answer(batch, &there)?;
    }
    connection.rollback().await?;
    Ok(plan.into())
}
