//! A file of which a bounded part is read.

use std::io::{Read, Seek, SeekFrom};

/// How many reads a look may take, and how many bytes they have all together.
const MOST_READS: u32 = 2_000;
const MOST_BYTES: usize = 1 << 20;

/// A file that is looked at.
pub(super) struct Source<R> {
    reader: R,
    /// The bytes of the file.
    pub(super) length: u64,
    reads: u32,
    bytes: usize,
}

impl<R: Read + Seek> Source<R> {
    pub(super) fn of(mut reader: R) -> Option<Self> {
        let length = reader.seek(SeekFrom::End(0)).ok()?;
        Some(Self {
            reader,
            length,
            reads: 0,
            bytes: 0,
        })
    }

    /// The bytes from an offset on, all of them; `None` past the end or past the bounds.
    pub(super) fn bytes<const N: usize>(&mut self, offset: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(offset, &mut bytes)?;
        Some(bytes)
    }

    /// At most so many bytes from an offset on, fewer at the end.
    pub(super) fn up_to(&mut self, offset: u64, most: usize) -> Option<Vec<u8>> {
        let there = usize::try_from(self.length.checked_sub(offset)?).unwrap_or(most);
        let mut bytes = vec![0; there.min(most)];
        self.fill(offset, &mut bytes)?;
        Some(bytes)
    }

    fn fill(&mut self, offset: u64, bytes: &mut [u8]) -> Option<()> {
        self.reads += 1;
        self.bytes += bytes.len();
        if self.reads > MOST_READS || self.bytes > MOST_BYTES {
            return None;
        }
        self.reader.seek(SeekFrom::Start(offset)).ok()?;
        self.reader.read_exact(bytes).ok()
    }
}

/// Big-endian numbers in bytes; `None` past their end.
pub(super) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    let part = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(part.try_into().ok()?))
}

pub(super) fn be64(bytes: &[u8], at: usize) -> Option<u64> {
    let part = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_be_bytes(part.try_into().ok()?))
}

/// A little-endian number in bytes; `None` past their end.
pub(super) fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    let part = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(part.try_into().ok()?))
}
