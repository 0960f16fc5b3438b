//! The boxes of a file (ISO/IEC 14496-12, 4.2).

use super::super::source::{Source, be32};
use std::io::{Read, Seek};

/// A box: its type, and where its content begins and ends.
#[derive(Clone, Copy)]
pub(super) struct Part {
    pub(super) kind: [u8; 4],
    pub(super) start: u64,
    pub(super) end: u64,
}

/// The box at an offset of a range; `None` at its end, or where it does not fit.
fn part<R: Read + Seek>(source: &mut Source<R>, at: u64, end: u64) -> Option<Part> {
    let head: [u8; 8] = source.bytes(at).filter(|_| at.saturating_add(8) <= end)?;
    let kind = [head[4], head[5], head[6], head[7]];
    let (header, size) = match be32(&head, 0)? {
        0 => (8, end.checked_sub(at)?),
        1 => (16, u64::from_be_bytes(source.bytes(at.checked_add(8)?)?)),
        size => (8, u64::from(size)),
    };
    // A box ends after its header at least, so that the next one is further on.
    let part = Part {
        kind,
        start: at.checked_add(header)?,
        end: at.checked_add(size)?.min(end),
    };
    (part.start <= part.end).then_some(part)
}

/// Passes each box of a range to `look`.
pub(super) fn each<R: Read + Seek>(
    source: &mut Source<R>,
    start: u64,
    end: u64,
    mut look: impl FnMut(&mut Source<R>, Part),
) {
    let mut at = start;
    while let Some(part) = part(source, at, end) {
        look(source, part);
        at = part.end;
    }
}
