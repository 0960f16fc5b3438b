//! Validates the claims of a token with a valid signature.

use super::error::TokenError;
use super::verified::{EXPIRY_LEEWAY, FUTURE_LEEWAY, Verified};
use lamplight_domain::identity::{UserId, parse_avatar_url, parse_name};
use lamplight_domain::time::Timestamp;
use serde_json::{Map, Value};
use std::time::Duration;

/// The last moment of the year 9999, the end of RFC 3339.
const END_OF_TIME: i64 = 253_402_300_799_999;

pub(super) fn check(
    json: &[u8],
    issuer: Option<&str>,
    audience: Option<&str>,
    now: Timestamp,
) -> Result<Verified, TokenError> {
    let claims: Map<String, Value> = serde_json::from_slice(json)
        .map_err(|_| TokenError::Malformed("its claims are not a JSON object"))?;
    let expires_at = claims
        .get("exp")
        .and_then(date)
        .ok_or(TokenError::NoExpiry)?;
    if now.0 >= later(expires_at, EXPIRY_LEEWAY) {
        return Err(TokenError::Expired {
            at: expires_at,
            now,
        });
    }
    for claim in ["nbf", "iat"] {
        let Some(value) = claims.get(claim).filter(|value| !value.is_null()) else {
            continue;
        };
        let at = date(value).ok_or(TokenError::Malformed("its nbf or iat is not a number"))?;
        if at.0 > later(now, FUTURE_LEEWAY) {
            return Err(TokenError::FromTheFuture { claim, at, now });
        }
    }
    if let Some(expected) = issuer {
        let came = claims.get("iss").and_then(Value::as_str);
        if came != Some(expected) {
            return Err(TokenError::Issuer {
                came: came.map(str::to_owned),
                expected: expected.to_owned(),
            });
        }
    }
    if let Some(expected) = audience {
        let came = audiences(claims.get("aud"));
        if !came.contains(&expected) {
            let came = came.into_iter().map(str::to_owned).collect();
            return Err(TokenError::Audience {
                came,
                expected: expected.to_owned(),
            });
        }
    }
    // A claim that is invalid in a profile is ignored; the user is accepted.
    let text = |claim: &str| claims.get(claim).and_then(Value::as_str);
    Ok(Verified {
        user: subject(claims.get("sub"))?,
        name: text("name")
            .and_then(|name| parse_name(name).ok())
            .map(|name| name.to_string()),
        picture: text("picture")
            .and_then(|url| parse_avatar_url(url).ok())
            .map(|url| url.to_string()),
        issued_at: claims.get("iat").and_then(date),
        expires_at,
    })
}

/// A NumericDate: seconds since 1970, perhaps with a fraction.
fn date(value: &Value) -> Option<Timestamp> {
    let millis = match value.as_i64() {
        Some(seconds) => seconds.saturating_mul(1_000),
        // Saturates: any year that far away is equivalent.
        None => (value.as_f64()? * 1_000.0) as i64,
    };
    Some(Timestamp(millis.clamp(-END_OF_TIME, END_OF_TIME)))
}

fn later(at: Timestamp, by: Duration) -> i64 {
    at.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX))
}

fn audiences(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn subject(value: Option<&Value>) -> Result<UserId, TokenError> {
    let text = match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) if number.is_i64() || number.is_u64() => number.to_string(),
        Some(Value::Null) | None => return Err(TokenError::Subject("is missing".to_owned())),
        Some(_) => {
            return Err(TokenError::Subject(
                "is neither a text nor a whole number".to_owned(),
            ));
        }
    };
    UserId::parse(&text).map_err(|error| TokenError::Subject(error.to_string()))
}
