//! `If-Match` and `If-None-Match` (RFC 9110, 13.1): lists of entity tags, or `*`.

/// What the caller wants the entity to be, or not to be.
#[derive(Debug, PartialEq, Eq)]
pub enum Tags {
    /// `*`: any version.
    Any,
    /// The versions behind the tags. Tags that we cannot have made are left out: they match nothing.
    Versions(Vec<u64>),
}

impl Tags {
    /// Reads a header. `weak`: whether weak tags count, as they do for `If-None-Match` only.
    pub fn parse(header: &str, weak: bool) -> Self {
        if header.trim() == "*" {
            return Self::Any;
        }
        let versions = header.split(',').map(str::trim).filter_map(|tag| {
            let tag = if weak { tag.strip_prefix("W/").unwrap_or(tag) } else { tag };
            let text = tag.strip_prefix('"')?.strip_suffix('"')?;
            // Only the spelling that we answer: `"07"` is another tag than `"7"`.
            text.parse::<u64>().ok().filter(|version| version.to_string() == text)
        });
        Self::Versions(versions.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lists_and_drops_what_is_not_ours() {
        for (header, weak, versions) in [
            ("\"7\"", false, vec![7]),
            ("\"7\", \"8\"", false, vec![7, 8]),
            ("W/\"7\"", true, vec![7]),
            ("W/\"7\"", false, vec![]),
            ("7", false, vec![]),
            ("\"07\"", false, vec![]),
            ("\"+7\"", false, vec![]),
            ("\"abc, 7\", \"9\"", false, vec![9]),
            ("", false, vec![]),
            ("\"99999999999999999999999\"", false, vec![]),
        ] {
            assert_eq!(Tags::parse(header, weak), Tags::Versions(versions), "{header}");
        }
        assert_eq!(Tags::parse(" * ", false), Tags::Any);
    }
}
