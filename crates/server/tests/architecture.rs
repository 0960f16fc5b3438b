//! The dependencies between crates, packages and files point one way (ARCHITECTURE.md, Layout).

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot read the sources fails"
)]

#[path = "architecture/circles.rs"]
mod circles;

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// The dependencies of each crate within the workspace, without development dependencies.
fn dependencies_of_crates() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let names: BTreeSet<&str> = packages
        .iter()
        .map(|package| package["name"].as_str().unwrap())
        .collect();
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().unwrap().iter();
            let used = dependencies
                .filter(|dependency| dependency["kind"].is_null())
                .map(|dependency| dependency["name"].as_str().unwrap())
                .filter(|name| names.contains(name));
            (
                package["name"].as_str().unwrap().to_owned(),
                used.map(str::to_owned).collect(),
            )
        })
        .collect()
}

#[test]
fn crates_depend_only_on_lower_layers() {
    let allowed = BTreeMap::from([
        ("lamplight-domain", vec![]),
        ("lamplight-usecases", vec!["lamplight-domain"]),
        (
            "lamplight-wire",
            vec!["lamplight-domain", "lamplight-usecases"],
        ),
        (
            "lamplight-embedded",
            vec!["lamplight-domain", "lamplight-usecases"],
        ),
        (
            "lamplight-distributed",
            vec!["lamplight-domain", "lamplight-usecases"],
        ),
        ("lamplight-simulation", vec!["lamplight-domain"]),
        (
            "lamplight-conformance",
            vec!["lamplight-domain", "lamplight-usecases"],
        ),
        ("socketio", vec![]),
        ("lamplight-loadgen", vec![]),
        (
            "lamplight",
            vec![
                "lamplight-domain",
                "lamplight-usecases",
                "lamplight-wire",
                "lamplight-distributed",
                "lamplight-embedded",
                "socketio",
            ],
        ),
    ]);
    for (package, used) in dependencies_of_crates() {
        let allowed = allowed
            .get(package.as_str())
            .unwrap_or_else(|| panic!("{package} has no layer yet: add it to this table"));
        for dependency in used {
            assert!(
                allowed.contains(&dependency.as_str()),
                "{package} must not depend on {dependency}"
            );
        }
    }
}

#[test]
fn the_domain_is_pure() {
    let manifest = std::fs::read_to_string(root().join("crates/domain/Cargo.toml")).unwrap();
    let dependencies = manifest
        .split("[dependencies]")
        .nth(1)
        .unwrap()
        .split("\n[")
        .next()
        .unwrap();
    let names: Vec<_> = dependencies
        .trim()
        .lines()
        .filter_map(|line| line.split('.').next())
        .collect();
    // Tables of Unicode, and pure functions.
    let allowed = [
        "base64",
        "hmac",
        "icu_casemap",
        "icu_normalizer",
        "icu_properties",
        "sha2",
        "unicode-security",
        "unicode-segmentation",
    ];
    assert_eq!(
        names, allowed,
        "the domain uses no async, no clock, no serde, no I/O"
    );
}

/// Files of the server that may name the transport or the embedded adapters.
#[test]
fn only_listed_files_import_the_transport_and_the_adapters() {
    let source = root().join("crates/server/src");
    let mut with_transport = BTreeSet::new();
    let mut with_adapters = BTreeSet::new();
    let mut folders = vec![source.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let name = path
                .strip_prefix(&source)
                .unwrap()
                .to_string_lossy()
                .into_owned();
            let uses = |what: &str| {
                text.lines()
                    .any(|line| !line.trim_start().starts_with("//") && line.contains(what))
            };
            if uses("socketio::") {
                with_transport.insert(name.clone());
            }
            if uses("lamplight_embedded::") || uses("lamplight_distributed::") {
                with_adapters.insert(name);
            }
        }
    }
    let expected: BTreeSet<String> = [
        "connection.rs",
        "expiry.rs",
        "health.rs",
        "hub.rs",
        "nodes.rs",
        "roster_feed.rs",
        "roster_packets.rs",
        "serve.rs",
        "socket.rs",
        "transport.rs",
    ]
    .map(str::to_owned)
    .into();
    assert_eq!(
        with_transport, expected,
        "only these files import Socket.IO"
    );
    let unexpected: Vec<_> = with_adapters
        .iter()
        .filter(|name| {
            !["backends", "doctor", "copies.rs", "migrate.rs", "nodes.rs"]
                .iter()
                .any(|known| name.starts_with(known))
        })
        .collect();
    assert!(
        unexpected.is_empty(),
        "only the backends, the doctor, backups, migration and the registry import the adapters: {unexpected:?}"
    );
}

#[test]
fn packages_depend_only_on_lower_layers() {
    let used = |package: &str| -> BTreeSet<String> {
        let text = std::fs::read_to_string(root().join(package).join("package.json")).unwrap();
        let json: Value = serde_json::from_str(&text).unwrap();
        let names = ["dependencies", "peerDependencies"]
            .iter()
            .filter_map(|kind| json[kind].as_object())
            .flat_map(|all| all.keys());
        names
            .filter(|name| name.starts_with("@lamplight/"))
            .cloned()
            .collect()
    };
    assert_eq!(used("packages/client"), BTreeSet::new());
    assert_eq!(
        used("packages/react"),
        BTreeSet::from(["@lamplight/client".to_owned()])
    );
    assert!(used("apps/chat").is_subset(&BTreeSet::from([
        "@lamplight/client".to_owned(),
        "@lamplight/react".to_owned()
    ])));
}

/// The handlers of routes that run no command: static content, and routes for the operator.
const WITHOUT_A_COMMAND: [&str; 5] = ["healthz", "readyz", "metrics", "openapi", "nothing_here"];

/// A command has a budget and a bounded answer, which `usecases/tests/usecases/budget.rs` tests; a
/// route without a command would have neither.
#[test]
fn h2_every_route_runs_a_command() {
    let folder = root().join("crates/server/src/http");
    // The routes of files stream bytes: they have their own budgets (usecases/files).
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| std::fs::read_to_string(path).unwrap());
    let source: String = files.collect();
    let mut routes = 0;
    for route in source.split(".route(\"").skip(1) {
        let (path, rest) = route.split_once('"').unwrap();
        let line = rest.lines().next().unwrap();
        routes += 1;
        // Embedded files, and redirects to them.
        if line.contains("(async |") {
            assert!(
                ["Redirect::", "page(", "docs("]
                    .iter()
                    .any(|served| line.contains(served)),
                "{path}: {line}"
            );
            continue;
        }
        // Routes of accounts on a server without accounts: they only refuse.
        if line.starts_with(", refuse.clone())") || line.starts_with(", refuse)") {
            let refuses = "let refuse = any(move || async move { refused(&refusal) });";
            assert_eq!(source.matches("let refuse =").count(), 1, "{path}");
            assert!(source.contains(refuses), "{path}");
            continue;
        }
        // Each `method(handler)` of the line.
        let names = line
            .split('(')
            .skip(1)
            .filter_map(|part| part.split_once(')'))
            .map(|(name, _)| name.rsplit("::").next().unwrap());
        let mut handlers = names.filter(|name| !name.is_empty()).peekable();
        assert!(handlers.peek().is_some(), "{path}: {line}");
        for name in handlers.filter(|name| !WITHOUT_A_COMMAND.contains(name)) {
            let body = source
                .split_once(&format!("async fn {name}("))
                .unwrap_or_else(|| panic!("{path}: no {name}"))
                .1;
            let body = body.split("\n}").next().unwrap();
            let enters = [" execute(", "(execute(", " sign_in("]
                .iter()
                .any(|call| body.contains(call))
                || body.contains("\n        execute(");
            assert!(
                enters,
                "{path} is answered by {name}, which runs no command"
            );
        }
    }
    assert!(routes > 20, "{routes}: does this test still find them?");
}

/// The layers of `crates/socketio`, from the lowest to the highest: files, and folders with all their
/// files. Of two that match, the longer one counts.
const SOCKETIO_LAYERS: [(&str, &[&str]); 5] = [
    (
        "formats, limits and streams",
        &[
            "codec/",
            "config.rs",
            "error.rs",
            "handshake.rs",
            "http_deadline.rs",
            "http_stream.rs",
            "id.rs",
            "network.rs",
            "nodes/",
            "observer.rs",
            "packet.rs",
            "query.rs",
            "reason.rs",
            "received.rs",
            "request_body.rs",
            "session/item.rs",
            "stream.rs",
            "sync.rs",
            "write_timeout.rs",
        ],
    ),
    (
        "Engine.IO",
        &[
            "admission.rs",
            "body.rs",
            "driver.rs",
            "engine.rs",
            "incoming.rs",
            "link.rs",
            "opening.rs",
            "polling.rs",
            "protocol.rs",
            "registry.rs",
            "rejection.rs",
            "response.rs",
            "session/",
            "stopping.rs",
            "sweep.rs",
            "timers.rs",
            "upgrade.rs",
            "websocket.rs",
        ],
    ),
    ("Engine.IO without Socket.IO", &["bare.rs"]),
    (
        "Socket.IO",
        &[
            "broadcast.rs",
            "connect.rs",
            "dispatch/",
            "event.rs",
            "handler.rs",
            "hub.rs",
            "moving/",
            "namespace/",
            "recovery/",
            "rooms.rs",
            "socket/",
            "target.rs",
        ],
    ),
    (
        "the server and its HTTP",
        &[
            "fuzzing.rs",
            "fuzzing/",
            "lib.rs",
            "request.rs",
            "send_buffer.rs",
            "serve/",
            "server.rs",
            "stop.rs",
        ],
    ),
];

#[test]
fn files_of_socketio_name_only_their_own_and_lower_layers() {
    let layer = |file: &str| {
        let layers = SOCKETIO_LAYERS.iter().enumerate();
        let paths = layers.flat_map(|(at, (_, paths))| paths.iter().map(move |path| (path, at)));
        let matching = paths
            .filter(|(path, _)| file == **path || path.ends_with('/') && file.starts_with(**path));
        matching
            .max_by_key(|(path, _)| path.len())
            .unwrap_or_else(|| panic!("{file} has no layer yet: add it to SOCKETIO_LAYERS"))
            .1
    };
    let references = circles::references(&root().join("crates/socketio/src"));
    assert!(references.len() > 60, "does this test still find them?");
    let mut upward = Vec::new();
    for (file, targets) in &references {
        let own = layer(file);
        for target in targets.iter().filter(|target| layer(target) > own) {
            let (lower, upper) = (SOCKETIO_LAYERS[own].0, SOCKETIO_LAYERS[layer(target)].0);
            upward.push(format!("{file} ({lower}) -> {target} ({upper})"));
        }
    }
    assert!(upward.is_empty(), "{upward:#?}");
}

/// Circles that are still there: a crate, and files of which each may need the others. Add none.
const CIRCLES: &[(&str, &[&str])] = &[(
    // One state machine, the simulated world, whose steps are spread over these files.
    "simulation",
    &[
        "bug.rs",
        "check.rs",
        "client/mod.rs",
        "database.rs",
        "faults.rs",
        "groups.rs",
        "lib.rs",
        "messages.rs",
        "names.rs",
        "node/delivery.rs",
        "node/mod.rs",
        "node/presence.rs",
        "node/sending.rs",
        "redis.rs",
        "rng.rs",
        "truth.rs",
        "world.rs",
        "world/stores.rs",
        "world/wires.rs",
    ],
)];

#[test]
fn files_do_not_import_each_other_in_circles() {
    let mut found = Vec::new();
    let mut left: Vec<_> = CIRCLES.iter().collect();
    for entry in std::fs::read_dir(root().join("crates")).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        for (files, references) in circles::circles(&folder.join("src")) {
            let covers = |(known, circle): &(&str, &[&str])| {
                *known == name && files.iter().all(|file| circle.contains(&file.as_str()))
            };
            let is_known = CIRCLES.iter().any(covers);
            left.retain(|circle| !covers(circle));
            if !is_known {
                found.push((name.clone(), references));
            }
        }
    }
    assert!(
        found.is_empty(),
        "files import each other: move the shared items to a new file: {found:#?}"
    );
    assert!(
        left.is_empty(),
        "these circles no longer exist: remove them from CIRCLES: {left:#?}"
    );
}
