//! PostgreSQL passes the suites every store must pass.

mod support;

use support::fresh;

lamplight_conformance::messages_suite!(fresh);
lamplight_conformance::directory_suite!(fresh);
lamplight_conformance::accounts_suite!(fresh);
lamplight_conformance::follower_suite!(fresh);
lamplight_conformance::nodes_suite!(fresh);
