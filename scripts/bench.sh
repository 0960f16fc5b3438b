#!/usr/bin/env bash
# Measures Lamplight and its peers on this machine: the server on one core, the load on the other, interleaved repetitions,
# medians. Uses loopback only and ends by itself. Writes bench/results/table.md, chart.svg and runs.jsonl.
# Leaves out peers that cannot be built here, with a message (Centrifugo needs Go, the original system Redis and PostgreSQL).
#
#   REPEAT=3        repetitions of each kind of work
#   IDLE=10000      idle connections, at most 10000
#   SILENT=6000     idle connections while 400 others exchange messages that are not stored
#   LISTENERS=4000  receivers of a broadcast
#   JOINS=5000      new users who come online, 64 at a time
#   STORM=800       users who join at once
#   STORMS=REPEAT   repetitions of the storm, which takes long with the original system
#   PEERS=          the other transports to compare with, a part of "node bun socketioxide centrifugo"; all if empty
#   ORIGINAL=1      0 leaves out the original system, which needs Redis and PostgreSQL
#   ONLY=           a part of "idle relay broadcast messages joins storm cluster features"; everything if empty
#   BASE_BIN=       an earlier binary, with which "features" compares appends and joins; left out if empty
set -euo pipefail
cd "$(dirname "$0")/.."
REPEAT=${REPEAT:-3} IDLE=${IDLE:-10000} SILENT=${SILENT:-6000} LISTENERS=${LISTENERS:-4000} JOINS=${JOINS:-5000} STORM=${STORM:-800}
PEERS=${PEERS:-node bun socketioxide centrifugo}
STORMS=${STORMS:-$REPEAT} ORIGINAL=${ORIGINAL:-1} ONLY=${ONLY:-idle relay broadcast messages joins storm cluster features} ONLINE=${ONLINE:-3000}
[ "$IDLE" -le 10000 ] && [ "$SILENT" -le 10000 ] && [ "$LISTENERS" -le 10000 ] && [ "$JOINS" -le 10000 ] && [ "$STORM" -le 2000 ] || { echo "bench: too many connections" >&2; exit 1; }
# Node inherits this limit of open files.
ulimit -n 20000 2>/dev/null || true
[ "$(ulimit -n)" -gt $((IDLE + 200)) ] || { echo "bench: raise the limit of open files past $((IDLE + 200)) (ulimit -n)" >&2; exit 1; }

mkdir -p bench/results
seen=bench/results/runs.jsonl
: >"$seen"

target=${CARGO_TARGET_DIR:-target}
lamplight=${LAMPLIGHT:-$target/release/lamplight}
work=$(mktemp -d)
chmod 755 "$work"
servers=() redis="" postgres=""
postgres_as=()
# PostgreSQL does not run as root.
[ "$(id -u)" -ne 0 ] || postgres_as=(setpriv --reuid postgres --regid postgres --init-groups)

stop() {
  [ -n "$1" ] || return 0
  kill "$1" 2>/dev/null || return 0
  wait "$1" 2>/dev/null || true
}
finish() {
  for server in "${servers[@]}"; do stop "$server"; done
  stop "$redis"
  stop "$postgres"
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

# Builds.
[ -x "$lamplight" ] || cargo build --release --locked --quiet -p lamplight
cargo build --release --locked --quiet -p lamplight-loadgen --bins --examples
cargo build --release --locked --quiet --manifest-path bench/peers/socketioxide/Cargo.toml \
  --target-dir "${CARGO_TARGET_DIR:-bench/peers/socketioxide/target}"
for peer in node-socketio bun-socketio original; do
  [ bench/peers/$peer/node_modules/.package-lock.json -nt bench/peers/$peer/package-lock.json ] || npm ci --prefix bench/peers/$peer --ignore-scripts --no-fund --no-audit --silent
done
loadgen=$target/release/lamplight-loadgen
oxide=${CARGO_TARGET_DIR:-bench/peers/socketioxide/target}/release/peer-socketioxide

# Bun's package chooses its binary in an install script, which does not run here: it would choose the same one.
bun=$PWD/bench/peers/bun-socketio/node_modules/@oven/bun-linux-$(uname -m | sed 's/x86_64/x64/')/bin/bun
[ -x "$bun" ] || { bun="" && echo "bench: Bun has no binary for this machine, so that is left out" >&2; }

centrifugo=""
if [[ " $PEERS " == *" centrifugo "* ]] && command -v go >/dev/null; then
  version=$(cat bench/peers/centrifugo/VERSION) bin=$PWD/bench/peers/centrifugo/bin
  [ -x "$bin/centrifugo-$version" ] || {
    GOBIN=$bin go install "github.com/centrifugal/centrifugo/v6@$version" && mv "$bin/centrifugo" "$bin/centrifugo-$version"
  } || true
  [ ! -x "$bin/centrifugo-$version" ] || centrifugo=$bin/centrifugo-$version
fi
[ -n "$centrifugo" ] || [[ " $PEERS " != *" centrifugo "* ]] || echo "bench: no Go, or it could not build Centrifugo, so that is left out" >&2

free_port() { node -e 'const s=require("net").createServer().listen(0,"127.0.0.1",()=>{console.log(s.address().port);s.close()})'; }

# Starts Redis and PostgreSQL on the core of the load generator, in a temporary directory.
databases() {
  local missing=()
  command -v redis-server >/dev/null || missing+=(redis-server)
  ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing+=(postgresql)
  if [ ${#missing[@]} -gt 0 ]; then
    command -v apt-get >/dev/null || return 1
    local sudo=""
    [ "$(id -u)" -eq 0 ] || sudo="sudo -n"
    $sudo apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null || return 1
  fi
  pg_bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)
  redis_port=$(free_port) pg_port=$(free_port)
  taskset -c 1 redis-server --port "$redis_port" --bind 127.0.0.1 --save "" --appendonly no --dir "$work" >/dev/null &
  redis=$!
  mkdir -p "$work/postgres"
  [ ${#postgres_as[@]} -eq 0 ] || chown postgres "$work/postgres"
  "${postgres_as[@]}" "$pg_bin/initdb" -D "$work/postgres/data" -U bench -A trust --locale=C -E UTF8 >/dev/null
  "${postgres_as[@]}" taskset -c 1 "$pg_bin/postgres" -D "$work/postgres/data" -p "$pg_port" -k "$work/postgres" \
    -c listen_addresses=127.0.0.1 >/dev/null 2>"$work/postgres.log" &
  postgres=$!
  redis_url="redis://127.0.0.1:$redis_port" pg_url="postgres://bench@127.0.0.1:$pg_port/postgres"
  for _ in $(seq 100); do
    "$pg_bin/pg_isready" -q -d "$pg_url" && redis-cli -p "$redis_port" ping >/dev/null 2>&1 && return
    sleep 0.1
  done
  return 1
}

# Empties both databases. The original system does not make its own tables.
emptied() {
  redis-cli -p "$redis_port" flushall >/dev/null
  "$pg_bin/psql" -q "$pg_url" -c 'DROP SCHEMA public CASCADE; CREATE SCHEMA public' 2>/dev/null
  [ "$1" != original ] || "$pg_bin/psql" -q "$pg_url" -v ON_ERROR_STOP=1 -f bench/peers/original/schema.sql >/dev/null
}

# Starts one server, or node $2 of a cluster. It prints its address into $work/out.$2.
start() {
  local name=$1 node=$2 out="$work/out.$2" err="$work/err.$2"
  local settings=(LISTEN=127.0.0.1:0 AUTH=open DATA_DIR="$work/data.$node" LIMIT_SENDS=0 LIMIT_READS=0 ROSTER_LIMIT=100000 LOG=error)
  : >"$out"
  case $name in
    lamplight) taskset -c 0 env -u REDIS_URL -u DATABASE_URL "${settings[@]}" "$lamplight" serve >"$out" 2>"$err" & ;;
    lamplight-postgres) taskset -c 0 env -u REDIS_URL DATABASE_URL="$pg_url" "${settings[@]}" "$lamplight" serve >"$out" 2>"$err" & ;;
    lamplight-cluster)
      taskset -c 0 env DATABASE_URL="$pg_url" REDIS_URL="$redis_url" NODE_ID="node$node" "${settings[@]}" "$lamplight" serve >"$out" 2>"$err" &
      ;;
    socketio) taskset -c 0 "$target/release/examples/bare" >"$out" 2>"$err" & ;;
    node) NODE_ENV=production taskset -c 0 node bench/peers/node-socketio/server.js >"$out" 2>"$err" & ;;
    bun) NODE_ENV=production taskset -c 0 "$bun" bench/peers/bun-socketio/server.js >"$out" 2>"$err" & ;;
    socketioxide) taskset -c 0 "$oxide" >"$out" 2>"$err" & ;;
    centrifugo) taskset -c 0 "$centrifugo" --config bench/peers/centrifugo/config.json --http_server.port "$port" >"$err" 2>&1 & ;;
    original)
      NODES=$nodes REDIS_URL=$redis_url DATABASE_URL=$pg_url NODE_ENV=production \
        taskset -c 0 node bench/peers/original/server.js >"$out" 2>"$err" &
      ;;
  esac
  servers+=($!)
}

# One run: fresh servers, and the figures of the load generator. $nodes is how many there are (1), and $loaded how many
# of them get connections and are measured (all).
nodes=1 loaded=0
run() {
  local name=$1 path=/socket.io/ protocol=socketio port="" addresses=() pids address node
  shift
  rm -rf "$work"/data.*
  case $name in
    lamplight*) path=/api/socketio/ ;;
    original) path=/api/socketio/ ;;
    centrifugo) path=/connection/websocket protocol=centrifugo port=$(free_port) ;;
  esac
  case $name in lamplight-* | original) emptied "$name" ;; esac
  for node in $(seq 0 $((nodes - 1))); do
    start "$name" "$node"
    address=""
    for _ in $(seq 500); do
      # Centrifugo does not print that it listens.
      if [ -n "$port" ] && (: </dev/tcp/127.0.0.1/"$port") 2>/dev/null; then echo "127.0.0.1:$port" >"$work/out.$node"; fi
      address=$(grep -o '127\.0\.0\.1:[0-9]*' "$work/out.$node" | head -1 || true)
      [ -z "$address" ] && kill -0 "${servers[$node]}" 2>/dev/null || break
      sleep 0.02
    done
    addresses+=("${address:-127.0.0.1:9}")
  done
  pids=("${servers[@]}")
  if [ "$loaded" -gt 0 ]; then addresses=("${addresses[@]:0:$loaded}") pids=("${pids[@]:0:$loaded}"); fi
  local label=$name
  [ "$nodes" = 1 ] || label=$name-$nodes
  if ! timeout 240 taskset -c 1 "$loadgen" --protocol "$protocol" --server "$(join "${addresses[@]}")" --pid "$(join "${pids[@]}")" \
    --path "$path" --name "$label" "$@" >>"$seen" 2>"$work/why"; then
    echo "bench: $label $*: $(cat "$work/why") $(tail -q -n 3 "$work"/err.*)" >&2
  fi
  for node in "${servers[@]}"; do stop "$node"; done
  servers=()
}

join() { (IFS=, && echo "$*"); }

does() { [[ " $ONLY " == *" $1 "* ]]; }
if ! does messages && ! does storm && ! does cluster; then ORIGINAL=0; fi
if { [ "$ORIGINAL" != 0 ] || does cluster; } && ! databases; then
  echo "bench: no Redis or no PostgreSQL, so the original system and the cluster are left out" >&2
  ORIGINAL=0 ONLY=${ONLY//cluster/}
fi

bare=(socketio)
for peer in $PEERS; do
  case $peer in
    node | socketioxide) bare+=("$peer") ;;
    bun) [ -z "$bun" ] || bare+=(bun) ;;
    centrifugo) [ -z "$centrifugo" ] || bare+=(centrifugo) ;;
    *) echo "bench: PEERS names $peer, which is none of node, bun, socketioxide, centrifugo" >&2 && exit 1 ;;
  esac
done
for round in $(seq "$REPEAT"); do
  echo "round $round of $REPEAT, load $(cut -d' ' -f1 /proc/loadavg)" >&2
  if does idle; then
    run lamplight idle --count "$IDLE"
    for name in "${bare[@]}"; do run "$name" idle --bare --count "$IDLE"; done
  fi
  if does relay; then
    for flight in 1 8; do
      for name in "${bare[@]}"; do run "$name" relay --idle "$SILENT" --pairs 200 --in-flight $flight --each 250; done
    done
  fi
  if does broadcast; then
    for name in "${bare[@]}"; do run "$name" broadcast --count "$LISTENERS" --events 100; done
  fi
  if does messages; then
    for flight in 1 8; do
      run lamplight messages --pairs 50 --in-flight $flight --each 200
      [ "$ORIGINAL" = 0 ] || run original messages --pairs 50 --in-flight $flight --each 200
    done
  fi
  if does cluster; then
    for flight in 1 8; do
      work_of=(messages --pairs 50 --in-flight $flight --each 200)
      run lamplight-postgres "${work_of[@]}"
      run lamplight-cluster "${work_of[@]}"
      nodes=2 run lamplight-cluster "${work_of[@]}"
      # One node of three, which holds all connections.
      nodes=3 loaded=1 run lamplight-cluster "${work_of[@]}"
      if [ "$ORIGINAL" != 0 ]; then
        does messages || run original "${work_of[@]}"
        nodes=2 run original "${work_of[@]}"
      fi
    done
    run lamplight-postgres idle --count 3000
    nodes=3 loaded=1 run lamplight-cluster idle --count 3000
    nodes=2 run lamplight-cluster seen --online "$ONLINE"
  fi
  if does joins; then run lamplight joins --users "$JOINS" --in-flight 64; fi
  if does storm && [ "$round" -le "$STORMS" ]; then
    run lamplight storm --users "$STORM" --mode full --settle-seconds 3
    run lamplight storm --users "$STORM" --mode diff --settle-seconds 3
    [ "$ORIGINAL" = 0 ] || run original storm --users "$STORM" --mode original --settle-seconds 3
  fi
done

# What groups, reactions and search cost, by bench/features/measure.mjs.
if does features; then
  LAMPLIGHT_BIN=$(realpath "$lamplight") LOADGEN=$loadgen node bench/features/measure.mjs | tee bench/results/features.md
fi
[ -s "$seen" ] || exit 0
node bench/table.mjs "$seen" bench/results/chart.svg | tee bench/results/table.md
