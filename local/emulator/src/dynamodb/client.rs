//! One raw call to DynamoDB, without an SDK: past everything that meters calls or gets in their way.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;

use crate::error::{Error, Result, innermost};
use crate::names::REGION;

/// The access key that DynamoDB sees from everybody: DynamoDB Local may keep separate data for each key.
pub const SHARED_ACCESS_KEY: &str = "AKIALOCAL";

/// How long one call may take.
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    url: String,
}

/// The part of DynamoDB that a call is for: each has operations of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    Tables,
    Streams,
}

/// Why a call has no answer to give.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error("{0}")]
    Unreachable(String),
    #[error("{operation}: {kind}: {message}")]
    Refused {
        operation: String,
        /// DynamoDB's name of the error, such as `com.amazonaws.dynamodb.v20120810#ResourceInUseException`.
        kind: String,
        message: String,
    },
}

impl Client {
    pub fn at(url: &str) -> Result<Self> {
        // A proxy that the environment names cannot know this machine's ports.
        let http = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build();
        let http = http.map_err(|error| Error::Database { at: url.to_owned(), reason: innermost(&error) })?;
        Ok(Self { http, url: url.to_owned() })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub async fn call(&self, operation: &str, body: &Value) -> Result<Value, CallError> {
        self.call_service(Service::Tables, operation, body).await
    }

    pub async fn call_service(&self, service: Service, operation: &str, body: &Value) -> Result<Value, CallError> {
        let target = match service {
            Service::Tables => "DynamoDB_20120810",
            Service::Streams => "DynamoDBStreams_20120810",
        };
        // Emulators want to see a signature and never check it.
        let signature = format!(
            "AWS4-HMAC-SHA256 Credential={SHARED_ACCESS_KEY}/20000101/{REGION}/dynamodb/aws4_request, \
             SignedHeaders=host;x-amz-date;x-amz-target, Signature=0"
        );
        let request = self
            .http
            .post(&self.url)
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", format!("{target}.{operation}"))
            .header("x-amz-date", "20000101T000000Z")
            .header("authorization", signature)
            .body(body.to_string());
        let unreachable = |error: reqwest::Error| CallError::Unreachable(innermost(&error));
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let body = response.bytes().await.map_err(unreachable)?;
        let other = |_| CallError::Unreachable(format!("what answers there ({status}) is not DynamoDB"));
        let answer: Value = serde_json::from_slice(&body).map_err(other)?;
        if status == StatusCode::OK {
            return Ok(answer);
        }
        let message = answer["message"].as_str().or(answer["Message"].as_str()).unwrap_or_default();
        Err(CallError::Refused {
            operation: operation.to_owned(),
            kind: answer["__type"].as_str().unwrap_or(status.as_str()).to_owned(),
            message: message.to_owned(),
        })
    }
}
