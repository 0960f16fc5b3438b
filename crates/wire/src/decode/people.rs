//! Decodes profiles, accounts, and the user that a request names.

use super::json::{invalid, json};
use crate::body;
use crate::loose::LooseId;
use lamplight_domain::identity::{Profile, UserId, parse_avatar_url, parse_name};
use lamplight_domain::presence::PrivacyChange;
use lamplight_usecases::ports::PushTarget;
use lamplight_usecases::{AccountCommand, AdminCommand, PushCommand, Refusal};
use std::sync::Arc;

/// Reads a profile that the host application writes.
///
/// # Errors
/// `invalid`, with what is wrong.
pub fn put_user(id: &str, put: &body::PutUser) -> Result<AdminCommand, Refusal> {
    let id = LooseId(id.to_owned()).user("The user id")?;
    Ok(AdminCommand::PutProfile(profile(
        id,
        Some(&put.name),
        put.avatar_url.as_deref(),
    )?))
}

/// Reads the id of `POST /api/users/{id}/sign-out`.
///
/// # Errors
/// `invalid`, if it is no id.
pub fn sign_out_user(id: &str) -> Result<AdminCommand, Refusal> {
    let id = LooseId(id.to_owned()).user("The user id")?;
    Ok(AdminCommand::SignOut(id))
}

/// Reads the id of `GET /api/users/{id}`.
///
/// # Errors
/// `invalid`, if it is no id.
pub fn find_user(id: &str) -> Result<AccountCommand, Refusal> {
    let id = LooseId(id.to_owned()).user("The user id")?;
    Ok(AccountCommand::Find(id))
}

/// Reads the body of `PATCH /api/account`.
///
/// # Errors
/// `invalid`, with what is wrong, or if it changes nothing.
pub fn update_account(update: &body::UpdateAccount) -> Result<AccountCommand, Refusal> {
    if update.name.is_none() && update.avatar_url.is_none() {
        return Err(Refusal::invalid(
            "There is nothing to change: give name, avatarUrl, or both.",
        ));
    }
    let name = update
        .name
        .as_deref()
        .map(parse_name)
        .transpose()
        .map_err(invalid)?;
    let avatar_url = update
        .avatar_url
        .as_ref()
        .map(|url| avatar(url.as_deref()))
        .transpose()?;
    Ok(AccountCommand::Update { name, avatar_url })
}

/// Reads the body of `DELETE /api/account`.
///
/// # Errors
/// `invalid`, if `messages` is anything but `delete`.
pub fn delete_account(body: body::DeleteAccount) -> Result<AccountCommand, Refusal> {
    let erases_messages = match body.messages.as_deref() {
        None => false,
        Some("delete") => true,
        Some(_) => {
            return Err(Refusal::invalid(
                "messages is \"delete\" to erase what you wrote. Leave it out to keep it without your name.",
            ));
        }
    };
    Ok(AccountCommand::Delete {
        password: body.password,
        erases_messages,
    })
}

/// Reads the body of `PUT /api/account/settings`.
///
/// # Errors
/// `invalid`, with what is wrong, or if it changes nothing.
pub fn account_settings(body: &body::AccountSettingsBody) -> Result<AccountCommand, Refusal> {
    let hides_last_seen = match body.last_seen.as_deref() {
        None => None,
        Some("everyone") => Some(false),
        Some("nobody") => Some(true),
        Some(_) => {
            return Err(Refusal::invalid("lastSeen is \"everyone\" or \"nobody\"."));
        }
    };
    if hides_last_seen.is_none() && body.receipts.is_none() {
        return Err(Refusal::invalid(
            "There is nothing to change: give lastSeen, receipts, or both.",
        ));
    }
    Ok(AccountCommand::SetSettings(PrivacyChange {
        hides_last_seen,
        hides_reads: body.receipts.map(|receipts| !receipts),
    }))
}

/// Reads the body of `POST /api/push/subscriptions`.
#[must_use]
pub fn subscribe(subscription: body::PushSubscriptionBody) -> PushCommand {
    let unpadded = |text: String| Arc::from(text.trim_end_matches('='));
    PushCommand::Subscribe {
        target: PushTarget {
            endpoint: subscription.endpoint.into(),
            p256dh: unpadded(subscription.keys.p256dh),
            auth: unpadded(subscription.keys.auth),
        },
        content: subscription.content.unwrap_or(true),
        key: subscription.key.map(unpadded),
    }
}

/// Reads the body of `DELETE /api/push/subscriptions`.
#[must_use]
pub fn unsubscribe(subscription: body::PushEndpointBody) -> PushCommand {
    PushCommand::Unsubscribe {
        endpoint: subscription.endpoint,
    }
}

/// A profile from the claims of a token or the host application.
///
/// # Errors
/// `invalid`, with what is wrong.
pub fn profile(
    id: UserId,
    name: Option<&str>,
    avatar_url: Option<&str>,
) -> Result<Profile, Refusal> {
    let name = match name {
        Some(name) => parse_name(name).map_err(invalid)?,
        None => id.as_str().into(),
    };
    Ok(Profile {
        id,
        name,
        avatar_url: avatar(avatar_url)?,
    })
}

pub(super) fn user_ids(ids: &[LooseId]) -> Result<Vec<UserId>, Refusal> {
    ids.iter().map(|id| id.user("A user id")).collect()
}

pub(super) fn user_ref(payload: &str) -> Result<UserId, Refusal> {
    json::<body::UserRef>(payload.as_bytes())?
        .user_id
        .user("userId")
}

pub(super) fn avatar(url: Option<&str>) -> Result<Option<Arc<str>>, Refusal> {
    url.filter(|url| !url.is_empty())
        .map(parse_avatar_url)
        .transpose()
        .map_err(invalid)
}
