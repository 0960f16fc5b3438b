//! The clock.

use lamplight_domain::time::Now;

/// Both clocks.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Now;
}
