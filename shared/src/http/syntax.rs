//! The syntax that header fields share (RFC 9110, 5.6): tokens, quoted strings, lists and parameters.
//!
//! The gateway joins a header that is sent twice by a comma, so that every header is met as a list, also one that has no lists.

use std::borrow::Cow;

/// The parts of a value between separators, those in quoted strings left out, without surrounding space.
pub fn split(value: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    let parts = value.split(move |c| {
        let plain = !quoted && !escaped;
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        plain && c == separator
    });
    parts.map(trim)
}

/// Without the white space that may surround a value.
pub fn trim(value: &str) -> &str {
    value.trim_matches([' ', '\t'])
}

/// Whether `text` is a token: one or more of the characters that need no quotes.
pub fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// What a quoted string says. `None` for what is no quoted string, or more than one.
pub fn unquoted(text: &str) -> Option<Cow<'_, str>> {
    let inner = text.strip_prefix('"')?;
    if let Some(plain) = inner.strip_suffix('"')
        && !plain.contains(['"', '\\'])
    {
        return Some(plain.into());
    }
    let (mut said, mut characters) = (String::new(), inner.chars());
    loop {
        match characters.next()? {
            '\\' => said.push(characters.next()?),
            '"' => return characters.as_str().is_empty().then_some(said.into()),
            c => said.push(c),
        }
    }
}

/// A parameter, such as `charset=utf-8` or `q="0.5"`: its name and its value. `None` for what is none.
pub fn parameter(text: &str) -> Option<(&str, Cow<'_, str>)> {
    let (name, value) = text.split_once('=')?;
    let value = if is_token(value) { value.into() } else { unquoted(value)? };
    is_token(name).then_some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_in_quoted_strings_separate_nothing() {
        for (value, expected) in [
            ("a, b ,c", vec!["a", "b", "c"]),
            ("\"a,b\",\tc", vec!["\"a,b\"", "c"]),
            (r#""a\",b",c"#, vec![r#""a\",b""#, "c"]),
            ("\"a,b", vec!["\"a,b"]),
            (r"a\,b", vec![r"a\", "b"]),
            ("", vec![""]),
        ] {
            assert_eq!(split(value, ',').collect::<Vec<_>>(), expected, "{value}");
        }
    }

    #[test]
    fn a_quoted_string_ends_where_the_value_does() {
        assert_eq!(unquoted("\"a b\"").as_deref(), Some("a b"));
        assert_eq!(unquoted("\"\"").as_deref(), Some(""));
        assert_eq!(unquoted(r#""a\"\\b""#).as_deref(), Some(r#"a"\b"#));
        for bad in ["", "\"", "a", "\"a", "a\"", "\"a\"b\"", "\"a\";x=1", r#""a\""#, r#""a\"#] {
            assert_eq!(unquoted(bad), None, "{bad}");
        }
    }

    #[test]
    fn parameters_are_tokens_or_quoted() {
        assert_eq!(parameter("charset=utf-8"), Some(("charset", "utf-8".into())));
        assert_eq!(parameter("charset=\"a=b\""), Some(("charset", "a=b".into())));
        for bad in ["charset", "charset=", "=utf-8", "char set=a", "charset = a", "charset=\"a", "charset=a\"b\"", "charset=a,b"]
        {
            assert_eq!(parameter(bad), None, "{bad}");
        }
    }
}
