//! Background tasks that run as long as the process serves. If a task ends, by a panic or
//! otherwise, the process stops, and its supervisor restarts it: a process without the task would
//! be broken silently.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use std::any::Any;
use std::panic::AssertUnwindSafe;
use tokio::task::JoinSet;

/// A task that does not end by itself.
pub struct Task {
    name: &'static str,
    work: BoxFuture<'static, String>,
    begins_anew: bool,
}

impl Task {
    #[must_use]
    pub fn new(name: &'static str, work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self::that_may_fail(name, async move {
            work.await;
            "it ended".to_owned()
        })
    }

    /// A task that ends with a sentence if the process must stop.
    #[must_use]
    pub fn that_may_fail(
        name: &'static str,
        work: impl Future<Output = String> + Send + 'static,
    ) -> Self {
        Self {
            name,
            work: work.boxed(),
            begins_anew: false,
        }
    }

    /// A task that ends with a reason if the process must restart with empty caches.
    #[must_use]
    pub fn that_begins_anew(
        name: &'static str,
        work: impl Future<Output = String> + Send + 'static,
    ) -> Self {
        Self {
            begins_anew: true,
            ..Self::that_may_fail(name, work)
        }
    }
}

/// A task that ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the background task \"{name}\" ended: {cause}")]
pub struct TaskEnded {
    pub name: &'static str,
    pub cause: String,
    /// The same process can go on from its start.
    pub begins_anew: bool,
}

/// The running tasks. They are aborted when this is dropped.
#[derive(Default)]
pub struct Tasks(JoinSet<TaskEnded>);

impl Tasks {
    /// Starts tasks. To be called within a tokio runtime.
    pub fn start(&mut self, tasks: impl IntoIterator<Item = Task>) {
        for task in tasks {
            let (name, begins_anew) = (task.name, task.begins_anew);
            self.0.spawn(async move {
                let outcome = AssertUnwindSafe(task.work).catch_unwind().await;
                TaskEnded {
                    name,
                    begins_anew: begins_anew && outcome.is_ok(),
                    cause: outcome
                        .unwrap_or_else(|panic| format!("it panicked: {}", words(&*panic))),
                }
            });
        }
    }

    /// Resolves when a task ends.
    pub async fn ended(&mut self) -> TaskEnded {
        loop {
            match self.0.join_next().await {
                Some(Ok(ended)) => return ended,
                // Aborted: only the drop of this does that.
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }
}

fn words(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_or_ends_is_reported_by_name() {
        let mut tasks = Tasks::default();
        tasks.start([
            Task::new("waits", std::future::pending()),
            Task::new("panics", async { panic!("no {}", "more") }),
        ]);
        let ended = tasks.ended().await;
        assert_eq!(
            ended.to_string(),
            "the background task \"panics\" ended: it panicked: no more"
        );
        tasks.start([Task::new("ends", async {})]);
        assert_eq!(tasks.ended().await.name, "ends");
    }
}
