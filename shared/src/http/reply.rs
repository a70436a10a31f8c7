//! Responses by status, body and version.

use std::fmt::Display;

use lambda_http::{
    Body,
    http::{HeaderValue, StatusCode, header},
};
use serde::Serialize;

/// What a handler answers.
pub type Response = lambda_http::Response<Body>;

pub fn json(status: StatusCode, value: &impl Serialize) -> Response {
    // Our own types always have a JSON form; an empty body would show at once if one had not.
    let text = serde_json::to_string(value).unwrap_or_default();
    let mut response = Response::new(Body::Text(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

pub fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = status;
    response
}

/// The `ETag` of a version.
pub fn at_version(mut response: Response, version: impl Display) -> Response {
    response.headers_mut().insert(header::ETAG, etag(version));
    response
}

/// Versions are never used twice under one path, so that they serve as strong validators (RFC 9110, 8.8.3).
pub fn etag(version: impl Display) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{version}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}
