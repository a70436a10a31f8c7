//! The least that a function with a database can be: it reads one item and answers, without any rule of ours.

#![expect(clippy::disallowed_methods, reason = "it has no app.rs to read the environment")]

use std::env::var;

use aws_sdk_dynamodb::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region},
    types::AttributeValue,
};
use aws_smithy_http_client::{Builder, tls};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let http = Builder::new().tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring)).build_https();
    let (id, secret, token) = (var("AWS_ACCESS_KEY_ID")?, var("AWS_SECRET_ACCESS_KEY")?, var("AWS_SESSION_TOKEN").ok());
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(var("AWS_REGION")?))
        .credentials_provider(Credentials::new(id, secret, token, None, "environment"))
        .endpoint_url(var("AWS_ENDPOINT_URL_DYNAMODB")?)
        .http_client(http)
        .build();
    let (client, table) = (&Client::from_conf(config), &var("TABLE_NAME")?);

    lambda_runtime::run(service_fn(move |event| handle(client, table, event))).await
}

async fn handle(client: &Client, table: &str, event: LambdaEvent<Value>) -> Result<Value, Error> {
    let id = event.payload["pathParameters"]["product_id"].as_str().unwrap_or_default();
    let key = |text: String| AttributeValue::S(text);
    let found = client
        .get_item()
        .table_name(table)
        .key("pk", key(format!("PRODUCT#{id}")))
        .key("sk", key("PRODUCT".into()))
        .return_consumed_capacity(aws_sdk_dynamodb::types::ReturnConsumedCapacity::Total)
        .send()
        .await?;
    let name = found.item.as_ref().and_then(|item| item.get("name")?.as_s().ok());
    let status = if name.is_some() { 200 } else { 404 };
    let body = json!({"product_id": id, "name": name}).to_string();
    Ok(json!({"statusCode": status, "headers": {"content-type": "application/json"}, "body": body}))
}
