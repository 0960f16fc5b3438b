//! Who may ask for what at all.

use crate::support::*;
use lamplight_domain::identity::{ConnectionId, Profile};
use lamplight_domain::presence::{OfflineReason, StatusOverride};
use lamplight_domain::roster_feed::Mode;
use lamplight_usecases::command::Principal;
use lamplight_usecases::handler::Identity;
use lamplight_usecases::ports::Range;
use lamplight_usecases::{Code, Command, Reply};

fn join(id: &str) -> Command {
    Command::Join {
        user: user(id),
        mode: Mode::Diff,
        name: None,
        avatar_url: None,
    }
}

/// What only a user may ask for, on a socket.
fn of_a_user_on_a_socket() -> Vec<Command> {
    vec![
        Command::Activity { active: true },
        Command::Leave {
            reason: OfflineReason::Closed,
        },
        Command::SignOut,
        Command::SetActivity(None),
        Command::Watch(vec![user("b")]),
        Command::Unwatch(vec![user("b")]),
        Command::View(conversation("7")),
        Command::Unview(conversation("7")),
    ]
}

/// What only a user may ask for, by whichever way.
fn of_a_user() -> Vec<Command> {
    vec![
        Command::SetStatus(StatusOverride::default()),
        send(&conversation("7"), "hello"),
        Command::Typing {
            conversation: conversation("7"),
            is_typing: true,
        },
        Command::MarkRead {
            conversation: conversation("7"),
            seq: 1,
        },
        Command::Sync {
            have: vec![(conversation("7"), 0).into()],
            refused: vec![],
        },
        Command::ListConversations {
            cursor: None,
            limit: 10,
        },
        Command::OpenConversation(user("b")),
        Command::History {
            conversation: conversation("7"),
            range: Range::Newest,
            limit: 10,
        },
        Command::ListUsers {
            query: String::new(),
            cursor: None,
            limit: 10,
        },
    ]
}

fn of_the_host() -> Vec<Command> {
    vec![
        Command::PutConversation {
            conversation: conversation("7"),
            members: vec![user("a")],
        },
        Command::PutProfile(Profile::bare(user("a"))),
    ]
}

fn list_online() -> Command {
    Command::ListOnline {
        exclude: None,
        count_only: false,
        cursor: None,
        limit: 10,
    }
}

usecase_tests! {
    async fn whoever_has_not_said_who_they_are_is_unauthenticated() {
        for identity in [Identity::Local, Identity::Jwt, Identity::Open] {
            let app = TestApp::new(identity);
            for command in of_a_user().into_iter().chain(of_a_user_on_a_socket()).chain(of_the_host()) {
                let asked = format!("{identity:?}: {command:?}");
                assert_eq!(code(app.ask(&nobody(), command).await), Code::Unauthenticated, "{asked}");
            }
            let online = app.ask(&nobody(), list_online()).await;
            if identity == Identity::Open {
                assert!(matches!(online, Ok(Reply::Online { .. })), "in open anyone may ask who is in");
            } else {
                assert_eq!(code(online), Code::Unauthenticated);
                assert_eq!(code(app.ask(&nobody(), join("a")).await), Code::Unauthenticated);
            }
            assert!(app.events().is_empty(), "a refusal changes nothing");
        }
    }

    async fn the_server_key_is_not_a_user_and_a_user_is_not_the_host() {
        let app = TestApp::new(Identity::Jwt);
        for command in of_a_user().into_iter().chain(of_a_user_on_a_socket()).chain([join("a")]) {
            let asked = format!("{command:?}");
            assert_eq!(code(app.ask(&host(), command).await), Code::Forbidden, "{asked}");
        }
        for command in of_the_host() {
            let asked = format!("{command:?}");
            assert_eq!(code(app.ask(&on_socket("a", "s"), command).await), Code::Forbidden, "{asked}");
        }
        assert!(app.events().is_empty());
        assert!(matches!(app.ask(&host(), list_online()).await, Ok(Reply::Online { .. })));
    }

    async fn what_needs_a_socket_is_invalid_without_one() {
        let app = TestApp::new(Identity::Jwt);
        for command in of_a_user_on_a_socket().into_iter().chain([join("a")]) {
            let asked = format!("{command:?}");
            assert_eq!(code(app.ask(&by_http("a"), command).await), Code::Invalid, "{asked}");
        }
    }

    async fn a_token_announces_its_own_user_only() {
        for identity in [Identity::Local, Identity::Jwt] {
            let app = TestApp::new(identity);
            assert_eq!(code(app.ask(&on_socket("a", "s"), join("b")).await), Code::Forbidden);
            assert!(app.events().is_empty() && app.hub.admitted.lock().is_empty());
            assert!(app.ask(&on_socket("a", "s"), join("a")).await.is_ok());
            assert_eq!(*app.hub.admitted.lock(), [(ConnectionId::trusted("s"), user("a"))]);
            assert_eq!(*app.hub.followed.lock(), [(ConnectionId::trusted("s"), Mode::Diff)]);
        }
    }

    async fn in_open_the_first_word_counts() {
        let app = TestApp::new(Identity::Open);
        assert!(app.ask(&nobody(), join("a")).await.is_ok());
        assert_eq!(code(app.ask(&claimed("a", "nobody"), join("b")).await), Code::Conflict);
        assert!(app.ask(&claimed("a", "nobody"), join("a")).await.is_ok(), "again is a fresh snapshot");
        assert_eq!(app.hub.followed.lock().len(), 2);
        assert_eq!(app.presence_changes().len(), 1, "and no news for anyone");
    }

    async fn what_people_say_of_themselves_counts_in_open_alone() {
        let said = |id: &str| Command::Join { user: user(id), mode: Mode::Full, name: Some("Ada".into()), avatar_url: Some("/a.png".into()) };
        for identity in [Identity::Open, Identity::Jwt, Identity::Local] {
            let app = TestApp::new(identity);
            let who = if identity == Identity::Open { nobody() } else { on_socket("a", "s") };
            let Ok(Reply::Joined { user: profile, .. }) = app.ask(&who, said("a")).await else { panic!("joined") };
            let expected = if identity == Identity::Open { ("Ada", Some("/a.png")) } else { ("a", None) };
            assert_eq!((&*profile.name, profile.avatar_url.as_deref()), expected, "{identity:?}");
        }
    }

    async fn the_hosts_word_beats_ones_own() {
        let app = TestApp::new(Identity::Open);
        app.ask(&host(), Command::PutProfile(named("a", "Augusta"))).await.expect("written");
        let said = Command::Join { user: user("a"), mode: Mode::Full, name: Some("Ada".into()), avatar_url: None };
        let Ok(Reply::Joined { user: profile, .. }) = app.ask(&nobody(), said).await else { panic!("joined") };
        assert_eq!(&*profile.name, "Augusta");
    }

    async fn a_user_is_told_who_they_are_where_accounts_are_ours() {
        let app = TestApp::new(Identity::Local);
        assert_eq!(code(app.ask(&nobody(), Command::WhoAmI).await), Code::Unauthenticated);
        let open = TestApp::new(Identity::Open);
        for command in [
            Command::WhoAmI,
            Command::Logout,
            Command::Login { username: "ada".into(), password: "lovelace1".into() },
            Command::Register { username: "ada".into(), password: "lovelace1".into(), name: None },
        ] {
            assert_eq!(code(open.ask(&nobody(), command).await), Code::NotFound, "accounts are not even there outside local");
        }
        assert!(matches!(by_http("a").principal, Principal::User(_)));
    }
}
