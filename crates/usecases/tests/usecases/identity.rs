//! Which principals may call which commands.

use crate::support::*;
use lamplight_domain::identity::{ConnectionId, Profile};
use lamplight_domain::presence::{OfflineReason, StatusOverride};
use lamplight_domain::roster_feed::Mode;
use lamplight_usecases::ports::Range;
use lamplight_usecases::{
    AccountCommand, AdminCommand, Code, Command, ConversationCommand, Identity, MessageCommand,
    PresenceCommand, PresenceReply, Principal, Reply,
};

fn join(id: &str) -> PresenceCommand {
    PresenceCommand::Join {
        user: user(id),
        mode: Mode::Diff,
        name: None,
        avatar_url: None,
    }
}

/// Commands that need a user on a socket.
fn connection_commands() -> Vec<Command> {
    vec![
        PresenceCommand::Heartbeat { active: true }.into(),
        PresenceCommand::Leave {
            reason: OfflineReason::Closed,
        }
        .into(),
        PresenceCommand::SignOut.into(),
        PresenceCommand::SetActivity(None).into(),
        PresenceCommand::Watch(vec![user("b")]).into(),
        PresenceCommand::Unwatch(vec![user("b")]).into(),
        ConversationCommand::View(conversation("7")).into(),
        ConversationCommand::Unview(conversation("7")).into(),
    ]
}

/// Commands that need a user, over any transport.
fn user_commands() -> Vec<Command> {
    vec![
        PresenceCommand::SetStatus(StatusOverride::default()).into(),
        send(&conversation("7"), "hello").into(),
        PresenceCommand::Typing {
            conversation: conversation("7"),
            is_typing: true,
        }
        .into(),
        MessageCommand::MarkRead {
            conversation: conversation("7"),
            seq: 1,
        }
        .into(),
        MessageCommand::Sync {
            have: vec![(conversation("7"), 0).into()],
            refused: vec![],
        }
        .into(),
        ConversationCommand::List {
            filter: None,
            cursor: None,
            limit: 10,
        }
        .into(),
        ConversationCommand::Open(user("b")).into(),
        MessageCommand::History {
            conversation: conversation("7"),
            range: Range::Newest,
            limit: 10,
        }
        .into(),
        AccountCommand::ListUsers {
            query: String::new(),
            cursor: None,
            limit: 10,
        }
        .into(),
    ]
}

fn service_commands() -> Vec<Command> {
    vec![
        AdminCommand::PutConversation {
            conversation: conversation("7"),
            members: vec![user("a")],
        }
        .into(),
        AdminCommand::PutProfile(Profile::bare(user("a"))).into(),
        AdminCommand::SignOut(user("a")).into(),
    ]
}

fn list_online() -> PresenceCommand {
    PresenceCommand::ListOnline {
        exclude: None,
        count_only: false,
        cursor: None,
        limit: 10,
    }
}

usecase_tests! {
    async fn anonymous_callers_are_unauthenticated() {
        for identity in [Identity::Local, Identity::Jwt, Identity::Open] {
            let app = TestApp::new(identity);
            for command in user_commands().into_iter().chain(connection_commands()).chain(service_commands()) {
                let asked = format!("{identity:?}: {command:?}");
                assert_eq!(code(app.ask(&anonymous(), command).await), Code::Unauthenticated, "{asked}");
            }
            let online = app.ask(&anonymous(), list_online()).await;
            if identity == Identity::Open {
                assert!(matches!(online, Ok(Reply::Presence(PresenceReply::Online { .. }))), "in open the roster is public");
            } else {
                assert_eq!(code(online), Code::Unauthenticated);
                assert_eq!(code(app.ask(&anonymous(), join("a")).await), Code::Unauthenticated);
            }
            assert!(app.events().is_empty(), "a refusal changes nothing");
        }
    }

    async fn the_host_cannot_act_as_a_user_nor_a_user_as_the_host() {
        let app = TestApp::new(Identity::Jwt);
        for command in user_commands().into_iter().chain(connection_commands()).chain([join("a").into()]) {
            let asked = format!("{command:?}");
            assert_eq!(code(app.ask(&host(), command).await), Code::Forbidden, "{asked}");
        }
        for command in service_commands() {
            let asked = format!("{command:?}");
            assert_eq!(code(app.ask(&on_socket("a", "s"), command).await), Code::Forbidden, "{asked}");
        }
        assert!(app.events().is_empty());
        assert!(matches!(app.ask(&host(), list_online()).await, Ok(Reply::Presence(PresenceReply::Online { .. }))));
    }

    async fn commands_of_connections_are_invalid_over_http() {
        let app = TestApp::new(Identity::Jwt);
        for command in connection_commands().into_iter().chain([join("a").into()]) {
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

    async fn in_open_the_first_join_names_the_user_of_a_connection() {
        let app = TestApp::new(Identity::Open);
        assert!(app.ask(&anonymous(), join("a")).await.is_ok());
        assert_eq!(code(app.ask(&claimed("a", "nobody"), join("b")).await), Code::Conflict);
        assert!(app.ask(&claimed("a", "nobody"), join("a")).await.is_ok(), "a repeated join returns a new snapshot");
        assert_eq!(app.hub.followed.lock().len(), 2);
        assert_eq!(app.presence_changes().len(), 1, "a repeated join is not published");
    }

    async fn profiles_in_joins_are_used_in_open_only() {
        let join_with_profile = |id: &str| PresenceCommand::Join { user: user(id), mode: Mode::Full, name: Some("Ada".into()), avatar_url: Some("/a.png".into()) };
        for identity in [Identity::Open, Identity::Jwt, Identity::Local] {
            let app = TestApp::new(identity);
            let who = if identity == Identity::Open { anonymous() } else { on_socket("a", "s") };
            let Ok(Reply::Presence(PresenceReply::Joined { user: profile, .. })) = app.ask(&who, join_with_profile("a")).await else { panic!("joined") };
            let expected = if identity == Identity::Open { ("Ada", Some("/a.png")) } else { ("a", None) };
            assert_eq!((&*profile.name, profile.avatar_url.as_deref()), expected, "{identity:?}");
        }
    }

    async fn a_profile_of_the_host_outranks_the_users_own() {
        let app = TestApp::new(Identity::Open);
        app.ask(&host(), AdminCommand::PutProfile(named("a", "Augusta"))).await.expect("written");
        let join = PresenceCommand::Join { user: user("a"), mode: Mode::Full, name: Some("Ada".into()), avatar_url: None };
        let Ok(Reply::Presence(PresenceReply::Joined { user: profile, .. })) = app.ask(&anonymous(), join).await else { panic!("joined") };
        assert_eq!(&*profile.name, "Augusta");
    }

    async fn account_commands_exist_in_local_only() {
        let app = TestApp::new(Identity::Local);
        assert_eq!(code(app.ask(&anonymous(), AccountCommand::WhoAmI).await), Code::Unauthenticated);
        let open = TestApp::new(Identity::Open);
        for command in [
            AccountCommand::WhoAmI,
            AccountCommand::Logout,
            AccountCommand::Login { username: "ada".into(), password: "lovelace1".into() },
            AccountCommand::Register { username: "ada".into(), password: "lovelace1".into(), name: None },
        ] {
            assert_eq!(code(open.ask(&anonymous(), command).await), Code::NotFound, "accounts exist in local only");
        }
        assert!(matches!(by_http("a").principal, Principal::User(_)));
    }
}
