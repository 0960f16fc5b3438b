//! Checks the services that nodes share: PostgreSQL, Redis or Valkey, and S3.

use super::finding::{Finding, Report};
use crate::config::{Config, Database, FilesPlace, RedisSettings};
use crate::files::{CheckError, S3Settings, check_s3};
use crate::system::wall;
use lamplight_distributed::postgres::{DatabaseReport, OpenError, PostgresOptions};
use lamplight_distributed::redis::{RedisOptions, RedisReport};
use lamplight_distributed::{postgres, redis};
use lamplight_domain::time::Timestamp;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);
/// Message times come from the nodes' clocks.
const CLOCKS_APART_MS: u64 = 5_000;
/// Presence asks Redis twice for each step.
const SLOW_REDIS: Duration = Duration::from_millis(20);
/// A follower of the log waits for the oldest transaction.
const LONG_TRANSACTION_S: i64 = 60;

pub(super) async fn check(config: &Config, report: &mut Report) {
    let mut store_id = None;
    if let Database::Postgres(url) = &config.database {
        let options = PostgresOptions {
            start_deadline: Duration::ZERO,
            deadline: PATIENCE,
            ..PostgresOptions::new(url.expose())
        };
        match postgres::probe(&options).await {
            Ok(seen) => {
                judge_postgres(&seen, wall(), report);
                store_id = seen.schema.map(|(_, store)| store);
            }
            Err(error) => report.add(postgres_fails(&error)),
        }
    }
    if let Some(settings) = &config.redis {
        match ask_redis(settings).await {
            Ok(seen) => judge_redis(&seen, settings, store_id.as_deref(), wall(), report),
            Err(why) => report.add(redis_fails(&why)),
        }
    }
    if let FilesPlace::S3(settings) = &config.files {
        report.add(judge_s3(settings).await);
    }
}

/// The requirements of files in S3: see [`check_s3`].
async fn judge_s3(settings: &S3Settings) -> Finding {
    let name = format!("s3://{}/{}", settings.bucket, settings.prefix);
    match check_s3(settings).await {
        Ok(()) => Finding::good("files", &format!("{name} can be written, read and deleted")),
        Err(error) => Finding::fail(
            "files",
            "LL-131",
            &format!("{name}: {error}"),
            "a bucket that can be reached, with the rights to get, put, list and delete objects and to abort multipart uploads",
            s3_fix(&error),
        ),
    }
}

fn s3_fix(error: &CheckError) -> &'static str {
    let code = error.answer.code.as_deref().unwrap_or_default();
    let has = |codes: &[&str]| codes.contains(&code);
    if has(&["RequestTimeTooSkewed"]) {
        "Set the clock of this machine by NTP (`timedatectl set-ntp true`)."
    } else if has(&["ExpiredToken", "InvalidToken"]) {
        "Renew AWS_SESSION_TOKEN together with its keys, or give the machine a role."
    } else if has(&["NoSuchBucket", "InvalidBucketName"]) {
        "Make the bucket, or correct its name in FILES."
    } else if has(&["InvalidAccessKeyId", "SignatureDoesNotMatch"]) {
        "Correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
    } else if has(&["PermanentRedirect", "AuthorizationHeaderMalformed"]) {
        "Set AWS_REGION to the region of the bucket."
    } else if has(&["AccessDenied", "AllAccessDisabled"])
        || matches!(error.answer.status, Some(401 | 403))
    {
        "Give the key or the role these rights on the bucket: s3:GetObject, s3:PutObject, s3:DeleteObject, s3:ListBucket, s3:AbortMultipartUpload."
    } else {
        "Correct AWS_ENDPOINT_URL (for AWS itself leave it out and set AWS_REGION); a firewall may stand between."
    }
}

async fn ask_redis(settings: &RedisSettings) -> Result<RedisReport, String> {
    let options = RedisOptions::parse(settings.url.expose())
        .and_then(|options| options.with_prefix(&settings.prefix))
        .map_err(|error| error.to_string())?;
    redis::probe(options, &format!("{}:store", settings.prefix), PATIENCE)
        .await
        .map_err(|error| error.to_string())
}

fn postgres_fails(error: &OpenError) -> Finding {
    let fix = match error {
        OpenError::Url(_) | OpenError::TlsFile { .. } | OpenError::Tls(_) => {
            "Correct DATABASE_URL: postgres://user:password@host:5432/database?sslmode=verify-full."
        }
        OpenError::Unreachable { .. } => {
            "Start PostgreSQL, or correct host and port in DATABASE_URL; a firewall may stand between."
        }
        OpenError::Refused { .. } => {
            "Correct user, password and database in DATABASE_URL, and pg_hba.conf of the server."
        }
        _ => "Follow the error message; docs/operations.md has more.",
    };
    Finding::fail(
        "postgres",
        "LL-129",
        &error.to_string(),
        "a PostgreSQL 14 or newer that takes writes",
        fix,
    )
}

pub(super) fn judge_postgres(seen: &DatabaseReport, now: Timestamp, report: &mut Report) {
    let schema = match &seen.schema {
        Some((version, store)) => format!("schema {version}, store {store}"),
        None => "no schema yet; the first start makes it".to_owned(),
    };
    let encrypted = if seen.is_encrypted {
        ""
    } else {
        ", without TLS"
    };
    report.add(Finding::good(
        "postgres",
        &format!(
            "PostgreSQL {} at {}{encrypted}: {schema}",
            seen.version, seen.address
        ),
    ));
    if !seen.may_migrate {
        report.add(Finding::fail(
            "postgres",
            "LL-129",
            "the user may not create tables in its schema, so migrations fail",
            "CREATE on the schema",
            "GRANT CREATE ON SCHEMA public TO the user of DATABASE_URL.",
        ));
    }
    if !seen.is_durable {
        report.add(Finding::warn(
            "postgres",
            "",
            "fsync or synchronous_commit is off",
            "both on: an acknowledged message is on the disk",
            "Turn them on in postgresql.conf. (Lamplight sets synchronous_commit for its own connections.)",
        ));
    }
    let (most, open) = seen.connections;
    if open * 10 > most * 9 {
        report.add(Finding::warn(
            "postgres",
            "",
            &format!("{open} of {most} connections are open"),
            "room for the pool of each node (16)",
            "Raise max_connections, or add ?pool_size= to DATABASE_URL.",
        ));
    }
    if seen.oldest_transaction > LONG_TRANSACTION_S {
        report.add(Finding::warn(
            "postgres",
            "",
            &format!("a transaction is open for {} s", seen.oldest_transaction),
            "short transactions: followers of the log wait for the oldest one",
            "Find it in pg_stat_activity, and give that application a server of its own.",
        ));
    }
    compare(
        &format!("PostgreSQL at {}", seen.address),
        seen.clock,
        now,
        report,
    );
}

fn redis_fails(why: &str) -> Finding {
    Finding::fail(
        "redis",
        "LL-127",
        why,
        "a Redis 7.0 or newer, or a Valkey, that lets this user run scripts and publish",
        "Start it, or correct REDIS_URL: redis://user:password@host:6379/0, rediss:// for TLS. A user needs ~<prefix>:* ~{<prefix>:* &<prefix>:* +@all -@admin.",
    )
}

pub(super) fn judge_redis(
    seen: &RedisReport,
    settings: &RedisSettings,
    store_id: Option<&str>,
    now: Timestamp,
    report: &mut Report,
) {
    report.add(Finding::good(
        "redis",
        &format!(
            "Redis {} at {} answers in {:.1} ms; prefix {}",
            seen.version,
            seen.address,
            seen.round_trip.as_secs_f64() * 1e3,
            settings.prefix
        ),
    ));
    let owner = seen
        .bound_to
        .as_deref()
        .and_then(|bound| bound.split_whitespace().next());
    if let (Some(owner), Some(store)) = (owner, store_id)
        && owner != store
    {
        report.add(Finding::fail(
            "redis",
            "LL-123",
            &format!("the prefix {} belongs to another store, {owner}", settings.prefix),
            &format!("a prefix of this store, {store}, or a free one"),
            "Set REDIS_PREFIX to another value; if that store is not used any more, delete the key <prefix>:store.",
        ));
    }
    if seen.round_trip > SLOW_REDIS {
        report.add(Finding::warn(
            "redis",
            "",
            &format!("an answer takes {} ms", seen.round_trip.as_millis()),
            "a few milliseconds at most",
            "Put Redis near the nodes, and look for slow commands (SLOWLOG GET).",
        ));
    }
    let (used, limit) = seen.memory;
    if limit > 0 && used > limit / 10 * 8 {
        report.add(Finding::warn(
            "redis",
            "",
            &format!("{} of {} MiB are used", used >> 20, limit >> 20),
            "room: at its limit Redis refuses writes, and presence is degraded",
            "Raise maxmemory.",
        ));
    }
    if !seen.eviction.is_empty() && seen.eviction != "noeviction" && limit > 0 {
        report.add(Finding::warn(
            "redis",
            "",
            &format!("maxmemory-policy is {}", seen.eviction),
            "noeviction: presence that is evicted is a user who vanishes until a node notices",
            "CONFIG SET maxmemory-policy noeviction, and in redis.conf.",
        ));
    }
    compare(
        &format!("Redis at {}", seen.address),
        seen.clock,
        now,
        report,
    );
}

fn compare(whose: &str, clock: Timestamp, now: Timestamp, report: &mut Report) {
    let apart = now.0.abs_diff(clock.0);
    if apart > CLOCKS_APART_MS {
        report.add(Finding::warn(
            "clock",
            "LL-109",
            &format!(
                "this clock and that of {whose} are {}s apart",
                apart / 1_000
            ),
            "clocks that agree: messages carry the time of the node that took them",
            "Set both clocks by NTP (`timedatectl set-ntp true`).",
        ));
    }
}
