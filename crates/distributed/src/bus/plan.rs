//! Plans the messages and channels of a batch.

use super::channels::few_users;
use super::envelope::{Form, Summary};
use super::listeners::{Carries, Channel, Listeners};
use super::queue::{Item, Outgoing};
use super::round_trips::RoundTrips;
use super::shared::Shared;
use lamplight_domain::event::Event;
use lamplight_domain::identity::UserId;
use redis::Pipeline;
use std::ops::Range;
use std::sync::Arc;

/// The channels of a batch, each once, and its messages in their order.
pub(super) struct Plan<'a> {
    shared: &'a Shared,
    pub(super) channels: Vec<Channel>,
    messages: Vec<Message<'a>>,
    /// The channels of the messages, one after the other.
    places: Vec<usize>,
    summary: Summary<'a>,
}

struct Message<'a> {
    payload: Payload<'a>,
    places: Range<usize>,
}

/// Written once it is needed, in the form that is needed.
enum Payload<'a> {
    Event(u64, &'a Event),
    Lost(u64),
    Summary,
    Written(Vec<u8>),
}

impl<'a> Plan<'a> {
    pub(super) fn new(shared: &'a Shared, batch: &'a [Item], listeners: &mut Listeners) -> Self {
        listeners.begin_batch();
        let mut plan = Self {
            shared,
            channels: Vec::with_capacity(batch.len() + 2),
            messages: Vec::with_capacity(batch.len() + 1),
            places: Vec::with_capacity(batch.len() * 2 + 1),
            summary: Summary::new(),
        };
        let (mut all, mut probe) = (None, None);
        for item in batch {
            let from = plan.places.len();
            let payload = match &item.outgoing {
                // Presence has a channel of its own.
                Outgoing::Event(Event::Presence(_)) => continue,
                Outgoing::Event(event) => {
                    if let Event::Appended { entry, .. } = event {
                        plan.summary.add(entry.conversation.as_str(), entry.seq);
                    }
                    if let Some(users) = few_users(event) {
                        for user in users {
                            let place = plan.of_user(user, listeners);
                            plan.places.push(place);
                        }
                    } else {
                        plan.add_all(&mut all, listeners);
                    }
                    Payload::Event(item.number, event)
                }
                Outgoing::Lost => {
                    plan.add_all(&mut all, listeners);
                    Payload::Lost(item.number)
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
        if !plan.summary.entries.is_empty() {
            let from = plan.places.len();
            plan.add_own(&mut None, &shared.channels.summaries);
            plan.messages.push(Message {
                payload: Payload::Summary,
                places: from..plan.places.len(),
            });
        }
        plan
    }

    fn of_user(&mut self, user: &UserId, listeners: &mut Listeners) -> usize {
        let next = self.channels.len();
        let (number, known) = listeners.of_user(user, next, &self.shared.channels);
        if known.place == next {
            self.channels.push(Channel {
                name: Arc::clone(&known.name),
                of: Carries::Of(number),
                is_quiet: known.is_quiet,
            });
        }
        known.place
    }

    fn add_all(&mut self, place: &mut Option<usize>, listeners: &Listeners) {
        let is_quiet = listeners.is_all_quiet();
        let name = &self.shared.channels.all;
        let place = *place.get_or_insert_with(|| {
            self.channels.push(Channel {
                name: Arc::clone(name),
                of: Carries::All,
                is_quiet,
            });
            self.channels.len() - 1
        });
        self.places.push(place);
    }

    fn add_own(&mut self, place: &mut Option<usize>, name: &Arc<str>) {
        let place = *place.get_or_insert_with(|| {
            self.channels.push(Channel {
                name: Arc::clone(name),
                of: Carries::Other,
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
        form: Form,
        wants: impl Fn(&Channel) -> bool,
        mut publish: impl FnMut(&[u8], &[usize]),
    ) -> u64 {
        let mut left_out = 0;
        let mut wanted = Vec::new();
        let mut written = Vec::with_capacity(512);
        let writer = &self.shared.writer;
        for message in &self.messages {
            wanted.clear();
            let places = self.places[message.places.clone()].iter().copied();
            wanted.extend(places.filter(|place| wants(&self.channels[*place])));
            if wanted.is_empty() {
                left_out += 1;
                continue;
            }
            written.clear();
            match &message.payload {
                Payload::Written(payload) => {
                    publish(payload, &wanted);
                    continue;
                }
                Payload::Event(number, event) => {
                    if !writer.event(form, *number, event, &mut written) {
                        continue;
                    }
                }
                Payload::Lost(number) => writer.lost(form, *number, &mut written),
                Payload::Summary => written = self.summary.encode(form),
            }
            publish(&written, &wanted);
        }
        left_out
    }

    /// Everything, on every channel, as nodes of any version read it.
    pub(super) fn pipeline(&self) -> Pipeline {
        let mut pipeline = Pipeline::with_capacity(self.places.len());
        self.each(
            Form::Json,
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
