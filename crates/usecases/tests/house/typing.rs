//! Typing, and what nobody may learn of the invisible.

use crate::support::*;
use lamplight_domain::event::Event;
use lamplight_domain::identity::ConversationId;
use lamplight_domain::presence::{ManualStatus, OfflineReason};
use lamplight_usecases::Command;
use lamplight_usecases::handler::Identity;
use std::time::Duration;

fn typing(conversation: &ConversationId, is_typing: bool) -> Command {
    Command::Typing {
        conversation: conversation.clone(),
        is_typing,
    }
}

fn notice(who: &str, to: &str, is_typing: bool) -> (String, Vec<String>, bool) {
    (who.to_owned(), vec![to.to_owned()], is_typing)
}

const SECOND: Duration = Duration::from_secs(1);

house_tests! {
    async fn typing_is_told_to_the_others_and_ends_by_itself_after_six_seconds() {
        let house = House::new(Identity::Jwt);
        let a = on_socket("a", "sa");
        let place = house.open_with(&a, "b").await;
        house.ask(&a, typing(&place, true)).await.expect("told");
        assert_eq!(house.typing(), [notice("a", "b", true)]);
        let until = house.events().into_iter().find_map(|event| if let Event::Typing { expires_at, .. } = event { Some(expires_at) } else { None });
        assert_eq!(until.map(|until| until.0 - house.now().0), Some(6_000));

        house.pass(4 * SECOND);
        house.ask(&a, typing(&place, true)).await.expect("told");
        house.pass(5 * SECOND);
        assert_eq!(house.typing(), [notice("a", "b", true), notice("a", "b", true)], "another word, another six seconds");
        house.pass(2 * SECOND);
        assert_eq!(house.typing()[2..], [notice("a", "b", false)]);
        house.pass(20 * SECOND);
        house.ask(&a, typing(&place, false)).await.expect("nothing");
        assert_eq!(house.typing().len(), 3, "over is over, and told once");
    }

    async fn p9_typing_does_not_end_by_a_jump_of_the_wall_clock() {
        let house = House::new(Identity::Jwt);
        let a = on_socket("a", "sa");
        let place = house.open_with(&a, "b").await;
        house.ask(&a, typing(&place, true)).await.expect("told");
        house.clock.jump(3_600_000);
        house.pass(5 * SECOND);
        house.clock.jump(-7_200_000);
        assert_eq!(house.typing().len(), 1);
        house.pass(2 * SECOND);
        assert_eq!(house.typing().len(), 2);
    }

    async fn a_message_takes_the_place_of_typing() {
        let house = House::new(Identity::Jwt);
        let a = on_socket("a", "sa");
        let place = house.open_with(&a, "b").await;
        house.ask(&a, typing(&place, true)).await.expect("told");
        house.send(&a, &place, "hello").await;
        house.pass(10 * SECOND);
        assert_eq!(house.typing(), [notice("a", "b", true)]);
    }

    async fn who_goes_types_no_more() {
        for going in [Command::Leave { reason: OfflineReason::Closed }, Command::SignOut] {
            let house = House::new(Identity::Jwt);
            let a = on_socket("a", "sa");
            house.join(&a).await;
            let place = house.open_with(&a, "b").await;
            house.ask(&a, typing(&place, true)).await.expect("told");
            house.ask(&a, going).await.expect("gone");
            assert_eq!(house.typing(), [notice("a", "b", true), notice("a", "b", false)], "at once");
            house.pass(10 * SECOND);
            assert_eq!(house.typing().len(), 2);
        }
    }

    async fn p11_the_invisible_do_not_type() {
        let house = House::new(Identity::Jwt);
        let a = on_socket("a", "sa");
        house.join(&a).await;
        let place = house.open_with(&a, "b").await;
        house.ask(&a, typing(&place, true)).await.expect("told");
        house.set_status(&a, ManualStatus::Invisible).await;
        assert_eq!(house.typing(), [notice("a", "b", true), notice("a", "b", false)], "as if they had closed");
        assert!(house.ask(&a, typing(&place, true)).await.is_ok(), "nor do they notice");
        house.ask(&a, typing(&place, false)).await.expect("nothing");
        house.pass(10 * SECOND);
        assert_eq!(house.typing().len(), 2);
        house.set_status(&a, ManualStatus::Online).await;
        house.ask(&a, typing(&place, true)).await.expect("told");
        assert_eq!(house.typing().len(), 3);
    }

    async fn p11_delivered_marks_of_the_invisible_stand_still_and_catch_up() {
        let house = House::new(Identity::Jwt);
        let (a, b) = (on_socket("a", "sa"), on_socket("b", "sb"));
        house.join(&b).await;
        let place = house.open_with(&a, "b").await;
        let marks = |house: &House| -> Vec<_> { house.receipts().into_iter().filter(|one| one.user == user("b")).map(|one| one.delivered_seq).collect() };
        for n in 1..=4 {
            if n == 2 {
                house.set_status(&b, ManualStatus::Invisible).await;
            }
            let seq = house.send(&a, &place, &n.to_string()).await.seq;
            house.handler.note_delivered(&user("b"), &place, seq);
            house.write_down().await;
        }
        house.pass(10 * SECOND);
        house.write_down().await;
        assert_eq!(marks(&house), [1]);
        let Ok(lamplight_usecases::Reply::Synced { conversations, .. }) = house.ask(&a, Command::Sync { have: vec![(place.clone(), 0).into()], refused: vec![] }).await else { panic!("synced") };
        let receipts = &conversations[0].1.as_ref().expect("a page").receipts;
        assert_eq!(receipts.iter().find(|one| one.user == user("b")).map(|one| one.delivered_seq), Some(1), "nor by asking");

        house.set_status(&b, ManualStatus::Busy).await;
        house.write_down().await;
        assert_eq!(marks(&house), [1, 4]);
    }
}
