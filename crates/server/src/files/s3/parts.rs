//! The parts of an upload in S3, as text in the `place` of its record.

use crate::files::bytes::StoreFailure;
use lamplight_domain::identity::FileId;
use object_store::path::Path as Place;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// S3 wants 5 MiB at least, of all parts but the last. Clients send requests of as many bytes.
const LEAST_PART: u64 = 8 << 20;
/// A part is in memory while it is sent.
const MOST_PART: u64 = 64 << 20;
/// Parts are larger rather than more than these.
const USUAL_PARTS: u64 = 1_000;
/// Each request may leave a number out, and processes that fail do.
const MOST_PARTS: u64 = 4_500;
/// S3 allows no more.
const MOST_NUMBER: u32 = 10_000;
/// The most bytes of a file.
pub(super) const MOST_BYTES: u64 = MOST_PARTS * MOST_PART;

/// The bytes of a part, by the size of its file: all parts have as many, except the last one.
pub(super) fn part_bytes(size: u64) -> u64 {
    size.div_ceil(USUAL_PARTS)
        .next_multiple_of(1 << 20)
        .clamp(LEAST_PART, MOST_PART)
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Parts {
    /// S3's id of the multipart upload. Noted before the first part, so that the sweep finds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) upload: Option<String>,
    /// The number and the ETag of each part.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) parts: Vec<(u32, String)>,
    /// The number of the next part, and the generation that may send it. Noted before that
    /// generation sends its first part: late parts of a fenced process have other numbers,
    /// and is no part of the file.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) next: u32,
    #[serde(skip_serializing_if = "is_none")]
    pub(super) sender: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tail: Option<Tail>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "by serde's signature")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "by serde's signature")]
fn is_none(generation: &u64) -> bool {
    *generation == 0
}

/// The bytes after the complete parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tail {
    /// The generation that wrote it. Part of its key, as its end is: a process that was fenced
    /// overwrites no tail of another one.
    pub(super) generation: u64,
    pub(super) bytes: u64,
}

impl Parts {
    pub(super) fn read(place: &str) -> Result<Self, StoreFailure> {
        if place.is_empty() {
            return Ok(Self::default());
        }
        // That of a directory, from which the server moved to S3.
        serde_json::from_str(place).map_err(|_| StoreFailure::Missing)
    }

    pub(super) fn write(&self) -> Arc<str> {
        serde_json::to_string(self).unwrap_or_default().into()
    }

    /// Where the tail begins.
    pub(super) fn base(&self, part: u64) -> u64 {
        self.parts.len() as u64 * part
    }

    /// Where it ends, unless the last part is a shorter one: then the file ends before.
    pub(super) fn end(&self, part: u64) -> u64 {
        self.base(part) + self.tail.as_ref().map_or(0, |tail| tail.bytes)
    }

    pub(super) fn tail_place(&self, id: &FileId, part: u64) -> Option<Place> {
        let tail = self.tail.as_ref()?;
        let name = format!("{}-{}", tail.generation, self.end(part));
        Some(tails(id).join(name))
    }

    /// Gives the next number to this generation.
    pub(super) fn take_number(&mut self, generation: u64) -> Result<(), StoreFailure> {
        self.next += 1;
        self.sender = generation;
        self.check_number()
    }

    /// Notes a part in memory that was sent under the next number.
    pub(super) fn add(&mut self, etag: String) {
        self.parts.push((self.next, etag));
        self.next += 1;
        self.tail = None;
    }

    /// S3 allows no further part numbers: the client restarts the upload.
    pub(super) fn check_number(&self) -> Result<(), StoreFailure> {
        if self.next > MOST_NUMBER {
            return Err(StoreFailure::Missing);
        }
        Ok(())
    }
}

/// Where the tails of an upload are.
pub(super) fn tails(id: &FileId) -> Place {
    Place::from_iter(["uploads", id.as_str()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_large_enough_and_not_too_many() {
        for size in [0, 1, 100_000_000, 50 << 30, 100 << 30, MOST_BYTES] {
            let part = part_bytes(size);
            assert!(part >= 5 << 20 && part.is_multiple_of(1 << 20));
            assert!(part <= 64 << 20, "in memory");
            assert!(size.div_ceil(part) <= MOST_PARTS, "{size}");
        }
        assert_eq!(part_bytes(1 << 30), LEAST_PART);
        assert!(
            MOST_PARTS * 2 < u64::from(MOST_NUMBER),
            "a request for each"
        );
        assert_eq!(part_bytes(u64::MAX), MOST_PART);
    }

    #[test]
    fn parts_round_trip_through_their_text() {
        let parts = Parts {
            upload: Some("u".into()),
            parts: vec![(1, "\"a\"".into()), (3, "\"b\"".into())],
            next: 4,
            sender: 3,
            tail: Some(Tail {
                generation: 3,
                bytes: 5,
            }),
        };
        assert_eq!(Parts::read(&parts.write()).unwrap(), parts);
        assert_eq!(Parts::read("").unwrap(), Parts::default());
        assert_eq!(&*Parts::default().write(), "{}");
        assert!(Parts::read("1:0").is_err(), "of a directory");
        assert_eq!(parts.end(10), 25);
        let place = parts.tail_place(&FileId::trusted("f"), 10).unwrap();
        assert_eq!(place.as_ref(), "uploads/f/3-25");
    }

    #[test]
    fn each_generation_has_numbers_of_its_own() {
        let mut first = Parts::default();
        first.take_number(1).unwrap();
        first.add("a".into());
        let mut second = first.clone();
        second.take_number(2).unwrap();
        assert_eq!((first.next, second.next, second.sender), (2, 3, 2));
        second.next = MOST_NUMBER;
        second.check_number().unwrap();
        assert!(second.take_number(3).is_err());
    }
}
