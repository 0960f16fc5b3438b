//! The state that moves with a connection whose client resumes it on another node.

use lamplight_domain::identity::UserId;
use lamplight_domain::roster_feed::Mode;
use serde::{Deserialize, Serialize};

/// Read by nodes of other versions too: fields are added only, and each has a default.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct MovingConnection {
    /// The user, once known.
    user: Option<String>,
    /// The user joined over this connection.
    pub(crate) has_joined: bool,
    roster: RosterMode,
    watched: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RosterMode {
    Full,
    Diff,
    Watch,
    #[default]
    #[serde(other)]
    None,
}

impl MovingConnection {
    pub(crate) fn new(
        user: Option<&UserId>,
        has_joined: bool,
        mode: Mode,
        watched: &[UserId],
    ) -> Self {
        Self {
            user: user.map(|user| user.as_str().to_owned()),
            has_joined,
            roster: match mode {
                Mode::Full => RosterMode::Full,
                Mode::Diff => RosterMode::Diff,
                Mode::Watch => RosterMode::Watch,
                Mode::None => RosterMode::None,
            },
            watched: watched
                .iter()
                .map(|user| user.as_str().to_owned())
                .collect(),
        }
    }

    pub(crate) fn encode(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }

    pub(crate) fn decode(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    pub(crate) fn user(&self) -> Option<UserId> {
        self.user.as_deref().map(UserId::trusted)
    }

    pub(crate) fn mode(&self) -> Mode {
        match self.roster {
            RosterMode::Full => Mode::Full,
            RosterMode::Diff => Mode::Diff,
            RosterMode::Watch => Mode::Watch,
            RosterMode::None => Mode::None,
        }
    }

    pub(crate) fn watched(&self) -> Vec<UserId> {
        self.watched
            .iter()
            .map(|user| UserId::trusted(user.as_str()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c15_a_node_of_another_version_reads_the_fields_that_it_knows() {
        let watched = [UserId::trusted("b"), UserId::trusted("c")];
        let text = MovingConnection::new(Some(&UserId::trusted("a")), true, Mode::Diff, &watched)
            .encode()
            .unwrap();
        let later = text.replacen('{', "{\"later\":[1],", 1);
        let moving = MovingConnection::decode(&later).unwrap();
        assert_eq!(moving.user(), Some(UserId::trusted("a")));
        assert!(moving.has_joined);
        assert_eq!(
            (moving.mode(), moving.watched()),
            (Mode::Diff, watched.to_vec())
        );
        let other = MovingConnection::decode("{\"roster\":\"galaxy\"}").unwrap();
        assert_eq!((other.user(), other.mode()), (None, Mode::None));
        assert!(MovingConnection::decode("").is_none());
    }
}
