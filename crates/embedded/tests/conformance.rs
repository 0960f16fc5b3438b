//! SQLite passes the suites every store must pass, and the bus that of every bus.

mod support;

use lamplight_conformance::bus::BusSubject;
use lamplight_embedded::event_bus::EmbeddedEventBus;
use std::sync::Arc;
use support::fresh;

async fn in_process() -> BusSubject {
    let bus = Arc::new(EmbeddedEventBus::new());
    BusSubject {
        one: bus.clone(),
        two: bus,
        keep: Box::new(()),
    }
}

mod sqlite {
    use super::fresh;

    lamplight_conformance::messages_suite!(fresh);
    lamplight_conformance::directory_suite!(fresh);
    lamplight_conformance::accounts_suite!(fresh);
    lamplight_conformance::deletions_suite!(fresh);
    lamplight_conformance::follower_suite!(fresh);
    lamplight_conformance::nodes_suite!(fresh);
    lamplight_conformance::search_suite!(fresh);
    lamplight_conformance::blocks_suite!(fresh);
    lamplight_conformance::files_suite!(fresh);
    lamplight_conformance::groups_suite!(fresh);
    lamplight_conformance::push_suite!(fresh);
}

mod memory {
    use super::in_process;

    lamplight_conformance::bus_suite!(in_process);
}
