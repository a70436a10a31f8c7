//! Paging: `limit`, and a `cursor` that says where a walk through one list goes on.

use std::fmt;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// The part of a list that is asked for.
#[derive(Debug)]
pub struct PageRequest {
    /// 1 to 100.
    pub limit: u16,
    /// The position in the cursor, if there was one.
    pub after: Option<String>,
}

impl PageRequest {
    pub const DEFAULT_LIMIT: u16 = 20;
    pub const MAX_LIMIT: u16 = 100;
}

/// A position in one list with one set of filters.
///
/// Opaque to clients, though not secret: it carries a position and no authority, and the caller's own request says whose list
/// is read. The digest ties it to its list and shows when it was altered.
#[derive(Debug)]
pub struct Cursor {
    list: String,
    position: String,
}

/// Bytes of the digest in a cursor.
const DIGEST: usize = 8;

impl Cursor {
    /// `list` names the list and its filters.
    pub fn new(list: impl Into<String>, position: impl Into<String>) -> Self {
        Self { list: list.into(), position: position.into() }
    }

    /// The position in a cursor of this list.
    pub fn read(text: &str, list: &str) -> Result<String> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| Error::InvalidCursor)?;
        let (digest, position) = bytes.split_at_checked(DIGEST).ok_or(Error::InvalidCursor)?;
        let position = std::str::from_utf8(position).map_err(|_| Error::InvalidCursor)?;
        if digest != Self::digest(list, position) {
            return Err(Error::InvalidCursor);
        }
        Ok(position.to_owned())
    }

    fn digest(list: &str, position: &str) -> [u8; DIGEST] {
        // The length keeps `list` and `position` from running into each other.
        let text = format!("{} {list} {position}", list.len());
        let mut digest = [0; DIGEST];
        digest.copy_from_slice(&Sha256::digest(text)[..DIGEST]);
        digest
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digest = Self::digest(&self.list, &self.position);
        f.write_str(&BASE64_URL_SAFE_NO_PAD.encode([&digest, self.position.as_bytes()].concat()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_for_its_own_list_only() {
        let cursor = Cursor::new("products pen", "somewhere").to_string();
        assert_eq!(Cursor::read(&cursor, "products pen").unwrap(), "somewhere");
        for list in ["products ", "products pe", "orders pen"] {
            assert!(Cursor::read(&cursor, list).is_err(), "{list}");
        }
    }

    #[test]
    fn every_altered_character_shows() {
        let cursor = Cursor::new("products ", "0197a2b4 pen").to_string();
        for at in 0..cursor.len() {
            let mut altered = cursor.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            assert!(Cursor::read(std::str::from_utf8(&altered).unwrap(), "products ").is_err(), "{at}");
            assert!(Cursor::read(&cursor[..at], "products ").is_err());
        }
        assert!(Cursor::read("", "products ").is_err());
        assert!(Cursor::read("ü", "products ").is_err());
    }
}
