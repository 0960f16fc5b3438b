use super::*;

fn tcp(host: &str, port: u16) -> Address {
    Address::Tcp {
        host: host.to_owned(),
        port,
    }
}

#[test]
fn urls_of_one_server() {
    let options = RedisOptions::parse("redis://example.org").unwrap();
    assert_eq!(options.addresses, [tcp("example.org", 6379)]);
    assert_eq!((options.tls, options.db), (false, 0));
    assert_eq!(options.prefix(), "lamplight");

    let options = RedisOptions::parse("rediss://me:p%40ss%3A%23@[::1]:7000/3?ca=/a.pem").unwrap();
    assert_eq!(options.addresses, [tcp("::1", 7000)]);
    assert_eq!((options.tls, options.db), (true, 3));
    assert_eq!(options.credentials.user.as_deref(), Some("me"));
    assert_eq!(options.credentials.password.as_deref(), Some("p@ss:#"));
    assert_eq!(options.certificate_authority, Some("/a.pem".into()));

    let options = RedisOptions::parse("valkey://:secret@10.0.0.1:6380/").unwrap();
    assert_eq!(options.addresses, [tcp("10.0.0.1", 6380)]);
    assert_eq!(options.credentials.user, None);
    assert_eq!(options.credentials.password.as_deref(), Some("secret"));

    for url in [
        "unix:///run/redis.sock?db=2&pass=x",
        "unix:/run/redis.sock?db=2&pass=x",
        "redis+unix:///run/redis.sock?db=2&password=x",
    ] {
        let options = RedisOptions::parse(url).unwrap();
        assert_eq!(options.addresses, [Address::Unix("/run/redis.sock".into())]);
        assert_eq!(options.db, 2);
        assert_eq!(options.credentials.password.as_deref(), Some("x"));
    }
}

#[test]
fn urls_of_sentinels_and_clusters() {
    let url = "redis+sentinel://me:pw@a,b:27000/main/1?sentinel_password=other";
    let options = RedisOptions::parse(url).unwrap();
    assert_eq!(options.addresses, [tcp("a", 26379), tcp("b", 27000)]);
    let service = "main".to_owned();
    assert_eq!(options.topology, Topology::Sentinel { service });
    assert_eq!(options.db, 1);
    let other = options.sentinel_credentials.password.as_deref();
    assert_eq!(other, Some("other"));
    assert_eq!(options.to_string(), "Sentinels of main at a:26379, b:27000");

    for url in ["redis+cluster://a,b:7000", "redis://a,b:7000?cluster=true"] {
        let options = RedisOptions::parse(url).unwrap();
        assert_eq!(options.topology, Topology::Cluster);
        assert_eq!(options.addresses, [tcp("a", 6379), tcp("b", 7000)]);
    }
    assert!(RedisOptions::parse("rediss+cluster://a").unwrap().tls);
}

#[test]
fn refusals_say_what_to_do_and_contain_no_password() {
    for url in [
        "hunter2",
        "http://hunter2@a",
        "redis://:hunter2@",
        "redis://:hunter2@a:b",
        "redis://:hunter2@a/hunter2",
        "redis://:hunter2@a?hunter2=hunter2",
        "redis://:hunter2@a,b",
        "redis://:hunter2@a?cluster=hunter2",
        "redis+cluster://:hunter2@a/1",
        "redis+sentinel://:hunter2@a",
        "redis://:hunter2#x@a",
        "redis://:%ff@hunter2",
        "unix://?pass=hunter2",
    ] {
        let refusal = RedisOptions::parse(url).expect_err(url).to_string();
        assert!(refusal.starts_with("REDIS_URL "), "{refusal}");
        assert!(!refusal.contains("hunter2"), "{refusal}");
    }
    let options = RedisOptions::parse("redis://me:hunter2@a").unwrap();
    assert!(!format!("{options:?} {options}").contains("hunter2"));
}

#[test]
fn c17_a_prefix_has_plain_characters_only() {
    let options = RedisOptions::parse("redis://a").unwrap();
    let other = options.clone().with_prefix("shop.eu-1").unwrap();
    assert_eq!(other.prefix(), "shop.eu-1");
    for prefix in ["", "a:b", "a b", "{a}", "a*", &"a".repeat(65)] {
        assert!(options.clone().with_prefix(prefix).is_err());
    }
}
