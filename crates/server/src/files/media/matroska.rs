//! WebM (RFC 8794 and RFC 9559): `Info` has the duration, `Tracks` how large a video is shown.

use super::source::Source;
use super::summary::Media;
use lamplight_domain::file::Dimensions;
use std::io::{Read, Seek};

const SEGMENT: u64 = 0x1853_8067;
const CLUSTER: u64 = 0x1f43_b675;
const INFO: u64 = 0x1549_a966;
const SCALE: u64 = 0x2a_d7b1;
const DURATION: u64 = 0x4489;
const TRACKS: u64 = 0x1654_ae6b;
const TRACK: u64 = 0xae;
const VIDEO: u64 = 0xe0;
const WIDTH: u64 = 0xb0;
const HEIGHT: u64 = 0xba;
const SHOWN_WIDTH: u64 = 0x54b0;
const SHOWN_HEIGHT: u64 = 0x54ba;
/// Of the shown size: 0 for pixels.
const SHOWN_UNIT: u64 = 0x54b2;

/// An element: its id, and where its content begins and ends.
#[derive(Clone, Copy)]
struct Element {
    id: u64,
    start: u64,
    end: u64,
}

/// A number of variable length in front of some bytes, and how many of them it has. `None` where it
/// has more than 8, or the bytes end.
fn number(bytes: &[u8], with_marker: bool) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
    let length = first.leading_zeros() as usize + 1;
    let rest = bytes.get(1..length).filter(|_| length <= 8)?;
    let marker = if with_marker { 0 } else { 0x80 >> (length - 1) };
    let begin = u64::from(first & !marker);
    let value = rest
        .iter()
        .fold(begin, |value, byte| value << 8 | u64::from(*byte));
    Some((value, length))
}

/// The element at an offset of a range. An element of unknown size takes the rest of the range.
fn element<R: Read + Seek>(source: &mut Source<R>, at: u64, end: u64) -> Option<Element> {
    let head = source.up_to(at, 12).filter(|_| at < end)?;
    let (id, id_bytes) = number(&head, true).filter(|(_, bytes)| *bytes <= 4)?;
    let (size, size_bytes) = number(head.get(id_bytes..)?, false)?;
    let start = at.checked_add((id_bytes + size_bytes) as u64)?;
    let is_unknown = size == (1 << (7 * size_bytes)) - 1;
    let end = if is_unknown {
        end
    } else {
        start.checked_add(size)?.min(end)
    };
    (start <= end).then_some(Element { id, start, end })
}

/// Passes each element of a range to `look`, until it says that it has enough.
fn each<R: Read + Seek>(
    source: &mut Source<R>,
    of: Element,
    mut look: impl FnMut(&mut Source<R>, Element) -> bool,
) {
    let mut at = of.start;
    while let Some(element) = element(source, at, of.end) {
        if look(source, element) {
            return;
        }
        at = element.end;
    }
}

#[derive(Default)]
struct Found {
    /// Nanoseconds of a unit.
    scale: Option<u64>,
    /// In units.
    duration: f64,
    dimensions: Option<Dimensions>,
}

pub(super) fn look<R: Read + Seek>(source: &mut Source<R>) -> Option<Media> {
    let mut found = Found::default();
    let whole = Element {
        id: 0,
        start: 0,
        end: source.length,
    };
    each(source, whole, |source, element| {
        if element.id == SEGMENT {
            segment(source, element, &mut found);
        }
        element.id == SEGMENT
    });
    let millis = found.duration * found.scale.unwrap_or(1_000_000) as f64 / 1e6;
    // NaN and negative numbers become 0.
    Some(Media {
        dimensions: found.dimensions,
        duration_ms: Some(millis as u64),
    })
}

fn segment<R: Read + Seek>(source: &mut Source<R>, of: Element, found: &mut Found) {
    each(source, of, |source, element| {
        match element.id {
            INFO => each(source, element, |source, element| {
                match element.id {
                    SCALE => found.scale = unsigned(source, element),
                    DURATION => found.duration = float(source, element).unwrap_or(0.0),
                    _ => {}
                }
                false
            }),
            TRACKS => each(source, element, |source, track| {
                if track.id == TRACK {
                    each(source, track, |source, element| {
                        if element.id == VIDEO && found.dimensions.is_none() {
                            found.dimensions = video(source, element);
                        }
                        false
                    });
                }
                false
            }),
            _ => {}
        }
        // Both precede the clusters, which may have an unknown size.
        element.id == CLUSTER
    });
}

fn video<R: Read + Seek>(source: &mut Source<R>, of: Element) -> Option<Dimensions> {
    let (mut coded, mut shown, mut unit) = ((None, None), (None, None), 0);
    each(source, of, |source, element| {
        let slot = match element.id {
            WIDTH => &mut coded.0,
            HEIGHT => &mut coded.1,
            SHOWN_WIDTH => &mut shown.0,
            SHOWN_HEIGHT => &mut shown.1,
            SHOWN_UNIT => {
                unit = unsigned(source, element).unwrap_or(1);
                return false;
            }
            _ => return false,
        };
        *slot = unsigned(source, element).and_then(|value| u32::try_from(value).ok());
        false
    });
    let shown = if unit == 0 { shown } else { (None, None) };
    Some(Dimensions {
        width: shown.0.or(coded.0)?,
        height: shown.1.or(coded.1)?,
    })
}

fn unsigned<R: Read + Seek>(source: &mut Source<R>, of: Element) -> Option<u64> {
    let length = usize::try_from(of.end - of.start)
        .ok()
        .filter(|length| *length <= 8)?;
    let bytes = source.up_to(of.start, length)?;
    Some(
        bytes
            .iter()
            .fold(0, |value, byte| value << 8 | u64::from(*byte)),
    )
}

fn float<R: Read + Seek>(source: &mut Source<R>, of: Element) -> Option<f64> {
    match of.end - of.start {
        4 => Some(f32::from_be_bytes(source.bytes(of.start)?).into()),
        8 => Some(f64::from_be_bytes(source.bytes(of.start)?)),
        _ => None,
    }
}
