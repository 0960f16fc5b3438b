//! The machine: its files, its disk, its port, its clock.

use super::finding::{Finding, Level, Report};
use super::target::{BOUNDS, is_lamplight, reachable};
use crate::config::Config;
use crate::http_client;
use crate::jwt::FUTURE_LEEWAY;
use lamplight_domain::time::Timestamp;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};
use tokio::time::Instant;

/// Files that are not connections: the database, its journal, the log, the listener.
const FILES_BESIDES: u64 = 64;
/// Below this many connections a busy day is likely to meet the limit.
const FEW_CONNECTIONS: u64 = 4_000;
/// Free space under which the start is a risk, and under which it is refused.
const LITTLE_SPACE: u64 = 1 << 30;
const NO_SPACE: u64 = 100 << 20;
const MAKE_SPACE: &str =
    "Free some space, or set DATA_DIR to another disk. A full disk refuses messages.";
/// A message waits for the disk; longer than this and people feel it.
const SLOW_DISK: Duration = Duration::from_millis(100);
/// 2026-01-01: a clock before it was never set.
const BEFORE_LAMPLIGHT: Timestamp = Timestamp(1_767_225_600_000);

/// The limit on open files, which is what bounds connections.
pub(super) fn files(config: &Config, report: &mut Report) {
    match rlimit::getrlimit(rlimit::Resource::NOFILE) {
        // The server raises the soft limit to the hard one by itself.
        Ok((_, hard)) => report.add(judge_files(hard, config.limit_connections as u64)),
        Err(error) => report.add(Finding::note(
            "files",
            &format!("the limit on open files cannot be read: {error}"),
        )),
    }
}

pub(super) fn judge_files(hard: u64, limit_connections: u64) -> Finding {
    let room = hard.saturating_sub(FILES_BESIDES);
    let seen = format!("{hard} open files are allowed here, which is about {room} connections");
    let fix = "Raise it where the server is started: LimitNOFILE=65536 in its systemd unit, --ulimit nofile=65536 for a container, or `ulimit -Hn 65536`.";
    if room < limit_connections {
        return Finding::fail(
            "files",
            "LL-115",
            &seen,
            &format!(
                "room for at least LIMIT_CONNECTIONS ({limit_connections}) from a single address"
            ),
            fix,
        );
    }
    if room < FEW_CONNECTIONS {
        return Finding::warn(
            "files",
            "LL-115",
            &seen,
            &format!("room for {FEW_CONNECTIONS}: each tab of each person is a connection"),
            fix,
        );
    }
    Finding::good(
        "files",
        &if hard >= u64::MAX / 2 {
            "open files are not limited".to_owned()
        } else {
            seen
        },
    )
}

/// The nearest directory that is there: the data directory itself, or where it would be made.
pub(super) fn existing(data_dir: &Path) -> PathBuf {
    let found = data_dir
        .ancestors()
        .find(|path| !path.as_os_str().is_empty() && path.exists())
        .unwrap_or(Path::new("."));
    std::path::absolute(found).unwrap_or_else(|_| found.to_owned())
}

/// Whether the data directory can be written to, how fast, and how much fits. `false` where the
/// database need not be tried, since it would fail for the same reason.
pub(super) fn data_dir(config: &Config, now: Timestamp, report: &mut Report) -> bool {
    let directory = existing(&config.data_dir);
    let shown = directory.display();
    if !directory.is_dir() {
        let seen = format!("{shown} is not a directory");
        report.add(Finding::fail(
            "data",
            "",
            &seen,
            "a directory, or nothing yet",
            "Set DATA_DIR to a directory.",
        ));
        return false;
    }
    match write_there(&directory) {
        Ok((took, written)) => {
            let not_yet = if config.data_dir.exists() {
                ""
            } else {
                " (the data directory will be made in it)"
            };
            report.add(if took > SLOW_DISK {
                let seen = format!("{shown} takes {took:?} to keep 4 KiB");
                Finding::warn(
                    "data",
                    "",
                    &seen,
                    "under 100ms, since every message waits for it",
                    "Put DATA_DIR on a local disk.",
                )
            } else {
                Finding::good(
                    "data",
                    &format!("{shown} can be written to in {took:?}{not_yet}"),
                )
            });
            report
                .findings
                .extend(written.and_then(|written| judge_disk_clock(written, now)));
        }
        Err(error) => {
            report.add(judge_write(&error, &directory));
            return false;
        }
    }
    match rustix::fs::statvfs(&directory) {
        Ok(disk) => {
            let space = judge_space(disk.f_bavail.saturating_mul(disk.f_frsize), &directory);
            let fits = space.level != Level::Fail;
            report.add(space);
            fits
        }
        Err(error) => {
            report.add(Finding::note(
                "space",
                &format!("free space cannot be read: {error}"),
            ));
            true
        }
    }
}

/// Why nothing can be written: it is full, which no change of owners mends, or it is not this
/// user's.
pub(super) fn judge_write(error: &io::Error, directory: &Path) -> Finding {
    let seen = format!("{} cannot be written to: {error}", directory.display());
    let is_full = matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    );
    let fix = if is_full {
        MAKE_SPACE
    } else {
        "Let the user that runs Lamplight write there (chown it, or the volume that is mounted there), or set DATA_DIR elsewhere."
    };
    Finding::fail("data", "", &seen, "a directory that can be written to", fix)
}

fn judge_disk_clock(written: Timestamp, now: Timestamp) -> Option<Finding> {
    let apart = now.0.abs_diff(written.0);
    (apart > FUTURE_LEEWAY.as_millis() as u64).then(|| {
        let seen = format!(
            "a file written now is {}s from this machine's time",
            apart / 1_000
        );
        Finding::warn(
            "clock",
            "LL-109",
            &seen,
            "the same time on the disk's machine as here",
            "Set both clocks by NTP.",
        )
    })
}

pub(super) fn judge_space(free: u64, directory: &Path) -> Finding {
    let seen = format!("{} MiB are free at {}", free >> 20, directory.display());
    match free {
        ..NO_SPACE => Finding::fail("space", "", &seen, "at least 100 MiB", MAKE_SPACE),
        NO_SPACE..LITTLE_SPACE => {
            Finding::warn("space", "", &seen, "at least 1024 MiB", MAKE_SPACE)
        }
        _ => Finding::good("space", &seen),
    }
}

/// Writes a small file, syncs and deletes it: how long that took, and the file's modification time.
fn write_there(directory: &Path) -> io::Result<(Duration, Option<Timestamp>)> {
    let mut file = tempfile_in(directory)?;
    let start = Instant::now();
    let outcome = file
        .1
        .write_all(&[0; 4_096])
        .and_then(|()| file.1.sync_all());
    let took = start.elapsed();
    let written = file
        .1
        .metadata()
        .and_then(|metadata| metadata.modified())
        .ok();
    let written = written
        .and_then(|at| at.duration_since(UNIX_EPOCH).ok())
        .and_then(|since| since.as_millis().try_into().ok())
        .map(Timestamp);
    let removed = std::fs::remove_file(&file.0);
    outcome.and(removed).map(|()| (took, written))
}

fn tempfile_in(directory: &Path) -> io::Result<(PathBuf, std::fs::File)> {
    let path = directory.join(format!(".lamplight-doctor-{}", std::process::id()));
    let file = std::fs::File::options()
        .write(true)
        .create_new(true)
        .open(&path)?;
    Ok((path, file))
}

/// The owner of the port.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Port {
    /// The port is free, or its owner is unknown.
    Open,
    /// Lamplight.
    Ours,
    /// Another program, or it is no port of this machine: no server of ours is to be found there.
    Lost,
}

/// Whether the port is free, or Lamplight's already.
pub(super) async fn port(config: &Config, report: &mut Report) -> Port {
    let listen = config.listen;
    let Err(error) = tokio::net::TcpListener::bind(listen).await else {
        report.add(Finding::good("port", &format!("{listen} is free")));
        return Port::Open;
    };
    let seen = format!("{listen} cannot be listened on: {error}");
    let (port, finding) = match error.kind() {
        io::ErrorKind::AddrInUse => {
            let url = format!("http://{}/healthz", reachable(listen));
            let answer = match url.parse() {
                Ok(url) => http_client::get(&url, &[], BOUNDS).await.ok(),
                Err(_) => None,
            };
            if answer.is_some_and(|answer| is_lamplight(&answer)) {
                (
                    Port::Ours,
                    Finding::good("port", &format!("{listen} is served by Lamplight already")),
                )
            } else {
                let port = listen.port();
                let fix = format!(
                    "Stop the other program (`ss -ltnp 'sport = :{port}'` names it), or set LISTEN to another port."
                );
                let seen = format!("{listen} is taken by another program");
                (
                    Port::Lost,
                    Finding::fail("port", "", &seen, "a free port, or Lamplight on it", &fix),
                )
            }
        }
        io::ErrorKind::PermissionDenied => {
            let fix = "Listen on a port from 1024 on, behind a proxy.";
            (
                Port::Open,
                Finding::fail(
                    "port",
                    "",
                    &seen,
                    "a port that this user may listen on",
                    fix,
                ),
            )
        }
        io::ErrorKind::AddrNotAvailable => {
            let fix = "Set LISTEN to 127.0.0.1, 0.0.0.0 or one of its addresses.";
            (
                Port::Lost,
                Finding::fail("port", "", &seen, "an address of this machine", fix),
            )
        }
        _ => (
            Port::Lost,
            Finding::fail(
                "port",
                "",
                &seen,
                "an address to listen on",
                "Set LISTEN to another address.",
            ),
        ),
    };
    report.add(finding);
    port
}

/// Whether the clock was ever set.
pub(super) fn clock(now: Timestamp, report: &mut Report) {
    let seen = format!("it is {}", lamplight_wire::time::format(now));
    report.add(if now < BEFORE_LAMPLIGHT {
        Finding::fail(
            "clock",
            "LL-109",
            &seen,
            "a clock that was set",
            "Set the clock by NTP; every token would be refused as from the future.",
        )
    } else {
        Finding::good("clock", &seen)
    });
}

/// Compares this machine's clock with the `Date` that another sent.
pub(super) fn compare_clocks(date: &str, whose: &str, now: Timestamp, report: &mut Report) {
    let theirs = httpdate::parse_http_date(date)
        .ok()
        .and_then(|date| date.duration_since(UNIX_EPOCH).ok());
    let Some(theirs) = theirs.and_then(|since| i64::try_from(since.as_millis()).ok()) else {
        return;
    };
    let apart = now.0.abs_diff(theirs) / 1_000;
    if apart > FUTURE_LEEWAY.as_secs() {
        let seen = format!("this clock and that of {whose} are {apart}s apart");
        let expected = format!(
            "at most {}s, which is what a token from the future is allowed",
            FUTURE_LEEWAY.as_secs()
        );
        report.add(Finding::warn(
            "clock",
            "LL-109",
            &seen,
            &expected,
            "Set both clocks by NTP (`timedatectl set-ntp true`).",
        ));
    }
}
