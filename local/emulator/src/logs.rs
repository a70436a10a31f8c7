//! CloudWatch Logs: what functions have written, as far as it is remembered, by log group and log stream.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::filter::Filter;
use crate::iam::AuthorizationRequest;
use crate::ids;
use crate::log::{Log, LogLine};
use crate::names::arn;
use crate::protocol::{Call, Refusal, page, read};
use crate::template::Function;

const OPERATIONS: &[&str] = &["DescribeLogGroups", "DescribeLogStreams", "FilterLogEvents", "GetLogEvents"];

/// The most events that one answer has, and how many it has unless somebody says.
const MOST_EVENTS: usize = 10_000;

/// How many groups or streams one answer has.
const PAGE: usize = 50;

/// The stream of lines about a function that no environment has written.
const BESIDE: &str = "platform";

pub struct Logs {
    log: Arc<Log>,
    /// The log group that each function writes to, by its binary.
    groups: BTreeMap<String, String>,
    /// When all of this began, in milliseconds since 1970.
    since: u64,
}

/// A line, as CloudWatch Logs knows it.
struct LogEvent {
    /// How many lines came before it, of whatever group.
    number: u64,
    stream: String,
    /// In milliseconds since 1970.
    at: u64,
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WantedGroups {
    log_group_name_prefix: Option<String>,
    log_group_name_pattern: Option<String>,
    next_token: Option<String>,
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WantedStreams {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_name_prefix: Option<String>,
    order_by: Option<String>,
    #[serde(default)]
    descending: bool,
    next_token: Option<String>,
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WantedEvents {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    #[serde(default)]
    log_stream_names: Vec<String>,
    log_stream_name_prefix: Option<String>,
    start_time: Option<u64>,
    end_time: Option<u64>,
    filter_pattern: Option<String>,
    next_token: Option<String>,
    limit: Option<usize>,
    /// Events of several streams always come in the order of their times.
    #[serde(rename = "interleaved")]
    _interleaved: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WantedStream {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_name: String,
    start_time: Option<u64>,
    end_time: Option<u64>,
    next_token: Option<String>,
    limit: Option<usize>,
    #[serde(default)]
    start_from_head: bool,
}

impl Logs {
    pub fn new(log: Arc<Log>, functions: &[Function]) -> Self {
        let groups = functions.iter().map(|function| (function.binary.clone(), function.log_group.clone())).collect();
        Self { log, groups, since: ids::now_millis() }
    }

    pub fn authorization_requests(operation: &str, input: &Value) -> Vec<AuthorizationRequest> {
        let group = input["logGroupName"].as_str().or(input["logGroupIdentifier"].as_str());
        let group = group.unwrap_or("*").split(":log-group:").last().unwrap_or_default();
        let resource = arn("logs", &format!("log-group:{}:*", group.trim_end_matches(":*")));
        vec![AuthorizationRequest { action: format!("logs:{operation}"), resource, keys: Vec::new() }]
    }

    pub fn answer(&self, call: &Call, input: &Value) -> Result<Value, Refusal> {
        match call.operation.as_str() {
            "DescribeLogGroups" => self.groups(&read(input)?),
            "DescribeLogStreams" => self.streams(&read(input)?),
            "FilterLogEvents" => self.filter(&read(input)?),
            "GetLogEvents" => self.of_stream(&read(input)?),
            _ => Err(call.not_served(OPERATIONS)),
        }
    }

    fn groups(&self, wanted: &WantedGroups) -> Result<Value, Refusal> {
        let is_wanted = |name: &&String| {
            wanted.log_group_name_prefix.as_ref().is_none_or(|prefix| name.starts_with(prefix.as_str()))
                && wanted.log_group_name_pattern.as_ref().is_none_or(|part| name.contains(part.as_str()))
        };
        let names: BTreeSet<&String> = self.groups.values().filter(is_wanted).collect();
        let groups = names.into_iter().map(|name| {
            let its = arn("logs", &format!("log-group:{name}"));
            let bytes: usize = self.events(name).iter().map(|event| event.message.len()).sum();
            json!({
                "logGroupName": name,
                "arn": format!("{its}:*"),
                "logGroupArn": its,
                "logGroupClass": "STANDARD",
                "creationTime": self.since,
                "metricFilterCount": 0,
                "storedBytes": bytes,
            })
        });
        let (groups, next) = page(groups.collect(), wanted.next_token.as_deref(), wanted.limit.unwrap_or(PAGE))?;
        Ok(with_token(json!({"logGroups": groups}), next))
    }

    fn streams(&self, wanted: &WantedStreams) -> Result<Value, Refusal> {
        let group = self.group(wanted.log_group_name.as_deref(), wanted.log_group_identifier.as_deref())?;
        let mut streams: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for event in self.events(group) {
            let (_, last) = streams.entry(event.stream).or_insert((event.at, event.at));
            *last = event.at.max(*last);
        }
        let prefix = wanted.log_stream_name_prefix.as_deref().unwrap_or_default();
        let mut streams: Vec<_> = streams.into_iter().filter(|(name, _)| name.starts_with(prefix)).collect();
        match wanted.order_by.as_deref() {
            None | Some("LogStreamName") => {}
            Some("LastEventTime") => streams.sort_by_key(|(_, (_, last))| *last),
            Some(_) => return Err(invalid("orderBy is one of LogStreamName and LastEventTime")),
        }
        if wanted.descending {
            streams.reverse();
        }
        let told = streams.into_iter().map(|(name, (first, last))| {
            json!({
                "arn": arn("logs", &format!("log-group:{group}:log-stream:{name}")),
                "logStreamName": name,
                "creationTime": first,
                "firstEventTimestamp": first,
                "lastEventTimestamp": last,
                "lastIngestionTime": last,
                "storedBytes": 0,
            })
        });
        let (streams, next) = page(told.collect(), wanted.next_token.as_deref(), wanted.limit.unwrap_or(PAGE))?;
        Ok(with_token(json!({"logStreams": streams}), next))
    }

    fn filter(&self, wanted: &WantedEvents) -> Result<Value, Refusal> {
        let group = self.group(wanted.log_group_name.as_deref(), wanted.log_group_identifier.as_deref())?;
        let filter = Filter::new(wanted.filter_pattern.as_deref().unwrap_or_default());
        let filter = filter.map_err(|reason| invalid(&format!("Invalid filter pattern: {reason}")))?;
        let first = wanted.next_token.as_deref().map_or(Some(0), |token| token.parse().ok()).ok_or_else(bad_token)?;
        let limit = limit(wanted.limit)?;
        let mut events = self.events(group).into_iter().filter(|event| {
            event.number >= first
                && within(event, wanted.start_time, wanted.end_time.map(|end| end.saturating_add(1)))
                && (wanted.log_stream_names.is_empty() || wanted.log_stream_names.contains(&event.stream))
                && wanted.log_stream_name_prefix.as_ref().is_none_or(|prefix| event.stream.starts_with(prefix.as_str()))
                && filter.matches(&event.message)
        });
        let found: Vec<_> = events.by_ref().take(limit).collect();
        let next = events.next().map(|event| event.number.to_string());
        let told = found.into_iter().map(|event| {
            json!({
                "logStreamName": event.stream,
                "timestamp": event.at,
                "ingestionTime": event.at,
                "message": event.message,
                // As long as those of CloudWatch Logs.
                "eventId": format!("{:056}", event.number),
            })
        });
        Ok(with_token(json!({"events": told.collect::<Vec<_>>(), "searchedLogStreams": []}), next))
    }

    fn of_stream(&self, wanted: &WantedStream) -> Result<Value, Refusal> {
        let group = self.group(wanted.log_group_name.as_deref(), wanted.log_group_identifier.as_deref())?;
        let all = self.events(group).into_iter().filter(|event| event.stream == wanted.log_stream_name).collect::<Vec<_>>();
        if all.is_empty() {
            return Err(Refusal::new("ResourceNotFoundException", "The specified log stream does not exist."));
        }
        let mut events = all.into_iter().filter(|event| within(event, wanted.start_time, wanted.end_time)).collect::<Vec<_>>();
        let limit = limit(wanted.limit)?;
        // `f/7`: those from line 7 on; `b/7`: those before it.
        let token = wanted.next_token.as_deref().map(|token| -> Result<_, Refusal> {
            let (direction, number) = token.split_once('/').ok_or_else(bad_token)?;
            Ok((direction == "f", number.parse::<u64>().map_err(|_| bad_token())?))
        });
        let token = token.transpose()?;
        match token {
            Some((true, number)) => events.retain(|event| event.number >= number),
            Some((false, number)) => events.retain(|event| event.number < number),
            None => {}
        }
        let from_head = token.map_or(wanted.start_from_head, |(forward, _)| forward);
        if from_head {
            events.truncate(limit);
        } else {
            events.drain(..events.len().saturating_sub(limit));
        }
        // Where there is nothing more, the token stays the same, by which clients know.
        let at = token.map_or(0, |(_, number)| number);
        let (before, after) = events.first().zip(events.last()).map_or((at, at), |(first, last)| (first.number, last.number + 1));
        let told = events.iter().map(|event| json!({"timestamp": event.at, "ingestionTime": event.at, "message": event.message}));
        Ok(json!({
            "events": told.collect::<Vec<_>>(),
            "nextForwardToken": format!("f/{after}"),
            "nextBackwardToken": format!("b/{before}"),
        }))
    }

    /// The name of a group that exists, given that or its ARN.
    fn group<'w>(&self, name: Option<&'w str>, identifier: Option<&'w str>) -> Result<&'w str, Refusal> {
        let named = name.or(identifier).ok_or_else(|| invalid("logGroupName or logGroupIdentifier is needed"))?;
        let name = named.split_once(":log-group:").map_or(named, |(_, name)| name.trim_end_matches(":*"));
        if self.groups.values().any(|group| group == name) {
            Ok(name)
        } else {
            Err(Refusal::new("ResourceNotFoundException", "The specified log group does not exist."))
        }
    }

    /// What is remembered of a group, oldest first.
    fn events(&self, group: &str) -> Vec<LogEvent> {
        let (lines, total) = self.log.lines_after(0, usize::MAX);
        let first = total - lines.len() as u64;
        let lines = lines.into_iter().zip(first..);
        let own = lines.filter(|(line, _)| self.groups.get(&line.function).is_some_and(|its| its == group));
        own.map(|(line, number)| LogEvent::of(line, number)).collect()
    }
}

impl LogEvent {
    fn of(line: LogLine, number: u64) -> Self {
        let since = line.time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let at = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let stream = line.stream.unwrap_or_else(|| format!("{}/{BESIDE}", line.function));
        Self { number, stream, at, message: line.text }
    }
}

/// Whether it is from the start on and before the end.
fn within(event: &LogEvent, start: Option<u64>, end: Option<u64>) -> bool {
    start.is_none_or(|start| event.at >= start) && end.is_none_or(|end| event.at < end)
}

fn limit(wanted: Option<usize>) -> Result<usize, Refusal> {
    match wanted.unwrap_or(MOST_EVENTS) {
        limit @ 1..=MOST_EVENTS => Ok(limit),
        _ => Err(invalid(&format!("limit is 1 to {MOST_EVENTS}"))),
    }
}

fn with_token(mut output: Value, next: Option<String>) -> Value {
    if let Some(next) = next {
        output["nextToken"] = next.into();
    }
    output
}

fn invalid(message: &str) -> Refusal {
    Refusal::new("InvalidParameterException", message)
}

fn bad_token() -> Refusal {
    invalid("The specified nextToken is invalid.")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;

    const GROUP: &str = "/demo/functions";

    fn logs() -> Logs {
        let function = |binary: &str, group: &str| Function {
            id: binary.into(),
            name: format!("demo-{binary}"),
            arn: String::new(),
            binary: binary.into(),
            timeout: Duration::from_secs(3),
            memory: 128,
            variables: BTreeMap::new(),
            log_group: group.into(),
            statements: Vec::new(),
            boundary: None,
        };
        let log = Arc::new(Log::default());
        log.output("get", Some("s1"), r#"{"level":"INFO","status":200}"#);
        log.output("put", Some("s2"), r#"{"level":"ERROR","status":500}"#);
        log.output("other", Some("s3"), "of another group");
        log.line("get", "RequestId: 1 Error: Runtime exited");
        log.line("aws", "of no function");
        log.output("get", Some("s1"), r#"{"level":"INFO","status":404}"#);
        Logs::new(log, &[function("get", GROUP), function("put", GROUP), function("other", "/aws/lambda/demo-other")])
    }

    fn call(operation: &str, input: &Value) -> Result<Value, Refusal> {
        let request = hyper::Request::post("/").header("x-amz-target", format!("Logs_20140328.{operation}"));
        let call = Call::of(&request.body(()).unwrap().into_parts().0, b"");
        logs().answer(&call, input)
    }

    fn messages(answer: &Value) -> Vec<&str> {
        answer["events"].as_array().unwrap().iter().map(|event| event["message"].as_str().unwrap()).collect()
    }

    #[test]
    fn groups_and_streams_are_those_of_functions() {
        let groups = call("DescribeLogGroups", &json!({})).unwrap();
        let names: Vec<_> = groups["logGroups"].as_array().unwrap().iter().map(|group| &group["logGroupName"]).collect();
        assert_eq!(names, ["/aws/lambda/demo-other", GROUP]);
        let groups = call("DescribeLogGroups", &json!({"logGroupNamePrefix": "/demo", "limit": 1})).unwrap();
        assert_eq!(groups["logGroups"][0]["arn"], "arn:aws:logs:us-east-1:000000000000:log-group:/demo/functions:*");

        let streams = |more: Value| {
            let mut input = json!({"logGroupName": GROUP});
            input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let answer = call("DescribeLogStreams", &input).unwrap();
            let names = answer["logStreams"].as_array().unwrap().iter().map(|stream| stream["logStreamName"].clone());
            names.map(|name| name.as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(streams(json!({})), ["get/platform", "s1", "s2"]);
        assert_eq!(streams(json!({"logStreamNamePrefix": "s", "descending": true})), ["s2", "s1"]);
    }

    #[test]
    fn events_are_found_by_pattern_stream_and_page() {
        let find = |more: Value| {
            let mut input = json!({"logGroupIdentifier": format!("arn:aws:logs:us-east-1:000000000000:log-group:{GROUP}:*")});
            input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            call("FilterLogEvents", &input).unwrap()
        };
        assert_eq!(messages(&find(json!({}))).len(), 4);
        assert_eq!(messages(&find(json!({"filterPattern": "{ $.status >= 500 }"}))), [r#"{"level":"ERROR","status":500}"#]);
        assert_eq!(messages(&find(json!({"logStreamNames": ["s1"]}))).len(), 2);
        assert_eq!(messages(&find(json!({"endTime": 1}))), [""; 0]);
        let page = find(json!({"limit": 3}));
        assert_eq!(messages(&page).len(), 3);
        let rest = find(json!({"limit": 3, "nextToken": page["nextToken"]}));
        assert_eq!(messages(&rest), [r#"{"level":"INFO","status":404}"#]);
        assert_eq!(rest.get("nextToken"), None);
        assert_eq!(call("FilterLogEvents", &json!({"logGroupName": "/nobody"})).unwrap_err().code, "ResourceNotFoundException");
        assert_eq!(call("DeleteLogGroup", &json!({})).unwrap_err().code, "NotServedLocally");
    }

    #[test]
    fn whoever_reads_a_group_needs_the_right_to_it() {
        let arn = format!("arn:aws:logs:us-east-1:000000000000:log-group:{GROUP}:*");
        for input in [json!({"logGroupName": GROUP}), json!({"logGroupIdentifier": arn})] {
            let [request] = &Logs::authorization_requests("GetLogEvents", &input)[..] else { panic!("one request") };
            assert_eq!((request.action.as_str(), &request.resource), ("logs:GetLogEvents", &arn));
        }
    }

    #[test]
    fn a_stream_is_read_in_both_directions() {
        let read = |more: Value| {
            let mut input = json!({"logGroupName": GROUP, "logStreamName": "s1", "limit": 1});
            input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            call("GetLogEvents", &input).unwrap()
        };
        let last = read(json!({}));
        assert_eq!(messages(&last), [r#"{"level":"INFO","status":404}"#]);
        let first = read(json!({"nextToken": last["nextBackwardToken"]}));
        assert_eq!(messages(&first), [r#"{"level":"INFO","status":200}"#]);
        // Each call asks a log of its own, whose lines are of another instant.
        let head = read(json!({"startFromHead": true}));
        let shown = |page: &Value| (page["nextForwardToken"].clone(), page["nextBackwardToken"].clone());
        assert_eq!((messages(&head), shown(&head)), (messages(&first), shown(&first)));
        let end = read(json!({"nextToken": last["nextForwardToken"]}));
        assert_eq!((messages(&end).len(), &end["nextForwardToken"]), (0, &last["nextForwardToken"]));
    }
}
