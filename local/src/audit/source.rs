//! Where the items of a table are read: DynamoDB, an emulator of it, or an export.

use std::collections::HashMap;
use std::path::PathBuf;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Config, Credentials, Region};
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use emulator::dynamodb::SHARED_ACCESS_KEY;
use emulator::{REGION, innermost};
use indicatif::ProgressBar;
use serde_json::{Value, json};
use shared::https;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::account;
use super::export;
use super::items::Take;
use crate::error::{Error, Result};

/// Segments that a table of an account is read in at once.
const SEGMENTS: i32 = 8;

/// What an audit reads.
#[derive(Clone, Debug)]
pub enum Source {
    Table(Table),
    /// A folder that an export to S3 was copied to.
    Export(PathBuf),
}

/// A table that can be read and written.
#[derive(Clone, Debug)]
pub struct Table {
    pub name: String,
    /// Where it is, for people.
    pub at: String,
    client: Client,
    segments: i32,
}

impl Source {
    /// A table of an emulator.
    pub fn at(url: &str, table: &str) -> Self {
        Self::Table(Table::at(url, table))
    }

    /// Reads every item there is, as DynamoDB writes them in JSON.
    pub async fn read(&self, progress: &ProgressBar, take: Take<'_>) -> Result {
        match self {
            Self::Export(folder) => export::read(folder, progress, take),
            Self::Table(table) => table.read(progress, take).await,
        }
    }
}

impl Table {
    /// A table of an emulator, which sees a signature and never checks it.
    pub fn at(url: &str, name: &str) -> Self {
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .credentials_provider(Credentials::new(SHARED_ACCESS_KEY, "emulated", None, None, "emulator"))
            .endpoint_url(url)
            .http_client(https::client());
        let at = format!("{name} at {url}");
        Self { name: name.to_owned(), at, client: Client::from_conf(config.build()), segments: 1 }
    }

    /// A table of an account.
    pub async fn of_account(name: &str, region: Option<String>) -> Result<Self> {
        let client = Client::from_conf(account::config(region).await?);
        Ok(Self { name: name.to_owned(), at: name.to_owned(), client, segments: SEGMENTS })
    }

    async fn read(&self, progress: &ProgressBar, take: Take<'_>) -> Result {
        if !progress.is_hidden() {
            let described = self.client.describe_table().table_name(&self.name).send().await;
            let described = described.map_err(|error| self.fault(error))?;
            // DynamoDB counts every six hours.
            let count = described.table.and_then(|table| u64::try_from(table.item_count?).ok());
            progress.set_length(count.unwrap_or_default());
        }
        let (pages, mut arriving) = mpsc::channel(2);
        let mut segments = JoinSet::new();
        for segment in 0..self.segments {
            segments.spawn(self.clone().segment(segment, pages.clone()));
        }
        drop(pages);
        while let Some(page) = arriving.recv().await {
            for item in page {
                take(to_json(item))?;
                progress.inc(1);
            }
        }
        segments.join_all().await.into_iter().collect()
    }

    #[expect(clippy::disallowed_methods, reason = "an audit reads everything that there is")]
    async fn segment(self, segment: i32, pages: mpsc::Sender<Vec<HashMap<String, AttributeValue>>>) -> Result {
        let mut start = None;
        loop {
            let page = self
                .client
                .scan()
                .table_name(&self.name)
                .consistent_read(true)
                .segment(segment)
                .total_segments(self.segments)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| self.fault(error))?;
            // Nobody listens when something else has failed, and that is told.
            if pages.send(page.items.unwrap_or_default()).await.is_err() {
                return Ok(());
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(());
            }
        }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn fault(&self, error: impl std::error::Error + ProvideErrorMetadata + 'static) -> Error {
        let reason = match (error.code(), error.message()) {
            (Some(code @ "ResourceNotFoundException"), _) => {
                format!("there is no such table ({code}): name it with --table, or its stack with --stack")
            }
            (Some(code @ ("UnrecognizedClientException" | "InvalidSignatureException" | "ExpiredTokenException")), _) => {
                format!("AWS does not take the credentials ({code}): log in again, or choose others with AWS_PROFILE")
            }
            (Some(code), message) => format!("{code}: {}", message.unwrap_or_default()),
            (None, _) => return Error::Unreachable { at: self.at.clone(), reason: innermost(&error) },
        };
        Error::Table { at: self.at.clone(), reason }
    }
}

/// An item as DynamoDB writes it in JSON.
fn to_json(item: HashMap<String, AttributeValue>) -> Value {
    Value::Object(item.into_iter().map(|(name, value)| (name, attribute_to_json(value))).collect())
}

fn attribute_to_json(value: AttributeValue) -> Value {
    let blob = |blob: &aws_sdk_dynamodb::primitives::Blob| BASE64_STANDARD.encode(blob);
    match value {
        AttributeValue::S(text) => json!({"S": text}),
        AttributeValue::N(number) => json!({"N": number}),
        AttributeValue::Bool(flag) => json!({"BOOL": flag}),
        AttributeValue::L(list) => json!({"L": list.into_iter().map(attribute_to_json).collect::<Vec<_>>()}),
        AttributeValue::M(map) => json!({"M": to_json(map)}),
        AttributeValue::B(bytes) => json!({"B": blob(&bytes)}),
        AttributeValue::Ss(texts) => json!({"SS": texts}),
        AttributeValue::Ns(numbers) => json!({"NS": numbers}),
        AttributeValue::Bs(blobs) => json!({"BS": blobs.iter().map(blob).collect::<Vec<_>>()}),
        AttributeValue::Null(_) => json!({"NULL": true}),
        other => json!({"?": format!("{other:?}")}),
    }
}

/// What a repair writes: texts and numbers.
pub(crate) fn from_json(value: &Value) -> Option<AttributeValue> {
    let number = value["N"].as_str().map(|number| AttributeValue::N(number.to_owned()));
    number.or_else(|| value["S"].as_str().map(|text| AttributeValue::S(text.to_owned())))
}
