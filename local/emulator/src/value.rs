//! Values as they are written in templates and in options: texts, numbers and booleans are one there.

use std::str::FromStr;
use std::time::Duration;

use hyper::Uri;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// The text of a text, number or boolean: templates do not tell them apart.
pub fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// For `#[serde(deserialize_with = …)]`: a number, or a text that is one.
pub fn number<'de, D: Deserializer<'de>, T: FromStr>(deserializer: D) -> Result<T, D::Error> {
    parsed(deserializer, "number")
}

/// Like [`number`], for a field that may be absent.
pub fn maybe_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    number(deserializer).map(Some)
}

/// Whether it is `true`, as a boolean or as a text.
pub fn is_true(value: &Value) -> bool {
    scalar(value).is_some_and(|text| text == "true")
}

/// For `#[serde(deserialize_with = …)]`: a boolean, or a text that is one.
pub fn boolean<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    parsed(deserializer, "boolean")
}

fn parsed<'de, D: Deserializer<'de>, T: FromStr>(deserializer: D, wanted: &str) -> Result<T, D::Error> {
    let value = Value::deserialize(deserializer)?;
    scalar(&value).and_then(|text| text.parse().ok()).ok_or_else(|| D::Error::custom(format!("{value} is not a {wanted}")))
}

/// Reads a time such as `50ms`.
pub fn milliseconds(text: &str) -> Result<Duration, String> {
    let number = text.strip_suffix("ms").and_then(|number| number.parse().ok());
    number.map(Duration::from_millis).ok_or_else(|| format!("{text:?} is no time, such as 50ms"))
}

/// Whether it is a whole URL that a program can be asked at, such as `http://127.0.0.1:8000`.
pub fn is_url(text: &str) -> bool {
    text.parse().is_ok_and(|uri: Uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
            && uri.port_u16() != Some(0)
    })
}
