//! The roster in memory passes the suite every roster must pass, and its driver keeps time.

use lamplight_conformance::Recorder;
use lamplight_conformance::presence::{ManualClock, PresenceSubject, RULES};
use lamplight_embedded::presence::EmbeddedPresence;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

async fn fresh() -> PresenceSubject<EmbeddedPresence> {
    let (events, clock) = (Arc::new(Recorder::default()), Arc::new(ManualClock::default()));
    let presence = Arc::new(EmbeddedPresence::new(RULES, 1, clock.clone(), events.clone()));
    let current = Arc::new(Mutex::new((1, Arc::clone(&presence))));
    let ticked = Arc::clone(&current);
    let ticks = Arc::clone(&clock);
    let pass = move |by: Duration| {
        for _ in 0..by.as_millis() / 10 {
            ticks.pass(Duration::from_millis(10));
            ticked.lock().1.tick();
        }
        futures_util::FutureExt::boxed(std::future::ready(()))
    };
    let fanout = Arc::clone(&events);
    let again = move || {
        let mut current = current.lock();
        current.0 += 1;
        current.1 = Arc::new(EmbeddedPresence::new(RULES, current.0, clock.clone(), fanout.clone()));
        futures_util::FutureExt::boxed(std::future::ready(Arc::clone(&current.1)))
    };
    PresenceSubject { presence, events, pass: Box::new(pass), again: Box::new(again), keep: Box::new(()) }
}

lamplight_conformance::presence_suite!(fresh);
