//! Local accounts.

use crate::support::*;
use lamplight_domain::event::Event;
use lamplight_domain::identity::Profile;
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::{Account, Accounts as _};
use lamplight_usecases::{
    AccountCommand, AccountReply, AdminCommand, Caller, Code, Identity, Reply, Settings,
};
use std::sync::atomic::Ordering;
use std::time::Duration;

pub(crate) fn register(username: &str, password: &str) -> AccountCommand {
    AccountCommand::Register {
        username: username.into(),
        password: password.into(),
        name: None,
    }
}

pub(crate) fn login(username: &str, password: &str) -> AccountCommand {
    AccountCommand::Login {
        username: username.into(),
        password: password.into(),
    }
}

pub(crate) fn signed_in(answer: Answer) -> (String, String) {
    match answer.expect("signed in") {
        Reply::Accounts(AccountReply::SignedIn { user, token, .. }) => (user.id.to_string(), token),
        other => panic!("{other:?}"),
    }
}

/// The sessions whose end was published: their users and digests.
pub(crate) fn signed_out(app: &TestApp) -> Vec<(String, String)> {
    let ended = app.events().into_iter().filter_map(|event| match event {
        Event::SignedOut {
            user, credential, ..
        } => Some((user.to_string(), credential.to_string())),
        _ => None,
    });
    ended.collect()
}

usecase_tests! {
    async fn registration_signs_in_and_the_password_signs_in_again() {
        let app = TestApp::new(Identity::Local);
        let (id, token) = signed_in(app.ask(&anonymous(), register("Ada", "lovelace1")).await);
        let (again, other_token) = signed_in(app.ask(&anonymous(), login(" aDA ", "lovelace1")).await);
        assert_eq!(id, again, "case and white space are ignored");
        assert_ne!(token, other_token);
        let session = app.handler.session(&app.handler.digest(&token)).await.expect("an answer").expect("a session");
        assert_eq!(session.0, user(&id));
        assert_eq!(app.handler.session(&token).await.expect("an answer"), None, "only the digest is stored");
        let Ok(Reply::Accounts(AccountReply::User(profile))) = app.ask(&by_http(&id), AccountCommand::WhoAmI).await else { panic!("me") };
        assert_eq!(&*profile.name, "Ada");
    }

    async fn of_concurrent_registrations_of_a_name_one_succeeds() {
        let app = TestApp::new(Identity::Local);
        let (caller, asks) = (anonymous(), ["ada", "ADA", "Ada", "aDa"]);
        let answers = futures_util::future::join_all(asks.map(|name| app.ask(&caller, register(name, "lovelace1")))).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
        assert!(answers.into_iter().filter_map(Result::err).all(|refusal| refusal.code == Code::Conflict));
    }

    async fn names_and_passwords_of_the_wrong_form_are_invalid() {
        let app = TestApp::new(Identity::Local);
        for (username, password) in [
            ("a", "lovelace1"),
            ("", "lovelace1"),
            ("ada lovelace", "lovelace1"),
            ("ada<b>", "lovelace1"),
            ("x23456789012345678901234567890123", "lovelace1"),
            ("ada", "seven77"),
        ] {
            assert_eq!(code(app.ask(&anonymous(), register(username, password)).await), Code::Invalid, "{username} {password}");
        }
        assert_eq!(code(app.ask(&anonymous(), register("ada", &"x".repeat(257))).await), Code::Invalid);
        let named = AccountCommand::Register { username: "ada".into(), password: "ünïcödé".to_owned() + "8", name: Some("  ".into()) };
        let Ok(Reply::Accounts(AccountReply::SignedIn { user, .. })) = app.ask(&anonymous(), named).await else { panic!("eight characters should suffice") };
        assert_eq!(&*user.name, "ada");
    }

    async fn f18_names_and_passwords_are_compared_in_normal_form() {
        let app = TestApp::new(Identity::Local);
        let (id, _) = signed_in(app.ask(&anonymous(), register("Jos\u{e9}", "p\u{e4}ss w\u{f6}rd")).await);
        let decomposed = login("jose\u{301}", "pa\u{308}ss\u{a0}wo\u{308}rd");
        assert_eq!(signed_in(app.ask(&anonymous(), decomposed).await).0, id);
        assert_eq!(code(app.ask(&anonymous(), register("JOSE\u{301}", "lovelace1")).await), Code::Conflict);
        assert_eq!(code(app.ask(&anonymous(), login("josé", "PÄSS wörd")).await), Code::Unauthenticated, "case counts");
    }

    async fn f18_hashes_of_unnormalised_passwords_still_work() {
        let app = TestApp::new(Identity::Local);
        let typed = "pa\u{308}ss\u{a0}word";
        let account = Account { user: user("7"), password_hash: format!("hash of {typed}") };
        let profile = Profile { id: user("7"), name: "Ada".into(), avatar_url: None };
        assert!(app.store.create("ada", account, profile, Timestamp(0)).await.expect("an account"));
        assert_eq!(signed_in(app.ask(&anonymous(), login("ada", typed)).await).0, "7");
        assert_eq!(code(app.ask(&anonymous(), login("ada", "päss word")).await), Code::Unauthenticated);
    }

    async fn f18_an_unknown_name_costs_as_many_hashes_as_a_known_one() {
        for (password, hashes) in [("plain password", 1), ("pa\u{308}ssword", 2), ("pässword", 1)] {
            for username in ["ada", "nobody"] {
                let app = TestApp::new(Identity::Local);
                signed_in(app.ask(&anonymous(), register("ada", "lovelace1")).await);
                assert_eq!(code(app.ask(&anonymous(), login(username, password)).await), Code::Unauthenticated);
                assert_eq!(app.passwords.verified.load(Ordering::Relaxed), hashes, "{username} {password}");
            }
        }
    }

    async fn f19_invisible_names_are_refused() {
        let app = TestApp::new(Identity::Local);
        for username in ["ㅤㅤ", "a\u{200b}da", "\u{2800}\u{2800}", "ad\u{202e}a", "\u{e0061}\u{e0061}"] {
            assert_eq!(code(app.ask(&anonymous(), register(username, "lovelace1")).await), Code::Invalid, "{username:?}");
        }
        let blank = AccountCommand::Register { username: "ada".into(), password: "lovelace1".into(), name: Some("\u{3164}\u{200b}".into()) };
        let Ok(Reply::Accounts(AccountReply::SignedIn { user, .. })) = app.ask(&anonymous(), blank).await else { panic!("a blank name should count as none") };
        assert_eq!(&*user.name, "ada");
    }

    async fn f20_names_in_scripts_with_combining_marks_are_accepted() {
        for username in ["प्रिया", "สมชาย_น้ำ", "مُحَمَّد", "דָּוִד"] {
            let app = TestApp::new(Identity::Local);
            let (id, _) = signed_in(app.ask(&anonymous(), register(username, "lovelace1")).await);
            assert_eq!(signed_in(app.ask(&anonymous(), login(username, "lovelace1")).await).0, id);
        }
    }

    async fn a_wrong_name_and_a_wrong_password_get_the_same_refusal() {
        let app = TestApp::new(Identity::Local);
        signed_in(app.ask(&anonymous(), register("ada", "lovelace1")).await);
        let wrong = app.ask(&anonymous(), login("ada", "babbage11")).await.expect_err("refused");
        assert_eq!(wrong.code, Code::Unauthenticated);
        for attempt in [login("nobody", "lovelace1"), login(&"x".repeat(1_000), "lovelace1"), login("ada", &"x".repeat(1_000)), login("", "")] {
            assert_eq!(app.ask(&anonymous(), attempt).await.expect_err("refused"), wrong);
        }
    }

    async fn signing_out_ends_the_session_and_names_the_sockets_to_close() {
        let app = TestApp::new(Identity::Local);
        let (id, token) = signed_in(app.ask(&anonymous(), register("ada", "lovelace1")).await);
        let (_, other) = signed_in(app.ask(&anonymous(), login("ada", "lovelace1")).await);
        let caller = Caller { credential: Some(app.handler.digest(&token).into()), ..by_http(&id) };
        for _ in 0..2 {
            assert!(matches!(app.ask(&caller, AccountCommand::Logout).await, Ok(Reply::Done)));
        }
        assert_eq!(app.handler.session(&app.handler.digest(&token)).await.expect("an answer"), None);
        assert!(app.handler.session(&app.handler.digest(&other)).await.expect("an answer").is_some(), "another device stays signed in");
        let gone: Vec<_> = app.events().into_iter().filter(|event| matches!(event, Event::SignedOut { .. })).collect();
        let [Event::SignedOut { user: who, credential, .. }] = &gone[..] else { panic!("expected one event: {gone:?}") };
        assert_eq!((who, &**credential), (&user(&id), &*app.handler.digest(&token)));
        assert_eq!(code(app.ask(&anonymous(), AccountCommand::Logout).await), Code::Unauthenticated);
    }

    async fn a_sign_out_is_answered_after_its_announcement_to_other_nodes() {
        for command in [AccountCommand::Logout, AccountCommand::LogoutAll] {
            let app = TestApp::new(Identity::Local);
            let (id, token) = signed_in(app.ask(&anonymous(), register("ada", "lovelace1")).await);
            let caller = Caller { credential: Some(app.handler.digest(&token).into()), ..by_http(&id) };
            app.ask(&caller, command).await.expect("out");
            assert_eq!(signed_out(&app).len(), 1);
            assert_eq!(app.hub.unconfirmed_ends.load(Ordering::Relaxed), 0);
        }
    }

    async fn a_session_expires_after_thirty_days() {
        let app = TestApp::new(Identity::Local);
        let (_, token) = signed_in(app.ask(&anonymous(), register("ada", "lovelace1")).await);
        let digest = app.handler.digest(&token);
        app.clock.pass(Duration::from_secs(30 * 24 * 3_600 - 1));
        assert!(app.handler.session(&digest).await.expect("an answer").is_some());
        app.clock.pass(Duration::from_secs(1));
        assert_eq!(app.handler.session(&digest).await.expect("an answer"), None);
    }

    async fn h12_the_twenty_first_session_ends_the_first_and_its_sockets() {
        let app = TestApp::new(Identity::Local);
        let (id, first) = signed_in(app.ask(&anonymous(), register("ada", "lovelace1")).await);
        let mut tokens = vec![first];
        for _ in 0..20 {
            app.clock.pass(Duration::from_secs(1));
            tokens.push(signed_in(app.ask(&anonymous(), login("ada", "lovelace1")).await).1);
            app.clock.pass(Duration::from_secs(60));
        }
        let ended = signed_out(&app);
        assert_eq!(ended, [(id, app.handler.digest(&tokens[0]))]);
        for (n, token) in tokens.iter().enumerate() {
            let session = app.handler.session(&app.handler.digest(token)).await.expect("an answer");
            assert_eq!(session.is_some(), n > 0, "{n}");
        }
    }

    async fn signing_out_everywhere_ends_every_session_of_the_user() {
        let app = TestApp::new(Identity::Local);
        let (id, one) = signed_in(app.ask(&anonymous(), register("ada", "lovelace1")).await);
        let (_, two) = signed_in(app.ask(&anonymous(), login("ada", "lovelace1")).await);
        let (_, other) = signed_in(app.ask(&anonymous(), register("lin", "torvalds1")).await);
        let caller = Caller { credential: Some(app.handler.digest(&one).into()), ..by_http(&id) };
        app.ask(&caller, AccountCommand::LogoutAll).await.expect("out");
        let mut expected = [one, two].map(|token| (id.clone(), app.handler.digest(&token)));
        let mut ended = signed_out(&app);
        expected.sort();
        ended.sort();
        assert_eq!(ended, expected);
        assert!(app.handler.session(&app.handler.digest(&other)).await.expect("an answer").is_some());
        assert_eq!(code(app.ask(&anonymous(), AccountCommand::LogoutAll).await), Code::Unauthenticated);
    }

    async fn a_password_change_needs_the_old_one_and_ends_other_sessions() {
        let app = TestApp::new(Identity::Local);
        let (id, mine) = signed_in(app.ask(&anonymous(), register("ada", "lovelace1")).await);
        let (_, other) = signed_in(app.ask(&anonymous(), login("ada", "lovelace1")).await);
        let caller = Caller { credential: Some(app.handler.digest(&mine).into()), ..by_http(&id) };
        let change = |current: &str, next: &str| AccountCommand::ChangePassword { current: current.into(), next: next.into() };
        assert_eq!(code(app.ask(&caller, change("lovelace1", "short")).await), Code::Invalid);
        assert_eq!(code(app.ask(&caller, change("lovelace1", &"x".repeat(257))).await), Code::Invalid);
        for wrong in ["babbage11", "", &"x".repeat(300)] {
            assert_eq!(code(app.ask(&caller, change(wrong, "countess1")).await), Code::Forbidden);
        }
        assert!(signed_out(&app).is_empty());
        app.ask(&caller, change("lovelace1", "countess1")).await.expect("changed");
        assert_eq!(signed_out(&app), [(id.clone(), app.handler.digest(&other))]);
        assert!(app.handler.session(&app.handler.digest(&mine)).await.expect("an answer").is_some(), "this session stays");
        assert_eq!(code(app.ask(&anonymous(), login("ada", "lovelace1")).await), Code::Unauthenticated);
        signed_in(app.ask(&anonymous(), login("ada", "countess1")).await);
        assert_eq!(code(app.ask(&by_http("nobody"), change("lovelace1", "countess1")).await), Code::NotFound);
        assert_eq!(code(app.ask(&anonymous(), change("lovelace1", "countess1")).await), Code::Unauthenticated);
    }

    async fn h12_requests_with_the_old_password_fail_once_it_is_replaced() {
        let app = TestApp::new(Identity::Local);
        let (id, mine) = signed_in(app.ask(&anonymous(), register("ada", "lovelace1")).await);
        let caller = Caller { credential: Some(app.handler.digest(&mine).into()), ..by_http(&id) };
        let change = AccountCommand::ChangePassword { current: "lovelace1".into(), next: "mallory11".into() };
        let waits = app.passwords.answers.write().await;
        let before = app.passwords.verified.load(Ordering::Relaxed);
        let meanwhile = async {
            while app.passwords.verified.load(Ordering::Relaxed) < before + 2 {
                tokio::task::yield_now().await;
            }
            let owner = user(&id);
            let set = app.store.set_password(&owner, "hash of lovelace1", "hash of countess1", None);
            set.await.expect("an answer").expect("the owner's");
            drop(waits);
        };
        let anybody = anonymous();
        let (signing_in, changing, ()) =
            tokio::join!(app.ask(&anybody, login("ada", "lovelace1")), app.ask(&caller, change), meanwhile);
        assert_eq!((code(signing_in), code(changing)), (Code::Unauthenticated, Code::Forbidden));
        assert!(app.store.sessions_of(&user(&id)).await.expect("an answer").is_empty());
        signed_in(app.ask(&anonymous(), login("ada", "countess1")).await);
    }

    async fn guesses_of_the_current_password_are_limited() {
        let app = TestApp::new(Identity::Local);
        let from = Caller { address: Some("192.0.2.1".parse().expect("an address")), ..anonymous() };
        let (id, _) = signed_in(app.ask(&from, register("ada", "lovelace1")).await);
        let caller = Caller { address: from.address, ..by_http(&id) };
        let change = |current: &str| AccountCommand::ChangePassword { current: current.into(), next: "countess1".into() };
        for _ in 0..10 {
            assert_eq!(code(app.ask(&caller, change("a wrong guess")).await), Code::Forbidden);
        }
        assert_eq!(code(app.ask(&caller, change("lovelace1")).await), Code::RateLimited);
        assert_eq!(code(app.ask(&from, login("ada", "lovelace1")).await), Code::RateLimited, "sign-ins and password changes share a limit");
    }

    async fn a_user_changes_their_own_name_and_avatar() {
        let app = TestApp::new(Identity::Local);
        let (id, _) = signed_in(app.ask(&anonymous(), register("ada", "lovelace1")).await);
        let update = |name: Option<&str>, avatar_url: Option<Option<&str>>| AccountCommand::Update {
            name: name.map(Into::into),
            avatar_url: avatar_url.map(|url| url.map(Into::into)),
        };
        let seen = async |command: AccountCommand| match app.ask(&by_http(&id), command).await.expect("changed") {
            Reply::Accounts(AccountReply::User(user)) => (user.name.to_string(), user.avatar_url.map(|url| url.to_string())),
            other => panic!("{other:?}"),
        };
        assert_eq!(seen(update(Some("Countess"), None)).await, ("Countess".into(), None));
        assert_eq!(seen(update(None, Some(Some("/ada.png")))).await, ("Countess".into(), Some("/ada.png".into())));
        assert_eq!(seen(update(Some("Ada"), None)).await, ("Ada".into(), Some("/ada.png".into())));
        assert_eq!(seen(update(None, Some(None))).await, ("Ada".into(), None));
        assert_eq!(&*app.name_of(&id).await, "Ada");
        assert_eq!(seen(update(Some("Ada"), Some(None))).await, ("Ada".into(), None), "an unchanged profile is not counted");
        assert_eq!(seen(update(Some("One more"), None)).await, ("One more".into(), None));
        let too_often = app.ask(&by_http(&id), update(Some("Too many"), None)).await;
        assert_eq!(code(too_often), Code::RateLimited);
        assert_eq!(code(app.ask(&anonymous(), update(Some("x"), None)).await), Code::Unauthenticated);
        app.ask(&host(), AdminCommand::PutProfile(named(&id, "By the host"))).await.expect("written");
        app.clock.pass(Duration::from_secs(60));
        assert_eq!(code(app.ask(&by_http(&id), update(Some("By me"), None)).await), Code::Forbidden);
    }

    async fn h12_with_closed_registration_only_the_operator_creates_accounts() {
        let app = TestApp::with(Settings { is_registration_open: false, ..Settings::default() });
        let refused = app.ask(&anonymous(), register("ada", "lovelace1")).await.expect_err("closed");
        assert_eq!(refused.code, Code::Forbidden);
        let Ok(Reply::Accounts(AccountReply::User(user))) = app.ask(&host(), register("ada", "lovelace1")).await else { panic!("made") };
        assert!(app.events().is_empty(), "the host's registration signs in no user");
        assert_eq!(signed_in(app.ask(&anonymous(), login("ada", "lovelace1")).await).0, user.id.to_string());
        assert_eq!(code(app.ask(&host(), register("ada", "lovelace1")).await), Code::Conflict);
    }
}
