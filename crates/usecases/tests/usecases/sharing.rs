//! The activity of users who upload a file, and the sweep of avatars.

use crate::support::*;
use async_trait::async_trait;
use lamplight_domain::event::Event;
use lamplight_domain::file::{FileState, StoredFile, avatar_path};
use lamplight_domain::identity::{ConversationId, FileId, Profile};
use lamplight_domain::presence::Change;
use lamplight_usecases::ports::{DeletedFile, FileBytes, StoreResult};
use lamplight_usecases::{AccountCommand, AvatarOwner, Caller, FileRules, Identity, NewUpload};
use parking_lot::Mutex;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

async fn upload(app: &TestApp, caller: &Caller, conversation: &ConversationId) -> StoredFile {
    let upload = NewUpload {
        conversation: conversation.clone(),
        name: "plan.zip".into(),
        media_type: "application/zip".into(),
        size: 1_000,
    };
    let rules = FileRules {
        max_size: 0,
        quota: 0,
        types: Vec::new(),
    };
    let created = app.handler.files().create(caller, upload, &rules).await;
    created.expect("an upload")
}

/// Whether the uploader shares a file, as published to their nodes.
fn shared(app: &TestApp) -> Vec<bool> {
    let all = app.events().into_iter().filter_map(|event| match event {
        Event::Sharing { is_active, .. } => Some(is_active),
        _ => None,
    });
    all.collect()
}

/// The latest activities that others see.
fn shown(app: &TestApp) -> Vec<String> {
    let last = app
        .presence_changes()
        .into_iter()
        .rev()
        .find_map(|change| match change {
            Change::Online(presence) | Change::Updated(presence) => Some(presence),
            Change::Offline(_) => None,
        });
    let activities = last.map(|presence| presence.activities.clone());
    activities
        .unwrap_or_default()
        .iter()
        .map(|one| one.kind.to_string())
        .collect()
}

/// Records deletions.
#[derive(Default)]
struct Deleted(Mutex<Vec<FileId>>);

#[async_trait]
impl FileBytes for Deleted {
    async fn delete(&self, _: &DeletedFile) -> StoreResult<()> {
        Ok(())
    }

    async fn delete_avatar(&self, id: &FileId) -> StoreResult<()> {
        self.0.lock().push(id.clone());
        Ok(())
    }
}

usecase_tests! {
    async fn an_uploader_shares_a_file_until_30_s_after_the_last_byte() {
        let app = TestApp::new(Identity::Jwt);
        let a = on_socket("a", "sa");
        app.join(&a).await;
        let place = app.open_with(&a, "b").await;
        let file = upload(&app, &a, &place).await;
        let files = app.handler.files();
        files.report(&file, 1, FileState::Uploading);
        files.publish_progress().await;
        files.publish_progress().await;
        assert_eq!(shared(&app), [true], "once");
        app.pass(11 * SECOND);
        files.report(&file, 2, FileState::Uploading);
        files.publish_progress().await;
        assert_eq!(shared(&app), [true, true], "repeated during the upload");
        app.pass(29 * SECOND);
        files.publish_progress().await;
        assert!(shared(&app).iter().all(|is_active| *is_active), "the upload may continue");
        app.pass(2 * SECOND);
        files.publish_progress().await;
        assert_eq!(shared(&app).last(), Some(&false), "its connection is lost");
        assert_eq!(app.handler.table_sizes().uploads, 0);
        files.report(&file, 3, FileState::Uploading);
        files.publish_progress().await;
        assert_eq!(shared(&app).last(), Some(&true), "the upload was resumed");
        files.report(&file, 1_000, FileState::Ready);
        files.publish_progress().await;
        assert_eq!(shared(&app).last(), Some(&false), "the upload is complete");
    }

    async fn sharing_is_shown_until_every_upload_ends_or_is_lost() {
        let app = TestApp::new(Identity::Jwt);
        let a = on_socket("a", "sa");
        app.join(&a).await;
        let files = app.handler.files();
        let (one, other) = (FileId::trusted("one"), FileId::trusted("other"));
        for file in [&one, &other] {
            files.note_sharing(&user("a"), file, true);
        }
        files.show_sharing().await;
        assert_eq!(shown(&app), ["sharing_file"]);
        files.note_sharing(&user("a"), &one, false);
        // A late event of another node.
        files.note_sharing(&user("a"), &one, true);
        files.show_sharing().await;
        assert_eq!(shown(&app), ["sharing_file"]);
        // The node of the other upload dies: no event reports its end.
        app.pass(44 * SECOND);
        files.show_sharing().await;
        assert_eq!(shown(&app), ["sharing_file"]);
        app.pass(2 * SECOND);
        files.show_sharing().await;
        assert_eq!(shown(&app), [] as [String; 0]);
    }

    async fn unused_avatars_are_swept() {
        let app = TestApp::new(Identity::Local);
        let a = by_http("a");
        let set = async |profile: Profile| {
            let update = AccountCommand::Update { name: Some(profile.name), avatar_url: Some(profile.avatar_url) };
            app.ask(&a, update).await.expect("a profile");
        };
        set(named("a", "Ada")).await;
        let files = app.handler.files();
        files.may_set_avatar(&a, &AvatarOwner::Account).await.expect("one's own");
        let begin = async || files.begin_avatar(&a, &AvatarOwner::Account).await.expect("a picture");
        let (first, second) = (begin().await, begin().await);
        let with = |id: &FileId| Profile { avatar_url: Some(avatar_path(id)), ..named("a", "Ada") };
        set(with(&first)).await;
        let bytes = Deleted::default();
        files.sweep_avatars(&bytes).await.expect("a step");
        assert!(bytes.0.lock().is_empty(), "one is in use, the other may be set soon");
        app.pass(11 * 60 * SECOND);
        files.sweep_avatars(&bytes).await.expect("a step");
        assert_eq!(*bytes.0.lock(), [second]);
        set(named("a", "Ada")).await;
        files.sweep_avatars(&bytes).await.expect("a step");
        assert_eq!(bytes.0.lock().last(), Some(&first));
        assert_eq!(files.sweep_avatars(&bytes).await.expect("a step"), 0);
    }
}
