//! The metadata of a media file.

use lamplight_domain::file::Dimensions;

/// The metadata that a file's headers contain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Media {
    /// Of a video, as it is shown.
    pub(in super::super) dimensions: Option<Dimensions>,
    pub(in super::super) duration_ms: Option<u64>,
}

/// `count` of `rate` a second, in milliseconds.
pub(super) fn millis(count: u64, rate: u64) -> Option<u64> {
    let exact = u128::from(count) * 1_000;
    u64::try_from(exact.checked_div(u128::from(rate))?).ok()
}
