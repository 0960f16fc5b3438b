use super::*;
use proptest::prelude::*;

fn whole(text: &str) -> bool {
    let bytes = text.as_bytes();
    value(bytes, space(bytes, 0), MAX_NESTING).is_some_and(|end| space(bytes, end) == bytes.len())
}

#[test]
fn takes_events_apart() {
    let text = " [ \"na me\" , 1 , {\"a\":[2]} ] ";
    let parts = event(text, 127).unwrap();
    assert_eq!(
        (&text[parts.name], &text[parts.args.clone()]),
        ("na me", "1 , {\"a\":[2]} ")
    );
    assert_eq!(element(&text[parts.args.clone()], 0), Some("1"));
    assert_eq!(element(&text[parts.args.clone()], 1), Some("{\"a\":[2]}"));
    assert_eq!(element(&text[parts.args], 2), None);
    let parts = event("[\"x\"]", 127).unwrap();
    assert_eq!(parts.args, 4..4);
    assert_eq!(
        event("[\"\\u0061b\"]", 127)
            .unwrap()
            .escaped_name
            .as_deref(),
        Some("ab")
    );
    let numbered = "[ -1.50 , 2]";
    let parts = event(numbered, 127).unwrap();
    assert_eq!(
        (parts.escaped_name.as_deref(), &numbered[parts.args]),
        (Some("-1.5"), "2")
    );
    assert_eq!(
        event("[7]", 127),
        Some(EventParts {
            name: 1..2,
            escaped_name: None,
            args: 2..2
        })
    );
    for bad in [
        "",
        "[]",
        "[-]",
        "[01]",
        "[null]",
        "{}",
        "[\"a\"",
        "[\"a\",]",
        "[\"a\"]]",
        "[\"a\" 1]",
        "[\"\\ud800\"]",
        "x",
    ] {
        assert_eq!(event(bad, 127), None, "{bad}");
    }
}

#[test]
fn nesting_is_counted() {
    let nested = |depth: usize| format!("[\"a\",{}{}]", "[".repeat(depth), "]".repeat(depth));
    assert!(event(&nested(126), 127).is_some());
    assert!(event(&nested(127), 127).is_none());
    assert!(
        event(&nested(127), 1000).is_none(),
        "never more than the bits hold"
    );
    assert!(event(&"[\"a\",".repeat(500_000), 127).is_none());
    assert!(event(&format!("[\"a\",{}", "{\"a\":".repeat(500_000)), 127).is_none());
}

#[test]
fn placeholders_must_name_an_attachment() {
    let fits = |text: &str| placeholders_in_range(text, 2);
    assert!(fits(
        "[{\"_placeholder\":true,\"num\":1},{\"num\":9},{\"_placeholder\":false,\"num\":9}]"
    ));
    assert!(fits("[{\"a\":[{\"_placeholder\":true,\"num\":0}]}]"));
    for num in [
        "2",
        "-1",
        "0.5",
        "1e0",
        "\"0\"",
        "null",
        "[0]",
        "99999999999999999999",
    ] {
        assert!(
            !fits(&format!("[{{\"_placeholder\":true,\"num\":{num}}}]")),
            "{num}"
        );
    }
    assert!(!fits("[{\"_placeholder\":true}]"));
    assert!(!fits("[{\"x\":{\"_placeholder\":true,\"num\":2}}]"));
    assert!(
        !fits("[{\"_pl\\u0061ceholder\":true,\"num\":2}]"),
        "an escaped key is the same key"
    );
    assert!(
        fits(
            "[1e400,\"\\ud83d\",{\"\\ud83d\":\"_placeholder\"},{\"a\":\"num\",\"_placeholder\":[true]}]"
        ),
        "what is no placeholder"
    );
    assert!(
        fits("[{\"_placeholder\":true,\"num\":{\"num\":7},\"num\":1}]"),
        "the last one counts"
    );
    assert!(!fits(
        "[{\"_placeholder\":{},\"num\":[1,2],\"_placeholder\":true}]"
    ));
}

proptest! {
    #[test]
    fn agrees_with_serde_json(text in "[\\[\\]{}\",:0-9eE+.\\- \\\\untrfalsedx\u{1}é]{0,24}") {
        prop_assert_eq!(whole(&text), reference_accepts(&text), "{}", text);
    }

    #[test]
    fn takes_whatever_serde_json_writes(name: String, args in proptest::collection::vec(any::<(String, Option<i64>, bool)>(), 0..5)) {
        let mut array = vec![serde_json::json!(name)];
        array.extend(args.iter().map(|arg| serde_json::json!({ &arg.0: [arg.1, arg.2] })));
        let text = serde_json::to_string(&array).unwrap();
        let parts = event(&text, 127).unwrap();
        prop_assert_eq!(parts.escaped_name.as_deref().unwrap_or(&text[parts.name.clone()]), name);
        for (index, arg) in array[1..].iter().enumerate() {
            let read: serde_json::Value = serde_json::from_str(element(&text[parts.args.clone()], index).unwrap()).unwrap();
            prop_assert_eq!(&read, arg);
        }
    }

    #[test]
    fn never_panics(text: String, count in 0usize..4) {
        let _ = event(&text, 127);
        let _ = element(&text, count);
        let _ = placeholders_in_range(&text, count);
    }
}
