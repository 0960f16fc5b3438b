//! Refusals, with the headers of tus.

use super::names::{OFFSET, RESUMABLE, VERSION};
use crate::files::{StoreFailure, UploadFailure};
use crate::http::answer::refused;
use crate::http::files::download::log;
use ::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use lamplight_usecases::{Code, Refusal};

/// A refusal, with the headers of tus.
pub(super) struct Refused {
    /// Where it is not the refusal's own.
    pub(super) status: Option<u16>,
    pub(super) refusal: Refusal,
    pub(super) offset: Option<u64>,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self {
            status: None,
            refusal,
            offset: None,
        }
    }
}

impl Refused {
    pub(super) fn with(
        status: u16,
        code: Code,
        message: impl Into<std::borrow::Cow<'static, str>>,
    ) -> Self {
        Self {
            status: Some(status),
            ..Refusal::new(code, message).into()
        }
    }
}

impl From<UploadFailure> for Refused {
    fn from(failure: UploadFailure) -> Self {
        match failure {
            UploadFailure::WrongChecksum => Self::with(
                460,
                Code::Invalid,
                "The bytes do not have this checksum. Send them again.",
            ),
            UploadFailure::TooMany => {
                Refusal::new(Code::TooLong, "The request has more bytes than the file.").into()
            }
            UploadFailure::Store(error) => error.into(),
            UploadFailure::Refused(refusal) => refusal.into(),
        }
    }
}

impl From<StoreFailure> for Refused {
    fn from(failure: StoreFailure) -> Self {
        if let StoreFailure::Missing = failure {
            return not_here();
        }
        log(&failure);
        Refusal::unavailable().into()
    }
}

/// The uploaded bytes are on another node's disk, or lost: the client restarts the upload.
pub(super) fn not_here() -> Refused {
    Refused::with(
        410,
        Code::NotFound,
        "The bytes that were uploaded before are not on this node. Restart the upload.",
    )
}

pub(super) fn busy() -> Refused {
    Refused::with(
        423,
        Code::Conflict,
        "Another request writes this upload. Try again in a moment.",
    )
}

pub(super) fn answered(result: Result<Response, Refused>) -> Response {
    let mut response = result.unwrap_or_else(|refused_with| {
        let mut response = refused(&refused_with.refusal);
        let status = refused_with
            .status
            .and_then(|code| StatusCode::from_u16(code).ok());
        if let Some(status) = status {
            *response.status_mut() = status;
        }
        if status == Some(StatusCode::PRECONDITION_FAILED) {
            let version = HeaderName::from_static("tus-version");
            response
                .headers_mut()
                .insert(version, HeaderValue::from_static(VERSION));
        }
        if let Some(offset) = refused_with.offset {
            response
                .headers_mut()
                .insert(OFFSET, HeaderValue::from(offset));
        }
        response
    });
    response
        .headers_mut()
        .insert(RESUMABLE, HeaderValue::from_static(VERSION));
    response
}
