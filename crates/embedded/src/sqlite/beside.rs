//! A small file beside the database, which a copy of the database does not bring along. It tells a database that went back in
//! time, and a write-ahead log that belongs to another database than the one it lies beside.
//!
//! Nothing is lost without it, so it is not synced when it is written often; what is in doubt then is settled by looking.

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
        let Self { generation, epoch, changes, presence, page, main, folding, boot } = self;
        let mut text = format!(
            "{FIRST_LINE}\ngeneration {generation}\nepoch {epoch}\nchanges {changes}\npresence {presence}\npage {page}\nmain {main}\n\
             folding {folding}\nboot {boot}\n"
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
            folding: values.get("folding")?.parse().ok()?,
            boot: (*values.get("boot")?).to_owned(),
        })
    }

    /// What is noted beside the database at `path`.
    pub(crate) fn read(path: &Path) -> Found {
        let mut text = String::new();
        match File::open(beside(path, ".note")).and_then(|file| file.take(4_096).read_to_string(&mut text)) {
            Ok(_) => Self::parse(&text).map_or(Found::Unreadable, Found::Note),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Found::Nothing,
            Err(_) => Found::Unreadable,
        }
    }

    /// Writes it through to the disk.
    pub(crate) fn keep(&self, path: &Path) -> io::Result<NoteFile> {
        let path = beside(path, ".note");
        let mut file = NoteFile(private(OpenOptions::new().create(true).truncate(false).write(true)).open(&path)?);
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
    hasher.finalize().iter().take(16).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What tells a database file from a copy of an earlier or later state: its length, its first page (the header and the roots of its
/// tables), and the page with the counters, one of which moves with every note.
pub(crate) fn fingerprint(lock: &Lock, page: u64) -> io::Result<String> {
    let first = lock.read_at(0, 4_096)?;
    let page_size = first.get(16..18).map_or(0, |size| u64::from(u16::from_be_bytes([size[0], size[1]])));
    // 1 stands for 65,536, which two bytes cannot hold.
    let page_size = if page_size == 1 { 65_536 } else { page_size };
    let counters = lock.read_at(page.saturating_sub(1) * page_size, usize::try_from(page_size).unwrap_or(0))?;
    Ok(digest(&[&lock.len()?.to_be_bytes(), &first, &counters]))
}

/// The boot of this machine; empty where it cannot be known.
pub(crate) fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
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
        let Found::Note(note) = found else { return Self::Doubtful };
        if fingerprint(lock, note.page).is_ok_and(|main| main == note.main) {
            return Self::Ours;
        }
        let may_be_stale = note.folding || note.boot.is_empty() || note.boot != boot();
        if may_be_stale { Self::Doubtful } else { Self::Foreign }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_reads_back_and_a_cut_one_does_not() {
        let note = Note { generation: "8f0c".into(), epoch: 3, changes: 7, main: "00ff".into(), folding: true, ..Note::default() };
        let text = note.text();
        assert_eq!(text.len(), LENGTH);
        assert_eq!(Note::parse(&text), Some(Note { boot: String::new(), ..note }));
        assert_eq!(Note::parse(&text.replace("changes 7", "changes 8")), None);
        assert_eq!(Note::parse(&text[..100]), None);
        assert_eq!(Note::parse(""), None);
    }
}
