//! A component of the backends: its health for operators, and its background work.

use crate::metrics::Gauges;
use crate::tasks::Task;
use async_trait::async_trait;

/// How well a part works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    Working,
    /// The node serves with limits: the name of the affected part, for `/readyz`, and the cause,
    /// for the log.
    Degraded {
        part: &'static str,
        cause: String,
    },
    /// The node cannot serve, for this cause.
    Down(String),
}

/// A store, a presence store or a bus of this node. Its calls do not fail: each logs what it could
/// not do.
#[async_trait]
pub trait Component: Send + Sync + 'static {
    /// Answers within a few seconds, even if servers are unreachable.
    async fn condition(&self) -> Condition {
        Condition::Working
    }

    /// Sets the gauges that come from this part.
    fn measure(&self, gauges: &mut Gauges);

    /// The tasks that it needs for as long as the process serves.
    fn tasks(&self) -> Vec<Task> {
        Vec::new()
    }

    /// Waits for a bounded time until it knows what other nodes know. Its tasks run.
    async fn warm_up(&self) {}

    /// The process stops: called before the use cases write collected marks.
    async fn leave(&self) {}

    /// Called after the last write, in the reverse order of the start.
    async fn close(&self) {}
}
