//! Uploads by tus 1.0.0, downloads, and avatars. Their bytes are streamed.

pub(crate) mod avatars;
pub(crate) mod download;
mod in_path;
mod range;
pub(crate) mod tus;

use super::state::AppState;
use axum::Router;
use axum::routing::{get, post};
use std::sync::Arc;

pub(super) fn routes() -> Router<Arc<AppState>> {
    Router::new()
        .route("/api/files", post(tus::create).options(tus::options))
        .route(
            "/api/files/{id}",
            get(download::download)
                .head(tus::head)
                .patch(tus::patch)
                .delete(tus::delete)
                .options(tus::options),
        )
        .route("/api/files/{id}/thumbnail", get(download::thumbnail))
        .route("/api/files/{id}/url", post(download::sign))
}
