//! The keys of accounts after a change of the rules or of the Unicode tables: two accounts with
//! different user names may have the same key then.

use crate::text::{exact_username_key, username_key};

/// An account's name as a store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountName {
    /// The key that the store has.
    pub stored: String,
    pub username: String,
    /// When the account was made, in milliseconds.
    pub created_at: i64,
}

/// An account that gets another key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    pub stored: String,
    pub key: String,
}

/// The accounts whose keys change, and the pairs (first, second) of user names that now have the same
/// key. The key goes to the account that already has it, otherwise to the oldest; the others sign in
/// with the exact spelling that they registered.
#[must_use]
pub fn renewed_keys(accounts: Vec<AccountName>) -> (Vec<NewKey>, Vec<(String, String)>) {
    let mut keyed: Vec<(String, AccountName)> = accounts
        .into_iter()
        .map(|account| (username_key(&account.username), account))
        .collect();
    // Groups accounts by key, the one that gets the key first.
    keyed.sort_by(|(a_key, a), (b_key, b)| {
        let order =
            |key: &String, account: &AccountName| (account.stored != *key, account.created_at);
        a_key
            .cmp(b_key)
            .then_with(|| order(a_key, a).cmp(&order(b_key, b)))
            .then_with(|| a.stored.cmp(&b.stored))
    });
    let (mut changes, mut clashes) = (Vec::new(), Vec::new());
    let mut holder: Option<(String, String)> = None;
    for (key, account) in keyed {
        let is_taken = holder.as_ref().is_some_and(|(held, _)| *held == key);
        let new = match &holder {
            Some((_, first)) if is_taken => {
                clashes.push((first.clone(), account.username.clone()));
                exact_username_key(&account.username)
            }
            _ => {
                holder = Some((key.clone(), account.username.clone()));
                key
            }
        };
        if account.stored != new {
            changes.push(NewKey {
                stored: account.stored,
                key: new,
            });
        }
    }
    (changes, clashes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(stored: &str, username: &str, created_at: i64) -> AccountName {
        AccountName {
            stored: stored.to_owned(),
            username: username.to_owned(),
            created_at,
        }
    }

    #[test]
    fn a_key_belongs_to_its_current_account_or_to_the_oldest() {
        let (changes, clashes) = renewed_keys(vec![
            account("old ada", "Ada", 5),
            account("old ADA", "ADA", 3),
            account("lin", "Lin", 9),
            account("old lin", "LIN", 1),
        ]);
        let change = |stored: &str, key: &str| NewKey {
            stored: stored.to_owned(),
            key: key.to_owned(),
        };
        assert_eq!(
            changes,
            [
                change("old ADA", "ada"),
                change("old ada", "\u{1}Ada"),
                change("old lin", "\u{1}LIN"),
            ]
        );
        let clash = |first: &str, second: &str| (first.to_owned(), second.to_owned());
        assert_eq!(clashes, [clash("ADA", "Ada"), clash("Lin", "LIN")]);
        assert_eq!(
            renewed_keys(vec![account("ada", "Ada", 1)]),
            (vec![], vec![])
        );
    }
}
