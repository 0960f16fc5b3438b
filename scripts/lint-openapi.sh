#!/usr/bin/env bash
# Lints the OpenAPI document that the binary prints. Needs no network.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cargo run --locked --quiet -p lamplight -- openapi > "$work/openapi.json"
export REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true
npx --no-install redocly lint --config scripts/redocly.yaml --format stylish "$work/openapi.json" > "$work/said" 2>&1 || {
  cat "$work/said"
  exit 1
}
