//! Detects a file's media type from its first bytes. Browsers display only the types that are
//! detected here; everything else is a download.

use std::sync::Arc;

/// So many bytes decide.
pub const SNIFFED_BYTES: usize = 512;
/// The type of files that a browser must not show.
pub const DOWNLOAD_ONLY: &str = "application/octet-stream";

/// The type of a file that begins so; `None` where it is none of those that may be shown.
#[must_use]
pub fn sniff(head: &[u8]) -> Option<&'static str> {
    let at = |offset: usize, bytes: &[u8]| {
        head.get(offset..offset + bytes.len())
            .is_some_and(|there| there == bytes)
    };
    Some(match head {
        _ if at(0, b"\x89PNG\r\n\x1a\n") => "image/png",
        _ if at(0, b"\xff\xd8\xff") => "image/jpeg",
        _ if at(0, b"GIF87a") || at(0, b"GIF89a") => "image/gif",
        _ if at(0, b"RIFF") && at(8, b"WEBP") => "image/webp",
        _ if at(0, b"RIFF") && at(8, b"WAVE") => "audio/wav",
        _ if at(0, b"OggS") => ogg(head),
        _ if at(0, b"fLaC") => "audio/flac",
        _ if at(0, b"ID3") => "audio/mpeg",
        [0xff, second, ..] if second & 0xe0 == 0xe0 && is_mpeg_audio(head) => "audio/mpeg",
        _ if at(0, b"\x1a\x45\xdf\xa3") && find(head, b"webm") => "video/webm",
        _ if at(4, b"ftyp") => iso_media(head)?,
        _ if at(0, b"%PDF-") => "application/pdf",
        _ => return None,
    })
}

/// Whether a browser may show this on its own.
#[must_use]
pub fn is_inline(media_type: &str) -> bool {
    const SHOWN: [&str; 17] = [
        "image/png",
        "image/jpeg",
        "image/gif",
        "image/webp",
        "image/avif",
        "audio/wav",
        "audio/ogg",
        "audio/flac",
        "audio/mpeg",
        "audio/mp4",
        "audio/webm",
        "video/ogg",
        "video/webm",
        "video/mp4",
        "video/quicktime",
        "audio/aac",
        "application/pdf",
    ];
    SHOWN.contains(&media_type)
}

/// A file's type: the detected one, or the sender's if that is none that a browser would show. A
/// container that may have only sound has the sender's type.
#[must_use]
pub fn media_type(found: Option<&'static str>, declared: &str) -> Arc<str> {
    let declared = declared
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    match found {
        Some("video/webm") if declared == "audio/webm" => "audio/webm".into(),
        Some("video/mp4") if declared == "audio/mp4" => "audio/mp4".into(),
        Some("audio/ogg") if declared == "video/ogg" => "video/ogg".into(),
        Some(found) => found.into(),
        None if is_harmless(&declared) => declared.into(),
        None => DOWNLOAD_ONLY.into(),
    }
}

/// Whether a type that was not found may be named: a well-formed one that is no picture, sound,
/// video, PDF or markup.
fn is_harmless(declared: &str) -> bool {
    let Some((family, name)) = declared.split_once('/') else {
        return false;
    };
    let is_token = |part: &str| {
        (1..=80).contains(&part.len())
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-.+_".contains(&b))
    };
    let is_shown = ["image", "audio", "video", "multipart", "message"].contains(&family)
        || ["html", "xml", "svg", "pdf", "script", "xslt", "mathml"]
            .iter()
            .any(|word| name.contains(word));
    is_token(family) && is_token(name) && !is_shown
}

fn find(head: &[u8], word: &[u8]) -> bool {
    head[..head.len().min(SNIFFED_BYTES)]
        .windows(word.len())
        .any(|part| part == word)
}

fn ogg(head: &[u8]) -> &'static str {
    if find(head, b"theora") {
        "video/ogg"
    } else {
        "audio/ogg"
    }
}

/// Whether a frame header of MPEG audio is valid: two bytes alone begin many other files.
fn is_mpeg_audio(head: &[u8]) -> bool {
    let [_, second, third, _, ..] = head else {
        return false;
    };
    let (version, layer) = (second >> 3 & 3, second >> 1 & 3);
    let (bitrate, rate) = (third >> 4, third >> 2 & 3);
    version != 1 && layer != 0 && bitrate != 0 && bitrate != 15 && rate != 3
}

fn iso_media(head: &[u8]) -> Option<&'static str> {
    Some(match head.get(8..12)? {
        b"avif" | b"avis" => "image/avif",
        b"M4A " | b"M4B " => "audio/mp4",
        b"qt  " => "video/quicktime",
        b"isom" | b"iso2" | b"iso4" | b"iso5" | b"iso6" | b"mp41" | b"mp42" | b"avc1" | b"M4V "
        | b"dash" | b"MSNV" => "video/mp4",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_are_recognised_by_signatures() {
        for (head, found) in [
            (&b"\x89PNG\r\n\x1a\n...."[..], Some("image/png")),
            (b"GIF89a<script>alert(1)</script>", Some("image/gif")),
            (b"RIFF\0\0\0\0WEBPVP8 ", Some("image/webp")),
            (b"RIFF\0\0\0\0AVI ", None),
            (b"%PDF-1.7", Some("application/pdf")),
            (b" %PDF-1.7", None),
            (b"<!DOCTYPE html>", None),
            (b"<svg xmlns='http://www.w3.org/2000/svg'>", None),
            (b"<?xml version='1.0'?>", None),
            (b"\xff\xfe<\0s\0c\0", None),
            (b"\xff\xfb\x90\x00", Some("audio/mpeg")),
            (b"\0\0\0\x18ftypisom", Some("video/mp4")),
            (b"\0\0\0\x18ftypxxxx", None),
            (b"\x1a\x45\xdf\xa3....webm", Some("video/webm")),
            (b"\x1a\x45\xdf\xa3....matroska", None),
            (b"MZ\x90\0", None),
            (b"", None),
        ] {
            assert_eq!(sniff(head), found, "{head:?}");
            assert!(found.is_none_or(is_inline));
        }
    }

    #[test]
    fn the_declared_type_is_not_trusted_for_display() {
        assert_eq!(&*media_type(None, "text/html"), DOWNLOAD_ONLY);
        assert_eq!(&*media_type(None, "image/svg+xml"), DOWNLOAD_ONLY);
        assert_eq!(&*media_type(None, "image/png"), DOWNLOAD_ONLY);
        assert_eq!(&*media_type(None, "application/xhtml+xml"), DOWNLOAD_ONLY);
        assert_eq!(&*media_type(None, "application/pdf"), DOWNLOAD_ONLY);
        assert_eq!(&*media_type(None, "a b/c\r\nx: y"), DOWNLOAD_ONLY);
        assert_eq!(&*media_type(None, ""), DOWNLOAD_ONLY);
        assert_eq!(
            &*media_type(None, "Text/Plain; charset=utf-8"),
            "text/plain"
        );
        assert_eq!(&*media_type(None, "application/zip"), "application/zip");
        assert_eq!(&*media_type(Some("image/png"), "text/html"), "image/png");
        assert_eq!(
            &*media_type(Some("video/webm"), "audio/webm;codecs=opus"),
            "audio/webm"
        );
        assert!(!is_inline(&media_type(None, "audio/mp4")));
    }
}
