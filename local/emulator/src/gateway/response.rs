//! A function's answer as an HTTP response: API Gateway's payload format 2.0.

use std::collections::BTreeMap;

use axum::body::{Body, Bytes};
use axum::http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SET_COOKIE, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use crate::value::scalar;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// An answer that the gateway gives by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal(pub StatusCode, pub &'static str);

impl Refusal {
    pub const UNAUTHORIZED: Self = Self(StatusCode::UNAUTHORIZED, "Unauthorized");
    pub const FORBIDDEN: Self = Self(StatusCode::FORBIDDEN, "Forbidden");
    pub const NOT_FOUND: Self = Self(StatusCode::NOT_FOUND, "Not Found");
    pub const BODY_TOO_LARGE: Self = Self(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
    pub const HEADERS_TOO_LARGE: Self = Self(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "Request Header Fields Too Large");
    pub const BAD_REQUEST: Self = Self(StatusCode::BAD_REQUEST, "Bad Request");
    pub const INTERNAL: Self = Self(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error");
    pub const UNAVAILABLE: Self = Self(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable");
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = serde_json::json!({"message": self.1}).to_string();
        (self.0, [(CONTENT_TYPE, JSON)], body).into_response()
    }
}

/// What a function answers when it wants to say more than a body.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status_code: Value,
    headers: Option<BTreeMap<String, Value>>,
    body: Option<String>,
    is_base64_encoded: Option<bool>,
    cookies: Option<Vec<String>>,
}

/// The response that a function's payload stands for; one that stands for none is the function's fault.
pub fn from_payload(payload: &Bytes) -> Result<Response, Refusal> {
    let value: Value = serde_json::from_slice(payload).map_err(|_| Refusal::INTERNAL)?;
    if value.get("statusCode").is_none() {
        let body = match value {
            Value::String(text) => Bytes::from(text),
            _ => payload.clone(),
        };
        return Ok(([(CONTENT_TYPE, JSON)], body).into_response());
    }
    serde_json::from_value::<Answer>(value).ok().and_then(Answer::response).ok_or(Refusal::INTERNAL)
}

impl Answer {
    fn response(self) -> Option<Response> {
        let status: u16 = scalar(&self.status_code)?.parse().ok()?;
        // A final status: 1xx would leave the client waiting.
        let status = StatusCode::from_u16(status).ok().filter(|_| (200..600).contains(&status))?;
        let body = match (self.body, self.is_base64_encoded) {
            (Some(text), Some(true)) => STANDARD.decode(text).ok()?.into(),
            (text, _) => Bytes::from(text.unwrap_or_default()),
        };
        let bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let mut response = Response::new(if bodiless { Body::empty() } else { body.into() });
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, JSON);
        for (name, value) in self.headers.unwrap_or_default() {
            let name = HeaderName::try_from(name).ok()?;
            let value = HeaderValue::try_from(scalar(&value)?).ok()?;
            if !is_hop_by_hop(&name) && name != CONTENT_LENGTH {
                headers.insert(name, value);
            }
        }
        for cookie in self.cookies.unwrap_or_default() {
            headers.append(SET_COOKIE, HeaderValue::try_from(cookie).ok()?);
        }
        Some(response)
    }
}

/// Whether a header is about the connection and ends with it.
pub fn is_hop_by_hop(name: &HeaderName) -> bool {
    [
        CONNECTION,
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
    ]
    .contains(name)
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    async fn show(payload: &'static str) -> String {
        let (head, body) = match from_payload(&Bytes::from_static(payload.as_bytes())) {
            Ok(response) => response.into_parts(),
            Err(refusal) => refusal.into_response().into_parts(),
        };
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let headers: Vec<_> = head
            .headers
            .iter()
            .filter(|(name, _)| **name != CONTENT_LENGTH)
            .map(|(name, value)| format!("{name}={}", value.to_str().unwrap()))
            .collect();
        format!("{} {} {}", head.status.as_u16(), headers.join(" "), String::from_utf8_lossy(&body))
    }

    #[tokio::test]
    async fn payloads_become_responses() {
        for (payload, expected) in [
            (r#"{"statusCode": 200, "body": "{}"}"#, "200 content-type=application/json {}"),
            (r#"{"statusCode": "404"}"#, "404 content-type=application/json "),
            (
                r#"{"statusCode": 200, "headers": {"Content-Type": "text/plain", "X-N": 5}, "body": "hi"}"#,
                "200 content-type=text/plain x-n=5 hi",
            ),
            (
                r#"{"statusCode": 200, "cookies": ["a=1", "b=2"], "body": "aGk=", "isBase64Encoded": true}"#,
                "200 content-type=application/json set-cookie=a=1 set-cookie=b=2 hi",
            ),
            (
                r#"{"statusCode": 204, "headers": {"connection": "close", "content-length": "9"}, "body": "no"}"#,
                "204 content-type=application/json ",
            ),
            (r#"{"statusCode": 200, "headers": null, "body": null, "cookies": null}"#, "200 content-type=application/json "),
            (r#"{"name": "Emma"}"#, r#"200 content-type=application/json {"name": "Emma"}"#),
            (r#""plain""#, "200 content-type=application/json plain"),
            ("null", "200 content-type=application/json null"),
        ] {
            assert_eq!(show(payload).await, expected, "{payload}");
        }
    }

    #[tokio::test]
    async fn invalid_payloads_are_internal_errors() {
        for payload in [
            "",
            "{",
            r#"{"statusCode": 99}"#,
            r#"{"statusCode": "x"}"#,
            r#"{"statusCode": null}"#,
            r#"{"statusCode": 200, "body": {}}"#,
            r#"{"statusCode": 200, "body": "?", "isBase64Encoded": true}"#,
            r#"{"statusCode": 200, "headers": {"a b": "c"}}"#,
            r#"{"statusCode": 200, "headers": {"a": "line\nbreak"}}"#,
        ] {
            let expected = r#"500 content-type=application/json {"message":"Internal Server Error"}"#;
            assert_eq!(show(payload).await, expected, "{payload}");
        }
    }
}
