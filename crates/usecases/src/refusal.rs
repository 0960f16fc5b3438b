//! Refusals: why a command was not done.

use crate::ports::{HashError, StoreError};
use crate::throttle::{self, Due};
use lamplight_domain::identity::UserId;
use std::borrow::Cow;
use std::time::Duration;

/// A stable code that programs can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The caller is anonymous, or the credentials are wrong.
    Unauthenticated,
    /// The caller is authenticated and may not do this.
    Forbidden,
    /// It does not exist, or the caller may not know that it does.
    NotFound,
    /// The request is malformed.
    Invalid,
    /// The request's body has a media type that the server does not read. On the wire it is
    /// `invalid`, with an HTTP status of its own.
    UnsupportedMedia,
    /// A message without a visible character.
    EmptyMessage,
    /// A message, or a request, past its limit.
    TooLong,
    /// It contradicts the present state.
    Conflict,
    RateLimited,
    /// The store did not answer; the outcome is unknown.
    Unavailable,
    /// A bug or a damaged store; the outcome is unknown.
    Internal,
}

impl Code {
    /// Every code on the wire, for the documents and the tests.
    pub const ALL: [Self; 10] = [
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::Invalid,
        Self::EmptyMessage,
        Self::TooLong,
        Self::Conflict,
        Self::RateLimited,
        Self::Unavailable,
        Self::Internal,
    ];

    /// The code on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Invalid | Self::UnsupportedMedia => "invalid",
            Self::EmptyMessage => "empty_message",
            Self::TooLong => "too_long",
            Self::Conflict => "conflict",
            Self::RateLimited => "rate_limited",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Invalid | Self::EmptyMessage => 400,
            Self::TooLong => 413,
            Self::UnsupportedMedia => 415,
            Self::Conflict => 409,
            Self::RateLimited => 429,
            Self::Unavailable => 503,
            Self::Internal => 500,
        }
    }

    /// Whether the same request can succeed later.
    #[must_use]
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::RateLimited | Self::Unavailable | Self::Internal)
    }
}

/// Why a command was not done: a code for programs, a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: Code,
    pub message: Cow<'static, str>,
    /// How long to wait, if waiting helps.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            retry_after: None,
        }
    }

    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Invalid, message)
    }

    /// The conversation does not exist, or the caller is not a member.
    #[must_use]
    pub fn no_conversation() -> Self {
        Self::new(Code::NotFound, "There is no such conversation.")
    }

    /// A block, or the role of the caller, forbids it. Which one it is, is private.
    #[must_use]
    pub fn no_writing() -> Self {
        Self::new(Code::Forbidden, "You cannot write in this conversation.")
    }

    /// The directory does not have this user.
    #[must_use]
    pub fn no_such_user(user: &UserId) -> Self {
        Self::new(Code::NotFound, format!("There is no such user: {user}."))
    }

    /// The other user has deleted their account.
    #[must_use]
    pub fn deleted_account() -> Self {
        Self::new(Code::NotFound, "This account was deleted.")
    }

    /// The host application sent what only a user can send.
    #[must_use]
    pub fn not_a_user() -> Self {
        Self::new(Code::Forbidden, "The server key is not a user.")
    }

    /// The caller is anonymous.
    #[must_use]
    pub fn unauthenticated() -> Self {
        Self::new(Code::Unauthenticated, "Sign in first.")
    }

    #[must_use]
    pub fn rate_limited(message: impl Into<Cow<'static, str>>, wait: Duration) -> Self {
        Self {
            code: Code::RateLimited,
            message: message.into(),
            retry_after: Some(wait),
        }
    }

    /// The store did not answer in time.
    #[must_use]
    pub fn unavailable() -> Self {
        Self {
            code: Code::Unavailable,
            message: "The server cannot reach its store. Try again.".into(),
            retry_after: Some(Duration::from_secs(1)),
        }
    }
}

impl From<HashError> for Refusal {
    fn from(error: HashError) -> Self {
        let second = Duration::from_secs(1);
        match error {
            HashError::NetworkFull => Self::rate_limited(
                "Too many sign-ins from your network are under way. Wait a moment.",
                second,
            ),
            HashError::Full => {
                let message =
                    "Too many people are signing in just now. Try again in a moment.".into();
                Self {
                    message,
                    ..Self::unavailable()
                }
            }
            HashError::Failed(cause) => StoreError::Internal(cause).into(),
        }
    }
}

impl From<StoreError> for Refusal {
    /// The caller gets the code, the log gets the cause.
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(cause) => {
                if let Some(Due { left_out }) = throttle::due("store unavailable", &cause, None) {
                    tracing::warn!(%cause, left_out, "store unavailable");
                }
                Self::unavailable()
            }
            StoreError::Internal(cause) => {
                if let Some(Due { left_out }) = throttle::due("store fault", &cause, None) {
                    tracing::error!(%cause, left_out, "store fault");
                }
                Self::new(Code::Internal, "Something went wrong on the server.")
            }
            StoreError::Fenced => Self::unavailable(),
            StoreError::BadCursor => {
                Self::new(Code::Invalid, "The cursor is not from an earlier page.")
            }
        }
    }
}
