//! What CloudFormation tells of a stack: its parameters, its outputs and what it is made of.

use serde_json::Value;

use super::error::TemplateError;
use super::intrinsics::Scope;
use super::model::{Output, Resource, Stack};
use super::supported::{OUTPUT, OUTPUT_AWS_ONLY, RESOURCE_TYPES_AWS_ONLY, known};
use crate::value::{is_true, scalar};

pub fn read(scope: &Scope<'_>, document: &Value) -> Result<Stack, TemplateError> {
    let declared = &document["Parameters"];
    let parameters = scope.parameters().map(|(name, value)| {
        let value = match value {
            Value::Array(items) => items.iter().filter_map(scalar).collect::<Vec<_>>().join(","),
            one => scalar(one).unwrap_or_default(),
        };
        // As CloudFormation shows what is not to be seen.
        let value = if is_true(&declared[name]["NoEcho"]) { "****".to_owned() } else { value };
        (name.to_owned(), value)
    });
    let outputs = document["Outputs"].as_object().into_iter().flatten();
    let outputs = outputs.filter_map(|(key, written)| output(scope, key, written).transpose());
    let exists = |kind: &str| !RESOURCE_TYPES_AWS_ONLY.contains(&kind) || kind == HTTP_API || kind == LOG_GROUP;
    let resources = scope.resources().filter(|(_, resource)| resource["Type"].as_str().is_some_and(exists));
    let resources = resources.map(|(id, resource)| {
        let kind = resource["Type"].as_str().unwrap_or_default();
        Ok(Resource {
            id: id.to_owned(),
            name: scope.reference(id, &format!("Resources.{id}"))?,
            kind: transformed(kind).to_owned(),
        })
    });
    Ok(Stack {
        name: scope.stack().to_owned(),
        description: document["Description"].as_str().map(str::to_owned),
        parameters: parameters.collect(),
        outputs: outputs.collect::<Result<_, _>>()?,
        resources: resources.collect::<Result<_, TemplateError>>()?,
    })
}

const HTTP_API: &str = "AWS::Serverless::HttpApi";
const LOG_GROUP: &str = "AWS::Logs::LogGroup";

/// What SAM makes of a type of its own.
fn transformed(kind: &str) -> &str {
    match kind {
        "AWS::Serverless::Function" => "AWS::Lambda::Function",
        HTTP_API => "AWS::ApiGatewayV2::Api",
        other => other,
    }
}

/// An output, unless its condition leaves it out.
fn output(scope: &Scope<'_>, key: &str, written: &Value) -> Result<Option<Output>, TemplateError> {
    let at = format!("Outputs.{key}");
    known(written, &at, OUTPUT, OUTPUT_AWS_ONLY)?;
    if let Some(condition) = written.get("Condition")
        && !scope.condition(condition, &format!("{at}.Condition"))?
    {
        return Ok(None);
    }
    let resolved = scope.resolve(&written["Value"], &format!("{at}.Value"))?;
    let value = resolved.as_ref().and_then(scalar).ok_or_else(|| TemplateError::new(format!("{at}.Value"), "is not a text"))?;
    Ok(Some(Output { key: key.to_owned(), value, description: written.get("Description").and_then(scalar) }))
}
