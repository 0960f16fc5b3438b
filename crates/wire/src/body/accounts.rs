//! Accounts, their settings, and the caller.

use super::double_option;
use crate::loose::LooseId;
use serde::Deserialize;
use ts_rs::TS;
use utoipa::ToSchema;

/// `authenticate`.
#[derive(Debug, Deserialize, TS)]
pub struct Authenticate {
    /// A fresh token for the same user.
    pub token: String,
}

/// The body of `DELETE /api/account`.
#[derive(Deserialize, ToSchema)]
pub struct DeleteAccount {
    pub password: String,
    /// `delete` erases what the user wrote; left out, messages stay without a name.
    #[serde(default)]
    pub messages: Option<String>,
}

/// The body of `PUT /api/account/settings`. Missing fields stay unchanged.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountSettingsBody {
    /// `everyone`, or `nobody`: others do not see when the user was last seen, and the user does not see
    /// it of others.
    #[serde(default)]
    pub last_seen: Option<String>,
    /// `false`: others do not see the user's read marks, and the user does not see theirs.
    #[serde(default)]
    pub receipts: Option<bool>,
}

/// The body of `PUT /api/users/{id}`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PutUser {
    pub name: String,
    /// The URL of the picture; a token's claim calls it `picture`.
    #[serde(default, alias = "picture")]
    pub avatar_url: Option<String>,
}

/// The body of `POST /api/auth/register`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// The name to sign in with: 2 to 32 letters, digits, dots, dashes or underscores.
    pub username: String,
    /// At least 8 characters.
    pub password: String,
    /// The display name; the user name by default.
    #[serde(default)]
    pub name: Option<String>,
}

/// The body of `POST /api/auth/login`.
#[derive(Deserialize, ToSchema)]
pub struct Login {
    pub username: String,
    pub password: String,
}

/// The body of `POST /api/auth/password`.
#[derive(Deserialize, ToSchema)]
pub struct ChangePassword {
    /// The present password.
    pub current: String,
    /// The new password: at least 8 characters.
    pub next: String,
}

/// The body of `PATCH /api/account`. Missing fields stay unchanged.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateAccount {
    #[serde(default)]
    pub name: Option<String>,
    /// The URL of the picture; `null` or an empty text removes it.
    #[serde(default, deserialize_with = "double_option")]
    #[schema(value_type = Option<String>)]
    pub avatar_url: Option<Option<String>>,
}

/// The user that a request names with `AUTH=open`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenIdentity {
    #[serde(default)]
    pub sender_id: Option<LooseId>,
    #[serde(default)]
    pub user_id: Option<LooseId>,
}

/// The `auth` of a Socket.IO CONNECT.
#[derive(Default, Deserialize)]
pub struct ConnectAuth {
    #[serde(default)]
    pub token: Option<String>,
}
