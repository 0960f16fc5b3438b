//! Which nodes may use a store together.

use crate::postgres::nodes::{LAPSED, NodeRow};
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// Why a node must not run beside others, with what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misuse {
    #[error(
        "the prefix \"{prefix}\" in Redis belongs to another store, {other} (LL-123). Set REDIS_PREFIX to another value; if that store is \
         not used any more, delete the key {prefix}:store"
    )]
    PrefixOfAnotherStore { prefix: String, other: String },
    #[error(
        "the node {other} uses this database, and nodes of one database need Redis (LL-124). Give all of them the same REDIS_URL and \
         REDIS_PREFIX, or stop the other one"
    )]
    NeedsRedis { other: String },
    #[error(
        "the node {other} uses this database with another Redis or another REDIS_PREFIX (LL-125). Give all nodes of a database the same \
         REDIS_URL and REDIS_PREFIX"
    )]
    OtherRedis { other: String },
    #[error(
        "another node with the NODE_ID {0} is running (LL-126). Give each node a NODE_ID of its own; by default it is <hostname>:<port>"
    )]
    SameId(String),
    #[error(
        "another node with the NODE_ID {0} took the place of this one (LL-126), which had not renewed its row for seconds. Give each node a \
         NODE_ID of its own"
    )]
    Replaced(String),
}

/// The conflict of a node with this id and this Redis (`None` without one, empty if not known yet)
/// with the `others`, which are alive.
pub(super) fn conflict<'a>(
    node_id: &str,
    redis: Option<&str>,
    others: impl Iterator<Item = &'a NodeRow>,
) -> Option<Misuse> {
    let mut found = None;
    for other in others {
        let name = || other.node_id.clone();
        if other.node_id == node_id {
            return Some(Misuse::SameId(name()));
        }
        let problem = match (redis, other.redis.as_deref()) {
            (None, _) | (_, None) => Misuse::NeedsRedis { other: name() },
            (Some(""), _) | (_, Some("")) => continue,
            (Some(mine), Some(theirs)) if mine == theirs => continue,
            _ => Misuse::OtherRedis { other: name() },
        };
        found = found.or(Some(problem));
    }
    found
}

impl Misuse {
    /// Whether the nodes that are there may put it right by themselves within seconds: they take
    /// over the id of a Redis that lost it.
    fn may_pass(&self) -> bool {
        matches!(self, Self::OtherRedis { .. })
    }

    fn other(&self) -> Option<&str> {
        match self {
            Self::NeedsRedis { other } | Self::OtherRedis { other } | Self::SameId(other) => {
                Some(other)
            }
            Self::PrefixOfAnotherStore { .. } | Self::Replaced(_) => None,
        }
    }
}

/// A row that was not renewed for so long while it was watched belongs to a node that is dead: nodes
/// renew every second. Rows older than [`LAPSED`] are not watched first.
const WATCH: Duration = Duration::from_millis(3_500);
/// Rows as they were first seen, to find out which of them live nodes renew.
#[derive(Default)]
pub(super) struct Seen(HashMap<(String, i64), First>);

struct First {
    renewed: i64,
    at: Instant,
}

impl Seen {
    /// Notes the rows that are new.
    pub(super) fn note(&mut self, rows: &[NodeRow], now: Instant) {
        for row in rows {
            self.0.entry(key(row)).or_insert(First {
                renewed: row.renewed,
                at: now,
            });
        }
    }

    pub(super) fn is_dead(&self, row: &NodeRow, now: Instant) -> bool {
        let unchanged_for = self
            .0
            .get(&key(row))
            .filter(|first| first.renewed == row.renewed)
            .map(|first| now.duration_since(first.at));
        row.age >= LAPSED || unchanged_for.is_some_and(|time| time >= WATCH)
    }

    /// Whether nothing is gained by a longer look: the node in the way is alive.
    pub(super) fn is_final(&self, misuse: &Misuse, rows: &[NodeRow], now: Instant) -> bool {
        let is_alive = |row: &NodeRow| {
            let first = self.0.get(&key(row));
            first.is_some_and(|first| {
                let is_renewed = first.renewed != row.renewed;
                is_renewed && (!misuse.may_pass() || now.duration_since(first.at) >= WATCH)
            })
        };
        misuse
            .other()
            .is_none_or(|other| rows.iter().any(|row| row.node_id == other && is_alive(row)))
    }
}

fn key(row: &NodeRow) -> (String, i64) {
    (row.node_id.clone(), row.incarnation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(node_id: &str, redis: Option<&str>) -> NodeRow {
        NodeRow {
            node_id: node_id.into(),
            incarnation: 1,
            redis: redis.map(str::to_owned),
            renewed: 0,
            age: Duration::ZERO,
        }
    }

    #[test]
    fn nodes_of_one_database_share_one_redis() {
        let check = |redis, other: NodeRow| conflict("a", redis, [&other].into_iter());
        let needs = Some(Misuse::NeedsRedis { other: "b".into() });
        let other = Some(Misuse::OtherRedis { other: "b".into() });
        assert_eq!(check(Some("x"), row("b", Some("x"))), None);
        assert_eq!(check(Some("x"), row("b", Some("y"))), other);
        assert_eq!(check(None, row("b", Some("x"))), needs);
        assert_eq!(check(Some("x"), row("b", None)), needs);
        assert_eq!(check(None, row("b", None)), needs);
        // Redis is away from one of them: not known yet.
        assert_eq!(check(Some(""), row("b", Some("x"))), None);
        assert_eq!(check(Some("x"), row("b", Some(""))), None);
        assert_eq!(
            check(Some("x"), row("a", Some("x"))),
            Some(Misuse::SameId("a".into()))
        );
    }

    #[test]
    fn a_row_without_renewals_belongs_to_a_dead_node() {
        let start = Instant::now();
        let later = |millis| start + Duration::from_millis(millis);
        let (mut seen, mut live, mut left) = (Seen::default(), row("b", None), row("c", None));
        seen.note(&[live.clone(), left.clone()], start);
        live.renewed = 1;
        assert!(!seen.is_dead(&left, later(3_000)));
        assert!(seen.is_dead(&left, later(4_000)));
        assert!(!seen.is_dead(&live, later(60_000)));
        left.age = LAPSED;
        assert!(seen.is_dead(&left, start));
        let needs = Misuse::NeedsRedis { other: "b".into() };
        assert!(seen.is_final(&needs, &[live.clone()], later(1_000)));
        // It may take over the id of its Redis within seconds.
        let other = Misuse::OtherRedis { other: "b".into() };
        assert!(!seen.is_final(&other, &[live.clone()], later(1_000)));
        assert!(seen.is_final(&other, &[live], later(4_000)));
    }
}
