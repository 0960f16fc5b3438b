//! Results that all stores share.

/// Why a store did not do something.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The store is unreachable, full or too slow: try again. The outcome is unknown.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// The store is damaged, or there is a bug. The outcome is unknown.
    #[error("internal: {0}")]
    Internal(String),
    /// The cursor is not from an earlier page. Nothing was done.
    #[error("the cursor is not from an earlier page")]
    BadCursor,
    /// The lease of this node has ended, so it must not write: nothing was done. Another node closed
    /// what this one held, or this node was started again.
    #[error("the node's lease has ended")]
    Fenced,
}

pub type StoreResult<T> = Result<T, StoreError>;

/// A page of a list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// The cursor of the next page, if there is one. Opaque to clients.
    pub next: Option<String>,
}
