//! Suites every adapter of a port must pass, written once.
//!
//! An adapter joins with one line for each suite, in a module with the adapter's name:
//!
//! ```ignore
//! async fn fresh() -> lamplight_conformance::Subject<MyStore> { /* an empty store, and what keeps it alive */ }
//!
//! mod my_store {
//!     use super::fresh;
//!     lamplight_conformance::messages_suite!(fresh);
//!     lamplight_conformance::directory_suite!(fresh);
//!     lamplight_conformance::accounts_suite!(fresh);
//!     lamplight_conformance::deletions_suite!(fresh);
//!     lamplight_conformance::follower_suite!(fresh);
//!     lamplight_conformance::search_suite!(fresh);
//!     lamplight_conformance::blocks_suite!(fresh);
//!     lamplight_conformance::files_suite!(fresh);
//!     lamplight_conformance::groups_suite!(fresh);
//!     lamplight_conformance::push_suite!(fresh);
//! }
//! ```
//!
//! The tests are then `my_store::messages::…`, from which `make conformance` makes its table.
//!
//! `PresenceStore` joins in the same way, with a [`presence::PresenceSubject`], and `EventBus` with
//! a [`bus::BusSubject`].
//!
//! A test's name begins with the number of the invariant it holds.

pub mod accounts;
pub mod blocks;
pub mod bus;
pub mod deletions;
pub mod directory;
pub mod faulty_bus;
pub mod files;
pub mod follower;
pub mod groups;
pub mod messages;
pub mod nodes;
#[doc(hidden)]
pub mod parallel;
pub mod presence;
pub mod push;
mod recorder;
pub mod search;
pub mod servers;
mod setup;

pub use recorder::{Published, Recorder};

use lamplight_domain::identity::{ConversationId, MessageId, Profile, UserId};
use lamplight_domain::message::{Content, SendKey};
use lamplight_domain::time::Timestamp;
use lamplight_domain::write::NewEntry;
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// An adapter under test: empty at first.
pub struct Subject<S> {
    /// The adapter.
    pub store: Arc<S>,
    /// The recorder that the adapter uses as its event bus.
    pub events: Arc<Recorder>,
    /// Resources to drop after the test: a directory, a server.
    pub keep: Box<dyn Any + Send + Sync>,
}

/// Runs a test on several threads, as the server does.
///
/// # Panics
/// When the test does, or the system gives no threads.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(test)
}

/// Makes a `#[test]` of each named function of a suite, in a module with the suite's name.
#[doc(hidden)]
#[macro_export]
macro_rules! suite {
    ($suite:ident, $factory:path, [$($name:ident),* $(,)?] $($more:item)*) => {
        mod $suite {
            // The factory.
            #[allow(unused_imports, reason = "an absolute path needs no import")]
            use super::*;

            $(
                #[test]
                fn $name() {
                    $crate::run(async { $crate::$suite::$name($factory().await).await });
                }
            )*

            $($more)*
        }
    };
}

/// As [`suite!`], for adapters that run in real time: all tests run at once, whatever the number of
/// test threads is, since they wait most of the time. Each is a `#[test]` all the same.
#[doc(hidden)]
#[macro_export]
macro_rules! parallel_suite {
    ($suite:ident, $factory:path, [$($name:ident),* $(,)?]) => {
        mod $suite {
            #[allow(unused_imports, reason = "an absolute path needs no import")]
            use super::*;

            $crate::parallel_suite!($factory, $crate::$suite, [$($name),*]);
        }
    };
    ($factory:path, $module:path, [$($name:ident),* $(,)?]) => {
        fn running() -> &'static $crate::parallel::Running {
            static RUNNING: std::sync::OnceLock<$crate::parallel::Running> =
                std::sync::OnceLock::new();
            RUNNING.get_or_init(|| {
                $crate::parallel::Running::start([
                    $({
                        fn test() {
                            use $module as suite;
                            $crate::run(async { suite::$name($factory().await).await });
                        }
                        (stringify!($name), test as fn())
                    }),*
                ])
            })
        }

        $(
            #[test]
            fn $name() {
                running().join(stringify!($name));
            }
        )*
    };
}

pub(crate) fn user(id: &str) -> UserId {
    UserId::trusted(id)
}

pub(crate) fn conversation(id: &str) -> ConversationId {
    ConversationId::trusted(id)
}

pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp(1_700_000_000_000 + millis)
}

pub(crate) fn named(id: &str, name: &str) -> Profile {
    Profile {
        id: user(id),
        name: name.into(),
        avatar_url: None,
    }
}

/// A message with an id of its own.
pub(crate) fn message(conversation_id: &str, sender: &str, content: &str) -> NewEntry {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    NewEntry {
        id: MessageId::trusted(format!("m{number}")),
        conversation: conversation(conversation_id),
        sender: user(sender),
        write: Content::trusted(content).into(),
        key: None,
        created_at: at(i64::try_from(number).unwrap_or(0)),
        editable_since: None,
    }
}

pub(crate) fn client_id(id: &str) -> Option<SendKey> {
    Some(SendKey::ClientMessageId(id.into()))
}

pub(crate) fn temp_id(id: &str) -> Option<SendKey> {
    Some(SendKey::TempId(id.into()))
}

#[cfg(test)]
mod tests {
    use std::fs::{read_dir, read_to_string};
    use std::path::Path;

    /// The text of every file of suites.
    fn sources(folder: &Path) -> String {
        let mut text = String::new();
        for entry in read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && !path.ends_with("servers") {
                text += &sources(&path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text += &read_to_string(&path).expect("a file");
            }
        }
        text
    }

    /// A test that no list names would never run. Adapters call `other_kinds` themselves.
    #[test]
    fn every_test_of_a_suite_is_in_its_list() {
        let text = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
        let tests = text
            .lines()
            .filter_map(|line| line.strip_prefix("pub async fn "));
        let names = tests.filter_map(|test| test.split(['<', '(']).next());
        let missing: Vec<&str> = names
            .filter(|name| *name != "other_kinds" && !text.contains(&format!("    {name},\n")))
            .collect();
        assert!(missing.is_empty(), "in no list: {missing:?}");
    }
}
