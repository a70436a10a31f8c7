//! What a template deploys, as far as one machine can run it: functions, routes, authorizers, tables, secrets and schedules.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::policy::Statement;
use super::rate::Rate;
use crate::pattern::Pattern;
use crate::value::{boolean, maybe_number, number};

#[derive(Debug)]
pub struct Template {
    pub functions: Vec<Function>,
    /// The binaries of all functions, those included that a condition leaves out.
    pub binaries: BTreeSet<String>,
    pub routes: Vec<Route>,
    /// By the name that routes use.
    pub authorizers: BTreeMap<String, Authorizer>,
    pub cors: Option<Cors>,
    pub tables: Vec<Table>,
    pub secrets: Vec<Secret>,
    pub schedules: Vec<Schedule>,
    pub streams: Vec<StreamMapping>,
    pub buses: Vec<EventBus>,
    pub rules: Vec<Rule>,
    pub queues: Vec<Queue>,
    pub stack: Stack,
}

#[derive(Clone, Debug)]
pub struct Function {
    /// The logical id, its key under `Resources`.
    pub id: String,
    /// The physical name, what `!Ref` gives.
    pub name: String,
    pub arn: String,
    pub binary: String,
    pub timeout: Duration,
    /// In MB.
    pub memory: u32,
    pub variables: BTreeMap<String, String>,
    /// The name of the log group that it writes to.
    pub log_group: String,
    /// What its policies allow.
    pub statements: Vec<Statement>,
    /// The permissions boundary, if there is one: the most that they can allow.
    pub boundary: Option<Vec<Statement>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// `GET /books/{book_id}`, `ANY /x` or `$default`.
    pub key: String,
    /// Logical id.
    pub function: String,
    pub authorizer: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorizer {
    /// Logical id.
    pub function: String,
    /// The request's headers that say who is calling, in lower case.
    pub headers: Vec<String>,
    /// How long an answer may be cached; zero asks every time.
    pub ttl: Duration,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
pub struct Cors {
    pub allow_origins: Vec<String>,
    pub allow_methods: Vec<String>,
    pub allow_headers: Vec<String>,
    pub expose_headers: Vec<String>,
    #[serde(deserialize_with = "maybe_number")]
    pub max_age: Option<u64>,
    #[serde(deserialize_with = "boolean")]
    pub allow_credentials: bool,
}

#[derive(Clone, Debug)]
pub struct Table {
    /// The physical name.
    pub name: String,
    /// What DynamoDB's `CreateTable` takes.
    pub create: Value,
    /// The attribute that holds the second in which an item expires.
    pub expires: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Secret {
    pub id: String,
    pub name: String,
    pub arn: String,
    pub value: SecretValue,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretValue {
    Given(String),
    Generated(Password),
}

/// `GenerateSecretString`, with the defaults of Secrets Manager.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "as many as Secrets Manager has")]
pub struct Password {
    #[serde(rename = "PasswordLength", deserialize_with = "number")]
    pub length: usize,
    #[serde(deserialize_with = "boolean")]
    pub exclude_lowercase: bool,
    #[serde(deserialize_with = "boolean")]
    pub exclude_uppercase: bool,
    #[serde(deserialize_with = "boolean")]
    pub exclude_numbers: bool,
    #[serde(deserialize_with = "boolean")]
    pub exclude_punctuation: bool,
    #[serde(deserialize_with = "boolean")]
    pub include_space: bool,
    pub exclude_characters: String,
    /// A JSON object to which the password is added under `GenerateStringKey`.
    #[serde(rename = "SecretStringTemplate")]
    pub template: Option<String>,
    #[serde(rename = "GenerateStringKey")]
    pub key: Option<String>,
}

impl Default for Password {
    fn default() -> Self {
        Self {
            length: 32,
            exclude_lowercase: false,
            exclude_uppercase: false,
            exclude_numbers: false,
            exclude_punctuation: false,
            include_space: false,
            exclude_characters: String::new(),
            template: None,
            key: None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Logical id.
    pub function: String,
    /// The event's key under the function's `Events`.
    pub name: String,
    /// `rate(5 minutes)`, as the template has it.
    pub expression: String,
    pub rate: Rate,
    /// What the function is called with, as JSON text.
    pub input: Option<String>,
}

/// A function that reads a table's stream, as Lambda's event source mapping has it.
#[derive(Clone, Debug)]
pub struct StreamMapping {
    /// Logical id.
    pub function: String,
    /// The event's key under the function's `Events`.
    pub name: String,
    /// The table's physical name.
    pub table: String,
    /// Whether it begins with what was written before there was a reader.
    pub from_the_beginning: bool,
    pub batch_size: usize,
    /// How long a batch may wait for more records.
    pub window: Duration,
    /// A batch that fails is tried again in two halves.
    pub bisects: bool,
    /// The function may say which record of a batch it got as far as.
    pub reports_failures: bool,
    /// `None`: for as long as the stream keeps the record.
    pub max_retries: Option<u32>,
    pub max_age: Option<Duration>,
    /// A record is handed over if one of them matches; all are if there is none.
    pub filters: Vec<Pattern>,
    /// The ARN of the queue that hears of what is given up.
    pub failures: Option<String>,
}

#[derive(Clone, Debug)]
pub struct EventBus {
    pub name: String,
    pub arn: String,
}

/// Which events of a bus go where.
#[derive(Clone, Debug)]
pub struct Rule {
    pub name: String,
    pub arn: String,
    /// The bus's name or ARN.
    pub bus: String,
    pub pattern: Pattern,
    pub targets: Vec<Target>,
}

/// An API destination, which is sent events by POST.
#[derive(Clone, Debug)]
pub struct Target {
    pub id: String,
    pub arn: String,
    pub url: String,
    /// What it knows by who sends.
    pub headers: BTreeMap<String, String>,
    /// `$.detail`: the part of the event that is sent; all of it if there is none.
    pub input_path: Option<String>,
    /// The ARN of the queue for events that it does not take.
    pub dead_letters: Option<String>,
    pub retries: u32,
    pub max_age: Duration,
}

#[derive(Clone, Debug)]
pub struct Queue {
    /// Logical id.
    pub id: String,
    pub name: String,
    pub arn: String,
}

/// What CloudFormation tells of a stack.
#[derive(Clone, Debug)]
pub struct Stack {
    pub name: String,
    pub description: Option<String>,
    /// As they are shown: what must not be seen is asterisks.
    pub parameters: BTreeMap<String, String>,
    pub outputs: Vec<Output>,
    /// What exists here of what the template names.
    pub resources: Vec<Resource>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    pub key: String,
    pub value: String,
    pub description: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Logical id.
    pub id: String,
    /// What `!Ref` gives.
    pub name: String,
    /// Such as `AWS::Lambda::Function`: what SAM makes of its own types.
    pub kind: String,
}
