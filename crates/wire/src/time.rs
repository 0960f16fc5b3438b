//! Times on the wire: RFC 3339 in UTC with milliseconds.

use lamplight_domain::time::Timestamp;

/// `2026-11-24T03:34:51.000Z`. A time outside the calendar is written as the nearest one inside.
#[must_use]
pub fn format(at: Timestamp) -> String {
    let instant = jiff::Timestamp::from_millisecond(at.0).unwrap_or(if at.0 < 0 {
        jiff::Timestamp::MIN
    } else {
        jiff::Timestamp::MAX
    });
    format!("{instant:.3}")
}

/// Reads an RFC 3339 time with any offset.
#[must_use]
pub fn parse(text: &str) -> Option<Timestamp> {
    let read = |text: &str| text.parse::<jiff::Timestamp>().ok();
    let instant = read(text).or_else(|| {
        // Clients write "for ever" as the end of the calendar, which is past the last representable
        // instant.
        let rest = text.strip_prefix("9999-12-3")?;
        read(&format!("9998-12-3{rest}")).map(|_| jiff::Timestamp::MAX)
    });
    instant.map(|instant| Timestamp(instant.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_milliseconds_and_z() {
        assert_eq!(format(Timestamp(0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(
            format(Timestamp(1_764_000_000_120)),
            "2025-11-24T16:00:00.120Z"
        );
        assert_eq!(
            parse("2025-11-24T17:00:00.12+01:00"),
            Some(Timestamp(1_764_000_000_120))
        );
        assert_eq!(parse("tomorrow"), None);
        assert_eq!(
            parse("9999-12-31T23:59:59Z"),
            Some(Timestamp(jiff::Timestamp::MAX.as_millisecond()))
        );
        assert_eq!(parse("9999-12-32T23:59:59Z"), None);
        assert!(!format(Timestamp(i64::MAX)).is_empty());
    }
}
