//! What is wrong with a template.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// What is wrong, and where.
#[derive(Debug)]
pub struct TemplateError {
    pub place: String,
    pub reason: String,
}

impl TemplateError {
    pub fn new(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { place: place.into(), reason: reason.into() }
    }
}

/// A value read as what it must be.
pub fn typed<T: DeserializeOwned>(value: Value, at: &str) -> Result<T, TemplateError> {
    serde_json::from_value(value).map_err(|error| TemplateError::new(at, error.to_string()))
}
