//! What a request and its answer said, to be looked at: without passwords and tokens, which are masked before anything is kept.

use axum::http::HeaderMap;
use serde_json::Value;

/// What stands where something is not to be read.
pub const MASK: &str = "…";

/// A header, a query parameter or a member of a body whose name contains one of these is never kept.
const SECRET: [&str; 8] = ["password", "token", "secret", "credential", "authorization", "cookie", "api-key", "api_key"];

/// Longer bodies are not kept.
const LIMIT: usize = 32 * 1024;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exchange {
    pub request_id: String,
    pub request: Message,
    pub response: Message,
}

/// A request or an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Message {
    /// In the order of their names.
    pub headers: Vec<(String, String)>,
    /// How long the body was.
    pub bytes: usize,
    /// The body as JSON, if it was that and not too long: nobody can tell what is secret in anything else.
    pub body: Option<String>,
}

impl Message {
    pub fn new(headers: &HeaderMap, body: &[u8]) -> Self {
        let mut headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| {
                let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                (name.as_str().to_owned(), if is_secret(name.as_str()) { MASK.to_owned() } else { value })
            })
            .collect();
        headers.sort();
        let parsed: Option<Value> = if body.len() <= LIMIT { serde_json::from_slice(body).ok() } else { None };
        // A text or a number alone has no name that tells whether it is secret.
        let kept = parsed.filter(|value| value.is_object() || value.is_array()).map(|mut value| {
            mask(&mut value);
            value.to_string()
        });
        Self { headers, bytes: body.len(), body: kept }
    }

    /// The body, or `null` if it is not kept.
    pub fn json(&self) -> Value {
        self.body.as_ref().and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(its, _)| its == name).map(|(_, value)| value.as_str())
    }
}

/// A query as it was sent, but for the values that are not to be read.
pub fn masked_query(query: &str) -> String {
    let parts = query.split('&').map(|part| {
        let secret = form_urlencoded::parse(part.as_bytes()).any(|(name, _)| is_secret(&name));
        match part.split_once('=') {
            Some((name, _)) if secret => format!("{name}={MASK}"),
            _ => part.to_owned(),
        }
    });
    parts.collect::<Vec<_>>().join("&")
}

fn mask(value: &mut Value) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(mask),
        Value::Object(members) => {
            for (name, value) in members {
                if is_secret(name) {
                    *value = MASK.into();
                } else {
                    mask(value);
                }
            }
        }
        _ => {}
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET.iter().any(|secret| name.contains(secret))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};
    use serde_json::json;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn nothing_secret_is_kept_wherever_it_stands() {
        let sent = headers(&[("x-b", "2"), ("authorization", "Bearer s3cret"), ("cookie", "id=s3cret"), ("x-api-key", "s3cret")]);
        let body = json!({
            "email": "ada@example.com",
            "Password": "s3cret",
            "new_password": 7,
            "tokens": ["s3cret", {"a": "s3cret"}],
            "items": [{"quantity": 2, "nested": {"refresh_token": "s3cret"}}],
        });
        let message = Message::new(&sent, body.to_string().as_bytes());
        assert!(!format!("{message:?}").contains("s3cret"), "{message:?}");
        let expected = json!({
            "email": "ada@example.com",
            "Password": "…",
            "new_password": "…",
            "tokens": "…",
            "items": [{"quantity": 2, "nested": {"refresh_token": "…"}}],
        });
        assert_eq!((message.json(), message.bytes), (expected, body.to_string().len()));
        assert_eq!((message.header("x-b"), message.header("authorization")), (Some("2"), Some("…")));
    }

    #[test]
    fn only_what_can_be_masked_is_kept() {
        for body in ["", "password=s3cret", r#"{"password": "s3cret""#, r#""s3cret""#, "{}s3cret"] {
            let message = Message::new(&HeaderMap::new(), body.as_bytes());
            assert_eq!((message.body, message.bytes), (None, body.len()), "{body}");
        }
        let long = json!({"text": "x".repeat(LIMIT)}).to_string();
        assert_eq!(Message::new(&HeaderMap::new(), long.as_bytes()).body, None);
    }

    #[test]
    fn queries_are_kept_as_they_were_sent_but_for_secrets() {
        for (query, expected) in [
            ("", ""),
            ("limit=2&prefix=a%20b", "limit=2&prefix=a%20b"),
            ("token=abc&x=1", "token=…&x=1"),
            ("x=1&pass%77ord=abc=def", "x=1&pass%77ord=…"),
            ("token", "token"),
        ] {
            assert_eq!(masked_query(query), expected);
        }
    }
}
