//! Each planted bug is found by some seed of the budget. The tests print the first one:
//! `cargo test -p lamplight-simulation --test bugs -- --nocapture`.

use lamplight_simulation::{Bug, Config, run};

/// As in the run without bugs.
const SEEDS: u64 = 1_000;
const STEPS: usize = 2_000;

fn is_found(bug: Bug, invariants: &[&str]) {
    for seed in 0..SEEDS {
        let report = run(Config {
            seed,
            steps: STEPS,
            bug: Some(bug),
            is_traced: false,
        });
        if let Some(violation) = report.violation {
            println!(
                "{bug:?}: seed {seed}, {}: {}",
                violation.invariant, violation.what
            );
            assert!(
                invariants.contains(&violation.invariant),
                "{bug:?} shows as another fault: {violation:?}"
            );
            return;
        }
    }
    panic!("no seed of {SEEDS} finds {bug:?}");
}

macro_rules! found {
    ($($name:ident: $bug:ident as $($invariant:literal)|+;)*) => {
        $(
            #[test]
            fn $name() {
                is_found(Bug::$bug, &[$($invariant),+]);
            }
        )*
        #[test]
        fn every_planted_bug_has_a_test() {
            assert_eq!(Bug::ALL, [$(Bug::$bug),*]);
        }
    };
}

found! {
    m1_no_dedupe: NoDedupe as "M1";
    m2_dedupe_in_memory: DedupeInMemory as "M1";
    m3_acknowledged_before_commit: AcknowledgedBeforeCommit as "M3";
    m4_seq_from_sequence: SeqFromSequence as "M4";
    m5_outbox_out_of_order: OutboxOutOfOrder as "M5";
    m6_gaps_ignored: GapsIgnored as "M6";
    m9_marks_set: MarksSet as "M9";
    m10_delivered_before_commit: DeliveredBeforeCommit as "M10";
    m10_no_republisher: NoRepublisher as "M6" | "M10";
    m10_no_repair_after_lag: NoRepairAfterLag as "M6" | "M10";
    m10_late_dropped: LateDropped as "M10";
    m6_join_before_subscription: JoinBeforeSubscription as "M6" | "M10";
    m12_slow_readers_skipped: SlowReadersSkipped as "M6" | "M10" | "M9" | "P5" | "P8" | "P1" | "P11";
    m15_members_cached: MembersCached as "M15";
    m15_first_seq_ignored: FirstSeqIgnored as "M15";
    m15_past_not_hidden: PastNotHidden as "M15";
    m7_not_anew: NotAnew as "M6" | "M15" | "M13";
    groups_no_hand_over: NoHandOver as "groups";
    blocks_cached: BlocksCached as "blocks";
    not_judged: NotJudged as "acting";
    m9_deleted_stay_unread: DeletedStayUnread as "M9";
    p2_no_fencing: NoFencing as "P1";
    p8_presence_counter: PresenceCounter as "P1" | "P8";
    p7_leaves_lost_on_heal: LeavesLostOnHeal as "P1" | "P5" | "P11";
    p12_no_comparison: NoComparison as "P1" | "P5" | "P8" | "P11";
    p1_no_sweep: NoSweep as "P1";
    p8_sweep_by_user: SweepByUser as "P8";
    p9_clock_followed: ClockFollowed as "P8";
    p11_revisions_ignored: RevisionsIgnored as "P5" | "P8" | "P11";
    p11_old_status_announced: OldStatusAnnounced as "P5" | "P8" | "P11";
    p7_not_announced_again: NotAnnouncedAgain as "P8";
    p8_no_compare_and_set: NoCompareAndSet as "P1" | "P5" | "P8" | "P11";
    p7_no_hold: NoHold as "P8";
}
