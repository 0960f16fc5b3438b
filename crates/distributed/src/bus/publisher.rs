//! Publishes the queue: one pipeline a batch, one after the other, so that order is kept.

use super::envelope::Summary;
use super::queue::{Item, Outgoing};
use super::round_trips::RoundTrips;
use super::shared::Shared;
use crate::redis::{Backoff, PlainConnection, RedisError};
use lamplight_domain::event::Event;
use lamplight_usecases::throttle::{self, Due};
use redis::{Pipeline, Value};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Publishes for as long as it is polled.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut connection = None;
    let mut attempt = 0;
    loop {
        let mut batch = shared.queue.take().await;
        let mut backoff = Backoff::default();
        // A batch is repeated until Redis has it. Receivers know the numbers that they had.
        while !batch.is_empty() {
            match send(&shared, &mut connection, &mut attempt, &batch).await {
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
    let answers = connection.send(&encode(shared, batch)).await?;
    let refusal = answers.into_iter().find_map(|answer| match answer {
        Value::ServerError(error) => Some(error),
        _ => None,
    });
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

/// Each envelope is written once, however many channels it goes to.
fn encode(shared: &Shared, batch: &[Item]) -> Pipeline {
    let mut pipeline = Pipeline::with_capacity(batch.len() * 2 + 1);
    let mut publish = |channel: &str, payload: &[u8]| {
        pipeline.cmd("PUBLISH").arg(channel).arg(payload);
    };
    let mut summary = Summary::new();
    for item in batch {
        match &item.outgoing {
            Outgoing::Event(event) => {
                let Some(payload) = shared.writer.event(item.number, event) else {
                    continue;
                };
                let channels = &shared.channels;
                channels.each_of(event, |channel| publish(channel, &payload));
                if let Event::Appended { entry, .. } = event {
                    summary.add(entry.conversation.as_str(), entry.seq);
                }
            }
            Outgoing::Lost => publish(&shared.channels.all, &shared.writer.lost(item.number)),
            Outgoing::RoundTrip(number) => {
                publish(
                    &shared.channels.probe,
                    RoundTrips::payload(*number).as_bytes(),
                );
            }
            Outgoing::Probe(probe) => {
                publish(&shared.channels.probe, probe.to_string().as_bytes());
            }
        }
    }
    if !summary.entries.is_empty() {
        publish(&shared.channels.summaries, &summary.encode());
    }
    pipeline
}
