//! Pages of a log, cut to the limits of an answer. A store reads the entries nearest to an edge; what
//! is kept of them is decided here, for every store.

use crate::cursor::MemberKey;
use crate::ports::{History, MessagePage, MoreAround, Page, Range};
use crate::weight::{self, ANSWER_BYTES};
use lamplight_domain::conversation::Member;
use lamplight_domain::entry::Entry;
use lamplight_domain::fold::Message;

/// The bytes that an answer may still have. The first item always fits.
pub struct ByteBudget {
    left: usize,
    is_untouched: bool,
}

impl Default for ByteBudget {
    fn default() -> Self {
        Self {
            left: ANSWER_BYTES,
            is_untouched: true,
        }
    }
}

impl ByteBudget {
    /// Whether an item of this weight still fits; takes its bytes.
    pub fn takes(&mut self, weight: usize) -> bool {
        let takes = weight <= self.left || self.is_untouched;
        self.left = self.left.saturating_sub(weight);
        self.is_untouched = false;
        takes
    }
}

/// The parts of a page.
pub trait Item {
    fn seq(&self) -> u64;
    /// Its bytes as JSON.
    fn weight(&self) -> usize;
}

impl Item for Entry {
    fn seq(&self) -> u64 {
        self.seq
    }

    fn weight(&self) -> usize {
        weight::entry(self)
    }
}

impl Item for Message {
    fn seq(&self) -> u64 {
        self.entry.seq
    }

    fn weight(&self) -> usize {
        weight::message(self)
    }
}

/// Entries, or messages, on one side of an edge, the nearest first.
#[derive(Debug)]
pub struct Side<T = Entry> {
    pub items: Vec<T>,
    /// There are more beyond them.
    pub has_more: bool,
}

impl<T: Item> Side<T> {
    /// At most `limit` of the items found, the nearest first, within the byte budget. The store looks
    /// for one more than `limit`.
    ///
    /// # Errors
    /// When reading an item fails.
    pub fn nearest<E>(
        found: impl IntoIterator<Item = Result<T, E>>,
        limit: usize,
    ) -> Result<Self, E> {
        let mut budget = ByteBudget::default();
        let mut items = Vec::new();
        for item in found {
            let item = item?;
            if items.len() == limit || !budget.takes(item.weight()) {
                return Ok(Self {
                    items,
                    has_more: true,
                });
            }
            items.push(item);
        }
        Ok(Self {
            items,
            has_more: false,
        })
    }
}

impl Side<Entry> {
    /// The page of entries before an edge.
    #[must_use]
    pub fn older(mut self) -> History {
        self.items.reverse();
        self.newer()
    }

    /// The page of entries after an edge.
    #[must_use]
    pub fn newer(self) -> History {
        History {
            entries: self.items,
            has_more: self.has_more,
            around: None,
            users: Vec::new(),
        }
    }
}

/// The page around an entry, from what stands before it and from what follows, the entry itself
/// included: half of `limit` on each side, where a side that needs less than half leaves the rest to
/// the other. The same for bytes.
#[must_use]
pub fn around(older: Side, newer: Side, limit: usize) -> History {
    let (entries, around) = both_sides(older, newer, limit);
    History {
        entries,
        has_more: around.before || around.after,
        around: Some(around),
        users: Vec::new(),
    }
}

/// The rows that a store found for a page of messages.
#[derive(Debug)]
pub enum FoundMessages {
    /// For [`Range::Newest`] and [`Range::Before`].
    Older(Side<Message>),
    /// For [`Range::After`].
    Newer(Side<Message>),
    /// For [`Range::Around`]: what stands before the entry, and what follows, itself included.
    Both(Side<Message>, Side<Message>),
}

/// The page of messages in a range of a log that begins at `first_seq` and ends at `head_seq`.
#[must_use]
pub fn messages(
    found: FoundMessages,
    range: Range,
    limit: usize,
    first_seq: u64,
    head_seq: u64,
) -> MessagePage {
    let (messages, more) = match found {
        FoundMessages::Older(Side {
            mut items,
            has_more,
        }) => {
            items.reverse();
            let more = MoreAround {
                before: has_more,
                after: false,
            };
            (items, more)
        }
        FoundMessages::Newer(Side { items, has_more }) => {
            let more = MoreAround {
                before: false,
                after: has_more,
            };
            (items, more)
        }
        FoundMessages::Both(older, newer) => both_sides(older, newer, limit),
    };
    // Where there is no further message, what is left of the log in that direction has none.
    let from_seq = match (range, messages.first()) {
        (Range::After(seq), _) => seq.saturating_add(1),
        (_, Some(first)) if more.before => first.seq(),
        _ => first_seq,
    };
    let to_seq = match (range, messages.last()) {
        (Range::Before(seq), _) => seq.saturating_sub(1).min(head_seq),
        (_, Some(last)) if more.after => last.seq(),
        _ => head_seq,
    };
    MessagePage {
        messages,
        from_seq,
        to_seq,
        as_of_seq: head_seq,
        has_more: more.before || more.after,
        around: matches!(range, Range::Around(_)).then_some(more),
        users: Vec::new(),
    }
}

fn both_sides<T: Item>(older: Side<T>, newer: Side<T>, limit: usize) -> (Vec<T>, MoreAround) {
    let (more_older, more_newer) = (older.has_more, newer.has_more);
    let (mut older, mut newer) = (older.items, newer.items);
    let before = older
        .len()
        .min((limit / 2).max(limit.saturating_sub(newer.len())));
    let after = newer.len().min(limit - before);
    let half = (ANSWER_BYTES / 2).min(bytes(&older[..before]));
    let after = after.min(fitting(&newer[..after], ANSWER_BYTES - half).max(1));
    let before = fitting(
        &older[..before],
        ANSWER_BYTES.saturating_sub(bytes(&newer[..after])),
    );
    let more = MoreAround {
        before: more_older || before < older.len(),
        after: more_newer || after < newer.len(),
    };
    older.truncate(before);
    newer.truncate(after);
    older.reverse();
    older.append(&mut newer);
    (older, more)
}

fn bytes<T: Item>(items: &[T]) -> usize {
    items.iter().map(Item::weight).sum()
}

/// How many of these fit into `bytes`.
fn fitting<T: Item>(items: &[T], bytes: usize) -> usize {
    let mut total = 0;
    items
        .iter()
        .take_while(|item| {
            total += item.weight();
            total <= bytes
        })
        .count()
}

/// A page of members out of those that were found, at most one more than asked for: as many as one
/// reply has room for.
#[must_use]
pub fn members(mut found: Vec<Member>, limit: usize) -> Page<Member> {
    let fitting = weight::fitting(&found, ANSWER_BYTES, |one| weight::member(&one.profile));
    let has_more = found.len() > fitting.min(limit);
    found.truncate(fitting.min(limit));
    let last = found.last().filter(|_| has_more);
    let next = last.map(|last| {
        let user = last.profile.id.as_str().to_owned();
        MemberKey { user }.write()
    });
    Page { items: found, next }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lamplight_domain::entry::EntryKind;
    use lamplight_domain::identity::{ConversationId, MessageId, Profile, UserId};
    use lamplight_domain::message::Content;
    use lamplight_domain::permission::Role;
    use lamplight_domain::time::Timestamp;

    fn side(seqs: &[u64], has_more: bool) -> Side<Message> {
        let message = |seq: &u64| {
            Message::from(Entry {
                id: MessageId::trusted(format!("m{seq}")),
                conversation: ConversationId::trusted("c"),
                seq: *seq,
                sender: UserId::trusted("a"),
                client_message_id: None,
                kind: EntryKind::message(Content::trusted("x")),
                created_at: Timestamp(0),
            })
        };
        Side {
            items: seqs.iter().map(message).collect(),
            has_more,
        }
    }

    /// The part that the page covers, its messages, and whether there are more.
    fn covered(found: FoundMessages, range: Range) -> (u64, u64, Vec<u64>, bool) {
        let page = messages(found, range, 4, 1, 20);
        assert_eq!(page.as_of_seq, 20);
        let seqs = page.messages.iter().map(Item::seq).collect();
        (page.from_seq, page.to_seq, seqs, page.has_more)
    }

    #[test]
    fn m7_a_page_covers_the_log_up_to_where_more_messages_follow() {
        use FoundMessages::{Both, Newer, Older};
        let newest = covered(Older(side(&[18, 15], true)), Range::Newest);
        assert_eq!(newest, (15, 20, vec![15, 18], true));
        let all = covered(Older(side(&[18, 15], false)), Range::Newest);
        assert_eq!(all, (1, 20, vec![15, 18], false));
        let before = covered(Older(side(&[9, 7], true)), Range::Before(15));
        assert_eq!(before, (7, 14, vec![7, 9], true));
        let beyond = covered(Older(side(&[18], false)), Range::Before(500));
        assert_eq!(beyond, (1, 20, vec![18], false));
        let after = covered(Newer(side(&[16, 17], true)), Range::After(12));
        assert_eq!(after, (13, 17, vec![16, 17], true));
        let rest = covered(Newer(side(&[16, 17], false)), Range::After(12));
        assert_eq!(rest, (13, 20, vec![16, 17], false));
        let none = covered(Newer(side(&[], false)), Range::After(18));
        assert_eq!(none, (19, 20, vec![], false));
        let both = covered(
            Both(side(&[9, 8, 6], false), side(&[10, 13, 14], true)),
            Range::Around(10),
        );
        assert_eq!(both, (8, 13, vec![8, 9, 10, 13], true));
        let around = covered(
            Both(side(&[9], false), side(&[10], false)),
            Range::Around(10),
        );
        assert_eq!(around, (1, 20, vec![9, 10], false));
    }

    #[test]
    fn a_page_of_members_ends_where_a_reply_is_full() {
        let member = |number: usize| Member {
            profile: Profile {
                avatar_url: Some(format!("/{}", "\u{1f4a1}".repeat(2_000)).into()),
                ..Profile::bare(UserId::trusted(format!("u{number:03}")))
            },
            role: Role::Member,
        };
        let found: Vec<Member> = (0..201).map(member).collect();
        let page = members(found.clone(), 200);
        let bytes: usize = page
            .items
            .iter()
            .map(|one| weight::member(&one.profile))
            .sum();
        assert!((100..200).contains(&page.items.len()) && bytes <= ANSWER_BYTES);
        let last = &page.items[page.items.len() - 1].profile.id;
        let next = MemberKey::read(&page.next.expect("further members")).expect("a cursor");
        assert_eq!(next.user, last.as_str());
        let few = members(found[..3].to_vec(), 3);
        assert_eq!((few.items.len(), few.next), (3, None));
    }
}
