#!/bin/sh
# Builds the Rust client and runs it against the server, on each transport.
set -eu
cd "$(dirname "$0")"
target_dir=${CARGO_TARGET_DIR:-$PWD/target}/clients
CARGO_TARGET_DIR=$target_dir cargo build --locked --quiet
export SOCKETIO_RUST_CLIENT="$target_dir/debug/socketio-clients"
cargo test --locked --quiet --manifest-path ../Cargo.toml --test clients rust_socketio -- --ignored
