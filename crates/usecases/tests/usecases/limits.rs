//! Rate limits, and the waits that refusals report.

use crate::support::*;
use lamplight_domain::roster_feed::Mode;
use lamplight_usecases::quotas::Quotas;
use lamplight_usecases::{
    AccountCommand, Caller, Code, ConversationCommand, Identity, PresenceCommand, Refusal, Settings,
};
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

fn from(address: &str) -> Caller {
    Caller {
        address: Some(address.parse::<IpAddr>().expect("an address")),
        ..anonymous()
    }
}

fn guess(username: &str) -> AccountCommand {
    AccountCommand::Login {
        username: username.into(),
        password: "a guess or two".into(),
    }
}

fn register(username: &str) -> AccountCommand {
    AccountCommand::Register {
        username: username.into(),
        password: "a good password".into(),
        name: None,
    }
}

fn login(username: &str) -> AccountCommand {
    AccountCommand::Login {
        username: username.into(),
        password: "a good password".into(),
    }
}

fn too_often(answer: Answer) -> Duration {
    let refusal: Refusal = answer.expect_err("a refusal");
    assert_eq!(refusal.code, Code::RateLimited);
    assert!(refusal.code.is_retryable());
    refusal.retry_after.expect("how long to wait")
}

usecase_tests! {
    async fn large_events_are_limited_by_address_together() {
        let app = TestApp::new(Identity::Jwt);
        let [one, other] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().expect("an address"));
        let count = |address, bytes| app.handler.count_event(address, bytes).map_err(|(refusal, pause)| {
            (refusal.code, pause)
        });
        for _ in 0..1_000 {
            assert_eq!(count(one, 65_535), Ok(()), "an ordinary event does not count");
        }
        // 50 times 64 KiB a second.
        for _ in 0..3 {
            assert_eq!(count(one, 16 * 65_536), Ok(()));
        }
        let pause = Duration::from_secs(16);
        assert_eq!(count(one, 16 * 65_536), Err((Code::RateLimited, pause)));
        assert_eq!(count(one, 65_535), Ok(()));
        assert_eq!(count(other, 16 * 65_536), Ok(()), "another address");
        app.clock.pass(Duration::from_secs(1));
        assert_eq!(count(one, 16 * 65_536), Ok(()));
    }

    async fn sends_are_limited_to_twenty_a_second() {
        let app = TestApp::new(Identity::Jwt);
        let (a, b) = (by_http("a"), by_http("b"));
        let place = app.open_with(&a, "b").await;
        for n in 0..20 {
            app.send(&a, &place, &n.to_string()).await;
        }
        let wait = too_often(app.ask(&a, send(&place, "one too many")).await);
        assert!(wait > Duration::ZERO && wait <= Duration::from_millis(50), "{wait:?}");
        app.send(&b, &place, "another user has a separate limit").await;
        app.clock.jump(3_600_000);
        too_often(app.ask(&a, send(&place, "p9: the wall clock does not matter")).await);
        app.clock.pass(wait);
        let message = app.send(&a, &place, "the reported wait suffices").await;
        assert_eq!(message.seq, 22, "a refusal took no place in the log");
        app.clock.pass(Duration::from_secs(1));
        for n in 0..20 {
            app.send(&a, &place, &n.to_string()).await;
        }
    }

    async fn typing_events_are_limited_to_five_a_second() {
        let app = TestApp::new(Identity::Jwt);
        let a = on_socket("a", "sa");
        let place = app.open_with(&a, "b").await;
        let typing = || PresenceCommand::Typing { conversation: place.clone(), is_typing: true };
        for _ in 0..5 {
            app.ask(&a, typing()).await.expect("accepted");
        }
        let wait = too_often(app.ask(&a, typing()).await);
        assert_eq!(app.typing().len(), 5);
        app.clock.pass(wait);
        app.ask(&a, typing()).await.expect("accepted");
    }

    async fn joins_are_limited_to_ten_a_minute_by_socket() {
        let app = TestApp::new(Identity::Jwt);
        let join = || PresenceCommand::Join { user: user("a"), mode: Mode::Full, name: None, avatar_url: None };
        for _ in 0..10 {
            app.ask(&on_socket("a", "s1"), join()).await.expect("joined");
        }
        let wait = too_often(app.ask(&on_socket("a", "s1"), join()).await);
        assert!(wait <= Duration::from_secs(6), "{wait:?}");
        assert_eq!(app.hub.followed.lock().len(), 10);
        app.ask(&on_socket("a", "s2"), join()).await.expect("another socket has a separate limit");
    }

    async fn all_spellings_of_a_user_name_share_one_limit() {
        let app = TestApp::new(Identity::Local);
        app.ask(&anonymous(), register("sissi")).await.expect("registered");
        // Each spelling means that account: the long s and the capitals fold to the same name.
        let spellings = ["sissi", "SISSI", "Sissi", "\u{17f}issi", "si\u{17f}si", "sis\u{17f}i", "\u{17f}i\u{17f}\u{17f}i"];
        for n in 0..10 {
            let answer = app.ask(&from(&format!("192.0.2.{n}")), guess(spellings[n % spellings.len()])).await;
            assert_eq!(code(answer), Code::Unauthenticated);
        }
        for spelling in spellings {
            too_often(app.ask(&from("192.0.2.99"), guess(spelling)).await);
        }
    }

    async fn h7_guesses_at_one_account_are_limited_by_network() {
        for (networks, elsewhere) in [(["192.0.2.1", "192.0.2.200"], "192.0.3.1"), (["2001:db8::1", "2001:db8::ffff:1"], "2001:db8:0:1::1")] {
            let app = TestApp::new(Identity::Local);
            for n in 0..10 {
                assert_eq!(code(app.ask(&from(networks[n % 2]), guess("Ada")).await), Code::Unauthenticated);
            }
            let wait = too_often(app.ask(&from(networks[0]), guess(" aDA ")).await);
            assert!(wait <= Duration::from_secs(6));
            assert_eq!(code(app.ask(&from(networks[0]), guess("grace")).await), Code::Unauthenticated);
            assert_eq!(code(app.ask(&from(elsewhere), guess("ada")).await), Code::Unauthenticated);
            app.clock.pass(wait);
            assert_eq!(code(app.ask(&from(networks[0]), guess("ada")).await), Code::Unauthenticated);
        }
    }

    async fn h7_guesses_of_others_do_not_lock_out_a_known_network() {
        let app = TestApp::new(Identity::Local);
        let home = from("198.51.100.7");
        app.ask(&home, register("ada")).await.expect("registered");
        // As many guesses as possible, from many networks, for an hour.
        for minute in 0..60 {
            let mut refused = 0;
            for n in 0..200 {
                match code(app.ask(&from(&format!("203.0.{}.{minute}", n % 50)), guess("ada")).await) {
                    Code::Unauthenticated => {}
                    Code::RateLimited => refused += 1,
                    other => panic!("{other:?}"),
                }
            }
            assert!(refused >= 80, "at most a hundred guesses a minute and the initial allowance: {refused}");
            app.ask(&home, login("ada")).await.expect("signed in");
            app.ask(&from("198.51.100.200"), login("ada")).await.expect("the same network");
            // A network without a sign-in of this user has to wait like the guessing ones.
            too_often(app.ask(&from("198.18.0.1"), login("ada")).await);
            app.clock.pass(Duration::from_secs(60));
        }
    }

    async fn h7_a_network_is_known_to_its_account_for_thirty_days_after_a_sign_in() {
        let app = TestApp::new(Identity::Local);
        let home = from("198.51.100.7");
        app.ask(&home, register("ada")).await.expect("registered");
        app.ask(&from("198.18.0.1"), register("mallory")).await.expect("registered");
        let siege = async || {
            for n in 0..120 {
                let _ = app.ask(&from(&format!("203.0.{n}.1")), guess("ada")).await;
            }
        };
        app.clock.pass(Duration::from_secs(29 * 24 * 3_600));
        siege().await;
        app.ask(&home, login("ada")).await.expect("a known network, whose period starts again");
        too_often(app.ask(&from("198.18.0.1"), login("ada")).await);
        app.clock.pass(Duration::from_secs(30 * 24 * 3_600 + 1));
        siege().await;
        too_often(app.ask(&home, login("ada")).await);
    }

    async fn h7_a_neighbour_in_the_same_site_does_not_lock_out_the_owner() {
        let app = TestApp::new(Identity::Local);
        let home = from("2001:db8:7:1::1");
        app.ask(&home, register("ada")).await.expect("registered");
        for n in 256..556 {
            let _ = app.ask(&from(&format!("2001:db8:7:{n:x}::1")), guess("ada")).await;
        }
        too_often(app.ask(&from("2001:db8:7:fff::1"), guess("grace")).await);
        app.ask(&home, login("ada")).await.expect("signed in");
    }

    async fn h12_rotating_through_the_networks_of_one_site_is_limited() {
        let app = TestApp::new(Identity::Local);
        let mut tried = 0;
        for n in 0..300 {
            let answer = app.ask(&from(&format!("2001:db8:7:{n:x}::1")), guess(&format!("user{n}"))).await;
            tried += usize::from(code(answer) == Code::Unauthenticated);
        }
        assert_eq!(tried, 100);
        assert_eq!(code(app.ask(&from("2001:db8:8::1"), guess("ada")).await), Code::Unauthenticated, "another site has a separate limit");
    }

    async fn h12_only_new_conversations_are_limited_to_twenty_a_minute() {
        for identity in [Identity::Jwt, Identity::Open] {
            let app = TestApp::new(identity);
            let (a, b) = (by_http("a"), by_http("b"));
            for n in 0..20 {
                app.open_with(&a, &format!("u{n}")).await;
            }
            for _ in 0..3 {
                for n in 0..20 {
                    app.open_with(&a, &format!("u{n}")).await;
                }
            }
            let wait = too_often(app.ask(&a, ConversationCommand::Open(user("stranger"))).await);
            assert!(wait <= Duration::from_secs(3), "{wait:?}");
            assert_eq!(app.wait_for_changes(20).await.len(), 20, "published once each");
            app.open_with(&b, "a").await;
            app.clock.pass(wait);
            app.open_with(&a, "stranger").await;
        }
    }

    async fn guesses_from_one_address_are_limited_over_all_accounts() {
        for addresses in [["192.0.2.1", "192.0.2.9"], ["2001:db8::1", "2001:db8::ffff:1"], ["192.0.2.1", "::ffff:192.0.2.1"]] {
            let app = TestApp::new(Identity::Local);
            for n in 0..30 {
                assert_eq!(code(app.ask(&from(addresses[0]), guess(&format!("user{n}"))).await), Code::Unauthenticated);
            }
            too_often(app.ask(&from(addresses[1]), guess("ada")).await);
            let register = AccountCommand::Register { username: "ada".into(), password: "lovelace1".into(), name: None };
            too_often(app.ask(&from(addresses[1]), register).await);
            // Guesses from there do not lock out other addresses.
            for _ in 0..10 {
                assert_eq!(code(app.ask(&from("198.51.100.7"), guess("ada")).await), Code::Unauthenticated);
            }
        }
    }

    async fn refused_tokens_are_limited_by_address() {
        let app = TestApp::new(Identity::Jwt);
        let address: IpAddr = "192.0.2.1".parse().expect("an address");
        for _ in 0..30 {
            app.handler.count_refused_token(address).expect("counted");
        }
        assert_eq!(app.handler.count_refused_token(address).expect_err("too often").code, Code::RateLimited);
        let wait = app.handler.may_try_token(address).expect_err("h8: even a valid one is refused").retry_after.expect("how long to wait");
        app.clock.pass(wait - Duration::from_millis(1));
        assert!(app.handler.may_try_token(address).is_err());
        app.clock.pass(Duration::from_millis(1));
        app.handler.may_try_token(address).expect("a minute has passed");
        app.handler.count_refused_token(address).expect("counted anew");
        app.handler.count_refused_token("192.0.2.2".parse().expect("an address")).expect("another address");
    }

    async fn zero_turns_a_limit_off() {
        let quotas = Quotas { sends: 0, typing: 0, joins: 0, logins: 0, conversations: 0, reads: 0 };
        let app = TestApp::with(Settings { identity: Identity::Local, quotas, ..Settings::default() });
        for _ in 0..100 {
            assert_eq!(code(app.ask(&from("192.0.2.1"), guess("ada")).await), Code::Unauthenticated);
            assert_eq!(code(app.ask(&by_http("a"), send(&conversation("7"), "hello")).await), Code::NotFound);
        }
    }

    async fn idle_users_take_no_memory_in_the_limits() {
        let app = TestApp::new(Identity::Local);
        for n in 0..200 {
            let _ = app.ask(&by_http(&format!("u{n}")), send(&conversation("7"), "hello")).await;
            let _ = app.ask(&from(&format!("192.0.2.{n}")), guess(&format!("user{n}"))).await;
        }
        assert!(app.handler.table_sizes().limits > 0);
        app.clock.pass(Duration::from_secs(120));
        app.handler.forget_idle();
        assert_eq!(app.handler.table_sizes().limits, 0);
    }

    async fn searches_are_limited_to_ten_a_second_and_lists_are_not() {
        let app = TestApp::new(Identity::Jwt);
        let search = |query: &str| AccountCommand::ListUsers { query: query.into(), cursor: None, limit: 10 };
        for _ in 0..10 {
            app.ask(&by_http("a"), search("zzzzz")).await.expect("an empty page");
        }
        let wait = too_often(app.ask(&by_http("a"), search("zzzzz")).await);
        app.ask(&by_http("a"), search("")).await.expect("a page of the whole list is no search");
        app.ask(&by_http("b"), search("zzzzz")).await.expect("another user has a separate limit");
        app.clock.pass(wait);
        app.ask(&by_http("a"), search("zzzzz")).await.expect("an empty page");
    }

    async fn one_search_runs_at_a_time_and_delays_no_other_work() {
        let app = TestApp::new(Identity::Jwt);
        app.join(&on_socket("a", "sa")).await;
        app.directory.hold_search(true);
        let search = async |who: &str| {
            let search = AccountCommand::ListUsers { query: "zzzzz".into(), cursor: None, limit: 10 };
            app.ask(&by_http(who), search).await
        };
        // A cancelled caller leaves the search running in the store.
        assert!(tokio::time::timeout(Duration::from_millis(100), search("a")).await.is_err());
        let (one, two, ()) = tokio::join!(search("b"), search("c"), async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert_eq!(app.directory.searches.load(Ordering::Relaxed), 1, "the others wait for it");
            app.join(&on_socket("a", "sa")).await;
            app.directory.hold_search(false);
        });
        one.and(two).expect("an empty page");
        assert_eq!(app.directory.searches.load(Ordering::Relaxed), 3);
    }
}
