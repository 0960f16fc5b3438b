//! Cursors of the paged list.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lamplight_domain::identity::UserId;
use lamplight_usecases::ports::{StoreError, StoreResult};

/// A page continues after the last entry of the page before: its `since` and its user, because two
/// users may have the same `since`.
pub(super) fn write_cursor(since: u64, user: &UserId) -> String {
    URL_SAFE_NO_PAD.encode(format!("r{since}:{user}"))
}

pub(super) fn read_cursor(cursor: &str) -> StoreResult<(u64, UserId)> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    let read = |text: &str| {
        let (since, user) = text.strip_prefix('r')?.split_once(':')?;
        Some((since.parse().ok()?, UserId::parse(user).ok()?))
    };
    text.as_deref().and_then(read).ok_or(StoreError::BadCursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back() {
        for (since, id) in [(0, "a"), (u64::MAX, "b:c"), (7, "ü")] {
            let user = UserId::trusted(id);
            let read = read_cursor(&write_cursor(since, &user));
            assert_eq!(read.ok(), Some((since, user)));
        }
        for bad in ["", "-1", "!", "cjE", "MTph"] {
            assert!(
                matches!(read_cursor(bad), Err(StoreError::BadCursor)),
                "{bad}"
            );
        }
    }
}
