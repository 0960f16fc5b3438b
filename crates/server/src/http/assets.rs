//! Files that are in the binary, compressed when it was built: a request for one costs a look into
//! a table, whatever it accepts.

use ::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// A file, and its compressed forms where they are smaller.
struct Asset {
    path: &'static str,
    kind: &'static str,
    /// Of the content, in hexadecimal.
    hash: &'static str,
    plain: &'static [u8],
    gzip: Option<&'static [u8]>,
    brotli: Option<&'static [u8]>,
}

// `PAGE` and `DOCS`, by build.rs.
include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// A file of the chat page.
pub(super) fn page(path: &str, headers: &HeaderMap) -> Option<Response> {
    // Names of built assets contain a hash of their content, so they never change.
    let cache = if path.starts_with("assets/") {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    find(PAGE, path).map(|asset| serve(asset, cache, headers))
}

/// Whether the chat page has this file.
pub(super) fn has_page(path: &str) -> bool {
    find(PAGE, path).is_some()
}

/// A file of the page that shows the API.
pub(super) fn docs(path: &str, headers: &HeaderMap) -> Option<Response> {
    find(DOCS, path).map(|asset| serve(asset, "no-cache", headers))
}

fn find(table: &'static [Asset], path: &str) -> Option<&'static Asset> {
    table
        .binary_search_by(|asset| asset.path.cmp(path))
        .ok()
        .map(|index| &table[index])
}

fn serve(asset: &'static Asset, cache: &'static str, headers: &HeaderMap) -> Response {
    let coding = coding(headers, asset.gzip.is_some(), asset.brotli.is_some());
    let (bytes, suffix) = match coding {
        Coding::Plain => (asset.plain, ""),
        Coding::Gzip => (asset.gzip.unwrap_or(asset.plain), "-gzip"),
        Coding::Brotli => (asset.brotli.unwrap_or(asset.plain), "-br"),
    };
    // A strong tag names the bytes as they travel (RFC 9110, 8.8.3.3), so each form has its own.
    let tag = format!("\"{}{suffix}\"", asset.hash);
    let mut response = if has(headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, asset.kind)], bytes).into_response()
    };
    let out = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        out.insert(header::ETAG, tag);
    }
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    if asset.gzip.is_some() || asset.brotli.is_some() {
        out.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    match coding {
        Coding::Plain => {}
        Coding::Gzip => {
            drop(out.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip")))
        }
        Coding::Brotli => {
            drop(out.insert(header::CONTENT_ENCODING, HeaderValue::from_static("br")))
        }
    }
    response
}

/// Whether a request states that the client has the version with this tag. A proxy that compresses on its own makes
/// tags weak, and for this question weak ones count (RFC 9110, 13.1.2).
pub(super) fn has(headers: &HeaderMap, tag: &str) -> bool {
    let given = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok());
    given
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

/// The values of a header such as `Accept-Language`, in lower case and with their quality (RFC
/// 9110, 12.4.2), in the order of the header.
fn qualities(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = (String, f32)> {
    let given = headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok());
    given.flat_map(|value| value.split(',')).map(|one| {
        let mut parts = one.split(';').map(str::trim);
        let name = parts.next().unwrap_or("").to_ascii_lowercase();
        let quality =
            parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let quality = quality.map_or(1.0, |text| text.trim().parse::<f32>().unwrap_or(0.0));
        (name, quality)
    })
}

/// The same without refused values, by descending quality.
pub(super) fn accepted(headers: &HeaderMap, name: HeaderName) -> Vec<String> {
    let mut all: Vec<_> = qualities(headers, name)
        .filter(|(_, quality)| *quality > 0.0)
        .collect();
    all.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    all.into_iter().map(|(name, _)| name).collect()
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Coding {
    Plain,
    Gzip,
    Brotli,
}

/// The encoding that a request prefers (RFC 9110, 12.5.3); of equal ones the smallest, and identity
/// if it accepts none of them.
fn coding(headers: &HeaderMap, has_gzip: bool, has_brotli: bool) -> Coding {
    let (mut gzip, mut brotli, mut plain, mut any) = (None, None, None, None);
    for (name, quality) in qualities(headers, header::ACCEPT_ENCODING) {
        match name.as_str() {
            "gzip" | "x-gzip" => gzip = Some(quality),
            "br" => brotli = Some(quality),
            "identity" => plain = Some(quality),
            "*" => any = Some(quality),
            _ => {}
        }
    }
    // Identity is always acceptable unless it is refused, but named encodings come first.
    let mut best = (plain.unwrap_or(0.0), Coding::Plain);
    for (is_there, quality, coding) in [
        (has_gzip, gzip, Coding::Gzip),
        (has_brotli, brotli, Coding::Brotli),
    ] {
        let quality = quality.or(any).unwrap_or(0.0);
        if is_there && quality > 0.0 && quality >= best.0 {
            best = (quality, coding);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepting(values: &[&'static str]) -> HeaderMap {
        values
            .iter()
            .map(|value| (header::ACCEPT_ENCODING, HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn h1_the_most_preferred_encoding_is_served() {
        for (values, expected) in [
            (&[][..], Coding::Plain),
            (&[""], Coding::Plain),
            (&["gzip, deflate, br, zstd"], Coding::Brotli),
            (&["gzip, deflate"], Coding::Gzip),
            (&["x-gzip"], Coding::Gzip),
            (&["GZIP;Q=0.5"], Coding::Gzip),
            (&["gzip;q=1.0, br;q=0.9"], Coding::Gzip),
            (&["br;q=0, gzip;q=0"], Coding::Plain),
            (&["br;q=0, *"], Coding::Gzip),
            (&["*"], Coding::Brotli),
            (&["*;q=0"], Coding::Plain),
            (&["identity, br;q=0.5"], Coding::Plain),
            (&["identity;q=0.5, br;q=0.5"], Coding::Brotli),
            (&["gzip;q=nonsense"], Coding::Plain),
            (&["deflate", "gzip"], Coding::Gzip),
        ] {
            assert_eq!(
                coding(&accepting(values), true, true),
                expected,
                "{values:?}"
            );
        }
        assert_eq!(
            coding(&accepting(&["br, gzip;q=0.1"]), true, false),
            Coding::Gzip
        );
        assert_eq!(coding(&accepting(&["br"]), false, false), Coding::Plain);
    }

    #[test]
    fn accepted_values_are_ordered_by_quality_without_refused_ones() {
        for (value, expected) in [
            ("", &[""][..]),
            ("de-AT, de;q=0.9, en;q=0.8", &["de-at", "de", "en"]),
            ("en;q=0.5,AR", &["ar", "en"]),
            ("fr;q=0, *;q=0.1, de; q=0.2", &["de", "*"]),
            ("de;q=nonsense, ar;q=NaN, en", &["en"]),
        ] {
            let headers = [(header::ACCEPT_LANGUAGE, HeaderValue::from_static(value))]
                .into_iter()
                .collect();
            assert_eq!(
                accepted(&headers, header::ACCEPT_LANGUAGE),
                expected,
                "{value}"
            );
        }
    }

    #[test]
    fn an_etag_matches_alone_in_a_list_and_weakly() {
        let has = |value: &'static str| {
            has(
                &[(header::IF_NONE_MATCH, HeaderValue::from_static(value))]
                    .into_iter()
                    .collect(),
                "\"abc-br\"",
            )
        };
        for known in [
            "\"abc-br\"",
            "W/\"abc-br\"",
            "\"x\", \"abc-br\"",
            "*",
            "  \"x\" ,W/\"abc-br\" ",
        ] {
            assert!(has(known), "{known}");
        }
        for other in [
            "",
            "\"abc\"",
            "\"abc-gzip\"",
            "abc-br",
            "\"xabc-br\"",
            "\"abc-br",
        ] {
            assert!(!has(other), "{other}");
        }
    }

    #[test]
    fn h1_the_api_page_has_two_compressed_forms() {
        let bundle = find(DOCS, "swagger-ui-bundle.js").unwrap();
        let (gzip, brotli) = (bundle.gzip.unwrap().len(), bundle.brotli.unwrap().len());
        assert!(
            brotli < gzip && gzip < bundle.plain.len() / 3,
            "{brotli} {gzip}"
        );
        for (accepts, encoding, length) in [
            ("br", Some("br"), brotli),
            ("gzip", Some("gzip"), gzip),
            ("identity", None, bundle.plain.len()),
        ] {
            let response = docs("swagger-ui-bundle.js", &accepting(&[accepts])).unwrap();
            let header = |name: header::HeaderName| {
                response
                    .headers()
                    .get(name)
                    .and_then(|value| value.to_str().ok())
            };
            assert_eq!(header(header::CONTENT_ENCODING), encoding);
            assert_eq!(header(header::VARY), Some("accept-encoding"));
            let size = axum::body::HttpBody::size_hint(response.body()).exact();
            assert_eq!(size, Some(length as u64));
            let tag = header(header::ETAG).unwrap().to_owned();
            let mut again = accepting(&[accepts]);
            again.insert(header::IF_NONE_MATCH, tag.parse().unwrap());
            let unchanged = docs("swagger-ui-bundle.js", &again).unwrap();
            assert_eq!(unchanged.status(), StatusCode::NOT_MODIFIED);
            assert_eq!(unchanged.headers()[header::ETAG], tag);
            // The name of one encoding does not match another.
            again.insert(
                header::ACCEPT_ENCODING,
                HeaderValue::from_static(if accepts == "br" { "gzip" } else { "br" }),
            );
            assert_eq!(
                docs("swagger-ui-bundle.js", &again).unwrap().status(),
                StatusCode::OK
            );
        }
        for wrong in ["", "../x", "swagger-ui-bundle.js.map", "INDEX.HTML"] {
            assert!(docs(wrong, &HeaderMap::new()).is_none(), "{wrong}");
        }
    }
}
