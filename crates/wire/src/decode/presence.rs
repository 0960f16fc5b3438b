//! Presence: joins, heartbeats, statuses and activities.

use super::json::{invalid, is_object, json, json_or, value};
use super::people::avatar;
use crate::body;
use crate::loose::LooseId;
use crate::time;
use lamplight_domain::identity::{UserId, parse_name};
use lamplight_domain::presence::{Activity, ManualStatus, StatusOverride, parse_kind, parse_text};
use lamplight_domain::roster_feed::Mode;
use lamplight_usecases::{PresenceCommand, Refusal};

pub(super) fn join_user(
    payload: &str,
    caller: Option<&UserId>,
) -> Result<PresenceCommand, Refusal> {
    if !is_object(payload) {
        let user = value::<LooseId>(payload.as_bytes())?.user("userId")?;
        return Ok(PresenceCommand::Join {
            user,
            mode: Mode::Full,
            name: None,
            avatar_url: None,
        });
    }
    let join: body::JoinUser = json(payload.as_bytes())?;
    let mode = match join.roster.as_deref() {
        None | Some("full") => Mode::Full,
        Some("diff") => Mode::Diff,
        Some("watch") => Mode::Watch,
        Some("none") => Mode::None,
        Some(_) => {
            return Err(Refusal::invalid(
                "roster is \"full\", \"diff\", \"watch\" or \"none\".",
            ));
        }
    };
    let name = join
        .name
        .as_deref()
        .map(parse_name)
        .transpose()
        .map_err(invalid)?;
    let avatar_url = avatar(join.avatar_url.as_deref())?;
    let user = match (join.user_id, caller) {
        (Some(id), _) => id.user("userId")?,
        (None, Some(caller)) => caller.clone(),
        (None, None) => return Err(Refusal::invalid("join_user needs a userId.")),
    };
    Ok(PresenceCommand::Join {
        user,
        mode,
        name,
        avatar_url,
    })
}

/// No payload means active. Pages of the original system send their user's id, which is ignored: the
/// socket has a user.
pub(super) fn is_active(payload: &str) -> Result<bool, Refusal> {
    if value::<LooseId>(payload.as_bytes()).is_ok() {
        return Ok(true);
    }
    Ok(json_or::<body::UserActivity>(payload)?
        .active
        .unwrap_or(true))
}

pub(super) fn set_status(status: body::SetStatus) -> Result<PresenceCommand, Refusal> {
    let manual = match status.status.as_str() {
        "online" => ManualStatus::Online,
        "away" => ManualStatus::Away,
        "busy" => ManualStatus::Busy,
        "invisible" => ManualStatus::Invisible,
        _ => {
            return Err(Refusal::invalid(
                "status is \"online\", \"away\", \"busy\" or \"invisible\".",
            ));
        }
    };
    let text = status
        .text
        .as_deref()
        .map(parse_text)
        .transpose()
        .map_err(invalid)?
        .flatten();
    let until = match status.until.as_deref() {
        Some(until) => Some(time::parse(until).ok_or_else(|| {
            Refusal::invalid("until is an RFC 3339 time, such as 2026-01-31T12:00:00Z.")
        })?),
        None => None,
    };
    Ok(PresenceCommand::SetStatus(StatusOverride {
        status: manual,
        text,
        until,
    }))
}

pub(super) fn activity(activity: body::ActivityBody) -> Result<Activity, Refusal> {
    Ok(Activity {
        kind: parse_kind(&activity.kind).map_err(invalid)?,
        label: activity
            .label
            .as_deref()
            .map(parse_text)
            .transpose()
            .map_err(invalid)?
            .flatten(),
        conversation: activity
            .conversation_id
            .map(|conversation| conversation.conversation())
            .transpose()?,
    })
}
