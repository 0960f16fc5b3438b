//! Snapshots of the whole roster, for a feed that starts or that missed events.

use super::*;
use lamplight_domain::roster_feed::RosterFeed;

/// A feed that applies every change.
struct Feed(RosterFeed<u8>);

impl Feed {
    fn new() -> Self {
        Self(RosterFeed::new(0))
    }

    async fn resync<P: PresenceStore>(&mut self, presence: &P) {
        let snapshot = presence.snapshot().await.expect("a snapshot");
        self.0.resync(snapshot, |_| None);
    }

    fn push(&mut self, changes: &[Change]) {
        changes
            .iter()
            .cloned()
            .for_each(|change| self.0.push(change));
    }

    fn listed(&self) -> Vec<Arc<Presence>> {
        self.0.listed().cloned().collect()
    }
}

/// P6 and P12: a feed that saw only some of the events, of two nodes, equals the list after a
/// resync, and follows the events from there on.
pub async fn p12_a_feed_that_missed_events_is_mended_by_a_snapshot<P: PresenceStore>(
    subject: PresenceSubject<P>,
) {
    let other = (subject.node)("other");
    other.acquire_lease().await.expect("a lease");
    for loses in 0..6 {
        let (mut feed, mut fresh) = (Feed::new(), Feed::new());
        feed.resync(&*subject.presence).await;
        for step in 0..12 {
            let before = subject.changes().len();
            let (who, session) = (format!("u{}", step % 4), format!("t{}", step % 6));
            let node = if step % 2 == 0 {
                &subject.presence
            } else {
                &other
            };
            match (step * 5 + loses) % 4 {
                0 | 1 => {
                    let session = tab(&session);
                    let joined = node
                        .join(&session, person(&who, ManualStatus::Online))
                        .await;
                    joined.expect("joined");
                }
                2 => node.sign_out(&tab(&session)).await.expect("signed out"),
                _ => {
                    let status = if step % 3 == 0 {
                        ManualStatus::Busy
                    } else {
                        ManualStatus::Online
                    };
                    subject.set_status(&who, chosen(status)).await;
                }
            }
            if step % 3 != loses % 3 {
                feed.push(&subject.changes()[before..]);
            }
        }
        feed.resync(&*other).await;
        fresh.resync(&*subject.presence).await;
        let everyone = subject.everyone().await;
        assert_eq!(feed.listed(), everyone);
        assert_eq!(fresh.listed(), everyone);
        let before = subject.changes().len();
        for session in (0..6).map(|n| tab(&format!("t{n}"))) {
            subject
                .presence
                .sign_out(&session)
                .await
                .expect("signed out");
            other.sign_out(&session).await.expect("signed out");
        }
        let changes = &subject.changes()[before..];
        feed.push(changes);
        fresh.push(changes);
        assert_eq!(feed.listed(), []);
        assert_eq!(fresh.listed(), []);
    }
}

/// P6: events that are published while a snapshot is read reach the feed before it or after it.
pub async fn p6_events_around_a_snapshot_are_neither_lost_nor_undone<P: PresenceStore>(
    subject: PresenceSubject<P>,
) {
    subject.join("stays", "s1").await;
    subject.join("leaves", "l1").await;
    let snapshot = subject.presence.snapshot().await.expect("a snapshot");
    subject.join("comes", "c1").await;
    subject
        .presence
        .sign_out(&tab("l1"))
        .await
        .expect("signed out");
    let everyone = subject.everyone().await;
    for split in 0..=subject.changes().len() {
        let (mut feed, changes) = (Feed::new(), subject.changes());
        feed.push(&changes[..split]);
        feed.0.resync(snapshot.clone(), |_| None);
        feed.push(&changes[split..]);
        assert_eq!(feed.listed(), everyone, "{split} before");
    }
}
