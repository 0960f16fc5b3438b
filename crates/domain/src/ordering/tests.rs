//! Examples, and random sources against the rules of the order.

use super::*;
use proptest::prelude::*;

const LIMITS: Limits = Limits {
    hold: Duration::from_millis(10),
    held_without_asking: 3,
    patience: Duration::from_millis(40),
    held_per_conversation: 4,
    held: 6,
    retain: Duration::from_millis(1_000),
    conversations: 8,
};

fn id(number: u8) -> ConversationId {
    ConversationId::trusted(format!("c{number}"))
}

type Entry = (u8, u64);

/// A machine, and the entries that it delivered.
struct World {
    order: EntryOrder<Entry>,
    now: Moment,
    steps: Vec<Step<Entry>>,
    late: Vec<Entry>,
}

impl World {
    fn new(limits: Limits) -> Self {
        Self {
            order: EntryOrder::new(limits, Moment(0)),
            now: Moment(0),
            steps: Vec::new(),
            late: Vec::new(),
        }
    }

    fn push(&mut self, conversation: u8, seq: u64) {
        let entry = (conversation, seq);
        match self.order.push(self.now, &id(conversation), seq, entry) {
            Outcome::Deliver(entry) => self.steps.push(Step::Deliver(entry)),
            Outcome::Late(entry) => self.late.push(entry),
            Outcome::Steps(steps) => self.steps.extend(steps),
            Outcome::Repeated | Outcome::Held => {}
        }
    }

    fn wait(&mut self, millis: u64) {
        self.now = self.now.plus(Duration::from_millis(millis));
        self.steps.extend(self.order.pass_time(self.now));
    }

    fn take(&mut self) -> Vec<Step<Entry>> {
        std::mem::take(&mut self.steps)
    }

    fn take_late(&mut self) -> Vec<u64> {
        self.late.drain(..).map(|(_, seq)| seq).collect()
    }
}

fn delivered(seqs: &[u64]) -> Vec<Step<Entry>> {
    seqs.iter().map(|seq| Step::Deliver((0, *seq))).collect()
}

fn between(after: u64, before: u64) -> Gap {
    Gap {
        conversation: id(0),
        after,
        before,
    }
}

fn gap(after: u64, before: u64) -> Step<Entry> {
    Step::Gap(between(after, before))
}

fn missing(after: u64, before: u64) -> Step<Entry> {
    Step::Missing(between(after, before))
}

#[test]
fn m11_a_repetition_is_dropped() {
    let mut world = World::new(LIMITS);
    for seq in [7, 7, 8, 7, 8, 9] {
        world.push(0, seq);
    }
    assert_eq!(world.take(), delivered(&[7, 8, 9]));
    assert!(world.take_late().is_empty());
}

#[test]
fn m10_m11_an_entry_before_the_first_one_is_delivered_late_and_once() {
    let mut world = World::new(LIMITS);
    // This node's own entry is the first of a conversation that was quiet; what another node stored
    // a moment before comes later.
    for seq in [7, 6, 7, 6, 4, 8, 5, 5, 4, 6] {
        world.push(0, seq);
    }
    assert_eq!(world.take(), delivered(&[7, 8]));
    assert_eq!(world.take_late(), [6, 4, 5]);
}

#[test]
fn m10_m11_repetitions_from_the_log_are_dropped_however_often_it_is_read() {
    let mut world = World::new(LIMITS);
    for seq in (1_000..1_600).chain(900..1_600).chain(1_001..1_700) {
        world.push(0, seq);
    }
    let all: Vec<u64> = (1_000..1_700).collect();
    assert_eq!(world.take(), delivered(&all));
    assert!(world.take_late().is_empty(), "too old to decide");
}

#[test]
fn m4_an_entry_ahead_of_its_place_waits_for_the_missing_one() {
    let mut world = World::new(LIMITS);
    for seq in [1, 3, 3, 4] {
        world.push(0, seq);
    }
    assert_eq!(world.take(), delivered(&[1]));
    world.wait(9);
    world.push(0, 2);
    assert_eq!(world.take(), delivered(&[2, 3, 4]));
    world.push(0, 3);
    world.push(0, 5);
    assert_eq!(world.take(), delivered(&[5]));
    assert_eq!(world.order.held(), 0);
}

#[test]
fn p12_missing_entries_are_requested_and_delivered_in_order() {
    let mut world = World::new(LIMITS);
    for seq in [1, 3, 6] {
        world.push(0, seq);
    }
    world.take();
    assert_eq!(world.order.next_wake(), Moment(10));
    world.wait(10);
    assert_eq!(world.take(), [missing(1, 3)]);
    assert_eq!(world.order.next_wake(), Moment(50));
    world.push(0, 2);
    assert_eq!(world.take(), delivered(&[2, 3]));
    assert_eq!(world.order.give_up(&between(1, 3)), []);
    world.wait(0);
    assert_eq!(world.take(), [missing(3, 6)]);
    // The store had only a part, and then nothing.
    world.push(0, 4);
    assert_eq!(world.order.give_up(&between(3, 6)), []);
    world.wait(0);
    let mut expected = delivered(&[4]);
    expected.push(missing(4, 6));
    assert_eq!(world.take(), expected);
    let mut expected = vec![gap(4, 6)];
    expected.extend(delivered(&[6]));
    assert_eq!(world.order.give_up(&between(4, 6)), expected);
    assert_eq!(world.order.give_up(&between(4, 6)), []);
    world.push(0, 7);
    assert_eq!(world.take(), delivered(&[7]));
    assert_eq!(world.order.held(), 0);
}

#[test]
fn p12_a_gap_with_many_waiting_entries_is_requested_at_once() {
    let mut world = World::new(LIMITS);
    for seq in [1, 3, 4, 5] {
        world.push(0, seq);
    }
    assert_eq!(world.take(), delivered(&[1]));
    world.push(0, 6);
    assert_eq!(world.take(), [missing(1, 3)]);
    world.push(0, 2);
    assert_eq!(world.take(), delivered(&[2, 3, 4, 5, 6]));
}

#[test]
fn p12_a_gap_that_stays_open_is_reported_and_skipped() {
    let mut world = World::new(LIMITS);
    world.push(0, 1);
    world.push(0, 3);
    world.wait(5);
    world.push(0, 6);
    world.take();
    world.wait(5);
    assert_eq!(world.take(), [missing(1, 3)]);
    world.wait(39);
    assert_eq!(world.take(), []);
    world.wait(1);
    let expected = [gap(1, 3), Step::Deliver((0, 3)), missing(3, 6)];
    assert_eq!(world.take(), expected);
    world.wait(39);
    assert_eq!(world.take(), []);
    world.wait(1);
    assert_eq!(world.take(), [gap(3, 6), Step::Deliver((0, 6))]);
    // A client that reads events only must not lose this entry.
    for seq in [2, 5, 2, 4, 5, 1] {
        world.push(0, seq);
    }
    assert_eq!(world.take(), []);
    assert_eq!(world.take_late(), [2, 5, 4]);
}

#[test]
fn waiting_entries_are_bounded_by_conversation_and_in_total() {
    let mut world = World::new(LIMITS);
    world.push(0, 1);
    for seq in [3, 4, 6, 7] {
        world.push(0, seq);
    }
    let mut expected = delivered(&[1]);
    expected.push(missing(1, 3));
    assert_eq!(world.take(), expected);
    world.push(0, 8);
    let mut expected = vec![gap(1, 3)];
    expected.extend(delivered(&[3, 4]));
    assert_eq!(world.take(), expected);
    assert_eq!(world.order.held(), 3);
    for seq in [1, 3, 4, 5] {
        world.push(1, seq);
    }
    world.take();
    assert_eq!(world.order.held(), 6);
    // One more: the conversation that waits longest gives way.
    world.push(1, 6);
    let mut expected = vec![gap(4, 6)];
    expected.extend(delivered(&[6, 7, 8]));
    assert_eq!(world.take(), expected);
}

#[test]
fn idle_conversations_are_evicted_and_their_number_is_bounded() {
    let mut world = World::new(LIMITS);
    for number in 0..100 {
        world.push(number, 5);
        assert!(world.order.conversations() <= LIMITS.conversations);
    }
    world.push(99, 5);
    assert_eq!(world.take().len(), 100, "the newest are still known");
    world.wait(1_000);
    world.push(99, 6);
    world.wait(1_000);
    assert_eq!(world.order.conversations(), 1);
    world.push(99, 6);
    assert_eq!(world.take().len(), 1, "it had an entry a moment ago");
    world.wait(2_000);
    world.wait(2_000);
    assert_eq!(world.order.conversations(), 0);
}

#[test]
fn an_evicted_conversation_drops_its_waiting_entries() {
    let mut world = World::new(LIMITS);
    world.push(0, 1);
    world.push(0, 3);
    world.take();
    for number in 1..10 {
        world.push(number, 1);
    }
    let steps = world.take();
    assert!(steps.contains(&gap(1, 3)) && steps.contains(&Step::Deliver((0, 3))));
    assert_eq!(world.order.held(), 0);
    world.wait(100);
    assert_eq!(world.take(), []);
}

#[derive(Clone, Debug)]
enum Op {
    Push(u8, u64),
    Wait(u64),
}

/// Two sources of the same logs, each with its own losses, repetitions and disorder.
fn sources(longest_wait: u64) -> impl Strategy<Value = Vec<Op>> {
    let source = || {
        let entry = (0..3_u8, 1..12_u64, 0..6_u64, 0..3_u8);
        proptest::collection::vec(entry, 0..60).prop_map(|mut entries| {
            // By `seq`, and off by a little.
            entries.sort_by_key(|(_, seq, late, _)| seq + late);
            entries
        })
    };
    (
        source(),
        source(),
        proptest::collection::vec((any::<bool>(), 0..=longest_wait), 120),
    )
        .prop_map(|(one, two, turns)| {
            let (mut one, mut two) = (one.into_iter(), two.into_iter());
            let mut ops = Vec::new();
            for (first, wait) in turns {
                let next = if first { one.next() } else { two.next() };
                let Some((conversation, seq, _, times)) = next else {
                    continue;
                };
                for _ in 0..times {
                    ops.push(Op::Push(conversation, seq));
                }
                if wait > 0 {
                    ops.push(Op::Wait(wait));
                }
            }
            ops
        })
}

proptest! {
    /// Whatever comes, each conversation's entries leave once, in order but for those that come when
    /// their gap was reported or before the first one, and each gap is reported, exactly.
    #[test]
    fn m4_m10_m11_two_sources_deliver_all_and_once(ops in sources(4)) {
        let mut world = World::new(LIMITS);
        let mut offered: HashMap<u8, BTreeSet<u64>> = HashMap::new();
        for op in &ops {
            match op {
                Op::Push(conversation, seq) => {
                    offered.entry(*conversation).or_default().insert(*seq);
                    world.push(*conversation, *seq);
                }
                Op::Wait(millis) => world.wait(*millis),
            }
            prop_assert!(world.order.held() <= LIMITS.held);
        }
        while world.order.held() > 0 {
            world.wait(10);
        }
        let mut last: HashMap<u8, u64> = HashMap::new();
        let mut open: HashMap<u8, u64> = HashMap::new();
        let mut first: HashMap<u8, u64> = HashMap::new();
        let mut skipped: HashMap<u8, BTreeSet<u64>> = HashMap::new();
        let mut sent: HashMap<u8, BTreeSet<u64>> = HashMap::new();
        for step in world.take() {
            match step {
                Step::Missing(_) => {}
                Step::Gap(gap) => {
                    let conversation = gap.conversation.as_str()[1..].parse::<u8>().unwrap();
                    prop_assert_eq!(Some(&gap.after), last.get(&conversation));
                    prop_assert!(gap.before > gap.after + 1);
                    prop_assert!(open.insert(conversation, gap.before).is_none());
                    skipped.entry(conversation).or_default().extend(gap.after + 1..gap.before);
                }
                Step::Deliver((conversation, seq)) => {
                    prop_assert!(offered[&conversation].contains(&seq));
                    prop_assert!(sent.entry(conversation).or_default().insert(seq));
                    first.entry(conversation).or_insert(seq);
                    match (open.remove(&conversation), last.insert(conversation, seq)) {
                        (Some(before), _) => prop_assert_eq!(seq, before),
                        (None, Some(last)) => prop_assert_eq!(seq, last + 1),
                        (None, None) => {}
                    }
                }
            }
        }
        prop_assert!(open.is_empty());
        for (conversation, seq) in world.late {
            let is_before = seq < first[&conversation];
            let is_skipped = skipped.get(&conversation).is_some_and(|all| all.contains(&seq));
            prop_assert!(is_before || is_skipped, "{seq}");
            prop_assert!(sent.entry(conversation).or_default().insert(seq), "{seq} twice");
        }
        prop_assert_eq!(sent, offered);
    }

    /// Where one of two sources delivers each entry in time, there is no gap.
    #[test]
    fn m4_a_second_source_fills_gaps_of_the_first(
        lost in proptest::collection::vec(any::<bool>(), 30),
        lag in 1..4_usize,
    ) {
        let mut world = World::new(LIMITS);
        world.push(0, 1);
        for (seq, is_lost) in lost.into_iter().enumerate().skip(2) {
            if !is_lost {
                world.push(0, seq as u64);
            }
            if let Some(late) = seq.checked_sub(lag).filter(|late| *late > 1) {
                world.push(0, late as u64);
            }
            world.wait(1);
        }
        for late in 30 - lag..30 {
            world.push(0, late as u64);
        }
        let all: Vec<u64> = (1..30).collect();
        prop_assert_eq!(world.take(), delivered(&all));
    }
}
