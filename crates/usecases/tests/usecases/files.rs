//! The progress of uploads, and the sweep.

use crate::support::*;
use async_trait::async_trait;
use lamplight_domain::event::Event;
use lamplight_domain::file::{FileState, StoredFile};
use lamplight_domain::identity::{ConversationId, FileId};
use lamplight_domain::presence::ManualStatus;
use lamplight_usecases::ports::{
    Advance, Claimed, DeletedFile, Examined, FileBytes, Files as _, StoreError, StoreResult,
};
use lamplight_usecases::{Caller, Code, FileRules, Identity, NewUpload};
use parking_lot::Mutex;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);
const RULES: FileRules = FileRules {
    max_size: 0,
    quota: 0,
    types: Vec::new(),
};

/// Records deletions, and fails while a test wants it.
#[derive(Default)]
struct Bytes {
    deleted: Mutex<Vec<DeletedFile>>,
    failing: Mutex<Option<FileId>>,
}

#[async_trait]
impl FileBytes for Bytes {
    async fn delete(&self, file: &DeletedFile) -> StoreResult<()> {
        if self.failing.lock().as_ref() == Some(&file.id) {
            return Err(StoreError::Unavailable("a test".into()));
        }
        self.deleted.lock().push(file.clone());
        Ok(())
    }

    async fn delete_avatar(&self, id: &FileId) -> StoreResult<()> {
        let of = DeletedFile {
            id: id.clone(),
            generation: 0,
            place: "".into(),
        };
        self.delete(&of).await
    }
}

impl Bytes {
    /// What was deleted since the last call.
    fn take(&self) -> Vec<FileId> {
        let taken = std::mem::take(&mut *self.deleted.lock());
        let mut ids: Vec<FileId> = taken.into_iter().map(|file| file.id).collect();
        ids.sort();
        ids
    }
}

async fn create(app: &TestApp, caller: &Caller, place: &ConversationId) -> StoredFile {
    let upload = NewUpload {
        conversation: place.clone(),
        name: "plan.zip".into(),
        media_type: "application/zip".into(),
        size: 10,
    };
    let created = app.handler.files().create(caller, upload, &RULES).await;
    created.expect("a file")
}

async fn claim(app: &TestApp, file: &StoredFile) -> Claimed {
    let claimed = app.handler.files().claim(&file.file.id).await;
    claimed.expect("an answer").expect("an upload")
}

async fn advance(app: &TestApp, file: &StoredFile, claimed: &Claimed, to: u64) -> Option<Code> {
    let step = Advance {
        generation: claimed.generation,
        from: claimed.received,
        to,
        place: "somewhere".into(),
    };
    let advanced = app.handler.files().advance(&file.file.id, &step).await;
    advanced.err().map(|refusal| refusal.code)
}

async fn ready(app: &TestApp, file: &StoredFile) {
    let claimed = claim(app, file).await;
    assert_eq!(advance(app, file, &claimed, 10).await, None);
    let found = Examined {
        media_type: "application/zip".into(),
        dimensions: None,
        has_thumbnail: false,
        blur_hash: None,
        duration_ms: None,
        state: FileState::Ready,
    };
    let examined = app.handler.files().examined(&file.file.id, found).await;
    examined.expect("examined");
}

/// All published progress of uploads: the receivers, the bytes, and the state.
async fn published_progress(app: &TestApp) -> Vec<(String, u64, FileState)> {
    app.handler.files().publish_progress().await;
    let progress_of = |event| match event {
        Event::FileProgress { progress, to } => {
            let to: Vec<String> = to.iter().map(ToString::to_string).collect();
            Some((to.join(" "), progress.received, progress.state))
        }
        _ => None,
    };
    app.events().into_iter().filter_map(progress_of).collect()
}

usecase_tests! {
    async fn each_change_of_upload_progress_is_published_once() {
        let app = TestApp::new(Identity::Jwt);
        let a = on_socket("a", "sa");
        let place = app.open_with(&a, "b").await;
        let file = create(&app, &a, &place).await;
        let report = |received, state| app.handler.files().report(&file, received, state);
        assert_eq!(published_progress(&app).await, [], "no upload has begun");
        for received in [0, 3, 5] {
            report(received, FileState::Uploading);
        }
        let first = ("b".to_owned(), 5, FileState::Uploading);
        assert_eq!(published_progress(&app).await, std::slice::from_ref(&first), "only the newest");
        report(5, FileState::Uploading);
        assert_eq!(published_progress(&app).await.len(), 1, "progress is unchanged");
        report(10, FileState::Ready);
        let last = ("b".to_owned(), 10, FileState::Ready);
        assert_eq!(published_progress(&app).await, [first, last]);
        app.pass(100 * SECOND);
        assert_eq!(published_progress(&app).await.len(), 2, "the end is published once");
    }

    async fn an_upload_without_progress_for_30_seconds_fails_until_it_resumes() {
        let app = TestApp::new(Identity::Jwt);
        let a = on_socket("a", "sa");
        let place = app.open_with(&a, "b").await;
        let file = create(&app, &a, &place).await;
        claim(&app, &file).await;
        let report = |received| app.handler.files().report(&file, received, FileState::Uploading);
        report(3);
        assert_eq!(published_progress(&app).await.len(), 1);
        app.pass(29 * SECOND);
        assert_eq!(published_progress(&app).await.len(), 1);
        // The same number of bytes counts as progress.
        report(3);
        app.pass(29 * SECOND);
        assert_eq!(published_progress(&app).await.len(), 1);
        app.pass(2 * SECOND);
        assert_eq!(published_progress(&app).await.last(), Some(&("b".to_owned(), 3, FileState::Failed)));
        report(4);
        assert_eq!(published_progress(&app).await.last(), Some(&("b".to_owned(), 4, FileState::Uploading)));
    }

    async fn a_process_that_lost_its_upload_to_another_reports_no_failure() {
        let app = TestApp::new(Identity::Jwt);
        let a = on_socket("a", "sa");
        let place = app.open_with(&a, "b").await;
        let [elsewhere, ended] = [create(&app, &a, &place).await, create(&app, &a, &place).await];
        for file in [&elsewhere, &ended] {
            claim(&app, file).await;
            app.handler.files().report(file, 3, FileState::Uploading);
        }
        assert_eq!(published_progress(&app).await.len(), 2);
        app.store.claim(&elsewhere.file.id, "another", true).await.expect("claimed");
        ready(&app, &ended).await;
        app.pass(31 * SECOND);
        assert_eq!(published_progress(&app).await.len(), 2);
        let events = app.events().into_iter();
        let ends = events.filter(|event| matches!(event, Event::Sharing { is_active: false, .. }));
        assert_eq!(ends.count(), 0, "the other process reports the activity");
    }

    async fn an_upload_that_another_process_ended_is_not_reported_as_active() {
        let app = TestApp::new(Identity::Jwt);
        let a = on_socket("a", "sa");
        let place = app.open_with(&a, "b").await;
        let file = create(&app, &a, &place).await;
        let report = |state| app.handler.files().report(&file, 10, state);
        report(FileState::Processing);
        // Another process scanned it meanwhile, and publishes its end.
        ready(&app, &file).await;
        assert_eq!(published_progress(&app).await, []);
        report(FileState::Ready);
        assert_eq!(published_progress(&app).await, [("b".to_owned(), 10, FileState::Ready)]);
    }

    async fn an_upload_of_a_dead_process_is_reported_as_failed_once() {
        let app = TestApp::new(Identity::Jwt);
        let a = on_socket("a", "sa");
        let place = app.open_with(&a, "b").await;
        let files = [create(&app, &a, &place).await, create(&app, &a, &place).await];
        for file in &files {
            let claimed = claim(&app, file).await;
            assert_eq!(advance(&app, file, &claimed, 3).await, None);
            app.handler.files().report(file, 3, FileState::Uploading);
        }
        assert_eq!(published_progress(&app).await.len(), 2);
        app.handler.files().find_lost().await;
        assert_eq!(published_progress(&app).await.len(), 2, "both uploads continue");
        // A crash, and the time after it.
        let app = app.restart().await;
        let ids = files.each_ref().map(|file| file.file.id.clone());
        app.store.watch_uploads(&ids, Some(Duration::ZERO)).await.expect("watched");
        // One of them continues in this process.
        app.handler.files().report(&files[0], 4, FileState::Uploading);
        app.handler.files().find_lost().await;
        let expected = [("b".to_owned(), 3, FileState::Failed), ("b".to_owned(), 4, FileState::Uploading)];
        let mut all = published_progress(&app).await;
        all.sort_by_key(|one| one.1);
        assert_eq!(all, expected);
        let ends = app.events().into_iter().filter(|event| matches!(event, Event::Sharing { is_active: false, .. }));
        assert_eq!(ends.count(), 1, "the activity ends too");
        app.handler.files().find_lost().await;
        assert_eq!(published_progress(&app).await.len(), 2);
    }

    async fn the_end_of_an_upload_is_published_when_the_store_answers_again() {
        let app = TestApp::new(Identity::Jwt);
        let a = on_socket("a", "sa");
        let place = app.open_with(&a, "b").await;
        let file = create(&app, &a, &place).await;
        ready(&app, &file).await;
        let rename = |from, to| {
            let sql = format!("ALTER TABLE {from} RENAME TO {to}; COMMIT");
            app.lock_writes().execute_batch(&sql).expect("renamed");
        };
        rename("blocks", "away");
        app.handler.files().report(&file, 10, FileState::Ready);
        for _ in 0..3 {
            assert_eq!(published_progress(&app).await, []);
        }
        rename("away", "blocks");
        for _ in 0..3 {
            assert_eq!(published_progress(&app).await, [("b".to_owned(), 10, FileState::Ready)]);
        }
    }

    async fn upload_progress_is_withheld_for_blocks_and_invisible_users() {
        let app = TestApp::new(Identity::Jwt);
        let (a, b) = (on_socket("a", "sa"), on_socket("b", "sb"));
        app.join(&a).await;
        let (two, other) = (app.open_with(&a, "b").await, app.open_with(&a, "c").await);
        use lamplight_usecases::ports::Blocks as _;
        let files = [create(&app, &a, &two).await, create(&app, &a, &other).await];
        app.store.block(&user("b"), &user("a"), 10, app.now()).await.expect("blocked");
        for file in &files {
            app.handler.files().report(file, 1, FileState::Uploading);
        }
        assert_eq!(published_progress(&app).await, [("c".to_owned(), 1, FileState::Uploading)]);
        app.set_status(&a, ManualStatus::Invisible).await;
        app.handler.files().report(&files[1], 2, FileState::Uploading);
        assert_eq!(published_progress(&app).await.len(), 1);
        let _ = b;
    }

    async fn m3_a_process_that_lost_its_upload_writes_nothing_more() {
        let app = TestApp::new(Identity::Jwt);
        let a = on_socket("a", "sa");
        let place = app.open_with(&a, "b").await;
        let file = create(&app, &a, &place).await;
        let id = &file.file.id;
        let mut own = claim(&app, &file).await;
        assert_eq!(advance(&app, &file, &own, 3).await, None);
        own.received = 3;
        app.store.claim(id, "another", true).await.expect("claimed");
        assert_eq!(advance(&app, &file, &own, 5).await, Some(Code::Conflict));
        // A single node does not wait: the other process is dead.
        let again = claim(&app, &file).await;
        assert_eq!((again.generation, again.received, &*again.place), (3, 3, "somewhere"));
        assert_eq!(advance(&app, &file, &again, 10).await, None);
        assert_eq!(app.events().iter().filter(|event| matches!(event, Event::UploadWanted { .. })).count(), 0);
    }

    async fn the_sweep_deletes_files_that_were_not_sent_for_a_day() {
        let app = TestApp::new(Identity::Jwt);
        let a = on_socket("a", "sa");
        let place = app.open_with(&a, "b").await;
        let bytes = Bytes::default();
        let sweep = async || app.handler.files().sweep(&bytes).await.expect("a sweep");
        let [unsent, active, discarded] = [create(&app, &a, &place).await, create(&app, &a, &place).await, create(&app, &a, &place).await];
        app.handler.files().discard(&a, &discarded.file.id).await.expect("discarded");
        assert_eq!(sweep().await, 1);
        assert_eq!(bytes.take(), std::slice::from_ref(&discarded.file.id));
        assert_eq!(sweep().await, 0);
        app.clock.pass(23 * HOUR);
        let claimed = claim(&app, &active).await;
        assert_eq!(advance(&app, &active, &claimed, 3).await, None);
        assert_eq!(sweep().await, 0);
        assert_eq!(bytes.take(), std::slice::from_ref(&discarded.file.id), "late bytes");
        app.clock.pass(2 * HOUR);
        assert_eq!(sweep().await, 1);
        assert_eq!(bytes.take(), [unsent.file.id]);
        app.clock.pass(23 * HOUR);
        assert_eq!(sweep().await, 1, "a day after its last byte");
        let swept = std::mem::take(&mut *bytes.deleted.lock());
        assert_eq!((&swept[0].id, swept[0].generation, &*swept[0].place), (&active.file.id, 1, "somewhere"));
    }

    async fn bytes_are_deleted_once_more_ten_minutes_later() {
        let app = TestApp::new(Identity::Jwt);
        let a = on_socket("a", "sa");
        let place = app.open_with(&a, "b").await;
        let bytes = Bytes::default();
        let sweep = async || app.handler.files().sweep(&bytes).await;
        let file = create(&app, &a, &place).await;
        let files = app.handler.files();
        assert_eq!(files.is_gone(&file.file.id).await.ok(), Some(false));
        files.discard(&a, &file.file.id).await.expect("discarded");
        assert_eq!(files.is_gone(&file.file.id).await.ok(), Some(true));
        assert_eq!(sweep().await.expect("a sweep"), 1);
        app.clock.pass(599 * SECOND);
        assert_eq!(sweep().await.expect("a sweep"), 0);
        assert_eq!(bytes.take().len(), 1);
        app.clock.pass(SECOND);
        *bytes.failing.lock() = Some(file.file.id.clone());
        sweep().await.expect_err("it failed");
        *bytes.failing.lock() = None;
        app.clock.pass(600 * SECOND);
        sweep().await.expect("a sweep");
        assert_eq!(bytes.take(), std::slice::from_ref(&file.file.id));
        app.clock.pass(HOUR);
        sweep().await.expect("a sweep");
        assert_eq!(bytes.take(), [], "no third time");
        assert_eq!(files.is_gone(&file.file.id).await.ok(), Some(true));
    }

    async fn bytes_that_cannot_be_deleted_are_retried_without_delaying_others() {
        let app = TestApp::new(Identity::Jwt);
        let a = on_socket("a", "sa");
        let place = app.open_with(&a, "b").await;
        let bytes = Bytes::default();
        let files = [create(&app, &a, &place).await, create(&app, &a, &place).await];
        for file in &files {
            app.handler.files().discard(&a, &file.file.id).await.expect("discarded");
        }
        *bytes.failing.lock() = Some(files[0].file.id.clone());
        app.handler.files().sweep(&bytes).await.expect_err("one failed");
        assert_eq!(bytes.take(), std::slice::from_ref(&files[1].file.id));
        *bytes.failing.lock() = None;
        app.handler.files().sweep(&bytes).await.expect("a sweep");
        assert_eq!(bytes.take(), std::slice::from_ref(&files[0].file.id));
    }

    async fn an_avatar_that_cannot_be_deleted_delays_no_others() {
        let app = TestApp::new(Identity::Jwt);
        let ids = ["p1", "p2", "p3"].map(FileId::trusted);
        for id in &ids {
            app.store.add_avatar(id, None, None, app.now()).await.expect("added");
        }
        app.clock.pass(HOUR);
        let bytes = Bytes::default();
        *bytes.failing.lock() = Some(ids[0].clone());
        let sweep = async || app.handler.files().sweep_avatars(&bytes).await;
        sweep().await.expect_err("one failed");
        assert_eq!(bytes.take(), ids[1..]);
        *bytes.failing.lock() = None;
        assert_eq!(sweep().await.expect("a sweep"), 1);
        assert_eq!(bytes.take(), ids[..1]);
    }
}
