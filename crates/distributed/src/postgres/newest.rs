//! The newest messages of a conversation that are not deleted, which a deletion of the last one needs.

use super::append::{Append, Found, Locked};
use super::changes::sql::NEWEST;
use super::changes::{Judged, States, Writer};
use super::codec::{from_db, to_db};
use super::connection::Connection;
use super::error::Failure;
use lamplight_domain::entry::MessageAction;
use lamplight_domain::identity::ConversationId;
use lamplight_domain::write::Write;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The conversations whose last messages are deleted by the batch, and all that it deletes there. Only
/// what the rules allow: a walk through the log costs more than to refuse it.
fn uncovered(
    batch: &[Append],
    locked: &HashMap<ConversationId, Locked>,
    found: &[Option<Found>],
    states: &States,
) -> BTreeMap<i64, BTreeSet<u64>> {
    let mut deleted: BTreeMap<i64, BTreeSet<u64>> = BTreeMap::new();
    for (append, by) in batch.iter().zip(found) {
        let new = &append.message;
        let (Some(by), Some(locked)) = (by, locked.get(&new.conversation)) else {
            continue;
        };
        let Write::Change {
            message,
            action: MessageAction::Delete,
        } = &new.write
        else {
            continue;
        };
        let writer = Writer {
            new,
            key: append.key.as_deref(),
            row: locked.row,
            person: by.person,
            role: by.role,
            first_seq: by.first_seq,
            members: &locked.members,
        };
        let target = states.targets.get(&(locked.row, message.clone()));
        if by.earlier.is_none()
            && let Some(target) = target
            && matches!(states.judge(writer), Ok(Judged::Change(_)))
        {
            deleted.entry(locked.row).or_default().insert(target.seq);
        }
    }
    deleted.retain(|row, of| {
        let counts = states.counts.get(row);
        counts.is_some_and(|counts| of.contains(&counts.head.last_message_seq))
    });
    deleted
}

/// Fills in the newest messages that are not deleted. Where the last one stays, no other is needed.
pub(super) async fn read_newest(
    connection: &Connection,
    batch: &[Append],
    locked: &HashMap<ConversationId, Locked>,
    found: &[Option<Found>],
    states: &mut States,
) -> Result<(), Failure> {
    let deleted = uncovered(batch, locked, found, states);
    let (mut rows, mut lasts) = (Vec::new(), Vec::new());
    for (row, counts) in &mut states.counts {
        let last = counts.head.last_message_seq;
        if deleted.contains_key(row) {
            rows.push(*row);
            lasts.push(to_db(last));
        } else if last > 0 {
            counts.newest.push(last);
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    let pairs = deleted.iter();
    let pairs = pairs.flat_map(|(row, of)| of.iter().map(|seq| (*row, to_db(*seq))));
    let (of, seqs): (Vec<i64>, Vec<i64>) = pairs.unzip();
    for row in connection
        .query(&NEWEST, &[&rows, &lasts, &of, &seqs])
        .await?
    {
        if let Some(counts) = states.counts.get_mut(&row.try_get(0)?) {
            counts.newest.push(from_db(row.try_get(1)?));
        }
    }
    for counts in states.counts.values_mut() {
        counts.newest.sort_unstable();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::changes::{Counts, Target};
    use lamplight_domain::entry::{Entry, EntryKind, LogHead};
    use lamplight_domain::identity::{MessageId, UserId};
    use lamplight_domain::marks::Marks;
    use lamplight_domain::message::Content;
    use lamplight_domain::permission::Role;
    use lamplight_domain::time::Timestamp;
    use lamplight_domain::write::NewEntry;

    fn place() -> ConversationId {
        ConversationId::trusted("c")
    }

    /// Three messages of `a` in a conversation of two, of which the second is deleted.
    fn states() -> States {
        let mut states = States::default();
        let head = LogHead::at(3, None);
        let counts = Counts {
            head,
            ..Counts::default()
        };
        states.counts.insert(1, counts);
        for seq in 1..=3 {
            let id = MessageId::trusted(format!("m{seq}"));
            let entry = Entry {
                id: id.clone(),
                conversation: place(),
                seq,
                sender: UserId::trusted("a"),
                kind: EntryKind::Message {
                    content: Content::trusted("x"),
                    extras: None,
                },
                client_message_id: None,
                created_at: Timestamp(0),
            };
            let mut target = Target::new(None, &entry.into());
            target.deleted = (seq == 2).then_some((4, Timestamp(0)));
            states.targets.insert((1, id), target);
        }
        states
    }

    fn walks(deletions: &[(&str, u64)]) -> Option<Vec<u64>> {
        let batch = deletions.iter().map(|(sender, on)| {
            let write = Write::Change {
                message: MessageId::trusted(format!("m{on}")),
                action: MessageAction::Delete,
            };
            let new = NewEntry {
                id: MessageId::trusted("d"),
                conversation: place(),
                sender: UserId::trusted(*sender),
                write,
                key: None,
                created_at: Timestamp(0),
                editable_since: None,
            };
            Append::new(new, None, "")
        });
        let batch: Vec<Append> = batch.collect();
        let found = batch.iter().map(|_| {
            Some(Found {
                person: 1,
                role: Role::Member,
                marks: Marks::all_at(0),
                earlier: None,
                is_blocked: false,
                first_seq: 0,
                hides_reads: false,
            })
        });
        let found: Vec<Option<Found>> = found.collect();
        let locked = Locked {
            row: 1,
            version: 0,
            members: [UserId::trusted("a"), UserId::trusted("b")].into(),
            head_seq: 3,
            last_at: Timestamp(0),
            is_moved: false,
            position: None,
            has_archived: false,
            archived: Vec::new(),
        };
        let locked = HashMap::from([(place(), locked)]);
        let mut of = uncovered(&batch, &locked, &found, &states());
        of.remove(&1).map(|seqs| seqs.into_iter().collect())
    }

    #[test]
    fn only_an_allowed_deletion_of_the_last_message_scans_the_log() {
        assert_eq!(walks(&[("a", 3)]), Some(vec![3]));
        assert_eq!(walks(&[("b", 3)]), None, "of another's message");
        assert_eq!(walks(&[("a", 2)]), None, "of one that is deleted");
        assert_eq!(walks(&[("a", 1)]), None, "of an earlier one");
        assert_eq!(walks(&[("a", 4)]), None, "of none");
        let several = [("a", 1), ("b", 3), ("a", 2), ("a", 3)];
        assert_eq!(walks(&several), Some(vec![1, 3]));
    }
}
