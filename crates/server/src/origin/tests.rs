use super::*;

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| {
            (
                ::http::HeaderName::from_static(name),
                value.parse().unwrap(),
            )
        })
        .collect()
}

#[test]
fn own_and_allowed_origins_are_trusted_and_others_are_not() {
    let origins = Origins {
        allowed: vec!["https://app.example".into()],
        ..Origins::default()
    };
    let judge = |pairs: &[(&'static str, &str)]| origins.judge(&headers(pairs));
    assert_eq!(judge(&[("host", "chat.example:3000")]), Provenance::Trusted);
    assert_eq!(
        judge(&[
            ("host", "chat.example:3000"),
            ("origin", "http://chat.example:3000")
        ]),
        Provenance::Trusted
    );
    assert_eq!(
        judge(&[("host", "chat.example"), ("origin", "https://chat.example")]),
        Provenance::Trusted
    );
    assert_eq!(
        judge(&[
            ("host", "chat.example:3000"),
            ("origin", "http://chat.example:3001")
        ]),
        Provenance::Foreign
    );
    assert_eq!(
        judge(&[("host", "x"), ("origin", "https://APP.example")]),
        Provenance::Trusted
    );
    assert_eq!(
        judge(&[("host", "x"), ("origin", "https://app.example.evil")]),
        Provenance::Foreign
    );
    assert_eq!(
        judge(&[("host", "x"), ("origin", "null")]),
        Provenance::Foreign
    );
    assert_eq!(
        judge(&[("host", "x"), ("sec-fetch-site", "cross-site")]),
        Provenance::CrossSite
    );
    assert_eq!(
        judge(&[("host", "x"), ("origin", "http://localhost:5173")]),
        Provenance::Foreign
    );
}

#[test]
fn a_refusal_explains_how_to_allow_the_origin() {
    let origins = Origins::default();
    let page = origins.explain(&headers(&[
        ("host", "chat.example"),
        ("origin", "https://app.example"),
    ]));
    assert!(
        page.contains("https://app.example") && page.contains("ALLOWED_ORIGINS"),
        "{page}"
    );
    // No setting lets it in: any site can be `null`.
    let null = origins.explain(&headers(&[("host", "chat.example"), ("origin", "null")]));
    assert!(
        null.contains("sandboxed frame") && !null.contains("ALLOWED_ORIGINS"),
        "{null}"
    );
}

#[test]
fn open_allows_loopback_pages_and_refuses_rebound_names() {
    let origins = Origins {
        allow_loopback: true,
        own_must_be_loopback: true,
        ..Origins::default()
    };
    let judge =
        |origin: &str, host: &str| origins.judge(&headers(&[("host", host), ("origin", origin)]));
    assert_eq!(
        judge("http://localhost:5173", "127.0.0.1:3000"),
        Provenance::Trusted
    );
    assert_eq!(
        judge("http://[::1]:5173", "127.0.0.1:3000"),
        Provenance::Trusted
    );
    assert_eq!(
        judge("http://evil.example:3000", "evil.example:3000"),
        Provenance::Foreign
    );
    // Reads of a page after DNS rebinding have no `Origin` header.
    let read = |host: &str| {
        origins.judge(&headers(&[
            ("host", host),
            ("sec-fetch-site", "same-origin"),
        ]))
    };
    assert_eq!(read("evil.example:3000"), Provenance::Foreign);
    assert_eq!(read("localhost:3000"), Provenance::Trusted);
    assert_eq!(read("[::1]:3000"), Provenance::Trusted);
    assert_eq!(origins.judge(&headers(&[])), Provenance::Trusted);
    let named = Origins {
        allowed: vec!["https://chat.example".into()],
        ..origins.clone()
    };
    assert_eq!(
        named.judge(&headers(&[("host", "chat.example")])),
        Provenance::Trusted
    );
}

#[test]
fn a_forwarded_address_is_believed_from_a_trusted_proxy_only() {
    let forged = headers(&[("x-forwarded-for", "1.2.3.4, 5.6.7.8, 10.0.0.2")]);
    let peer = "10.0.0.1:5".parse().unwrap();
    let proxies = ["10.0.0.0/8".parse().unwrap()];
    assert_eq!(
        client_address(&forged, peer, &[]),
        "10.0.0.1".parse::<IpAddr>().unwrap()
    );
    assert_eq!(
        client_address(&forged, peer, &proxies),
        "5.6.7.8".parse::<IpAddr>().unwrap()
    );
}

#[test]
fn f10_the_first_forwarded_protocol_is_that_of_the_browser() {
    let peer = "10.0.0.1:5".parse().unwrap();
    let proxies = ["10.0.0.0/8".parse().unwrap()];
    let secure = |lines: &[&str]| {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-forwarded-proto", line.parse().unwrap());
        }
        assert!(!is_secure(&headers, peer, &[]), "not from a trusted proxy");
        is_secure(&headers, peer, &proxies)
    };
    for lines in [
        &["https"][..],
        &["https,http"],
        &["https , http"],
        &["HTTPS"],
        &["wss"],
        &["https", "http"],
        &["", " ,https"],
    ] {
        assert!(secure(lines), "{lines:?}");
    }
    for lines in [
        &[][..],
        &[""],
        &["http"],
        &["http,https"],
        &["http", "https"],
        &["httpsx"],
        &["h"],
    ] {
        assert!(!secure(lines), "{lines:?}");
    }
}

#[test]
fn f10_forwarded_hops_of_every_form_are_parsed() {
    let peer = "10.0.0.1:5".parse().unwrap();
    let proxies = ["10.0.0.0/8".parse().unwrap()];
    let from = |lines: &[&[u8]]| {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-forwarded-for", HeaderValue::from_bytes(line).unwrap());
        }
        client_address(&headers, peer, &proxies).to_string()
    };
    for (hop, address) in [
        ("5.6.7.8", "5.6.7.8"),
        ("5.6.7.8:1234", "5.6.7.8"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("\"[2001:db8::1]:1234\"", "2001:db8::1"),
        ("::ffff:5.6.7.8", "5.6.7.8"),
        ("fe80::1%eth0", "fe80::1"),
        ("unknown", "10.0.0.1"),
        ("_hidden", "10.0.0.1"),
        ("1.2.3.4, 5.6.7.8, , ", "5.6.7.8"),
        ("1.2.3.4, unknown, 10.0.0.7", "10.0.0.7"),
    ] {
        assert_eq!(from(&[hop.as_bytes()]), address, "{hop}");
    }
    // Values that the client puts before it, in the same header line or in another one, are
    // ignored.
    assert_eq!(from(&[b"\xff, 5.6.7.8"]), "5.6.7.8");
    assert_eq!(from(&[b"\xff", b"5.6.7.8"]), "5.6.7.8");
    assert_eq!(from(&[b"1.2.3.4", b"5.6.7.8"]), "5.6.7.8");
}
