//! Ids of users, conversations, messages and connections, and a user's profile.

use crate::text::{is_visible, trim};
use std::fmt;
use std::sync::Arc;

/// The most characters (Unicode scalar values) an id may have.
pub const MAX_ID_CHARS: usize = 128;
/// The most characters a display name may have.
pub const MAX_NAME_CHARS: usize = 200;
/// The most characters an avatar's URL may have.
pub const MAX_URL_CHARS: usize = 2_000;

/// Why a text cannot be an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidId {
    /// It has no characters.
    Empty,
    /// It has more than [`MAX_ID_CHARS`] characters.
    TooLong,
    /// It has a control character.
    ControlCharacter,
}

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "is empty",
            Self::TooLong => "has more than 128 characters",
            Self::ControlCharacter => "has a control character",
        })
    }
}

fn check_id(text: &str) -> Result<(), InvalidId> {
    if text.is_empty() {
        return Err(InvalidId::Empty);
    }
    // Bytes bound characters, so the common short id is settled without counting.
    if text.len() > MAX_ID_CHARS && text.chars().count() > MAX_ID_CHARS {
        return Err(InvalidId::TooLong);
    }
    if text.chars().any(char::is_control) {
        return Err(InvalidId::ControlCharacter);
    }
    Ok(())
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks a text that came from outside.
            ///
            /// # Errors
            /// When it is empty, longer than [`MAX_ID_CHARS`] characters, or has a control
            /// character.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                check_id(text)?;
                Ok(Self(text.into()))
            }

            /// Takes a text that is known to be a valid id: one of ours, or one read back from the
            /// store.
            #[must_use]
            pub fn trusted(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<$name> for Arc<str> {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

id!(
    /// A person, as the host application or the local accounts name them.
    UserId
);
impl UserId {
    /// Stands for the host application where it wrote an entry. No user has this id.
    #[must_use]
    pub fn host() -> Self {
        Self::trusted("")
    }

    /// Whether it stands for the host application.
    #[must_use]
    pub fn is_host(&self) -> bool {
        self.as_str().is_empty()
    }
}

id!(
    /// A conversation: one append-only log and those who may read it.
    ConversationId
);
id!(
    /// An entry of a log, unique over all conversations.
    MessageId
);
id!(
    /// A file that a member uploads. It cannot be guessed.
    FileId
);
id!(
    /// One live connection of a user, such as a tab or a phone. Equals its socket's public id.
    ConnectionId
);
id!(
    /// A process that serves connections, among those that share a store. It stays over restarts.
    NodeId
);
id!(
    /// The store's generation: it changes when an older state of the store was restored, so that
    /// clients drop their data of it.
    Generation
);

/// A user as others see them, without presence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The user's id.
    pub id: UserId,
    /// The display name. Equals the id if none was set, and is empty if the account was deleted.
    pub name: Arc<str>,
    /// Where the picture is, if there is one.
    pub avatar_url: Option<Arc<str>>,
}

impl Profile {
    /// The profile of a user of whom only the id is known.
    #[must_use]
    pub fn bare(id: UserId) -> Self {
        Self {
            name: id.as_str().into(),
            id,
            avatar_url: None,
        }
    }

    /// The profile of a deleted account. No other profile has an empty name.
    #[must_use]
    pub fn deleted(id: UserId) -> Self {
        Self {
            id,
            name: "".into(),
            avatar_url: None,
        }
    }

    /// Whether the account was deleted.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.name.is_empty()
    }
}

/// Why a name or a picture was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidProfile {
    /// The name has no visible character.
    NameEmpty,
    /// The name has more than [`MAX_NAME_CHARS`] characters or a control character.
    Name,
    /// The avatar's URL is not `http(s)://…` (or a path of this server), too long, or has a control
    /// character.
    AvatarUrl,
}

impl fmt::Display for InvalidProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NameEmpty => "The name is empty: it has no visible character.",
            Self::Name => "A name has at most 200 characters and no control characters.",
            Self::AvatarUrl => "An avatarUrl is an http or https address (or a path that begins with /) of at most 2,000 characters.",
        })
    }
}

/// Checks a display name that came from outside and trims its ends.
///
/// # Errors
/// When it has no visible character, it is too long, or it has a control character.
pub fn parse_name(text: &str) -> Result<Arc<str>, InvalidProfile> {
    let name = trim(text);
    if !is_visible(name) {
        return Err(InvalidProfile::NameEmpty);
    }
    if name.chars().count() > MAX_NAME_CHARS || name.chars().any(char::is_control) {
        return Err(InvalidProfile::Name);
    }
    Ok(name.into())
}

/// Checks an avatar's address from outside. Only what a browser may safely load as an
/// image passes, so that no page has to defend itself against `javascript:` and the like. Browsers
/// read a backslash as a slash (the URL standard, "special" schemes): `/\host` is no path.
///
/// # Errors
/// When it is neither `http(s)://…` nor a path of this server, too long, or has a backslash or a
/// control character.
pub fn parse_avatar_url(text: &str) -> Result<Arc<str>, InvalidProfile> {
    let scheme_ok = text.starts_with("https://")
        || text.starts_with("http://")
        || (text.starts_with('/') && !text.starts_with("//"));
    let is_unsafe = |one: char| one.is_control() || one == '\\';
    if !scheme_ok || text.chars().count() > MAX_URL_CHARS || text.chars().any(is_unsafe) {
        return Err(InvalidProfile::AvatarUrl);
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f19_a_name_has_something_visible_in_it() {
        for empty in [
            "",
            " \u{a0}",
            "\u{200b}\u{200b}",
            "\u{3164}",
            "\u{2800}",
            "\u{ad}",
            "\u{e0041}",
            "\u{301}",
        ] {
            assert_eq!(
                parse_name(empty),
                Err(InvalidProfile::NameEmpty),
                "{empty:?}"
            );
        }
        assert_eq!(&*parse_name("\u{feff} Ada\u{a0}").unwrap(), "Ada");
        assert_eq!(
            &*parse_name("می\u{200c}خواهم").unwrap(),
            "می\u{200c}خواهم",
            "kept as typed"
        );
    }

    #[test]
    fn ids_have_1_to_128_characters_and_no_control_characters() {
        assert_eq!(UserId::parse(""), Err(InvalidId::Empty));
        assert_eq!(UserId::parse("a\u{7}"), Err(InvalidId::ControlCharacter));
        assert!(UserId::parse(&"é".repeat(128)).is_ok());
        assert_eq!(UserId::parse(&"é".repeat(129)), Err(InvalidId::TooLong));
        assert_eq!(UserId::parse("42").unwrap().as_str(), "42");
    }

    #[test]
    fn an_avatar_cannot_be_a_script() {
        assert!(parse_avatar_url("https://example.org/a.png").is_ok());
        assert!(parse_avatar_url("/pictures/a.png").is_ok());
        for bad in [
            "javascript:alert(1)",
            "//evil.example/a.png",
            "/\\evil.example/a.png",
            "/\t/evil.example/a.png",
            "https://good.example\\@evil.example/a.png",
            "data:image/svg+xml,x",
            "",
        ] {
            assert_eq!(
                parse_avatar_url(bad),
                Err(InvalidProfile::AvatarUrl),
                "{bad}"
            );
        }
    }
}
