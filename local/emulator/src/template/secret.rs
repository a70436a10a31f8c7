//! The secrets of a template: given, or to be generated.

use super::error::TemplateError;
use super::model::{Secret, SecretValue};
use super::reader::Reader;
use super::supported::{SECRET, SECRET_AWS_ONLY, known};

pub fn read(reader: &Reader<'_>, id: &str) -> Result<Secret, TemplateError> {
    let at = format!("Resources.{id}.Properties");
    let properties = reader.scope.properties(id);
    known(properties, &at, SECRET, SECRET_AWS_ONLY)?;
    let value = match reader.property(properties, "SecretString", &at)? {
        Some(text) => SecretValue::Given(text),
        None => SecretValue::Generated(reader.property(properties, "GenerateSecretString", &at)?.unwrap_or_default()),
    };
    Ok(Secret { id: id.to_owned(), name: reader.scope.name(id, &at)?, arn: reader.scope.arn(id, &at)?, value })
}
