//! A small file next to the database, `lamplight.db.note`, which a copy of the database does not
//! include. By it a start recognises a database that went back in time, and a write-ahead log that
//! was written for another database.
//!
//! Nothing is lost without it, so frequent writes are not synced. A start that cannot trust it
//! checks the database instead.

use super::lock::{Lock, private, with_suffix};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;

const FIRST_LINE: &str = "Lamplight's note on the database beside it";
/// In bytes. A fixed length that fits into one sector, so that a write in place is atomic.
const LENGTH: usize = 512;

/// The state of the database at the last write of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sidecar {
    pub(crate) generation: String,
    /// Counts starts of the server.
    pub(crate) epoch: i64,
    /// Counts commits, roughly. The database always has this value or a higher one.
    pub(crate) changes: i64,
    /// An upper bound of the presence versions that were given out.
    pub(crate) presence: i64,
    /// The page of the database that holds the table `counters`.
    pub(crate) page: u64,
    /// The [`fingerprint`] of the database file without its write-ahead log.
    pub(crate) main: String,
    /// The lowest `changes` that the database file can have without its write-ahead log.
    pub(crate) main_changes: i64,
    /// A checkpoint is running, which changes the fingerprint.
    pub(crate) is_checkpointing: bool,
    /// The boot of the machine. After a power loss, writes that were not synced may be missing.
    pub(crate) boot: String,
}

/// The result of reading the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Missing,
    /// It is truncated, or another program's.
    Unreadable,
    Sidecar(Sidecar),
}

impl Sidecar {
    fn text(&self) -> String {
        let Self {
            generation,
            epoch,
            changes,
            presence,
            page,
            main,
            main_changes,
            is_checkpointing,
            boot,
        } = self;
        let mut text = format!(
            "{FIRST_LINE}\ngeneration {generation}\nepoch {epoch}\nchanges {changes}\npresence {presence}\npage {page}\nmain {main}\n\
             main_changes {main_changes}\nfolding {is_checkpointing}\nboot {boot}\n"
        );
        let sum = digest(&[text.as_bytes()]);
        let _ = writeln!(text, "sum {sum}");
        while text.len() < LENGTH {
            text.push('\n');
        }
        text
    }

    fn parse(text: &str) -> Option<Self> {
        let text = text.trim_end();
        let (body, sum) = text.rsplit_once('\n')?;
        if sum.strip_prefix("sum ")? != digest(&[body.as_bytes(), b"\n"]) {
            return None;
        }
        let mut lines = body.lines();
        if lines.next()? != FIRST_LINE {
            return None;
        }
        let values: HashMap<&str, &str> = lines.filter_map(|line| line.split_once(' ')).collect();
        Some(Self {
            generation: (*values.get("generation")?).to_owned(),
            epoch: values.get("epoch")?.parse().ok()?,
            changes: values.get("changes")?.parse().ok()?,
            presence: values.get("presence")?.parse().ok()?,
            page: values.get("page")?.parse().ok()?,
            main: (*values.get("main")?).to_owned(),
            main_changes: values.get("main_changes")?.parse().ok()?,
            is_checkpointing: values.get("folding")?.parse().ok()?,
            boot: (*values.get("boot")?).to_owned(),
        })
    }

    /// Reads the file of the database at `path`.
    pub(crate) fn read(path: &Path) -> Found {
        let mut text = String::new();
        match File::open(with_suffix(path, ".note"))
            .and_then(|file| file.take(4_096).read_to_string(&mut text))
        {
            Ok(_) => Self::parse(&text).map_or(Found::Unreadable, Found::Sidecar),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Found::Missing,
            Err(_) => Found::Unreadable,
        }
    }

    /// Writes the file and syncs it to the disk.
    pub(crate) fn save(&self, path: &Path) -> io::Result<SidecarFile> {
        let path = with_suffix(path, ".note");
        let mut file = SidecarFile(
            private(OpenOptions::new().create(true).truncate(false).write(true)).open(&path)?,
        );
        file.write(self)?;
        file.0.sync_all()?;
        if let Some(directory) = path.parent() {
            File::open(directory)?.sync_all()?;
        }
        Ok(file)
    }
}

/// The open file, for further writes.
pub(crate) struct SidecarFile(File);

impl SidecarFile {
    pub(crate) fn write(&mut self, sidecar: &Sidecar) -> io::Result<()> {
        self.0.rewind()?;
        self.0.write_all(sidecar.text().as_bytes())
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

fn digest(parts: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher
        .finalize()
        .iter()
        .take(16)
        .fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// Distinguishes a database file from copies of its earlier and later states: a digest of its
/// length, its first page (the header and the roots of its tables), and the page with the counters,
/// one of which changes before each write of this file.
pub(crate) fn fingerprint(lock: &Lock, page: u64) -> io::Result<String> {
    Ok(digest(&[
        &lock.len()?.to_be_bytes(),
        &lock.read_at(0, 4_096)?,
        &page_of(lock, page)?,
    ]))
}

/// A database file whose fingerprint differs from the recorded one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MainFile {
    /// The same database after a checkpoint by another program, such as SQLite's shell or a backup
    /// tool. The page holds its counters.
    Checkpointed(u64),
    /// A copy of an earlier state, or another database.
    Foreign,
}

/// The number of pages in which the counters are looked for: VACUUM puts the roots of the tables at
/// the beginning of the file.
const ROOTS: u64 = 1_000;

/// Classifies a database file whose fingerprint differs from the recorded one.
pub(crate) fn compare(lock: &Lock, sidecar: &Sidecar) -> io::Result<MainFile> {
    for page in std::iter::once(sidecar.page).chain(2..ROOTS) {
        let bytes = page_of(lock, page)?;
        if bytes.is_empty() && page != sidecar.page {
            break;
        }
        let counters = counters(&bytes);
        let counter = |name: &str| counters.get(name).copied();
        if counter("copy").is_none()
            && matches!((counter("epoch"), counter("changes")), (Some(epoch), Some(changes)) if epoch == sidecar.epoch && changes >= sidecar.main_changes)
        {
            return Ok(MainFile::Checkpointed(page));
        }
    }
    Ok(MainFile::Foreign)
}

/// The rows of the table `counters`, parsed from its only page: a leaf of an index (see "The B-tree
/// Pages" in SQLite's file format) whose records have a text and an integer. Other records are
/// skipped.
fn counters(page: &[u8]) -> HashMap<String, i64> {
    let mut found = HashMap::new();
    if page.first() != Some(&0x0a) {
        return found;
    }
    let two = |at: usize| {
        page.get(at..at + 2)
            .map(|bytes| usize::from(u16::from_be_bytes([bytes[0], bytes[1]])))
    };
    for cell in 0..two(3).unwrap_or(0).min(1_000) {
        // The payload's length, the header's length, and the two types: each below 128, and so of
        // one byte.
        let record = two(8 + 2 * cell).and_then(|at| page.get(at..));
        let Some([_, 3, text, number, rest @ ..]) = record else {
            continue;
        };
        let length = usize::from(text.saturating_sub(13) / 2);
        let Some((name, rest)) = rest.split_at_checked(length) else {
            continue;
        };
        let width = match number {
            8 | 9 => 0,
            1..=4 => usize::from(*number),
            5 => 6,
            6 => 8,
            _ => continue,
        };
        let Some(bytes) = rest.get(..width) else {
            continue;
        };
        let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
        let value = bytes
            .iter()
            .fold(if negative { -1 } else { 0 }, |value: i64, byte| {
                value << 8 | i64::from(*byte)
            });
        let value = if width == 0 {
            i64::from(number - 8)
        } else {
            value
        };
        found.insert(String::from_utf8_lossy(name).into_owned(), value);
    }
    found
}

fn page_of(lock: &Lock, page: u64) -> io::Result<Vec<u8>> {
    let size = lock.read_at(16, 2)?;
    let size = size
        .first_chunk()
        .map_or(0, |size| u64::from(u16::from_be_bytes(*size)));
    // 1 means 65,536, which does not fit into two bytes.
    let size = if size == 1 { 65_536 } else { size };
    lock.read_at(
        page.saturating_sub(1) * size,
        usize::try_from(size).unwrap_or(0),
    )
}

/// The id of this machine's boot, empty where the system does not say.
pub(crate) fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}

/// Whether a write-ahead log was written for the database next to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WalOrigin {
    /// There is no log, or an empty one.
    Empty,
    Ours,
    /// It is not known.
    Doubtful,
    /// It was written for another database.
    Foreign,
}

impl WalOrigin {
    /// Examines the database at `path` before SQLite opens it.
    pub(crate) fn determine(path: &Path, lock: &Lock, found: &Found) -> Self {
        // The header alone takes 32 bytes.
        if std::fs::metadata(with_suffix(path, "-wal")).map_or(0, |log| log.len()) <= 32 {
            return Self::Empty;
        }
        let Found::Sidecar(sidecar) = found else {
            return Self::Doubtful;
        };
        if fingerprint(lock, sidecar.page).is_ok_and(|main| main == sidecar.main) {
            return Self::Ours;
        }
        // The last write of the file may not have reached the disk before a power loss.
        let may_be_stale =
            sidecar.is_checkpointing || sidecar.boot.is_empty() || sidecar.boot != boot();
        match compare(lock, sidecar) {
            Ok(MainFile::Foreign) if !may_be_stale => Self::Foreign,
            _ => Self::Doubtful,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_round_trips_and_a_truncated_one_is_refused() {
        let sidecar = Sidecar {
            generation: "8f0c".into(),
            epoch: 3,
            changes: 7,
            main: "00ff".into(),
            main_changes: 6,
            is_checkpointing: true,
            ..Sidecar::default()
        };
        let text = sidecar.text();
        assert_eq!(text.len(), LENGTH);
        assert_eq!(
            Sidecar::parse(&text),
            Some(Sidecar {
                boot: String::new(),
                ..sidecar
            })
        );
        assert_eq!(
            Sidecar::parse(&text.replace("changes 7", "changes 8")),
            None
        );
        assert_eq!(Sidecar::parse(&text[..100]), None);
        assert_eq!(Sidecar::parse(""), None);
    }

    #[test]
    fn counters_match_those_of_sqlite() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let conn = rusqlite::Connection::open(file.path()).unwrap();
        conn.execute_batch("CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID").unwrap();
        let values = [
            0,
            1,
            2,
            127,
            128,
            300,
            -1,
            -300,
            70_000,
            20_000_000,
            5_000_000_000,
            1 << 50,
            i64::MAX,
            i64::MIN,
        ];
        for (number, value) in values.into_iter().enumerate() {
            conn.execute(
                "INSERT INTO counters VALUES (?1, ?2)",
                rusqlite::params![format!("counter {number}"), value],
            )
            .unwrap();
        }
        let bytes = std::fs::read(file.path()).unwrap();
        let found = counters(&bytes[4_096..8_192]);
        for (number, value) in values.into_iter().enumerate() {
            assert_eq!(found.get(&format!("counter {number}")), Some(&value));
        }
        assert_eq!(found.len(), values.len());
        assert_eq!(counters(&bytes[..4_096]), HashMap::new(), "another page");
        assert_eq!(
            counters(&[0x0a, 0, 0, 0, 9, 0, 0, 0, 0xff, 0xff]),
            HashMap::new()
        );
    }
}
