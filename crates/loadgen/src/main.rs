//! Load generator for a server on this machine: idle connections, mass joins, messages.
//!
//! It prints one JSON object with the results and with the resources that the server's process
//! (`--pid`) used.

mod broadcast;
mod centrifugo;
mod churn;
mod client;
mod idle;
mod joins;
mod messages;
mod peer_client;
mod process;
mod relay;
mod seen;
mod sending;
mod storm;
mod target;
mod text_socket;

use clap::{Parser, Subcommand};
use std::net::SocketAddr;
use std::process::ExitCode;

/// Load generator for a server on this machine.
#[derive(Parser)]
struct Cli {
    /// Address of the server, which must be a loopback address; several of a cluster's nodes,
    /// separated by commas.
    #[arg(long, default_value = "127.0.0.1:3000", value_delimiter = ',')]
    server: Vec<SocketAddr>,
    /// Process id of the server, to read its memory and CPU time; of all nodes, separated by commas.
    #[arg(long, value_delimiter = ',', required = true)]
    pid: Vec<u32>,
    /// Path of the Socket.IO endpoint.
    #[arg(long, default_value = "/api/socketio/")]
    path: String,
    /// Name of the server in the output.
    #[arg(long, default_value = "lamplight")]
    name: String,
    /// Protocol of the server. Scenarios with users, rosters and storage need Socket.IO.
    #[arg(long, value_enum, default_value = "socketio")]
    protocol: target::Protocol,
    #[command(subcommand)]
    work: Work,
}

#[derive(Subcommand)]
enum Work {
    /// Opens connections, joins each with `roster: "none"`, and leaves them idle.
    Idle {
        /// Number of connections.
        #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=19_000))]
        count: u32,
        /// Do not send `join_user`.
        #[arg(long)]
        bare: bool,
    },
    /// Users join on one node, and a watcher on the next node waits for the change.
    Seen {
        /// Users that are online all the while.
        #[arg(long, default_value_t = 3_000, value_parser = clap::value_parser!(u32).range(1..=19_000))]
        online: u32,
        /// Users who come online, one after the other.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
        times: u32,
    },
    /// New users come online, a fixed number of them at a time.
    Joins {
        /// Number of users.
        #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(2..=19_000))]
        users: u32,
        /// Joins that may await their acknowledgement at a time.
        #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1_000))]
        in_flight: u32,
    },
    /// Users join at the same time and receive the whole roster.
    Storm {
        /// Number of users.
        #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(2..=5_000))]
        users: u32,
        /// Roster mode; `original` is for the original system, which has none.
        #[arg(long, default_value = "full", value_parser = ["full", "diff", "original"])]
        mode: String,
        /// Seconds to keep counting bytes after every user knows every other.
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=120))]
        settle_seconds: u64,
    },
    /// Pairs of clients: one sends to the other by name, without storage. For comparison with other
    /// servers; Lamplight does not support it.
    Relay {
        /// Number of pairs.
        #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=5_000))]
        pairs: u32,
        /// Number of additional idle connections.
        #[arg(long, default_value_t = 6_000, value_parser = clap::value_parser!(u32).range(0..=19_000))]
        idle: u32,
        /// Messages of one sender that may await their acknowledgement at a time.
        #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=64))]
        in_flight: u32,
        /// Number of messages per sender.
        #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u32).range(10..=100_000))]
        each: u32,
    },
    /// Sends events to all connections. For comparison with other servers; Lamplight does not
    /// support it.
    Broadcast {
        /// Number of receivers.
        #[arg(long, default_value_t = 4_000, value_parser = clap::value_parser!(u32).range(1..=19_000))]
        count: u32,
        /// Number of events.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
        events: u32,
    },
    /// Keeps many connections open for a long time and replaces some of them continually.
    Churn {
        /// Number of connections at a time.
        #[arg(long, default_value_t = 8_000, value_parser = clap::value_parser!(u32).range(100..=19_000))]
        count: u32,
        /// Duration in minutes.
        #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=60))]
        minutes: u32,
        /// Percentage of the connections that are replaced per minute.
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=50))]
        percent: u32,
    },
    /// Pairs of users: one sends, and the other receives the stored messages.
    Messages {
        /// Number of pairs.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=5_000))]
        pairs: u32,
        /// Messages of one sender that may await their acknowledgement at a time.
        #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=64))]
        in_flight: u32,
        /// Number of messages per sender.
        #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        each: u32,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(other) = cli.server.iter().find(|server| !server.ip().is_loopback()) {
        eprintln!(
            "loadgen: {other} is not a loopback address; only servers on this machine may be loaded"
        );
        return ExitCode::FAILURE;
    }
    let pids: process::Pids = cli.pid.leak();
    let target = target::Target {
        server: cli.server[0],
        nodes: cli.server,
        path: cli.path,
        protocol: cli.protocol,
    };
    let result = match cli.work {
        Work::Idle { count, bare } => idle::run(&target, pids, count, bare).await,
        Work::Joins { users, in_flight } => joins::run(&target, pids, users, in_flight).await,
        Work::Seen { online, times } => seen::run(&target, online, times).await,
        Work::Storm {
            users,
            mode,
            settle_seconds,
        } => storm::run(&target, pids, users, &mode, settle_seconds).await,
        Work::Relay {
            pairs,
            idle,
            in_flight,
            each,
        } => relay::run(&target, pids, idle, pairs, in_flight, each).await,
        Work::Broadcast { count, events } => broadcast::run(&target, pids, count, events).await,
        Work::Churn {
            count,
            minutes,
            percent,
        } => churn::run(&target, pids, count, minutes, percent).await,
        Work::Messages {
            pairs,
            in_flight,
            each,
        } => messages::run(&target, pids, pairs, in_flight, each).await,
    };
    match result {
        Ok(mut seen) => {
            seen["server"] = cli.name.into();
            println!("{seen}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("loadgen: {error}");
            ExitCode::FAILURE
        }
    }
}
