//! Takes the bytes of uploads, and examines files whose bytes are all there.

use super::headers::number;
use super::refused::{Refused, busy};
use crate::files::{Checksum, Outcome, Upload, UploadEnd, UploadFailure, UploadLock};
use crate::http::files::download::log;
use crate::http::request_body::drain;
use crate::http::state::AppState;
use crate::metrics::{self, UploadOutcome};
use ::http::header;
use ::http::request::Parts;
use axum::body::Body;
use lamplight_domain::file::{FileState, StoredFile};
use lamplight_domain::identity::FileId;
use lamplight_usecases::files::not_allowed;
use lamplight_usecases::ports::Claimed;
use lamplight_usecases::{Caller, Code, FileService, Refusal};
use std::sync::Arc;
use std::time::Duration;

/// Between two reports of a file that is examined, which may take longer than an upload may be silent.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);

/// A request with bytes.
pub(super) struct Wanted {
    pub(super) caller: Caller,
    pub(super) id: FileId,
    pub(super) offset: u64,
    pub(super) checksum: Option<Checksum>,
}

/// Takes the bytes in a task of its own: hyper drops the handler of a connection that is cut, and
/// what has arrived is to be kept.
pub(super) async fn run(
    state: &Arc<AppState>,
    wanted: Wanted,
    parts: &Parts,
    body: Body,
) -> Result<StoredFile, Refused> {
    let length = number(&parts.headers, &header::CONTENT_LENGTH)?;
    let state = Arc::clone(state);
    let task = tokio::spawn(async move { receive(&state, wanted, length, body).await });
    task.await
        .unwrap_or_else(|_| Err(Refusal::new(Code::Internal, "The upload failed.").into()))
}

async fn receive(
    state: &Arc<AppState>,
    wanted: Wanted,
    length: Option<u64>,
    body: Body,
) -> Result<StoredFile, Refused> {
    let files = state.handler.files();
    let id = &wanted.id.clone();
    // Before the lock, so that other users cannot end an upload.
    files.own(&wanted.caller, id).await?;
    let Some(lock) = state.files.locks.take(id).await else {
        return Err(busy());
    };
    let claimed = files.claim(id).await?;
    let file = files.own(&wanted.caller, id).await;
    if let (Err(_), Some(claimed)) = (&file, &claimed) {
        release(files, id, claimed.generation).await;
    }
    let mut file = file?;
    let Some(claimed) = claimed else {
        // Another request sent the last bytes.
        return match wanted.offset == file.received {
            true => Ok(file),
            false => Err(elsewhere(&file, body).await),
        };
    };
    file.received = claimed.received;
    let generation = claimed.generation;
    let received = take(state, &lock, wanted, length, body, file, claimed).await;
    if !matches!(&received, Ok(file) if file.received == file.file.size) {
        release(files, id, generation).await;
    }
    received
}

/// Lets others write an upload. Where that fails, they wait for a while.
pub(super) async fn release(files: &FileService, id: &FileId, generation: u64) {
    if let Err(refusal) = files.release(id, generation).await {
        log(&refusal.message);
    }
}

/// The caller is wrong about the bytes that there are.
async fn elsewhere(file: &StoredFile, body: Body) -> Refused {
    drain(body).await;
    let why = format!("{} bytes of this file are there.", file.received);
    Refused {
        offset: Some(file.received),
        ..Refusal::new(Code::Conflict, why).into()
    }
}

/// Takes bytes for an upload that is claimed.
async fn take(
    state: &Arc<AppState>,
    lock: &UploadLock,
    wanted: Wanted,
    length: Option<u64>,
    body: Body,
    file: StoredFile,
    claimed: Claimed,
) -> Result<StoredFile, Refused> {
    let files = state.handler.files();
    if wanted.offset != file.received {
        return Err(elsewhere(&file, body).await);
    }
    if length.is_some_and(|length| length > file.file.size - file.received) {
        drain(body).await;
        return Err(UploadFailure::TooMany.into());
    }
    let mut upload = Upload {
        store: &state.files.store,
        files,
        lock,
        file,
        claimed,
    };
    let outcome = if upload.file.received == upload.file.file.size {
        Ok(UploadEnd::Whole)
    } else {
        let of = upload.file.clone();
        let report = |received| files.report(&of, received, FileState::Uploading);
        report(of.received);
        upload.write(body, wanted.checksum, &report).await
    };
    let (mut file, claimed) = (upload.file, upload.claimed);
    file.received = claimed.received;
    if outcome? == UploadEnd::Cut {
        metrics::upload(UploadOutcome::Cut);
    }
    if file.received == file.file.size {
        file.state = finish(state, &file, &claimed).await?;
    }
    Ok(file)
}

/// The state in the record, for a file that no other request writes.
pub(super) fn claimed(file: &StoredFile) -> Claimed {
    Claimed {
        generation: file.generation,
        received: file.received,
        place: Arc::clone(&file.place),
    }
}

/// Examines a file whose bytes are all there.
pub(super) async fn finish(
    state: &Arc<AppState>,
    file: &StoredFile,
    claimed: &Claimed,
) -> Result<FileState, Refused> {
    let files = state.handler.files();
    let report = |state| files.report(file, file.received, state);
    let work = examine(state, file, claimed);
    tokio::pin!(work);
    let mut sign = tokio::time::interval(SIGN_OF_LIFE);
    let ended = loop {
        tokio::select! {
            _ = sign.tick() => report(FileState::Processing),
            ended = &mut work => break ended,
        }
    };
    report(match &ended {
        Ok(state) => *state,
        Err(_) => FileState::Failed,
    });
    metrics::upload(match &ended {
        Ok(_) => UploadOutcome::Finished,
        Err(refused) if refused.refusal.code == Code::UnsupportedMedia => UploadOutcome::Refused,
        Err(_) => UploadOutcome::Failed,
    });
    if let (Ok(FileState::Processing), Some(scans)) = (&ended, &state.files.scans) {
        scans.notify_one();
    }
    ended
}

/// Returns the state of the file then.
async fn examine(
    state: &Arc<AppState>,
    file: &StoredFile,
    claimed: &Claimed,
) -> Result<FileState, Refused> {
    let files = state.handler.files();
    let then = match state.files.scans {
        Some(_) => FileState::Processing,
        None => FileState::Ready,
    };
    let (store, types) = (&state.files.store, &state.files.rules.types);
    let id = &file.file.id;
    match store.examine(file, claimed, types, then).await {
        Ok(Outcome::Ready(found)) => {
            let examined = files.examined(id, found).await;
            if examined.is_err() {
                store.delete_if_gone(files, id, claimed).await;
            }
            Ok(examined?)
        }
        Ok(Outcome::NotAllowed(kind)) => {
            files.refuse(id).await?;
            Err(not_allowed(&kind).into())
        }
        Err(error) => {
            store.delete_if_gone(files, id, claimed).await;
            Err(error.into())
        }
    }
}
