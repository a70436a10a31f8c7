//! What a function holds for as long as its environment lives. The only reader of the environment and of the clock.

use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region, StalledStreamProtectionConfig, retry::RetryConfig, timeout::TimeoutConfig},
};
use aws_smithy_http_client::{Builder, tls};
use uuid::Uuid;

use crate::{domain::Timestamp, store::Table};

/// A start that failed: the environment is not what template.yaml makes it.
#[derive(Debug, thiserror::Error)]
#[error("the environment variable {0} is not set")]
pub struct Missing(&'static str);

/// What a handler is built on. A function that needs less than [`App`] links less.
pub trait FromEnvironment: Sized {
    fn from_environment() -> Result<Self, Missing>;
}

/// For functions without a database.
impl FromEnvironment for () {
    fn from_environment() -> Result<Self, Missing> {
        Ok(())
    }
}

/// The table, the clock and the source of ids.
#[derive(Debug)]
pub struct App {
    pub table: Table,
}

impl App {
    /// The current time.
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everybody else asks")]
    pub fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }

    /// A new identifier. Later ones sort after earlier ones.
    pub fn new_id<T: From<Uuid>>(&self) -> T {
        Uuid::now_v7().into()
    }
}

impl FromEnvironment for App {
    fn from_environment() -> Result<Self, Missing> {
        Ok(Self { table: Table::new(Client::from_conf(dynamodb()?), variable("TABLE_NAME")?) })
    }
}

/// How to reach DynamoDB, from the variables that Lambda sets. No credentials or region chain: it would be code and start-up
/// time for answers that never vary here.
fn dynamodb() -> Result<Config, Missing> {
    let credentials = Credentials::new(
        variable("AWS_ACCESS_KEY_ID")?,
        variable("AWS_SECRET_ACCESS_KEY")?,
        variable("AWS_SESSION_TOKEN").ok(),
        None,
        "environment",
    );
    let mut config = Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(variable("AWS_REGION")?))
        .credentials_provider(credentials)
        .http_client(Builder::new().tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring)).build_https())
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(1))
                .operation_attempt_timeout(Duration::from_secs(1))
                .operation_timeout(Duration::from_secs(3))
                .build(),
        )
        .retry_config(RetryConfig::standard().with_max_attempts(3).with_initial_backoff(Duration::from_millis(25)))
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    if let Ok(endpoint) = variable("AWS_ENDPOINT_URL_DYNAMODB") {
        config = config.endpoint_url(endpoint);
    }
    Ok(config.build())
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn variable(name: &'static str) -> Result<String, Missing> {
    std::env::var(name).map_err(|_| Missing(name))
}
