use super::*;

#[test]
fn f18_user_names_are_compared_by_compatibility_and_case() {
    for (one, other) in [
        ("Zoë", "ZOË"),
        ("ΟΔΟΣ", "οδος"),
        ("Straße", "STRASSE"),
        ("ẞ", "ss"),
        ("ЖАННА", "жанна"),
        ("\u{17f}issi", "Sissi"),
        ("josé", "jose\u{301}"),
        ("İnci", "inci"),
        ("I\u{307}nci", "INCI"),
        ("i\u{307}nci", "inci"),
        ("İ\u{323}", "i\u{323}"),
        ("ᾳ\u{301}", "ΆΙ"),
        ("Ａｄａ", "ada"),
        ("ﬁn", "FIN"),
        ("①", "1"),
        ("한글", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}"),
        ("ｶﾞ", "ガ"),
    ] {
        assert_eq!(username_key(one), username_key(other), "{one} {other}");
    }
    for (one, other) in [
        ("Zoë", "Zoe"),
        ("ı", "i"),
        ("į\u{307}\u{301}", "i"),
        ("й", "и"),
        ("がき", "かき"),
    ] {
        assert_ne!(username_key(one), username_key(other), "{one} {other}");
    }
    assert_eq!(username_key("Ada_1"), "ada_1");
    assert_eq!(
        username_key("i\u{301}\u{307}"),
        "í\u{307}",
        "a dot above another mark is no dot of the letter's"
    );
}

#[test]
fn f18_a_search_ignores_marks_and_spaces() {
    for (text, query) in [
        ("Zoë Żak", "zoe zak"),
        ("Zoe\u{308}", "ZOË"),
        ("İnci", "inci"),
        ("inci", "İNCİ"),
        ("Άννα", "αννα"),
        ("Андрей", "андреи"),
        ("Ada\u{a0}Lovelace", "ada love"),
        ("Ada  Lovelace", " ada\u{a0}lovelace"),
        ("Ada\u{200b}Lovelace", "adal"),
        ("Ａｄａ", "ada"),
        ("Nguyễn", "nguyen"),
        ("प्रिया", "प्रिया"),
    ] {
        let (key, wanted) = (search_key(text), search_key(query));
        assert!(key.contains(&wanted), "{text} ({key}) {query} ({wanted})");
    }
    assert_ne!(
        search_key("がき"),
        search_key("かき"),
        "the marks of kana are letters of their own"
    );
    assert_ne!(
        search_key("प्रिया"),
        search_key("परया"),
        "and those of Devanagari are vowels"
    );
    assert_eq!(search_key(" \u{200b}\u{3000}"), "");
}

#[test]
fn f18_keys_equal_themselves_when_they_are_folded_again() {
    // Every character that has a mapping: what is left out are ideographs, Hangul syllables and
    // planes without any.
    let letters = (0..0x3400)
        .chain(0xa000..0xac00)
        .chain(0xf900..0x1_1000)
        .chain(0x1_d000..0x1_f200);
    for c in letters.filter_map(char::from_u32) {
        for text in [format!("A{c}"), format!("i{c}\u{307}")] {
            let key = username_key(&text);
            assert_eq!(username_key(&key), key, "{text:?}");
            let key = search_key(&text);
            assert_eq!(search_key(&key), key, "{text:?}");
        }
    }
}

#[test]
fn f18_passwords_are_composed_and_keep_their_case() {
    assert_eq!(password("pa\u{a0}ss\u{3000}e\u{301}"), "pa ss é");
    assert_eq!(password("Ǆﬁ İ"), "Ǆﬁ İ", "no folding, no compatibility");
    assert!(matches!(password("plain  text"), Cow::Borrowed(_)));
    assert!(matches!(password("schön"), Cow::Borrowed(_)));
}

#[test]
fn f20_scripts_whose_letters_need_marks_have_user_names() {
    for name in [
        "प्रिया",
        "สมชาย",
        "น้ำผึ้ง",
        "مُحَمَّد",
        "דָּוִד",
        "ரவி",
        "ព្រះ",
        "ཀྵ་".trim_end_matches('་'),
        "Nguyễn",
        "Nguye\u{302}\u{303}n",
        "李小龍",
        "ゆうき",
        "jose\u{301}.m-1_x",
        "ab",
        "٤٢",
    ] {
        assert!(is_username(name), "{name}");
    }
}

#[test]
fn f19_user_names_with_invisible_characters_are_refused() {
    for name in [
        "",
        "a",
        "ㅤㅤ",
        "a\u{200b}b",
        "a\u{ad}b",
        "a\u{200d}b",
        "a\u{2066}b",
        "a\u{202e}b",
        "\u{e0061}\u{e0062}",
        "a\u{fe0f}b",
        "a b",
        "a\u{a0}b",
        "\u{301}ab",
        ".\u{301}a",
        "b\u{301}\u{302}\u{303}\u{304}\u{305}",
        "ﷺ",
        "ad@a",
        "😀😀",
        "i\u{307}",
        "ⒶⒷ",
        "\u{ffa0}\u{ffa0}",
        "\u{2800}\u{2800}",
    ] {
        assert!(!is_username(name), "{name:?}");
    }
    assert!(
        is_username(&"e\u{301}".repeat(MAX_USERNAME_CHARS)),
        "counted as composed"
    );
    assert!(!is_username(&"é".repeat(MAX_USERNAME_CHARS + 1)));
}

#[test]
fn invisible_characters_at_the_ends_are_trimmed() {
    assert_eq!(trim("\u{feff}\u{a0} Ada\u{200b}\r\n"), "Ada");
    assert_eq!(trim("❤\u{fe0f}"), "❤\u{fe0f}");
    assert_eq!(trim("\u{2003}\u{2060}"), "");
}

/// Read by the client's tests too (`packages/client/test/content.test.ts`), so that both sides
/// refuse the same texts.
#[test]
fn f19_visibility_is_the_same_in_rust_and_typescript() {
    let fixture: serde_json::Value =
        serde_json::from_str(include_str!("../../../../fixtures/text/visible.json")).unwrap();
    let texts = |kind: &str| {
        fixture[kind]
            .as_array()
            .unwrap()
            .iter()
            .map(|text| text.as_str().unwrap())
            .collect::<Vec<_>>()
    };
    for text in texts("visible") {
        assert!(is_visible(text), "{text:?}");
    }
    for text in texts("blank") {
        assert!(!is_visible(text), "{text:?}");
    }
}

#[test]
fn h13_user_names_that_look_alike_have_one_look() {
    for (name, other) in [
        ("paul", "pau1"),
        ("paul", "PauI"),
        ("paul", "PAUL"),
        ("Paul", "\u{440}\u{430}ul"),
        ("paul", "\u{420}AUL"),
        ("bob", "B0B"),
        ("Marie", "rnarie"),
        ("asha", "\u{430}\u{455}h\u{430}"),
        ("zo\u{eb}", "ZOE\u{308}"),
    ] {
        assert_eq!(username_look(name), username_look(other), "{name} {other}");
    }
    for (name, other) in [
        ("paul", "paula"),
        ("paul", "paui"),
        ("zoe", "zo\u{eb}"),
        ("a.b", "ab"),
        ("ada", "lin"),
        ("user1", "user11"),
    ] {
        assert_ne!(username_look(name), username_look(other), "{name} {other}");
    }
    let longest = (0..=0x10_ffff)
        .filter_map(char::from_u32)
        .filter(|c| is_username(&format!("a{c}")))
        .map(|c| username_look(&c.to_string()).len())
        .max();
    // PostgreSQL indexes at most 2,704 bytes.
    assert!(longest.unwrap() * MAX_USERNAME_CHARS < 2_704, "{longest:?}");
}

/// A new rule or new tables make other keys than those in the databases. Characters that a newer
/// Unicode adds do so too.
#[test]
fn f18_changed_keys_require_another_version() {
    let mut print = 0xcbf2_9ce4_8422_2325_u64;
    for c in (0..=0x10_ffff).filter_map(char::from_u32) {
        let text = c.to_string();
        for key in [username_key(&text), search_key(&text), username_look(&text)] {
            if key != text {
                let bytes = text.bytes().chain(key.bytes());
                print = bytes.fold(print, |print, byte| {
                    (print ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
                });
            }
        }
    }
    assert_eq!(
        (KEYS_VERSION, print),
        (2, 3_612_858_734_016_556_101),
        "raise KEYS_VERSION with each change of the keys, and write both here"
    );
}
