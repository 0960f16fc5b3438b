//! The settings: read from flags, the environment, `.env` and `lamplight.toml`, validated once, and
//! typed from then on. A wrong value makes startup fail with an explanation, which never contains a
//! secret.

mod check;
mod settings;
mod sources;
#[cfg(test)]
mod tests;
mod types;
pub(crate) mod values;

pub use settings::Flags;
pub use types::{
    Config, ConfigError, Database, FileScanSettings, FilesPlace, JwkSource, JwtSettings, LogFormat,
    MIN_JWT_SECRET_BYTES, MIN_SERVER_KEY_BYTES, PushSettings, RedisSettings, Secret,
};

use sources::{Surroundings, gather};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

impl JwtSettings {
    /// Reads only the settings for tokens, from the sources of [`Config::load`].
    ///
    /// # Errors
    /// With an explanation of every problem.
    pub fn load(flags: &Flags) -> Result<Self, ConfigError> {
        check::jwt(gather(
            flags,
            &Surroundings {
                environment: &|name| std::env::var(name).ok(),
                directory: Some(Path::new(".")),
            },
        ))
    }
}

impl Config {
    /// Reads the settings from the flags, the process' environment, and `.env` and `lamplight.toml`
    /// of the working directory.
    ///
    /// # Errors
    /// With an explanation of every problem, not only the first.
    pub fn load(flags: &Flags) -> Result<Self, ConfigError> {
        Self::read(flags, &|name| std::env::var(name).ok(), Path::new("."))
    }

    /// Reads the settings from these flags, this environment and the files of this directory.
    ///
    /// # Errors
    /// With an explanation of every problem, not only the first.
    pub fn read(
        flags: &Flags,
        environment: &dyn Fn(&str) -> Option<String>,
        directory: &Path,
    ) -> Result<Self, ConfigError> {
        check::config(gather(
            flags,
            &Surroundings {
                environment,
                directory: Some(directory),
            },
        ))
    }

    /// The defaults with these settings, for tests: reads no file and no environment, and listens
    /// on a free port.
    ///
    /// # Panics
    /// When a setting is wrong.
    #[must_use]
    pub fn for_tests<V: Into<String>>(
        data_dir: &Path,
        settings: impl IntoIterator<Item = (&'static str, V)>,
    ) -> Self {
        let mut flags = Flags::of(settings);
        flags
            .values
            .entry("listen")
            .or_insert_with(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).to_string());
        flags
            .values
            .insert("data-dir", data_dir.display().to_string());
        match check::config(gather(
            &flags,
            &Surroundings {
                environment: &|_| None,
                directory: None,
            },
        )) {
            Ok(config) => config,
            Err(error) => panic!("{error}"),
        }
    }

    /// The name of this node, which listens on `port`.
    #[must_use]
    pub fn node_id(&self, port: u16) -> String {
        self.node_id.clone().unwrap_or_else(|| {
            let system = rustix::system::uname();
            let host = system.nodename().to_string_lossy();
            let plain: String = host
                .chars()
                .filter(|c| values::is_plain(*c))
                .take(58)
                .collect();
            format!("{plain}:{port}")
        })
    }

    /// Warnings for the start: settings without effect, and settings that invite misuse.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Whether an address is one of the trusted proxies.
    #[must_use]
    pub fn is_trusted_proxy(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.trusted_proxies
            .iter()
            .any(|network| network.contains(&address))
    }
}
