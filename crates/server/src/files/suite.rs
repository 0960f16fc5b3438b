//! One test suite for every storage of uploads: a directory, and S3.

use super::bytes::{StoreFailure, UploadWriter, Uploads};
use super::directory::Directory;
use super::s3::{S3, S3Settings};
use lamplight_domain::identity::FileId;
use lamplight_usecases::ports::{Claimed, DeletedFile};
use object_store::ObjectStoreExt as _;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// The bytes of a part in S3.
const PART: usize = 8 << 20;

fn start(generation: u64) -> Claimed {
    Claimed {
        generation,
        received: 0,
        place: "".into(),
    }
}

/// Bytes that differ wherever they are.
fn bytes(size: usize, seed: u64) -> Vec<u8> {
    let mut state = seed + 1;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as u8
    };
    (0..size).map(|_| next()).collect()
}

/// Writes in pieces, and notes each step as the store would.
async fn append(writer: &mut dyn UploadWriter, claimed: &mut Claimed, bytes: &[u8]) {
    for piece in bytes.chunks(150_000) {
        writer.write(&mut piece.to_vec()).await.expect("written");
        let unnoted = writer.written() - claimed.received;
        if writer.is_due(unnoted, Duration::ZERO) {
            note(writer, claimed, false).await;
        }
    }
    note(writer, claimed, true).await;
}

async fn note(writer: &mut dyn UploadWriter, claimed: &mut Claimed, is_end: bool) {
    loop {
        let step = writer.commit(is_end).await.expect("committed");
        assert!(step.to >= claimed.received, "never back");
        claimed.received = step.to;
        claimed.place = step.place;
        writer.noted().await;
        if !step.is_more {
            return;
        }
    }
}

/// One request of a generation.
async fn request(
    store: &dyn Uploads,
    id: &FileId,
    size: usize,
    claimed: &mut Claimed,
    with: &[u8],
) {
    let before = claimed.received;
    let mut writer = store.open(id, size as u64, claimed).await.expect("opened");
    assert_eq!(writer.written(), before);
    append(&mut *writer, claimed, with).await;
    assert_eq!(claimed.received, before + with.len() as u64);
}

async fn whole(store: &dyn Uploads, id: &FileId) -> Vec<u8> {
    let local = store.local(id).await.expect("a file");
    std::fs::read(local.path()).expect("its bytes")
}

async fn is_whole(store: &dyn Uploads, id: &FileId, claimed: &Claimed, expected: &[u8]) {
    // Repeated, as after a crash.
    for _ in 0..2 {
        let finished = store.finish(id, expected.len() as u64, claimed).await;
        finished.expect("finished");
        assert!(whole(store, id).await == expected, "other bytes");
    }
}

async fn delete(store: &dyn Uploads, id: &FileId, claimed: &Claimed) {
    let file = DeletedFile {
        id: id.clone(),
        generation: claimed.generation,
        place: Arc::clone(&claimed.place),
    };
    for _ in 0..2 {
        store.delete(&file).await.expect("deleted");
    }
}

/// All requests of an upload, each by the next process, cut at these bytes.
async fn m3_any_process_continues_an_upload(store: &dyn Uploads) {
    for (index, cuts) in [
        vec![],
        vec![1, 10],
        vec![PART - 1, PART, PART + 1],
        vec![PART, 2 * PART],
        vec![2 * PART + 5],
    ]
    .into_iter()
    .enumerate()
    {
        let size = if index < 2 { 100 } else { 2 * PART + 1_000 };
        let expected = bytes(size, index as u64);
        let id = FileId::trusted(format!("goes-on-{index}"));
        let mut claimed = start(0);
        let mut from = 0;
        for (turn, to) in cuts.into_iter().chain([size]).enumerate() {
            claimed.generation = turn as u64 + 1;
            request(store, &id, size, &mut claimed, &expected[from..to]).await;
            assert!(store.is_here(&id, &claimed).await.expect("an answer"));
            from = to;
        }
        is_whole(store, &id, &claimed, &expected).await;
        delete(store, &id, &claimed).await;
    }
}

async fn m3_a_fenced_process_changes_nothing(store: &dyn Uploads) {
    let id = FileId::trusted("fenced");
    let (size, expected) = (900, bytes(900, 7));
    let mut claimed = start(1);
    let mut first = store.open(&id, size, &claimed).await.expect("opened");
    append(&mut *first, &mut claimed, &expected[..300]).await;
    // The fenced process continues with other bytes, unaware that another process has the upload.
    first.write(&mut vec![0; 200]).await.expect("written");
    claimed.generation = 2;
    let mut second = store.open(&id, size, &claimed).await.expect("opened");
    append(&mut *second, &mut claimed, &expected[300..600]).await;
    first.write(&mut vec![1; 400]).await.expect("written");
    first
        .commit(true)
        .await
        .expect("a step that is not recorded");
    first.roll_back().await.expect("rolled back");
    claimed.generation = 3;
    request(store, &id, 900, &mut claimed, &expected[600..]).await;
    is_whole(store, &id, &claimed, &expected).await;
    first.write(&mut vec![2; 10]).await.expect("written");
    assert!(whole(store, &id).await == expected);
    delete(store, &id, &claimed).await;
}

async fn m3_late_bytes_of_a_fenced_process_are_not_in_the_file(store: &dyn Uploads) {
    let id = FileId::trusted("late");
    let size = 2 * PART + 1_000;
    let expected = bytes(size, 8);
    let mut claimed = start(1);
    let mut first = store
        .open(&id, size as u64, &claimed)
        .await
        .expect("opened");
    append(&mut *first, &mut claimed, &expected[..PART]).await;
    first.write(&mut vec![0; PART]).await.expect("written");
    // Another one claims the upload while the first one hangs, sends its part before or after it,
    // and finishes the file.
    claimed.generation = 2;
    let mut second = store
        .open(&id, size as u64, &claimed)
        .await
        .expect("opened");
    append(&mut *second, &mut claimed, &expected[PART..2 * PART]).await;
    first
        .commit(true)
        .await
        .expect("a step that is not recorded");
    append(&mut *second, &mut claimed, &expected[2 * PART..]).await;
    is_whole(store, &id, &claimed, &expected).await;
    // S3 may refuse it, and may take it for nothing.
    let _ = first.write(&mut vec![1; 1_000]).await;
    let _ = first.commit(true).await;
    assert!(whole(store, &id).await == expected);
    delete(store, &id, &claimed).await;
}

async fn m3_processes_that_finish_together_make_one_file(store: &dyn Uploads) {
    for (size, name) in [(PART + 7, "at-once-1"), (100, "at-once-2")] {
        let (id, expected) = (FileId::trusted(name), bytes(size, 9));
        let mut claimed = start(1);
        request(store, &id, size, &mut claimed, &expected).await;
        let finish = || store.finish(&id, size as u64, &claimed);
        let all = futures_util::future::join_all([finish(), finish(), finish(), finish()]);
        for finished in all.await {
            finished.expect("finished");
        }
        is_whole(store, &id, &claimed, &expected).await;
        delete(store, &id, &claimed).await;
    }
}

async fn rolled_back_bytes_are_deleted(store: &dyn Uploads) {
    let id = FileId::trusted("rolled-back");
    let expected = bytes(500, 3);
    let mut claimed = start(1);
    request(store, &id, 500, &mut claimed, &expected[..200]).await;
    let mut writer = store.open(&id, 500, &claimed).await.expect("opened");
    writer.write(&mut vec![9; 100]).await.expect("written");
    writer.roll_back().await.expect("rolled back");
    drop(writer);
    request(store, &id, 500, &mut claimed, &expected[200..]).await;
    is_whole(store, &id, &claimed, &expected).await;
    delete(store, &id, &claimed).await;
}

/// A slow request has the last bytes, and dies before it ends.
async fn m3_a_crash_after_the_last_byte_loses_nothing(store: &dyn Uploads) {
    let (id, size) = (FileId::trusted("last-byte"), PART + 100);
    let expected = bytes(size, 11);
    let mut claimed = start(1);
    let opened = store.open(&id, size as u64, &claimed).await;
    let mut writer = opened.expect("opened");
    for piece in expected.chunks(PART) {
        writer.write(&mut piece.to_vec()).await.expect("written");
        note(&mut *writer, &mut claimed, false).await;
    }
    drop(writer);
    assert_eq!(claimed.received, size as u64);
    is_whole(store, &id, &claimed, &expected).await;
    delete(store, &id, &claimed).await;
}

/// The sweep deletes files while requests for them are under way.
async fn a_write_refused_after_the_sweep_leaves_no_bytes(store: &dyn Uploads) {
    for (size, name) in [(100, "refused-1"), (PART, "refused-2")] {
        let id = FileId::trusted(name);
        let mut claimed = start(1);
        let opened = store.open(&id, PART as u64 + 9, &claimed).await;
        let mut writer = opened.expect("opened");
        delete(store, &id, &claimed).await;
        writer.write(&mut bytes(size, 12)).await.expect("written");
        claimed.place = writer.commit(true).await.expect("a step").place;
        writer.refused().await;
        drop(writer);
    }
}

async fn empty_files_and_missing_bytes(store: &dyn Uploads) {
    let id = FileId::trusted("empty");
    is_whole(store, &id, &start(0), b"").await;
    let id = FileId::trusted("missing");
    for place in [
        "",
        "1:0",
        "{}",
        r#"{"tail":{"generation":1,"bytes":5}}"#,
        "?",
    ] {
        let claimed = Claimed {
            generation: 2,
            received: 5,
            place: place.into(),
        };
        let opened = async {
            let mut writer = store.open(&id, 9, &claimed).await?;
            writer.write(&mut vec![0]).await
        };
        assert!(
            matches!(opened.await, Err(StoreFailure::Missing)),
            "{place}"
        );
    }
}

async fn all(store: &dyn Uploads) {
    m3_any_process_continues_an_upload(store).await;
    m3_a_fenced_process_changes_nothing(store).await;
    m3_late_bytes_of_a_fenced_process_are_not_in_the_file(store).await;
    m3_processes_that_finish_together_make_one_file(store).await;
    rolled_back_bytes_are_deleted(store).await;
    m3_a_crash_after_the_last_byte_loses_nothing(store).await;
    a_write_refused_after_the_sweep_leaves_no_bytes(store).await;
    empty_files_and_missing_bytes(store).await;
}

#[tokio::test]
async fn m3_a_directory_passes_the_suite() {
    let home = tempfile::tempdir().expect("a directory");
    all(&Directory::new(home.path())).await;
    let left = std::fs::read_dir(home.path().join("uploads")).expect("a directory");
    assert_eq!(left.count(), 0);
}

/// A server of S3: moto, of PyPI, which `tests/e2e/setup-python.sh` installs.
struct Moto(Child, u16);

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Moto {
    async fn start() -> Self {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/e2e");
        let made = Command::new("sh")
            .arg(tests.join("setup-python.sh"))
            .arg("s3")
            .status();
        assert!(made.is_ok_and(|made| made.success()), "no Python");
        let server = Command::new(tests.join(".venv-s3/bin/moto_server"))
            .args(["-H", "127.0.0.1", "-p", "0"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let mut server = server.expect("a server of S3");
        let log = BufReader::new(server.stderr.take().expect("a log"));
        let mut lines = log.lines().map_while(Result::ok);
        let port = lines.find_map(|line| {
            let (_, address) = line.split_once("http://127.0.0.1:")?;
            address
                .trim_end_matches(|c: char| !c.is_ascii_digit())
                .parse()
                .ok()
        });
        let moto = Self(server, port.expect("a port"));
        std::thread::spawn(move || lines.for_each(drop));
        assert!(moto.ask("PUT", "/files").await.contains(" 200 "));
        moto
    }

    /// A request without a body; returns the response.
    async fn ask(&self, method: &str, path: &str) -> String {
        let exchange = async {
            let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", self.1)).await?;
            let head = format!(
                "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).await?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await?;
            std::io::Result::Ok(String::from_utf8_lossy(&answer).into_owned())
        };
        exchange.await.unwrap_or_default()
    }

    fn settings(&self) -> S3Settings {
        let endpoint = format!("http://127.0.0.1:{}", self.1);
        let variable = |name: &str| match name {
            "AWS_ENDPOINT_URL" => Some(endpoint.clone()),
            "AWS_REGION" => Some("us-east-1".to_owned()),
            "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("key".to_owned()),
            _ => None,
        };
        let settings = S3Settings::read("s3://files/a/prefix", variable).expect("settings");
        assert_eq!(super::s3_problem(&settings), None);
        settings
    }
}

#[tokio::test]
async fn m3_s3_passes_the_suite() {
    let moto = Moto::start().await;
    let home = tempfile::tempdir().expect("a directory");
    let spool: PathBuf = home.path().join("spool");
    let settings = moto.settings();
    super::check_s3(&settings).await.expect("it can be used");
    let store = S3::new(&settings, spool.clone()).expect("a store");
    all(&store).await;
    let left = std::fs::read_dir(spool).expect("a directory");
    assert_eq!(left.count(), 0, "in the spool");
    // The tail of a process that died or was fenced is deleted when the file is complete.
    let (id, all) = (FileId::trusted("left"), bytes(100, 4));
    let mut claimed = start(2);
    request(&store, &id, 100, &mut claimed, &all).await;
    let objects = store.objects().expect("a bucket");
    let left = object_store::path::Path::from("uploads/left/1-50");
    let put = objects.put(&left, b"late".as_slice().into());
    put.await.expect("written");
    is_whole(&store, &id, &claimed, &all).await;
    for (query, tag) in [
        ("uploads", "<UploadId>"),
        ("list-type=2&prefix=a/prefix/uploads", "<Key>"),
    ] {
        let answer = moto.ask("GET", &format!("/files?{query}")).await;
        assert!(
            answer.contains(" 200 ") && !answer.contains(tag),
            "{answer}"
        );
    }
}
