//! The text that people read, as a pattern.

/// What [`crate::domain::Text`] takes in no place, as the inside of a character class.
const REFUSED: &[(char, char)] = &[
    ('\0', '\u{1f}'),
    ('\u{7f}', '\u{9f}'),
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200b}'),
    ('\u{200e}', '\u{200f}'),
    ('\u{202a}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{e000}', '\u{f8ff}'),
    ('\u{fdd0}', '\u{fdef}'),
    ('\u{fe00}', '\u{fe0d}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fff8}'),
    ('\u{fffe}', '\u{ffff}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{1fffe}', '\u{1ffff}'),
    ('\u{2fffe}', '\u{2ffff}'),
    ('\u{3fffe}', '\u{3ffff}'),
    ('\u{4fffe}', '\u{4ffff}'),
    ('\u{5fffe}', '\u{5ffff}'),
    ('\u{6fffe}', '\u{6ffff}'),
    ('\u{7fffe}', '\u{7ffff}'),
    ('\u{8fffe}', '\u{8ffff}'),
    ('\u{9fffe}', '\u{9ffff}'),
    ('\u{afffe}', '\u{affff}'),
    ('\u{bfffe}', '\u{bffff}'),
    ('\u{cfffe}', '\u{cffff}'),
    ('\u{dfffe}', '\u{dffff}'),
    ('\u{e0000}', '\u{e0fff}'),
    ('\u{efffe}', '\u{10ffff}'),
];

/// The pattern of a text that people read, in the syntax that the regular expressions of all languages share. `visible`: whether
/// one of its characters must be.
pub(super) fn text_pattern(visible: bool) -> String {
    let write = |c: char| if c > '\u{ffff}' { c.to_string() } else { format!("\\u{:04x}", u32::from(c)) };
    let ranges = REFUSED.iter().map(|(first, last)| [write(*first), write(*last)].join("-"));
    let refused = ranges.collect::<String>();
    let joiners = "\\u200c\\u200d\\ufe0e\\ufe0f";
    let spaces = "\\u0020\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u2800\\u3000";
    // Joiners and variation selectors only after what is not ASCII.
    let character = |but: &str| format!("(?:[^{but}{joiners}{refused}]|[^\\u0000-\\u007f{but}{joiners}{refused}][{joiners}]+)");
    if visible { format!("^{0}*{1}{0}*$", character(""), character(spaces)) } else { format!("^{}*$", character("")) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::Text;

    #[test]
    fn the_pattern_of_text_is_what_the_code_takes() {
        let any = jsonschema::validator_for(&json!({"type": "string", "pattern": text_pattern(false)})).unwrap();
        let some = jsonschema::validator_for(&json!({"type": "string", "pattern": text_pattern(true)})).unwrap();
        let edges = REFUSED.iter().flat_map(|(first, last)| [u32::from(*first).wrapping_sub(1), u32::from(*last) + 1]);
        let edges = edges.filter_map(char::from_u32).chain(REFUSED.iter().flat_map(|(first, last)| [*first, *last]));
        // These are other characters in NFC: a semicolon, a grave accent, and a letter, after which no joiner may stand.
        for c in
            ('\0'..='\u{33ff}').chain('\u{d7b0}'..='\u{ffff}').chain(edges).filter(|c| !"\u{37e}\u{1fef}\u{212a}".contains(*c))
        {
            for text in [c.to_string(), format!("{c}\u{200d}"), format!("é{c}")] {
                let (least, readable) = (Text::parse(&text, 1..=9), Text::parse(&text, 0..=9));
                assert_eq!(any.is_valid(&json!(text)), readable.is_ok(), "{text:?}: {readable:?}");
                assert_eq!(some.is_valid(&json!(text)), least.is_ok(), "{text:?}: {least:?}");
            }
        }
        assert!(any.is_valid(&json!("")) && !some.is_valid(&json!("")));
    }
}
