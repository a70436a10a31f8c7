//! Makes the template's tables where they do not exist yet.

use std::time::Duration;

use serde_json::json;

use super::client::{CallError, Client};
use crate::error::{Error, Result};
use crate::template::Table;

/// How often a table of an external emulator is asked whether it is ready, and for how long.
const ASK_EVERY: Duration = Duration::from_millis(200);
const ASK_TIMES: usize = 150;

/// Creates the tables that do not exist, and waits until all can be used.
pub async fn create(client: &Client, tables: &[Table]) -> Result {
    let failed = |error: CallError| failed(client, error);
    for table in tables {
        match client.call("CreateTable", &table.create).await {
            Err(CallError::Refused { kind, .. }) if kind.contains("ResourceInUseException") => {}
            created => drop(created.map_err(failed)?),
        }
        until_active(client, table).await?;
        stream(client, table).await.map_err(failed)?;
        if let Some(attribute) = &table.expires {
            expire(client, table, attribute).await.map_err(failed)?;
        }
    }
    Ok(())
}

fn failed(client: &Client, error: CallError) -> Error {
    let at = client.url().to_owned();
    match error {
        CallError::Unreachable(reason) => Error::Unreachable { at, reason },
        CallError::Refused { .. } => Error::Database { at, reason: error.to_string() },
    }
}

async fn until_active(client: &Client, table: &Table) -> Result {
    for _ in 0..ASK_TIMES {
        let described = client.call("DescribeTable", &json!({"TableName": table.name})).await;
        if described.map_err(|error| failed(client, error))?["Table"]["TableStatus"] == "ACTIVE" {
            return Ok(());
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
    Err(Error::Database { at: client.url().to_owned(), reason: format!("table {} does not become active", table.name) })
}

/// Turns the stream on that the template asks for, unless it is: the table may be older than the template.
async fn stream(client: &Client, table: &Table) -> Result<(), CallError> {
    let Some(wanted) = table.create.get("StreamSpecification") else { return Ok(()) };
    let described = client.call("DescribeTable", &json!({"TableName": table.name})).await?;
    if described["Table"]["StreamSpecification"]["StreamEnabled"] == true {
        return Ok(());
    }
    client.call("UpdateTable", &json!({"TableName": table.name, "StreamSpecification": wanted})).await.map(drop)
}

/// Turns expiry on, unless it is: DynamoDB refuses to turn it on twice.
async fn expire(client: &Client, table: &Table, attribute: &str) -> Result<(), CallError> {
    let described = client.call("DescribeTimeToLive", &json!({"TableName": table.name})).await?;
    let status = described["TimeToLiveDescription"]["TimeToLiveStatus"].as_str();
    if matches!(status, Some("ENABLED" | "ENABLING")) {
        return Ok(());
    }
    let specification = json!({
        "TableName": table.name,
        "TimeToLiveSpecification": {"AttributeName": attribute, "Enabled": true},
    });
    client.call("UpdateTimeToLive", &specification).await.map(drop)
}
