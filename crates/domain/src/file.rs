//! Files that members share: their names and types, who may have them, and addresses that are signed.

use crate::identity::{ConversationId, FileId, UserId};
use crate::time::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::sync::Arc;

mod kind;
mod sniff;

pub use kind::FileKind;
pub use sniff::{DOWNLOAD_ONLY, SNIFFED_BYTES, is_inline, media_type, sniff};

/// The most bytes of a file's name.
pub const MAX_FILE_NAME_BYTES: usize = 255;
/// The most files of one message.
pub const MAX_ATTACHMENTS: usize = 10;

/// A file as messages have it. It does not change once it is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    pub id: FileId,
    pub name: Arc<str>,
    /// The media type detected from its content; the type that its sender reported is used only
    /// where that is harmless.
    pub media_type: Arc<str>,
    pub size: u64,
    /// Of a picture or a video, as it is shown.
    pub dimensions: Option<Dimensions>,
    pub has_thumbnail: bool,
    /// Of a picture with a thumbnail: what to show until it is loaded (<https://blurha.sh>).
    pub blur_hash: Option<Arc<str>>,
    /// Of sound and video, in milliseconds, by the file's header.
    pub duration_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dimensions {
    pub width: u32,
    pub height: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileState {
    /// Some of its bytes may be missing.
    Uploading,
    /// All bytes are there; it is examined.
    Processing,
    Ready,
    /// It was refused for its content.
    Failed,
    /// A scanner refused it.
    Blocked,
    /// Its bytes are to be deleted.
    Deleted,
    /// Its bytes are deleted.
    Gone,
}

impl FileState {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Uploading => "uploading",
            Self::Processing => "processing",
            Self::Ready => "ready",
            Self::Failed | Self::Deleted | Self::Gone => "failed",
            Self::Blocked => "blocked",
        }
    }

    /// The number that stores keep.
    #[must_use]
    pub fn number(self) -> i16 {
        match self {
            Self::Uploading => 0,
            Self::Processing => 1,
            Self::Ready => 2,
            Self::Failed => 3,
            Self::Blocked => 4,
            Self::Deleted => 5,
            Self::Gone => 6,
        }
    }

    /// From the number in the store. A file with an unknown number, of a newer version, cannot be
    /// downloaded.
    #[must_use]
    pub fn from_number(number: i64) -> Self {
        match number {
            0 => Self::Uploading,
            1 => Self::Processing,
            2 => Self::Ready,
            4 => Self::Blocked,
            5 => Self::Deleted,
            6 => Self::Gone,
            _ => Self::Failed,
        }
    }
}

/// A file as the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFile {
    pub file: Attachment,
    pub owner: UserId,
    pub conversation: ConversationId,
    /// How many of its bytes are on the disk.
    pub received: u64,
    pub state: FileState,
    /// The message that it belongs to.
    pub message_seq: Option<u64>,
    /// Whether the owner blocked the reader, in their direct conversation.
    pub is_withheld: bool,
    pub created_at: Timestamp,
    /// When it last grew or changed its state.
    pub changed_at: Timestamp,
    /// How often another process took over writing the upload. It distinguishes the bytes of
    /// different processes.
    pub generation: u64,
    /// Where the bytes are, in the byte store's own format. Changes together with `received`.
    pub place: Arc<str>,
    /// Whether a process claims to write the upload. It may have died.
    pub is_claimed: bool,
}

impl StoredFile {
    /// Whether a member of its conversation may have its bytes: until it is sent, only its owner.
    #[must_use]
    pub fn is_for(&self, member: &UserId) -> bool {
        self.state == FileState::Ready && (self.message_seq.is_some() || self.owner == *member)
    }
}

/// How far an upload is, for the other members of its conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileProgress {
    pub conversation: ConversationId,
    pub file: FileId,
    /// The uploader.
    pub user: UserId,
    pub name: Arc<str>,
    pub size: u64,
    pub received: u64,
    pub state: FileState,
}

/// A name without what makes it a path, and without characters that hide how it reads: control
/// characters, and those that change the direction of text. The rest is kept as given.
#[must_use]
pub fn clean_name(name: &str) -> Arc<str> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let shown: String = last.chars().filter(|c| !is_hidden(*c)).collect();
    let shown = shown.trim();
    let mut end = shown.len().min(MAX_FILE_NAME_BYTES);
    while !shown.is_char_boundary(end) {
        end -= 1;
    }
    match shown[..end].trim_end() {
        "" | "." | ".." => "file".into(),
        name => name.into(),
    }
}

fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{061c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
                | '\u{feff}'
        )
}

/// The address of a picture of an account or a group.
#[must_use]
pub fn avatar_path(id: &FileId) -> Arc<str> {
    format!("{AVATARS}{id}").into()
}

/// The prefix of avatar URLs.
pub const AVATARS: &str = "/api/avatars/";

/// HMAC-SHA-256 (RFC 2104) of an address of a file for one user, until a time.
fn signed(key: &[u8], file: &FileId, user: &UserId, until: Timestamp) -> Option<Hmac<Sha256>> {
    // Keys of every length are keys of HMAC.
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(b"lamplight file\0");
    for part in [file.as_str(), user.as_str()] {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part.as_bytes());
    }
    mac.update(&until.0.to_be_bytes());
    Some(mac)
}

/// The signature of an address of a file for one user, until a time.
#[must_use]
pub fn signature(key: &[u8], file: &FileId, user: &UserId, until: Timestamp) -> String {
    let signed = signed(key, file, user, until);
    signed.map_or_else(String::new, |mac| {
        URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
    })
}

/// Whether a signature is the one of this address. Takes as long wherever they differ.
#[must_use]
pub fn is_signature(
    given: &str,
    key: &[u8],
    file: &FileId,
    user: &UserId,
    until: Timestamp,
) -> bool {
    let Ok(given) = URL_SAFE_NO_PAD.decode(given) else {
        return false;
    };
    signed(key, file, user, until).is_some_and(|mac| mac.verify_slice(&given).is_ok())
}

/// Whether a file of this type may be uploaded: `allowed` has types such as `image/png`, and
/// families such as `image/*`; empty, it allows all.
#[must_use]
pub fn is_type_allowed(allowed: &[Arc<str>], media_type: &str) -> bool {
    allowed.is_empty()
        || allowed
            .iter()
            .any(|pattern| match pattern.strip_suffix("/*") {
                Some("*") => true,
                Some(family) => media_type
                    .split_once('/')
                    .is_some_and(|(of, _)| of == family),
                None => **pattern == *media_type,
            })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_has_no_path_and_no_invisible_characters() {
        for (given, kept) in [
            ("../../etc/passwd", "passwd"),
            ("C:\\Windows\\evil.exe", "evil.exe"),
            ("a\u{202e}gnp.exe", "agnp.exe"),
            ("a\u{200f}\u{2066}b\u{2069}.txt", "ab.txt"),
            ("line\r\nbreak\u{0}.txt", "linebreak.txt"),
            ("..", "file"),
            ("a/", "file"),
            ("\u{202e}", "file"),
            ("  Straße \"1\"; x=y.pdf ", "Straße \"1\"; x=y.pdf"),
            ("می\u{200c}خواهم.png", "می\u{200c}خواهم.png"),
        ] {
            assert_eq!(&*clean_name(given), kept, "{given:?}");
        }
        let long = clean_name(&"ü".repeat(400));
        assert_eq!(long.len(), 254);
    }

    #[test]
    fn a_signature_is_for_one_file_user_and_time() {
        let of = |key: &[u8], file: &str, user: &str, until| {
            signature(
                key,
                &FileId::trusted(file),
                &UserId::trusted(user),
                Timestamp(until),
            )
        };
        let one = of(b"key", "ab", "c", 1);
        // By another implementation, of this text.
        assert_eq!(one, "hSjQbKR-URaawKZ-i_8aqzzrIAtP9lJk9utA6nP_ZQA");
        let is_one = |given: &str, until| {
            let (file, user) = (FileId::trusted("ab"), UserId::trusted("c"));
            is_signature(given, b"key", &file, &user, Timestamp(until))
        };
        assert!(is_one(&one, 1) && !is_one(&one, 2));
        for wrong in ["", "!", &one[1..], &one[..42], &of(b"kez", "ab", "c", 1)] {
            assert!(!is_one(wrong, 1), "{wrong}");
        }
        for other in [
            of(b"kez", "ab", "c", 1),
            of(b"key", "a", "bc", 1),
            of(b"key", "ab", "d", 1),
            of(b"key", "ab", "c", 2),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn states_round_trip_through_their_numbers() {
        for number in 0..7 {
            assert_eq!(i64::from(FileState::from_number(number).number()), number);
        }
        assert_eq!(FileState::from_number(99), FileState::Failed);
    }

    #[test]
    fn types_are_allowed_one_by_one_or_by_family() {
        let allowed: Vec<Arc<str>> = vec!["image/*".into(), "application/pdf".into()];
        assert!(is_type_allowed(&allowed, "image/png"));
        assert!(is_type_allowed(&allowed, "application/pdf"));
        assert!(!is_type_allowed(&allowed, "application/zip"));
        assert!(!is_type_allowed(&allowed, "imagex/png"));
        assert!(is_type_allowed(&[], "application/zip"));
        assert!(is_type_allowed(&["*/*".into()], "application/zip"));
    }
}
