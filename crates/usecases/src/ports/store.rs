//! What every store answers with.

/// Why a store did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// It is out of reach, full or too slow: try again. The outcome is unknown.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// It answered with something that should not be.
    #[error("internal: {0}")]
    Internal(String),
    /// The cursor is none that this store gave out. Nothing was done.
    #[error("the cursor is not one of ours")]
    BadCursor,
    /// The lease of this node has ended, so it must not write: nothing was done. Another node closed
    /// what this one held, or this node was started again.
    #[error("the node's lease has ended")]
    Fenced,
}

/// What a store answers with.
pub type StoreResult<T> = Result<T, StoreError>;

/// A page of something, with the key after which the next begins.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Where the next page begins, if there is one. Opaque to clients.
    pub next: Option<String>,
}
