//! The record of a user in Redis: `<revision> <version> <since> <JSON>`. The script writes the
//! first three. Fields of a later release are ignored.

use super::presence_json::{ActivityJson, ProfileJson, ShownJson, StatusJson, reason, reason_name};
use lamplight_domain::identity::{ConnectionId, UserId};
use lamplight_domain::presence::{
    NodeIndex, SavedStatus, SessionLife, SessionState, UserRecord, UserState,
};
use lamplight_domain::time::{Moment, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The incarnations that the sessions of one record belong to. A session carries its index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Incarnations(Vec<u64>);

impl Incarnations {
    /// The index of an incarnation, which is added if it is new.
    pub(super) fn index(&mut self, incarnation: u64) -> NodeIndex {
        let known = self.0.iter().position(|held| *held == incarnation);
        let index = known.unwrap_or_else(|| {
            self.0.push(incarnation);
            self.0.len() - 1
        });
        NodeIndex(u32::try_from(index).unwrap_or(u32::MAX))
    }

    fn at(&self, index: NodeIndex) -> u64 {
        let index = usize::try_from(index.0).unwrap_or(usize::MAX);
        self.0.get(index).copied().unwrap_or(0)
    }

    /// Those that have sessions in this record.
    pub(super) fn with_sessions(&self, record: Option<&UserRecord>) -> Vec<u64> {
        let Some(UserRecord::Attached(state)) = record else {
            return Vec::new();
        };
        let mut with: Vec<_> = state
            .sessions
            .iter()
            .map(|held| self.at(held.node))
            .collect();
        with.sort_unstable();
        with.dedup();
        with
    }
}

/// A record as it was read.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    /// 0 if there is none.
    pub(super) revision: u64,
    pub(super) user: Option<UserRecord>,
    pub(super) incarnations: Incarnations,
}

impl Record {
    /// Reads a record, empty for none. `None` if it is not one.
    pub(super) fn read(user: &UserId, text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::default());
        }
        let mut parts = text.splitn(4, ' ');
        let mut number = || parts.next()?.parse::<u64>().ok();
        let (revision, version, since) = (number()?, number()?, number()?);
        let json: RecordJson = serde_json::from_str(parts.next()?).ok()?;
        let incarnations = Incarnations(json.nodes.clone());
        Some(Self {
            revision,
            user: json.into_user(user, version, since),
            incarnations,
        })
    }

    /// The JSON of a record, without the head.
    pub(super) fn write(user: &UserRecord, incarnations: &Incarnations) -> String {
        let json = RecordJson::new(user, incarnations);
        serde_json::to_string(&json).unwrap_or_default()
    }
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RecordJson {
    /// Absent if the record holds a status only.
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<ProfileJson>,
    status: StatusJson,
    status_at: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sessions: Vec<SessionJson>,
    /// The incarnations of the nodes; sessions have their indexes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    nodes: Vec<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shown: Option<ShownJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen: Option<i64>,
    last_active: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_end: Option<(String, i64)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hiding: Option<(u64, String, i64)>,
    updates_until: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_update: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SessionJson {
    id: String,
    node: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ends: Option<u64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    dormant: bool,
    active: u64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    idle: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    activity: Option<ActivityJson>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    sharing: bool,
}

impl RecordJson {
    fn new(user: &UserRecord, incarnations: &Incarnations) -> Self {
        match user {
            UserRecord::Unattached { at, status } => Self {
                status: status.into(),
                status_at: at.0,
                ..Self::default()
            },
            UserRecord::Attached(state) => Self::of_state(state, incarnations),
        }
    }

    fn of_state(state: &UserState, incarnations: &Incarnations) -> Self {
        // Only incarnations that have sessions, or else the record would grow.
        let mut nodes = Incarnations::default();
        let sessions = state.sessions.iter().map(|held| SessionJson {
            id: held.id.as_str().to_owned(),
            node: nodes.index(incarnations.at(held.node)).0,
            ends: match held.life {
                SessionLife::Ending(at) => Some(at.0),
                SessionLife::Live | SessionLife::Dormant => None,
            },
            dormant: held.life == SessionLife::Dormant,
            active: held.last_active.0,
            idle: held.idle,
            activity: held.activity.as_ref().map(ActivityJson::from),
            sharing: held.is_sharing,
        });
        let sessions = sessions.collect();
        let shown = state.shown.as_ref().map(|shown| {
            let is_same = shown.profile == state.profile;
            ShownJson::new(shown, !is_same)
        });
        Self {
            profile: Some(ProfileJson::from(&state.profile)),
            status: (&state.status).into(),
            status_at: state.status_at.0,
            sessions,
            nodes: nodes.0,
            shown,
            last_seen: state.last_seen.map(|at| at.0),
            last_active: state.last_active_at.0,
            last_end: state
                .last_end
                .map(|(reason, at)| (reason_name(reason).to_owned(), at.0)),
            hiding: state
                .hiding
                .map(|(at, reason, seen)| (at.0, reason_name(reason).to_owned(), seen.0)),
            updates_until: state.updates_until.0,
            next_update: state.next_update.map(|at| at.0),
        }
    }

    fn into_user(self, user: &UserId, version: u64, since: u64) -> Option<UserRecord> {
        let status = SavedStatus::from(self.status);
        let Some(profile) = self.profile else {
            return Some(UserRecord::Unattached {
                at: Moment(self.status_at),
                status,
            });
        };
        let profile = profile.into_profile(user);
        let shown = self
            .shown
            .and_then(|shown| shown.into_presence(&profile, version, since));
        let sessions = self.sessions.into_iter().map(SessionState::from);
        Some(UserRecord::Attached(Box::new(UserState {
            status,
            status_at: Moment(self.status_at),
            sessions: sessions.collect(),
            shown: shown.map(Arc::new),
            last_seen: self.last_seen.map(Timestamp),
            last_active_at: Timestamp(self.last_active),
            last_end: self
                .last_end
                .map(|(name, at)| (reason(&name), Timestamp(at))),
            hiding: self
                .hiding
                .map(|(at, name, seen)| (Moment(at), reason(&name), Timestamp(seen))),
            updates_until: Moment(self.updates_until),
            next_update: self.next_update.map(Moment),
            profile,
        })))
    }
}

impl From<SessionJson> for SessionState {
    fn from(json: SessionJson) -> Self {
        Self {
            id: ConnectionId::trusted(json.id),
            node: NodeIndex(json.node),
            life: match json.ends {
                Some(at) => SessionLife::Ending(Moment(at)),
                None if json.dormant => SessionLife::Dormant,
                None => SessionLife::Live,
            },
            last_active: Moment(json.active),
            idle: json.idle,
            activity: json.activity.map(ActivityJson::into_activity),
            is_sharing: json.sharing,
        }
    }
}
