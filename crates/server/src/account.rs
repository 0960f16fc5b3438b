//! `lamplight account add`: creates an account on a running server with `REGISTRATION=closed`.
//!
//! It calls the server over HTTP with the server key, because only one process may open the
//! database.

use crate::config::{Config, Flags};
use crate::http_client::{self, Bounds};
use ::http::{StatusCode, Uri};
use clap::{Args, Subcommand};
use std::io::{BufRead, IsTerminal};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

const BOUNDS: Bounds = Bounds {
    time: Duration::from_secs(15),
    bytes: 64 << 10,
};

#[derive(Args, Clone)]
pub struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Clone)]
enum Action {
    /// Create an account on the running server. Reads the password, one line, from standard input.
    Add {
        /// The name to sign in with
        username: String,
        /// The display name [default: the user name]
        #[arg(long)]
        name: Option<String>,
        /// The server's URL [default: LISTEN]
        #[arg(long, value_name = "URL")]
        url: Option<String>,
        #[command(flatten)]
        settings: Box<Flags>,
    },
}

/// Runs the command. Prints the result to standard output and errors to standard error.
pub async fn run(options: Options) -> ExitCode {
    let Action::Add {
        username,
        name,
        url,
        settings,
    } = options.action;
    let added = async {
        let config = Config::load(&settings).map_err(|error| error.to_string())?;
        let password = read_password(std::io::stdin().lock())?;
        add(
            &config,
            url.as_deref(),
            &username,
            &password,
            name.as_deref(),
        )
        .await
    };
    match added.await {
        Ok(id) => {
            println!("Created the account {username} with the id {id}.");
            ExitCode::SUCCESS
        }
        Err(sentence) => {
            eprintln!("lamplight: {sentence}");
            ExitCode::FAILURE
        }
    }
}

fn read_password(mut input: impl BufRead) -> Result<String, String> {
    if std::io::stdin().is_terminal() {
        eprintln!("Type the password and press Enter. It is shown as you type.");
    }
    let mut line = String::new();
    input
        .read_line(&mut line)
        .map_err(|error| format!("The password could not be read from standard input: {error}."))?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(
            "There is no password on standard input. Pipe it in: printf '%s\\n' \"$PASSWORD\" | lamplight account add NAME".to_owned()
        );
    }
    Ok(password.to_owned())
}

async fn add(
    config: &Config,
    url: Option<&str>,
    username: &str,
    password: &str,
    name: Option<&str>,
) -> Result<String, String> {
    let Some(key) = &config.server_key else {
        return Err("SERVER_KEY is not set, and creating an account needs it. Start the server with one, and run this with the \
                    same. Generate one with `openssl rand -base64 48`."
            .to_owned());
    };
    let base = url.map_or_else(
        || format!("http://{}", reachable(config.listen)),
        |url| url.trim_end_matches('/').to_owned(),
    );
    let address: Uri = format!("{base}/api/auth/register").parse().map_err(|_| {
        format!("{base} is not an address; expected one such as http://127.0.0.1:3000.")
    })?;
    let body =
        serde_json::json!({ "username": username, "password": password, "name": name }).to_string();
    let authorization = format!("Bearer {}", key.expose());
    let headers = [
        ("authorization", authorization.as_str()),
        ("content-type", "application/json"),
    ];
    let answer = http_client::post(&address, &headers, body, BOUNDS)
        .await
        .map_err(|trouble| format!("{base} is unreachable: {trouble}. Start the server, or give its address with --url."))?;
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    match answer.status {
        // A token in the reply means that the server did not accept the key.
        StatusCode::CREATED if body.get("token").is_none() => {
            body["user"]["id"].as_str().map(str::to_owned).ok_or_else(|| format!("{base} did not answer like Lamplight."))
        }
        StatusCode::CREATED => {
            Err("The account was created, but the server did not accept SERVER_KEY, and treated the request as a \
                                    registration. Check that both have the same SERVER_KEY."
                .to_owned())
        }
        StatusCode::FORBIDDEN => {
            Err(format!("{base} refused SERVER_KEY. Run this with the key that the server was started with."))
        }
        StatusCode::NOT_FOUND => Err(format!("{base} has no accounts: it does not run with AUTH=local.")),
        status => {
            let reason = body["error"].as_str().map_or_else(|| status.to_string(), str::to_owned);
            Err(format!("The server refused it: {reason}"))
        }
    }
}

/// The address under which this machine reaches what listens there.
fn reachable(listen: SocketAddr) -> SocketAddr {
    match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => {
            SocketAddr::from((Ipv4Addr::LOCALHOST, listen.port()))
        }
        IpAddr::V6(ip) if ip.is_unspecified() => {
            SocketAddr::from((Ipv6Addr::LOCALHOST, listen.port()))
        }
        _ => listen,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_first_line_of_the_input() {
        for (input, password) in [
            ("secret one\n", "secret one"),
            (" spaces \r\nmore", " spaces "),
            ("no end", "no end"),
        ] {
            assert_eq!(read_password(input.as_bytes()).as_deref(), Ok(password));
        }
        for none in ["", "\n", "\r\n"] {
            assert!(
                read_password(none.as_bytes())
                    .unwrap_err()
                    .contains("no password")
            );
        }
    }

    #[test]
    fn a_server_that_listens_on_all_addresses_is_reached_by_loopback() {
        for (listen, address) in [
            ("0.0.0.0:3000", "127.0.0.1:3000"),
            ("[::]:1", "[::1]:1"),
            ("192.0.2.1:2", "192.0.2.1:2"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()).to_string(), address);
        }
    }

    #[tokio::test]
    async fn without_a_key_the_error_explains_how_to_get_one() {
        let directory = tempfile::tempdir().unwrap();
        let config = Config::for_tests(directory.path(), [("auth", "local")]);
        let sentence = add(&config, None, "ada", "lovelace1", None)
            .await
            .unwrap_err();
        assert!(
            sentence.contains("SERVER_KEY") && sentence.contains("openssl"),
            "{sentence}"
        );
    }
}
