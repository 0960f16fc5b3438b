//! Bounds how long a use case waits for a store.

use crate::ports::StoreResult;
use crate::refusal::Refusal;
use crate::throttle::{self, Due};
use std::future::Future;
use std::time::Duration;

/// A store that has not answered after this long is unavailable.
pub const STORE_DEADLINE: Duration = Duration::from_secs(4);

/// Waits for a store, but no longer than [`STORE_DEADLINE`].
pub(crate) async fn store<T>(answer: impl Future<Output = StoreResult<T>>) -> Result<T, Refusal> {
    match tokio::time::timeout(STORE_DEADLINE, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(missed()),
    }
}

/// The refusal after a missed deadline; logs it.
pub(crate) fn missed() -> Refusal {
    if let Some(Due { left_out }) = throttle::due("store late", "", None) {
        tracing::warn!(
            left_out,
            "the store did not answer within {STORE_DEADLINE:?}"
        );
    }
    Refusal::unavailable()
}
