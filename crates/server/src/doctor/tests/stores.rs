//! The database and the disk.

use super::*;

#[tokio::test]
async fn a_database_in_use_is_a_failure_unless_its_server_answers() {
    let world = World::new();
    let data = world.directory.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let lock = std::fs::File::create(data.join("lamplight.db.lock")).unwrap();
    assert!(
        !world.examine(None).await.text().contains("in use"),
        "an unheld lock is left from an earlier run"
    );
    lock.try_lock().unwrap();
    let report = world.examine(None).await;
    assert!(
        failures(&report)[0]
            .1
            .contains("lamplight.db is in use by a Lamplight"),
        "{}",
        report.text()
    );
    assert_eq!(failures(&report).len(), 1);
    let server = MockServer::start(lamplight).await;
    let report = world.against(&server).await;
    assert!(
        report.is_healthy() && report.text().contains(&server.url("")),
        "{}",
        report.text()
    );
    let world = world.set("listen", format!("127.0.0.1:{}", server.port));
    let report = world.examine(None).await;
    assert!(
        report.is_healthy() && report.text().contains("taken to be the one at"),
        "{}",
        report.text()
    );
}

#[test]
fn the_limit_on_open_files_is_compared_with_the_settings() {
    assert_eq!(machine::judge_files(256, 200).level, Level::Fail);
    assert_eq!(machine::judge_files(1_024, 200).level, Level::Warn);
    assert_eq!(machine::judge_files(65_536, 200).level, Level::Ok);
    assert_eq!(
        machine::judge_files(u64::MAX, 0).seen,
        "open files are not limited"
    );
    assert_eq!(machine::judge_files(256, 200).code, "LL-115");
}

#[test]
fn low_disk_space_is_a_warning_and_then_a_failure() {
    let here = Path::new("/data");
    assert_eq!(machine::judge_space(50 << 20, here).level, Level::Fail);
    assert_eq!(machine::judge_space(500 << 20, here).level, Level::Warn);
    assert_eq!(machine::judge_space(5 << 30, here).level, Level::Ok);
}

#[tokio::test]
async fn a_damaged_database_is_detected() {
    let world = World::new();
    let data = world.directory.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let path = data.join("lamplight.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection
        .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (a TEXT);")
        .unwrap();
    let report = world.examine(None).await;
    assert!(
        report.text().contains("in 1 tables and is sound"),
        "{}",
        report.text()
    );
    drop(connection);
    std::fs::write(
        &path,
        "this is not a database, but it is long enough to be looked at as one",
    )
    .unwrap();
    let report = world.examine(None).await;
    assert!(
        failures(&report)[0]
            .1
            .contains("cannot be read: file is not a database"),
        "{}",
        report.text()
    );
    std::fs::remove_dir_all(&data).unwrap();
    std::fs::write(&data, "a file").unwrap();
    let report = world.examine(None).await;
    assert!(
        failures(&report)
            .iter()
            .any(|(_, seen)| seen.contains("is not a directory")),
        "{}",
        report.text()
    );
}

#[test]
fn settings_that_nodes_share_are_checked() {
    use super::shared::{judge_postgres, judge_redis};
    use crate::config::{RedisSettings, Secret};
    use lamplight_distributed::postgres::DatabaseReport;
    use lamplight_distributed::redis::RedisReport;
    use std::time::Duration;

    let now = Timestamp(1_795_953_600_000);
    let database = DatabaseReport {
        address: "db:5432".into(),
        version: "15.3".into(),
        clock: now,
        is_encrypted: true,
        may_migrate: true,
        connections: (100, 20),
        is_durable: true,
        oldest_transaction: 0,
        schema: Some((1, "store1".into())),
    };
    let codes = |database: &DatabaseReport| {
        let mut report = Report::default();
        judge_postgres(database, now, &mut report);
        let bad = report
            .findings
            .into_iter()
            .filter(|one| one.level != Level::Ok);
        bad.map(|one| (one.level, one.code)).collect::<Vec<_>>()
    };
    assert_eq!(codes(&database), []);
    let mut bad = database.clone();
    bad.may_migrate = false;
    assert_eq!(codes(&bad), [(Level::Fail, "LL-129")]);
    let mut bad = database.clone();
    bad.clock = Timestamp(now.0 - 60_000);
    assert_eq!(codes(&bad), [(Level::Warn, "LL-109")]);
    let mut bad = database;
    (bad.is_durable, bad.connections, bad.oldest_transaction) = (false, (100, 95), 3_600);
    assert_eq!(codes(&bad), [(Level::Warn, ""); 3]);

    let redis = RedisReport {
        address: "redis:6379".into(),
        version: "7.0.15".into(),
        clock: now,
        round_trip: Duration::from_millis(1),
        memory: (10 << 20, 100 << 20),
        eviction: "noeviction".into(),
        bound_to: Some("store1 instance".into()),
    };
    let settings = RedisSettings {
        url: Secret::new("redis://redis:6379"),
        prefix: "lamplight".into(),
    };
    let codes = |redis: &RedisReport, store: Option<&str>| {
        let mut report = Report::default();
        judge_redis(redis, &settings, store, now, &mut report);
        let bad = report
            .findings
            .into_iter()
            .filter(|one| one.level != Level::Ok);
        bad.map(|one| (one.level, one.code)).collect::<Vec<_>>()
    };
    assert_eq!(codes(&redis, Some("store1")), []);
    assert_eq!(codes(&redis, None), []);
    assert_eq!(codes(&redis, Some("store2")), [(Level::Fail, "LL-123")]);
    let mut bad = redis;
    (bad.round_trip, bad.memory, bad.eviction) = (
        Duration::from_millis(80),
        (90 << 20, 100 << 20),
        "allkeys-lru".into(),
    );
    assert_eq!(codes(&bad, None), [(Level::Warn, ""); 3]);
}
