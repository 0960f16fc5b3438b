use proptest::prelude::*;
use sha1::Digest as _;

use super::*;

fn inflated(message: &[u8], max: usize) -> Result<Vec<u8>, FrameError> {
    inflate(message, max, |data| Ok(data.to_vec()))
}

#[test]
fn reads_the_examples_of_the_rfc() {
    let hello = Ok(b"Hello".to_vec());
    assert_eq!(
        inflated(&[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00], 5),
        hello,
        "section 7.2.3.1"
    );
    assert_eq!(
        inflated(
            &[
                0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00
            ],
            5
        ),
        hello,
        "7.2.3.3, not compressed"
    );
    assert_eq!(
        inflated(&[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00], 5),
        hello,
        "7.2.3.4, a last block"
    );
    assert_eq!(
        inflated(
            &[
                0xf2, 0x48, 0x05, 0, 0, 0, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00
            ],
            5
        ),
        hello,
        "7.2.3.5, two blocks"
    );
    assert_eq!(
        inflated(&[0x00], 0),
        Ok(Vec::new()),
        "7.2.3.6, an empty one"
    );
}

#[test]
fn a_last_block_may_be_followed_by_more_or_by_nothing() {
    let last = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    assert_eq!(inflated(&last, 5), Ok(b"Hello".to_vec()));
    assert_eq!(
        inflated(&[last, last].concat(), 10),
        Ok(b"HelloHello".to_vec())
    );
    assert_eq!(
        inflated(
            &[&last[..], &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]].concat(),
            10
        ),
        Ok(b"HelloHello".to_vec())
    );
    assert_eq!(inflated(&[1, 0, 0, 0xff, 0xff], 0), Ok(Vec::new()));
    assert_eq!(
        inflated(&[&last[..], &[0x07]].concat(), 10),
        Err(FrameError::Deflate)
    );
}

#[test]
fn refuses_what_is_cut_off_or_was_never_compressed() {
    let whole = message(OpCode::Binary, &b"all work and no play ".repeat(9), 6).unwrap();
    for end in 0..whole.len() {
        assert!(inflated(&whole[..end], 1000).is_err(), "{end}");
    }
    assert_eq!(inflated(b"", 10), Err(FrameError::Deflate));
    assert_eq!(inflated(b"Hello", 10), Err(FrameError::Deflate));
    // Refers to bytes before the start.
    assert_eq!(
        inflated(&[0x02, 0x13, 0x00], 1000),
        Err(FrameError::Deflate)
    );
}

#[test]
fn stops_at_the_first_byte_too_many() {
    let bomb = message(OpCode::Binary, &vec![7; 8 << 20], 9).unwrap();
    assert!(bomb.len() < 16 << 10, "{}", bomb.len());
    assert_eq!(inflated(&bomb, (8 << 20) - 1), Err(FrameError::TooBig));
    assert_eq!(inflated(&bomb, 8 << 20).map(|data| data.len()), Ok(8 << 20));
    assert_eq!(inflated(&bomb, 0), Err(FrameError::TooBig));
    let inflater = INFLATER.take().unwrap();
    assert!(
        inflater.out.capacity() <= MAX_CACHED_BYTES,
        "{}",
        inflater.out.capacity()
    );
}

#[test]
fn only_frames_that_shrink_are_compressed() {
    let (long, short) = ("x".repeat(2000), "y".repeat(99));
    let mut plain = BytesMut::new();
    for data in [short.as_bytes(), long.as_bytes(), short.as_bytes()] {
        frame::encode(&mut plain, OpCode::Text, data);
    }
    let compressed = frames(&plain, 100, 6).unwrap();
    let walked: Vec<_> = frame::written_frames(&compressed)
        .map(|(opcode, compressed, data)| (opcode, compressed, data.len()))
        .collect();
    assert_eq!(
        (walked[0], walked[2]),
        ((OpCode::Text, false, 99), (OpCode::Text, false, 99))
    );
    assert!(
        walked[1].1 && walked[1].2 < 50 && walked.len() == 3,
        "{walked:?}"
    );
    assert_eq!(frames(&plain, 5000, 6), None);
    let mut plain = BytesMut::new();
    frame::encode(&mut plain, OpCode::Binary, &sha1::Sha1::digest(b"chance"));
    assert_eq!(frames(&plain, 0, 9), None, "chance");
    let mut plain = BytesMut::new();
    frame::encode(&mut plain, OpCode::Text, long.as_bytes());
    assert_eq!(frames(&plain, 100, 0), None, "level 0 only wraps");
}

#[test]
fn an_ending_takes_the_place_of_a_bracket() {
    let text = format!("42[\"a\",\"{}\"]", "abc".repeat(400));
    let whole = message(OpCode::Text, text.as_bytes(), 6).unwrap();
    assert_eq!(inflated(&whole, 2000).unwrap(), text.as_bytes());
    let open = whole.strip_suffix(&ending(b"]")[..]).unwrap();
    for last in ["", ",\"17.2\"]", &"z".repeat(70_000)] {
        let other = [open, &ending(last.as_bytes())].concat();
        assert_eq!(
            inflated(&other, 80_000).unwrap(),
            format!("{}{last}", &text[..text.len() - 1]).as_bytes()
        );
    }
}

proptest! {
    #[test]
    fn round_trip(words in prop::collection::vec("[a-f]{0,9}", 0..400), bracket: bool, level in 0u8..12, threshold in 0usize..200) {
        let text = words.join("-") + if bracket { "]" } else { "" };
        let mut plain = BytesMut::new();
        frame::encode(&mut plain, OpCode::Text, text.as_bytes());
        frame::encode(&mut plain, OpCode::Binary, text.as_bytes());
        let Some(compressed) = frames(&plain, threshold, level) else { return Ok(()) };
        prop_assert!(compressed.len() < plain.len());
        let mut again = BytesMut::new();
        for (opcode, is_compressed, data) in frame::written_frames(&compressed) {
            let data = if is_compressed { inflated(data, text.len()).unwrap() } else { data.to_vec() };
            frame::encode(&mut again, opcode, &data);
        }
        prop_assert_eq!(again, plain);
    }

    #[test]
    fn any_bytes_inflate_within_the_limit_or_not_at_all(data in prop::collection::vec(any::<u8>(), 0..200), max in 0usize..2000) {
        if let Ok(inflated) = inflated(&data, max) {
            prop_assert!(inflated.len() <= max);
        }
    }
}
