//! What calls the functions of a template: routes of the HTTP API, schedules, and streams of tables.

use serde::Deserialize;
use serde_json::Value;

use super::error::TemplateError;
use super::model::{Route, Schedule, Template};
use super::reader::Reader;
use super::stream;
use crate::value::boolean;

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct HttpEvent {
    /// There is one API.
    #[serde(rename = "ApiId")]
    _api: Option<Value>,
    path: Option<String>,
    method: Option<String>,
    #[serde(default)]
    auth: EventAuth,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct EventAuth {
    authorizer: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ScheduleEvent {
    #[serde(rename = "Name")]
    _name: Option<String>,
    #[serde(rename = "Description")]
    _description: Option<String>,
    #[serde(alias = "ScheduleExpression")]
    schedule: String,
    input: Option<String>,
    #[serde(default = "yes", deserialize_with = "boolean")]
    enabled: bool,
    state: Option<String>,
}

fn yes() -> bool {
    true
}

/// Adds to the template what calls the function: its routes, its schedules and the streams that it reads.
pub fn read(
    reader: &Reader<'_>,
    id: &str,
    resource: &Value,
    default_authorizer: Option<&str>,
    template: &mut Template,
) -> Result<(), TemplateError> {
    let Some(events) = resource.pointer("/Properties/Events").and_then(Value::as_object) else {
        return Ok(());
    };
    for (name, event) in events {
        let at = format!("Resources.{id}.Properties.Events.{name}");
        match event["Type"].as_str() {
            Some("HttpApi") => {
                let event: HttpEvent = reader.property(event, "Properties", &at)?.unwrap_or_default();
                let authorizer = match event.auth.authorizer.as_deref() {
                    Some("NONE") => None,
                    named => named.or(default_authorizer).map(str::to_owned),
                };
                template.routes.push(Route {
                    key: route_key(event.path, event.method, &at)?,
                    function: id.to_owned(),
                    authorizer,
                });
            }
            Some("Schedule" | "ScheduleV2") => {
                let event: ScheduleEvent =
                    reader.property(event, "Properties", &at)?.ok_or_else(|| TemplateError::new(&at, "has no Properties"))?;
                let rate = event
                    .schedule
                    .parse()
                    .map_err(|reason: String| TemplateError::new(format!("{at}.Properties.Schedule"), reason))?;
                if event.enabled && event.state.as_deref() != Some("DISABLED") {
                    template.schedules.push(Schedule {
                        function: id.to_owned(),
                        name: name.clone(),
                        expression: event.schedule,
                        rate,
                        input: event.input,
                    });
                }
            }
            Some("DynamoDB") => template.streams.push(stream::read(reader, id, name, event, &at)?),
            // The account's default bus, on which other services of AWS tell what they have done: here they tell nothing.
            Some("EventBridgeRule") if event.pointer("/Properties/EventBusName").is_none() => {}
            kind => {
                let kind = kind.unwrap_or("an event without a Type");
                return Err(TemplateError::new(
                    at,
                    format!(
                        "{kind}: only HttpApi, Schedule, DynamoDB and EventBridgeRule of the default bus can call a function here"
                    ),
                ));
            }
        }
    }
    Ok(())
}

fn route_key(path: Option<String>, method: Option<String>, at: &str) -> Result<String, TemplateError> {
    match (path.as_deref(), method) {
        (None | Some("$default"), _) => Ok("$default".to_owned()),
        (Some(path), method) if path.starts_with('/') => {
            let method = method.map_or_else(|| "ANY".to_owned(), |method| method.to_ascii_uppercase());
            let method = if method == "X-AMAZON-APIGATEWAY-ANY-METHOD" { "ANY" } else { &method };
            Ok(format!("{method} {path}"))
        }
        _ => Err(TemplateError::new(format!("{at}.Properties.Path"), "must start with a slash")),
    }
}
