//! DynamoDB with the template's tables: dynoxide inside this process, or an emulator that is running already.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use dynoxide::Database as Dynoxide;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};
use crate::intrinsics::REGION;
use crate::meter::SHARED_ACCESS_KEY;
use crate::server;
use crate::template::Table;

/// Where the data lives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Store {
    #[default]
    Memory,
    File(PathBuf),
    /// An emulator that is running already.
    Url(String),
}

const SWEEP: Duration = Duration::from_mins(1);
/// How often a table of an external emulator is asked whether it is ready, and for how long.
const ASK_EVERY: Duration = Duration::from_millis(200);
const ASK_TIMES: usize = 150;
/// How long one call may take.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Database {
    pub url: String,
    /// Held for as long as this process uses the file.
    _lock: Option<File>,
}

impl Database {
    pub async fn open(store: &Store, tables: &[Table], stop: &CancellationToken) -> Result<Self> {
        let (url, lock) = match store {
            Store::Memory => (embed(Dynoxide::memory(), "memory", stop).await?, None),
            Store::File(path) => {
                let lock = lock(path)?;
                let at = path.display().to_string();
                (embed(Dynoxide::new(&at), &at, stop).await?, Some(lock))
            }
            Store::Url(url) => (url.trim_end_matches('/').to_owned(), None),
        };
        let connection = Connection::to(&url)?;
        for table in tables {
            connection.create(table).await?;
        }
        Ok(Self { url, _lock: lock })
    }
}

/// Refuses a file that another local shop has open: each would miss what the other writes into its caches.
fn lock(path: &Path) -> Result<File> {
    let fault = |source| Error::File { path: path.into(), source };
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(fault)?;
    }
    let file =
        OpenOptions::new().create(true).truncate(false).write(true).open(path.with_added_extension("lock")).map_err(fault)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::DatabaseInUse { path: path.into() }),
        Err(TryLockError::Error(error)) => Err(fault(error)),
    }
}

/// Serves the database over HTTP, since that is the only protocol that functions speak.
async fn embed(opened: dynoxide::errors::Result<Dynoxide>, at: &str, stop: &CancellationToken) -> Result<String> {
    let database = opened.map_err(|error| Error::Database { at: at.to_owned(), reason: error.to_string() })?;
    let listener: TcpListener = server::listen("DynamoDB", 0).await?;
    let url = server::url(&listener)?;
    let until = stop.clone().cancelled_owned();
    tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database.clone(), until));
    tokio::spawn(sweep(database, stop.clone()));
    Ok(url)
}

/// Deletes expired items every minute; DynamoDB itself may take days.
async fn sweep(database: Dynoxide, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(SWEEP)).await.is_some() {
        let database = database.clone();
        // A sweep that fails is made up for by the next one.
        let _ = tokio::task::spawn_blocking(move || database.sweep_ttl()).await;
    }
}

/// The shop's own way to DynamoDB, past the meter.
pub struct Connection<'a> {
    client: Client,
    url: &'a str,
}

impl<'a> Connection<'a> {
    pub fn to(url: &'a str) -> Result<Self> {
        // A proxy that the environment names cannot know this machine's ports.
        let client = Client::builder().no_proxy().timeout(PATIENCE).build();
        let client = client.map_err(|error| Error::Database { at: url.to_owned(), reason: innermost(&error) })?;
        Ok(Self { client, url })
    }

    /// Creates the table unless it exists; tells whether it did.
    async fn create(&self, table: &Table) -> Result<bool> {
        let created = match self.call("CreateTable", &table.create).await? {
            Ok(_) => true,
            Err(kind) if kind.contains("ResourceInUseException") => false,
            Err(reason) => return Err(self.fault(reason)),
        };
        self.until_active(table).await?;
        if let Some(attribute) = &table.expires {
            self.expire(table, attribute).await?;
        }
        Ok(created)
    }

    async fn until_active(&self, table: &Table) -> Result {
        for _ in 0..ASK_TIMES {
            let answer = self.call("DescribeTable", &json!({"TableName": table.name})).await?;
            let description = answer.map_err(|reason| self.fault(reason))?;
            if description["Table"]["TableStatus"] == "ACTIVE" {
                return Ok(());
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
        Err(self.fault(format!("table {} does not become active", table.name)))
    }

    /// Turns expiry on, unless it is: DynamoDB refuses to turn it on twice.
    async fn expire(&self, table: &Table, attribute: &str) -> Result {
        let answer = self.call("DescribeTimeToLive", &json!({"TableName": table.name})).await?;
        let description = answer.map_err(|reason| self.fault(reason))?;
        let status = description["TimeToLiveDescription"]["TimeToLiveStatus"].as_str();
        if matches!(status, Some("ENABLED" | "ENABLING")) {
            return Ok(());
        }
        let specification = json!({
            "TableName": table.name,
            "TimeToLiveSpecification": {"AttributeName": attribute, "Enabled": true},
        });
        let answer = self.call("UpdateTimeToLive", &specification).await?;
        answer.map(drop).map_err(|reason| self.fault(reason))
    }

    /// DynamoDB's answer, or its refusal as one line.
    pub async fn call(&self, operation: &str, body: &Value) -> Result<Result<Value, String>> {
        // Emulators want to see a signature and never check it.
        let signature = format!(
            "AWS4-HMAC-SHA256 Credential={SHARED_ACCESS_KEY}/20000101/{REGION}/dynamodb/aws4_request, \
             SignedHeaders=host;x-amz-date;x-amz-target, Signature=0"
        );
        let response = self
            .client
            .post(self.url)
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
            .header("x-amz-date", "20000101T000000Z")
            .header("authorization", signature)
            .body(body.to_string())
            .send()
            .await
            .map_err(|error| self.fault(innermost(&error)))?;
        let status = response.status();
        let answer: Value = response.json().await.map_err(|error| self.fault(innermost(&error)))?;
        if status == StatusCode::OK {
            return Ok(Ok(answer));
        }
        let kind = answer["__type"].as_str().unwrap_or(status.as_str());
        let message = answer["message"].as_str().or(answer["Message"].as_str()).unwrap_or_default();
        Ok(Err(format!("{operation}: {kind}: {message}")))
    }

    pub fn fault(&self, reason: impl Into<String>) -> Error {
        Error::Database { at: self.url.to_owned(), reason: reason.into() }
    }
}

/// The cause that the others only wrap, such as `Connection refused (os error 111)`.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
