//! Local accounts.

use crate::support::*;
use lamplight_domain::event::Event;
use lamplight_domain::identity::Profile;
use lamplight_domain::time::Timestamp;
use lamplight_usecases::handler::Identity;
use lamplight_usecases::ports::{Account, Accounts as _};
use lamplight_usecases::{Caller, Code, Command, Reply};
use std::sync::atomic::Ordering;
use std::time::Duration;

fn register(username: &str, password: &str) -> Command {
    Command::Register { username: username.into(), password: password.into(), name: None }
}

fn login(username: &str, password: &str) -> Command {
    Command::Login { username: username.into(), password: password.into() }
}

fn signed_in(answer: Answer) -> (String, String) {
    match answer.expect("signed in") {
        Reply::SignedIn { user, token, .. } => (user.id.to_string(), token),
        other => panic!("{other:?}"),
    }
}

house_tests! {
    async fn whoever_registers_is_signed_in_and_can_sign_in_again() {
        let house = House::new(Identity::Local);
        let (id, token) = signed_in(house.ask(&nobody(), register("Ada", "lovelace1")).await);
        let (again, other_token) = signed_in(house.ask(&nobody(), login(" aDA ", "lovelace1")).await);
        assert_eq!(id, again, "case and white space left aside");
        assert_ne!(token, other_token);
        let session = house.handler.session(&house.handler.digest(&token)).await.expect("an answer").expect("a session");
        assert_eq!(session.0, user(&id));
        assert_eq!(house.handler.session(&token).await.expect("an answer"), None, "the token itself is kept nowhere");
        let Ok(Reply::User(profile)) = house.ask(&by_http(&id), Command::WhoAmI).await else { panic!("me") };
        assert_eq!(&*profile.name, "Ada");
    }

    async fn a_name_is_taken_once_whoever_asks_first() {
        let house = House::new(Identity::Local);
        let (caller, asks) = (nobody(), ["ada", "ADA", "Ada", "aDa"]);
        let answers = futures_util::future::join_all(asks.map(|name| house.ask(&caller, register(name, "lovelace1")))).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
        assert!(answers.into_iter().filter_map(Result::err).all(|refusal| refusal.code == Code::Conflict));
    }

    async fn names_and_passwords_of_the_wrong_form_are_invalid() {
        let house = House::new(Identity::Local);
        for (username, password) in [
            ("a", "lovelace1"),
            ("", "lovelace1"),
            ("ada lovelace", "lovelace1"),
            ("ada<b>", "lovelace1"),
            ("x23456789012345678901234567890123", "lovelace1"),
            ("ada", "seven77"),
        ] {
            assert_eq!(code(house.ask(&nobody(), register(username, password)).await), Code::Invalid, "{username} {password}");
        }
        assert_eq!(code(house.ask(&nobody(), register("ada", &"x".repeat(257))).await), Code::Invalid);
        let named = Command::Register { username: "ada".into(), password: "ünïcödé".to_owned() + "8", name: Some("  ".into()) };
        let Ok(Reply::SignedIn { user, .. }) = house.ask(&nobody(), named).await else { panic!("eight characters are enough") };
        assert_eq!(&*user.name, "ada");
    }

    async fn f18_names_and_passwords_are_the_same_however_they_are_typed() {
        let house = House::new(Identity::Local);
        let (id, _) = signed_in(house.ask(&nobody(), register("Jos\u{e9}", "p\u{e4}ss w\u{f6}rd")).await);
        let decomposed = login("jose\u{301}", "pa\u{308}ss\u{a0}wo\u{308}rd");
        assert_eq!(signed_in(house.ask(&nobody(), decomposed).await).0, id);
        assert_eq!(code(house.ask(&nobody(), register("JOSE\u{301}", "lovelace1")).await), Code::Conflict);
        assert_eq!(code(house.ask(&nobody(), login("josé", "PÄSS wörd")).await), Code::Unauthenticated, "case counts");
    }

    async fn f18_a_hash_of_what_was_typed_goes_on_working() {
        let house = House::new(Identity::Local);
        let typed = "pa\u{308}ss\u{a0}word";
        let account = Account { user: user("7"), password_hash: format!("hash of {typed}") };
        let profile = Profile { id: user("7"), name: "Ada".into(), avatar_url: None };
        assert!(house.store.create("ada", account, profile, Timestamp(0)).await.expect("an account"));
        assert_eq!(signed_in(house.ask(&nobody(), login("ada", typed)).await).0, "7");
        assert_eq!(code(house.ask(&nobody(), login("ada", "päss word")).await), Code::Unauthenticated);
    }

    async fn f18_an_unknown_name_costs_as_many_hashes_as_a_known_one() {
        for (password, hashes) in [("plain password", 1), ("pa\u{308}ssword", 2), ("pässword", 1)] {
            for username in ["ada", "nobody"] {
                let house = House::new(Identity::Local);
                signed_in(house.ask(&nobody(), register("ada", "lovelace1")).await);
                assert_eq!(code(house.ask(&nobody(), login(username, password)).await), Code::Unauthenticated);
                assert_eq!(house.passwords.verified.load(Ordering::Relaxed), hashes, "{username} {password}");
            }
        }
    }

    async fn f19_names_without_anything_to_see_are_refused() {
        let house = House::new(Identity::Local);
        for username in ["ㅤㅤ", "a\u{200b}da", "\u{2800}\u{2800}", "ad\u{202e}a", "\u{e0061}\u{e0061}"] {
            assert_eq!(code(house.ask(&nobody(), register(username, "lovelace1")).await), Code::Invalid, "{username:?}");
        }
        let blank = Command::Register { username: "ada".into(), password: "lovelace1".into(), name: Some("\u{3164}\u{200b}".into()) };
        let Ok(Reply::SignedIn { user, .. }) = house.ask(&nobody(), blank).await else { panic!("as if no name were given") };
        assert_eq!(&*user.name, "ada");
    }

    async fn f20_names_in_scripts_that_need_marks_are_taken() {
        for username in ["प्रिया", "สมชาย_น้ำ", "مُحَمَّد", "דָּוִד"] {
            let house = House::new(Identity::Local);
            let (id, _) = signed_in(house.ask(&nobody(), register(username, "lovelace1")).await);
            assert_eq!(signed_in(house.ask(&nobody(), login(username, "lovelace1")).await).0, id);
        }
    }

    async fn a_wrong_name_and_a_wrong_password_are_one_sentence() {
        let house = House::new(Identity::Local);
        signed_in(house.ask(&nobody(), register("ada", "lovelace1")).await);
        let wrong = house.ask(&nobody(), login("ada", "babbage11")).await.expect_err("refused");
        assert_eq!(wrong.code, Code::Unauthenticated);
        for attempt in [login("nobody", "lovelace1"), login(&"x".repeat(1_000), "lovelace1"), login("ada", &"x".repeat(1_000)), login("", "")] {
            assert_eq!(house.ask(&nobody(), attempt).await.expect_err("refused"), wrong);
        }
    }

    async fn signing_out_ends_the_session_and_says_which_sockets_go() {
        let house = House::new(Identity::Local);
        let (id, token) = signed_in(house.ask(&nobody(), register("ada", "lovelace1")).await);
        let (_, other) = signed_in(house.ask(&nobody(), login("ada", "lovelace1")).await);
        let caller = Caller { credential: Some(house.handler.digest(&token).into()), ..by_http(&id) };
        for _ in 0..2 {
            assert!(matches!(house.ask(&caller, Command::Logout).await, Ok(Reply::Done)));
        }
        assert_eq!(house.handler.session(&house.handler.digest(&token)).await.expect("an answer"), None);
        assert!(house.handler.session(&house.handler.digest(&other)).await.expect("an answer").is_some(), "another device stays");
        let gone: Vec<_> = house.events().into_iter().filter(|event| matches!(event, Event::SignedOut { .. })).collect();
        let [Event::SignedOut { user: who, credential }] = &gone[..] else { panic!("told once: {gone:?}") };
        assert_eq!((who, &**credential), (&user(&id), &*house.handler.digest(&token)));
        assert_eq!(code(house.ask(&nobody(), Command::Logout).await), Code::Unauthenticated);
    }

    async fn a_session_ends_by_itself_after_thirty_days() {
        let house = House::new(Identity::Local);
        let (_, token) = signed_in(house.ask(&nobody(), register("ada", "lovelace1")).await);
        let digest = house.handler.digest(&token);
        house.clock.pass(Duration::from_secs(30 * 24 * 3_600 - 1));
        assert!(house.handler.session(&digest).await.expect("an answer").is_some());
        house.clock.pass(Duration::from_secs(1));
        assert_eq!(house.handler.session(&digest).await.expect("an answer"), None);
    }
}
