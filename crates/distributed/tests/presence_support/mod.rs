//! What the tests of presence in Redis share.
#![allow(dead_code, reason = "each test file uses a part of it")]

use lamplight_conformance::servers::RedisServer;
use lamplight_distributed::redis::{RedisClient, RedisOptions};
use lamplight_domain::time::{Moment, Now, Timestamp};
use lamplight_usecases::ports::Clock;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::task::JoinHandle;

/// Background tasks, which end with this.
#[derive(Default)]
pub(crate) struct Tasks(Mutex<Vec<JoinHandle<()>>>);

impl Tasks {
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.lock().push(tokio::spawn(task));
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        for task in self.0.lock().drain(..) {
            task.abort();
        }
    }
}

struct WallClock;

impl Clock for WallClock {
    #[allow(clippy::disallowed_methods, reason = "the clock of the tests")]
    fn now(&self) -> Now {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let millis = since.unwrap_or_default().as_millis();
        Now {
            moment: Moment(u64::try_from(millis).unwrap_or(u64::MAX)),
            wall: Timestamp(i64::try_from(millis).unwrap_or(i64::MAX)),
        }
    }
}

pub(crate) fn wall_clock() -> Arc<dyn Clock> {
    Arc::new(WallClock)
}

/// A client of a server, under a prefix.
pub(crate) fn client(server: &RedisServer, prefix: &str) -> RedisClient {
    let options = RedisOptions::parse(&server.url()).expect("an address");
    let options = options.with_prefix(prefix).expect("a prefix");
    RedisClient::start(options.with_deadlines(Duration::from_millis(1_500), Duration::from_secs(2)))
}
