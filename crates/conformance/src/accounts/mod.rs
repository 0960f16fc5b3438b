//! The suite for `Accounts`.

mod names;
mod passwords;
mod sessions;

use crate::{at, named, user};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::{Account, Accounts, NewSession};
use std::net::IpAddr;

pub use names::*;
pub use passwords::*;
pub use sessions::*;

/// Joins the suite: `accounts_suite!(factory)`, the factory an `async fn` that makes an empty
/// [`crate::Subject`].
#[macro_export]
macro_rules! accounts_suite {
    ($factory:path) => {
        $crate::suite!(
            accounts,
            $factory,
            [
                an_account_comes_with_a_profile,
                a_person_is_found_by_their_user_name,
                a_name_is_taken_in_every_spelling,
                h13_a_name_that_looks_like_a_taken_one_is_taken,
                of_many_concurrent_registrations_of_a_name_one_wins,
                a_session_lasts_until_its_end,
                h11_a_clock_a_month_ahead_deletes_no_session,
                a_session_ends_once,
                sessions_that_are_over_do_not_come_back,
                h12_the_oldest_session_of_an_account_ends_where_it_has_too_many,
                all_sessions_of_a_user_end_at_once,
                h11_sessions_end_that_were_opened_until_a_time,
                h11_tokens_end_that_were_issued_until_a_time,
                a_new_password_ends_all_other_sessions,
                h7_the_networks_that_signed_in_are_known_for_a_while,
            ]
        );
    };
}

fn account(id: &str) -> Account {
    Account {
        user: user(id),
        password_hash: format!("$argon2id$of-{id}"),
    }
}

fn session(digest: &str, id: &str, at: Timestamp, expires: Timestamp) -> NewSession {
    NewSession {
        digest: digest.to_owned(),
        user: user(id),
        at,
        expires,
        network: None,
        most: 0,
        password_hash: None,
    }
}

/// Creates an account.
async fn create<S: Accounts>(store: &S, username: &str, id: &str, name: &str) {
    store
        .create(username, account(id), named(id, name), at(0))
        .await
        .expect("an account");
}

/// Opens a session.
async fn open<S: Accounts>(store: &S, digest: &str, id: &str, from: Timestamp, expires: Timestamp) {
    store
        .open_session(session(digest, id, from, expires))
        .await
        .expect("a session");
}

fn network(text: &str) -> IpAddr {
    text.parse().expect("an address")
}
