//! A connection whose owner sees to its replacement.

use super::connect::{Plain, connect_plain, within};
use super::error::RedisResult;
use super::options::RedisOptions;
use redis::{Pipeline, Value};
use std::time::Duration;

/// A connection to one server without supervision, for pipelines whose order counts.
pub(crate) struct PlainConnection {
    plain: Plain,
    deadline: Duration,
}

impl PlainConnection {
    /// `attempt` chooses the node of a cluster.
    pub(crate) async fn connect(options: &RedisOptions, attempt: usize) -> RedisResult<Self> {
        Ok(Self {
            plain: connect_plain(options, attempt, None).await?,
            // A batch is larger than a command.
            deadline: options.command_deadline * 2,
        })
    }

    /// Sends a pipeline, and waits for all answers. After an error the connection is not used again:
    /// what was sent may still arrive.
    pub(crate) async fn send(&mut self, pipeline: &Pipeline) -> RedisResult<Vec<Value>> {
        let count = pipeline.len();
        within(self.deadline, async {
            Ok(self
                .plain
                .connection
                .send_packed_commands(pipeline, 0, count)
                .await?)
        })
        .await
    }
}
