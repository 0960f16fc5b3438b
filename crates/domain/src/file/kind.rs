//! The kinds of files by which a conversation's files are listed.

/// The kind of a file, derived from its media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// Pictures and videos.
    Media,
    Audio,
    /// Everything else.
    Document,
}

impl FileKind {
    pub const ALL: [Self; 3] = [Self::Media, Self::Audio, Self::Document];

    /// The kind of a media type. The indexes of the stores say the same in SQL.
    #[must_use]
    pub fn of(media_type: &str) -> Self {
        match media_type.split_once('/') {
            Some(("image" | "video", _)) => Self::Media,
            Some(("audio", _)) => Self::Audio,
            _ => Self::Document,
        }
    }

    /// The number in the indexes of the stores.
    #[must_use]
    pub fn number(self) -> i32 {
        match self {
            Self::Media => 1,
            Self::Audio => 2,
            Self::Document => 3,
        }
    }

    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Media => "media",
            Self::Audio => "audio",
            Self::Document => "document",
        }
    }

    /// From its name on the wire.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_follows_from_the_media_type() {
        for (media_type, kind) in [
            ("image/png", FileKind::Media),
            ("video/mp4", FileKind::Media),
            ("audio/ogg", FileKind::Audio),
            ("application/pdf", FileKind::Document),
            ("application/image/png", FileKind::Document),
            ("imagery/png", FileKind::Document),
            ("audio", FileKind::Document),
            ("", FileKind::Document),
        ] {
            assert_eq!(FileKind::of(media_type), kind, "{media_type}");
        }
    }

    #[test]
    fn kinds_are_found_by_their_names() {
        for kind in FileKind::ALL {
            assert_eq!(FileKind::named(kind.as_str()), Some(kind));
        }
        assert_eq!(FileKind::named("Media"), None);
    }
}
