//! URLs as people write them.

use super::*;

fn parsed(url: &str) -> ConnectionUrl {
    ConnectionUrl::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"))
}

fn tcp(name: &str, port: u16) -> Host {
    Host::Tcp(name.to_owned(), port)
}

#[test]
fn connection_strings_are_parsed() {
    let url = parsed("postgres://ada:s%2Fe%40cret@db.example:6432/chat");
    assert_eq!(url.hosts, [tcp("db.example", 6432)]);
    assert_eq!(url.base.get_user(), Some("ada"));
    assert_eq!(url.base.get_password(), Some(&b"s/e@cret"[..]));
    assert_eq!(url.base.get_dbname(), Some("chat"));
    assert_eq!(url.tls, TlsSettings::default());
    assert!(url.prepares);

    let url = parsed("postgresql://u@a,b:1,[::1]:2/d?target_session_attrs=read-write");
    assert_eq!(url.hosts, [tcp("a", 5432), tcp("b", 1), tcp("::1", 2)]);

    let url =
        parsed("postgres://u:p@/d?host=/run/pg&port=5433&prepared_statements=false&pool_size=4");
    assert_eq!(url.hosts, [Host::Unix("/run/pg".into(), 5433)]);
    assert!(!url.prepares);
    assert_eq!(url.pool_size, Some(4));
    assert_eq!(
        parsed("postgres:///d?host=%2Frun%2Fpg&user=u").hosts,
        [Host::Unix("/run/pg".into(), 5432)]
    );
    assert_eq!(
        parsed("postgres://u@%2Frun%2Fpg/d").hosts,
        [Host::Unix("/run/pg".into(), 5432)]
    );

    let url = parsed("postgres://u@h/d?sslmode=verify-full&sslrootcert=/ca.pem&connect_timeout=3");
    assert_eq!(url.tls.mode, TlsMode::VerifyFull);
    assert_eq!(url.tls.root_cert, Some("/ca.pem".into()));
    assert_eq!(url.connect_timeout, Some(Duration::from_secs(3)));
}

#[test]
fn of_several_hosts_the_writable_one_is_used() {
    let url = parsed("postgres://u@a,b/d");
    assert_eq!(
        url.base.get_target_session_attrs(),
        TargetSessionAttrs::ReadWrite
    );
    let url = parsed("postgres://u@a/d");
    assert_eq!(url.base.get_target_session_attrs(), TargetSessionAttrs::Any);
}

/// Whatever is wrong, and wherever a special character breaks the URL.
#[test]
fn no_error_and_no_debug_output_shows_a_part_of_a_password() {
    let bad = [
        "mysql://u:swordfish@h/d",
        "postgres://u:swordfish#1@h/d",
        "postgres://u:swordfish?x=1@h/d",
        "postgres://u:x?swordfish@h/d",
        "postgres://u:x/swordfish@h/d",
        "postgres://u:sword%zzswordfish@h/d",
        "postgres://u:x@h:swordfish/d",
        "postgres://u:swordfish@/d",
        "postgres://u:swordfish@h/",
        "postgres://:swordfish@h/d",
        "postgres://u:swordfish@h/d?colour=blue",
        "postgres://u:swordfish@h/d?sslmode=always",
        "postgres://u:swordfish@h/d?port=x",
        "postgres://u:swordfish@h/d?password=swordfish%",
        "postgres://u:swordfish@a,b,c/d?port=1,2",
    ];
    for url in bad {
        let error = ConnectionUrl::parse(url).expect_err(url);
        for shown in [error.to_string(), format!("{error:?}")] {
            assert!(!shown.contains("swordfish"), "{shown}");
        }
    }
    let url = parsed("postgres://u:swordfish@h/d");
    assert!(!format!("{url:?} {:?}", url.config(&url.hosts[0])).contains("swordfish"));
}
