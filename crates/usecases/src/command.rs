//! The commands that a caller can send, and the replies to them, by area.

use crate::accounts::command::{AccountCommand, AccountReply};
use crate::admin::command::{AdminCommand, AdminReply};
use crate::blocks::command::{BlockCommand, BlockReply};
use crate::conversations::command::{ConversationCommand, ConversationReply};
use crate::groups::command::{GroupCommand, GroupReply};
use crate::messages::command::{MessageCommand, MessageReply};
use crate::metadata::Metadata;
use crate::presence::command::{PresenceCommand, PresenceReply};
use crate::push::command::{PushCommand, PushReply};
use crate::search::command::{SearchCommand, SearchReply};
use crate::weight::ROW;

/// A command of any area.
#[derive(Clone, Debug)]
pub enum Command {
    Presence(PresenceCommand),
    Conversations(ConversationCommand),
    Groups(GroupCommand),
    Messages(MessageCommand),
    Search(SearchCommand),
    Blocks(BlockCommand),
    Push(PushCommand),
    Accounts(AccountCommand),
    Admin(AdminCommand),
}

impl Command {
    /// Its scope, budget and dispatch.
    #[must_use]
    pub fn metadata(&self) -> Metadata {
        match self {
            Self::Presence(command) => command.metadata(),
            Self::Conversations(command) => command.metadata(),
            Self::Groups(command) => command.metadata(),
            Self::Messages(command) => command.metadata(),
            Self::Search(command) => command.metadata(),
            Self::Blocks(command) => command.metadata(),
            Self::Push(command) => command.metadata(),
            Self::Accounts(command) => command.metadata(),
            Self::Admin(command) => command.metadata(),
        }
    }
}

/// A reply of any area.
#[derive(Clone, Debug)]
pub enum Reply {
    /// The command succeeded and returns nothing.
    Done,
    Presence(PresenceReply),
    Conversations(ConversationReply),
    Groups(GroupReply),
    Messages(MessageReply),
    Search(SearchReply),
    Blocks(BlockReply),
    Push(PushReply),
    Accounts(AccountReply),
    Admin(AdminReply),
}

impl Reply {
    /// The cost of a read with this reply: its bytes, and [`ROW`] for each row.
    pub(crate) fn cost(&self) -> usize {
        ROW + match self {
            Self::Done | Self::Push(_) | Self::Admin(_) => 0,
            Self::Presence(reply) => reply.cost(),
            Self::Conversations(reply) => reply.cost(),
            Self::Groups(reply) => reply.cost(),
            Self::Messages(reply) => reply.cost(),
            Self::Search(reply) => reply.cost(),
            Self::Blocks(reply) => reply.cost(),
            Self::Accounts(reply) => reply.cost(),
        }
    }
}

macro_rules! from_area {
    ($($area:ident: $command:ty, $reply:ty;)*) => {
        $(
            impl From<$command> for Command {
                fn from(command: $command) -> Self {
                    Self::$area(command)
                }
            }

            impl From<$reply> for Reply {
                fn from(reply: $reply) -> Self {
                    Self::$area(reply)
                }
            }
        )*
    };
}

from_area! {
    Presence: PresenceCommand, PresenceReply;
    Conversations: ConversationCommand, ConversationReply;
    Groups: GroupCommand, GroupReply;
    Messages: MessageCommand, MessageReply;
    Search: SearchCommand, SearchReply;
    Blocks: BlockCommand, BlockReply;
    Push: PushCommand, PushReply;
    Accounts: AccountCommand, AccountReply;
    Admin: AdminCommand, AdminReply;
}
