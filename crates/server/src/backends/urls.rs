//! Checks of the settings that only the adapters understand.

use lamplight_distributed::postgres::PostgresOptions;
use lamplight_distributed::redis::RedisOptions;

/// Whether this is a connection string of PostgreSQL; otherwise what is wrong, without its password.
pub(crate) fn check_postgres(url: &str) -> Result<(), String> {
    PostgresOptions::new(url)
        .check()
        .map_err(|error| error.to_string())
}

/// Whether this is an address of Redis; otherwise what is wrong, without its password.
pub(crate) fn check_redis(url: &str) -> Result<(), String> {
    RedisOptions::parse(url)
        .map(drop)
        .map_err(|error| error.to_string().replacen("REDIS_URL ", "it ", 1))
}
