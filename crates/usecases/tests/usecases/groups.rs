//! Groups: permissions, and the checks before the store is called.

use crate::support::*;
use lamplight_domain::conversation::Conversation;
use lamplight_domain::entry::EntryKind;
use lamplight_domain::group::{GroupAction, History};
use lamplight_domain::identity::{ConversationId, UserId};
use lamplight_usecases::{
    Caller, Code, ConversationReply, GroupCommand, GroupReply, Identity, Refusal, Reply, Settings,
};

fn make(members: &[&str]) -> GroupCommand {
    GroupCommand::Make {
        members: members.iter().map(|id| user(id)).collect(),
        name: None,
        avatar_url: None,
        history: History::Joined,
        client_id: None,
    }
}

fn change(place: &ConversationId, action: GroupAction) -> GroupCommand {
    GroupCommand::Change {
        conversation: place.clone(),
        action,
        key: None,
    }
}

async fn made(app: &TestApp, caller: &Caller, members: &[&str]) -> Result<Conversation, Refusal> {
    match app.ask(caller, make(members)).await? {
        Reply::Conversations(ConversationReply::One { conversation, .. }) => Ok(*conversation),
        other => panic!("a conversation, not {other:?}"),
    }
}

usecase_tests! {
    async fn a_group_has_two_members_to_the_configured_maximum() {
        let app = TestApp::with(Settings {
            identity: Identity::Jwt,
            group_limit: 3,
            ..Settings::default()
        });
        let asha = by_http("asha");
        for members in [&[][..], &["asha"]] {
            let refusal = made(&app, &asha, members).await.expect_err("alone");
            assert_eq!(refusal.code, Code::Invalid);
        }
        let refusal = made(&app, &asha, &["b", "c", "d"]).await.expect_err("too many");
        assert_eq!(refusal.code, Code::TooLong);
        let group = made(&app, &asha, &["b", "asha", "c"]).await.expect("a group");
        assert_eq!(group.members.len(), 3);
        let more = change(&group.id, GroupAction::Add(vec![user("d")]));
        let refusal = app.ask(&asha, more).await.expect_err("the group is full");
        assert_eq!(refusal.code, Code::TooLong);
        assert!(refusal.message.contains('3'), "{}", refusal.message);
    }

    async fn with_local_accounts_only_account_owners_join_groups() {
        let app = TestApp::new(Identity::Local);
        let refusal = made(&app, &by_http("asha"), &["nobody"]).await.expect_err("unknown");
        assert_eq!(refusal.code, Code::NotFound);
        assert!(refusal.message.contains("nobody"));
    }

    async fn new_groups_and_conversations_have_one_limit() {
        let app = TestApp::new(Identity::Jwt);
        let asha = by_http("asha");
        for number in 0..20 {
            let other = format!("other{number}");
            made(&app, &asha, &[&other]).await.expect("a group");
        }
        let refusal = made(&app, &asha, &["b"]).await.expect_err("too fast");
        assert_eq!(refusal.code, Code::RateLimited);
    }

    async fn the_host_application_changes_groups_and_creates_none() {
        let app = TestApp::new(Identity::Jwt);
        let group = made(&app, &by_http("asha"), &["ben"]).await.expect("a group");
        let refusal = made(&app, &host(), &["ben"]).await.expect_err("no user");
        assert_eq!(refusal.code, Code::Forbidden);
        let add = change(&group.id, GroupAction::Add(vec![user("c")]));
        let refusal = app.ask(&anonymous(), add).await.expect_err("an anonymous caller");
        assert_eq!(refusal.code, Code::Unauthenticated);
        let add = change(&group.id, GroupAction::Add(vec![user("c")]));
        let Reply::Groups(GroupReply::Changed { entry: Some(entry), duplicate: false }) =
            app.ask(&host(), add).await.expect("a change")
        else {
            panic!("a change")
        };
        assert_eq!(entry.sender, UserId::host());
        assert!(matches!(entry.kind, EntryKind::Members(_)));
        let members = GroupCommand::Members {
            conversation: group.id.clone(),
            cursor: None,
            limit: 10,
        };
        let Reply::Groups(GroupReply::Members(page)) =
            app.ask(&host(), members).await.expect("members")
        else {
            panic!("members")
        };
        assert_eq!(page.items.len(), 3);
    }
}
