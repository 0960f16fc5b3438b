//! Publishes a batch where other nodes listen. Most users are connected to one node, which delivered
//! their events already: Redis would only send them back.
//!
//! The node remembers the channels on which nobody else received the last message, and leaves them
//! out. Redis checks that in the same step, by a script: if another node listens meanwhile, nothing is
//! published, and the batch goes out as a whole.

use super::plan::{Channel, Plan};
use super::shared::Shared;
use crate::redis::{PlainConnection, RedisResult, RedisScript, Topology};
use redis::{Pipeline, ServerErrorKind, Value};
use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The most channels that are remembered.
const MOST: usize = 50_000;

/// The channels to which no other node listened lately. What it says is checked with each use.
pub(super) struct Listeners {
    script: RedisScript,
    quiet: HashSet<Arc<str>>,
}

/// How a batch went out.
enum Answer {
    /// Everything was published that somebody listens to. Nobody else received the last messages on
    /// some of the channels that were not left out.
    Sent(Vec<bool>),
    /// Nothing was published, since some of the channels that were left out have listeners.
    Heard(Vec<bool>),
    /// Nothing was published for another reason, or not everything.
    Unknown,
}

impl Listeners {
    pub(super) fn new() -> Self {
        Self {
            script: RedisScript::new(include_str!("publish.lua")),
            quiet: HashSet::new(),
        }
    }

    pub(super) fn is_quiet(&self, channel: &str) -> bool {
        self.quiet.contains(channel)
    }

    /// Publishes a batch without the channels to which nobody else listens. `false` if that did not
    /// succeed, and everything has to be published.
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
        let mut unheard = 0;
        let mut call = |name: &str, script: &str| {
            let mut call = Pipeline::with_capacity(1);
            let command = call.cmd(name).arg(script).arg(0);
            unheard = arguments(command, plan, &standing.mark, &own);
            call
        };
        let answers = connection
            .send(&call("EVALSHA", self.script.hash()))
            .await?;
        let has_script = !matches!(
            answers.first(),
            Some(Value::ServerError(error)) if error.kind() == Some(ServerErrorKind::NoScript)
        );
        let answers = match has_script {
            true => answers,
            false => connection.send(&call("EVAL", self.script.source())).await?,
        };
        let is_left_out = |channel: &&Channel| channel.is_quiet;
        match Answer::of(&answers) {
            Answer::Sent(alone) => {
                let now = shared.subscriber().standing(std::iter::empty());
                if now.is_none_or(|(now, _)| now != standing) {
                    // This node counted itself among those who did not listen, and may have been
                    // wrong.
                    return Ok(plan.channels.iter().all(|channel| !channel.is_quiet));
                }
                shared.counts.unheard.fetch_add(unheard, Ordering::Relaxed);
                let others = plan.channels.iter().filter(|channel| !channel.is_quiet);
                for (channel, is_alone) in others.zip(alone) {
                    if is_alone && channel.has_events {
                        self.remember(&channel.name);
                    }
                }
                Ok(true)
            }
            Answer::Heard(heard) => {
                for (channel, is_heard) in plan.channels.iter().filter(is_left_out).zip(heard) {
                    if is_heard {
                        self.quiet.remove(&channel.name);
                    }
                }
                Ok(false)
            }
            Answer::Unknown => Ok(false),
        }
    }

    fn remember(&mut self, channel: &Arc<str>) {
        if self.quiet.len() >= MOST {
            // Those in use come back with their next message.
            self.quiet.clear();
        }
        self.quiet.insert(Arc::clone(channel));
    }
}

impl Answer {
    fn of(answers: &[Value]) -> Self {
        let [Value::BulkString(answer)] = answers else {
            return Self::Unknown;
        };
        let flags = |flags: &[u8]| flags.iter().map(|flag| *flag == b'1').collect();
        if let Some(alone) = answer.strip_prefix(b"sent ") {
            Self::Sent(flags(alone))
        } else if let Some(heard) = answer.strip_prefix(b"heard ") {
            Self::Heard(flags(heard))
        } else {
            Self::Unknown
        }
    }
}

/// Writes the arguments of the script. Returns how many messages nobody else listens to.
fn arguments(command: &mut Pipeline, plan: &Plan<'_>, mark: &str, own: &[bool]) -> u64 {
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
    command.arg(&*without).arg(&*with).arg(mark);
    for is_quiet in [true, false] {
        for channel in channels
            .iter()
            .filter(|channel| channel.is_quiet == is_quiet)
        {
            command.arg(&*channel.name);
        }
    }
    let mut text = String::new();
    plan.each(
        |channel| !channel.is_quiet,
        |payload, of_message| {
            text.clear();
            for place in of_message {
                let _ = write!(text, "{} ", places[*place]);
            }
            command.arg(payload).arg(&*text);
        },
    )
}
