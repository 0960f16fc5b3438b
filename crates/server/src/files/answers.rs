//! Summaries of an object store's answers that are safe to log: S3's own answers repeat the signed
//! request.

use object_store::Error;

/// S3's error codes for missing parts, uploads and objects.
const GONE: [&str; 3] = ["NoSuchUpload", "InvalidPart", "NoSuchKey"];

/// An answer of S3 that is an error.
#[derive(Debug, thiserror::Error)]
#[error("S3 answered {status}: {code}")]
pub(super) struct Refused {
    pub(super) status: http::StatusCode,
    pub(super) code: String,
}

/// S3's error code and message, if there are any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: Option<u16>,
    pub(crate) code: Option<String>,
}

impl Answer {
    pub(super) fn of(error: &Error) -> Self {
        if let Error::Generic { source, .. } = error
            && let Some(refused) = source.downcast_ref::<Refused>()
        {
            return Self {
                status: Some(refused.status.as_u16()),
                code: Some(refused.code.clone()),
            };
        }
        let text = error.to_string();
        let status = text.split_once("status code: ");
        let status = status.and_then(|(_, rest)| rest.get(..3)?.parse().ok());
        let code = code_in(&text).or_else(|| between(&text, "(code: ", ")"));
        let code = code.or_else(|| {
            let is_elsewhere = text.contains("redirect without LOCATION");
            is_elsewhere.then_some("PermanentRedirect")
        });
        Self {
            status,
            code: code.map(str::to_owned),
        }
    }
}

/// The code in a body of S3's.
pub(super) fn code_in(body: &str) -> Option<&str> {
    between(body, "<Code>", "</Code>")
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    Some(rest.split_once(after)?.0)
}

/// Whether an object, an upload or its parts are not there. The 404 of a proxy does not count,
/// nor does that of a bucket that is not there. The answer to a HEAD has no code.
pub(super) fn is_gone(error: &Error) -> bool {
    match Answer::of(error).code {
        Some(code) => GONE.contains(&&*code),
        None => matches!(error, Error::NotFound { .. }),
    }
}

/// An error without what differs from one time to the next.
pub(super) fn in_short(error: &Error) -> String {
    let text = error.to_string();
    match Answer::of(error) {
        Answer {
            status: Some(status),
            code,
        } => match code.as_deref() {
            None | Some("") => format!("S3 answered {status}"),
            Some(code) => format!("S3 answered {status}: {code}"),
        },
        Answer {
            code: Some(code), ..
        } => format!("S3 answered {code}"),
        _ => {
            let last = text.rsplit_once("Error performing ");
            let cause = last.and_then(|(_, rest)| Some(rest.split_once(" - ")?.1.to_owned()));
            cause.unwrap_or(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn not_found(source: &str) -> Error {
        Error::NotFound {
            path: "a".to_owned(),
            source: source.into(),
        }
    }

    fn generic(source: &str) -> Error {
        Error::Generic {
            store: "S3",
            source: source.into(),
        }
    }

    fn answered(status: &str, body: &str) -> String {
        format!(
            "Error performing GET http://s3/a in 3ms - Server returned non-2xx status code: {status}: {body}"
        )
    }

    #[test]
    fn only_definite_errors_of_s3_mean_a_missing_object() {
        let with = |code: &str| answered("404 Not Found", &format!("<Error><Code>{code}</Code>"));
        assert!(is_gone(&not_found(&with("NoSuchKey"))));
        assert!(is_gone(&generic(&with("InvalidPart"))));
        assert!(is_gone(&not_found("No such file")), "of a directory");
        assert!(is_gone(&not_found(&answered("404 Not Found", ""))), "HEAD");
        assert!(!is_gone(&not_found(&with("NoSuchBucket"))));
        assert!(!is_gone(&not_found(&with(""))), "of a proxy");
        assert!(!is_gone(&generic("NoSuchKeyring NoSuchKey")));
        let refused = |code: &str| Error::Generic {
            store: "S3",
            source: Box::new(Refused {
                status: http::StatusCode::NOT_FOUND,
                code: code.to_owned(),
            }),
        };
        assert!(is_gone(&refused("NoSuchUpload")));
        assert!(!is_gone(&refused("")));
    }

    #[test]
    fn equal_errors_have_equal_texts_without_a_body() {
        let body = "<Error><Code>SignatureDoesNotMatch</Code><CanonicalRequest>token1</CanonicalRequest></Error>";
        let short = in_short(&generic(&answered("403 Forbidden", body)));
        assert_eq!(short, "S3 answered 403: SignatureDoesNotMatch");
        let refused = "Error performing PUT http://s3/a in 3ms, after 2 retries, max_retries: 4, retry_timeout: 10s  - HTTP error: refused";
        assert_eq!(in_short(&generic(refused)), "HTTP error: refused");
    }
}
