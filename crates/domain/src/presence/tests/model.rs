//! Random lives against a model that is too simple to be wrong: it computes every user at every
//! millisecond and checks the conditions of the contract.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Short enough to check every millisecond.
pub(super) const RULES: Rules = Rules {
    grace: Duration::from_millis(5),
    lease: Duration::from_millis(15),
    time_to_live: Duration::from_millis(40),
    away_after: Duration::from_millis(15),
    update_every: Duration::ZERO,
};

#[derive(Clone, Debug)]
pub(super) enum Op {
    Join(u8, u8),
    Active(u8, bool),
    Close(u8, bool),
    SignOut(u8),
    Status(u8, ManualStatus, Option<u8>),
    Doing(u8, Option<u8>),
    Name(u8, u8),
    Wait(u8),
}

pub(super) fn ops() -> impl Strategy<Value = Vec<Op>> {
    let status = prop_oneof![2 => Just(ManualStatus::Online), 1 => Just(ManualStatus::Away), 1 => Just(ManualStatus::Busy), 2 => Just(ManualStatus::Invisible)];
    let op = prop_oneof![
        5 => (0..2_u8, 0..3_u8).prop_map(|(who, tab)| Op::Join(who, tab)),
        3 => (0..6_u8, any::<bool>()).prop_map(|(tab, active)| Op::Active(tab, active)),
        3 => (0..6_u8, any::<bool>()).prop_map(|(tab, timeout)| Op::Close(tab, timeout)),
        1 => (0..6_u8).prop_map(Op::SignOut),
        2 => (0..2_u8, status, proptest::option::of(1..30_u8)).prop_map(|(who, status, until)| Op::Status(who, status, until)),
        1 => (0..6_u8, proptest::option::of(0..3_u8)).prop_map(|(tab, kind)| Op::Doing(tab, kind)),
        1 => (0..2_u8, 0..3_u8).prop_map(|(who, name)| Op::Name(who, name)),
        8 => prop_oneof![0..4_u8, 4..7_u8, 10..20_u8, 36..44_u8].prop_map(Op::Wait),
    ];
    proptest::collection::vec(op, 1..80)
}

pub(super) fn who(n: u8) -> String {
    format!("u{n}")
}

/// Six tabs, the first three of one user and the others of another.
fn tab(n: u8) -> String {
    format!("t{n}")
}

pub(super) fn apply(world: &mut World, op: &Op) {
    match op {
        Op::Join(n, t) => world.join(&who(*n), &tab(n * 3 + t)),
        Op::Active(t, true) => world.active(&tab(*t)),
        Op::Active(t, false) => world.idle(&tab(*t)),
        Op::Close(t, timeout) => world.close_for(
            &tab(*t),
            if *timeout {
                OfflineReason::Timeout
            } else {
                OfflineReason::Closed
            },
        ),
        Op::SignOut(t) => world.sign_out(&tab(*t)),
        Op::Status(n, status, until) => {
            let until = until.map(|after| Timestamp(world.now.wall.0 + i64::from(after)));
            world.set_status(
                &who(*n),
                StatusOverride {
                    status: *status,
                    text: None,
                    until,
                },
            );
        }
        Op::Doing(t, kind) => {
            world.set_activity(&tab(*t), kind.map(|kind| doing(&kind.to_string())))
        }
        Op::Name(n, name) => world.set_name(&who(*n), &name.to_string()),
        Op::Wait(_) => {}
    }
}

#[derive(Clone, Default)]
struct Tab {
    closed: Option<u64>,
    active: u64,
    idle: bool,
    asleep: bool,
    doing: Option<u8>,
}

#[derive(Clone, Debug, PartialEq)]
struct Looks {
    status: Status,
    doing: Vec<u8>,
    name: String,
}

#[derive(Default)]
struct Person {
    /// In order of arrival.
    tabs: Vec<(u8, Tab)>,
    name: String,
    status: ManualStatus,
    until: Option<u64>,
    shown: Option<Looks>,
    /// Since when they are invisible, and until when they are shown all the same.
    hides: Option<u64>,
}

impl Person {
    fn end_status(&mut self, t: u64) {
        if self.until.is_some_and(|until| until <= t) {
            self.fall_asleep(t);
            self.choose(ManualStatus::Online, None, t);
        }
    }

    /// A user who was invisible appears as a newcomer does.
    fn choose(&mut self, status: ManualStatus, until: Option<u64>, t: u64) {
        let appears = self.status == ManualStatus::Invisible
            && status != ManualStatus::Invisible
            && self.shown.is_none();
        (self.status, self.until) = (status, until);
        for (_, tab) in self
            .tabs
            .iter_mut()
            .filter(|(_, tab)| appears && tab.closed.is_none() && !tab.asleep)
        {
            (tab.active, tab.idle) = (t, false);
        }
    }

    fn fall_asleep(&mut self, t: u64) {
        for (_, tab) in &mut self.tabs {
            if tab.closed.is_none() && !tab.asleep && t > tab.active + 40 {
                (tab.asleep, tab.doing) = (true, None);
            }
        }
    }

    /// The expected visible states at `t`.
    fn look(&mut self, t: u64) {
        self.tabs
            .retain(|(_, tab)| tab.closed.is_none_or(|closed| t <= closed + 5));
        self.fall_asleep(t);
        let tabs = || {
            self.tabs
                .iter()
                .map(|(_, tab)| tab)
                .filter(|tab| !tab.asleep)
        };
        let someone = tabs().any(|tab| tab.closed.is_none());
        let invisible = self.status == ManualStatus::Invisible;
        if !invisible || self.shown.is_none() {
            self.hides = None;
        }
        if invisible && self.shown.is_some() {
            let closing = tabs()
                .filter_map(|tab| tab.closed)
                .max()
                .filter(|_| !someone);
            let shown_until = *self.hides.get_or_insert(closing.unwrap_or(t) + 5);
            if t > shown_until {
                self.shown = None;
            }
        } else if someone && !invisible {
            let at_it = tabs().any(|tab| !tab.idle && t <= tab.active + 15);
            let status = match self.status {
                ManualStatus::Away => Status::Away,
                ManualStatus::Busy => Status::Busy,
                _ if at_it => Status::Online,
                _ => Status::Away,
            };
            let mut doing = Vec::new();
            for kind in tabs().filter_map(|tab| tab.doing) {
                if !doing.contains(&kind) {
                    doing.push(kind);
                }
            }
            self.shown = Some(Looks {
                status,
                doing,
                name: self.name.clone(),
            });
        } else if tabs().next().is_none() {
            self.shown = None;
        }
        if self.tabs.is_empty() && self.shown.is_none() {
            let (status, until) = (self.status, self.until); // In the directory.
            *self = Self {
                status,
                until,
                ..Self::default()
            };
        }
    }
}

#[derive(Default)]
struct Model {
    people: BTreeMap<u8, Person>,
}

impl Model {
    fn apply(&mut self, op: &Op, t: u64) {
        let n = match op {
            Op::Join(n, _) | Op::Status(n, ..) | Op::Name(n, _) => *n,
            Op::Active(tab, _) | Op::Close(tab, _) | Op::SignOut(tab) | Op::Doing(tab, _) => {
                tab / 3
            }
            Op::Wait(_) => return,
        };
        let person = self.people.entry(n).or_default();
        let held = !person.tabs.is_empty() || person.shown.is_some();
        person.end_status(t);
        match op {
            Op::Join(n, tab) => {
                person.name = who(*n);
                let id = n * 3 + tab;
                match person.tabs.iter_mut().find(|(held, _)| *held == id) {
                    Some((_, tab)) => {
                        *tab = Tab {
                            active: t,
                            doing: tab.doing,
                            ..Tab::default()
                        }
                    }
                    None => person.tabs.push((
                        id,
                        Tab {
                            active: t,
                            ..Tab::default()
                        },
                    )),
                }
            }
            Op::Active(id, active) => {
                for (_, tab) in person
                    .tabs
                    .iter_mut()
                    .filter(|(held, tab)| held == id && tab.closed.is_none())
                {
                    (tab.active, tab.idle, tab.asleep) = (t, !active, false);
                }
            }
            Op::Close(id, _) => {
                person.tabs.retain(|(held, tab)| held != id || !tab.asleep);
                for (_, tab) in person
                    .tabs
                    .iter_mut()
                    .filter(|(held, tab)| held == id && tab.closed.is_none())
                {
                    tab.closed = Some(t);
                }
            }
            Op::SignOut(id) if person.tabs.iter().any(|(held, _)| held == id) => {
                person.tabs.retain(|(held, _)| held != id);
                if !person
                    .tabs
                    .iter()
                    .any(|(_, tab)| tab.closed.is_none() && !tab.asleep)
                {
                    person.tabs.retain(|(_, tab)| tab.closed.is_none());
                }
            }
            Op::Status(_, status, until) => {
                person.choose(*status, until.map(|after| t + u64::from(after)), t);
            }
            Op::Doing(id, kind) => {
                for (_, tab) in person
                    .tabs
                    .iter_mut()
                    .filter(|(held, tab)| held == id && tab.closed.is_none())
                {
                    tab.doing = *kind;
                }
            }
            Op::Name(_, name) if held => person.name = name.to_string(),
            _ => {}
        }
        person.look(t);
    }

    fn tick(&mut self, t: u64) {
        for person in self.people.values_mut() {
            person.end_status(t);
            person.look(t);
        }
    }

    fn shown(&self) -> Vec<(String, Looks)> {
        self.people
            .iter()
            .filter_map(|(n, person)| Some((who(*n), person.shown.clone()?)))
            .collect()
    }

    fn is_live(&self, user: &str) -> bool {
        self.people.iter().any(|(n, person)| {
            who(*n) == user
                && person.status != ManualStatus::Invisible
                && person
                    .tabs
                    .iter()
                    .any(|(_, tab)| tab.closed.is_none() && !tab.asleep)
        })
    }
}

fn shown(world: &World) -> Vec<(String, Looks)> {
    let mut shown: Vec<_> = world
        .roster
        .list(0)
        .map(|presence| {
            let doing = presence
                .activities
                .iter()
                .map(|one| one.kind.parse().expect("a number"))
                .collect();
            (
                presence.profile.id.to_string(),
                Looks {
                    status: presence.status,
                    doing,
                    name: presence.profile.name.to_string(),
                },
            )
        })
        .collect();
    shown.sort_by(|one, other| one.0.cmp(&other.0));
    shown
}

proptest! {
    #[test]
    fn p3_p4_p8_the_roster_equals_its_model_at_every_moment(ops in ops()) {
        let mut looks_always = World::with(RULES, 1);
        let mut trusts_wakes = World::with(RULES, 1);
        let mut model = Model::default();
        for op in &ops {
            apply(&mut looks_always, op);
            apply(&mut trusts_wakes, op);
            let t = looks_always.now.moment.0;
            model.apply(op, t);
            prop_assert_eq!(shown(&looks_always), model.shown(), "after {:?} at {}", op, t);
            if let Op::Wait(by) = op {
                trusts_wakes.pass(u64::from(*by));
                for _ in 0..*by {
                    looks_always.move_clocks(1);
                    let before = looks_always.published.len();
                    looks_always.tick();
                    let t = looks_always.now.moment.0;
                    model.tick(t);
                    prop_assert_eq!(shown(&looks_always), model.shown(), "at {}", t);
                    for (_, change) in &looks_always.published[before..] {
                        let gone = matches!(change, Change::Offline(_));
                        prop_assert!(!gone || !model.is_live(change.user().as_str()), "offline with a live session: {:?}", change);
                    }
                }
            }
            // A driver that ticks only when a tick is due misses nothing and is never late.
            trusts_wakes.tick();
            prop_assert_eq!(&trusts_wakes.published, &looks_always.published);
        }
        // Nothing is kept of users who left.
        for n in 0..6 {
            looks_always.close(&tab(n));
        }
        looks_always.pass(11_000);
        looks_always.tick();
        prop_assert!(looks_always.is_empty());
    }
}
