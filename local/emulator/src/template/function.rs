//! The functions of a template: their settings, their variables and the policies that they have.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::error::TemplateError;
use super::model::Function;
use super::policy::Statement;
use super::reader::Reader;
use super::supported::{FUNCTION, FUNCTION_AWS_ONLY, LOGGING, LOGGING_AWS_ONLY, known};
use crate::value::scalar;

pub fn read(reader: &Reader<'_>, id: &str, resource: &Value) -> Result<Function, TemplateError> {
    let at = format!("Resources.{id}.Properties");
    let properties = &resource["Properties"];
    known(properties, &at, FUNCTION, FUNCTION_AWS_ONLY)?;
    let mut all = variables(reader, &reader.globals["Function"], "Globals.Function")?;
    all.extend(variables(reader, properties, &at)?);
    let policies: Value = reader.property(properties, "Policies", &at)?.unwrap_or_else(|| Value::Array(Vec::new()));
    let name = reader.scope.reference(id, &at)?;
    Ok(Function {
        id: id.to_owned(),
        log_group: log_group(reader, properties, &at)?.unwrap_or_else(|| format!("/aws/lambda/{name}")),
        name,
        arn: reader.scope.arn(id, &at)?,
        binary: binary(id),
        timeout: Duration::from_secs(reader.number(properties, "Timeout", &at)?.unwrap_or(3)),
        memory: reader.number(properties, "MemorySize", &at)?.unwrap_or(128),
        variables: all,
        statements: Statement::read(&policies, &format!("{at}.Policies"))?,
        boundary: boundary(reader, properties, &at)?,
    })
}

/// The binary of a function: a makefile is told no more than a logical id, and `ProductGetFunction` is product-get.
pub fn binary(id: &str) -> String {
    let mut binary = String::new();
    for letter in id.strip_suffix("Function").filter(|name| !name.is_empty()).unwrap_or(id).chars() {
        if letter.is_ascii_uppercase() && !binary.is_empty() {
            binary.push('-');
        }
        binary.push(letter.to_ascii_lowercase());
    }
    binary
}

/// What the managed policy that bounds a function's rights allows: the function's own, or else that of `Globals`.
fn boundary(reader: &Reader<'_>, properties: &Value, at: &str) -> Result<Option<Vec<Statement>>, TemplateError> {
    let own = properties.get("PermissionsBoundary").map(|named| (named, at));
    let global = || reader.globals["Function"].get("PermissionsBoundary").map(|named| (named, "Globals.Function"));
    let Some((named, at)) = own.or_else(global) else {
        return Ok(None);
    };
    let at = format!("{at}.PermissionsBoundary");
    let id = named["Ref"].as_str().filter(|id| reader.scope.properties(id).get("PolicyDocument").is_some());
    let id =
        id.ok_or_else(|| TemplateError::new(&at, "only a !Ref of a managed policy of this template can be enforced here"))?;
    let at = format!("Resources.{id}.Properties");
    let document: Option<Value> = reader.property(reader.scope.properties(id), "PolicyDocument", &at)?;
    Statement::read(&document.unwrap_or_default(), &format!("{at}.PolicyDocument")).map(Some)
}

fn variables(reader: &Reader<'_>, properties: &Value, at: &str) -> Result<BTreeMap<String, String>, TemplateError> {
    let environment: Value = reader.property(properties, "Environment", at)?.unwrap_or_default();
    known(&environment, &format!("{at}.Environment"), &["Variables"], &[])?;
    let Some(variables) = environment.get("Variables").and_then(Value::as_object) else {
        return Ok(BTreeMap::new());
    };
    variables
        .iter()
        .map(|(name, value)| {
            let value =
                scalar(value).ok_or_else(|| TemplateError::new(format!("{at}.Environment.Variables.{name}"), "is not a text"))?;
            Ok((name.clone(), value))
        })
        .collect()
}

/// The log group that a function, or else `Globals`, names.
fn log_group(reader: &Reader<'_>, properties: &Value, at: &str) -> Result<Option<String>, TemplateError> {
    for (properties, at) in [(properties, at), (&reader.globals["Function"], "Globals.Function")] {
        let logging: Value = reader.property(properties, "LoggingConfig", at)?.unwrap_or_default();
        let at = format!("{at}.LoggingConfig");
        known(&logging, &at, LOGGING, LOGGING_AWS_ONLY)?;
        if let Some(group) = logging.get("LogGroup") {
            return scalar(group).map(Some).ok_or_else(|| TemplateError::new(format!("{at}.LogGroup"), "is not a text"));
        }
    }
    Ok(None)
}
