//! The ids in a file's path.

use super::super::answer::refused;
use super::super::api;
use ::http::request::Parts;
use axum::extract::{FromRequestParts, Path};
use axum::response::Response;
use lamplight_domain::identity::FileId;

/// The id of a file in an address.
pub(crate) struct FileInPath(pub(crate) FileId);

impl<S: Send + Sync> FromRequestParts<S> for FileInPath {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let id = api::id(path).map_err(|refusal| refused(&refusal))?;
        Ok(Self(FileId::trusted(id)))
    }
}
