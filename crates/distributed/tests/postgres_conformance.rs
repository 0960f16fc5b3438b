//! PostgreSQL passes the suites every store must pass.

mod support;

use support::fresh;

lamplight_conformance::directory_suite!(fresh);
lamplight_conformance::accounts_suite!(fresh);
