//! How a function reads the stream of a table: Lambda's event source mapping.

use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::error::TemplateError;
use super::model::StreamMapping;
use super::reader::Reader;
use crate::pattern::Pattern;
use crate::value::{boolean, number};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct StreamEvent {
    stream: String,
    starting_position: String,
    #[serde(default = "batch_size", deserialize_with = "number")]
    batch_size: usize,
    #[serde(default, rename = "MaximumBatchingWindowInSeconds", deserialize_with = "number")]
    window: u64,
    #[serde(default, rename = "BisectBatchOnFunctionError", deserialize_with = "boolean")]
    bisects: bool,
    #[serde(default)]
    function_response_types: Vec<String>,
    #[serde(default, rename = "MaximumRetryAttempts", deserialize_with = "limit")]
    max_retries: Option<u32>,
    #[serde(default, rename = "MaximumRecordAgeInSeconds", deserialize_with = "limit")]
    max_age: Option<u32>,
    #[serde(default)]
    filter_criteria: Criteria,
    destination_config: Option<Destinations>,
    #[serde(default = "yes", deserialize_with = "boolean")]
    enabled: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Criteria {
    filters: Vec<Filter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Filter {
    pattern: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Destinations {
    on_failure: Destination,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Destination {
    r#type: String,
    destination: String,
}

/// Lambda's.
fn batch_size() -> usize {
    100
}

fn yes() -> bool {
    true
}

/// A number, of which -1 is none.
fn limit<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let limit: i64 = number(deserializer)?;
    Ok(u32::try_from(limit).ok())
}

pub fn read(reader: &Reader<'_>, function: &str, name: &str, event: &Value, at: &str) -> Result<StreamMapping, TemplateError> {
    let wrong = |key: &str, reason: String| TemplateError::new(format!("{at}.Properties.{key}"), reason);
    let written: StreamEvent =
        reader.property(event, "Properties", at)?.ok_or_else(|| TemplateError::new(at, "has no Properties"))?;
    let table = reader.scope.table_of_stream(&written.stream);
    let table = table.ok_or_else(|| wrong("Stream", "is no stream of a table of this template".to_owned()))?;
    if !written.enabled {
        return Err(wrong("Enabled", "a stream that is not read is not understood here".to_owned()));
    }
    let from_the_beginning = match written.starting_position.as_str() {
        "TRIM_HORIZON" => true,
        "LATEST" => false,
        other => return Err(wrong("StartingPosition", format!("{other}: only TRIM_HORIZON and LATEST are understood here"))),
    };
    if let Some(other) = written.function_response_types.iter().find(|kind| *kind != "ReportBatchItemFailures") {
        return Err(wrong("FunctionResponseTypes", format!("{other} is not understood here")));
    }
    let filter = |Filter { pattern }: Filter| {
        let pattern: Value = serde_json::from_str(&pattern).map_err(|error| error.to_string())?;
        Pattern::new(&pattern)
    };
    let filters = written.filter_criteria.filters.into_iter().map(filter).collect::<Result<_, _>>();
    let failures = match written.destination_config {
        Some(Destinations { on_failure: Destination { r#type, destination } }) if r#type == "SQS" => Some(destination),
        Some(_) => return Err(wrong("DestinationConfig", "only a queue (SQS) hears of failures here".to_owned())),
        None => None,
    };
    Ok(StreamMapping {
        function: function.to_owned(),
        name: name.to_owned(),
        table: reader.scope.reference(table, at)?,
        from_the_beginning,
        batch_size: written.batch_size,
        window: Duration::from_secs(written.window),
        bisects: written.bisects,
        reports_failures: !written.function_response_types.is_empty(),
        max_retries: written.max_retries,
        max_age: written.max_age.map(|seconds| Duration::from_secs(seconds.into())),
        filters: filters.map_err(|reason| wrong("FilterCriteria", reason))?,
        failures,
    })
}
