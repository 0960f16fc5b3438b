//! A node's knowledge of the subscribers: channels on which no other node received its last message,
//! and the envelope version that all nodes read. [`super::quiet`] verifies it at each use.

use super::channels::Channels;
use super::envelope::Form;
use crate::redis::RedisScript;
use lamplight_domain::identity::UserId;
use std::collections::HashMap;
use std::sync::Arc;

/// The most users who are remembered.
const MOST: usize = 50_000;

/// The channels to which no other node was subscribed lately. It is verified at each use.
pub(super) struct Listeners {
    pub(super) script: RedisScript,
    /// Where a user's channel is among the known ones.
    users: HashMap<UserId, usize>,
    known: Vec<Known>,
    is_all_quiet: bool,
    /// In which the next batch is written.
    pub(super) form: Form,
    /// Counts batches.
    batch: u64,
}

pub(super) struct Channel {
    pub(super) name: Arc<str>,
    pub(super) of: Carries,
    /// No other node is known to listen: the publish may be skipped.
    pub(super) is_quiet: bool,
}

/// The content of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carries {
    /// Events of the user whom [`Listeners`] know by this number.
    Of(usize),
    /// Events of many users, or of all.
    All,
    /// Messages for this node itself or for the republisher.
    Other,
}

/// The channel of a user.
pub(super) struct Known {
    pub(super) name: Arc<str>,
    pub(super) is_quiet: bool,
    /// Its place among the channels of a batch, and which batch.
    pub(super) place: usize,
    batch: u64,
}

impl Listeners {
    pub(super) fn new() -> Self {
        Self {
            script: RedisScript::new(include_str!("publish.lua")),
            users: HashMap::new(),
            known: Vec::new(),
            is_all_quiet: false,
            form: Form::Compact,
            batch: 0,
        }
    }

    /// Begins another batch: channels have no places in it yet.
    pub(super) fn begin_batch(&mut self) {
        self.batch += 1;
        if self.users.len() >= MOST {
            // Those in use come back with their next message.
            self.users.clear();
            self.known.clear();
        }
    }

    /// The channel of a user, and its number for [`Carries::Of`]. It gets the place `next` unless it
    /// has one in this batch.
    pub(super) fn of_user(
        &mut self,
        user: &UserId,
        next: usize,
        channels: &Channels,
    ) -> (usize, &Known) {
        let number = self.users.get(user).copied().unwrap_or_else(|| {
            self.known.push(Known {
                name: channels.of_user(user),
                is_quiet: false,
                place: 0,
                batch: 0,
            });
            self.users.insert(user.clone(), self.known.len() - 1);
            self.known.len() - 1
        });
        let known = &mut self.known[number];
        if known.batch != self.batch {
            known.batch = self.batch;
            known.place = next;
        }
        (number, known)
    }

    pub(super) fn is_all_quiet(&self) -> bool {
        self.is_all_quiet
    }

    /// Notes whether another node listens to a channel.
    pub(super) fn note(&mut self, channel: &Channel, is_quiet: bool) {
        match channel.of {
            Carries::Of(number) => self.known[number].is_quiet = is_quiet,
            Carries::All => self.is_all_quiet = is_quiet,
            Carries::Other => {}
        }
    }
}
