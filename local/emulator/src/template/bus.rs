//! EventBridge's buses and rules, what rules send events to, and queues for what could not be sent.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::error::TemplateError;
use super::model::{EventBus, Queue, Rule, Target};
use super::reader::Reader;
use super::supported::{
    API_DESTINATION, API_DESTINATION_AWS_ONLY, BUS, BUS_AWS_ONLY, CONNECTION, CONNECTION_AWS_ONLY, QUEUE, QUEUE_AWS_ONLY, RULE,
    RULE_AWS_ONLY, known,
};
use crate::pattern::Pattern;
use crate::value::number;

pub fn bus(reader: &Reader<'_>, id: &str) -> Result<EventBus, TemplateError> {
    let at = format!("Resources.{id}.Properties");
    known(reader.scope.properties(id), &at, BUS, BUS_AWS_ONLY)?;
    Ok(EventBus { name: reader.scope.name(id, &at)?, arn: reader.scope.arn(id, &at)? })
}

pub fn queue(reader: &Reader<'_>, id: &str) -> Result<Queue, TemplateError> {
    let at = format!("Resources.{id}.Properties");
    known(reader.scope.properties(id), &at, QUEUE, QUEUE_AWS_ONLY)?;
    Ok(Queue { id: id.to_owned(), name: reader.scope.name(id, &at)?, arn: reader.scope.arn(id, &at)? })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct WrittenTarget {
    id: String,
    arn: String,
    #[serde(rename = "RoleArn")]
    _role: Option<String>,
    input_path: Option<String>,
    dead_letter_config: Option<DeadLetters>,
    #[serde(default)]
    retry_policy: Retries,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct DeadLetters {
    arn: String,
}

/// EventBridge's defaults.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
struct Retries {
    #[serde(deserialize_with = "number")]
    maximum_retry_attempts: u32,
    #[serde(deserialize_with = "number")]
    maximum_event_age_in_seconds: u64,
}

impl Default for Retries {
    fn default() -> Self {
        Self { maximum_retry_attempts: 185, maximum_event_age_in_seconds: 86_400 }
    }
}

pub fn rule(reader: &Reader<'_>, id: &str) -> Result<Rule, TemplateError> {
    let at = format!("Resources.{id}.Properties");
    let properties = reader.scope.properties(id);
    known(properties, &at, RULE, RULE_AWS_ONLY)?;
    let pattern: Value = reader.property(properties, "EventPattern", &at)?.unwrap_or_default();
    let pattern = Pattern::new(&pattern).map_err(|reason| TemplateError::new(format!("{at}.EventPattern"), reason))?;
    let targets: Vec<WrittenTarget> = reader.property(properties, "Targets", &at)?.unwrap_or_default();
    let targets =
        targets.into_iter().map(|target| self::target(reader, target, &format!("{at}.Targets"))).collect::<Result<_, _>>()?;
    let bus: Option<String> = reader.property(properties, "EventBusName", &at)?;
    Ok(Rule {
        name: reader.scope.name(id, &at)?,
        arn: reader.scope.arn(id, &at)?,
        bus: bus.unwrap_or_else(|| "default".to_owned()),
        pattern,
        targets,
    })
}

fn target(reader: &Reader<'_>, written: WrittenTarget, at: &str) -> Result<Target, TemplateError> {
    let WrittenTarget { id, arn, input_path, dead_letter_config, retry_policy, .. } = written;
    let is_destination = |other: &&str| {
        reader.scope.is(other, "AWS::Events::ApiDestination") && reader.scope.arn(other, at).is_ok_and(|its| its == arn)
    };
    let destination = reader.scope.resources().map(|(id, _)| id).find(|id| is_destination(id));
    let destination =
        destination.ok_or_else(|| TemplateError::new(at, format!("{id}: only an API destination can be a target here")))?;
    if let Some(path) = &input_path
        && path.strip_prefix("$.").is_none_or(|path| path.contains(['[', '*']))
    {
        return Err(TemplateError::new(at, format!("{path}: only a path of names can be an InputPath here")));
    }
    let (url, headers) = api_destination(reader, destination)?;
    Ok(Target {
        id,
        arn,
        url,
        headers,
        input_path,
        dead_letters: dead_letter_config.map(|queue| queue.arn),
        retries: retry_policy.maximum_retry_attempts,
        max_age: Duration::from_secs(retry_policy.maximum_event_age_in_seconds),
    })
}

/// The URL of an API destination, and the headers by which it knows who sends.
fn api_destination(reader: &Reader<'_>, id: &str) -> Result<(String, BTreeMap<String, String>), TemplateError> {
    let at = format!("Resources.{id}.Properties");
    let properties = reader.scope.properties(id);
    known(properties, &at, API_DESTINATION, API_DESTINATION_AWS_ONLY)?;
    let missing = |name: &str| TemplateError::new(format!("{at}.{name}"), "is missing");
    let method: String = reader.property(properties, "HttpMethod", &at)?.ok_or_else(|| missing("HttpMethod"))?;
    if method != "POST" {
        return Err(TemplateError::new(format!("{at}.HttpMethod"), format!("{method}: only POST can be sent here")));
    }
    let url = reader.property(properties, "InvocationEndpoint", &at)?.ok_or_else(|| missing("InvocationEndpoint"))?;
    let connection: String = reader.property(properties, "ConnectionArn", &at)?.ok_or_else(|| missing("ConnectionArn"))?;
    let mut connections = reader.scope.resources().map(|(id, _)| id).filter(|id| reader.scope.is(id, "AWS::Events::Connection"));
    let connection = connections.find(|id| reader.scope.arn(id, &at).is_ok_and(|its| its == connection));
    let connection =
        connection.ok_or_else(|| TemplateError::new(format!("{at}.ConnectionArn"), "is no connection of this template"))?;
    Ok((url, headers(reader, connection)?))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct AuthParameters {
    api_key_auth_parameters: ApiKey,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ApiKey {
    api_key_name: String,
    api_key_value: String,
}

fn headers(reader: &Reader<'_>, id: &str) -> Result<BTreeMap<String, String>, TemplateError> {
    let at = format!("Resources.{id}.Properties");
    let properties = reader.scope.properties(id);
    known(properties, &at, CONNECTION, CONNECTION_AWS_ONLY)?;
    let kind: Option<String> = reader.property(properties, "AuthorizationType", &at)?;
    if kind.as_deref() != Some("API_KEY") {
        return Err(TemplateError::new(format!("{at}.AuthorizationType"), "only API_KEY is understood here"));
    }
    let parameters: Option<AuthParameters> = reader.property(properties, "AuthParameters", &at)?;
    let AuthParameters { api_key_auth_parameters: ApiKey { api_key_name, api_key_value } } =
        parameters.ok_or_else(|| TemplateError::new(format!("{at}.AuthParameters"), "are missing"))?;
    Ok(BTreeMap::from([(api_key_name, api_key_value)]))
}
