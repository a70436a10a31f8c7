//! The HTTP API of a template: its authorizers and the origins that it allows.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::error::{TemplateError, typed};
use super::model::{Authorizer, Cors};
use super::reader::Reader;
use super::supported::{API, API_AWS_ONLY, known};
use crate::value::{boolean, number, scalar};

/// The one HTTP API that can run here.
pub struct Api {
    pub authorizers: BTreeMap<String, Authorizer>,
    pub default_authorizer: Option<String>,
    pub cors: Option<Cors>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
struct ApiAuth {
    default_authorizer: Option<String>,
    authorizers: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct LambdaAuthorizer {
    function_arn: String,
    /// Nobody asks here whether the gateway may call it.
    #[serde(default, rename = "EnableFunctionDefaultPermissions")]
    _permissions: Value,
    #[serde(default, rename = "AuthorizerPayloadFormatVersion")]
    payload_format: Value,
    #[serde(default, deserialize_with = "boolean")]
    enable_simple_responses: bool,
    #[serde(default)]
    identity: Identity,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
struct Identity {
    headers: Vec<String>,
    #[serde(deserialize_with = "number")]
    reauthorize_every: u64,
}

impl Api {
    /// Reads it: a resource of its own, or the implicit one that `Globals.HttpApi` describes.
    pub fn read(reader: &Reader<'_>) -> Result<Self, TemplateError> {
        let mut apis = reader.scope.resources().filter(|(_, resource)| resource["Type"] == "AWS::Serverless::HttpApi");
        let (properties, at) = match (apis.next(), apis.next()) {
            (None, _) => (&reader.globals["HttpApi"], "Globals.HttpApi".to_owned()),
            (Some((id, resource)), None) => (&resource["Properties"], format!("Resources.{id}.Properties")),
            (Some(_), Some((id, _))) => {
                return Err(TemplateError::new(format!("Resources.{id}"), "a second HttpApi; only one can run here"));
            }
        };
        known(properties, &at, API, API_AWS_ONLY)?;
        let cors = reader.property(properties, "CorsConfiguration", &at)?;
        let auth: ApiAuth = reader.property(properties, "Auth", &at)?.unwrap_or_default();
        let authorizers = auth
            .authorizers
            .into_iter()
            .map(|(name, value)| {
                let at = format!("{at}.Auth.Authorizers.{name}");
                Ok((name, authorizer(reader, value, &at)?))
            })
            .collect::<Result<_, TemplateError>>()?;
        Ok(Self { authorizers, default_authorizer: auth.default_authorizer, cors })
    }
}

fn authorizer(reader: &Reader<'_>, value: Value, at: &str) -> Result<Authorizer, TemplateError> {
    let authorizer: LambdaAuthorizer = typed(value, at)?;
    if !authorizer.enable_simple_responses || scalar(&authorizer.payload_format).as_deref() != Some("2.0") {
        return Err(TemplateError::new(at, "only payload format \"2.0\" with EnableSimpleResponses can run here"));
    }
    Ok(Authorizer {
        function: reader
            .scope
            .function_of(&authorizer.function_arn)
            .ok_or_else(|| TemplateError::new(format!("{at}.FunctionArn"), "is not the ARN of a function of this template"))?
            .to_owned(),
        headers: authorizer.identity.headers.iter().map(|name| name.to_ascii_lowercase()).collect(),
        ttl: Duration::from_secs(authorizer.identity.reauthorize_every),
    })
}
