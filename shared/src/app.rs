//! What a function holds for as long as its environment lives. The only reader of the environment and of the clock.

use std::{
    env::VarError,
    ops::RangeInclusive,
    time::{Duration, SystemTime},
};

use aws_sdk_dynamodb::{
    Client,
    config::{
        self, BehaviorVersion, Credentials, Region, SharedCredentialsProvider, StalledStreamProtectionConfig,
        retry::{ReconnectMode, RetryConfig},
        timeout::TimeoutConfig,
    },
};
use aws_types::SdkConfig;
use lambda_http::http::Uri;
use uuid::Uuid;

use crate::{
    Error,
    bus::Bus,
    domain::{Email, OrderPolicy, Timestamp, Username, VerifiedEmail},
    https,
    keys::{Keys, MailSecret},
    mail::Mailer,
    store::{Counter, KnownKeys, Table},
    telemetry::Source,
};

/// What the shop is called wherever it is deployed.
const NAME: &str = "Stockroom";

/// Why a function cannot start or go on: its environment is not what template.yaml makes it, or the runtime fails. No message has
/// the value of a variable in it, which may be a secret.
#[derive(Debug, thiserror::Error)]
pub enum StartupError {
    #[error("the environment variable {0} is not set")]
    Missing(&'static str),
    #[error("the environment variable {name} must be {expected}")]
    Invalid { name: &'static str, expected: String },
    #[error("the Lambda runtime failed: {0}")]
    Runtime(#[from] lambda_runtime::Error),
}

/// What a handler is built on, made once per environment. A function that needs less links less.
pub trait FromEnvironment: Sized {
    fn from_environment() -> impl Future<Output = Result<Self, StartupError>>;
}

/// For functions without a database.
impl FromEnvironment for () {
    async fn from_environment() -> Result<Self, StartupError> {
        Ok(())
    }
}

/// The table, the clock and the source of ids.
#[derive(Debug)]
pub struct App {
    pub table: Table,
    pub order_policy: OrderPolicy,
    /// How many logins may fail from one address, and how many registrations may come from it, in 15 minutes; 0 is no limit.
    attempts_per_address: u32,
    /// What the shop is called: by itself, by its stack and by its domain.
    names: Vec<String>,
    /// Whether the shop sends mail.
    mails: bool,
    /// For what it wants to know that an address is its owner's.
    pub verified_email: VerifiedEmail,
}

impl App {
    /// The current time.
    pub fn now(&self) -> Timestamp {
        now()
    }

    /// A new identifier. Later ones sort after earlier ones.
    pub fn new_id<T: From<Uuid>>(&self) -> T {
        Uuid::now_v7().into()
    }

    /// How many logins may fail from one address, and how many registrations may come from it, in 15 minutes; 0 is no limit.
    pub fn attempts_per_address(&self) -> u64 {
        self.attempts_per_address.into()
    }

    /// What no password of an account may be made of: what it and the shop are called.
    pub fn names<'a>(&'a self, email: &'a Email, username: &'a Username) -> impl Iterator<Item = &'a str> {
        [email.as_str(), username.as_str()].into_iter().chain(self.names.iter().map(String::as_str))
    }

    /// Whether the shop sends mail.
    pub fn sends_mail(&self) -> bool {
        self.mails
    }

    /// Refuses what can only be done by mail in a shop that sends none.
    pub fn require_mail(&self) -> Result<(), Error> {
        if self.mails { Ok(()) } else { Err(Error::MailNotConfigured) }
    }

    async fn over(http: &https::Client) -> Result<Self, StartupError> {
        let verified_email = match optional("REQUIRE_VERIFIED_EMAIL")?.as_deref() {
            None | Some("no") => VerifiedEmail::ForNothing,
            Some("to-order") => VerifiedEmail::ToOrder,
            Some("to-login") => VerifiedEmail::ToLogIn,
            Some(_) => return Err(invalid("REQUIRE_VERIFIED_EMAIL", "no, to-order or to-login")),
        };
        let names = [Some(NAME.to_owned()), optional("STACK_NAME")?, optional("DOMAIN_NAME")?];
        Ok(Self {
            table: Table::new(dynamodb(http).await?, variable("TABLE_NAME")?, number("ORDER_SHARDS", 1..=100, 1)?),
            order_policy: OrderPolicy {
                customers_confirm: flag("CUSTOMERS_CONFIRM", true)?,
                max_open_orders: Some(number("MAX_OPEN_ORDERS", 0..=99_999, 0)?).filter(|orders| *orders > 0),
                hold_hours: Some(number("PENDING_ORDER_HOURS", 0..=99_999, 0)?).filter(|hours| *hours > 0),
                verified_email: verified_email == VerifiedEmail::ToOrder,
            },
            attempts_per_address: number("ATTEMPTS_PER_ADDRESS", 0..=999_999, 0)?,
            names: names.into_iter().flatten().collect(),
            mails: optional("MAIL_FROM")?.is_some(),
            verified_email,
        })
    }

    /// A name for an access token (`jti`).
    pub fn new_token_id(&self) -> String {
        Uuid::now_v7().to_string()
    }
}

impl FromEnvironment for App {
    async fn from_environment() -> Result<Self, StartupError> {
        Self::over(&http_client()?).await
    }
}

/// An [`App`] that checks access tokens. It holds no secret.
#[derive(Debug)]
pub struct AuthorizerApp {
    pub app: App,
    pub keys: KnownKeys,
}

impl FromEnvironment for AuthorizerApp {
    async fn from_environment() -> Result<Self, StartupError> {
        Ok(Self { app: App::from_environment().await?, keys: KnownKeys::default() })
    }
}

/// An [`App`] that can sign tokens.
#[derive(Debug)]
pub struct TokenApp {
    pub app: App,
    pub keys: Keys,
}

impl FromEnvironment for TokenApp {
    async fn from_environment() -> Result<Self, StartupError> {
        let http = http_client()?;
        let keys = Keys::new(secrets_manager(&http).await?, variable("SIGNING_SECRET_ARN")?);
        Ok(Self { app: App::over(&http).await?, keys })
    }
}

/// A [`TokenApp`] that replaces what it signs with.
#[derive(Debug)]
pub struct RotationApp {
    pub tokens: TokenApp,
    /// How old the newest key may become.
    pub days: u32,
}

impl FromEnvironment for RotationApp {
    async fn from_environment() -> Result<Self, StartupError> {
        let days = number("SIGNING_SECRET_ROTATION_DAYS", 8..=999, 90)?;
        Ok(Self { tokens: TokenApp::from_environment().await?, days })
    }
}

/// An [`App`] that knows whether a mailed token is ours.
#[derive(Debug)]
pub struct MailedApp {
    pub app: App,
    pub secret: MailSecret,
}

impl FromEnvironment for MailedApp {
    async fn from_environment() -> Result<Self, StartupError> {
        let http = http_client()?;
        let secret = MailSecret::new(secrets_manager(&http).await?, variable("MAIL_SECRET_ARN")?);
        Ok(Self { app: App::over(&http).await?, secret })
    }
}

/// A [`MailedApp`] that sends mail.
#[derive(Debug)]
pub struct MailApp {
    pub app: App,
    pub secret: MailSecret,
    pub mailer: Mailer,
}

impl FromEnvironment for MailApp {
    async fn from_environment() -> Result<Self, StartupError> {
        let http = http_client()?;
        let client = aws_sdk_sesv2::Client::new(&service(&http, "AWS_ENDPOINT_URL_SESV2")?);
        let shop = optional("DOMAIN_NAME")?.unwrap_or_else(|| NAME.to_owned());
        let (pages, configuration_set) = (optional("PAGES_URL")?, optional("MAIL_CONFIGURATION_SET")?);
        let mailer = Mailer::new(client, variable("MAIL_FROM")?, shop, pages, configuration_set);
        let secret = MailSecret::new(secrets_manager(&http).await?, variable("MAIL_SECRET_ARN")?);
        Ok(Self { app: App::over(&http).await?, secret, mailer })
    }
}

/// An [`App`] that can tell others what has happened.
#[derive(Debug)]
pub struct EventApp {
    pub app: App,
    pub bus: Bus,
}

impl FromEnvironment for EventApp {
    async fn from_environment() -> Result<Self, StartupError> {
        let http = http_client()?;
        let client = aws_sdk_eventbridge::Client::new(&service(&http, "AWS_ENDPOINT_URL_EVENTBRIDGE")?);
        let bus = Bus::new(client, variable("EVENT_BUS_NAME")?);
        Ok(Self { app: App::over(&http).await?, bus })
    }
}

/// Whether the gateway keeps the authorizer's answers for a while.
pub fn authorizer_is_cached() -> Result<bool, StartupError> {
    Ok(number("AUTHORIZER_CACHE_SECONDS", 0..=3_600, 0)? > 0)
}

/// Who writes the log lines of this process.
pub fn source() -> Result<Source, StartupError> {
    Ok(Source { stack: variable("STACK_NAME")?, function: variable("AWS_LAMBDA_FUNCTION_NAME")?, clock: now })
}

#[expect(clippy::disallowed_methods, reason = "this is the clock that everybody else asks")]
fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// Makes the connection to a service before the first request, if the shop wants that (`WarmConnections` in template.yaml). Each SDK
/// knows where its own service is.
macro_rules! connect_ahead {
    ($sdk:ident, $http:expr, $service:expr) => {
        if flag("WARM_CONNECTIONS", false)? {
            use $sdk::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
            let region = $service.region().map(ToString::to_string);
            let place = Params::builder().set_region(region).set_endpoint($service.endpoint_url().map(str::to_owned)).build();
            if let Ok(place) = place
                && let Ok(endpoint) = DefaultResolver::new().resolve_endpoint(&place).await
            {
                $http.connect_ahead(endpoint.url()).await;
            }
        }
    };
}

async fn dynamodb(http: &https::Client) -> Result<Client, StartupError> {
    let service = service(http, "AWS_ENDPOINT_URL_DYNAMODB")?;
    connect_ahead!(aws_sdk_dynamodb, http, service);
    Ok(Client::from_conf(config::Builder::from(&service).interceptor(Counter).build()))
}

async fn secrets_manager(http: &https::Client) -> Result<aws_sdk_secretsmanager::Client, StartupError> {
    let service = service(http, "AWS_ENDPOINT_URL_SECRETS_MANAGER")?;
    connect_ahead!(aws_sdk_secretsmanager, http, service);
    Ok(aws_sdk_secretsmanager::Client::new(&service))
}

/// How to reach a service of AWS, from the variables that Lambda sets. No credentials or region chain: it would be code and start-up
/// time for answers that never vary here.
fn service(http: &https::Client, endpoint_variable: &'static str) -> Result<SdkConfig, StartupError> {
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(variable("AWS_REGION")?))
        .credentials_provider(SharedCredentialsProvider::new(credentials()?))
        .http_client(http.shared())
        .timeout_config(timeouts())
        .retry_config(retries())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    config.set_endpoint_url(endpoint(endpoint_variable)?);
    Ok(config.build())
}

/// Where a service is, if not at AWS: the variables that all SDKs and tools of AWS read, the service's own first.
fn endpoint(of_service: &'static str) -> Result<Option<String>, StartupError> {
    for name in [of_service, "AWS_ENDPOINT_URL"] {
        if let Some(url) = optional(name)? {
            let parsed: Option<Uri> = url.parse().ok();
            let is_http = parsed.is_some_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some());
            return if is_http { Ok(Some(url)) } else { Err(invalid(name, "a URL of http or https")) };
        }
    }
    Ok(None)
}

fn credentials() -> Result<Credentials, StartupError> {
    let session_token = optional("AWS_SESSION_TOKEN")?;
    let (id, secret) = (variable("AWS_ACCESS_KEY_ID")?, variable("AWS_SECRET_ACCESS_KEY")?);
    Ok(Credentials::new(id, secret, session_token, None, "environment"))
}

/// The HTTPS client. It trusts the certificates in `AWS_CA_BUNDLE`, the variable that all SDKs and tools of AWS read, if that is set,
/// and otherwise Amazon's roots.
fn http_client() -> Result<https::Client, StartupError> {
    let name = "AWS_CA_BUNDLE";
    match optional(name)? {
        Some(path) => {
            let client = std::fs::read(path).ok().and_then(|bundle| https::Client::of(&bundle));
            client.ok_or_else(|| invalid(name, "the path of a file of certificates in PEM"))
        }
        None => Ok(https::Client::new()),
    }
}

/// Short enough that a service that hangs is told apart from one that is slow before the request's deadline.
fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder().operation_attempt_timeout(Duration::from_secs(1)).operation_timeout(Duration::from_secs(3)).build()
}

/// `https` itself keeps no connection to a server that has failed: the SDK would ask it not to, and complain that it cannot.
fn retries() -> RetryConfig {
    let retries = RetryConfig::standard().with_max_attempts(3).with_initial_backoff(Duration::from_millis(25));
    retries.with_reconnect_mode(ReconnectMode::ReuseAllConnections)
}

/// A number that only some functions are given.
fn number(name: &'static str, allowed: RangeInclusive<u32>, otherwise: u32) -> Result<u32, StartupError> {
    let Some(text) = optional(name)? else {
        return Ok(otherwise);
    };
    let number = text.parse().ok().filter(|number| allowed.contains(number));
    number.ok_or_else(|| invalid(name, format!("a whole number from {} to {}", allowed.start(), allowed.end())))
}

/// A yes or no that only some functions are given.
fn flag(name: &'static str, otherwise: bool) -> Result<bool, StartupError> {
    match optional(name)? {
        None => Ok(otherwise),
        Some(text) => text.parse().map_err(|_| invalid(name, "true or false")),
    }
}

fn invalid(name: &'static str, expected: impl Into<String>) -> StartupError {
    StartupError::Invalid { name, expected: expected.into() }
}

/// A variable that must be set, and not to nothing.
fn variable(name: &'static str) -> Result<String, StartupError> {
    optional(name)?.ok_or(StartupError::Missing(name))
}

/// A variable that need not be set. An empty one is not set: templates and shells have no other way to say so.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn optional(name: &'static str) -> Result<Option<String>, StartupError> {
    match std::env::var(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(invalid(name, "Unicode text")),
    }
}
