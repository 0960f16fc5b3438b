//! Publishes the queue: one batch after the other, so that order is kept.

use super::listeners::Listeners;
use super::plan::Plan;
use super::queue::{Item, Outgoing};
use super::shared::Shared;
use crate::redis::{Backoff, PlainConnection, RedisError};
use lamplight_usecases::throttle::{self, Due};
use redis::Value;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Publishes for as long as it is polled.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut connection = None;
    let mut attempt = 0;
    let mut listeners = Listeners::new();
    loop {
        let mut batch = shared.queue.take().await;
        let mut backoff = Backoff::default();
        // A batch is repeated until Redis has it. Receivers know the numbers that they had.
        while !batch.is_empty() {
            let sent = send(
                &shared,
                &mut connection,
                &mut attempt,
                &mut listeners,
                &batch,
            );
            match sent.await {
                Ok(()) => break,
                Err(reason) => {
                    connection = None;
                    if let Some(Due { left_out }) =
                        throttle::due("bus publisher", &reason.to_string(), None)
                    {
                        tracing::warn!(%reason, left_out, "events for other nodes wait");
                    }
                    backoff.pause().await;
                    batch.retain(|item| !item.is_stale());
                }
            }
        }
    }
}

async fn send(
    shared: &Shared,
    connection: &mut Option<PlainConnection>,
    attempt: &mut usize,
    listeners: &mut Listeners,
    batch: &[Item],
) -> Result<(), RedisError> {
    // Another node of a cluster, if nothing came through this one.
    if shared.probes.lock().take_new_publisher() {
        *connection = None;
    }
    let connection = match connection {
        Some(connection) => connection,
        None => {
            *attempt += 1;
            let new = PlainConnection::connect(&shared.options, *attempt).await?;
            connection.insert(new)
        }
    };
    let plan = Plan::new(shared, batch, listeners);
    let refusal = if listeners.publish(shared, connection, &plan).await? {
        None
    } else {
        // Also what is out already: receivers drop repetitions.
        first_error(connection.send(&plan.pipeline()).await?)
    };
    if let Some(refusal) = refusal {
        // Repeating the batch would not help: a user without the permission, for example.
        shared.queue.mark_lost();
        let refusal = RedisError::Refused(format!("{refusal:?}"));
        // The notice may be refused as well, so this must not go round and round.
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        if let Some(Due { left_out }) = throttle::due("bus publisher", "refused", None) {
            tracing::error!(%refusal, left_out, "Redis does not take events for other nodes");
        }
        return Ok(());
    }
    let published = u64::try_from(batch.len()).unwrap_or(0);
    shared
        .counts
        .published
        .fetch_add(published, Ordering::Relaxed);
    for item in batch {
        if let Outgoing::Probe(probe) = item.outgoing {
            shared.probes.lock().published(probe);
        }
    }
    Ok(())
}

fn first_error(answers: Vec<Value>) -> Option<redis::ServerError> {
    answers.into_iter().find_map(|answer| match answer {
        Value::ServerError(error) => Some(error),
        _ => None,
    })
}
