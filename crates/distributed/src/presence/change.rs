//! A published change of one bucket: `<bucket> <epoch> <number> <version> <since> <JSON>`.

use super::keys::BUCKETS;
use super::presence_json::{ShownJson, reason, reason_name};
use lamplight_domain::identity::{Profile, UserId};
use lamplight_domain::presence::{BucketPosition, Change, FeedBody, FeedMessage, Offline};
use lamplight_domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How the script sets the version and `since`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Online,
    Updated,
    Offline,
    /// Only whether the user is invisible, or the node that holds a session.
    Hidden,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Updated => "updated",
            Self::Offline => "offline",
            Self::Hidden => "hidden",
        }
    }
}

/// A place in the history of a bucket.
pub(super) type Position = BucketPosition<Arc<str>>;

/// A change as it is published on the channel.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) change: FeedMessage<Arc<str>>,
    pub(super) moved: Moved,
}

/// Sessions that an incarnation took over from others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Moved {
    pub(super) sessions: Vec<String>,
    pub(super) to: u64,
}

impl Moved {
    pub(super) fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }
}

#[derive(Serialize, Deserialize)]
struct MessageJson {
    user: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shown: Option<ShownJson>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gone: Option<GoneJson>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    hidden: bool,
    #[serde(default, skip_serializing_if = "Moved::is_empty")]
    moved: Moved,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GoneJson {
    reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_seen: Option<i64>,
}

/// The JSON of a change.
pub(super) fn write_body(
    user: &UserId,
    change: Option<&Change>,
    hidden: bool,
    moved: &Moved,
) -> String {
    let (mut shown, mut gone) = (None, None);
    match change {
        Some(Change::Online(presence) | Change::Updated(presence)) => {
            shown = Some(ShownJson::new(presence, true));
        }
        Some(Change::Offline(offline)) => {
            gone = Some(GoneJson {
                reason: reason_name(offline.reason).to_owned(),
                last_seen: offline.last_seen_at.map(|at| at.0),
            });
        }
        None => {}
    }
    let json = MessageJson {
        user: user.as_str().to_owned(),
        shown,
        gone,
        hidden,
        moved: moved.clone(),
    };
    serde_json::to_string(&json).unwrap_or_default()
}

impl Message {
    /// A change that this node made itself.
    pub(super) fn new(
        bucket: usize,
        position: Position,
        version: u64,
        user: &UserId,
        change: Option<Change>,
        hidden: bool,
    ) -> Self {
        let body = match change {
            Some(Change::Online(presence) | Change::Updated(presence)) => FeedBody::Shown(presence),
            Some(Change::Offline(offline)) => FeedBody::Gone(offline),
            None => FeedBody::Same,
        };
        let change = FeedMessage {
            bucket,
            position,
            version,
            user: user.clone(),
            body,
            hidden,
        };
        Self {
            change,
            moved: Moved::default(),
        }
    }

    /// The bucket, the epoch and the number of a message, without reading the rest.
    pub(super) fn position(text: &str) -> Option<(usize, &str, u64)> {
        let mut parts = text.splitn(4, ' ');
        let bucket = parts.next()?.parse().ok().filter(|held| *held < BUCKETS)?;
        Some((bucket, parts.next()?, parts.next()?.parse().ok()?))
    }

    /// Reads a message, `None` if it is none of ours.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut parts = text.splitn(6, ' ');
        let bucket = parts.next()?.parse().ok().filter(|held| *held < BUCKETS)?;
        let epoch = parts.next()?.into();
        let mut number = || parts.next()?.parse::<u64>().ok();
        let (number, version, since) = (number()?, number()?, number()?);
        let json: MessageJson = serde_json::from_str(parts.next()?).ok()?;
        let user = UserId::trusted(json.user);
        let body = match (json.shown, json.gone) {
            (Some(shown), _) => {
                let bare = Profile::bare(user.clone());
                FeedBody::Shown(Arc::new(shown.into_presence(&bare, version, since)?))
            }
            (None, Some(gone)) => FeedBody::Gone(Offline {
                user: user.clone(),
                last_seen_at: gone.last_seen.map(Timestamp),
                reason: reason(&gone.reason),
                version,
            }),
            (None, None) => FeedBody::Same,
        };
        Some(Self {
            change: FeedMessage {
                bucket,
                position: Position { epoch, number },
                version,
                user,
                body,
                hidden: json.hidden,
            },
            moved: json.moved,
        })
    }
}
