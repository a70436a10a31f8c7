//! Text folded for comparison: what differs only in case, in spaces, in what is invisible or in how Unicode spells it becomes
//! the same.

use std::fmt;

use icu_casemap::CaseMapper;
use icu_normalizer::ComposingNormalizer;

use super::text::{is_joiner_or_selector, is_space};

/// A text after NFKC and full case folding, without joiners and variation selectors, and with one space where there are several.
/// Two names are the same name when they fold to the same text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Folded(String);

impl Folded {
    /// Longest folded text, in bytes, that still fits the key of an index (1,024 bytes in DynamoDB).
    pub const MAX_BYTES: usize = 1024;

    /// A whole text: space around it is no part of it.
    pub fn new(text: &str) -> Self {
        let Self(mut folded) = Self::beginning(text);
        folded.truncate(folded.trim_end().len());
        Self(folded)
    }

    /// The beginning of a text, which may end with a space.
    pub fn beginning(text: &str) -> Self {
        let nfkc = ComposingNormalizer::new_nfkc();
        let seen: String = text.chars().filter(|c| !is_joiner_or_selector(*c)).collect();
        let folded = CaseMapper::new().fold_string(&nfkc.normalize(&seen)).into_owned();
        // Folding can undo the normal form (as it does for `ΐ`), so that it is made once more.
        let folded = nfkc.normalize(&folded);
        let mut collapsed = String::with_capacity(folded.len());
        for c in folded.chars() {
            match is_space(c) {
                false => collapsed.push(c),
                true if collapsed.is_empty() || collapsed.ends_with(' ') => {}
                true => collapsed.push(' '),
            }
        }
        Self(collapsed)
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
    use proptest::prelude::*;

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
            ("red pen", "red  pen"),
            ("red pen", " Red\u{3000}\u{2003}\u{a0}\u{2028}Pen\u{2800}"),
            ("☺", "☺\u{fe0f}"),
            ("é", "e\u{200d}\u{301}"),
            ("🏳\u{fe0f}\u{200d}🌈", "🏳🌈"),
        ] {
            assert_eq!(Folded::new(one), Folded::new(other), "{one} / {other}");
        }
        assert_ne!(Folded::new("resume"), Folded::new("résumé"));
        assert_ne!(Folded::new("red pen"), Folded::new("redpen"));
    }

    #[test]
    fn a_beginning_keeps_the_space_after_it() {
        assert_eq!(Folded::beginning(" Red  ").as_str(), "red ");
        assert_eq!(Folded::beginning("  ").as_str(), "");
        assert_eq!(Folded::new("Red  ").as_str(), "red");
    }

    proptest! {
        #[test]
        fn folding_twice_changes_nothing(text in any::<String>(), odd in "[İŉǰẞK\u{345}αᾳ\u{200d}\u{fe0f}\u{301} \u{2800}\u{3000}]{0,6}") {
            let once = Folded::new(&(text + &odd));
            prop_assert_eq!(Folded::new(once.as_str()), once);
        }
    }
}
