//! Reads pages of the members of a conversation.

use super::super::codec::{role_from_db, to_db};
use super::super::database::Database;
use super::super::error::Failure;
use super::super::queries::profile_of;
use super::sql::MEMBER_PAGE;
use lamplight_domain::conversation::Member;
use lamplight_domain::identity::{ConversationId, UserId};
use lamplight_usecases::cursor::MemberKey;
use lamplight_usecases::pages;
use lamplight_usecases::ports::{Page, StoreResult};

/// A page of the members of a conversation.
pub(crate) async fn member_page(
    database: &Database,
    caller: &UserId,
    conversation: &ConversationId,
    after: Option<MemberKey>,
    limit: usize,
) -> StoreResult<Option<Page<Member>>> {
    let after = after.map_or_else(String::new, |key| key.user);
    let wanted = to_db(limit as u64).saturating_add(1);
    let (place, user) = (conversation.as_str(), caller.as_str());
    let rows = database
        .rows(&MEMBER_PAGE, &[&place, &user, &after, &wanted])
        .await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let mut items = Vec::with_capacity(rows.len());
    for row in &rows {
        // A page without members is one row without a profile.
        let user: Option<&str> = row.try_get(0).map_err(Failure::from)?;
        if user.is_some() {
            let role = row.try_get(3).map_err(Failure::from)?;
            items.push(Member {
                profile: profile_of(row, 0).map_err(Failure::from)?,
                role: role_from_db(role),
            });
        }
    }
    Ok(Some(pages::members(items, limit)))
}
