//! Decodes requests about groups.

use crate::body;
use crate::loose::LooseId;
use lamplight_domain::entry::DetailsChange;
use lamplight_domain::group::{GroupAction, History};
use lamplight_domain::identity::{InvalidProfile, UserId, parse_avatar_url, parse_name};
use lamplight_domain::message::SendKey;
use lamplight_domain::permission::Role;
use lamplight_usecases::{Command, ConversationCommand, GroupCommand, Refusal};
use std::sync::Arc;

/// Reads the body of `POST /api/privatechat/conversations`.
///
/// # Errors
/// `invalid`, with what is wrong.
pub fn open(body: body::OpenConversation) -> Result<Command, Refusal> {
    match (body.user_id, body.member_ids) {
        (Some(user), None) => Ok(ConversationCommand::Open(user.user("userId")?).into()),
        (None, Some(members)) => Ok(GroupCommand::Make {
            members: users(&members)?,
            name: text(body.name.as_deref(), parse_name)?,
            avatar_url: text(body.avatar_url.as_deref(), parse_avatar_url)?,
            history: match body.history.as_deref() {
                None | Some("joined") => History::Joined,
                Some("all") => History::All,
                Some(_) => return Err(Refusal::invalid("history is \"joined\" or \"all\".")),
            },
            client_id: own_id("clientConversationId", body.client_conversation_id)?,
        }
        .into()),
        _ => Err(Refusal::invalid(
            "Give userId for a conversation of two, or memberIds for a group.",
        )),
    }
}

/// Reads the body of `PATCH /api/privatechat/conversations/{id}`.
///
/// # Errors
/// `invalid`, with what is wrong, or if it changes nothing.
pub fn details(id: &LooseId, update: body::UpdateGroup) -> Result<GroupCommand, Refusal> {
    if update.name.is_none() && update.avatar_url.is_none() {
        return Err(Refusal::invalid(
            "There is nothing to change: give name, avatarUrl, or both.",
        ));
    }
    let name = update.name.map(|name| text(name.as_deref(), parse_name));
    let url = update.avatar_url;
    let url = url.map(|url| text(url.as_deref(), parse_avatar_url));
    let change = DetailsChange {
        name: name.transpose()?,
        avatar_url: url.transpose()?,
    };
    command(
        id,
        GroupAction::SetDetails(change),
        update.client_message_id,
    )
}

/// Reads the body of `POST /api/privatechat/conversations/{id}/members`.
///
/// # Errors
/// `invalid`, with what is wrong.
pub fn add(id: &LooseId, add: body::AddMembers) -> Result<GroupCommand, Refusal> {
    let users = users(&add.user_ids)?;
    command(id, GroupAction::Add(users), add.client_message_id)
}

/// A removal, or a leave.
///
/// # Errors
/// `invalid`, with what is wrong.
pub fn remove(
    id: &LooseId,
    user: &LooseId,
    client_message_id: Option<LooseId>,
) -> Result<GroupCommand, Refusal> {
    let user = user.user("userId")?;
    command(id, GroupAction::Remove(user), client_message_id)
}

/// Reads the body of `PUT /api/privatechat/conversations/{id}/members/{userId}`.
///
/// # Errors
/// `invalid`, with what is wrong.
pub fn role(id: &LooseId, user: &LooseId, set: body::SetRole) -> Result<GroupCommand, Refusal> {
    let role = match set.role.as_str() {
        "owner" => Role::Owner,
        "admin" => Role::Admin,
        "member" => Role::Member,
        _ => {
            return Err(Refusal::invalid(
                "role is \"owner\", \"admin\" or \"member\".",
            ));
        }
    };
    let user = user.user("userId")?;
    command(id, GroupAction::SetRole(user, role), set.client_message_id)
}

fn command(
    id: &LooseId,
    action: GroupAction,
    client_message_id: Option<LooseId>,
) -> Result<GroupCommand, Refusal> {
    let key = own_id("clientMessageId", client_message_id)?;
    Ok(GroupCommand::Change {
        conversation: id.conversation()?,
        action,
        key: key.map(SendKey::ClientMessageId),
    })
}

fn users(ids: &[LooseId]) -> Result<Vec<UserId>, Refusal> {
    ids.iter().map(|id| id.user("A user id")).collect()
}

/// An id that a client gave to what it writes. The rules of ids apply to it too.
fn own_id(field: &str, id: Option<LooseId>) -> Result<Option<Arc<str>>, Refusal> {
    id.map(|id| id.user(field).map(|checked| Arc::from(checked.as_str())))
        .transpose()
}

/// A text that an empty one removes.
fn text(
    given: Option<&str>,
    parse: fn(&str) -> Result<Arc<str>, InvalidProfile>,
) -> Result<Option<Arc<str>>, Refusal> {
    let given = given.filter(|given| !given.is_empty());
    let parsed = given.map(parse).transpose();
    parsed.map_err(|error| Refusal::invalid(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(json: &str) -> Result<Command, Refusal> {
        open(crate::decode::json(json.as_bytes())?)
    }

    #[test]
    fn a_conversation_is_one_of_two_or_a_group() {
        let Ok(Command::Conversations(ConversationCommand::Open(other))) =
            opened(r#"{"userId":7}"#)
        else {
            panic!("of two")
        };
        assert_eq!(other.as_str(), "7");
        let Ok(Command::Groups(GroupCommand::Make {
            members,
            name,
            history,
            client_id,
            ..
        })) = opened(
            r#"{"memberIds":[1,"b"],"name":" N ","history":"all","clientConversationId":9}"#,
        )
        else {
            panic!("a group")
        };
        assert_eq!(members.len(), 2);
        assert_eq!(
            (name.as_deref(), client_id.as_deref()),
            (Some("N"), Some("9"))
        );
        assert_eq!(history, History::All);
        for bad in [
            "{}",
            r#"{"userId":1,"memberIds":[2]}"#,
            r#"{"memberIds":[2],"history":"some"}"#,
            r#"{"memberIds":[""]}"#,
            r#"{"memberIds":[2],"name":"\u200b"}"#,
            r#"{"memberIds":[2],"avatarUrl":"javascript:x"}"#,
        ] {
            assert!(opened(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn details_are_changed_removed_or_left() {
        let of = |json: &str| {
            let update = crate::decode::json(json.as_bytes()).unwrap();
            details(&LooseId("c".into()), update)
        };
        let Ok(GroupCommand::Change {
            action: GroupAction::SetDetails(change),
            ..
        }) = of(r#"{"name":null,"avatarUrl":"/a.png"}"#)
        else {
            panic!("details")
        };
        assert_eq!(change.name, Some(None));
        assert_eq!(change.avatar_url, Some(Some("/a.png".into())));
        assert!(of("{}").is_err());
        let set = |role: &str| body::SetRole {
            role: role.into(),
            client_message_id: None,
        };
        let id = LooseId("c".into());
        assert!(role(&id, &LooseId("a".into()), set("admin")).is_ok());
        assert!(role(&id, &LooseId("a".into()), set("king")).is_err());
    }
}
