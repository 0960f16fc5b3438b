//! Publishes a batch only to channels with other subscribers, in a version that they read. Most
//! users are connected to one node, which has already delivered their events: Redis would only send
//! them back.
//!
//! The node remembers the channels on which no other node received the last message, and leaves them
//! out. It also remembers whether all nodes read version 2 of the envelope. A script verifies both in
//! the same step: if another node has subscribed meanwhile, nothing is published, and the whole batch
//! is published; if a subscriber reads version 1 only, the batch is encoded again.

use super::channels::Channels;
use super::envelope::Form;
use super::listeners::Listeners;
use super::plan::Plan;
use super::shared::Shared;
use crate::redis::{PlainConnection, RedisResult, Topology};
use redis::{Pipeline, ServerErrorKind, Value};
use std::sync::atomic::Ordering;

/// How a batch went out.
enum Answer {
    /// Everything with other subscribers was published. On some of the published channels no other
    /// node received the last message. The next batch can use this version.
    Sent(Form, Vec<bool>),
    /// Nothing was published, since some of the skipped channels have listeners.
    Heard(Vec<bool>),
    /// Nothing was published, since a node listens that does not read the form.
    Older,
    /// Nothing was published for another reason, or not everything.
    Unknown,
}

impl Listeners {
    /// Publishes a batch without the channels that have no other subscriber. `false` if that failed
    /// and everything has to be published.
    pub(super) async fn publish(
        &mut self,
        shared: &Shared,
        connection: &mut PlainConnection,
        plan: &Plan<'_>,
    ) -> RedisResult<bool> {
        // A node of a Redis Cluster counts only those who are subscribed there.
        if *shared.options.topology() == Topology::Cluster {
            return Ok(false);
        }
        let names = plan.channels.iter().map(|channel| &*channel.name);
        let Some((standing, own)) = shared.subscriber().standing(names) else {
            return Ok(false);
        };
        let mut unheard;
        let answer = loop {
            let (call, left_out) = self.call(shared, plan, &standing.mark, &own, true);
            unheard = left_out;
            let mut answers = connection.send(&call).await?;
            if is_without_script(&answers) {
                let (call, _) = self.call(shared, plan, &standing.mark, &own, false);
                answers = connection.send(&call).await?;
            }
            match Answer::of(&answers) {
                Answer::Older if self.form == Form::Compact => self.form = Form::Json,
                answer => break answer,
            }
        };
        match answer {
            Answer::Sent(form, alone) => {
                self.form = form;
                let now = shared.subscriber().standing(std::iter::empty());
                if now.is_none_or(|(now, _)| now != standing) {
                    // This node counted itself among those who did not listen, and may have been
                    // wrong.
                    return Ok(plan.channels.iter().all(|channel| !channel.is_quiet));
                }
                shared.counts.unheard.fetch_add(unheard, Ordering::Relaxed);
                let others = plan.channels.iter().filter(|channel| !channel.is_quiet);
                for (channel, is_alone) in others.zip(alone) {
                    if is_alone {
                        self.note(channel, true);
                    }
                }
                Ok(true)
            }
            Answer::Heard(heard) => {
                let left_out = plan.channels.iter().filter(|channel| channel.is_quiet);
                for (channel, is_heard) in left_out.zip(heard) {
                    if is_heard {
                        self.note(channel, false);
                    }
                }
                Ok(false)
            }
            Answer::Older | Answer::Unknown => Ok(false),
        }
    }

    /// The call of the script, by its hash or with its source, and the number of messages without
    /// another subscriber.
    fn call(
        &self,
        shared: &Shared,
        plan: &Plan<'_>,
        mark: &str,
        own: &[bool],
        by_hash: bool,
    ) -> (Pipeline, u64) {
        let mut call = Pipeline::with_capacity(1);
        let command = match by_hash {
            true => call.cmd("EVALSHA").arg(self.script.hash()),
            false => call.cmd("EVAL").arg(self.script.source()),
        };
        let Channels { all, compact, .. } = &shared.channels;
        let left_out = arguments(command.arg(0), plan, [mark, all, compact], own, self.form);
        (call, left_out)
    }
}

fn is_without_script(answers: &[Value]) -> bool {
    matches!(
        answers.first(),
        Some(Value::ServerError(error)) if error.kind() == Some(ServerErrorKind::NoScript)
    )
}

impl Answer {
    fn of(answers: &[Value]) -> Self {
        let [Value::BulkString(answer)] = answers else {
            return Self::Unknown;
        };
        let flags = |flags: &[u8]| flags.iter().map(|flag| *flag == b'1').collect();
        if let Some(alone) = answer.strip_prefix(b"sent 1 ") {
            Self::Sent(Form::Json, flags(alone))
        } else if let Some(alone) = answer.strip_prefix(b"sent 2 ") {
            Self::Sent(Form::Compact, flags(alone))
        } else if let Some(heard) = answer.strip_prefix(b"heard ") {
            Self::Heard(flags(heard))
        } else if answer == b"older" {
            Self::Older
        } else {
            Self::Unknown
        }
    }
}

/// Writes the arguments of the script. Returns the number of messages without another subscriber.
fn arguments(
    command: &mut Pipeline,
    plan: &Plan<'_>,
    counted: [&str; 3],
    own: &[bool],
    form: Form,
) -> u64 {
    let channels = &plan.channels;
    // Where the channels that are published stand among themselves.
    let mut places = vec![0; channels.len()];
    let (mut without, mut with) = (String::new(), String::new());
    for (at, channel) in channels.iter().enumerate() {
        let list = if channel.is_quiet {
            &mut without
        } else {
            &mut with
        };
        list.push(if own[at] { '1' } else { '0' });
        places[at] = list.len();
    }
    let form_number = match form {
        Form::Json => "1",
        Form::Compact => "2",
    };
    command.arg(&*without).arg(&*with).arg(form_number);
    for name in counted {
        command.arg(name);
    }
    for is_quiet in [true, false] {
        for channel in channels
            .iter()
            .filter(|channel| channel.is_quiet == is_quiet)
        {
            command.arg(&*channel.name);
        }
    }
    let mut text = Vec::new();
    plan.each(
        form,
        |channel| !channel.is_quiet,
        |payload, of_message| {
            text.clear();
            for place in of_message {
                push_number(&mut text, places[*place]);
                text.push(b' ');
            }
            command.arg(payload).arg(&*text);
        },
    )
}

fn push_number(text: &mut Vec<u8>, number: usize) {
    if number >= 10 {
        push_number(text, number / 10);
    }
    text.push(b'0' + (number % 10) as u8);
}
