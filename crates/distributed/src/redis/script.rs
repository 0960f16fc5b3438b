//! Lua scripts, which Redis runs as one step.

use redis::{Cmd, Script, ToRedisArgs};

/// A script. Redis keeps it under its hash, so that a call sends only the hash.
#[derive(Debug)]
pub struct RedisScript {
    source: &'static str,
    hash: String,
}

impl RedisScript {
    /// `source` takes its keys from `KEYS` and touches no others, all of one hash slot.
    #[must_use]
    pub fn new(source: &'static str) -> Self {
        Self {
            source,
            hash: Script::new(source).get_hash().to_owned(),
        }
    }

    pub(crate) fn source(&self) -> &'static str {
        self.source
    }

    pub(crate) fn hash(&self) -> &str {
        &self.hash
    }

    /// Begins a call.
    #[must_use]
    pub fn call(&self) -> ScriptCall<'_> {
        ScriptCall {
            script: self,
            keys: Vec::new(),
            arguments: Vec::new(),
        }
    }
}

/// A call of a script: see [`RedisClient::run`](super::RedisClient::run).
#[derive(Clone, Debug)]
pub struct ScriptCall<'a> {
    script: &'a RedisScript,
    keys: Vec<Vec<u8>>,
    arguments: Vec<Vec<u8>>,
}

impl ScriptCall<'_> {
    /// Adds keys.
    #[must_use]
    pub fn key(mut self, key: impl ToRedisArgs) -> Self {
        self.keys.extend(key.to_redis_args());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn arg(mut self, argument: impl ToRedisArgs) -> Self {
        self.arguments.extend(argument.to_redis_args());
        self
    }

    /// The call by the script's hash. Redis answers `NOSCRIPT` if it does not have it.
    #[must_use]
    pub fn by_hash(&self) -> Cmd {
        self.command("EVALSHA", &self.script.hash)
    }

    /// The call with the script itself, which Redis keeps from then on.
    #[must_use]
    pub fn with_source(&self) -> Cmd {
        self.command("EVAL", self.script.source)
    }

    fn command(&self, name: &str, script: &str) -> Cmd {
        let mut command = redis::cmd(name);
        command.arg(script).arg(self.keys.len());
        for argument in self.keys.iter().chain(&self.arguments) {
            command.arg(argument.as_slice());
        }
        command
    }
}
