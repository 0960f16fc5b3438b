//! The state that lets a socket outlive its connection: the events that its client may have missed,
//! and the current connection.
//!
//! Events are numbered per socket from 1. A client reports the last offset that it has received.
//! The offset includes the socket's key, because a client keeps reporting an old socket's offset
//! until the first event of a new socket arrives.

mod arriving;
mod changing;
mod event_log;
mod moved;
mod recovering;
mod request;
mod table;
mod totals;
mod written;

pub(crate) use self::{
    arriving::{Claim, MovedLog},
    changing::SuspendOutcome,
    recovering::Recovering,
    request::RecoveryRequest,
    table::Recoverable,
    written::PendingCallbacks,
};
