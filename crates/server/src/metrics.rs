//! The metrics. Names and labels are stable; durations are in seconds.

use lamplight_domain::entry::Entry;
use metrics::{
    Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::sync::{LazyLock, OnceLock};
use std::time::Duration;

/// Durations from a tenth of a millisecond to ten seconds.
const BUCKETS: [f64; 15] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 4.0,
    10.0,
];

/// The process' recorder, installed once; tests that run several servers in one process share it.
pub fn install() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE
        .get_or_init(|| {
            // The only error is an empty list of buckets; without them there would be summaries in
            // place of histograms.
            let builder = PrometheusBuilder::new()
                .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &BUCKETS)
                .unwrap_or_else(|_| PrometheusBuilder::new());
            let recorder = builder.build_recorder();
            let handle = recorder.handle();
            let _ = metrics::set_global_recorder(recorder);
            describe();
            begin_at_zero();
            handle
        })
        .clone()
}

/// Gauges of Redis and of the nodes that share it.
const ADAPTER_GAUGES: &[(&str, &str)] = &[
    (
        "lamplight_nodes",
        "Nodes in the registry, this one included.",
    ),
    (
        "lamplight_redis_up",
        "1 while there is a connection to Redis.",
    ),
    (
        "lamplight_bus_up",
        "1 while events of other nodes reach this one.",
    ),
    (
        "lamplight_bus_round_trip_seconds",
        "The newest round trip of the bus through Redis.",
    ),
    (
        "lamplight_bus_lag_seconds",
        "How late events of other nodes come: the newest round trip, or the age of the probe on its way.",
    ),
    (
        "lamplight_bus_queue_depth",
        "Events that wait to be passed to other nodes.",
    ),
    (
        "lamplight_bus_attached_users",
        "Users whose channels this node is subscribed to.",
    ),
    (
        "lamplight_bus_published",
        "Events passed to other nodes since the start.",
    ),
    (
        "lamplight_bus_received",
        "Events of other nodes delivered here since the start.",
    ),
    (
        "lamplight_bus_interruptions",
        "Interruptions of the subscriptions since the start.",
    ),
    (
        "lamplight_bus_lost",
        "Events that the full queue dropped since the start; other nodes read them from the store.",
    ),
    (
        "lamplight_presence_degraded",
        "1 while presence shows only what this node knows.",
    ),
    (
        "lamplight_presence_lag_seconds",
        "For how long changes of presence that Redis has have been missing on this node.",
    ),
    (
        "lamplight_presence_reloads",
        "Parts of the presence that were read again since the start, because changes were missing.",
    ),
    (
        "lamplight_postgres_connections",
        "Open connections to PostgreSQL.",
    ),
    (
        "lamplight_postgres_connections_busy",
        "Connections to PostgreSQL that a read or a transaction uses.",
    ),
    (
        "lamplight_postgres_connections_limit",
        "The most connections to PostgreSQL that this node opens.",
    ),
    (
        "lamplight_forwarded_requests",
        "Requests passed on to the node of their session since the start.",
    ),
    (
        "lamplight_forwarded_websockets",
        "Open WebSockets that belong to sessions of other nodes.",
    ),
    (
        "lamplight_node_lease_age_seconds",
        "Since this node renewed its row in PostgreSQL; renewed every second.",
    ),
    (
        "lamplight_search_behind",
        "Entries of the log that are not in the search index yet.",
    ),
    (
        "lamplight_push_behind",
        "Entries of the log that are not in the queue of notices yet.",
    ),
    (
        "lamplight_push_waiting",
        "Pairs of a subscription and a conversation with notices that wait.",
    ),
    (
        "lamplight_push_subscriptions",
        "Subscriptions for Web Push.",
    ),
    (
        "lamplight_republisher_leader",
        "1 on the node that follows the log.",
    ),
    (
        "lamplight_republisher_behind",
        "Entries of the log that the follower has not read yet.",
    ),
    (
        "lamplight_republisher_waiting",
        "Entries that the follower waits for before it publishes them again.",
    ),
    (
        "lamplight_republisher_published",
        "Entries that were published again since the start.",
    ),
];

fn describe() {
    describe_gauge!(
        "lamplight_connections",
        "Open Socket.IO connections, by transport."
    );
    describe_gauge!("lamplight_online_users", "Users shown as online.");
    describe_gauge!(
        "lamplight_sessions",
        "Presence sessions held, those in their grace period included."
    );
    describe_gauge!("lamplight_sockets", "Sockets that belong to a known user.");
    describe_gauge!(
        "lamplight_roster_followers",
        "Sockets that follow the roster or single users."
    );
    describe_gauge!(
        "lamplight_store_queue_depth",
        "Writes that wait for the store."
    );
    describe_gauge!(
        "lamplight_socket_queue_bytes",
        "Bytes that wait for clients to read them."
    );
    describe_gauge!(
        "lamplight_held",
        "Entries of tables of running work, which shrink when the work ends, by table."
    );
    for (name, what) in ADAPTER_GAUGES {
        describe_gauge!(*name, *what);
    }
    describe_counter!(
        "lamplight_messages_total",
        "Messages stored, by the wire they came by."
    );
    describe_counter!(
        "lamplight_changes_total",
        "Edits, deletions, reactions and pins stored, by kind and by the wire they came by."
    );
    describe_counter!(
        "lamplight_duplicates_total",
        "Sends and changes that were stored already, or that would change nothing."
    );
    describe_counter!(
        "lamplight_bus_gaps_total",
        "Gaps in logs that the event bus left and the store did not fill in time."
    );
    describe_counter!(
        "lamplight_bus_late_total",
        "Entries of logs that came after later ones and were delivered all the same."
    );
    describe_counter!(
        "lamplight_file_scans_total",
        "Files sent to the scanner, by what came of it."
    );
    describe_counter!(
        "lamplight_pushes_total",
        "Notices passed to push services, by what came of it."
    );
    describe_histogram!(
        "lamplight_push_seconds",
        "How long push services took for one notice."
    );
    describe_histogram!(
        "lamplight_file_scan_seconds",
        "How long the scanner took for one file."
    );
    describe_counter!(
        "lamplight_uploads_total",
        "Uploads begun, and what came of those whose bytes arrived; requests that were cut."
    );
    describe_counter!(
        "lamplight_file_bytes_total",
        "Bytes of files, by direction."
    );
    describe_counter!(
        "lamplight_file_errors_total",
        "Failures to read or write the bytes of files."
    );
    describe_counter!(
        "lamplight_pictures_total",
        "Thumbnails and avatars, by what came of them."
    );
    describe_histogram!(
        "lamplight_picture_seconds",
        "How long a thumbnail or an avatar took, the wait for others included."
    );
    describe_counter!("lamplight_refusals_total", "Requests refused, by code.");
    describe_counter!(
        "lamplight_disconnects_total",
        "Sockets that went away, by reason."
    );
    describe_histogram!(
        "lamplight_ack_seconds",
        "From a send's arrival to its acknowledgement."
    );
    describe_histogram!(
        "lamplight_delivery_seconds",
        "From a message's acceptance to its being written to a receiver's socket."
    );
    describe_histogram!(
        "lamplight_http_request_seconds",
        "HTTP requests, by route and status."
    );
}

/// Sets the counters that alerts and dashboards read, so that a rate includes the first event.
fn begin_at_zero() {
    for wire in ["socket", "http"] {
        counter!("lamplight_messages_total", "wire" => wire).increment(0);
    }
    for kind in ["edit", "delete", "reaction", "pin"] {
        for wire in ["socket", "http"] {
            counter!("lamplight_changes_total", "kind" => kind, "wire" => wire).increment(0);
        }
    }
    for code in ["unavailable", "internal"] {
        counter!("lamplight_refusals_total", "code" => code).increment(0);
    }
    for verdict in ["ready", "blocked", "error"] {
        counter!("lamplight_file_scans_total", "verdict" => verdict).increment(0);
    }
    for outcome in [
        UploadOutcome::Begun,
        UploadOutcome::Finished,
        UploadOutcome::Refused,
        UploadOutcome::Failed,
        UploadOutcome::Cut,
    ] {
        counter!("lamplight_uploads_total", "outcome" => outcome.name()).increment(0);
    }
    file_received(0);
    file_served(0);
    counter!("lamplight_file_errors_total").increment(0);
    for picture in ["thumbnail", "avatar"] {
        for outcome in ["made", "none", "busy"] {
            counter!("lamplight_pictures_total", "picture" => picture, "outcome" => outcome)
                .increment(0);
        }
    }
    counter!("lamplight_duplicates_total").increment(0);
    counter!("lamplight_bus_gaps_total").increment(0);
    counter!("lamplight_bus_late_total").increment(0);
}

/// A message was stored and acknowledged.
pub fn sent(wire: &'static str, duplicate: bool, took: Duration) {
    if duplicate {
        counter!("lamplight_duplicates_total").increment(1);
    } else {
        counter!("lamplight_messages_total", "wire" => wire).increment(1);
    }
    histogram!("lamplight_ack_seconds").record(took.as_secs_f64());
}

/// A change of a message was answered: an edit, a deletion, a reaction or a pin.
pub fn changed(wire: &'static str, entry: &Entry, duplicate: bool) {
    if duplicate {
        counter!("lamplight_duplicates_total").increment(1);
    } else if let Some(change) = entry.change() {
        let kind = change.action.name();
        counter!("lamplight_changes_total", "kind" => kind, "wire" => wire).increment(1);
    }
}

/// A message was written to a receiver's socket.
pub fn delivered(took: Duration) {
    // Looked up once: a message to a large group would look it up for each receiver.
    static SECONDS: LazyLock<Histogram> =
        LazyLock::new(|| histogram!("lamplight_delivery_seconds"));
    SECONDS.record(took.as_secs_f64());
}

/// The event bus lost entries of a log, and the store did not fill the gap.
pub fn gap() {
    counter!("lamplight_bus_gaps_total").increment(1);
}

/// The event bus delivered an entry of a log after later ones.
pub fn late_entry() {
    counter!("lamplight_bus_late_total").increment(1);
}

/// A notice was passed to a push service.
pub fn pushed(outcome: &'static str, took: Duration) {
    counter!("lamplight_pushes_total", "outcome" => outcome).increment(1);
    histogram!("lamplight_push_seconds").record(took.as_secs_f64());
}

/// A file was sent to the scanner.
pub fn scanned(verdict: &'static str, took: Duration) {
    counter!("lamplight_file_scans_total", "verdict" => verdict).increment(1);
    histogram!("lamplight_file_scan_seconds").record(took.as_secs_f64());
}

/// The outcome of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadOutcome {
    /// It was registered.
    Begun,
    /// Its bytes are all there, and are what may be uploaded.
    Finished,
    /// Files of its type may not be uploaded.
    Refused,
    /// Its bytes are all there, and could not be examined or noted.
    Failed,
    /// A request ended before its bytes did; the upload may go on by another one.
    Cut,
}

impl UploadOutcome {
    fn name(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Finished => "finished",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Cut => "cut",
        }
    }
}

/// An upload began, ended or was cut.
pub fn upload(outcome: UploadOutcome) {
    counter!("lamplight_uploads_total", "outcome" => outcome.name()).increment(1);
}

/// Bytes of an upload arrived.
pub fn file_received(bytes: u64) {
    counter!("lamplight_file_bytes_total", "direction" => "received").increment(bytes);
}

/// Bytes of a file or of a thumbnail were passed to a client's connection.
pub fn file_served(bytes: u64) {
    counter!("lamplight_file_bytes_total", "direction" => "served").increment(bytes);
}

/// The bytes of a file could not be read or written.
pub fn file_error() {
    counter!("lamplight_file_errors_total").increment(1);
}

/// A thumbnail or an avatar was made, or there was none to make, or no time for it.
pub fn picture(picture: &'static str, outcome: &'static str, took: Duration) {
    counter!("lamplight_pictures_total", "picture" => picture, "outcome" => outcome).increment(1);
    histogram!("lamplight_picture_seconds", "picture" => picture).record(took.as_secs_f64());
}

/// A request was refused.
pub fn refused(code: &'static str) {
    counter!("lamplight_refusals_total", "code" => code).increment(1);
}

/// A socket went away.
pub fn disconnected(reason: &'static str) {
    counter!("lamplight_disconnects_total", "reason" => reason).increment(1);
}

/// An HTTP request was answered.
pub fn http(route: String, status: u16, took: Duration) {
    histogram!("lamplight_http_request_seconds", "route" => route, "status" => status.to_string())
        .record(took.as_secs_f64());
}

/// Gauges that are read when `/metrics` is requested.
#[derive(Clone, Debug, Default)]
pub struct Gauges {
    /// Connections on WebSocket.
    pub websocket: usize,
    /// Connections on long-polling.
    pub polling: usize,
    /// Users shown as online.
    pub online: usize,
    /// Presence sessions.
    pub sessions: usize,
    /// Sockets of known users.
    pub sockets: usize,
    /// Sockets that follow anything.
    pub followers: usize,
    /// Writes that wait.
    pub store_queue: usize,
    /// Bytes that wait for clients.
    pub socket_bytes: usize,
    /// Entries by table.
    pub held: Vec<(&'static str, usize)>,
    /// Gauges of the adapters, by name.
    pub adapters: Vec<(&'static str, f64)>,
}

impl Gauges {
    /// Sets the gauges.
    pub fn set(self) {
        let set = |name: &'static str, value: usize| gauge!(name).set(value as f64);
        gauge!("lamplight_connections", "transport" => "websocket").set(self.websocket as f64);
        gauge!("lamplight_connections", "transport" => "polling").set(self.polling as f64);
        set("lamplight_online_users", self.online);
        set("lamplight_sessions", self.sessions);
        set("lamplight_sockets", self.sockets);
        set("lamplight_roster_followers", self.followers);
        set("lamplight_store_queue_depth", self.store_queue);
        set("lamplight_socket_queue_bytes", self.socket_bytes);
        for (table, entries) in self.held {
            gauge!("lamplight_held", "table" => table).set(entries as f64);
        }
        for (name, value) in self.adapters {
            gauge!(name).set(value);
        }
    }
}
