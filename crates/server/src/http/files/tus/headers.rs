//! The headers of tus.

use super::names::{BYTES, CHECKSUM, METADATA, RESUMABLE, VERSION};
use super::refused::Refused;
use crate::files::Checksum;
use ::http::{HeaderMap, HeaderName, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lamplight_usecases::{Code, Refusal};
use std::collections::HashMap;

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

pub(super) fn check_version(headers: &HeaderMap) -> Result<(), Refused> {
    if text(headers, &RESUMABLE) == Some(VERSION) {
        return Ok(());
    }
    Err(Refused::with(
        412,
        Code::Invalid,
        "Uploads go by tus 1.0.0: send Tus-Resumable: 1.0.0.",
    ))
}

pub(super) fn number(headers: &HeaderMap, name: &HeaderName) -> Result<Option<u64>, Refused> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    let value = value.to_str().unwrap_or("?");
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    match value.parse() {
        // The store's integers are signed.
        Ok(number) if is_number && number <= i64::MAX as u64 => Ok(Some(number)),
        _ => Err(Refusal::invalid(format!("{name} is a number of bytes.")).into()),
    }
}

pub(super) fn has_bytes(headers: &HeaderMap) -> bool {
    text(headers, &header::CONTENT_TYPE).is_some_and(|kind| kind.eq_ignore_ascii_case(BYTES))
}

/// `Upload-Metadata`: keys, each with a value in Base64.
pub(super) fn metadata(headers: &HeaderMap) -> Result<HashMap<String, String>, Refused> {
    let wrong = || {
        Refused::from(Refusal::invalid(
            "Upload-Metadata has keys with values in Base64, of UTF-8: filename, filetype, conversationId.",
        ))
    };
    let Some(value) = headers.get(&METADATA) else {
        return Ok(HashMap::new());
    };
    let value = value.to_str().map_err(|_| wrong())?;
    let mut pairs = HashMap::new();
    for pair in value
        .split(',')
        .map(str::trim)
        .filter(|pair| !pair.is_empty())
    {
        let (key, encoded) = pair.split_once(' ').unwrap_or((pair, ""));
        let bytes = STANDARD.decode(encoded.trim()).map_err(|_| wrong())?;
        let decoded = String::from_utf8(bytes).map_err(|_| wrong())?;
        pairs.insert(key.to_owned(), decoded);
    }
    Ok(pairs)
}

pub(super) fn checksum(headers: &HeaderMap) -> Result<Option<Checksum>, Refused> {
    let Some(value) = headers.get(&CHECKSUM) else {
        return Ok(None);
    };
    let wrong = || {
        Refused::from(Refusal::invalid(
            "Upload-Checksum is an algorithm (sha1 or sha256), a space, and the sum in Base64.",
        ))
    };
    let (algorithm, sum) = value
        .to_str()
        .ok()
        .and_then(|value| value.trim().split_once(' '))
        .ok_or_else(wrong)?;
    let sum = STANDARD.decode(sum.trim()).map_err(|_| wrong())?;
    match (algorithm.to_ascii_lowercase().as_str(), sum.len()) {
        ("sha256", 32) => Ok(Some(Checksum::Sha256(sum))),
        ("sha1", 20) => Ok(Some(Checksum::Sha1(sum))),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::names::LENGTH;
    use super::*;
    use ::http::HeaderValue;

    fn with(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn metadata_has_values_in_base64() {
        let read = |value: &str| metadata(&with(METADATA, value)).ok();
        let pairs = read("filename w6kucG5n,conversationId Yw==, empty").unwrap();
        assert_eq!(pairs["filename"], "é.png");
        assert_eq!(pairs["conversationId"], "c");
        assert_eq!(pairs["empty"], "");
        assert!(read("filename ???").is_none());
        assert!(read("filename /w==").is_none(), "not UTF-8");
        assert!(metadata(&HeaderMap::new()).is_ok_and(|pairs| pairs.is_empty()));
    }

    #[test]
    fn numbers_are_digits_only() {
        let read = |value: &str| number(&with(LENGTH, value), &LENGTH).ok().flatten();
        assert_eq!(read("12"), Some(12));
        for wrong in ["-1", "+1", " 1", "1.0", "0x1", "99999999999999999999", ""] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn checksums_have_a_known_algorithm_and_its_length() {
        let read = |value: &str| checksum(&with(CHECKSUM, value)).ok().flatten();
        assert!(read(&format!("sha1 {}", STANDARD.encode([0; 20]))).is_some());
        assert!(read(&format!("sha256 {}", STANDARD.encode([0; 32]))).is_some());
        for wrong in ["md5 AAAA", "sha1 AAAA", "sha1", "sha256 ???"] {
            assert!(checksum(&with(CHECKSUM, wrong)).is_err(), "{wrong}");
        }
    }
}
