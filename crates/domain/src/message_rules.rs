//! Rules for actions on messages. The stores apply them inside the transaction that appends the
//! entry, so that no action is based on outdated state.

use crate::entry::MessageAction;
use crate::identity::UserId;
use crate::message::Content;
use crate::permission::{Action, Role, authorize};
use crate::time::Timestamp;

/// The most different emoji on a message.
pub const MAX_REACTION_KINDS: usize = 20;
/// The most reactions of one user on a message.
pub const MAX_OWN_REACTIONS: usize = 5;
/// The most pinned messages of a conversation.
pub const MAX_PINS: usize = 50;

/// A message as the store has it when something is done to it.
#[derive(Clone, Debug)]
pub struct MessageState {
    pub seq: u64,
    pub sender: UserId,
    pub created_at: Timestamp,
    /// As it is now.
    pub content: Content,
    /// As they are now.
    pub mentions: Vec<UserId>,
    /// The entry that gave it this content: its last edit, or itself.
    pub content_seq: u64,
    /// The entry that deleted it.
    pub deleted_seq: Option<u64>,
    /// The entry that pinned it, if it is pinned.
    pub pinned_seq: Option<u64>,
    /// About the emoji that is added or taken back; the default for other actions.
    pub reactions: ReactionState,
}

/// The reactions on a message, as a further one depends on them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReactionState {
    /// Different emoji on the message.
    pub kinds: usize,
    /// Whether the emoji is one of them.
    pub has_kind: bool,
    /// Reactions of the user on the message.
    pub own: usize,
    /// The entry that added the user's reaction with this emoji, if it is there.
    pub own_seq: Option<u64>,
}

/// The author and the conversation of an action on a message.
#[derive(Clone, Copy, Debug)]
pub struct Actor<'a> {
    pub user: &'a UserId,
    pub role: Role,
    /// Whether the conversation is one of two people, where both may pin.
    pub is_direct: bool,
    /// Pinned messages of the conversation.
    pub pins: usize,
    /// Messages sent before this time can no longer be edited.
    pub editable_since: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The entry is appended.
    Append,
    /// It would change nothing: the entry at this `seq` made the state.
    Unchanged(u64),
}

/// Why a write on a message, or one that names a message or a member, is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteRefused {
    /// There is no such message for this member, or it is deleted.
    NoMessage,
    NotTheAuthor,
    /// The time for edits is over.
    TooLateToEdit,
    NotAnAdmin,
    /// There is no such message to reply to for this member.
    UnknownReply,
    /// A mentioned user is not a member.
    UnknownMention,
    /// A file that is not the sender's, not ready, of another conversation, or sent already.
    UnknownFile,
    TooManyReactionKinds,
    TooManyOwnReactions,
    TooManyPins,
}

/// Decides what becomes of an action.
///
/// # Errors
/// When it is refused.
pub fn judge(
    action: &MessageAction,
    message: &MessageState,
    actor: &Actor<'_>,
) -> Result<Verdict, WriteRefused> {
    let is_author = *actor.user == message.sender;
    let is_admin = !actor.is_direct && authorize(Some(actor.role), Action::Manage).is_ok();
    if let MessageAction::Delete = action {
        if !is_author && !is_admin {
            return Err(WriteRefused::NotTheAuthor);
        }
        return Ok(message
            .deleted_seq
            .map_or(Verdict::Append, Verdict::Unchanged));
    }
    if let MessageAction::Edit { .. } = action
        && !is_author
    {
        return Err(WriteRefused::NotTheAuthor);
    }
    if let MessageAction::Pin { .. } = action
        && !actor.is_direct
        && !is_admin
    {
        return Err(WriteRefused::NotAnAdmin);
    }
    if message.deleted_seq.is_some() {
        return Err(WriteRefused::NoMessage);
    }
    match action {
        MessageAction::Edit { content, mentions } => edit(content, mentions, message, actor),
        MessageAction::React { added, .. } => react(*added, message),
        MessageAction::Pin { pinned } => pin(*pinned, message, actor),
        MessageAction::Delete => Ok(Verdict::Append),
    }
}

fn edit(
    content: &Content,
    mentions: &[UserId],
    message: &MessageState,
    actor: &Actor<'_>,
) -> Result<Verdict, WriteRefused> {
    if *content == message.content && *mentions == *message.mentions {
        return Ok(Verdict::Unchanged(message.content_seq));
    }
    match actor.editable_since {
        Some(since) if message.created_at < since => Err(WriteRefused::TooLateToEdit),
        _ => Ok(Verdict::Append),
    }
}

fn react(added: bool, message: &MessageState) -> Result<Verdict, WriteRefused> {
    let state = message.reactions;
    match (added, state.own_seq) {
        (true, Some(seq)) => Ok(Verdict::Unchanged(seq)),
        (false, Some(_)) => Ok(Verdict::Append),
        (false, None) => Ok(Verdict::Unchanged(message.seq)),
        (true, None) if !state.has_kind && state.kinds >= MAX_REACTION_KINDS => {
            Err(WriteRefused::TooManyReactionKinds)
        }
        (true, None) if state.own >= MAX_OWN_REACTIONS => Err(WriteRefused::TooManyOwnReactions),
        (true, None) => Ok(Verdict::Append),
    }
}

fn pin(pinned: bool, message: &MessageState, actor: &Actor<'_>) -> Result<Verdict, WriteRefused> {
    match (pinned, message.pinned_seq) {
        (true, Some(seq)) => Ok(Verdict::Unchanged(seq)),
        (false, Some(_)) => Ok(Verdict::Append),
        (false, None) => Ok(Verdict::Unchanged(message.seq)),
        (true, None) if actor.pins >= MAX_PINS => Err(WriteRefused::TooManyPins),
        (true, None) => Ok(Verdict::Append),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emoji::Emoji;

    fn message() -> MessageState {
        MessageState {
            seq: 3,
            sender: UserId::trusted("author"),
            created_at: Timestamp(1_000),
            content: Content::trusted("now"),
            mentions: Vec::new(),
            content_seq: 5,
            deleted_seq: None,
            pinned_seq: None,
            reactions: ReactionState::default(),
        }
    }

    fn ask(
        action: &MessageAction,
        message: &MessageState,
        user: &str,
        role: Role,
        is_direct: bool,
    ) -> Result<Verdict, WriteRefused> {
        let actor = Actor {
            user: &UserId::trusted(user),
            role,
            is_direct,
            pins: 0,
            editable_since: None,
        };
        judge(action, message, &actor)
    }

    fn edit_to(content: &str) -> MessageAction {
        MessageAction::Edit {
            content: Content::trusted(content),
            mentions: Vec::new(),
        }
    }

    fn reaction(added: bool) -> MessageAction {
        MessageAction::React {
            emoji: Emoji::trusted("👍"),
            added,
        }
    }

    #[test]
    fn only_the_author_edits_within_the_time_limit() {
        let there = message();
        let owner = ask(&edit_to("x"), &there, "other", Role::Owner, false);
        assert_eq!(owner, Err(WriteRefused::NotTheAuthor));
        let author = ask(&edit_to("x"), &there, "author", Role::Member, true);
        assert_eq!(author, Ok(Verdict::Append));
        let same = ask(&edit_to("now"), &there, "author", Role::Member, true);
        assert_eq!(same, Ok(Verdict::Unchanged(5)));
        for (since, expected) in [
            (1_000, Ok(Verdict::Append)),
            (1_001, Err(WriteRefused::TooLateToEdit)),
        ] {
            let actor = Actor {
                user: &UserId::trusted("author"),
                role: Role::Member,
                is_direct: true,
                pins: 0,
                editable_since: Some(Timestamp(since)),
            };
            assert_eq!(judge(&edit_to("x"), &there, &actor), expected);
        }
    }

    #[test]
    fn the_author_deletes_and_in_a_group_an_admin() {
        let there = message();
        let ask =
            |user, role, is_direct| ask(&MessageAction::Delete, &there, user, role, is_direct);
        assert_eq!(ask("author", Role::Member, true), Ok(Verdict::Append));
        assert_eq!(ask("other", Role::Admin, false), Ok(Verdict::Append));
        let refused = Err(WriteRefused::NotTheAuthor);
        assert_eq!(ask("other", Role::Member, false), refused);
        assert_eq!(ask("other", Role::Owner, true), refused);
    }

    #[test]
    fn a_deleted_message_can_only_be_deleted_again() {
        let there = MessageState {
            deleted_seq: Some(9),
            ..message()
        };
        let ask = |action: &MessageAction| ask(action, &there, "author", Role::Member, true);
        assert_eq!(ask(&MessageAction::Delete), Ok(Verdict::Unchanged(9)));
        for action in [
            edit_to("now"),
            reaction(true),
            reaction(false),
            MessageAction::Pin { pinned: true },
        ] {
            assert_eq!(ask(&action), Err(WriteRefused::NoMessage), "{action:?}");
        }
    }

    #[test]
    fn reactions_are_bounded_by_kinds_and_by_user() {
        let with = |kinds, has_kind, own, own_seq| MessageState {
            reactions: ReactionState {
                kinds,
                has_kind,
                own,
                own_seq,
            },
            ..message()
        };
        let ask =
            |added, there: &MessageState| ask(&reaction(added), there, "other", Role::Member, true);
        assert_eq!(ask(true, &with(0, false, 0, None)), Ok(Verdict::Append));
        assert_eq!(
            ask(true, &with(1, true, 1, Some(7))),
            Ok(Verdict::Unchanged(7))
        );
        assert_eq!(ask(false, &with(1, true, 1, Some(7))), Ok(Verdict::Append));
        assert_eq!(
            ask(false, &with(1, true, 0, None)),
            Ok(Verdict::Unchanged(3))
        );
        assert_eq!(ask(true, &with(20, true, 4, None)), Ok(Verdict::Append));
        let kinds = ask(true, &with(20, false, 0, None));
        assert_eq!(kinds, Err(WriteRefused::TooManyReactionKinds));
        let own = ask(true, &with(5, true, 5, None));
        assert_eq!(own, Err(WriteRefused::TooManyOwnReactions));
    }

    #[test]
    fn in_a_conversation_of_two_both_pin_and_in_a_group_admins() {
        let there = message();
        let pin = MessageAction::Pin { pinned: true };
        assert_eq!(
            ask(&pin, &there, "other", Role::Member, true),
            Ok(Verdict::Append)
        );
        assert_eq!(
            ask(&pin, &there, "other", Role::Admin, false),
            Ok(Verdict::Append)
        );
        let member = ask(&pin, &there, "author", Role::Member, false);
        assert_eq!(member, Err(WriteRefused::NotAnAdmin));
        let unpin = MessageAction::Pin { pinned: false };
        assert_eq!(
            ask(&unpin, &there, "other", Role::Member, true),
            Ok(Verdict::Unchanged(3))
        );
        let pinned = MessageState {
            pinned_seq: Some(8),
            ..message()
        };
        assert_eq!(
            ask(&pin, &pinned, "other", Role::Member, true),
            Ok(Verdict::Unchanged(8))
        );
        assert_eq!(
            ask(&unpin, &pinned, "other", Role::Member, true),
            Ok(Verdict::Append)
        );
        let full = Actor {
            user: &UserId::trusted("other"),
            role: Role::Member,
            is_direct: true,
            pins: MAX_PINS,
            editable_since: None,
        };
        assert_eq!(judge(&pin, &there, &full), Err(WriteRefused::TooManyPins));
    }
}
