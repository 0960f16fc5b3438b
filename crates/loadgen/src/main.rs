//! Load for a server on this machine: many idle connections, a storm of arrivals, messages.
//!
//! Prints one JSON object with what was seen, and what the server's process (`--pid`) used for it.

mod bare;
mod broadcast;
mod centrifugo;
mod churn;
mod client;
mod idle;
mod messages;
mod process;
mod relay;
mod sending;
mod storm;
mod wire;

use clap::{Parser, Subcommand};
use std::net::SocketAddr;
use std::process::ExitCode;

/// Load for a server on this machine.
#[derive(Parser)]
struct Cli {
    /// Where the server listens: a loopback address.
    #[arg(long, default_value = "127.0.0.1:3000")]
    server: SocketAddr,
    /// The server's process, to read its memory and CPU time.
    #[arg(long)]
    pid: u32,
    /// The path of Socket.IO.
    #[arg(long, default_value = "/api/socketio/")]
    path: String,
    /// What to call the server in what is printed.
    #[arg(long, default_value = "lamplight")]
    name: String,
    /// What it speaks. The work with names, rosters and storage is Socket.IO's only.
    #[arg(long, value_enum, default_value = "socketio")]
    protocol: bare::Protocol,
    #[command(subcommand)]
    work: Work,
}

#[derive(Subcommand)]
enum Work {
    /// Opens connections, joins each with `roster: "none"`, and leaves them alone.
    Idle {
        /// How many.
        #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=19_000))]
        count: u32,
        /// Speak Socket.IO only: no `join_user`.
        #[arg(long)]
        bare: bool,
    },
    /// Users who join at once and want to know everyone.
    Storm {
        /// How many.
        #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(2..=5_000))]
        users: u32,
        /// The roster mode; `original` is for the system that knows none.
        #[arg(long, default_value = "full", value_parser = ["full", "diff", "original"])]
        mode: String,
        /// How long to go on counting bytes after everyone knows everyone.
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=120))]
        settle_seconds: u64,
    },
    /// Pairs of whom one says something to the other by name, unstored: the peers' work, not
    /// Lamplight's.
    Relay {
        /// How many pairs.
        #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=5_000))]
        pairs: u32,
        /// How many others are connected meanwhile, and silent.
        #[arg(long, default_value_t = 6_000, value_parser = clap::value_parser!(u32).range(0..=19_000))]
        idle: u32,
        /// Messages of one that are under way at once.
        #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=64))]
        in_flight: u32,
        /// Messages each.
        #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u32).range(10..=100_000))]
        each: u32,
    },
    /// Events for everyone, queued at once: the peers' work, not Lamplight's.
    Broadcast {
        /// How many listen.
        #[arg(long, default_value_t = 4_000, value_parser = clap::value_parser!(u32).range(1..=19_000))]
        count: u32,
        /// How many events.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
        events: u32,
    },
    /// Many connections for a long time, some of which come and go.
    Churn {
        /// How many are there at once.
        #[arg(long, default_value_t = 8_000, value_parser = clap::value_parser!(u32).range(100..=19_000))]
        count: u32,
        /// For how long.
        #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=60))]
        minutes: u32,
        /// How many of a hundred come and go each minute.
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=50))]
        percent: u32,
    },
    /// Pairs of users, of whom one sends and both wait for it.
    Messages {
        /// How many pairs.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=5_000))]
        pairs: u32,
        /// Sends of one user that are under way at once.
        #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=64))]
        in_flight: u32,
        /// Messages each.
        #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        each: u32,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    if !cli.server.ip().is_loopback() {
        eprintln!(
            "loadgen: {} is not this machine; it loads nothing else.",
            cli.server
        );
        return ExitCode::FAILURE;
    }
    let target = client::Target {
        server: cli.server,
        path: cli.path,
        protocol: cli.protocol,
    };
    let result = match cli.work {
        Work::Idle { count, bare } => idle::run(&target, cli.pid, count, bare).await,
        Work::Storm {
            users,
            mode,
            settle_seconds,
        } => storm::run(&target, cli.pid, users, &mode, settle_seconds).await,
        Work::Relay {
            pairs,
            idle,
            in_flight,
            each,
        } => relay::run(&target, cli.pid, idle, pairs, in_flight, each).await,
        Work::Broadcast { count, events } => broadcast::run(&target, cli.pid, count, events).await,
        Work::Churn {
            count,
            minutes,
            percent,
        } => churn::run(&target, cli.pid, count, minutes, percent).await,
        Work::Messages {
            pairs,
            in_flight,
            each,
        } => messages::run(&target, cli.pid, pairs, in_flight, each).await,
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
