//! Text that people read. What it may consist of is decided here, for every field.

use std::{fmt, ops::RangeInclusive};

use icu_normalizer::ComposingNormalizer;
use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{BidiControl, DefaultIgnorableCodePoint, GeneralCategory, NoncharacterCodePoint},
};
use serde::Serialize;

/// Most characters that the normal form NFC makes one of (Unicode Standard Annex 15).
pub const MAX_COMPOSED: usize = 4;

/// Text in the normal form NFC that shows what it consists of: no control characters, private use, noncharacters or controls
/// of the writing direction, and nothing invisible but what scripts and emoji need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Text(String);

impl Text {
    /// Reads text of a number of `characters`, as they are counted in NFC. If there must be any, one of them must be visible.
    ///
    /// # Errors
    ///
    /// What the text must be.
    pub fn parse(text: &str, characters: RangeInclusive<usize>) -> Result<Self, String> {
        let (least, most) = (*characters.start(), *characters.end());
        let length = || match least {
            0 => format!("must have at most {most} characters"),
            _ => format!("must have {least} to {most} characters"),
        };
        // Before anything that takes time with the length of the text.
        if text.chars().nth(most.saturating_mul(MAX_COMPOSED)).is_some() {
            return Err(length());
        }
        let text = ComposingNormalizer::new_nfc().normalize(text).into_owned();
        if !characters.contains(&text.chars().count()) {
            return Err(length());
        }
        let mut before = None;
        for c in text.chars() {
            if let Some(kind) = refused(c, before) {
                return Err(format!("must not contain {kind} (U+{:04X})", u32::from(c)));
            }
            before = Some(c);
        }
        if least > 0 && !text.chars().any(is_visible) {
            return Err("must have a visible character".into());
        }
        Ok(Self(text))
    }

    /// Text that was parsed before it was stored.
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a character is that must not stand after `before`; `None` if it may.
fn refused(c: char, before: Option<char>) -> Option<&'static str> {
    match CodePointMapData::<GeneralCategory>::new().get(c) {
        GeneralCategory::Control => return Some("control characters"),
        GeneralCategory::PrivateUse => return Some("private-use characters"),
        _ => {}
    }
    if CodePointSetData::new::<NoncharacterCodePoint>().contains(c) {
        Some("noncharacters")
    } else if CodePointSetData::new::<BidiControl>().contains(c) {
        Some("controls of the writing direction")
    } else if is_joiner_or_selector(c) {
        before.is_none_or(|before| before.is_ascii()).then_some("a joiner or variation selector after this character")
    } else {
        CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c).then_some("invisible characters")
    }
}

/// Zero-width joiners and variation selectors: invisible, and what scripts such as Persian or Hindi, and emoji, are written
/// with. No other invisible character is in any text, and what is compared leaves these out.
pub fn is_joiner_or_selector(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe0e}' | '\u{fe0f}')
}

/// Whether a character is a space: `White_Space`, or a cell of Braille without a dot, which looks like one.
pub fn is_space(c: char) -> bool {
    c.is_whitespace() || c == '\u{2800}'
}

/// Of the characters that a text may contain.
fn is_visible(c: char) -> bool {
    !is_space(c) && !is_joiner_or_selector(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, String> {
        Text::parse(text, 0..=10).map(|text| text.as_str().to_owned())
    }

    #[test]
    fn text_is_kept_in_nfc() {
        assert_eq!(parse("A\u{30a}").unwrap(), "Å");
        assert_eq!(parse("\u{212b}").unwrap(), "Å");
        assert_eq!(parse("ﬁ ² Ｐ").unwrap(), "ﬁ ² Ｐ", "and not in NFKC");
    }

    #[test]
    fn what_shows_nothing_or_misleads_is_refused() {
        for bad in [
            '\0',
            '\t',
            '\n',
            '\u{1b}',
            '\u{7f}',
            '\u{85}',
            '\u{9f}', // control
            '\u{e000}',
            '\u{f8ff}',
            '\u{f0000}',
            '\u{10fffd}', // private use
            '\u{fdd0}',
            '\u{ffff}',
            '\u{1fffe}',
            '\u{10ffff}', // noncharacters
            '\u{61c}',
            '\u{200e}',
            '\u{200f}',
            '\u{202e}',
            '\u{2066}',
            '\u{2069}', // direction
            '\u{ad}',
            '\u{34f}',
            '\u{115f}',
            '\u{17b4}',
            '\u{180e}',
            '\u{200b}',
            '\u{2060}',
            '\u{2064}',
            '\u{3164}', // invisible
            '\u{fe00}',
            '\u{feff}',
            '\u{ffa0}',
            '\u{1d173}',
            '\u{e0001}',
            '\u{e0041}',
            '\u{e0100}',
            '\u{e0fff}',
        ] {
            for text in [format!("{bad}"), format!("a{bad}b"), format!("é{bad}é")] {
                assert!(parse(&text).unwrap_err().contains(&format!("U+{:04X}", u32::from(bad))), "{text:?}");
            }
        }
        for good in ["Bücher", "ペン", "קובץ", "O’N – “i”", "1 000\u{202f}m²", "\u{378}", "a\u{301}\u{323}", "\u{fffd}"]
        {
            assert!(parse(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn joiners_and_selectors_stand_where_scripts_and_emoji_need_them() {
        for good in ["می\u{200c}خواهم", "क्\u{200d}ष", "🏳\u{fe0f}\u{200d}🌈", "☺\u{fe0e}"] {
            assert_eq!(parse(good).unwrap(), good);
        }
        for joiner in ['\u{200c}', '\u{200d}', '\u{fe0e}', '\u{fe0f}'] {
            for bad in [format!("{joiner}"), format!("{joiner}é"), format!("Pen{joiner}"), format!("é {joiner}é")] {
                assert!(parse(&bad).is_err(), "{bad:?}");
            }
        }
    }

    #[test]
    fn text_that_must_say_something_has_a_visible_character() {
        for blank in ["", " ", "\u{a0}", "\u{2003}", "\u{3000}", "\u{2028}", "\u{2800}", "\u{3164}", "\u{3000}\u{200d}"] {
            assert!(Text::parse(blank, 1..=10).is_err(), "{blank:?}");
        }
        for text in [".", "é\u{200d}", "⠁\u{2800}", "\u{301}"] {
            assert!(Text::parse(text, 1..=10).is_ok(), "{text:?}");
        }
        assert!(parse("\u{2800}").is_ok(), "where nothing must be said");
    }

    #[test]
    fn characters_are_counted_in_nfc() {
        assert!(parse(&"𝄞".repeat(10)).is_ok() && parse(&"x".repeat(11)).is_err());
        let (decomposed, composed) = ("\u{3b1}\u{313}\u{301}\u{345}".repeat(10), "\u{1f84}".repeat(10));
        assert_eq!(parse(&decomposed).unwrap(), composed);
        // A composition exclusion: NFC writes it as two.
        assert!(parse(&"\u{958}".repeat(5)).is_ok() && parse(&"\u{958}".repeat(6)).is_err());
        assert!(parse(&"x".repeat(1_000_000)).is_err());
    }

    #[test]
    fn what_is_refused_is_told_how_long_it_may_be() {
        assert_eq!(parse(&"x".repeat(11)).unwrap_err(), "must have at most 10 characters");
        assert_eq!(Text::parse("", 1..=10).unwrap_err(), "must have 1 to 10 characters");
        assert_eq!(Text::stored("Pen".into()).to_string(), "Pen");
    }
}
