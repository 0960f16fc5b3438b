#!/bin/sh
# Fuzzes every target, or the given ones, for this many seconds each: fuzz/run.sh [seconds [target...]]
# Needs stable Rust and a C++ compiler. `fuzz/run.sh 0` adds the inputs of fuzz/new that increase the coverage to
# fuzz/corpus. A failing input is left in fuzz/artifacts; add it to the corpus once the bug is fixed.
set -eu
cd "$(dirname "$0")"
seconds=${1:-60}
[ $# -gt 0 ] && shift
targets=${*:-payload packet frames query recovery deflate msgpack}
host=$(rustc -vV | sed -n 's/^host: //p')
# The flags of `cargo fuzz`, without the sanitizer, because there is no unsafe code.
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares"
target_dir=${CARGO_TARGET_DIR:-$PWD/target}/fuzz
CARGO_TARGET_DIR=$target_dir cargo build --quiet --release --target "$host"
mkdir -p artifacts
for target in $targets; do
  run=$target_dir/$host/release/$target
  mkdir -p "new/$target"
  if [ "$seconds" = 0 ]; then
    "$run" -set_cover_merge=1 "corpus/$target" "new/$target" 2>&1 | tail -1
  else
    echo "== $target, $seconds s"
    "$run" -max_total_time="$seconds" -timeout=5 -rss_limit_mb=1024 -max_len=4096 -print_final_stats=1 \
      -artifact_prefix="artifacts/$target-" "new/$target" "corpus/$target" >"new/$target.log" 2>&1 || { tail -40 "new/$target.log"; exit 1; }
    grep -E "number_of_executed_units|new_units_added|peak_rss_mb" "new/$target.log"
  fi
done
