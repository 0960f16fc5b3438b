//! The keys of limits as texts, which nodes exchange.

use lamplight_domain::identity::UserId;
use std::net::IpAddr;

/// A key that all nodes write in the same way.
pub(super) trait SharedKey {
    fn text(&self) -> String;
}

impl SharedKey for UserId {
    fn text(&self) -> String {
        self.as_str().to_owned()
    }
}

impl SharedKey for String {
    fn text(&self) -> String {
        self.clone()
    }
}

impl SharedKey for IpAddr {
    fn text(&self) -> String {
        self.to_string()
    }
}

impl SharedKey for (String, Option<IpAddr>) {
    fn text(&self) -> String {
        match self.1 {
            // A user name has no line break.
            Some(address) => format!("{address}\n{}", self.0),
            None => self.0.clone(),
        }
    }
}
