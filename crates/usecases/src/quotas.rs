//! The limits that an operator can configure.

/// Limits; 0 turns one off.
#[derive(Clone, Copy, Debug)]
pub struct Quotas {
    /// Sends a second, by user.
    pub sends: u32,
    /// Typing notices a second, by user.
    pub typing: u32,
    /// `join_user` a minute, by socket.
    pub joins: u32,
    /// Sign-ins a minute to one account from one network. One network may attempt three times as
    /// many to all accounts; all networks together that have not signed in to the account lately
    /// ten times as many.
    pub logins: u32,
    /// New conversations a minute, by user.
    pub conversations: u32,
    /// Reads a second, by user; by address where there is no user. The bytes that they may cost
    /// follow from it.
    pub reads: u32,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            sends: 20,
            typing: 5,
            joins: 10,
            logins: 10,
            conversations: 20,
            reads: 100,
        }
    }
}
