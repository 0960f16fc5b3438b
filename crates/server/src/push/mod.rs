//! Web Push: notices to browsers, encrypted for each (RFC 8291), signed with the server's key (RFC 8292),
//! and passed to the push service of the browser's vendor (RFC 8030).

mod address;
mod component;
mod connect;
mod hosts;
mod keys;
mod sender;
mod vapid;

pub(crate) use component::PushComponent;
pub(crate) use keys::new_key;
pub(crate) use sender::WebPush;
