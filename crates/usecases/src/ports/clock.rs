//! The clock.

use lamplight_domain::time::Now;

/// The wall clock and the monotonic clock.
pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> Now;
}
