use std::path::Path;

use proptest::prelude::*;

use super::*;

type Target = fn(&[u8]);
const TARGETS: &[(&str, Target)] = &[
    ("payload", payload),
    ("packet", packet),
    ("frames", frames),
    ("query", query),
    ("recovery", recovery),
    #[cfg(feature = "deflate")]
    ("deflate", deflate),
    #[cfg(feature = "msgpack")]
    ("msgpack", msgpack),
];

#[test]
fn the_stored_corpus() {
    for (name, target) in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fuzz/corpus")
            .join(name);
        let mut count = 0;
        for entry in std::fs::read_dir(&folder).unwrap() {
            target(&std::fs::read(entry.unwrap().path()).unwrap());
            count += 1;
        }
        assert!(count > 0, "no corpus for {name}");
    }
}

proptest! {
    #[test]
    fn any_bytes(data in prop::collection::vec(any::<u8>(), 0..400)) {
        TARGETS.iter().for_each(|(_, target)| target(&data));
    }

    #[test]
    fn any_script(script in "[e-zLRCW]{0,80}", offset in "[0-9]{1,2}(\\.7)?") {
        recovery(format!("{script}\n{{\"pid\":\"\",\"offset\":\"{offset}\"}}").as_bytes());
    }
}
