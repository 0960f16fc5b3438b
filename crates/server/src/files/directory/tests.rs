use super::*;

#[test]
fn segments_round_trip_through_their_text() {
    let claimed = |place: &str, received| Claimed {
        generation: 9,
        received,
        place: place.into(),
    };
    let all = [(1, 0), (4, 300)].map(|(generation, offset)| Segment { generation, offset });
    assert_eq!(&*place(&all), "1:0,4:300");
    assert_eq!(segments(&claimed("1:0,4:300", 400)).unwrap(), all);
    assert_eq!(segments(&claimed("", 0)).unwrap(), []);
    assert_eq!(segments(&claimed("", 5)).unwrap().len(), 1);
    assert!(segments(&claimed("1:x", 5)).is_none());
}

#[tokio::test]
async fn m3_a_fenced_writer_does_not_change_the_segments_of_others() {
    let home = tempfile::tempdir().unwrap();
    let store = Directory::new(home.path());
    let id = FileId::trusted("f");
    let claim = |generation, received, place: &Arc<str>| Claimed {
        generation,
        received,
        place: Arc::clone(place),
    };
    let mut first = store.open(&id, 9, &claim(1, 0, &"".into())).await.unwrap();
    first.write(&mut b"abc".to_vec()).await.unwrap();
    let noted = first.commit(true).await.unwrap();
    first.noted().await;
    first.write(&mut b"XX".to_vec()).await.unwrap();
    // Another process continues from the recorded offset, while the first one does not know it.
    let mut second = store
        .open(&id, 9, &claim(2, 3, &noted.place))
        .await
        .unwrap();
    second.write(&mut b"def".to_vec()).await.unwrap();
    first.write(&mut b"YYYY".to_vec()).await.unwrap();
    first.commit(true).await.unwrap();
    let step = second.commit(true).await.unwrap();
    assert_eq!((step.to, &*step.place), (6, "1:0,2:3"));
    second.noted().await;
    first.roll_back().await.unwrap();
    // The first process again: a segment of its own.
    let last = claim(3, 6, &step.place);
    assert!(store.is_here(&id, &last).await.unwrap());
    let mut third = store.open(&id, 9, &last).await.unwrap();
    third.write(&mut b"ghi".to_vec()).await.unwrap();
    let step = third.commit(true).await.unwrap();
    first.write(&mut b"ZZZ".to_vec()).await.unwrap();
    let whole = claim(3, 9, &step.place);
    // Repeated, as after a crash.
    for _ in 0..2 {
        store.finish(&id, 9, &whole).await.unwrap();
    }
    let path = store.local(&id).await.unwrap();
    assert_eq!(fs::read(path.path()).unwrap(), b"abcdefghi");
    assert_eq!(
        fs::read_dir(home.path().join("uploads")).unwrap().count(),
        0
    );
}

/// Segments of one byte each, by their generations, and a claim of another process on them.
fn written(store: &Directory, id: &FileId, generations: &[u64], by: u64) -> Claimed {
    store.make().unwrap();
    for generation in generations {
        // Bytes after the recorded offset are not read.
        fs::write(store.segment(id, *generation), b"a+").unwrap();
    }
    let offsets = generations.iter().zip(0..);
    let all: Vec<Segment> = offsets
        .map(|(&generation, offset)| Segment { generation, offset })
        .collect();
    Claimed {
        generation: by,
        received: all.len() as u64,
        place: place(&all),
    }
}

fn left(home: &tempfile::TempDir) -> usize {
    fs::read_dir(home.path().join("uploads")).unwrap().count()
}

#[test]
fn m3_processes_that_finish_an_upload_together_all_find_it_complete() {
    let home = tempfile::tempdir().unwrap();
    let store = Directory::new(home.path());
    for round in 0..40 {
        let id = FileId::trusted(format!("f{round}"));
        let generations: &[u64] = if round % 2 == 0 { &[1, 2, 3] } else { &[1] };
        let size = generations.len() as u64;
        let claimed = written(&store, &id, generations, 3);
        let start = std::sync::Barrier::new(4);
        std::thread::scope(|scope| {
            for generation in 3..7 {
                let claimed = Claimed {
                    generation,
                    ..claimed.clone()
                };
                let (store, id, start) = (&store, &id, &start);
                scope.spawn(move || {
                    start.wait();
                    store.take(id, size, &claimed).unwrap();
                });
            }
        });
        let whole = fs::read(home.path().join("objects").join(id.as_str())).unwrap();
        assert_eq!(whole, b"aaa"[..generations.len()]);
        assert_eq!(left(&home), 0, "round {round}");
    }
}

#[test]
fn unrecorded_segments_are_deleted_with_the_others() {
    let home = tempfile::tempdir().unwrap();
    let store = Directory::new(home.path());
    let id = FileId::trusted("f");
    let mut claimed = written(&store, &id, &[2, 5], 5);
    written(&store, &id, &[1, 3, 4], 5);
    store.take(&id, 2, &claimed).unwrap();
    assert_eq!(left(&home), 0);
    // An upload with missing parts leaves no partial file.
    written(&store, &id, &[2, 5], 5);
    fs::remove_file(store.objects_directory().join("f")).unwrap();
    fs::write(store.segment(&id, 5), b"").unwrap();
    claimed.received = 3;
    let taken = store.take(&id, 3, &claimed);
    assert!(matches!(taken, Err(StoreFailure::Missing)));
    assert_eq!(left(&home), 2);
    let copied = copy(
        &[(store.segment(&id, 9), 1, segments(&claimed).unwrap()[0])],
        &store.joined(&id, 5),
    );
    assert!(matches!(copied, Err(StoreFailure::Missing)));
    store.remove(&id, 5).unwrap();
    assert_eq!(left(&home), 0);
}

#[test]
fn segments_have_a_maximum_and_are_deleted_whatever_their_generation() {
    let home = tempfile::tempdir().unwrap();
    let store = Directory::new(home.path());
    let (id, other) = (FileId::trusted("f"), FileId::trusted("ff"));
    let most: Vec<u64> = (1..=MOST_SEGMENTS as u64).collect();
    let claimed = written(&store, &id, &most, u64::MAX);
    let opened = store.writer(&id, &claimed);
    assert!(matches!(opened, Err(StoreFailure::Missing)), "one too many");
    let fewer = Claimed {
        place: claimed.place.rsplit_once(',').unwrap().0.into(),
        received: claimed.received - 1,
        ..claimed.clone()
    };
    assert!(store.writer(&id, &fewer).is_ok());
    written(&store, &other, &[0, 1], 1);
    store.remove(&id, u64::MAX).unwrap();
    assert_eq!(left(&home), 2, "those of the other upload");
}

#[tokio::test]
async fn missing_bytes_are_detected() {
    let home = tempfile::tempdir().unwrap();
    let store = Directory::new(home.path());
    let id = FileId::trusted("f");
    for place in ["", "1:0", "1:0,2:1", "?"] {
        let claimed = Claimed {
            generation: 3,
            received: 2,
            place: place.into(),
        };
        assert!(!store.is_here(&id, &claimed).await.unwrap());
        let opened = store.open(&id, 9, &claimed).await;
        assert!(matches!(opened, Err(StoreFailure::Missing)), "{place}");
    }
}
