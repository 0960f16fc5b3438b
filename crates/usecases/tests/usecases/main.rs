//! The use cases on the real adapters of one machine: SQLite in a directory of its own, and the
//! roster in memory. Time, ids and passwords are the test's.

mod accounts;
mod budget;
mod conversations;
mod identity;
mod limits;
mod people;
mod sending;
mod support;
mod told;
mod turns;
mod typing;
