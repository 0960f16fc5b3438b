//! `lamplight doctor`: checks a set-up, and reports for each problem the observed state, the
//! expected state and a fix. It works with and without a running server.

mod finding;
mod line;
mod machine;
mod scanner;
mod server;
mod shared;
mod store;
mod target;
#[cfg(test)]
mod tests;

pub use finding::{Finding, Level};

use crate::config::{Config, ConfigError, Flags};
use clap::Args;
use finding::Report;
use lamplight_domain::time::Timestamp;
use lamplight_usecases::Identity;
use machine::Port;
use target::{BOUNDS, Target, reachable};

use std::io::Write;
use std::process::ExitCode;

/// The socket path to check if the settings cannot be read.
const USUAL_SOCKET_PATH: &str = "/api/socketio";

/// The checks to run.
#[derive(Args, Clone)]
pub struct Options {
    /// The address under which browsers reach the server, proxies and all [default: LISTEN]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// An origin whose pages are to use the server, such as https://app.example; may be repeated
    #[arg(long, value_name = "ORIGIN")]
    origin: Vec<String>,
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: Flags,
}

/// Prints the findings; success only if nothing failed.
pub async fn run(options: Options) -> ExitCode {
    let config = Config::load(&options.settings);
    let report = examine(&options, &config, crate::system::wall()).await;
    let text = if options.json {
        report.json()
    } else {
        report.text()
    };
    // A reader that wants only the first lines closes the pipe. That is no failure.
    let _ = writeln!(std::io::stdout(), "{text}");
    if report.is_healthy() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

async fn examine(
    options: &Options,
    config: &Result<Config, ConfigError>,
    now: Timestamp,
) -> Report {
    let mut report = Report::default();
    let mut port = Port::Open;
    match config {
        Ok(config) => {
            settings(config, &mut report);
            machine::files(config, &mut report);
            let can_write = machine::data_dir(config, now, &mut report);
            if let Some(file) = config
                .database
                .file()
                .filter(|file| can_write || !file.starts_with(&config.data_dir))
            {
                store::check(file, &mut report).await;
            } else if config.database.file().is_some() {
                report.add(Finding::note(
                    "database",
                    "not looked at, since nothing can be written where it is",
                ));
            }
            shared::check(config, &mut report).await;
            port = machine::port(config, &mut report).await;
            scanner::check(config, &mut report).await;
            if config.identity == Identity::Jwt {
                keys(config, now, &mut report).await;
            }
        }
        Err(error) => {
            for sentence in &error.sentences {
                report.add(wrong_setting(sentence));
            }
        }
    }
    machine::clock(now, &mut report);
    let answers = ask_server(options, config, port, now, &mut report).await;
    if let Ok(config) = config
        && let Some(file) = config.database.file()
        && store::is_held(file)
    {
        let listen = (port == Port::Ours).then(|| format!("http://{}", reachable(config.listen)));
        report.add(store::held(file, listen.or(answers).as_deref()));
    }
    report
}

/// Asks the server, where there may be one; the address at which Lamplight answers.
async fn ask_server(
    options: &Options,
    config: &Result<Config, ConfigError>,
    port: Port,
    now: Timestamp,
    report: &mut Report,
) -> Option<String> {
    let target = match (&options.url, config) {
        (Some(url), _) => Target::parse(url, true),
        (None, Ok(config)) if config.listen.port() == 0 => {
            report.add(Finding::note(
                "server",
                "LISTEN leaves the port to the system, so where a server runs is not known; name it with --url",
            ));
            return None;
        }
        // Another program uses the port, which was reported.
        (None, Ok(_)) if port == Port::Lost => return None,
        (None, Ok(config)) => Target::parse(&format!("http://{}", reachable(config.listen)), false),
        // Where the server would be is not known.
        (None, Err(_)) => return None,
    };
    let socket_path = config
        .as_ref()
        .map_or(USUAL_SOCKET_PATH, |config| &config.socket_path);
    let allowed = config
        .as_ref()
        .map_or(&[][..], |config| &config.allowed_origins);
    match target {
        Ok(target) => {
            let answers =
                server::check(&target, socket_path, allowed, &options.origin, now, report).await;
            answers.then_some(target.origin)
        }
        Err(why) => {
            let fix = "Give --url the address that browsers use.";
            report.add(Finding::fail(
                "server",
                "",
                &why,
                "an address such as https://chat.example",
                fix,
            ));
            None
        }
    }
}

/// A sentence about a setting, taken apart where it has parts.
fn wrong_setting(sentence: &str) -> Finding {
    let code = if sentence.contains("LL-114") {
        "LL-114"
    } else {
        ""
    };
    let change = "Change it where it comes from; `lamplight serve --help` lists the settings.";
    let sentence = sentence.trim_end_matches('.');
    if let Some((seen, expected)) = sentence.split_once("; expected ") {
        return Finding::fail("settings", code, seen, expected, change);
    }
    let (seen, fix) = sentence.split_once(". ").unwrap_or((sentence, change));
    Finding::fail(
        "settings",
        code,
        seen,
        "settings that the server can start with",
        fix,
    )
}

fn settings(config: &Config, report: &mut Report) {
    let identity = match config.identity {
        Identity::Local => "local",
        Identity::Jwt => "jwt",
        Identity::Open => "open",
    };
    report.add(Finding::good(
        "settings",
        &format!(
            "valid: AUTH={identity}, LISTEN={}, data in {}",
            config.listen,
            config.data_dir.display()
        ),
    ));
    if config.push.subject.is_none() {
        report.add(Finding::note(
            "push",
            "VAPID_SUBJECT is not set, so Apple's push service (Safari, iOS) takes no notices",
        ));
    }
    for warning in config.warnings() {
        report.add(Finding::warn(
            "settings",
            "",
            warning,
            "settings that are safe and have an effect",
            "Change or remove the setting, unless this is meant.",
        ));
    }
}

async fn keys(config: &Config, now: Timestamp, report: &mut Report) {
    let Some(source) = &config.jwt.jwks else {
        report.add(Finding::good(
            "keys",
            "tokens are checked with JWT_SECRET (HS256)",
        ));
        return;
    };
    match crate::jwt::look_at_keys(source, BOUNDS).await {
        Ok(seen) => {
            report.add(Finding::good("keys", &format!("{} usable at {source}", seen.usable)));
            for why in &seen.left_out {
                report.add(Finding::note("keys", &format!("one is ignored, {why}")));
            }
            if let Some(date) = &seen.date {
                machine::compare_clocks(date, &source.to_string(), now, report);
            }
        }
        Err(why) => report.add(Finding::fail(
            "keys",
            "LL-113",
            &format!("{source}: {why}"),
            "a JWK set with a key for RS256, ES256 or EdDSA",
            if why.starts_with("TLS") {
                "Give that host a certificate that this machine trusts; SSL_CERT_FILE names a company's own authority."
            } else {
                "Set JWT_JWKS to the address (or file) that your identity provider names as jwks_uri, and let this machine reach it."
            },
        )),
    }
}
