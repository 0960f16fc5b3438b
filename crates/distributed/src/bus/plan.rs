//! What a batch publishes on which channels.

use super::channels::few_users;
use super::envelope::Summary;
use super::queue::{Item, Outgoing};
use super::round_trips::RoundTrips;
use super::shared::Shared;
use lamplight_domain::event::Event;
use lamplight_domain::identity::UserId;
use redis::Pipeline;
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// The channels of a batch, each once, and its messages in their order.
pub(super) struct Plan<'a> {
    shared: &'a Shared,
    pub(super) channels: Vec<Channel>,
    messages: Vec<Message<'a>>,
    /// The channels of the messages, one after the other.
    places: Vec<usize>,
}

pub(super) struct Channel {
    pub(super) name: Arc<str>,
    /// Whether it carries events only. The others are needed by this node itself.
    pub(super) has_events: bool,
    /// No other node listens, as far as is known: it may be left out.
    pub(super) is_quiet: bool,
}

struct Message<'a> {
    payload: Payload<'a>,
    places: Range<usize>,
}

/// Events are written once they are needed.
enum Payload<'a> {
    Event(u64, &'a Event),
    Written(Vec<u8>),
}

impl<'a> Plan<'a> {
    /// `is_quiet` says of which channels of events it is known that no other node listens.
    pub(super) fn new(
        shared: &'a Shared,
        batch: &'a [Item],
        is_quiet: impl Fn(&str) -> bool,
    ) -> Self {
        let mut plan = Self {
            shared,
            channels: Vec::new(),
            messages: Vec::with_capacity(batch.len() + 1),
            places: Vec::with_capacity(batch.len() * 2 + 1),
        };
        let mut places: HashMap<&UserId, usize> = HashMap::new();
        let (mut all, mut probe) = (None, None);
        let mut summary = Summary::new();
        for item in batch {
            let from = plan.places.len();
            let payload = match &item.outgoing {
                // Presence has a channel of its own.
                Outgoing::Event(Event::Presence(_)) => continue,
                Outgoing::Event(event) => {
                    if let Event::Appended { entry, .. } = event {
                        summary.add(entry.conversation.as_str(), entry.seq);
                    }
                    if let Some(users) = few_users(event) {
                        for user in users {
                            let place = *places.entry(user).or_insert_with(|| {
                                plan.channels.push(Channel::of_events(
                                    shared.channels.of_user(user),
                                    &is_quiet,
                                ));
                                plan.channels.len() - 1
                            });
                            plan.places.push(place);
                        }
                    } else {
                        plan.add_all(&mut all, &is_quiet);
                    }
                    Payload::Event(item.number, event)
                }
                Outgoing::Lost => {
                    plan.add_all(&mut all, &is_quiet);
                    Payload::Written(shared.writer.lost(item.number))
                }
                Outgoing::RoundTrip(number) => {
                    plan.add_own(&mut probe, &shared.channels.probe);
                    Payload::Written(RoundTrips::payload(*number).into())
                }
                Outgoing::Probe(number) => {
                    plan.add_own(&mut probe, &shared.channels.probe);
                    Payload::Written(number.to_string().into())
                }
            };
            let places = from..plan.places.len();
            plan.messages.push(Message { payload, places });
        }
        if !summary.entries.is_empty() {
            let from = plan.places.len();
            plan.add_own(&mut None, &shared.channels.summaries);
            plan.messages.push(Message {
                payload: Payload::Written(summary.encode()),
                places: from..plan.places.len(),
            });
        }
        plan
    }

    fn add_all(&mut self, place: &mut Option<usize>, is_quiet: impl Fn(&str) -> bool) {
        let place = *place.get_or_insert_with(|| {
            let name = Arc::clone(&self.shared.channels.all);
            self.channels.push(Channel::of_events(name, is_quiet));
            self.channels.len() - 1
        });
        self.places.push(place);
    }

    fn add_own(&mut self, place: &mut Option<usize>, name: &Arc<str>) {
        let place = *place.get_or_insert_with(|| {
            self.channels.push(Channel {
                name: Arc::clone(name),
                has_events: false,
                is_quiet: false,
            });
            self.channels.len() - 1
        });
        self.places.push(place);
    }

    /// Calls `publish` with each message that has a channel among those that `wants` returns true
    /// for, and with those channels. Returns how many messages have none.
    pub(super) fn each(
        &self,
        wants: impl Fn(&Channel) -> bool,
        mut publish: impl FnMut(&[u8], &[usize]),
    ) -> u64 {
        let mut left_out = 0;
        let mut wanted = Vec::new();
        for message in &self.messages {
            wanted.clear();
            let places = self.places[message.places.clone()].iter().copied();
            wanted.extend(places.filter(|place| wants(&self.channels[*place])));
            if wanted.is_empty() {
                left_out += 1;
                continue;
            }
            let payload: Cow<'_, [u8]> = match &message.payload {
                Payload::Written(payload) => Cow::Borrowed(payload),
                Payload::Event(number, event) => match self.shared.writer.event(*number, event) {
                    Some(payload) => Cow::Owned(payload),
                    None => continue,
                },
            };
            publish(&payload, &wanted);
        }
        left_out
    }

    /// Everything, on every channel.
    pub(super) fn pipeline(&self) -> Pipeline {
        let mut pipeline = Pipeline::with_capacity(self.places.len());
        self.each(
            |_| true,
            |payload, places| {
                for place in places {
                    let name = &*self.channels[*place].name;
                    pipeline.cmd("PUBLISH").arg(name).arg(payload);
                }
            },
        );
        pipeline
    }
}

impl Channel {
    fn of_events(name: Arc<str>, is_quiet: impl Fn(&str) -> bool) -> Self {
        Self {
            is_quiet: is_quiet(&name),
            name,
            has_events: true,
        }
    }
}
