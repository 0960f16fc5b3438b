//! Rules for the members of a conversation: who may change them, and who receives entries. The
//! stores apply the rules inside the transaction that appends the entry.

use crate::conversation::Members;
use crate::entry::{DetailsChange, Entry, EntryKind, MembersChange};
use crate::identity::{ConversationId, MessageId, UserId};
use crate::message::SendKey;
use crate::permission::{Action, Role, authorize};
use crate::time::Timestamp;
use crate::write::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// Which part of its log a group shows to those who join it later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum History {
    /// Only the entries after the one that added the member.
    #[default]
    Joined,
    All,
}

/// A group that is to be made.
#[derive(Clone, Debug)]
pub struct NewGroup {
    pub conversation: ConversationId,
    /// The id of its first entry.
    pub entry: MessageId,
    /// Its maker and first owner.
    pub owner: UserId,
    /// All members, in the order of their ids, the owner among them.
    pub members: Vec<UserId>,
    pub name: Option<Arc<str>>,
    pub avatar_url: Option<Arc<str>>,
    pub history: History,
    /// The maker's own id for it, by which a repetition is recognised.
    pub client_id: Option<Arc<str>>,
    pub created_at: Timestamp,
}

impl NewGroup {
    /// The change in its first entry.
    #[must_use]
    pub fn first_entry(&self) -> MembersChange {
        MembersChange {
            added: self.members.clone(),
            removed: Vec::new(),
            roles: vec![(self.owner.clone(), Role::Owner)],
        }
    }
}

/// A change of a group, or of the members of any conversation by the host application.
#[derive(Clone, Debug)]
pub struct GroupWrite {
    /// The id of the entry, unless this repeats an earlier write.
    pub id: MessageId,
    pub conversation: ConversationId,
    /// [`UserId::host`] for the host application.
    pub sender: UserId,
    pub action: GroupAction,
    /// Present if the client can repeat the write.
    pub key: Option<SendKey>,
    pub created_at: Timestamp,
    /// The most members.
    pub limit: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupAction {
    Add(Vec<UserId>),
    /// Removes a member, or leaves.
    Remove(UserId),
    SetRole(UserId, Role),
    SetDetails(DetailsChange),
    /// Makes these, in the order of their ids, the members of any conversation: by the host
    /// application.
    Replace(Vec<UserId>),
}

/// A member as a group's rules need them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMember {
    pub user: UserId,
    pub role: Role,
    /// The entry that added them; 0 if there is none.
    pub joined_seq: u64,
    /// The entry that gave them their role; 0 if there is none.
    pub role_seq: u64,
}

/// A conversation as its store has it when it is changed.
#[derive(Clone, Debug, Default)]
pub struct GroupState {
    /// In the order of their ids.
    pub members: Vec<GroupMember>,
    /// Whether the store has a group row. A conversation with other than two members is a group
    /// even without one.
    pub is_recorded: bool,
    pub history: History,
    pub name: Option<Arc<str>>,
    pub avatar_url: Option<Arc<str>>,
    /// The entry that changed the details last; 0 if there is none.
    pub details_seq: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupVerdict {
    /// An entry with this change is appended.
    Members(MembersChange),
    Details(DetailsChange),
    /// Nothing would change: the entry at this `seq` made the state, 0 if none did.
    Unchanged(u64),
}

/// Why a change of a group is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupRefused {
    /// The conversation is one of two people.
    NotAGroup,
    NotAnAdmin,
    NotAnOwner,
    /// Only an owner may remove an owner.
    IsAnOwner,
    /// There is no such member.
    NoMember,
    /// A group has an owner until its last one leaves.
    LastOwner,
    TooManyMembers,
}

/// Whether a conversation with so many members is a group; `is_recorded` if the store has it as one.
/// Earlier versions made groups without a record.
#[must_use]
pub fn is_group(is_recorded: bool, member_count: usize) -> bool {
    is_recorded || member_count != 2
}

/// Whether a client that has a log up to `seq` has to drop it, since the member was away until
/// `first_seq`.
#[must_use]
pub fn begins_anew(seq: u64, first_seq: u64) -> bool {
    seq > 0 && seq.saturating_add(1) < first_seq
}

impl GroupState {
    fn member(&self, user: &UserId) -> Option<&GroupMember> {
        let place = self.members.binary_search_by(|one| one.user.cmp(user));
        place.ok().map(|place| &self.members[place])
    }

    fn users(&self) -> impl Iterator<Item = &UserId> {
        self.members.iter().map(|member| &member.user)
    }

    /// Whether this user may change the conversation at all.
    #[must_use]
    pub fn admits(&self, sender: &UserId) -> bool {
        sender.is_host() || self.member(sender).is_some()
    }

    /// Decides what becomes of a change, by a member or the host application.
    ///
    /// # Errors
    /// When it is refused.
    pub fn judge(&self, write: &GroupWrite) -> Result<GroupVerdict, GroupRefused> {
        let by_host = write.sender.is_host();
        if let (GroupAction::Replace(members), true) = (&write.action, by_host) {
            return Ok(self.replaced(members));
        }
        if !is_group(self.is_recorded, self.members.len()) {
            return Err(GroupRefused::NotAGroup);
        }
        // The caller has checked that they are a member.
        let role = match self.member(&write.sender) {
            _ if by_host => Role::Owner,
            Some(member) => member.role,
            None => return Err(GroupRefused::NoMember),
        };
        let is_admin = authorize(Some(role), Action::Manage).is_ok();
        match &write.action {
            GroupAction::Add(users) if is_admin => self.added(users, write.limit),
            GroupAction::Remove(user) => self.removed(user, &write.sender, role),
            GroupAction::SetRole(user, wanted) if role == Role::Owner => {
                self.with_role(user, *wanted, by_host)
            }
            GroupAction::SetRole(..) => Err(GroupRefused::NotAnOwner),
            GroupAction::SetDetails(change) if is_admin => Ok(self.with_details(change)),
            GroupAction::Add(_) | GroupAction::SetDetails(_) | GroupAction::Replace(_) => {
                Err(GroupRefused::NotAnAdmin)
            }
        }
    }

    fn added(&self, users: &[UserId], limit: usize) -> Result<GroupVerdict, GroupRefused> {
        let is_new = |user: &&UserId| self.member(user).is_none();
        let mut added: Vec<UserId> = users.iter().filter(is_new).cloned().collect();
        added.sort();
        added.dedup();
        if added.is_empty() {
            let there = users.iter().filter_map(|user| self.member(user));
            let joined = there.map(|member| member.joined_seq).max();
            return Ok(GroupVerdict::Unchanged(joined.unwrap_or(0)));
        }
        if self.members.len() + added.len() > limit {
            return Err(GroupRefused::TooManyMembers);
        }
        Ok(GroupVerdict::Members(MembersChange {
            added,
            ..MembersChange::default()
        }))
    }

    fn removed(
        &self,
        user: &UserId,
        sender: &UserId,
        role: Role,
    ) -> Result<GroupVerdict, GroupRefused> {
        let leaves = user == sender;
        if !leaves && authorize(Some(role), Action::Manage).is_err() {
            return Err(GroupRefused::NotAnAdmin);
        }
        let member = self.member(user).ok_or(GroupRefused::NoMember)?;
        if !leaves && member.role == Role::Owner && role != Role::Owner {
            return Err(GroupRefused::IsAnOwner);
        }
        Ok(GroupVerdict::Members(
            self.without(vec![user.clone()], Vec::new()),
        ))
    }

    fn with_role(
        &self,
        user: &UserId,
        wanted: Role,
        by_host: bool,
    ) -> Result<GroupVerdict, GroupRefused> {
        let member = self.member(user).ok_or(GroupRefused::NoMember)?;
        if member.role == wanted {
            return Ok(GroupVerdict::Unchanged(member.role_seq));
        }
        let owners = self.members.iter().filter(|one| one.role == Role::Owner);
        if member.role == Role::Owner && owners.count() == 1 && !by_host {
            return Err(GroupRefused::LastOwner);
        }
        Ok(GroupVerdict::Members(MembersChange {
            roles: vec![(user.clone(), wanted)],
            ..MembersChange::default()
        }))
    }

    fn with_details(&self, change: &DetailsChange) -> GroupVerdict {
        let news = DetailsChange {
            name: change.name.clone().filter(|name| *name != self.name),
            avatar_url: change
                .avatar_url
                .clone()
                .filter(|url| *url != self.avatar_url),
        };
        if news == DetailsChange::default() {
            GroupVerdict::Unchanged(self.details_seq)
        } else {
            GroupVerdict::Details(news)
        }
    }

    fn replaced(&self, members: &[UserId]) -> GroupVerdict {
        let added: Vec<UserId> = members
            .iter()
            .filter(|user| self.member(user).is_none())
            .cloned()
            .collect();
        let removed: Vec<UserId> = self
            .users()
            .filter(|user| members.binary_search(user).is_err())
            .cloned()
            .collect();
        if added.is_empty() && removed.is_empty() {
            return GroupVerdict::Unchanged(0);
        }
        GroupVerdict::Members(self.without(removed, added))
    }

    /// The change that removes these, in the order of their ids. The last owner hands over to the
    /// longest-serving admin, or else to the longest-serving member.
    fn without(&self, removed: Vec<UserId>, added: Vec<UserId>) -> MembersChange {
        let is_gone = |member: &&GroupMember| removed.binary_search(&member.user).is_ok();
        let is_owner = |member: &&GroupMember| member.role == Role::Owner;
        let loses_one = self
            .members
            .iter()
            .filter(is_gone)
            .any(|one| is_owner(&one));
        let mut left = self.members.iter().filter(|member| !is_gone(member));
        let mut roles = Vec::new();
        if loses_one && !left.clone().any(|one| is_owner(&one)) {
            let first = left.clone().next().map(|one| &one.user);
            let rank = |one: &&GroupMember| (std::cmp::Reverse(one.role), one.joined_seq);
            let heir = left.by_ref().min_by_key(rank).map(|one| &one.user);
            let heir = heir.or(first).or(added.first());
            roles.extend(heir.map(|heir| (heir.clone(), Role::Owner)));
        }
        MembersChange {
            added,
            removed,
            roles,
        }
    }

    /// The members after a change, in the order of their ids.
    #[must_use]
    pub fn after(&self, change: &MembersChange) -> Members {
        let is_left = |user: &&UserId| change.removed.binary_search(user).is_err();
        let mut after: Vec<UserId> = self
            .users()
            .filter(is_left)
            .chain(&change.added)
            .cloned()
            .collect();
        after.sort();
        after.into()
    }

    /// The members before a change and after it: those who receive its entry.
    #[must_use]
    pub fn before_and_after(&self, change: &MembersChange) -> Members {
        let mut all: Vec<UserId> = self.users().chain(&change.added).cloned().collect();
        all.sort();
        all.into()
    }
}

impl GroupAction {
    /// Whether this is what made an entry, of which a digest of the action may be known: a
    /// repetition under the same key is a duplicate then, and a conflict otherwise.
    #[must_use]
    pub fn is_repeated(&self, entry: &Entry, digest: Option<&str>, key: &[u8]) -> bool {
        digest.map_or_else(|| self.made(entry), |digest| self.digest(key) == digest)
    }

    /// A digest of the request, under a secret key of the store. It is stored with the entry, which has
    /// only the effective changes.
    #[must_use]
    pub fn digest(&self, key: &[u8]) -> String {
        let mut parts = Parts::default();
        match self {
            Self::Add(users) | Self::Replace(users) => {
                let is_added = matches!(self, Self::Add(_));
                parts.add(if is_added { "add" } else { "replace" });
                let mut users: Vec<&UserId> = users.iter().collect();
                users.sort();
                users.dedup();
                users.into_iter().for_each(|user| parts.add(user.as_str()));
            }
            Self::Remove(user) => {
                parts.add("remove");
                parts.add(user.as_str());
            }
            Self::SetRole(user, role) => {
                parts.add("role");
                parts.add(user.as_str());
                parts.add(match role {
                    Role::Member => "member",
                    Role::Admin => "admin",
                    Role::Owner => "owner",
                });
            }
            Self::SetDetails(change) => {
                parts.add("details");
                for field in [&change.name, &change.avatar_url] {
                    match field {
                        None => parts.add("kept"),
                        Some(None) => parts.add("removed"),
                        Some(Some(value)) => {
                            parts.add("set");
                            parts.add(value);
                        }
                    }
                }
            }
        }
        parts.digest(key)
    }

    /// Whether the entry matches, for an entry without a digest, which an earlier version wrote.
    #[must_use]
    pub fn made(&self, entry: &Entry) -> bool {
        match (self, &entry.kind) {
            (Self::Add(users), EntryKind::Members(change)) => {
                !change.added.is_empty() && change.added.iter().all(|user| users.contains(user))
            }
            (Self::Remove(user), EntryKind::Members(change)) => change.removed == [user.clone()],
            (Self::SetRole(user, role), EntryKind::Members(change)) => {
                change.roles == [(user.clone(), *role)] && change.removed.is_empty()
            }
            (Self::SetDetails(wanted), EntryKind::Details(change)) => {
                let agrees =
                    |wanted: &Option<_>, made: &Option<_>| made.is_none() || wanted == made;
                agrees(&wanted.name, &change.name) && agrees(&wanted.avatar_url, &change.avatar_url)
            }
            _ => false,
        }
    }
}

/// The id of an entry that a store creates by itself. It differs from that of another entry at the same
/// place, which a restored log may have had.
#[must_use]
pub fn entry_id(place: &ConversationId, seq: u64, at: Timestamp, record: &str) -> MessageId {
    let digest = Sha256::new()
        .chain_update(place.as_str())
        .chain_update(seq.to_be_bytes())
        .chain_update(at.0.to_be_bytes())
        .chain_update(record)
        .finalize();
    MessageId::trusted(URL_SAFE_NO_PAD.encode(&digest[..18]))
}

/// The members of a conversation, and where each one's log begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readers {
    /// In the order of their ids.
    pub members: Members,
    /// In the same order; empty if all see the whole log.
    pub first_seqs: Arc<[u64]>,
}

/// The receivers of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receivers {
    pub to: Members,
    /// Those who get it as [`Entry::without_past`] has it.
    pub newcomers: Members,
}

impl Readers {
    /// From members in the order of their ids, each with the first `seq` of their log.
    #[must_use]
    pub fn new(members: Vec<(UserId, u64)>) -> Self {
        let (members, first_seqs): (Vec<UserId>, Vec<u64>) = members.into_iter().unzip();
        let all_see_all = first_seqs.iter().all(|first_seq| *first_seq <= 1);
        Self {
            members: members.into(),
            first_seqs: if all_see_all {
                Arc::from([])
            } else {
                first_seqs.into()
            },
        }
    }

    /// The receivers of an entry that is read from the log: the current members whose logs have
    /// begun, and the members that it removed.
    #[must_use]
    pub fn receivers(&self, entry: &Entry) -> Receivers {
        let removed = entry
            .members_change()
            .map_or(&[][..], |change| &change.removed);
        if self.first_seqs.is_empty() && removed.is_empty() {
            return Receivers {
                to: Arc::clone(&self.members),
                newcomers: Arc::from([]),
            };
        }
        let first_seq = |place: usize| self.first_seqs.get(place).copied().unwrap_or(0);
        let begun = self.members.iter().enumerate();
        let begun = begun.filter(|(place, _)| first_seq(*place) <= entry.seq);
        let mut to: Vec<UserId> = begun.map(|(_, user)| user.clone()).collect();
        let is_gone = |user: &&UserId| self.members.binary_search(user).is_err();
        to.extend(removed.iter().filter(is_gone).cloned());
        to.sort();
        Receivers {
            newcomers: self.newcomers(entry),
            to: to.into(),
        }
    }

    /// The members whose logs begin after what an entry is about.
    #[must_use]
    pub fn newcomers(&self, entry: &Entry) -> Members {
        let Some(about) = entry.kind.about_seq() else {
            return Arc::from([]);
        };
        let pairs = self.members.iter().zip(self.first_seqs.iter());
        let late = pairs.filter(|(_, first)| **first > about && **first <= entry.seq);
        late.map(|(user, _)| user.clone()).collect()
    }
}

#[cfg(test)]
mod tests;
