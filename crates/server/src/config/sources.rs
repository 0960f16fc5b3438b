//! The sources of settings, merged into one value for each with its source.

use super::settings::{Flags, SETTINGS, Setting};
use crate::files::AWS_VARIABLES;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// The source of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Flag(&'static str),
    Environment(&'static str),
    DotEnv(&'static str, PathBuf),
    File(&'static str, PathBuf),
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(key) => write!(f, "the flag --{key}"),
            Self::Environment(env) => write!(f, "the environment variable {env}"),
            Self::DotEnv(env, path) => write!(f, "{env} in {}", path.display()),
            Self::File(key, path) => write!(f, "the key {key} in {}", path.display()),
            Self::Default => f.write_str("its default"),
        }
    }
}

/// The value of one setting.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) text: String,
    pub(super) source: Source,
}

/// All values, and the problems of their sources.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) found: BTreeMap<&'static str, Found>,
    /// Variables of AWS's tools.
    pub(super) aws: BTreeMap<&'static str, String>,
    pub(super) problems: Vec<String>,
}

impl Gathered {
    /// Only the first value of a setting counts, so callers add sources in the order of precedence.
    fn add(&mut self, setting: &Setting, text: &str, source: Source) {
        // Compose files and CI pass `REDIS_URL=` for a variable that is not set.
        if !text.trim().is_empty() {
            self.found.entry(setting.key).or_insert_with(|| Found {
                text: text.trim().to_owned(),
                source,
            });
        }
    }
}

/// The environment and directory of a start, injected for tests.
pub(super) struct Surroundings<'a> {
    pub(super) environment: &'a dyn Fn(&str) -> Option<String>,
    /// The directory of `.env` and `lamplight.toml`.
    pub(super) directory: Option<&'a Path>,
}

/// Gathers flags, environment, `.env` and `lamplight.toml`.
pub(super) fn gather(flags: &Flags, around: &Surroundings<'_>) -> Gathered {
    let mut gathered = Gathered::default();
    for setting in SETTINGS {
        if let Some(text) = flags.values.get(setting.key) {
            gathered.add(setting, text, Source::Flag(setting.key));
        }
    }
    for setting in SETTINGS {
        if let Some(text) = (around.environment)(setting.env) {
            gathered.add(setting, &text, Source::Environment(setting.env));
        }
    }
    for name in AWS_VARIABLES {
        if let Some(text) = (around.environment)(name) {
            gathered.aws.insert(name, text);
        }
    }
    if let Some(directory) = around.directory {
        read_dot_env(&directory.join(".env"), &mut gathered);
        match &flags.file {
            Some(path) => read_file(&directory.join(path), true, &mut gathered),
            None => read_file(&directory.join("lamplight.toml"), false, &mut gathered),
        }
    }
    gathered
}

fn read(path: &Path, must_exist: bool, gathered: &mut Gathered) -> Option<String> {
    match std::fs::read_to_string(path) {
        Ok(text) => Some(
            text.strip_prefix('\u{feff}')
                .map(str::to_owned)
                .unwrap_or(text),
        ),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !must_exist => None,
        Err(error) => {
            gathered
                .problems
                .push(format!("{} cannot be read: {error}.", path.display()));
            None
        }
    }
}

fn read_dot_env(path: &Path, gathered: &mut Gathered) {
    let Some(text) = read(path, false, gathered) else {
        return;
    };
    let mut names = Vec::new();
    for entry in dotenvy::from_read_iter(text.as_bytes()) {
        match entry {
            Ok((name, value)) => {
                if let Some(setting) = SETTINGS.iter().find(|setting| setting.env == name) {
                    let is_set = |name: &str| {
                        names.iter().any(|known| known == name) || std::env::var_os(name).is_some()
                    };
                    if setting.is_secret && expands_to_nothing(&text, &name, is_set) {
                        gathered.problems.push(format!(
                            "{name} in {} has a $ that begins the name of a variable, and there is no such variable: that part of the \
                             value would be lost. Put the value between single quotes: {name}='...'. A variable is written ${{NAME}}.",
                            path.display()
                        ));
                    }
                    gathered.add(
                        setting,
                        &value,
                        Source::DotEnv(setting.env, path.to_owned()),
                    );
                } else if let Some(known) = AWS_VARIABLES.iter().find(|known| **known == name) {
                    gathered.aws.entry(known).or_insert(value);
                }
                names.push(name);
            }
            Err(dotenvy::Error::LineParse(part, _)) => {
                gathered.problems.push(format!(
                    "{} has a line that cannot be read: {:?}. Expected NAME=value, with single quotes around a value that has \
                     spaces, # or $ in it.",
                    path.display(),
                    name_of_line(&text, &part)
                ));
            }
            Err(error) => gathered
                .problems
                .push(format!("{} cannot be read: {error}.", path.display())),
        }
    }
}

/// What may be shown of a line that dotenvy could not read: the name before its `=`, since the rest may be a secret.
/// dotenvy gives the whole line or only its value.
fn name_of_line<'a>(text: &'a str, part: &str) -> &'a str {
    let start = text
        .find(part)
        .map_or(0, |at| text[..at].rfind('\n').map_or(0, |end| end + 1));
    let line = text[start..].lines().next().unwrap_or_default();
    match line.split_once('=') {
        Some((name, _)) => name.trim(),
        None => "a line without =",
    }
}

/// Whether the line of `.env` that sets `name` has a `$` for a variable that is not set. dotenvy leaves such a part out
/// of the value without an error: a secret with a `$` in it becomes a shorter one, which still works here but not elsewhere.
fn expands_to_nothing(text: &str, name: &str, is_set: impl Fn(&str) -> bool) -> bool {
    let value = text.lines().find_map(|line| {
        let line = line.trim_start();
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        line.strip_prefix(name)?.trim_start().strip_prefix('=')
    });
    let mut rest = value.unwrap_or_default().trim();
    // The quote that is open.
    let mut quote = None;
    while let Some(at) = rest.find(['\'', '"', '\\', '$', ' ', '\t']) {
        let found = rest.as_bytes()[at];
        rest = &rest[at + 1..];
        match (found, quote) {
            (b'\'' | b'"', Some(open)) if open == found => quote = None,
            (b'\'' | b'"', None) => quote = Some(found),
            (_, Some(b'\'')) => {}
            (b'\\', _) => rest = rest.get(1..).unwrap_or_default(),
            // The value ends, and a comment may follow.
            (b' ' | b'\t', None) => break,
            (b'$', _) => {
                // As dotenvy reads it: without braces a name ends before `_`.
                let variable = match rest.strip_prefix('{') {
                    Some(braced) => braced.split('}').next(),
                    None => rest.split(|c: char| !c.is_alphanumeric()).next(),
                };
                if !variable.is_some_and(&is_set) {
                    return true;
                }
            }
            _ => {}
        }
    }
    false
}

fn read_file(path: &Path, must_exist: bool, gathered: &mut Gathered) {
    let Some(text) = read(path, must_exist, gathered) else {
        return;
    };
    let table = match text.parse::<toml::Table>() {
        Ok(table) => table,
        Err(error) => {
            // The error's `Display` quotes the line, which may contain a secret.
            let line = error.span().map_or(1, |span| {
                text[..span.start.min(text.len())].matches('\n').count() + 1
            });
            gathered.problems.push(format!(
                "{} is not TOML: line {line}: {}.",
                path.display(),
                error.message()
            ));
            return;
        }
    };
    for (key, value) in &table {
        let wanted = key.replace('_', "-");
        let Some(setting) = SETTINGS.iter().find(|setting| setting.key == wanted) else {
            gathered.problems.push(unknown_key(key, path));
            continue;
        };
        if *key != wanted && table.contains_key(&wanted) {
            gathered.problems.push(format!(
                "{wanted} and {key} in {} are the same setting. Keep one of them.",
                path.display()
            ));
            continue;
        }
        match as_text(value) {
            Some(text) => gathered.add(setting, &text, Source::File(setting.key, path.to_owned())),
            None => gathered.problems.push(format!(
                "{key} in {} is a {}; expected a text, a number, true or false, or a list of texts.",
                path.display(),
                value.type_str()
            )),
        }
    }
}

fn as_text(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(yes) => Some(yes.to_string()),
        toml::Value::Array(items) => {
            let texts: Option<Vec<&str>> = items.iter().map(toml::Value::as_str).collect();
            Some(texts?.join(","))
        }
        _ => None,
    }
}

fn unknown_key(key: &str, path: &Path) -> String {
    let wanted = key.replace('_', "-").to_lowercase();
    let near = SETTINGS
        .iter()
        .map(|setting| (distance(&wanted, setting.key), setting.key))
        .min()
        .filter(|(distance, _)| *distance <= 3);
    let hint = near.map_or_else(
        || "`lamplight serve --help` lists the settings.".to_owned(),
        |(_, near)| format!("Was {near} meant?"),
    );
    format!(
        "{key:?} in {} is no setting of Lamplight. {hint}",
        path.display()
    )
}

/// Levenshtein distance, to suggest the setting that a typo meant.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
