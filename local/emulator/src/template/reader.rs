//! Reads the properties of a template's resources, with every function in them resolved.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::{TemplateError, typed};
use super::intrinsics::Scope;
use crate::value::scalar;

pub struct Reader<'t> {
    pub scope: Scope<'t>,
    pub globals: &'t Value,
}

impl Reader<'_> {
    /// A property with every function in it resolved, or nothing when it is absent or `AWS::NoValue`.
    pub fn property<T: DeserializeOwned>(&self, properties: &Value, key: &str, at: &str) -> Result<Option<T>, TemplateError> {
        let Some(value) = properties.get(key) else {
            return Ok(None);
        };
        let at = format!("{at}.{key}");
        self.scope.resolve(value, &at)?.map(|value| typed(value, &at)).transpose()
    }

    /// A number of the function itself or else of `Globals`.
    pub fn number<T: std::str::FromStr>(&self, properties: &Value, key: &str, at: &str) -> Result<Option<T>, TemplateError> {
        let (value, at): (Option<Value>, _) = match self.property(properties, key, at)? {
            Some(value) => (Some(value), at),
            None => (self.property(&self.globals["Function"], key, "Globals.Function")?, "Globals.Function"),
        };
        value
            .map(|value| {
                scalar(&value)
                    .and_then(|text| text.parse().ok())
                    .ok_or_else(|| TemplateError::new(format!("{at}.{key}"), "is not a number"))
            })
            .transpose()
    }
}
