//! Cursors of the paged list.

use lamplight_usecases::ports::{StoreError, StoreResult};

/// A page continues after the `since` of the last entry of the page before, in base 36.
pub(super) fn write_cursor(mut since: u64) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(char::from_digit((since % 36) as u32, 36).unwrap_or('0'));
        since /= 36;
        if since == 0 {
            return digits.into_iter().rev().collect();
        }
    }
}

pub(super) fn read_cursor(cursor: &str) -> StoreResult<u64> {
    u64::from_str_radix(cursor, 36).map_err(|_| StoreError::BadCursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back() {
        for since in [0, 35, 36, u64::MAX] {
            assert_eq!(read_cursor(&write_cursor(since)).ok(), Some(since));
        }
        for bad in ["", "-1", "!", "3w5e11264sgsg"] {
            assert!(
                matches!(read_cursor(bad), Err(StoreError::BadCursor)),
                "{bad}"
            );
        }
    }
}
