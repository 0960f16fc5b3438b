//! The OpenAPI document.

use super::answer::refused;
use super::assets;
use super::schemas::Refusals;
use ::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use lamplight_usecases::{Code, Refusal};
use lamplight_wire::body;
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{self, Object};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{RefOr, Required};
use utoipa::{Modify, OpenApi};

#[derive(OpenApi)]
#[openapi(
    info(title = "Lamplight", description = "Online presence and private messaging for your app.", license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")),
    paths(
        super::api::online_users,
        super::api::list_conversations,
        super::api::open_conversation,
        super::api::put_conversation,
        super::groups::update,
        super::groups::members,
        super::groups::add,
        super::groups::remove,
        super::groups::set_role,
        super::api::mark_read,
        super::settings::put_settings,
        super::api::messages,
        super::api::pins,
        super::api::seq_at,
        super::conversation_files::list,
        super::api::send,
        super::search::search,
        super::changes::edit,
        super::changes::delete,
        super::changes::react,
        super::changes::unreact,
        super::changes::pin,
        super::changes::unpin,
        super::blocks::list,
        super::blocks::block,
        super::blocks::unblock,
        super::push::key,
        super::push::subscribe,
        super::push::unsubscribe,
        super::files::tus::create,
        super::files::tus::head,
        super::files::tus::patch,
        super::files::tus::delete,
        super::files::download::download,
        super::files::download::thumbnail,
        super::files::download::sign,
        super::api::users,
        super::api::user,
        super::api::put_user,
        super::api::sign_out_user,
        super::accounts::register,
        super::accounts::login,
        super::accounts::logout,
        super::accounts::logout_all,
        super::accounts::change_password,
        super::accounts::update_account,
        super::accounts::delete_account,
        super::accounts::account_settings,
        super::accounts::put_account_settings,
        super::accounts::auth,
        super::accounts::session,
        super::files::avatars::set_account,
        super::files::avatars::remove_account,
        super::files::avatars::set_group,
        super::files::avatars::remove_group,
        super::files::avatars::avatar,
        super::ops::healthz,
        super::ops::readyz,
        super::ops::metrics,
        openapi,
    ),
    servers((url = "/", description = "This server")),
    components(schemas(body::SendMessage)),
    tags(
        (name = "presence", description = "Who is online"),
        (name = "messages", description = "Conversations and their logs"),
        (name = "files", description = "Files that members share"),
        (name = "groups", description = "Members, roles and details of groups"),
        (name = "people", description = "The directory of users"),
        (name = "push", description = "Notices to browsers that do not show the page"),
        (name = "accounts", description = "Local accounts, with AUTH=local"),
        (name = "host", description = "For your application, with the server key"),
        (name = "operations", description = "For operators"),
    ),
    modifiers(&Security, &Callers, &Public)
)]
struct Api;

struct Security;

impl Modify for Security {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let components = api.components.get_or_insert_default();
        let bearer = |what: &str| {
            let mut http = Http::new(HttpAuthScheme::Bearer);
            http.description = Some(what.to_owned());
            SecurityScheme::Http(http)
        };
        components.add_security_scheme(
            "bearer",
            bearer("A token of your application or of a local session. `AUTH=open` has none: see `X-User-Id`."),
        );
        components.add_security_scheme("serverKey", bearer("The server key (SERVER_KEY)."));
        components.add_security_scheme(
            "cookie",
            SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description(
                crate::auth::SESSION_COOKIE,
                "The session's cookie. Over TLS its name is `__Host-lamplight_session`.",
            ))),
        );
    }
}

/// Adds the parameters that name the caller to every operation of a user.
struct Callers;

impl Modify for Callers {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        for (path, item) in &mut api.paths.paths {
            // Reads may also name the user in the query.
            let reads = item.get.iter_mut().map(|operation| (operation, true));
            let writes = [
                &mut item.post,
                &mut item.put,
                &mut item.patch,
                &mut item.delete,
            ];
            let writes = writes.into_iter().flatten().map(|write| (write, false));
            for (operation, is_read) in reads.chain(writes) {
                let is_for_host = operation.tags.iter().flatten().any(|tag| tag == "host");
                if !path.starts_with("/api/")
                    || path == "/api/auth"
                    || path.starts_with("/api/auth/")
                    || path == "/api/account"
                    || is_for_host
                {
                    continue;
                }
                let parameters = operation.parameters.get_or_insert_default();
                let what = "Percent-encoded UTF-8. With `AUTH=open`: the calling user. Otherwise a check: if the token proves another user, the answer is \
                            `unauthenticated`.";
                parameters.push(said("X-User-Id", ParameterIn::Header, what));
                if is_read {
                    let what = "With `AUTH=open`: the calling user, without `X-User-Id`.";
                    parameters.push(said("userId", ParameterIn::Query, what));
                }
                let appends = path == "/api/privatechat/message"
                    || path.starts_with("/api/privatechat/messages/")
                    || operation.tags.iter().flatten().any(|tag| tag == "groups");
                if appends && !is_read {
                    let what = "The id of the sender's own socket, which does not receive the entry as an event.";
                    parameters.push(said("X-Socket-Id", ParameterIn::Header, what));
                }
            }
        }
    }
}

/// Writes `security: []` for operations without credentials: tools support it better than one empty
/// requirement.
struct Public;

impl Modify for Public {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        for item in api.paths.paths.values_mut() {
            for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
                if operation.security.as_deref() == Some(&[SecurityRequirement::default()]) {
                    operation.security = Some(Vec::new());
                }
            }
        }
    }
}

fn said(name: &str, parameter_in: ParameterIn, what: &str) -> RefOr<Parameter> {
    let text = Object::with_type(schema::Type::String);
    let parameter = ParameterBuilder::new()
        .name(name)
        .parameter_in(parameter_in)
        .required(Required::False);
    parameter
        .description(Some(what))
        .schema(Some(text))
        .build()
        .into()
}

/// The document as JSON.
#[must_use]
pub fn document() -> String {
    Api::openapi().to_json().unwrap_or_default()
}

/// The served document and its `ETag`.
pub(crate) struct Document {
    pub(crate) json: Bytes,
    pub(crate) tag: HeaderValue,
}

/// The served document. The first request creates it, on a blocking thread, because that takes 10 ms
/// and 4 MB of memory. `None` if that panicked; the log has the panic.
pub(crate) async fn served() -> Option<&'static Document> {
    static DOCUMENT: OnceCell<Document> = OnceCell::const_new();
    let made = DOCUMENT.get_or_try_init(async || tokio::task::spawn_blocking(make).await);
    made.await.ok()
}

fn make() -> Document {
    let json = document();
    let hash = Sha256::digest(&json)
        .iter()
        .take(16)
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let tag =
        HeaderValue::from_str(&format!("\"{hash}\"")).unwrap_or(HeaderValue::from_static("\"\""));
    Document {
        json: json.into(),
        tag,
    }
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "operations", security(()),
    responses((status = 200, description = "This document", body = serde_json::Value), Refusals))]
pub(crate) async fn openapi(headers: HeaderMap) -> Response {
    let Some(document) = served().await else {
        return refused(&Refusal::new(
            Code::Internal,
            "Something went wrong on the server.",
        ));
    };
    let about = [
        (header::ETAG, document.tag.clone()),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    if document
        .tag
        .to_str()
        .is_ok_and(|tag| assets::has(&headers, tag))
    {
        return (StatusCode::NOT_MODIFIED, about).into_response();
    }
    (
        [(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        )],
        about,
        document.json.clone(),
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn f13_the_document_names_the_server_and_the_routes_without_credentials() {
        let document: Value = serde_json::from_str(&document()).unwrap();
        assert_eq!(document["servers"][0]["url"], "/");
        let of = |path: &str, method: &str| document["paths"][path][method]["security"].clone();
        for (path, method) in [
            ("/api/auth/login", "post"),
            ("/healthz", "get"),
            ("/readyz", "get"),
            ("/openapi.json", "get"),
        ] {
            assert_eq!(of(path, method), json!([]), "{path}");
        }
        // Optional: open registration needs no credentials, and the host application always may.
        assert_eq!(of("/api/auth/register", "post")[0], json!({}));
        assert_eq!(
            of("/api/privatechat/message", "post"),
            json!([{ "bearer": [] }, { "cookie": [] }])
        );
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                assert!(operation["security"].is_array(), "{method} {path}");
            }
        }
    }

    #[test]
    fn f13_flags_are_booleans() {
        let document: Value = serde_json::from_str(&document()).unwrap();
        let parameters = document["paths"]["/api/online-users"]["get"]["parameters"]
            .as_array()
            .unwrap();
        let count_only = parameters
            .iter()
            .find(|parameter| parameter["name"] == "countOnly")
            .unwrap();
        assert!(
            count_only["schema"]["type"].to_string().contains("boolean"),
            "{count_only}"
        );
    }
}
