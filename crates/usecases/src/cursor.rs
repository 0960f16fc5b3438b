//! Cursors, as clients get them.

use crate::ports::StoreError;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The last conversation of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationKey {
    pub position: i64,
    pub row: i64,
}

/// The last person of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonKey {
    pub name_folded: String,
    pub user: String,
}

/// The last message of a page of a search: its entry's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SearchKey {
    pub entry: i64,
}

/// The last member of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberKey {
    pub user: String,
}

/// The last file of a page of a conversation's files: its message, and its place in that message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileKey {
    pub seq: i64,
    pub position: i64,
    pub id: String,
}

fn open(cursor: &str, kind: char) -> Result<String, StoreError> {
    let bytes = URL_SAFE_NO_PAD
        .decode(cursor)
        .map_err(|_| StoreError::BadCursor)?;
    let text = String::from_utf8(bytes).map_err(|_| StoreError::BadCursor)?;
    text.strip_prefix(kind)
        .map(str::to_owned)
        .ok_or(StoreError::BadCursor)
}

impl ConversationKey {
    pub fn write(&self) -> String {
        URL_SAFE_NO_PAD.encode(format!("o{}:{}", self.position, self.row))
    }

    pub fn read(cursor: &str) -> Result<Self, StoreError> {
        let text = open(cursor, 'o')?;
        let (position, row) = text.split_once(':').ok_or(StoreError::BadCursor)?;
        let number = |text: &str| text.parse().map_err(|_| StoreError::BadCursor);
        Ok(Self {
            position: number(position)?,
            row: number(row)?,
        })
    }
}

impl PersonKey {
    pub fn write(&self) -> String {
        // Neither a name nor an id has control characters, so the separator is in neither.
        URL_SAFE_NO_PAD.encode(format!("p{}\0{}", self.name_folded, self.user))
    }

    pub fn read(cursor: &str) -> Result<Self, StoreError> {
        let text = open(cursor, 'p')?;
        let (name_folded, user) = text.split_once('\0').ok_or(StoreError::BadCursor)?;
        Ok(Self {
            name_folded: name_folded.to_owned(),
            user: user.to_owned(),
        })
    }
}

impl SearchKey {
    pub fn write(self) -> String {
        URL_SAFE_NO_PAD.encode(format!("s{}", self.entry))
    }

    pub fn read(cursor: &str) -> Result<Self, StoreError> {
        let text = open(cursor, 's')?;
        let entry = text.parse().map_err(|_| StoreError::BadCursor)?;
        Ok(Self { entry })
    }
}

impl MemberKey {
    pub fn write(&self) -> String {
        URL_SAFE_NO_PAD.encode(format!("m{}", self.user))
    }

    pub fn read(cursor: &str) -> Result<Self, StoreError> {
        open(cursor, 'm').map(|user| Self { user })
    }
}

impl FileKey {
    /// Before all files.
    #[must_use]
    pub const fn first() -> Self {
        Self {
            seq: i64::MAX,
            position: -1,
            id: String::new(),
        }
    }

    pub fn write(&self) -> String {
        URL_SAFE_NO_PAD.encode(format!("f{}:{}:{}", self.seq, self.position, self.id))
    }

    pub fn read(cursor: &str) -> Result<Self, StoreError> {
        let text = open(cursor, 'f')?;
        let mut parts = text.splitn(3, ':');
        let mut part = || parts.next().ok_or(StoreError::BadCursor);
        let number = |text: &str| text.parse().map_err(|_| StoreError::BadCursor);
        let key = Self {
            seq: number(part()?)?,
            position: number(part()?)?,
            id: part()?.to_owned(),
        };
        // PostgreSQL's text has no U+0000, and ids have no control characters.
        let is_id = !key.id.contains(char::is_control);
        is_id.then_some(key).ok_or(StoreError::BadCursor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_round_trip_and_others_are_refused() {
        let key = ConversationKey {
            position: 5,
            row: 7,
        };
        assert_eq!(ConversationKey::read(&key.write()).unwrap(), key);
        let person = PersonKey {
            name_folded: "zoë".into(),
            user: "42".into(),
        };
        assert_eq!(PersonKey::read(&person.write()).unwrap(), person);
        for bad in ["", "%%%", "7", &person.write(), "YzE", "Y3g6MQ"] {
            assert!(
                matches!(ConversationKey::read(bad), Err(StoreError::BadCursor)),
                "{bad}"
            );
        }
        let member = MemberKey { user: "42".into() };
        assert_eq!(MemberKey::read(&member.write()).unwrap(), member);
        let search = SearchKey { entry: 9 };
        assert_eq!(SearchKey::read(&search.write()).unwrap(), search);
        assert!(SearchKey::read(&key.write()).is_err());
        let file = FileKey {
            seq: 9,
            position: 2,
            id: "x:-_".into(),
        };
        assert_eq!(FileKey::read(&file.write()).unwrap(), file);
        let null = FileKey {
            id: "\0".into(),
            ..file
        };
        for bad in [&null.write(), &search.write(), "Zjk6Mg"] {
            assert!(FileKey::read(bad).is_err(), "{bad}");
        }
        assert!(matches!(
            PersonKey::read(&key.write()),
            Err(StoreError::BadCursor)
        ));
    }
}
