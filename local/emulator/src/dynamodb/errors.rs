//! DynamoDB's answers to calls that it refuses, and those of the endpoint that are in the same format.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use crate::ids;

const CONFLICT: &str = "Transaction is ongoing for the item";
const THROTTLED: &str = "Throughput exceeds the current capacity of your table or index. DynamoDB is automatically scaling \
                         your table or index so please try again shortly. If exceptions persist, check if you have a hot key: \
                         https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html";
const EXCEEDED: &str = "The level of configured provisioned throughput for the table was exceeded. Consider increasing your \
                        provisioning level with the UpdateTable API.";

/// The answer to a write of an item that a transaction has.
pub fn transaction_conflict() -> Response<Full<Bytes>> {
    bad_request("TransactionConflictException", CONFLICT)
}

/// The answer to a transaction of which these actions are about items that another one has.
pub fn canceled_by_conflict(actions: &[bool]) -> Response<Full<Bytes>> {
    canceled(actions, "TransactionConflict", CONFLICT)
}

/// The answer to a call to a table that has too little capacity.
pub fn throughput_exceeded() -> Response<Full<Bytes>> {
    bad_request("ProvisionedThroughputExceededException", EXCEEDED)
}

/// The answer to a call that there is no capacity for.
pub fn throttled() -> Response<Full<Bytes>> {
    bad_request("ThrottlingException", THROTTLED)
}

/// The answer to a transaction for these of whose actions there is no capacity.
pub fn canceled_by_throttling(actions: &[bool]) -> Response<Full<Bytes>> {
    canceled(actions, "ThrottlingError", THROTTLED)
}

/// The answer to a transaction that is cancelled because of these of its actions.
fn canceled(actions: &[bool], code: &str, message: &str) -> Response<Full<Bytes>> {
    let codes: Vec<_> = actions.iter().map(|cause| if *cause { code } else { "None" }).collect();
    let reasons: Vec<_> = codes
        .iter()
        .map(|code| if *code == "None" { json!({"Code": code}) } else { json!({"Code": code, "Message": message}) })
        .collect();
    let summary = format!("Transaction cancelled, please refer cancellation reasons for specific reasons [{}]", codes.join(", "));
    // This one error spells its message with a capital.
    answer(
        StatusCode::BAD_REQUEST,
        json!({"__type": kind("TransactionCanceledException"), "CancellationReasons": reasons, "Message": summary}),
    )
}

/// The answer to a call that no policy allows; the message says which.
pub fn access_denied(message: &str) -> Response<Full<Bytes>> {
    answer(StatusCode::BAD_REQUEST, json!({"__type": "com.amazon.coral.service#AccessDeniedException", "Message": message}))
}

fn bad_request(name: &str, message: &str) -> Response<Full<Bytes>> {
    answer(StatusCode::BAD_REQUEST, json!({"__type": kind(name), "message": message}))
}

/// The answer to a call that DynamoDB fails to carry out.
pub fn internal_error() -> Response<Full<Bytes>> {
    let body = json!({"__type": kind("InternalServerError"), "message": "Internal server error"});
    answer(StatusCode::INTERNAL_SERVER_ERROR, body)
}

fn kind(name: &str) -> String {
    format!("com.amazonaws.dynamodb.v20120810#{name}")
}

/// An answer as DynamoDB makes it, with a request id.
pub fn answer(status: StatusCode, body: Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.to_string().into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"));
    if let Ok(id) = HeaderValue::try_from(ids::dynamodb_request_id()) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}
