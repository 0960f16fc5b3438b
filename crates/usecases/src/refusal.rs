//! What a caller is told when something is not done.

use crate::ports::{HashError, StoreError};
use crate::throttle::{self, Due};
use std::borrow::Cow;
use std::time::Duration;

/// A stable code a program can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// Nobody knows who is calling.
    Unauthenticated,
    /// The caller is known and may not.
    Forbidden,
    /// There is no such thing, or the caller may not know that there is.
    NotFound,
    /// The request makes no sense.
    Invalid,
    /// The same, since its body is none that is read. Travels as `invalid`, with a status of its
    /// own.
    UnsupportedMedia,
    /// A message without a visible character.
    EmptyMessage,
    /// A message, or a request, past its limit.
    TooLong,
    /// It contradicts what is there.
    Conflict,
    /// Too often.
    RateLimited,
    /// The store does not answer; the outcome is unknown.
    Unavailable,
    /// A fault of ours; the outcome is unknown.
    Internal,
}

impl Code {
    /// Every code that travels, for the documents and the tests.
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

    /// The code as it travels.
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

    /// Its HTTP status.
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

/// A refusal: a sentence for a person, a code for a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why, for a program.
    pub code: Code,
    /// Why, for a person.
    pub message: Cow<'static, str>,
    /// How long to wait, where waiting helps.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// A refusal with a sentence.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            retry_after: None,
        }
    }

    /// A request that makes no sense.
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Invalid, message)
    }

    /// A conversation that is not there for this caller.
    #[must_use]
    pub fn no_conversation() -> Self {
        Self::new(Code::NotFound, "There is no such conversation.")
    }

    /// Nobody knows who is calling.
    #[must_use]
    pub fn unauthenticated() -> Self {
        Self::new(Code::Unauthenticated, "Sign in first.")
    }

    /// Too often; come back after `wait`.
    #[must_use]
    pub fn rate_limited(what: impl Into<Cow<'static, str>>, wait: Duration) -> Self {
        Self {
            code: Code::RateLimited,
            message: what.into(),
            retry_after: Some(wait),
        }
    }

    /// The store did not answer in time.
    #[must_use]
    pub fn unavailable() -> Self {
        Self {
            code: Code::Unavailable,
            message: "The server cannot reach its store just now. Try again.".into(),
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
            StoreError::BadCursor => Self::new(
                Code::Invalid,
                "The cursor is not one that an earlier page gave.",
            ),
        }
    }
}
