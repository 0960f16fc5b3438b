//! This node's knowledge of the other nodes: a pure state machine over the answers of Redis.

use super::entry::NodeEntry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A node whose entry has not changed for so long has died: it writes every two seconds.
const GONE_AFTER: Duration = Duration::from_secs(10);
/// After a longer pause between two reads, it is unknown which nodes were silent meanwhile.
const LONG_PAUSE: Duration = Duration::from_secs(6);

/// The nodes and the secrets.
#[derive(Default)]
pub(super) struct Known {
    nodes: HashMap<String, Seen>,
    /// The newest first.
    secrets: Vec<Arc<str>>,
    read_at: Option<Instant>,
}

struct Seen {
    entry: NodeEntry,
    /// The entry as it was read, with the moment of its last write by Redis' clock. Only whether it
    /// changes counts, so that jumps of that clock do no harm.
    value: String,
    /// When it last changed.
    at: Instant,
    /// It has not changed for too long. Remembered while Redis lists it.
    is_gone: bool,
}

impl Known {
    /// Takes an answer to a read that began at `now`.
    pub(super) fn update(&mut self, answer: &[String], now: Instant) {
        if self.read_at.is_some_and(|last| last >= now) {
            // Another read began later and was answered first.
            return;
        }
        let had_pause = self
            .read_at
            .is_none_or(|last| now.duration_since(last) > LONG_PAUSE);
        self.read_at = Some(now);
        let Some((secret, nodes)) = answer.split_first() else {
            return;
        };
        if self.secrets.first().is_none_or(|known| **known != **secret) {
            self.secrets.insert(0, secret.as_str().into());
            self.secrets.truncate(2);
        }
        if had_pause {
            for seen in self.nodes.values_mut() {
                seen.at = now;
            }
        }
        for (tag, value) in nodes.chunks_exact(2).map(|pair| (&pair[0], &pair[1])) {
            if self.nodes.get(tag).is_some_and(|seen| seen.value == *value) {
                continue;
            }
            let entry = value
                .split_once(' ')
                .and_then(|(_, json)| serde_json::from_str::<NodeEntry>(json).ok());
            // Of a later version, perhaps: its sessions cannot be reached from here.
            let Some(entry) = entry else { continue };
            let entry = NodeEntry {
                tag: tag.clone(),
                ..entry
            };
            let seen = Seen {
                entry,
                value: value.clone(),
                at: now,
                is_gone: false,
            };
            self.nodes.insert(tag.clone(), seen);
        }
        let listed: HashSet<&String> = nodes.iter().step_by(2).collect();
        self.nodes.retain(|tag, seen| {
            seen.is_gone = now.duration_since(seen.at) >= GONE_AFTER;
            // A missing node was removed, or Redis lost its entry and the node writes it again.
            !seen.is_gone || listed.contains(tag)
        });
    }

    pub(super) fn address(&self, tag: &str) -> Option<String> {
        let seen = self.nodes.get(tag).filter(|seen| !seen.is_gone)?;
        Some(seen.entry.address.clone())
    }

    pub(super) fn nodes(&self) -> Vec<NodeEntry> {
        let here = self.nodes.values().filter(|seen| !seen.is_gone);
        here.map(|seen| seen.entry.clone()).collect()
    }

    pub(super) fn secrets(&self) -> impl Iterator<Item = &Arc<str>> {
        self.secrets.iter()
    }

    /// When the last read began.
    pub(super) fn read_at(&self) -> Option<Instant> {
        self.read_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(secret: &str, nodes: &[(&str, u64)]) -> Vec<String> {
        let mut answer = vec![secret.to_owned()];
        for (tag, written) in nodes {
            answer.push((*tag).to_owned());
            answer.push(format!(
                "{written} {{\"id\":\"node {tag}\",\"address\":\"{tag}:1\",\"version\":\"1\",\"more\":[]}}"
            ));
        }
        answer
    }

    #[test]
    fn a_node_that_stops_writing_expires_by_the_readers_clock() {
        let (mut known, start) = (Known::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        known.update(&answer("s", &[("a", 100), ("b", 100)]), at(0));
        assert_eq!(known.address("a").as_deref(), Some("a:1"));
        // Redis' clock jumps back: that is a change like any other.
        for second in 1..10 {
            known.update(&answer("s", &[("a", 50 + second), ("b", 100)]), at(second));
            assert!(known.address("b").is_some(), "after {second} s");
        }
        for second in 10..14 {
            known.update(&answer("s", &[("a", 60 + second), ("b", 100)]), at(second));
            assert_eq!(known.address("b"), None, "listed still, after {second} s");
            assert!(known.address("a").is_some());
            assert_eq!(known.nodes().len(), 1);
        }
        // It returns.
        known.update(&answer("s", &[("a", 80), ("b", 200)]), at(15));
        assert!(known.address("b").is_some());
    }

    #[test]
    fn no_node_expires_while_redis_is_away_or_after_it_lost_its_data() {
        let (mut known, start) = (Known::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        known.update(&answer("s", &[("a", 1), ("b", 1)]), at(0));
        // The first answer after a pause: others have not written again yet.
        known.update(&answer("s", &[("a", 9), ("b", 1)]), at(300));
        known.update(&answer("s", &[("a", 9)]), at(302));
        assert!(known.address("a").is_some() && known.address("b").is_some());
        known.update(&answer("s", &[("a", 12), ("b", 12)]), at(304));
        known.update(&answer("s", &[("a", 14)]), at(309));
        known.update(&answer("s", &[("a", 15)]), at(314));
        assert!(known.address("a").is_some() && known.address("b").is_none());
    }

    #[test]
    fn the_previous_secret_is_still_accepted() {
        let (mut known, start) = (Known::default(), Instant::now());
        for (second, secret) in ["one", "one", "two", "three"].into_iter().enumerate() {
            known.update(
                &answer(secret, &[]),
                start + Duration::from_secs(second as u64),
            );
        }
        let secrets: Vec<_> = known.secrets().map(|secret| &**secret).collect();
        assert_eq!(secrets, ["three", "two"]);
        // An answer that was overtaken changes nothing.
        known.update(&answer("one", &[("a", 1)]), start);
        assert_eq!(
            known.secrets().next().map(|secret| &**secret),
            Some("three")
        );
        assert_eq!(known.address("a"), None);
    }
}
