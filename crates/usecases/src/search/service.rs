//! Searches of messages: runs the command of this area.

use super::command::{Found, SearchCommand, SearchReply};
use crate::caller::Caller;
use crate::command::Reply;
use crate::deadline;
use crate::limits::Limits;
use crate::ports::{MessageSearch, Page, Ports, Search};
use crate::refusal::Refusal;
use crate::shared::Shared;
use lamplight_domain::search_terms::{highlights, query_terms};
use std::sync::Arc;

/// The longest query.
const MOST_CHARS: usize = 200;

pub(crate) struct SearchService {
    search: Arc<dyn MessageSearch>,
    limits: Arc<Limits>,
}

impl SearchService {
    pub(crate) fn new(ports: &Ports, shared: &Shared) -> Self {
        Self {
            search: Arc::clone(&ports.search),
            limits: Arc::clone(&shared.limits),
        }
    }

    pub(crate) async fn handle(
        &self,
        caller: &Caller,
        command: SearchCommand,
    ) -> Result<Reply, Refusal> {
        let SearchCommand::Messages(command) = command;
        let user = caller.user()?;
        if command.query.chars().count() > MOST_CHARS {
            return Err(Refusal::invalid("A query has at most 200 characters."));
        }
        let terms = query_terms(&command.query);
        if terms.is_empty() {
            return Err(Refusal::invalid(
                "The query has no letter and no digit to look for.",
            ));
        }
        self.limits.message_search(user)?;
        let search = Search {
            terms,
            conversation: command.conversation,
            sender: command.sender,
            before: command.before,
            after: command.after,
        };
        let page = self
            .search
            .search(user, &search, command.cursor.as_deref(), command.limit);
        let Page { items, next } = deadline::store(page)
            .await?
            .ok_or_else(Refusal::no_conversation)?;
        let found = |message: lamplight_domain::fold::Message| Found {
            highlights: highlights(message.content(), &search.terms),
            message,
        };
        Ok(Reply::Search(SearchReply {
            found: items.into_iter().map(found).collect(),
            next,
        }))
    }
}
