use super::*;
use std::io::Cursor;

fn of(bytes: &[u8], media_type: &str) -> Media {
    look(Cursor::new(bytes), media_type)
}

fn sound(duration_ms: u64) -> Media {
    Media {
        dimensions: None,
        duration_ms: Some(duration_ms),
    }
}

fn video(width: u32, height: u32, duration_ms: Option<u64>) -> Media {
    Media {
        dimensions: Some(Dimensions { width, height }),
        duration_ms,
    }
}

fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// A box of MP4.
fn part(kind: &[u8], content: &[u8]) -> Vec<u8> {
    let size = u32::try_from(content.len() + 8).unwrap().to_be_bytes();
    join(&[&size, kind, content])
}

/// Numbers of 32 bits.
fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn tkhd(width: u32, height: u32, is_turned: bool) -> Vec<u8> {
    let one: u32 = 0x1_0000;
    let matrix = if is_turned {
        [0, one, 0, one.wrapping_neg(), 0, 0, 0, 0, 0x4000_0000]
    } else {
        [one, 0, 0, 0, one, 0, 0, 0, 0x4000_0000]
    };
    let head = [0, 0, 0, 1, 0, 5_000, 0, 0, 0, 0];
    let content = [&head[..], &matrix, &[width << 16, height << 16]].concat();
    part(b"tkhd", &words(&content))
}

fn trak(kind: &[u8; 4], tkhd: &[u8]) -> Vec<u8> {
    let hdlr = part(b"hdlr", &join(&[&[0; 8], kind, &[0; 13]]));
    part(b"trak", &join(&[tkhd, &part(b"mdia", &hdlr)]))
}

fn mvhd(scale: u32, duration: u32) -> Vec<u8> {
    part(b"mvhd", &words(&[0, 0, 0, scale, duration, 0, 0]))
}

/// A video of 12.5 s, with sound, whose header comes after 40,000 bytes of it.
fn mp4(is_turned: bool) -> Vec<u8> {
    let moov = join(&[
        &mvhd(600, 7_500),
        &trak(b"soun", &tkhd(0, 0, false)),
        &trak(b"vide", &tkhd(1_920, 1_080, is_turned)),
    ]);
    join(&[
        &part(b"ftyp", b"isom\0\0\0\0isom"),
        &part(b"mdat", &[7; 40_000]),
        &part(b"moov", &moov),
    ])
}

/// An element of WebM with a size of 4 bytes.
fn element(id: &[u8], content: &[u8]) -> Vec<u8> {
    let size = u32::try_from(content.len()).unwrap() | 0x1000_0000;
    join(&[id, &size.to_be_bytes(), content])
}

fn webm(duration: Option<f64>) -> Vec<u8> {
    let duration = duration.map(|of| element(b"\x44\x89", &of.to_be_bytes()));
    let scale = element(b"\x2a\xd7\xb1", &[0x0f, 0x42, 0x40]);
    let info = join(&[&scale, &duration.unwrap_or_default()]);
    let size = [element(b"\xb0", &[2, 128]), element(b"\xba", &[1, 224])].concat();
    let tracks = [
        element(b"\xae", &element(b"\x86", b"A_OPUS")),
        element(b"\xae", &element(b"\xe0", &size)),
    ];
    let inside = join(&[
        &element(b"\x15\x49\xa9\x66", &info),
        &element(b"\x16\x54\xae\x6b", &tracks.concat()),
        // A cluster of unknown size, as recorders write it.
        b"\x1f\x43\xb6\x75\x01\xff\xff\xff\xff\xff\xff\xff",
        &[9; 40_000],
    ]);
    let segment = join(&[b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff", &inside]);
    join(&[
        &element(b"\x1a\x45\xdf\xa3", &element(b"\x42\x82", b"webm")),
        &segment,
    ])
}

fn wav(data: u32, there: usize) -> Vec<u8> {
    let mut fmt = vec![1, 0, 2, 0];
    fmt.extend(44_100_u32.to_le_bytes());
    fmt.extend(176_400_u32.to_le_bytes());
    fmt.extend([4, 0, 16, 0]);
    let chunk = |id: &[u8], size: u32| join(&[id, &size.to_le_bytes()]);
    join(&[
        b"RIFF\0\0\0\0WAVE",
        &chunk(b"LIST", 3),
        b"abc\0",
        &chunk(b"fmt ", 16),
        &fmt,
        &chunk(b"data", data),
        &vec![0; there],
    ])
}

fn flac(samples: u64) -> Vec<u8> {
    let mut bytes = b"fLaC\0\0\0\x22".to_vec();
    bytes.extend([0; 10]);
    bytes.extend((44_100 << 44 | samples).to_be_bytes());
    bytes.extend([0; 40_000]);
    bytes
}

fn page(position: i64, serial: u32, packet: &[u8]) -> Vec<u8> {
    join(&[
        b"OggS\0\0",
        &position.to_le_bytes(),
        &serial.to_le_bytes(),
        &[0; 8],
        &[1, u8::try_from(packet.len()).unwrap()],
        packet,
    ])
}

fn opus(last: i64) -> Vec<u8> {
    let head = join(&[b"OpusHead\x01\x02", &312_u16.to_le_bytes(), &[0; 7]]);
    join(&[
        &page(0, 1, &head),
        &page(48_000, 1, &[0; 200]),
        &[1; 80_000],
        &page(last, 1, &[0; 200]),
        // Of another stream, and one on which no packet ends.
        &page(9_999_999_999, 2, &[0; 9]),
        &page(-1, 1, &[0; 9]),
    ])
}

/// MPEG 1, layer 3, 44,100 samples a second: a frame with this index of its bit rate.
fn frame(bitrate: u8, bytes: usize, inside: &[u8]) -> Vec<u8> {
    let mut frame = vec![0xff, 0xfb, bitrate << 4, 0];
    frame.extend(inside);
    frame.resize(bytes, 0);
    frame
}

/// With a tag in front, and 100 frames of 128 kilobits a second.
fn mp3(first: &[u8]) -> Vec<u8> {
    let tag = join(&[b"ID3\x04\0\0\0\0\x01\x00", &[0; 128]]);
    join(&[&tag, first, &frame(9, 417, &[]).repeat(100)])
}

fn xing(frames: u32) -> Vec<u8> {
    frame(
        5,
        208,
        &join(&[&[0; 32], b"Xing\0\0\0\x01", &frames.to_be_bytes()]),
    )
}

#[test]
fn durations_and_sizes_come_from_the_headers() {
    assert_eq!(
        of(&mp4(false), "video/mp4"),
        video(1_920, 1_080, Some(12_500))
    );
    assert_eq!(
        of(&mp4(true), "video/mp4"),
        video(1_080, 1_920, Some(12_500))
    );
    assert_eq!(of(&mp4(false), "audio/mp4"), sound(12_500));
    assert_eq!(
        of(&webm(Some(3_250.4)), "video/webm"),
        video(640, 480, Some(3_250))
    );
    assert_eq!(of(&webm(None), "video/webm"), video(640, 480, None));
    assert_eq!(of(&webm(Some(3_250.4)), "audio/webm"), sound(3_250));
    assert_eq!(of(&wav(352_800, 352_800), "audio/wav"), sound(2_000));
    assert_eq!(of(&flac(44_100 * 3), "audio/flac"), sound(3_000));
    assert_eq!(of(&opus(48_000 * 5 + 312), "audio/ogg"), sound(5_000));
    // 100 frames of 417 bytes at 128 kilobits a second.
    assert_eq!(of(&mp3(&[]), "audio/mpeg"), sound(2_606));
    assert_eq!(of(&mp3(&xing(1_000)), "audio/mpeg"), sound(26_122));
}

#[test]
fn a_fragmented_video_has_its_duration_in_another_box() {
    let mehd = part(b"mvex", &part(b"mehd", &words(&[0, 4_500])));
    let moov = part(b"moov", &join(&[&mvhd(1_000, 0), &mehd]));
    let bytes = join(&[&moov, &[0; 9_000]]);
    assert_eq!(of(&bytes, "video/mp4").duration_ms, Some(4_500));
}

/// A recording of a track of 48,000 units a second: a header without a duration, and fragments of one second.
fn recording(fragments: u32, runs: &dyn Fn(u32) -> Vec<u8>) -> Vec<u8> {
    let tkhd = part(b"tkhd", &words(&[3, 0, 0, 7, 0, 0]));
    let mdhd = part(b"mdhd", &words(&[0, 0, 0, 48_000, 0, 0]));
    let hdlr = part(b"hdlr", &join(&[&[0; 8], b"soun", &[0; 13]]));
    let trak = part(
        b"trak",
        &join(&[&tkhd, &part(b"mdia", &join(&[&mdhd, &hdlr]))]),
    );
    let trex = part(b"trex", &words(&[0, 7, 1, 1_000, 0, 0]));
    let mut bytes = part(
        b"moov",
        &join(&[&mvhd(1_000, 0), &trak, &part(b"mvex", &trex)]),
    );
    for fragment in 0..fragments {
        let traf = join(&[
            &part(b"tfhd", &words(&[0x02_0000, 7])),
            &part(b"tfdt", &words(&[0, fragment * 48_000])),
            &runs(fragment),
        ]);
        let mfhd = part(b"mfhd", &words(&[0, fragment + 1]));
        bytes.extend(part(b"moof", &join(&[&mfhd, &part(b"traf", &traf)])));
        bytes.extend(part(b"mdat", &[7; 4_000]));
    }
    bytes
}

#[test]
fn the_last_fragment_of_a_recording_has_its_duration() {
    // 24 samples of 960 units, each with its duration and size, behind the offset of the data.
    let own = |_| {
        let samples = [960, 80].repeat(24);
        part(b"trun", &words(&[&[0x301, 24, 100], &samples[..]].concat()))
    };
    assert_eq!(of(&recording(4, &own), "audio/mp4"), sound(3_480));
    // 12 samples of the default duration.
    let default = |_| part(b"trun", &words(&[0x001, 12, 100]));
    assert_eq!(of(&recording(2, &default), "audio/mp4"), sound(1_250));
    // 15 minutes in fragments of a second are within the read limit.
    assert_eq!(of(&recording(900, &own), "audio/mp4"), sound(899_480));
    // A sample count past the end counts existing samples; without a fragment there is no duration.
    let cut = |_| part(b"trun", &words(&[0x100, u32::MAX, 24_000]));
    assert_eq!(of(&recording(1, &cut), "audio/mp4"), sound(500));
    assert_eq!(of(&recording(0, &own), "audio/mp4"), Media::default());
    let endless = |_| part(b"trun", &words(&[0, u32::MAX, 0]));
    assert_eq!(of(&recording(1, &endless), "audio/mp4"), Media::default());
}

#[test]
fn absurd_values_are_left_out() {
    let none = Media::default();
    for (bytes, kind) in [
        // Three seconds of video in a few bytes; 27 days in 40,000.
        (part(b"moov", &mvhd(1_000, 3_000_000)), "video/mp4"),
        (
            join(&[&part(b"moov", &mvhd(1_000, 2_400_000_000)), &[0; 40_000]]),
            "video/mp4",
        ),
        (
            join(&[&part(b"moov", &mvhd(1, u32::MAX)), &[0; 40_000]]),
            "video/mp4",
        ),
        (
            join(&[&part(b"moov", &mvhd(0, 5)), &[0; 40_000]]),
            "video/mp4",
        ),
        (flac(0), "audio/flac"),
        (flac((1 << 36) - 1), "audio/flac"),
        (opus(i64::MAX), "audio/ogg"),
        (mp3(&xing(u32::MAX)), "audio/mpeg"),
        (wav(0, 0), "audio/wav"),
        (mp4(false)[..40_000].to_vec(), "video/mp4"),
        (Vec::new(), "audio/mpeg"),
    ] {
        assert_eq!(of(&bytes, kind), none, "{kind} of {} bytes", bytes.len());
    }
    for duration in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
        assert_eq!(
            of(&webm(Some(duration)), "video/webm"),
            video(640, 480, None)
        );
    }
    // More than there is counts for what there is.
    assert_eq!(of(&wav(u32::MAX, 176_400), "audio/wav"), sound(1_000));
    let huge = trak(b"vide", &tkhd(0xffff, 20, false));
    let bytes = part(b"moov", &join(&[&mvhd(600, 600), &huge]));
    assert_eq!(of(&bytes, "video/mp4").dimensions, None);
}

#[test]
fn an_examination_reads_a_bounded_part() {
    struct Counted<'a>(Cursor<&'a [u8]>, &'a mut usize);
    impl Read for Counted<'_> {
        fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
            let read = self.0.read(bytes)?;
            *self.1 += read;
            Ok(read)
        }
    }
    impl Seek for Counted<'_> {
        fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
            self.0.seek(to)
        }
    }
    let boxes = part(b"free", &[]).repeat(1_000_000);
    let elements = join(&[
        b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff",
        &element(b"\xec", &[]).repeat(500_000),
    ]);
    let tags = b"ID3\x04\0\0\0\0\0\0".repeat(500_000);
    for (bytes, kind) in [
        (&boxes, "video/mp4"),
        (&elements, "video/webm"),
        (&tags, "audio/mpeg"),
        (&join(&[&wav(1, 1)[..12], &vec![0; 8_000_000]]), "audio/wav"),
    ] {
        let mut read = 0;
        look(Counted(Cursor::new(bytes), &mut read), kind);
        assert!(read <= 1_100_000, "{read} bytes of {kind}");
    }
}

/// Each sample with a few bytes changed, cut out or repeated, by a fixed seed.
#[test]
fn no_mutation_of_a_header_panics() {
    let samples = [
        (mp4(true), "video/mp4"),
        (webm(Some(5.0)), "video/webm"),
        (wav(352_800, 9_000), "audio/wav"),
        (flac(9), "audio/flac"),
        (opus(90_000), "audio/ogg"),
        (mp3(&xing(7)), "audio/mpeg"),
    ];
    let mut chance = crate::files::mutations::Chance::new(51);
    for _ in 0..2_000 {
        for (sample, kind) in &samples {
            // The header has data at both ends of the file.
            let mut bytes = sample.clone();
            chance.mutate(&mut bytes);
            let found = of(&bytes, kind);
            let longest = found.duration_ms.unwrap_or(0);
            assert!(u128::from(longest) <= LONGEST.as_millis());
        }
    }
}
