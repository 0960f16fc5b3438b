//! The items of the writer thread's queue.

use super::batch::Batch;
use lamplight_usecases::ports::{StoreError, StoreResult};
use tokio::sync::oneshot;

/// The durability that a write's answer waits for. A commit waits for the strongest of its items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Durability {
    /// The commit, whose sync may follow: with the next synced commit, at the latest after a few
    /// quiet seconds. A crash of the process loses nothing. A power loss can lose such a write, but
    /// only together with all that was written after it.
    Deferred,
    /// The sync to the disk.
    Synced,
}

/// Work in a transaction. It can run twice: a batch that fails is repeated item by item.
pub(crate) trait Work: Send {
    fn durability(&self) -> Durability;
    fn run(&mut self, batch: &mut Batch<'_>) -> rusqlite::Result<()>;
    /// Answers, after the commit or after the failure.
    fn finish(self: Box<Self>, outcome: Result<(), StoreError>);
}

/// A closure whose result a caller waits for.
pub(crate) struct Call<T, F> {
    durability: Durability,
    work: F,
    result: Option<T>,
    reply: oneshot::Sender<StoreResult<T>>,
}

impl<T, F> Call<T, F> {
    pub(crate) fn new(
        durability: Durability,
        work: F,
    ) -> (Self, oneshot::Receiver<StoreResult<T>>) {
        let (reply, answer) = oneshot::channel();
        (
            Self {
                durability,
                work,
                result: None,
                reply,
            },
            answer,
        )
    }
}

impl<T: Send, F: FnMut(&mut Batch<'_>) -> rusqlite::Result<T> + Send> Work for Call<T, F> {
    fn durability(&self) -> Durability {
        self.durability
    }

    fn run(&mut self, batch: &mut Batch<'_>) -> rusqlite::Result<()> {
        self.result = Some((self.work)(batch)?);
        Ok(())
    }

    fn finish(self: Box<Self>, outcome: Result<(), StoreError>) {
        let answer = match (outcome, self.result) {
            (Ok(()), Some(result)) => Ok(result),
            (Ok(()), None) => Err(StoreError::Internal(
                "the writer left something undone".into(),
            )),
            (Err(error), _) => Err(error),
        };
        // The caller may have stopped waiting.
        drop(self.reply.send(answer));
    }
}

pub(crate) enum Job {
    Work(Box<dyn Work>),
    Stop,
}
