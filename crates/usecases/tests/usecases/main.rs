//! The use cases on the real adapters of one machine: SQLite in a directory of its own, and the
//! roster in memory. The tests control time, ids and passwords.

mod accounts;
mod acting;
mod announcements;
mod budget;
mod concurrency;
mod conversations;
mod deletions;
mod files;
mod groups;
mod identity;
mod limits;
mod people;
mod push;
mod search;
mod sending;
mod sharing;
mod sign_outs;
mod support;
mod typing;
