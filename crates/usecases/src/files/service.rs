//! Authorizes uploads and downloads of files.

use super::progress_table::ProgressTable;
use super::sharing_table::Sharing;
use crate::caller::Caller;
use crate::deadline;
use crate::limits::Limits;
use crate::metadata::Budget;
use crate::ports::{
    Clock, DeletedFile, EventBus, Examined, FileQuota, Files, Ids, Messages, NewFile, NewFileError,
    Ports, PresenceStore,
};
use crate::refusal::{Code, Refusal};
use crate::shared::Shared;
use lamplight_domain::file::{
    Attachment, FileState, StoredFile, clean_name, is_type_allowed, media_type,
};
use lamplight_domain::identity::{ConversationId, FileId};
use lamplight_domain::time::Timestamp;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use tokio::sync::OnceCell;

/// A day in milliseconds: the time of the quota, and how long an unsent file is stored.
pub(super) const DAY: i64 = 24 * 3_600 * 1_000;

/// The operator's limits.
#[derive(Clone, Debug)]
pub struct FileRules {
    /// The most bytes of one file; 0 for no limit.
    pub max_size: u64,
    /// The most bytes that one user may upload in a day; 0 for no limit.
    pub quota: u64,
    /// See [`is_type_allowed`].
    pub types: Vec<Arc<str>>,
}

/// A file that a caller wants to upload. Not validated yet.
#[derive(Clone, Debug)]
pub struct NewUpload {
    pub conversation: ConversationId,
    pub name: String,
    pub media_type: String,
    pub size: u64,
}

pub struct FileService {
    pub(super) files: Arc<dyn Files>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) limits: Arc<Limits>,
    pub(super) signing_key: OnceCell<Arc<str>>,
    pub(super) messages: Arc<dyn Messages>,
    pub(super) presence: Arc<dyn PresenceStore>,
    pub(super) bus: Arc<dyn EventBus>,
    pub(super) progress: ProgressTable,
    pub(super) sharing: Sharing,
    /// Names this process among those that write uploads.
    pub(super) run: OnceLock<Arc<str>>,
    /// Whether no other process uses the store: a process that claimed an upload is dead then.
    pub(super) is_alone: bool,
    pub(super) ids: Arc<dyn Ids>,
    /// Up to where the sweep has looked at avatars.
    pub(super) swept_avatar: Mutex<Option<FileId>>,
    /// Files whose bytes the sweep deleted, and when.
    pub(super) swept: Mutex<VecDeque<(Timestamp, DeletedFile)>>,
}

impl FileService {
    pub(crate) fn new(ports: &Ports, shared: &Shared) -> Self {
        Self {
            files: Arc::clone(&ports.files),
            clock: Arc::clone(&ports.clock),
            limits: Arc::clone(&shared.limits),
            signing_key: OnceCell::new(),
            messages: Arc::clone(&ports.messages),
            presence: Arc::clone(&ports.presence),
            bus: Arc::clone(&ports.bus),
            progress: ProgressTable::default(),
            sharing: Sharing::default(),
            run: OnceLock::new(),
            is_alone: ports.shared_limits.is_none(),
            ids: Arc::clone(&ports.ids),
            swept_avatar: Mutex::default(),
            swept: Mutex::default(),
        }
    }

    /// Registers an upload, of which nothing is there yet.
    ///
    /// # Errors
    /// When the caller may not upload it.
    pub async fn create(
        &self,
        caller: &Caller,
        upload: NewUpload,
        rules: &FileRules,
    ) -> Result<StoredFile, Refusal> {
        let owner = caller.user()?;
        self.limits.admit(Budget::Write, caller)?;
        if rules.max_size > 0 && upload.size > rules.max_size {
            let most = rules.max_size;
            return Err(Refusal::new(
                Code::TooLong,
                format!(
                    "The file has {} bytes; at most {most} can be uploaded.",
                    upload.size
                ),
            ));
        }
        // The check at the end decides; this one avoids a useless upload.
        let declared = media_type(None, &upload.media_type);
        let said: String = upload.media_type.to_ascii_lowercase();
        let said = said.split(';').next().unwrap_or_default().trim();
        if !said.is_empty() && !is_type_allowed(&rules.types, said) {
            return Err(not_allowed(said));
        }
        let now = self.now();
        let file = NewFile {
            id: self.ids.file(),
            owner: owner.clone(),
            conversation: upload.conversation,
            name: clean_name(&upload.name),
            media_type: if said.len() <= 200 && !said.contains(char::is_control) {
                said.into()
            } else {
                declared
            },
            size: upload.size,
            created_at: now,
        };
        let quota = (rules.quota > 0).then_some(FileQuota {
            bytes: rules.quota,
            since: Timestamp(now.0.saturating_sub(DAY)),
        });
        let created = self.files.create(file.clone(), quota);
        let Ok(created) = tokio::time::timeout(deadline::STORE_DEADLINE, created).await else {
            return Err(deadline::missed());
        };
        created.map_err(|error| match error {
            NewFileError::NotFound => Refusal::no_conversation(),
            NewFileError::Forbidden => {
                Refusal::new(Code::Forbidden, "You cannot write in this conversation.")
            }
            NewFileError::OverQuota => Refusal::new(
                Code::TooLong,
                format!(
                    "Your files of the last 24 hours would have more than {} bytes.",
                    rules.quota
                ),
            ),
            NewFileError::Store(error) => error.into(),
        })?;
        Ok(StoredFile {
            file: Attachment {
                id: file.id,
                name: file.name,
                media_type: file.media_type,
                size: file.size,
                dimensions: None,
                has_thumbnail: false,
                blur_hash: None,
                duration_ms: None,
            },
            owner: file.owner,
            conversation: file.conversation,
            received: 0,
            state: FileState::Uploading,
            message_seq: None,
            is_withheld: false,
            created_at: now,
            changed_at: now,
            generation: 0,
            place: "".into(),
            is_claimed: false,
        })
    }

    /// A file that the caller owns, in any state, while the caller is a member of its conversation.
    ///
    /// # Errors
    /// `not_found` where there is none.
    pub async fn own(&self, caller: &Caller, id: &FileId) -> Result<StoredFile, Refusal> {
        let user = caller.user()?;
        self.limits.admit(Budget::Lookup, caller)?;
        let file = deadline::store(self.files.file(user, id)).await?;
        file.filter(|file| file.owner == *user).ok_or_else(no_file)
    }

    /// A file whose bytes the caller may have now.
    ///
    /// # Errors
    /// `not_found` if there is none. `forbidden` if its owner has blocked the caller, in their direct
    /// conversation: a block also withdraws files sent before. The owner still has access to the
    /// caller's files.
    pub async fn readable(&self, caller: &Caller, id: &FileId) -> Result<StoredFile, Refusal> {
        let user = caller.user()?;
        self.limits.admit(Budget::Lookup, caller)?;
        let file = deadline::store(self.files.file(user, id)).await?;
        let file = file.filter(|file| file.is_for(user)).ok_or_else(no_file)?;
        if file.is_withheld {
            let why = "You cannot have this file any more.";
            return Err(Refusal::new(Code::Forbidden, why));
        }
        Ok(file)
    }

    /// Notes what was found of a file whose bytes are all there. Returns its state then.
    ///
    /// # Errors
    /// When it was deleted meanwhile, or the store fails.
    pub async fn examined(&self, id: &FileId, found: Examined) -> Result<FileState, Refusal> {
        let then = found.state;
        let examined = self.files.examined(id, found, self.now());
        if deadline::store(examined).await? {
            return Ok(then);
        }
        // Another process may have found it, after it took the upload from this one.
        let ids = std::slice::from_ref(id);
        let now = deadline::store(self.files.audiences(ids)).await?;
        match now.first().map(|file| file.state) {
            Some(state @ (FileState::Processing | FileState::Ready | FileState::Blocked)) => {
                Ok(state)
            }
            _ => Err(no_file()),
        }
    }

    /// Deletes a file that was refused for what it is.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn refuse(&self, id: &FileId) -> Result<(), Refusal> {
        deadline::store(self.files.discard(id, self.now()))
            .await
            .map(drop)
    }

    /// Deletes a file that was not sent.
    ///
    /// # Errors
    /// When it was sent, or the store fails.
    pub async fn discard(&self, caller: &Caller, id: &FileId) -> Result<(), Refusal> {
        let file = self.own(caller, id).await?;
        if file.message_seq.is_none() && deadline::store(self.files.discard(id, self.now())).await?
        {
            if file.state != FileState::Ready {
                self.report(&file, file.received, FileState::Failed);
            }
            return Ok(());
        }
        Err(Refusal::new(
            Code::Forbidden,
            "This file was sent: delete its message instead.",
        ))
    }

    /// When a stalled upload is deleted.
    #[must_use]
    pub fn expires_at(&self, file: &StoredFile) -> Timestamp {
        Timestamp(file.changed_at.0.saturating_add(DAY))
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now().wall
    }
}

/// The refusal of a type that the operator does not allow.
#[must_use]
pub fn not_allowed(media_type: &str) -> Refusal {
    let shown: String = media_type.chars().take(80).collect();
    Refusal::new(
        Code::UnsupportedMedia,
        format!("Files of the type {shown} cannot be uploaded here."),
    )
}

pub(super) fn no_file() -> Refusal {
    Refusal::new(Code::NotFound, "There is no such file.")
}
