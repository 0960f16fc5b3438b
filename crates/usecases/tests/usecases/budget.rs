//! The scope and the budget of every command.

use crate::support::*;
use lamplight_domain::group::{GroupAction, History};
use lamplight_domain::identity::MessageId;
use lamplight_domain::member_settings::SettingsChange;
use lamplight_domain::presence::{Activity, OfflineReason, PrivacyChange, StatusOverride};
use lamplight_domain::roster_feed::Mode;
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::Range;
use lamplight_usecases::{
    AccountCommand, Budget, Caller, Code, Command, Identity, MessageCommand, MessageReply,
    PresenceCommand, PresenceReply, Principal, Reply, Scope,
};
use std::time::Duration;

/// An example of every command, and their names. The match makes the list complete: a new command
/// does not compile until it is named here, with an example.
macro_rules! every_command {
    ($($area:ident($commands:ident) { $($name:ident => $example:expr,)* })*) => {
        fn every_command() -> Vec<Command> {
            use lamplight_usecases::*;
            vec![$($(Command::from({
                use $commands::*;
                $example
            }),)*)*]
        }

        fn name(command: &Command) -> &'static str {
            match command {
                $($(Command::$area(lamplight_usecases::$commands::$name { .. }) => {
                    concat!(stringify!($area), "::", stringify!($name))
                })*)*
            }
        }

        const NAMES: &[&str] = &[$($(concat!(stringify!($area), "::", stringify!($name)),)*)*];
    };
}

every_command! {
    Presence(PresenceCommand) {
        Join => Join { user: user("a"), mode: Mode::Full, name: None, avatar_url: None },
        Heartbeat => Heartbeat { active: true },
        Resume => Resume,
        Leave => Leave { reason: OfflineReason::Closed },
        SignOut => SignOut,
        SetStatus => SetStatus(StatusOverride::default()),
        SetActivity => SetActivity(Some(Activity { kind: "in_call".into(), label: None, conversation: None })),
        Watch => Watch(vec![user("b")]),
        Unwatch => Unwatch(vec![user("b")]),
        Typing => Typing { conversation: conversation("7"), is_typing: true },
        ListOnline => ListOnline { exclude: None, count_only: true, cursor: None, limit: 50 },
    }
    Conversations(ConversationCommand) {
        Open => Open(user("b")),
        List => List { filter: None, cursor: None, limit: 50 },
        Set => Set { conversation: conversation("7"), change: SettingsChange::default() },
        View => View(conversation("7")),
        Unview => Unview(conversation("7")),
    }
    Groups(GroupCommand) {
        Make => Make { members: vec![user("b")], name: None, avatar_url: None, history: History::Joined, client_id: None },
        Change => Change { conversation: conversation("7"), action: GroupAction::Add(vec![user("c")]), key: None },
        Members => Members { conversation: conversation("7"), cursor: None, limit: 50 },
    }
    Messages(MessageCommand) {
        Send => Send { conversation: conversation("7"), content: "hello".into(), reply_to: None, mentions: vec![], attachments: vec![], key: None, temp_id: None },
        Change => Change { conversation: conversation("7"), message: MessageId::trusted("m"), change: MessageChange::Delete, key: None },
        MarkRead => MarkRead { conversation: conversation("7"), seq: 1 },
        Sync => Sync { have: vec![], refused: vec![] },
        History => History { conversation: conversation("7"), range: Range::Newest, limit: 50 },
        Pinned => Pinned { conversation: conversation("7"), before: u64::MAX, limit: 50 },
        Files => Files { conversation: conversation("7"), kinds: vec![lamplight_domain::file::FileKind::Media], cursor: None, limit: 50 },
        SeqAt => SeqAt { conversation: conversation("7"), at: Timestamp(0) },
        Entries => Entries { conversation: conversation("7"), range: Range::Newest, limit: 50 },
    }
    Search(SearchCommand) {
        Messages => Messages(MessageQuery {
            query: "x".into(), conversation: None, sender: None, before: None, after: None, cursor: None, limit: 20,
        }),
    }
    Blocks(BlockCommand) {
        Block => Block(user("b")),
        Unblock => Unblock(user("b")),
        List => List { cursor: None, limit: 50 },
    }
    Push(PushCommand) {
        Key => Key,
        Subscribe => Subscribe { target: target("https://push.example/a"), content: true, key: None },
        Unsubscribe => Unsubscribe { endpoint: "https://push.example/a".into() },
    }
    Accounts(AccountCommand) {
        Register => Register { username: "ada".into(), password: "short".into(), name: None },
        Login => Login { username: "ada".into(), password: "wrong".into() },
        Logout => Logout,
        LogoutAll => LogoutAll,
        ChangePassword => ChangePassword { current: "wrong".into(), next: "another good password".into() },
        Update => Update { name: Some("Ada".into()), avatar_url: None },
        Delete => Delete { password: "wrong".into(), erases_messages: false },
        Settings => Settings,
        SetSettings => SetSettings(PrivacyChange { hides_last_seen: Some(true), hides_reads: None }),
        WhoAmI => WhoAmI,
        Find => Find(user("b")),
        ListUsers => ListUsers { query: String::new(), cursor: None, limit: 50 },
    }
    Admin(AdminCommand) {
        PutConversation => PutConversation { conversation: conversation("7"), members: vec![user("a")] },
        PutProfile => PutProfile(lamplight_domain::identity::Profile::bare(user("a"))),
        SignOut => SignOut(user("a")),
    }
}

/// How many calls are accepted before one is rate limited.
async fn taken(app: &TestApp, caller: &Caller, command: &Command) -> Option<usize> {
    for n in 0..200 {
        if let Err(refusal) = app.ask(caller, command.clone()).await
            && refusal.code == Code::RateLimited
        {
            assert!(
                refusal
                    .retry_after
                    .is_some_and(|wait| wait > Duration::ZERO && wait < Duration::from_secs(60)),
                "{refusal:?}"
            );
            return Some(n);
        }
    }
    None
}

usecase_tests! {
    async fn h2_every_command_that_a_client_can_send_has_a_limit() {
        let commands = every_command();
        assert_eq!(commands.iter().map(name).collect::<Vec<_>>(), NAMES, "each example has its own name");
        for identity in [Identity::Local, Identity::Jwt] {
            for command in &commands {
                // A new app for each, so that only the limit of this command can refuse.
                let app = TestApp::new(identity);
                let caller = Caller { address: "192.0.2.1".parse().ok(), ..on_socket("a", "sa") };
                app.join(&caller).await;
                let count = taken(&app, &caller, command).await;
                let exists = identity == Identity::Local || !matches!(command, Command::Accounts(AccountCommand::Register { .. } | AccountCommand::Login { .. } | AccountCommand::ChangePassword { .. } | AccountCommand::Delete { .. }));
                let most = match command.metadata().budget {
                    Budget::Internal | Budget::Service => continue,
                    Budget::Change => 20,
                    Budget::Own if !exists => continue,
                    Budget::Own => 30,
                    // The join counted as a lookup too.
                    Budget::Read | Budget::Lookup | Budget::Write => 100,
                };
                assert!(count.is_some_and(|count| count <= most), "{} in {identity:?}: {count:?}", name(command));
            }
        }
    }

    async fn every_command_refuses_callers_outside_its_scope() {
        for identity in [Identity::Local, Identity::Jwt] {
            let app = TestApp::new(identity);
            for command in every_command() {
                let user = by_http("a");
                let refused: &[(Caller, Code)] = match command.metadata().scope {
                    Scope::Anyone => &[],
                    Scope::Reader => &[(anonymous(), Code::Unauthenticated)],
                    Scope::User => &[(anonymous(), Code::Unauthenticated), (host(), Code::Forbidden)],
                    Scope::Connection => &[(anonymous(), Code::Unauthenticated), (host(), Code::Forbidden), (user, Code::Invalid)],
                    Scope::AccountOwner if identity == Identity::Local => &[anonymous(), host(), claimed("a", "sa")].map(|caller| (caller, Code::Unauthenticated)),
                    Scope::AccountOwner => &[anonymous(), host(), user].map(|caller| (caller, Code::NotFound)),
                    Scope::Service => &[(anonymous(), Code::Unauthenticated), (user, Code::Forbidden)],
                };
                for (caller, expected) in refused {
                    let answer = app.ask(caller, command.clone()).await;
                    assert_eq!(code(answer), *expected, "{} by {:?} in {identity:?}", name(&command), caller.principal);
                }
            }
        }
    }

    async fn h2_anonymous_callers_are_limited_by_address() {
        let app = TestApp::new(Identity::Open);
        let command = PresenceCommand::ListOnline { exclude: None, count_only: true, cursor: None, limit: 50 }.into();
        let at = |address: &str| Caller { address: address.parse().ok(), ..anonymous() };
        assert_eq!(taken(&app, &at("192.0.2.1"), &command).await, Some(100));
        assert!(app.ask(&at("192.0.2.2"), command.clone()).await.is_ok());
        // The host application acts for all users.
        let host = Caller { principal: Principal::Service, ..at("192.0.2.1") };
        assert_eq!(taken(&app, &host, &command).await, None);
    }

    async fn h2_a_read_is_charged_by_the_size_of_its_reply() {
        let app = TestApp::new(Identity::Jwt);
        let (a, b) = (by_http("a"), by_http("b"));
        let place = app.open_with(&a, "b").await;
        for n in 0..40 {
            app.send(&a, &place, &format!("{n}{}", "\u{1}".repeat(7_000))).await;
            app.clock.pass(Duration::from_millis(50));
        }
        // A page of a megabyte: far fewer of them than of small pages, and more once the budget
        // has recovered.
        let page = || Command::from(MessageCommand::History { conversation: place.clone(), range: Range::Newest, limit: 200 });
        let count = taken(&app, &b, &page()).await.expect("a limit");
        assert!((6..=12).contains(&count), "{count}");
        app.clock.pass(Duration::from_secs(1));
        let again = taken(&app, &b, &page()).await.expect("a limit");
        assert!((3..=5).contains(&again), "{again}");
        app.ask(&a, page()).await.expect("another user has a separate budget");
        // Writes are not affected.
        app.send(&b, &place, "hello").await;
    }

    async fn h3_no_answer_is_longer_than_a_megabyte() {
        let app = TestApp::new(Identity::Jwt);
        let (a, b) = (by_http("a"), by_http("b"));
        let place = app.open_with(&a, "b").await;
        for n in 1..=60 {
            app.send(&a, &place, &format!("{n} {}", "\u{1}".repeat(7_900))).await;
            app.clock.pass(Duration::from_millis(50));
        }
        let mut lengths = Vec::new();
        for (range, has) in [
            (Range::Newest, 60),
            (Range::Before(61), 60),
            (Range::Before(31), 30),
            (Range::After(0), 1),
            (Range::After(20), 21),
            (Range::Around(30), 30),
            (Range::Around(1), 1),
            (Range::Around(60), 60),
        ] {
            app.clock.pass(Duration::from_secs(10));
            let page = MessageCommand::History { conversation: place.clone(), range, limit: 200 };
            let Ok(Reply::Messages(MessageReply::History(history))) = app.ask(&b, page).await else { panic!("a page") };
            let bytes: usize = history.messages.iter().map(lamplight_usecases::weight::message).sum();
            assert!(bytes <= 1_000_000, "{range:?}: {bytes}");
            assert!(bytes >= 900_000, "{range:?}: {bytes}: the page is full");
            assert!(history.has_more, "{range:?}");
            assert!(history.messages.iter().any(|message| message.entry.seq == has), "{range:?} keeps the nearest entry");
            assert!(history.messages.windows(2).all(|pair| pair[0].entry.seq + 1 == pair[1].entry.seq), "{range:?} has no gaps");
            lengths.push(history.messages.len());
        }
        assert!(lengths.iter().all(|length| (15..=25).contains(length)), "{lengths:?}");
    }

    async fn h3_states_that_exceed_an_acknowledgement_follow_it() {
        let app = TestApp::new(Identity::Open);
        let people: Vec<_> = (0..600).map(|n| format!("u{n}")).collect();
        for one in &people {
            let avatar_url = Some(format!("https://example.org/{}", "x".repeat(1_900)).into());
            let join = PresenceCommand::Join { user: user(one), mode: Mode::None, name: Some("n".repeat(200).into()), avatar_url };
            app.ask(&claimed(one, &format!("s {one}")), join).await.expect("joined");
        }
        let watcher = claimed("w", "sw");
        app.join(&watcher).await;
        let named = people.iter().map(|one| user(one)).chain([user("out")]).collect();
        let Ok(Reply::Presence(PresenceReply::Watching { users, later, later_weight })) = app.ask(&watcher, PresenceCommand::Watch(named)).await else { panic!("states") };
        let bytes: usize = users.iter().map(|(seen, _)| lamplight_usecases::weight::watched(seen)).sum();
        assert!((900_000..=1_000_000).contains(&bytes), "{bytes}");
        assert_eq!(users.len() + later.len(), 601, "each user is in one of the two");
        assert!(later.len() > 100);
        assert!(later_weight > later.len() * 1_900, "later states cost as much as those in the reply: {later_weight}");
        assert!(users.iter().any(|(seen, _)| seen.user == user("out")), "offline users are in the reply in any case");
    }
}
