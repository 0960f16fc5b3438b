use super::*;

#[test]
fn an_invalid_number_is_reported_in_plain_words() {
    for (query, words) in [
        (
            "around=x",
            "The query was not understood: around: this is a whole number, 0 or more.",
        ),
        (
            "before=-1",
            "The query was not understood: before: this is a whole number, 0 or more.",
        ),
        (
            "limit=",
            "The query was not understood: limit: this is a whole number, and it is empty.",
        ),
        (
            "after=99999999999999999999999",
            "The query was not understood: after: the number is too large.",
        ),
    ] {
        let uri = format!("/?{query}").parse().unwrap();
        let refusal = params(Query::<MessagesParams>::try_from_uri(&uri)).unwrap_err();
        assert_eq!(refusal.message, words);
    }
}

#[test]
fn f13_a_value_that_is_no_boolean_is_refused() {
    for (value, expected) in [
        (None, false),
        (Some("true"), true),
        (Some("1"), true),
        (Some("false"), false),
        (Some("0"), false),
        (Some(""), false),
    ] {
        assert_eq!(flag("countOnly", value).ok(), Some(expected), "{value:?}");
    }
    for value in ["yes", "True", "2"] {
        assert_eq!(
            &*flag("countOnly", Some(value)).expect_err("refused").message,
            "countOnly is true or false."
        );
    }
}
