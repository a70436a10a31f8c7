//! Lambda's API: which functions there are, how they are set up, and calls of them. It answers among AWS's other services, and at a port
//! of its own as SAM's `start-lambda` does.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response as AxumResponse;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

use super::outcome::{Failure, Invocation, Outcome};
use super::pool::{Event, Function, Lambda};
use crate::iam::AuthorizationRequest;
use crate::ids;
use crate::names::{ACCOUNT, arn};
use crate::protocol::{Call, Refusal, Service, page, read};
use crate::server;
use crate::value::maybe_number;

/// What Lambda accepts as the payload of a synchronous call.
const REQUEST_LIMIT: usize = 6 * 1024 * 1024;

/// How much of its log comes with the answer of a call that asks for it.
const TAIL: usize = 4 * 1024;

/// How long what a process has written before its answer may take to come here: it goes another way than the answer.
const LOG_DELAY: Duration = Duration::from_millis(50);

const OPERATIONS: &[&str] = &["GetFunction", "GetFunctionConfiguration", "Invoke", "ListFunctions"];

/// The only version that functions have here.
const LATEST: &str = "$LATEST";

pub fn router(lambda: Arc<Lambda>) -> Router {
    let answer = async |State(lambda): State<Arc<Lambda>>, request: Request| {
        let (head, body) = request.into_parts();
        let outcome = match server::read(body, REQUEST_LIMIT).await {
            Ok(body) => {
                let call = Call::of(&head, &body);
                match call.service {
                    Service::Lambda => self::answer(&lambda, &call, &head, body).await,
                    _ => call.answer(Err(call.not_served(&[]))),
                }
            }
            Err(_) => Call::of(&head, &[]).answer(Err(too_large())),
        };
        let answer: AxumResponse = outcome.map(Body::new);
        answer
    };
    Router::new().fallback(answer).with_state(lambda)
}

/// What a call must be allowed to do.
pub fn authorization_requests(lambda: &Lambda, call: &Call) -> Vec<AuthorizationRequest> {
    let name = call.member("FunctionName");
    let resource = match (name, lambda.find(name)) {
        ("", _) => "*".to_owned(),
        (_, Some(function)) => function.template.arn.clone(),
        (name, None) => arn("lambda", &format!("function:{name}")),
    };
    let operation = if call.operation == "Invoke" { "InvokeFunction" } else { &call.operation };
    vec![AuthorizationRequest { action: format!("lambda:{operation}"), resource, keys: Vec::new() }]
}

pub async fn answer(lambda: &Arc<Lambda>, call: &Call, head: &Parts, body: Bytes) -> Response<Full<Bytes>> {
    if call.operation == "Invoke" {
        return match invoke(lambda, call, head, body).await {
            Ok(answer) => answer,
            Err(refusal) => call.answer(Err(refusal)),
        };
    }
    let outcome = call.input(head, &body).and_then(|input| match call.operation.as_str() {
        "ListFunctions" => list_functions(lambda, &input),
        "GetFunction" => get_function(lambda, &input),
        "GetFunctionConfiguration" => {
            let Named { function_name, qualifier } = read(&input)?;
            find(lambda, &function_name, qualifier.as_deref()).map(|function| configuration(function))
        }
        _ => Err(call.not_served(OPERATIONS)),
    });
    call.answer(outcome)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Named {
    function_name: String,
    qualifier: Option<String>,
}

fn find<'l>(lambda: &'l Lambda, name: &str, qualifier: Option<&str>) -> Result<&'l Arc<Function>, Refusal> {
    let function = lambda.find(name).filter(|_| qualifier.is_none_or(|qualifier| qualifier == LATEST));
    let name = [Some(name), qualifier].into_iter().flatten().collect::<Vec<_>>().join(":");
    function.ok_or_else(|| Refusal::not_found("ResourceNotFoundException", format!("Function not found: {name}")))
}

fn list_functions(lambda: &Lambda, input: &Value) -> Result<Value, Refusal> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase", deny_unknown_fields)]
    struct Wanted {
        marker: Option<String>,
        #[serde(default, deserialize_with = "maybe_number")]
        max_items: Option<u64>,
        /// There is one version of each.
        #[serde(rename = "FunctionVersion")]
        _version: Option<String>,
    }
    let wanted: Wanted = read(input)?;
    let all = lambda.functions().iter().map(|function| configuration(function)).collect();
    let size = usize::try_from(wanted.max_items.unwrap_or(50)).unwrap_or(usize::MAX).min(50);
    let (functions, next) = page(all, wanted.marker.as_deref(), size)?;
    Ok(json!({"Functions": functions, "NextMarker": next}))
}

fn get_function(lambda: &Lambda, input: &Value) -> Result<Value, Refusal> {
    let Named { function_name, qualifier } = read(input)?;
    let function = find(lambda, &function_name, qualifier.as_deref())?;
    let location = format!("file://{}", function.binary().display());
    Ok(json!({"Configuration": configuration(function), "Code": {"RepositoryType": "file", "Location": location}}))
}

fn configuration(function: &Function) -> Value {
    let template = &function.template;
    let (size, modified) = function.code().unwrap_or((0, std::time::UNIX_EPOCH));
    let form = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]+0000");
    json!({
        "FunctionName": template.name,
        "FunctionArn": template.arn,
        "Runtime": "provided.al2023",
        "Role": format!("arn:aws:iam::{ACCOUNT}:role/{}Role", template.name),
        "Handler": "bootstrap",
        "CodeSize": size,
        "Timeout": template.timeout.as_secs(),
        "MemorySize": template.memory,
        "LastModified": OffsetDateTime::from(modified).format(form).unwrap_or_default(),
        "Version": LATEST,
        "Environment": {"Variables": template.variables},
        "PackageType": "Zip",
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "LoggingConfig": {"LogGroup": template.log_group},
    })
}

fn too_large() -> Refusal {
    Refusal {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        ..Refusal::new(
            "RequestTooLargeException",
            format!("Request must be smaller than {REQUEST_LIMIT} bytes for the InvokeFunction operation"),
        )
    }
}

async fn invoke(lambda: &Arc<Lambda>, call: &Call, head: &Parts, body: Bytes) -> Result<Response<Full<Bytes>>, Refusal> {
    let query = head.uri.query().unwrap_or_default();
    let qualifier = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "Qualifier").map(|(_, value)| value);
    let function = find(lambda, call.member("FunctionName"), qualifier.as_deref())?;
    if body.len() > REQUEST_LIMIT {
        return Err(too_large());
    }
    let payload = if body.is_empty() { Bytes::from_static(b"{}") } else { body };
    if let Err(error) = serde_json::from_slice::<IgnoredAny>(&payload) {
        let message = format!("Could not parse request body into json: {error}");
        return Err(Refusal::new("InvalidRequestContentException", message));
    }
    let header = |name: &str| head.headers.get(name).map(HeaderValue::as_bytes);
    let client_context = header("x-amz-client-context").map(client_context).transpose()?;
    let event = Event { client_context, ..Event::new(payload, ids::trace()) };
    let parameter = |message| Refusal::new("InvalidParameterValueException", message);
    let shows_log = match header("x-amz-log-type") {
        None | Some(b"None") => false,
        Some(b"Tail") => true,
        Some(_) => return Err(parameter("LogType is one of None and Tail")),
    };
    match header("x-amz-invocation-type") {
        None | Some(b"RequestResponse") => {
            let seen = lambda.log().lines_after(u64::MAX, 0).1;
            let invocation = lambda.handle(function, event).await;
            let log = if shows_log { Some(tail(lambda, &invocation, seen).await) } else { None };
            Ok(outcome(invocation, function.template.timeout, log))
        }
        Some(b"Event") => {
            let (function, lambda) = (Arc::clone(function), Arc::clone(lambda));
            tokio::spawn(async move { lambda.handle(&function, event).await });
            Ok(empty(StatusCode::ACCEPTED))
        }
        Some(b"DryRun") => Ok(empty(StatusCode::NO_CONTENT)),
        Some(_) => Err(parameter("InvocationType is one of RequestResponse, Event and DryRun")),
    }
}

/// What the caller says of itself, as the function sees it.
fn client_context(header: &[u8]) -> Result<String, Refusal> {
    let text = STANDARD.decode(header).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    // One line, because it becomes a header.
    let context = text.and_then(|text| serde_json::from_str::<Value>(&text).ok()).filter(Value::is_object);
    let context = context.map(|context| context.to_string());
    context.ok_or_else(|| {
        Refusal::new("InvalidRequestContentException", "Client context must be a valid Base64-encoded JSON object.")
    })
}

/// The last of what the function has written to its log since there were so many lines.
async fn tail(lambda: &Lambda, invocation: &Invocation, seen: u64) -> String {
    tokio::time::sleep(LOG_DELAY).await;
    let (lines, _) = lambda.log().lines_after(seen, usize::MAX);
    let own = lines.iter().filter(|line| line.stream.is_some() && line.stream == invocation.stream);
    let text: String = own.flat_map(|line| [line.text.as_str(), "\n"]).collect();
    let start = text.len().saturating_sub(TAIL);
    STANDARD.encode(&text.as_bytes()[start..])
}

fn outcome(invocation: Invocation, timeout: Duration, log: Option<String>) -> Response<Full<Bytes>> {
    let (body, failed) = match invocation.outcome {
        Outcome::Payload(payload) => (payload, false),
        Outcome::Error(failure) => (described(&failure), true),
        Outcome::TimedOut => (described(&Failure::timed_out(timeout)), true),
    };
    let mut response = Response::new(Full::new(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(HeaderName::from_static("x-amz-executed-version"), HeaderValue::from_static(LATEST));
    if failed {
        headers.insert(HeaderName::from_static("x-amz-function-error"), HeaderValue::from_static("Unhandled"));
    }
    let texts = [("x-amzn-requestid", Some(invocation.request_id)), ("x-amz-log-result", log)];
    for (name, text) in texts {
        if let Some(Ok(value)) = text.map(HeaderValue::try_from) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    response
}

fn described(failure: &Failure) -> Bytes {
    json!({"errorType": failure.error_type, "errorMessage": failure.error_message}).to_string().into()
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_caller_says_of_itself_is_one_line_of_json() {
        let read = |text: &str| client_context(STANDARD.encode(text).as_bytes()).ok();
        assert_eq!(read("{\"custom\":\n {\"operator\": \"ada\"}}").as_deref(), Some(r#"{"custom":{"operator":"ada"}}"#));
        assert_eq!(read("ada"), None);
        assert_eq!(client_context(b"{}").ok(), None);
    }

    #[test]
    fn a_function_that_fails_is_told_by_a_header() {
        let failure = Failure::new("not-found", "no such account");
        let mut invocation = Invocation::failed("1".into(), "f", failure);
        let failed = outcome(invocation.clone(), Duration::from_secs(1), Some("bG9n".into()));
        assert_eq!(failed.headers()["x-amz-function-error"], "Unhandled");
        assert_eq!(failed.headers()["x-amz-log-result"], "bG9n");
        assert_eq!(failed.headers()["x-amzn-requestid"], "1");
        invocation.outcome = Outcome::Payload(Bytes::from_static(b"{}"));
        let done = outcome(invocation, Duration::from_secs(1), None);
        assert!(!done.headers().contains_key("x-amz-function-error") && !done.headers().contains_key("x-amz-log-result"));
    }
}
