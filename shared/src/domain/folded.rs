//! Text folded for comparison: what differs only in case or in how Unicode spells it becomes the same.

use std::fmt;

use icu_casemap::CaseMapper;
use icu_normalizer::ComposingNormalizer;

/// A text after NFKC and full case folding (Unicode's `toNFKC_Casefold` without the removal of ignorable code points).
/// Two names are the same name when they fold to the same text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Folded(String);

impl Folded {
    /// Longest folded text, in bytes, that still fits the key of an index (1,024 bytes in DynamoDB).
    pub const MAX_BYTES: usize = 1024;

    pub fn new(text: &str) -> Self {
        let nfkc = ComposingNormalizer::new_nfkc();
        let folded = CaseMapper::new().fold_string(&nfkc.normalize(text)).into_owned();
        // Folding can undo the normal form (as it does for `ΐ`), so that it is made once more.
        Self(nfkc.normalize(&folded).into_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Folded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_in_other_clothes_folds_to_the_same_text() {
        for (one, other) in [
            ("Pen", "pEN"),
            ("Straße", "STRASSE"),
            ("Ångström", "A\u{30a}ngstro\u{308}m"),
            ("ﬁle", "FILE"),
            ("Ｐｅｎ", "pen"),
            ("ΐ", "\u{1fd3}"),
            ("Σίσυφος", "ΣΊΣΥΦΟΣ"),
            ("²", "2"),
        ] {
            assert_eq!(Folded::new(one), Folded::new(other), "{one} / {other}");
        }
        assert_ne!(Folded::new("resume"), Folded::new("résumé"));
    }

    #[test]
    fn folding_twice_changes_nothing() {
        for text in ["İstanbul", "ŉ", "ǰ", "ẞ", "K", "\u{345}α", "ᾳ"] {
            let once = Folded::new(text);
            assert_eq!(Folded::new(once.as_str()), once, "{text}");
        }
    }
}
