//! Sends files to the operator's scanner (`FILE_SCAN_URL`). A file cannot be downloaded before the
//! scanner has accepted it. The records are the queue: they survive a restart, and each has a lease, so
//! that one node scans each file and another node continues if it dies.

use super::bytes::StoreFailure;
use super::store::FileStore;
use crate::config::FileScanSettings;
use crate::http_client::{self, Bounds, ClientError};
use crate::metrics;
use ::http::Uri;
use futures_util::TryStreamExt as _;
use http_body_util::StreamBody;
use hyper::body::Frame;
use lamplight_domain::file::{FileState, StoredFile};
use lamplight_usecases::ports::{DeletedFile, FileBytes as _, FileScan, StoreError};
use lamplight_usecases::throttle::{self, Due};
use lamplight_usecases::{Code, Handler, Refusal};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Files that one node sends at a time.
const AT_ONCE: usize = 4;
/// The lease of a file: another node takes the file after this time, unless the first one renews
/// the lease.
const LEASE: Duration = Duration::from_secs(30);
/// The pause between two looks for files, unless an upload ends meanwhile.
const PAUSE: Duration = Duration::from_secs(1);
/// The pause after the first failure; it doubles with each, up to the longest.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(600);
/// The most bytes of an answer.
const MOST_ANSWER: usize = 64 << 10;

/// The operator's scanner.
#[derive(Clone)]
pub(crate) struct Scanner {
    pub(crate) url: Uri,
    /// How long it may take for one file.
    pub(crate) timeout: Duration,
}

impl From<&FileScanSettings> for Scanner {
    fn from(settings: &FileScanSettings) -> Self {
        Self {
            url: settings.url.clone(),
            timeout: settings.timeout,
        }
    }
}

/// The answer of a scanner.
#[derive(Deserialize)]
struct Answer {
    verdict: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Clean,
    Blocked,
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScanError {
    #[error("the bytes: {0}")]
    Bytes(#[from] StoreFailure),
    #[error("{0}")]
    NoAnswer(String),
    #[error("the scanner answered {0}, not 200 with {{\"verdict\": \"clean\"}} or \"blocked\"")]
    Answer(String),
    #[error("the store: {}", .0.message)]
    Store(Refusal),
    #[error("the bytes could not be deleted: {0}")]
    Left(#[from] StoreError),
}

impl From<ClientError> for ScanError {
    fn from(error: ClientError) -> Self {
        Self::NoAnswer(error.to_string())
    }
}

impl Scanner {
    /// Asks about bytes, which are sent as they are read.
    pub(crate) async fn ask<S, E>(
        &self,
        size: u64,
        about: &[(&'static str, &str)],
        bytes: S,
    ) -> Result<Verdict, ScanError>
    where
        S: futures_util::Stream<Item = Result<bytes::Bytes, E>> + Send + 'static,
        E: std::error::Error + Send + Sync + 'static,
    {
        let length = size.to_string();
        let mut headers = vec![
            ("content-type", "application/octet-stream"),
            ("content-length", length.as_str()),
        ];
        headers.extend_from_slice(about);
        let bounds = Bounds {
            time: self.timeout,
            bytes: MOST_ANSWER,
        };
        let body = StreamBody::new(bytes.map_ok(Frame::data));
        let answer = http_client::post_stream(&self.url, &headers, body, bounds).await?;
        let text = answer.text();
        let shown = || {
            let text: String = text.chars().take(200).collect();
            ScanError::Answer(format!("{} {text:?}", answer.status.as_u16()))
        };
        if answer.status != ::http::StatusCode::OK {
            return Err(shown());
        }
        let read: Result<Answer, _> = serde_json::from_str(&text);
        read.map(|answer| answer.verdict).map_err(|_| shown())
    }
}

/// The task that sends files.
pub(crate) struct Scans {
    pub(crate) handler: Arc<Handler>,
    pub(crate) store: Arc<FileStore>,
    pub(crate) scanner: Scanner,
    /// An upload ended.
    pub(crate) wake: Arc<Notify>,
}

impl Scans {
    /// Sends files for as long as it is polled.
    pub(crate) async fn run(self) {
        let this = Arc::new(self);
        let mut running = JoinSet::new();
        let mut waiting = VecDeque::new();
        let mut pause = interval(PAUSE);
        pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            while running.len() < AT_ONCE
                && let Some(scan) = waiting.pop_front()
            {
                let this = Arc::clone(&this);
                running.spawn(async move { this.scan(scan).await });
            }
            tokio::select! {
                Some(_) = running.join_next() => {}
                _ = pause.tick() => {}
                () = this.wake.notified() => {}
            }
            let free = AT_ONCE.saturating_sub(running.len());
            if free == 0 {
                continue;
            }
            match this.handler.files().claim_scans(LEASE, free).await {
                Ok(scans) => waiting.extend(scans),
                Err(refusal) => report("the files to scan could not be read", &refusal.message),
            }
        }
    }

    async fn scan(&self, scan: FileScan) {
        let files = self.handler.files();
        let began = Instant::now();
        let work = self.decide(&scan.file);
        tokio::pin!(work);
        let mut renewal = interval(LEASE / 3);
        renewal.reset();
        let outcome = loop {
            tokio::select! {
                outcome = &mut work => break outcome,
                _ = renewal.tick() => {
                    // Another node may take the file where this fails; both get the same answer.
                    let _ = files.renew_scan(&scan.file.file.id, LEASE).await;
                }
            }
        };
        let name = match &outcome {
            Ok(FileState::Deleted) => return,
            Ok(state) => state.as_str(),
            Err(error) => {
                report(
                    "a file was not scanned; it is sent again",
                    &error.to_string(),
                );
                let pause = retry_after(scan.failures);
                let _ = files.scan_later(&scan.file.file.id, pause).await;
                "error"
            }
        };
        if scan.file.state == FileState::Processing {
            metrics::scanned(name, began.elapsed());
        }
    }

    /// Gets a verdict and stores it, and deletes the bytes of refused files.
    async fn decide(&self, file: &StoredFile) -> Result<FileState, ScanError> {
        let files = self.handler.files();
        let id = &file.file.id;
        let mut state = file.state;
        if state == FileState::Processing {
            let verdict = self.ask(file).await?;
            state = match verdict {
                Verdict::Clean => FileState::Ready,
                Verdict::Blocked => FileState::Blocked,
            };
            match files.scanned(file, state).await {
                Ok(()) => {}
                // It was deleted meanwhile, and the sweep has its bytes.
                Err(refusal) if refusal.code == Code::NotFound => return Ok(FileState::Deleted),
                Err(refusal) => return Err(ScanError::Store(refusal)),
            }
        }
        if state != FileState::Ready {
            let deleted = DeletedFile {
                id: id.clone(),
                generation: file.generation,
                place: Arc::clone(&file.place),
            };
            self.store.delete(&deleted).await?;
            files.scan_is_over(id).await.map_err(ScanError::Store)?;
        }
        Ok(state)
    }

    async fn ask(&self, file: &StoredFile) -> Result<Verdict, ScanError> {
        let id = &file.file.id;
        let bytes = self.store.read(id, None).await?;
        let name = utf8_percent_encode(&file.file.name, NON_ALPHANUMERIC).to_string();
        let about = [
            ("x-file-id", id.as_str()),
            ("x-file-name", name.as_str()),
            ("x-file-type", &*file.file.media_type),
        ];
        self.scanner.ask(file.file.size, &about, bytes).await
    }
}

/// The pause before the next attempt after so many failures.
fn retry_after(failures: u32) -> Duration {
    FIRST_RETRY
        .saturating_mul(1_u32.checked_shl(failures.min(20)).unwrap_or(u32::MAX))
        .min(LONGEST_RETRY)
}

fn report(what: &str, cause: &str) {
    if let Some(Due { left_out }) = throttle::due("file scan", cause, None) {
        tracing::warn!(cause, left_out, "{what}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_the_longest() {
        let pauses: Vec<u64> = (0..12)
            .map(|failures| retry_after(failures).as_secs())
            .collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
        assert_eq!(retry_after(u32::MAX), LONGEST_RETRY);
    }

    #[test]
    fn only_a_valid_reply_of_the_scanner_is_a_verdict() {
        let read = |text: &str| {
            serde_json::from_str::<Answer>(text)
                .ok()
                .map(|of| of.verdict)
        };
        assert_eq!(read("{\"verdict\":\"clean\"}"), Some(Verdict::Clean));
        assert_eq!(
            read("{\"verdict\":\"blocked\",\"why\":\"x\"}"),
            Some(Verdict::Blocked)
        );
        for other in [
            "",
            "clean",
            "{}",
            "{\"verdict\":\"Clean\"}",
            "{\"verdict\":true}",
            "[]",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
