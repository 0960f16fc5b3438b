//! Lamplight's binary, as a library so that tests can run it in process.

pub mod account;
pub mod auth;
pub mod config;
pub mod connections;
pub mod copies;
pub mod doctor;
pub mod expiry;
pub mod fair_queue;
pub mod headers;
pub mod http;
pub mod http_client;
pub mod hub;
pub mod jwt;
pub mod log_notice;
pub mod metrics;
pub mod origin;
pub mod passwords;
pub mod serve;
pub mod socket;
pub mod system;
pub mod token;
pub mod unsent;
pub mod wiring;
