//! `If-Match` and `If-None-Match` (RFC 9110, 13.1): lists of entity tags, or `*`.

use std::{fmt::Display, str::FromStr};

use crate::{Error, Result};

/// Most tags that one header may list. A store asks the database about each of them.
const MAX_TAGS: usize = 20;

/// What the caller wants the entity to be, or not to be; `V` is what its version is.
#[derive(Debug, PartialEq, Eq)]
pub enum Tags<V> {
    /// `*`: any version.
    Any,
    /// The versions behind the tags. Tags that we cannot have made are left out: they match nothing.
    Versions(Vec<V>),
}

impl<V: FromStr + Display> Tags<V> {
    /// Reads the value of the header `name`. `weak`: whether weak tags count, as they do for `If-None-Match` only.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidHeader`] if it lists more than 20 tags. What is no tag is one that matches nothing.
    pub fn parse(name: &'static str, value: &str, weak: bool) -> Result<Self> {
        if value.trim() == "*" {
            return Ok(Self::Any);
        }
        // A tag may contain commas, and unlike in other quoted strings a backslash in it is itself (RFC 9110, 8.8.3).
        let mut quoted = false;
        let members = value.split(|c| {
            quoted ^= c == '"';
            c == ',' && !quoted
        });
        let tags: Vec<_> = members.map(str::trim).filter(|tag| !tag.is_empty()).collect();
        if tags.len() > MAX_TAGS {
            return Err(Error::InvalidHeader { name, expected: "at most 20 entity tags" });
        }
        let versions = tags.into_iter().filter_map(|tag| {
            let tag = if weak { tag.strip_prefix("W/").unwrap_or(tag) } else { tag };
            let text = tag.strip_prefix('"')?.strip_suffix('"')?;
            // Only the spelling that we answer: `"07"` is another tag than `"7"`.
            text.parse::<V>().ok().filter(|version| version.to_string() == text)
        });
        Ok(Self::Versions(versions.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(value: &str, weak: bool) -> Result<Tags<u64>> {
        Tags::parse("If-Match", value, weak)
    }

    #[test]
    fn reads_lists_and_drops_what_is_not_ours() {
        for (header, weak, versions) in [
            ("\"7\"", false, vec![7]),
            ("\"7\", \"8\"", false, vec![7, 8]),
            ("\"7\",\"8\"", false, vec![7, 8]),
            ("W/\"7\"", true, vec![7]),
            ("W/\"7\"", false, vec![]),
            ("7", false, vec![]),
            ("\"07\"", false, vec![]),
            ("\"+7\"", false, vec![]),
            ("\"abc, 7\", \"9\"", false, vec![9]),
            ("\"a\\\", \"9\"", false, vec![9]),
            ("\"a,\"7\",\"", false, vec![]),
            ("\"7\", \"8", false, vec![7]),
            ("\"8, \"7\"", false, vec![]),
            ("\"7\" \"8\"", false, vec![]),
            ("*, \"7\"", false, vec![7]),
            ("", false, vec![]),
            (",,", false, vec![]),
            ("\"99999999999999999999999\"", false, vec![]),
        ] {
            assert_eq!(parse(header, weak).unwrap(), Tags::Versions(versions), "{header}");
        }
        assert_eq!(parse(" * ", false).unwrap(), Tags::Any);
    }

    #[test]
    fn a_list_has_at_most_twenty_tags() {
        assert_eq!(parse(&"\"7\",".repeat(20), false).unwrap(), Tags::Versions(vec![7; 20]));
        for value in ["\"7\",", "W/\"7\",", "x,"] {
            assert!(matches!(parse(&value.repeat(21), true), Err(Error::InvalidHeader { name: "If-Match", .. })), "{value}");
        }
        assert!(parse(&format!("\"{}\"", ",".repeat(100)), false).is_ok(), "commas in a tag separate nothing");
    }
}
