//! What the host application does with the server key.

mod put_conversation;
mod put_profile;
