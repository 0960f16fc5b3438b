//! How far a member has got in a log. The member's own devices see the true marks; the others see
//! the visible ones, which stand still while the member is invisible.

use crate::conversation::{Members, Receipt};
use crate::identity::UserId;

/// In a conversation with more members than this, a receipt goes to its owner's devices and to the
/// authors of the entries that it newly covers. If every receipt went to all members, one message
/// in a conversation of a thousand would cause a million receipts.
pub const RECEIPTS_FOR_ALL: usize = 20;

/// There, the authors of this many newest entries that a receipt newly covers get it. Otherwise a
/// member who returns after years would make the store read the whole log.
pub const RECEIPT_REACH: u64 = 200;

/// A member's marks, each the `seq` of an entry. They never decrease, the delivered mark
/// is never behind the read mark, and a visible mark is never ahead of the true one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    pub read: u64,
    pub delivered: u64,
    pub visible_read: u64,
    pub visible_delivered: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Moves the delivered mark too.
    Read,
    Delivered,
}

/// Entries whose receipts change for others: those after `after`, up to `up_to`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Covered {
    pub after: u64,
    pub up_to: u64,
}

/// The members who get a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiptAudience {
    Everyone,
    /// Its owner, and the authors of these entries.
    AuthorsOf(Covered),
}

impl Marks {
    /// All marks on one entry: those of a member who joins at this head, or who has just sent it.
    /// A send shows its sender's marks even while they are invisible, since the message itself
    /// shows that they were there.
    #[must_use]
    pub fn all_at(seq: u64) -> Self {
        Self {
            read: seq,
            delivered: seq,
            visible_read: seq,
            visible_delivered: seq,
        }
    }

    /// The marks after one of them moves to `seq`, at most to the head. Unless the member is
    /// invisible, the visible marks catch up with the true ones, also with what moved earlier.
    #[must_use]
    pub fn advance(self, mark: Mark, seq: u64, head_seq: u64, is_invisible: bool) -> Self {
        let seq = seq.min(head_seq);
        let mut after = Self {
            delivered: self.delivered.max(seq),
            ..self
        };
        if mark == Mark::Read {
            after.read = self.read.max(seq);
        }
        if !is_invisible {
            after.visible_read = after.read;
            after.visible_delivered = after.delivered;
        }
        after
    }

    /// The visible marks.
    #[must_use]
    pub fn receipt(&self, user: UserId) -> Receipt {
        Receipt {
            user,
            delivered_seq: self.visible_delivered,
            read_seq: self.visible_read,
        }
    }

    /// The visible marks of a member who may hide how far they have read.
    #[must_use]
    pub fn receipt_of(&self, user: UserId, hides_reads: bool) -> Receipt {
        let receipt = self.receipt(user);
        if hides_reads {
            receipt.without_read()
        } else {
            receipt
        }
    }

    /// Whether the change from `before` to `self` is visible to others.
    #[must_use]
    pub fn is_news(&self, before: Self, hides_reads: bool) -> bool {
        self.delivers(before) || (!hides_reads && self.visible_read != before.visible_read)
    }

    /// The receipt for the others when `before` becomes `self`; `None` if the visible marks do not
    /// change.
    #[must_use]
    pub fn newly_covered(&self, before: Self) -> Option<Covered> {
        let reads = self.visible_read != before.visible_read;
        let delivers = self.visible_delivered != before.visible_delivered;
        let covered = Covered {
            after: if reads {
                before.visible_read
            } else {
                before.visible_delivered
            },
            up_to: if delivers {
                self.visible_delivered
            } else {
                self.visible_read
            },
        };
        (reads || delivers).then_some(covered)
    }

    /// The receipt for the others when a member with these marks sends the entry at `seq`: the
    /// member has read everything before it. `None` if they already know, so that an ordinary
    /// message causes no receipt.
    #[must_use]
    pub fn covered_by_send(&self, seq: u64) -> Option<Covered> {
        let up_to = seq.saturating_sub(1);
        (self.visible_read < up_to).then_some(Covered {
            after: self.visible_read,
            up_to,
        })
    }

    /// Whether the change from `before` to `self` shows others more deliveries.
    #[must_use]
    pub fn delivers(&self, before: Self) -> bool {
        self.visible_delivered != before.visible_delivered
    }

    /// Whether a send at `seq` shows others more deliveries before it.
    #[must_use]
    pub fn delivers_by_send(&self, seq: u64) -> bool {
        self.visible_delivered < seq.saturating_sub(1)
    }

    /// Whether a send at `seq` reads entries for the member that were unread on their devices.
    #[must_use]
    pub fn reads_by_send(&self, seq: u64) -> bool {
        self.read < seq.saturating_sub(1)
    }
}

impl Covered {
    /// The receivers of a receipt that covers these entries, in a conversation with this many
    /// members.
    #[must_use]
    pub fn audience(self, members: usize) -> ReceiptAudience {
        if members <= RECEIPTS_FOR_ALL {
            return ReceiptAudience::Everyone;
        }
        let nearest = self.up_to.saturating_sub(RECEIPT_REACH);
        ReceiptAudience::AuthorsOf(Self {
            after: self.after.max(nearest),
            ..self
        })
    }
}

/// The members who get a receipt that is for its owner and for these authors. An author may not be a
/// member any more.
#[must_use]
pub fn owner_and_authors<'a>(
    owner: &UserId,
    authors: impl IntoIterator<Item = &'a str>,
    members: &[UserId],
) -> Members {
    let mut to = vec![owner.clone()];
    to.extend(authors.into_iter().filter_map(|author| {
        let place = members.binary_search_by(|member| member.as_str().cmp(author));
        place.ok().map(|place| members[place].clone())
    }));
    to.sort();
    to.dedup();
    to.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn marks(read: u64, delivered: u64, visible_read: u64, visible_delivered: u64) -> Marks {
        Marks {
            read,
            delivered,
            visible_read,
            visible_delivered,
        }
    }

    fn covered(after: u64, up_to: u64) -> Covered {
        Covered { after, up_to }
    }

    proptest! {
        #[test]
        fn m9_marks_only_grow_and_keep_their_order(
            moves in prop::collection::vec((any::<bool>(), 0..20_u64, any::<bool>()), 0..20),
            head in 0..15_u64,
        ) {
            let mut marks = Marks::default();
            for (reads, seq, is_invisible) in moves {
                let mark = if reads { Mark::Read } else { Mark::Delivered };
                let after = marks.advance(mark, seq, head, is_invisible);
                prop_assert!(after.read >= marks.read && after.delivered >= marks.delivered);
                prop_assert!(after.read <= after.delivered && after.delivered <= head);
                prop_assert!(after.visible_read <= after.read);
                prop_assert!(after.visible_delivered <= after.delivered);
                let visible = (after.visible_read, after.visible_delivered);
                let before = (marks.visible_read, marks.visible_delivered);
                if is_invisible {
                    prop_assert_eq!(visible, before);
                } else {
                    prop_assert_eq!(visible, (after.read, after.delivered));
                }
                prop_assert_eq!(after.newly_covered(marks).is_some(), visible != before);
                marks = after;
            }
        }
    }

    #[test]
    fn m9_a_mark_never_passes_the_head_and_never_decreases() {
        let before = marks(2, 3, 2, 3);
        assert_eq!(before.advance(Mark::Read, 9, 5, false), marks(5, 5, 5, 5));
        assert_eq!(before.advance(Mark::Read, 1, 5, false), before);
        assert_eq!(
            before.advance(Mark::Delivered, 4, 5, false),
            marks(2, 4, 2, 4)
        );
    }

    #[test]
    fn p11_marks_of_invisible_users_move_for_their_own_devices_only() {
        let unseen = marks(1, 1, 1, 1).advance(Mark::Read, 4, 9, true);
        assert_eq!(unseen, marks(4, 4, 1, 1));
        assert_eq!(unseen.newly_covered(marks(1, 1, 1, 1)), None);
        let shown = unseen.advance(Mark::Delivered, 0, 9, false);
        assert_eq!(shown, Marks::all_at(4));
        assert_eq!(shown.newly_covered(unseen), Some(covered(1, 4)));
    }

    #[test]
    fn a_receipt_covers_newly_read_and_delivered_entries() {
        let before = marks(2, 5, 2, 5);
        let delivered = before.advance(Mark::Delivered, 7, 9, false);
        assert_eq!(delivered.newly_covered(before), Some(covered(5, 7)));
        let read = before.advance(Mark::Read, 4, 9, false);
        assert_eq!(read.newly_covered(before), Some(covered(2, 4)));
        let both = before.advance(Mark::Read, 8, 9, false);
        assert_eq!(both.newly_covered(before), Some(covered(2, 8)));
    }

    #[test]
    fn an_ordinary_send_causes_no_receipt() {
        assert_eq!(Marks::all_at(4).covered_by_send(5), None);
        assert!(!Marks::all_at(4).reads_by_send(5));
        assert_eq!(Marks::default().covered_by_send(1), None);
        // Others' entries 3 and 4 were unread.
        assert_eq!(Marks::all_at(2).covered_by_send(5), Some(covered(2, 4)));
        assert!(Marks::all_at(2).reads_by_send(5));
        // Read while invisible: new for the others only.
        assert_eq!(marks(4, 4, 2, 2).covered_by_send(5), Some(covered(2, 4)));
        assert!(!marks(4, 4, 2, 2).reads_by_send(5));
    }

    #[test]
    fn receipts_of_large_conversations_reach_a_bounded_number_of_authors() {
        let all = covered(0, 1_000);
        assert_eq!(all.audience(RECEIPTS_FOR_ALL), ReceiptAudience::Everyone);
        assert_eq!(
            all.audience(RECEIPTS_FOR_ALL + 1),
            ReceiptAudience::AuthorsOf(covered(800, 1_000))
        );
        assert_eq!(
            covered(990, 1_000).audience(1_000),
            ReceiptAudience::AuthorsOf(covered(990, 1_000))
        );
    }
}
