//! Movie fragments (ISO/IEC 14496-12, 8.8): a file that was written while it was recorded has its samples in
//! fragments, and no duration in its header. The last fragment says when its samples begin.

use super::super::source::{Source, be32, be64};
use super::super::summary::millis;
use super::boxes::{Part, each};
use std::io::{Read, Seek};

/// A run has no more bytes than this: 16,000 samples of a fragment.
const LONGEST_RUN: usize = 1 << 18;

/// A track of the movie.
#[derive(Clone, Copy, Default)]
pub(super) struct Track {
    pub(super) id: u32,
    /// Units a second.
    pub(super) scale: u32,
    /// The duration of samples that do not give theirs, from `trex`.
    pub(super) sample_duration: u32,
}

/// When the samples of a `moof` end, in milliseconds.
pub(super) fn end<R: Read + Seek>(
    source: &mut Source<R>,
    fragment: Part,
    tracks: &[Track],
) -> Option<u64> {
    let mut last = None;
    each(source, fragment.start, fragment.end, |source, part| {
        if part.kind == *b"traf" {
            last = last.max(end_of_track(source, part, tracks));
        }
    });
    last
}

fn end_of_track<R: Read + Seek>(
    source: &mut Source<R>,
    traf: Part,
    tracks: &[Track],
) -> Option<u64> {
    let (mut track, mut begin, mut duration) = (None, None, 0_u64);
    each(source, traf.start, traf.end, |source, part| {
        match &part.kind {
            b"tfhd" => track = track_of(source, part, tracks),
            b"tfdt" => begin = time(source, part),
            b"trun" => {
                let each_sample = track.map_or(0, |track: Track| track.sample_duration);
                let run = duration_of_run(source, part, each_sample);
                duration = duration.saturating_add(run.unwrap_or(0));
            }
            _ => {}
        }
    });
    millis(begin?.checked_add(duration)?, track?.scale.into())
}

/// The track that `tfhd` names, with the duration that it gives for samples.
fn track_of<R: Read + Seek>(source: &mut Source<R>, part: Part, tracks: &[Track]) -> Option<Track> {
    let bytes = source.up_to(part.start, 28)?;
    let (flags, id) = (be32(&bytes, 0)?, be32(&bytes, 4)?);
    let track = tracks.iter().find(|track| track.id == id)?;
    let before = [(0x1, 8), (0x2, 4)];
    let at = before.iter().filter(|(flag, _)| flags & flag != 0);
    let at = 8 + at.map(|(_, bytes)| bytes).sum::<usize>();
    let sample_duration = if flags & 0x8 == 0 {
        track.sample_duration
    } else {
        be32(&bytes, at)?
    };
    Some(Track {
        sample_duration,
        ..*track
    })
}

/// The decode time of `tfdt`.
fn time<R: Read + Seek>(source: &mut Source<R>, part: Part) -> Option<u64> {
    let bytes = source.up_to(part.start, 12)?;
    match bytes.first()? {
        0 => Some(be32(&bytes, 4)?.into()),
        1 => be64(&bytes, 4),
        _ => None,
    }
}

/// The duration of the samples of a `trun`.
fn duration_of_run<R: Read + Seek>(
    source: &mut Source<R>,
    part: Part,
    sample_duration: u32,
) -> Option<u64> {
    let length = usize::try_from(part.end - part.start).ok()?;
    let bytes = source.up_to(part.start, length.min(LONGEST_RUN))?;
    let (flags, count) = (be32(&bytes, 0)?, be32(&bytes, 4)?);
    if flags & 0x100 == 0 {
        return u64::from(count).checked_mul(sample_duration.into());
    }
    let fields = |flags: u32| flags.count_ones() as usize * 4;
    let head = 8 + fields(flags & 0x5);
    let samples = bytes.get(head..)?.chunks_exact(fields(flags & 0xf00));
    let durations = samples.take(count as usize).map(|sample| be32(sample, 0));
    durations
        .flatten()
        .map(u64::from)
        .try_fold(0, u64::checked_add)
}
