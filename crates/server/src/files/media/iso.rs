//! MP4 and QuickTime (ISO/IEC 14496-12): `mvhd` has the duration, or `mehd` where the file is in
//! fragments, and `tkhd` how large a track is shown.

use super::source::{Source, be32, be64};
use super::summary::{Media, millis};
use lamplight_domain::file::Dimensions;
use std::io::{Read, Seek};

/// A box: its type, and where its content begins and ends.
#[derive(Clone, Copy)]
struct Part {
    kind: [u8; 4],
    start: u64,
    end: u64,
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
fn each<R: Read + Seek>(
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

#[derive(Default)]
struct Found {
    /// Units a second.
    scale: u32,
    duration: u64,
    dimensions: Option<Dimensions>,
}

pub(super) fn look<R: Read + Seek>(source: &mut Source<R>) -> Option<Media> {
    let mut found = Found::default();
    let length = source.length;
    each(source, 0, length, |source, part| {
        if part.kind == *b"moov" && found.scale == 0 {
            movie(source, part, &mut found);
        }
    });
    let duration = found.duration;
    Some(Media {
        dimensions: found.dimensions,
        duration_ms: millis(duration, found.scale.into()),
    })
}

fn movie<R: Read + Seek>(source: &mut Source<R>, movie: Part, found: &mut Found) {
    each(source, movie.start, movie.end, |source, part| {
        match &part.kind {
            b"mvhd" => {
                if let Some((scale, duration)) = header(source, part) {
                    (found.scale, found.duration) = (scale, duration.max(found.duration));
                }
            }
            b"mvex" => each(source, part.start, part.end, |source, part| {
                if part.kind == *b"mehd" {
                    let duration = number(source, part);
                    found.duration = duration.unwrap_or(0).max(found.duration);
                }
            }),
            b"trak" if found.dimensions.is_none() => found.dimensions = track(source, part),
            _ => {}
        }
    });
}

/// The units a second and the duration of `mvhd`.
fn header<R: Read + Seek>(source: &mut Source<R>, part: Part) -> Option<(u32, u64)> {
    let bytes = source.up_to(part.start, 32)?;
    let (scale, duration) = match bytes.first()? {
        0 => (be32(&bytes, 12)?, known(be32(&bytes, 16)?)),
        1 => (be32(&bytes, 20)?, be64(&bytes, 24)?),
        _ => return None,
    };
    Some((scale, if duration == u64::MAX { 0 } else { duration }))
}

/// All ones say that it is not known.
fn known(duration: u32) -> u64 {
    if duration == u32::MAX {
        0
    } else {
        duration.into()
    }
}

/// The duration of `mehd`.
fn number<R: Read + Seek>(source: &mut Source<R>, part: Part) -> Option<u64> {
    let bytes = source.up_to(part.start, 12)?;
    match bytes.first()? {
        0 => Some(known(be32(&bytes, 4)?)),
        1 => be64(&bytes, 4),
        _ => None,
    }
}

/// How large a track of video is shown.
fn track<R: Read + Seek>(source: &mut Source<R>, track: Part) -> Option<Dimensions> {
    let (mut is_video, mut size) = (false, None);
    each(source, track.start, track.end, |source, part| {
        match &part.kind {
            b"tkhd" => size = shown(source, part),
            b"mdia" => each(source, part.start, part.end, |source, part| {
                if part.kind == *b"hdlr" {
                    let kind = source.bytes::<12>(part.start);
                    is_video |= kind.is_some_and(|head| head[8..] == *b"vide");
                }
            }),
            _ => {}
        }
    });
    size.filter(|_| is_video)
}

/// From `tkhd`: 16.16 numbers, after a matrix that may turn it by a quarter.
fn shown<R: Read + Seek>(source: &mut Source<R>, part: Part) -> Option<Dimensions> {
    let bytes = source.up_to(part.start, 96)?;
    let matrix = if *bytes.first()? == 1 { 52 } else { 40 };
    let width = be32(&bytes, matrix + 36)? >> 16;
    let height = be32(&bytes, matrix + 40)? >> 16;
    let is_turned = be32(&bytes, matrix)? == 0 && be32(&bytes, matrix + 4)? != 0;
    Some(if is_turned {
        Dimensions {
            width: height,
            height: width,
        }
    } else {
        Dimensions { width, height }
    })
}
