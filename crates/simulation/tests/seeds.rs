//! The simulation over many seeds.

use lamplight_simulation::{Bug, Config, Report, run};

/// `SEED=n` replays one run with a trace, `STEPS=n` shortens or lengthens it, `SEEDS=n` runs more.
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn steps() -> usize {
    number("STEPS").unwrap_or(2_000) as usize
}

fn seeds() -> u64 {
    number("SEEDS").unwrap_or(1_000)
}

fn run_seed(seed: u64, bug: Option<Bug>) -> Report {
    run(Config {
        seed,
        steps: steps(),
        bug,
        is_traced: number("SEED").is_some(),
    })
}

#[test]
fn m1_m2_m3_m4_m5_m6_m9_m10_m11_m12_m13_m15_p1_p2_p5_p7_p8_p9_p11_p12_p13_every_seed() {
    if let Some(seed) = number("SEED") {
        let report = run_seed(seed, None);
        println!("{report:?}");
        assert_eq!(report.violation, None);
        return;
    }
    let (mut events, mut entries, mut acknowledged) = (0, 0, 0);
    let mut failed = Vec::new();
    for seed in 0..seeds() {
        let report = run_seed(seed, None);
        events += report.events;
        entries += report.entries;
        acknowledged += report.acknowledged;
        if let Some(violation) = report.violation {
            failed.push((seed, violation));
        }
    }
    println!(
        "{} seeds of {} steps: {events} events, {entries} entries, {acknowledged} acknowledged",
        seeds(),
        steps()
    );
    for (seed, violation) in failed.iter().take(20) {
        println!("SEED={seed}: {violation:?}");
    }
    assert!(failed.is_empty(), "{} seeds failed", failed.len());
}

#[test]
fn a_seed_repeats_the_same_run() {
    for seed in 0..10 {
        assert_eq!(run_seed(seed, None), run_seed(seed, None), "seed {seed}");
    }
}
