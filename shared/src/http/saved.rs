//! Responses as an idempotency record keeps them.

use lambda_http::{
    Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
};
use serde::{Deserialize, Serialize};

use super::reply::Response;
use crate::{Error, Result, store::SavedResponse};

const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// What is kept of a response.
#[derive(Serialize, Deserialize)]
struct Saved {
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    body: String,
}

/// Writes a response down.
pub fn save(response: &Response) -> Result<String> {
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let saved = Saved {
        status: response.status().as_u16(),
        location: header(header::LOCATION),
        etag: header(header::ETAG),
        body: match response.body() {
            Body::Text(text) => text.clone(),
            _ => String::new(),
        },
    };
    serde_json::to_string(&saved).map_err(|error| Error::Internal(error.to_string()))
}

/// The response that was saved, marked as a repetition.
pub fn replay(SavedResponse(text): &SavedResponse) -> Result<Response> {
    let broken = |error: &dyn std::fmt::Display| Error::Internal(format!("a saved response cannot be read: {error}"));
    let saved: Saved = serde_json::from_str(text).map_err(|error| broken(&error))?;
    let mut response = Response::new(Body::Text(saved.body));
    *response.status_mut() = StatusCode::from_u16(saved.status).map_err(|error| broken(&error))?;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    for (name, value) in [(header::LOCATION, saved.location), (header::ETAG, saved.etag)] {
        if let Some(value) = value {
            headers.insert(name, HeaderValue::from_str(&value).map_err(|error| broken(&error))?);
        }
    }
    Ok(response)
}
