//! Permissions in a conversation. The stores check them inside their transactions, so that a member
//! who has just lost a role cannot use it.

/// The role of a member, in the order of rights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    #[default]
    Member,
    Admin,
    Owner,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// See the conversation, its log and its members.
    View,
    /// Append an entry to the log.
    Write,
    /// Move one's own marks.
    Mark,
    /// Change the members or the details of a group, or delete messages of others.
    Manage,
}

/// Why an action is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// Not a member. Answered as if there were no such conversation: its existence is private.
    NotAMember,
    /// A member whose role does not allow it.
    Forbidden,
}

/// Whether a user may do this: `role` is theirs in the conversation, `None` if they are no member.
///
/// # Errors
/// When they may not.
pub fn authorize(role: Option<Role>, action: Action) -> Result<(), Denied> {
    let role = role.ok_or(Denied::NotAMember)?;
    let needed = match action {
        Action::View | Action::Write | Action::Mark => Role::Member,
        Action::Manage => Role::Admin,
    };
    if role >= needed {
        Ok(())
    } else {
        Err(Denied::Forbidden)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACTIONS: [Action; 4] = [Action::View, Action::Write, Action::Mark, Action::Manage];

    #[test]
    fn for_non_members_a_conversation_does_not_exist() {
        for action in ACTIONS {
            assert_eq!(authorize(None, action), Err(Denied::NotAMember));
        }
    }

    #[test]
    fn every_member_may_view_write_and_mark_and_admins_manage() {
        for role in [Role::Member, Role::Admin, Role::Owner] {
            for action in ACTIONS {
                let is_allowed = action != Action::Manage || role != Role::Member;
                let expected = if is_allowed {
                    Ok(())
                } else {
                    Err(Denied::Forbidden)
                };
                assert_eq!(
                    authorize(Some(role), action),
                    expected,
                    "{role:?} {action:?}"
                );
            }
        }
        assert_eq!(Role::default(), Role::Member);
    }
}
