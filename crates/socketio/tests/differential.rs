//! Compares this decoder with the reference: npm `socket.io-parser` decodes the same generated
//! packets and must agree. `SOCKETIO_DIFFERENTIAL=1000000 cargo test -p socketio --test
//! differential` sets their number.

#![allow(clippy::unwrap_used)]

use std::{
    fmt::Write as _,
    io::{BufWriter, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use bytes::Bytes;
use serde_json::{Value, json};
use socketio::{
    Packet, Placeholder,
    codec::{
        frame,
        packet::{Incoming, decode},
    },
};

/// A fixed seed, so that a finding can be reproduced.
struct Chance(u64);

impl Chance {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % below
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.next(from.len())]
    }
}

const NUMBERS: [&str; 12] = [
    "0",
    "-0",
    "1",
    "-17",
    "3.25",
    "1e3",
    "1E-7",
    "9007199254740993",
    "1e400",
    "0.1",
    "18446744073709551616",
    "-1.5e+2",
];
const STRINGS: [&str; 17] = [
    "",
    "a",
    "message",
    "connect",
    "disconnect",
    "newListener",
    "é",
    "\u{1F600}",
    "\\u00e9",
    "\\ud83d\\ude00",
    "\\ud83d",
    "\\\"",
    "\\\\",
    "\\n\\t\\/",
    "__proto__",
    "disc\\u006fnnect",
    "_placeholder",
];
const IDS: [&str; 8] = [
    "",
    "",
    "",
    "0",
    "7",
    "456",
    "9007199254740991",
    "99999999999999999999",
];
const NAMESPACES: [&str; 7] = ["", "", "", "/,", "/admin,", "/a/b?c=d,", "/é,"];

fn value(chance: &mut Chance, depth: usize, out: &mut String) {
    match chance.next(if depth == 0 { 5 } else { 8 }) {
        0 => out.push_str(chance.pick(&["null", "true", "false"])),
        1 | 2 => out.push_str(chance.pick(&NUMBERS)),
        3 | 4 => {
            let _ = write!(out, "\"{}\"", chance.pick(&STRINGS));
        }
        5 => list(chance, depth - 1, out),
        6 => {
            let _ = write!(
                out,
                "{{\"_placeholder\":true,\"num\":{}}}",
                chance.pick(&["0", "1", "2", "11", "-1", "0.5", "\"0\"", "null"])
            );
        }
        _ => {
            out.push('{');
            for at in 0..chance.next(4) {
                let _ = write!(
                    out,
                    "{}\"{}{at}\":{}",
                    if at > 0 { "," } else { "" },
                    chance.pick(&STRINGS),
                    chance.pick(&["", " "])
                );
                value(chance, depth - 1, out);
            }
            out.push('}');
        }
    }
}

fn list(chance: &mut Chance, depth: usize, out: &mut String) {
    out.push('[');
    for at in 0..chance.next(4) {
        out.push_str(if at > 0 {
            chance.pick(&[",", ", "])
        } else {
            ""
        });
        value(chance, depth, out);
    }
    out.push(']');
}

/// A packet, or a damaged one.
fn text(chance: &mut Chance) -> String {
    let kind = chance.pick(&["0", "1", "2", "2", "2", "3", "5", "5", "6", "4"]);
    let mut text = kind.to_owned();
    if matches!(kind, "5" | "6") {
        text.push_str(chance.pick(&["1-", "2-", "2-", "3-", "10-", "11-", "0-", "01-", "-", ""]));
    }
    text.push_str(chance.pick(&NAMESPACES));
    text.push_str(chance.pick(&IDS));
    match (kind, chance.next(6)) {
        ("0", 0..4) | (_, 0) => {
            text.push('{');
            let _ = write!(text, "\"{}\":", chance.pick(&STRINGS));
            value(chance, 2, &mut text);
            text.push('}');
        }
        (_, 1) => {}
        ("3" | "6", _) => list(chance, 3, &mut text),
        _ => {
            let _ = match chance.next(5) {
                0 => write!(text, "[{}", chance.pick(&NUMBERS)),
                _ => write!(text, "[\"{}\"", chance.pick(&STRINGS)),
            };
            for _ in 0..chance.next(4) {
                text.push(',');
                value(chance, 3, &mut text);
            }
            text.push(']');
        }
    }
    for _ in 0..chance.next(8).saturating_sub(5) {
        let at = text
            .char_indices()
            .nth(chance.next(text.chars().count().max(1)))
            .map_or(0, |(at, _)| at);
        match chance.next(3) {
            0 if !text.is_empty() => drop(text.remove(at)),
            1 => text.truncate(at),
            _ => text.insert(
                at,
                chance
                    .pick(&[
                        "[", "]", "{", "}", "\"", ",", ":", "0", "-", "/", "\\", "e", "5", "\u{e9}",
                    ])
                    .chars()
                    .next()
                    .unwrap(),
            ),
        }
    }
    text
}

fn taken(text: &str) -> Value {
    match decode(text, 10, 127) {
        Err(_) => Value::Null,
        Ok(Incoming::Connect { namespace, auth }) => {
            json!({ "kind": "connect", "nsp": namespace, "id": null, "attachments": 0, "data": auth })
        }
        Ok(Incoming::Disconnect { namespace }) => {
            json!({ "kind": "disconnect", "nsp": namespace, "id": null, "attachments": 0, "data": null })
        }
        Ok(Incoming::Event {
            namespace,
            ack,
            text,
            attachments,
            parts,
        }) => {
            let name = parts
                .escaped_name
                .as_deref()
                .unwrap_or(&text[parts.name.clone()]);
            let id = ack.map(|id| id.to_string());
            json!({ "kind": "event", "nsp": namespace, "id": id, "attachments": attachments, "data": text, "name": name })
        }
        Ok(Incoming::Ack {
            namespace,
            id,
            args,
            attachments,
        }) => {
            json!({ "kind": "ack", "nsp": namespace, "id": id.to_string(), "attachments": attachments, "data": format!("[{args}]") })
        }
    }
}

/// A packet as this server encodes it.
fn written(chance: &mut Chance) -> Value {
    let (namespace, name) = (
        chance.pick(&["/", "/admin"]),
        chance.pick(&["a", "é", "a\"b\\", "\u{1F600}\n"]),
    );
    let attachments: Vec<_> = (0..chance.next(3))
        .map(|at| Bytes::copy_from_slice(&[at as u8]))
        .collect();
    let mut args: Vec<_> = (0..attachments.len())
        .map(|at| serde_json::to_string(&Placeholder(at)).unwrap())
        .collect();
    args.push(chance.pick(&NUMBERS).to_owned());
    let args = args.join(",");
    let packet = Packet::binary_event(namespace, name, &args, &attachments).to_bytes();
    let (_, text) = frame::server_frames(&packet).next().unwrap();
    let text = std::str::from_utf8(&text[1..]).unwrap();
    json!({ "text": text, "written": { "nsp": namespace, "name": name, "args": args, "attachments": attachments.len() } })
}

#[test]
fn the_reference_agrees() {
    let count =
        std::env::var("SOCKETIO_DIFFERENTIAL").map_or(20_000, |count| count.parse().unwrap());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/socketio-clients");
    let mut node = Command::new("node")
        .arg("differential.mjs")
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("node can be started");
    let mut chance = Chance(count);
    let mut lines = BufWriter::new(node.stdin.take().unwrap());
    for number in 0..count {
        let line = if number % 10 == 0 {
            written(&mut chance)
        } else {
            let text = text(&mut chance);
            let got = taken(&text);
            json!({ "text": text, "got": got })
        };
        writeln!(lines, "{line}").unwrap();
    }
    drop(lines);
    let output = node.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.starts_with("ok"),
        "they do not agree"
    );
    println!("{said}");
}
