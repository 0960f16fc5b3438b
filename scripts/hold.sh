#!/usr/bin/env bash
# Holds connections, replaces some of them each minute, and reports whether the server's memory stays constant and whether the
# server releases everything afterwards. Uses loopback only and ends by itself. Writes bench/results/hold.json.
#
#   CONNECTIONS=8000  MINUTES=30  PERCENT=5   the share of connections that is replaced each minute
set -euo pipefail
cd "$(dirname "$0")/.."
CONNECTIONS=${CONNECTIONS:-8000} MINUTES=${MINUTES:-30} PERCENT=${PERCENT:-5}
ulimit -n 20000 2>/dev/null || true
[ "$(ulimit -n)" -gt $((CONNECTIONS + 200)) ] || { echo "hold: raise the limit of open files past $((CONNECTIONS + 200)) (ulimit -n)" >&2; exit 1; }

target=${CARGO_TARGET_DIR:-target}
lamplight=${LAMPLIGHT:-$target/release/lamplight}
cargo build --release --locked --quiet -p lamplight-loadgen --bins
work=$(mktemp -d)
server=""
finish() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

mkdir -p bench/results
LISTEN=127.0.0.1:0 AUTH=open DATA_DIR="$work/data" LIMIT_READS=0 LOG=error \
  taskset -c 0 env -u REDIS_URL -u DATABASE_URL "$lamplight" serve >"$work/out" &
server=$!
address=""
for _ in $(seq 500); do
  address=$(grep -o '127\.0\.0\.1:[0-9]*' "$work/out" | head -1 || true)
  [ -z "$address" ] && kill -0 "$server" 2>/dev/null || break
  sleep 0.02
done
timeout $(((MINUTES + 5) * 60)) taskset -c 1 "$target/release/lamplight-loadgen" --server "$address" --pid "$server" \
  churn --count "$CONNECTIONS" --minutes "$MINUTES" --percent "$PERCENT" >bench/results/hold.json
cat bench/results/hold.json
