#!/usr/bin/env bash
# Measures Lamplight on this machine: the server on one core, the load on the other, three repetitions, medians.
# Loopback only; it stops by itself. Writes bench/results/lamplight.md.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --locked --quiet -p lamplight-loadgen

work=$(mktemp -d)
server=""
finish() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT

# One run: a fresh server with a fresh store, and what the load generator saw of it.
run() {
  rm -rf "$work/data" "$work/out"
  LISTEN=127.0.0.1:0 AUTH=open DATA_DIR="$work/data" LIMIT_SENDS=0 LOG=error \
    taskset -c 0 target/release/lamplight serve >"$work/out" &
  server=$!
  until grep -q ready "$work/out" 2>/dev/null; do sleep 0.02; done
  local address
  address=$(sed -n 's#.*http://\([^/]*\)/.*#\1#p' "$work/out")
  taskset -c 1 target/release/lamplight-loadgen --server "$address" --pid "$server" "$@" >>"$work/seen"
  kill "$server"
  wait "$server" || true
  server=""
}

for _ in 1 2 3; do
  run idle --count 5000
  run storm --users 500 --mode full
  run storm --users 500 --mode diff
  run messages --pairs 50 --in-flight 1 --each 100
  run messages --pairs 50 --in-flight 8 --each 200
done

mkdir -p bench/results
node bench/table.mjs "$work/seen" | tee bench/results/lamplight.md
