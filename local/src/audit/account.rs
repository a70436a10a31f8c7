//! Whose table it is: credentials and region as AWS's own command line finds them. Environment variables are read here; profiles,
//! single sign-on, roles and what else there is are left to that program, which every operator has.

use std::env;
use std::io::ErrorKind;
use std::process::Stdio;

use aws_sdk_dynamodb::config::{BehaviorVersion, Config, Credentials, Region};
use emulator::{is_url, reason};
use serde::Deserialize;
use shared::https;
use tokio::process::Command;

use crate::error::{Error, Result};

/// What `aws configure export-credentials` writes.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Exported {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
}

/// How DynamoDB is called for an account. The credentials are as they are now: those of a role last an hour, and an audit some minutes.
pub async fn config(region: Option<String>) -> Result<Config> {
    let region = match region.or_else(|| variable(&["AWS_REGION", "AWS_DEFAULT_REGION"])) {
        Some(region) => region,
        None => command_line(&["configure", "get", "region"])
            .await
            .map_err(|reason| Error::Account(format!("no region: name one with --region, or set AWS_REGION ({reason})")))?,
    };
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(https::client())
        .region(Region::new(region))
        .credentials_provider(credentials().await?);
    match variable(&["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL"]) {
        Some(url) if !is_url(&url) => {
            Err(Error::Account(format!("{url:?}, from AWS_ENDPOINT_URL, is no whole URL such as http://127.0.0.1:3002")))
        }
        Some(url) => Ok(config.endpoint_url(url).build()),
        None => Ok(config.build()),
    }
}

async fn credentials() -> Result<Credentials> {
    if let (Some(id), Some(secret)) = (variable(&["AWS_ACCESS_KEY_ID"]), variable(&["AWS_SECRET_ACCESS_KEY"])) {
        return Ok(Credentials::new(id, secret, variable(&["AWS_SESSION_TOKEN"]), None, "environment"));
    }
    let fault = |reason| {
        Error::Account(format!(
            "no credentials: log in with the AWS CLI, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY ({reason})"
        ))
    };
    let told = command_line(&["configure", "export-credentials"]).await.map_err(fault)?;
    let exported: Exported = serde_json::from_str(&told).map_err(|error| fault(error.to_string()))?;
    Ok(Credentials::new(exported.access_key_id, exported.secret_access_key, exported.session_token, None, "aws"))
}

/// The first of these that is set. An empty variable is none, as for AWS's tools.
#[expect(clippy::disallowed_methods, reason = "AWS's tools name these variables")]
fn variable(names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| env::var(name).ok().filter(|value| !value.is_empty()))
}

/// What the AWS CLI answers, or why it does not.
async fn command_line(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("aws").args(arguments).stdin(Stdio::null()).output().await;
    let output = output.map_err(|error| match error.kind() {
        ErrorKind::NotFound => "the AWS CLI is not installed".to_owned(),
        _ => format!("the AWS CLI: {}", reason(&error)),
    })?;
    let text = |bytes| String::from_utf8_lossy(bytes).trim().to_owned();
    match text(&output.stdout) {
        told if output.status.success() && !told.is_empty() => Ok(told),
        _ => Err(format!("aws {}: {}", arguments.join(" "), text(&output.stderr).lines().last().unwrap_or("says nothing"))),
    }
}
