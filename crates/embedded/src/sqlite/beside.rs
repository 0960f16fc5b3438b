//! A small file beside the database, which a copy of the database does not bring along. It tells a
//! database that went back in time, and a write-ahead log that belongs to another database than the
//! one it lies beside.
//!
//! Nothing is lost without it, so it is not synced when it is written often; what is in doubt then
//! is settled by looking.

use super::lock::{Lock, beside, private};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;

const FIRST_LINE: &str = "Lamplight's note on the database beside it";
/// Always this long, so that it is written in place and in one sector.
const LENGTH: usize = 512;

/// What is noted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Note {
    /// The store's generation.
    pub(crate) generation: String,
    /// Its start.
    pub(crate) epoch: i64,
    /// Its count of changes, which is in the database first.
    pub(crate) changes: i64,
    /// No presence version above this was told.
    pub(crate) presence: i64,
    /// The page of the database that has the counters.
    pub(crate) page: u64,
    /// What the database file has without its write-ahead log: see [`fingerprint`].
    pub(crate) main: String,
    /// The count of changes in that.
    pub(crate) main_changes: i64,
    /// The log is being folded into the file, which changes what it has.
    pub(crate) folding: bool,
    /// The boot of the machine, whose end loses what is not synced.
    pub(crate) boot: String,
}

/// What was found beside a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Nothing,
    /// It was cut off, or is none of ours.
    Unreadable,
    Note(Note),
}

impl Note {
    fn text(&self) -> String {
        let Self {
            generation,
            epoch,
            changes,
            presence,
            page,
            main,
            main_changes,
            folding,
            boot,
        } = self;
        let mut text = format!(
            "{FIRST_LINE}\ngeneration {generation}\nepoch {epoch}\nchanges {changes}\npresence {presence}\npage {page}\nmain {main}\n\
             main_changes {main_changes}\nfolding {folding}\nboot {boot}\n"
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
            folding: values.get("folding")?.parse().ok()?,
            boot: (*values.get("boot")?).to_owned(),
        })
    }

    /// What is noted beside the database at `path`.
    pub(crate) fn read(path: &Path) -> Found {
        let mut text = String::new();
        match File::open(beside(path, ".note"))
            .and_then(|file| file.take(4_096).read_to_string(&mut text))
        {
            Ok(_) => Self::parse(&text).map_or(Found::Unreadable, Found::Note),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Found::Nothing,
            Err(_) => Found::Unreadable,
        }
    }

    /// Writes it through to the disk.
    pub(crate) fn keep(&self, path: &Path) -> io::Result<NoteFile> {
        let path = beside(path, ".note");
        let mut file = NoteFile(
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

/// The file, to be written again.
pub(crate) struct NoteFile(File);

impl NoteFile {
    pub(crate) fn write(&mut self, note: &Note) -> io::Result<()> {
        self.0.rewind()?;
        self.0.write_all(note.text().as_bytes())
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

/// What tells a database file from a copy of an earlier or later state: its length, its first page
/// (the header and the roots of its tables), and the page with the counters, one of which moves
/// with every note.
pub(crate) fn fingerprint(lock: &Lock, page: u64) -> io::Result<String> {
    Ok(digest(&[
        &lock.len()?.to_be_bytes(),
        &lock.read_at(0, 4_096)?,
        &page_of(lock, page)?,
    ]))
}

/// What a database file that is not as it was noted can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Other {
    /// The same, into which somebody else has folded the log: SQLite's shell does so, and programs
    /// that make backups. Its counters are in this page.
    Later(u64),
    /// A copy of an earlier state, or something else.
    Foreign,
}

/// How many pages are looked through for the counters: a database that is vacuumed has its tables'
/// roots at its beginning.
const ROOTS: u64 = 1_000;

/// Compares a database file that is not as it was noted with the note.
pub(crate) fn compare(lock: &Lock, note: &Note) -> io::Result<Other> {
    for page in std::iter::once(note.page).chain(2..ROOTS) {
        let bytes = page_of(lock, page)?;
        if bytes.is_empty() && page != note.page {
            break;
        }
        let counters = counters(&bytes);
        let counter = |name: &str| counters.get(name).copied();
        if counter("copy").is_none()
            && matches!((counter("epoch"), counter("changes")), (Some(epoch), Some(changes)) if epoch == note.epoch && changes >= note.main_changes)
        {
            return Ok(Other::Later(page));
        }
    }
    Ok(Other::Foreign)
}

/// The names and values of the table of counters, read from the one page that it has: a leaf of an
/// index (see "The B-tree Pages" in SQLite's file format), with a text and a whole number in each
/// record. What is not that is left out.
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
    // 1 stands for 65,536, which two bytes cannot hold.
    let size = if size == 1 { 65_536 } else { size };
    lock.read_at(
        page.saturating_sub(1) * size,
        usize::try_from(size).unwrap_or(0),
    )
}

/// The boot of this machine; empty where it cannot be known.
pub(crate) fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}

/// How far a write-ahead log that lies beside a database can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Log {
    /// There is none, or nothing in it.
    Empty,
    /// The database is the one that it was written for.
    Ours,
    /// The database may be another than the one that it was written for.
    Doubtful,
    /// The database is another one.
    Foreign,
}

impl Log {
    /// Looks at the database at `path` as it was left. Nothing may have opened it by SQLite.
    pub(crate) fn look(path: &Path, lock: &Lock, found: &Found) -> Self {
        // A header without a frame holds nothing.
        if std::fs::metadata(beside(path, "-wal")).map_or(0, |log| log.len()) <= 32 {
            return Self::Empty;
        }
        let Found::Note(note) = found else {
            return Self::Doubtful;
        };
        if fingerprint(lock, note.page).is_ok_and(|main| main == note.main) {
            return Self::Ours;
        }
        // What is noted may not have reached the disk before the power went.
        let may_be_stale = note.folding || note.boot.is_empty() || note.boot != boot();
        match compare(lock, note) {
            Ok(Other::Foreign) if !may_be_stale => Self::Foreign,
            _ => Self::Doubtful,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_reads_back_and_a_cut_one_does_not() {
        let note = Note {
            generation: "8f0c".into(),
            epoch: 3,
            changes: 7,
            main: "00ff".into(),
            main_changes: 6,
            folding: true,
            ..Note::default()
        };
        let text = note.text();
        assert_eq!(text.len(), LENGTH);
        assert_eq!(
            Note::parse(&text),
            Some(Note {
                boot: String::new(),
                ..note
            })
        );
        assert_eq!(Note::parse(&text.replace("changes 7", "changes 8")), None);
        assert_eq!(Note::parse(&text[..100]), None);
        assert_eq!(Note::parse(""), None);
    }

    #[test]
    fn counters_are_read_as_sqlite_wrote_them() {
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
