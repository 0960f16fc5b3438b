//! The scanner of files (`FILE_SCAN_URL`): whether it answers, and as Lamplight expects.

use super::finding::{Finding, Report};
use crate::config::Config;
use crate::files::{Scanner, Verdict};
use bytes::Bytes;
use std::convert::Infallible;

/// Harmless to every scanner.
const SAMPLE: &[u8] = b"lamplight doctor";

pub(super) async fn check(config: &Config, report: &mut Report) {
    let Some(settings) = &config.file_scan else {
        return;
    };
    let sample = futures_util::stream::iter([Ok::<_, Infallible>(Bytes::from_static(SAMPLE))]);
    let about = [
        ("x-file-id", "doctor"),
        ("x-file-name", "doctor%2Etxt"),
        ("x-file-type", "text/plain"),
    ];
    let asked = Scanner::from(settings);
    let verdict = asked.ask(SAMPLE.len() as u64, &about, sample).await;
    report.add(match verdict {
        Ok(Verdict::Clean) => Finding::good("scanner", "reports a harmless text as clean"),
        Ok(Verdict::Blocked) => Finding::warn(
            "scanner",
            "LL-130",
            "the scanner blocks a harmless text",
            "{\"verdict\": \"clean\"}",
            "Look into the scanner's log: it may block everything.",
        ),
        Err(why) => Finding::fail(
            "scanner",
            "LL-130",
            &why.to_string(),
            "200 with {\"verdict\": \"clean\"} to a POST of a text",
            "Start the service at FILE_SCAN_URL, or correct the address; until it answers, every new file waits.",
        ),
    });
}
