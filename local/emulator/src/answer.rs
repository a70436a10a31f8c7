//! Answers of AWS's services that speak JSON 1.1.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

pub fn json_1_1(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.to_string().into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.1"));
    response
}

pub fn refuse(kind: &str, message: &str) -> Response<Full<Bytes>> {
    json_1_1(StatusCode::BAD_REQUEST, &json!({"__type": kind, "message": message}))
}
