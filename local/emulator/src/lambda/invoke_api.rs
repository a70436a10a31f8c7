//! Lambda's Invoke API, so that `aws lambda invoke --endpoint-url …` calls a function here.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::de::IgnoredAny;
use serde_json::json;

use super::outcome::{Failure, Outcome};
use super::pool::Lambda;
use crate::ids;
use crate::server;

/// What Lambda accepts as the payload of a synchronous call.
const REQUEST_LIMIT: usize = 6 * 1024 * 1024;

pub fn router(lambda: Arc<Lambda>) -> Router {
    Router::new().route("/2015-03-31/functions/{function}/invocations", post(invoke)).with_state(lambda)
}

async fn invoke(State(lambda): State<Arc<Lambda>>, Path(name): Path<String>, headers: HeaderMap, body: Body) -> Response {
    let Some(function) = lambda.find(&name) else {
        let message = format!("Function not found: {name}");
        return refuse(StatusCode::NOT_FOUND, "ResourceNotFoundException", &message);
    };
    let Ok(body) = server::read(body, REQUEST_LIMIT).await else {
        let message = format!("Request must be smaller than {REQUEST_LIMIT} bytes for the InvokeFunction operation");
        return refuse(StatusCode::PAYLOAD_TOO_LARGE, "RequestTooLargeException", &message);
    };
    let payload = if body.is_empty() { Bytes::from_static(b"{}") } else { body };
    if let Err(error) = serde_json::from_slice::<IgnoredAny>(&payload) {
        let message = format!("Could not parse request body into json: {error}");
        return refuse(StatusCode::BAD_REQUEST, "InvalidRequestContentException", &message);
    }
    match headers.get("x-amz-invocation-type").map(HeaderValue::as_bytes) {
        None | Some(b"RequestResponse") => {
            let invocation = lambda.invoke(function, payload, ids::trace()).await;
            answer(&invocation.request_id, invocation.outcome, function.template.timeout)
        }
        Some(b"Event") => {
            let function = Arc::clone(function);
            let lambda = Arc::clone(&lambda);
            tokio::spawn(async move { lambda.invoke(&function, payload, ids::trace()).await });
            StatusCode::ACCEPTED.into_response()
        }
        Some(b"DryRun") => StatusCode::NO_CONTENT.into_response(),
        Some(_) => refuse(
            StatusCode::BAD_REQUEST,
            "InvalidParameterValueException",
            "InvocationType is one of RequestResponse, Event and DryRun",
        ),
    }
}

fn answer(request_id: &str, outcome: Outcome, timeout: Duration) -> Response {
    let head = [("content-type", "application/json"), ("x-amz-executed-version", "$LATEST"), ("x-amzn-requestid", request_id)];
    let failure = match outcome {
        Outcome::Payload(payload) => return (head, payload).into_response(),
        Outcome::Error(failure) => failure,
        Outcome::TimedOut => Failure::timed_out(timeout),
    };
    let error = json!({"errorType": failure.error_type, "errorMessage": failure.error_message});
    (head, [("x-amz-function-error", "Unhandled")], error.to_string()).into_response()
}

fn refuse(status: StatusCode, kind: &'static str, message: &str) -> Response {
    let head = [("content-type", "application/json"), ("x-amzn-errortype", kind)];
    (status, head, json!({"Type": "User", "Message": message}).to_string()).into_response()
}
