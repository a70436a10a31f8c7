//! What template.yaml deploys, as far as one machine can run it: functions, routes, authorizers, tables and secrets.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::intrinsics::{Fault, Scope};
use crate::rights::Statement;
use crate::schedule::Rate;
use crate::yaml;

#[derive(Debug)]
pub struct Template {
    pub functions: Vec<Function>,
    pub routes: Vec<Route>,
    /// By the name that routes use.
    pub authorizers: BTreeMap<String, Authorizer>,
    pub cors: Option<Cors>,
    pub tables: Vec<Table>,
    pub secrets: Vec<Secret>,
    pub schedules: Vec<Schedule>,
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
    /// What its policies allow.
    pub statements: Vec<Statement>,
    /// The most that they can allow, if there is a bound.
    pub boundary: Option<Vec<Statement>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// `GET /products/{product_id}`, `ANY /x` or `$default`.
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
    /// How long an answer may be used again; zero asks every time.
    pub reuse: Duration,
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

impl Template {
    pub fn read(path: &Path, stack: &str, parameters: &BTreeMap<String, String>) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::File { path: path.into(), source })?;
        let document =
            yaml::parse(&text).map_err(|error| Error::Yaml { path: path.into(), reason: error.without_snippet().to_string() })?;
        Self::from_document(&document, stack, parameters).map_err(|fault| Error::Template {
            path: path.into(),
            place: fault.place,
            reason: fault.reason,
        })
    }

    fn from_document(document: &Value, stack: &str, parameters: &BTreeMap<String, String>) -> Result<Self, Fault> {
        known(document, "the template", &SECTIONS, &[])?;
        if let Some(transform) = document.get("Transform")
            && transform != "AWS::Serverless-2016-10-31"
        {
            return Err(Fault::new("Transform", format!("{transform} is not understood here")));
        }
        known(&document["Globals"], "Globals", &["Function", "HttpApi"], &[])?;
        known(&document["Globals"]["Function"], "Globals.Function", &FUNCTION, &FUNCTION_ELSEWHERE)?;
        let reader = Reader { scope: Scope::new(document, stack, parameters)?, globals: &document["Globals"] };
        let (authorizers, default_authorizer, cors) = reader.api()?;
        let mut template = Self {
            functions: Vec::new(),
            routes: Vec::new(),
            authorizers,
            cors,
            tables: Vec::new(),
            secrets: Vec::new(),
            schedules: Vec::new(),
        };
        for (id, resource) in reader.scope.resources() {
            let at = format!("Resources.{id}");
            known(resource, &at, &RESOURCE, &[])?;
            match resource["Type"].as_str() {
                Some("AWS::Serverless::Function") => {
                    template.functions.push(reader.function(id, resource)?);
                    reader.events(id, resource, default_authorizer.as_deref(), &mut template)?;
                }
                Some("AWS::DynamoDB::Table") => template.tables.push(reader.table(id)?),
                Some("AWS::SecretsManager::Secret") => template.secrets.push(reader.secret(id)?),
                Some(kind) if ELSEWHERE.contains(&kind) => {}
                kind => {
                    return Err(Fault::new(at, format!("{} does not exist here", kind.unwrap_or("a resource without a Type"))));
                }
            }
        }
        template.check()?;
        Ok(template)
    }

    /// Refuses what no gateway could deploy.
    fn check(&self) -> Result<(), Fault> {
        let mut keys = BTreeSet::new();
        for route in &self.routes {
            let place = format!("Resources.{}.Properties.Events", route.function);
            if !keys.insert(&route.key) {
                return Err(Fault::new(place, format!("the route {} is taken", route.key)));
            }
            if let Some(name) = &route.authorizer
                && !self.authorizers.contains_key(name)
            {
                return Err(Fault::new(place, format!("there is no authorizer {name}")));
            }
        }
        for (name, authorizer) in &self.authorizers {
            if !self.functions.iter().any(|function| function.id == authorizer.function) {
                return Err(Fault::new(
                    format!("Authorizers.{name}.FunctionArn"),
                    "is not the ARN of a function of this template",
                ));
            }
        }
        Ok(())
    }
}

/// What is understood here, by where it stands; what has an effect on AWS only; and anything else is refused, so that nothing
/// that a template says is missing here without a word.
const SECTIONS: [&str; 10] = [
    "AWSTemplateFormatVersion",
    "Transform",
    "Description",
    "Metadata",
    "Parameters",
    "Rules",
    "Conditions",
    "Globals",
    "Resources",
    "Outputs",
];
const RESOURCE: [&str; 7] = ["Type", "Condition", "Properties", "Metadata", "DependsOn", "DeletionPolicy", "UpdateReplacePolicy"];
/// Resources that no function and no client sees.
const ELSEWHERE: [&str; 13] = [
    "AWS::Serverless::HttpApi",
    "AWS::ApiGatewayV2::ApiMapping",
    "AWS::ApiGatewayV2::DomainName",
    "AWS::Backup::BackupPlan",
    "AWS::Backup::BackupSelection",
    "AWS::Backup::BackupVault",
    "AWS::Budgets::Budget",
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::Role",
    "AWS::Logs::LogGroup",
    "AWS::Route53::RecordSet",
];
const FUNCTION: [&str; 7] = ["Environment", "Events", "FunctionName", "MemorySize", "PermissionsBoundary", "Policies", "Timeout"];
const FUNCTION_ELSEWHERE: [&str; 8] =
    ["Architectures", "CodeUri", "Description", "Handler", "LoggingConfig", "ReservedConcurrentExecutions", "Runtime", "Tracing"];
const API: [&str; 2] = ["Auth", "CorsConfiguration"];
const API_ELSEWHERE: [&str; 8] = [
    "AccessLogSettings",
    "DefaultRouteSettings",
    "Description",
    "DisableExecuteApiEndpoint",
    "FailOnWarnings",
    "Name",
    "RouteSettings",
    "StageName",
];
/// What means the same to `CreateTable` and to an emulator.
const TABLE: [&str; 6] = [
    "AttributeDefinitions",
    "KeySchema",
    "GlobalSecondaryIndexes",
    "LocalSecondaryIndexes",
    "BillingMode",
    "ProvisionedThroughput",
];
const TABLE_TOO: [&str; 3] = ["StreamSpecification", "TableName", "TimeToLiveSpecification"];
const TABLE_ELSEWHERE: [&str; 7] = [
    "ContributorInsightsSpecification",
    "DeletionProtectionEnabled",
    "OnDemandThroughput",
    "PointInTimeRecoverySpecification",
    "SSESpecification",
    "TableClass",
    "WarmThroughput",
];
const INDEX: [&str; 4] = ["IndexName", "KeySchema", "Projection", "ProvisionedThroughput"];
const INDEX_ELSEWHERE: [&str; 3] = ["ContributorInsightsSpecification", "OnDemandThroughput", "WarmThroughput"];
const SECRET: [&str; 3] = ["GenerateSecretString", "Name", "SecretString"];
const SECRET_ELSEWHERE: [&str; 3] = ["Description", "KmsKeyId", "Tags"];

/// Refuses the first key that is neither understood nor without effect here.
fn known(value: &Value, at: &str, understood: &[&str], elsewhere: &[&str]) -> Result<(), Fault> {
    let keys = value.as_object().into_iter().flat_map(Map::keys);
    match keys.map(String::as_str).find(|key| ![understood, elsewhere].concat().contains(key)) {
        Some(key) => Err(Fault::new(at, format!("{key} is not understood here"))),
        None => Ok(()),
    }
}

struct Reader<'t> {
    scope: Scope<'t>,
    globals: &'t Value,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
struct ApiAuth {
    default_authorizer: Option<String>,
    authorizers: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct LambdaAuthorizer {
    function_arn: String,
    /// Nobody asks here whether the gateway may call it.
    #[serde(default, rename = "EnableFunctionDefaultPermissions")]
    _permissions: Value,
    #[serde(default, rename = "AuthorizerPayloadFormatVersion")]
    payload_format: Value,
    #[serde(default, deserialize_with = "boolean")]
    enable_simple_responses: bool,
    #[serde(default)]
    identity: Identity,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
struct Identity {
    headers: Vec<String>,
    #[serde(deserialize_with = "number")]
    reauthorize_every: u64,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct HttpEvent {
    /// There is one API.
    #[serde(rename = "ApiId")]
    _api: Option<Value>,
    path: Option<String>,
    method: Option<String>,
    #[serde(default)]
    auth: EventAuth,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct EventAuth {
    authorizer: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ScheduleEvent {
    #[serde(rename = "Name")]
    _name: Option<String>,
    #[serde(rename = "Description")]
    _description: Option<String>,
    #[serde(alias = "ScheduleExpression")]
    schedule: String,
    input: Option<String>,
    #[serde(default = "yes", deserialize_with = "boolean")]
    enabled: bool,
    state: Option<String>,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct TimeToLive {
    attribute_name: String,
    #[serde(deserialize_with = "boolean")]
    enabled: bool,
}

/// Authorizers by name, the default one's name, and the origins allowed.
type Api = (BTreeMap<String, Authorizer>, Option<String>, Option<Cors>);

impl Reader<'_> {
    /// A property with every function in it resolved, or nothing when it is absent or `AWS::NoValue`.
    fn property<T: DeserializeOwned>(&self, properties: &Value, key: &str, at: &str) -> Result<Option<T>, Fault> {
        let Some(value) = properties.get(key) else {
            return Ok(None);
        };
        let at = format!("{at}.{key}");
        self.scope.resolve(value, &at)?.map(|value| typed(value, &at)).transpose()
    }

    /// The one HTTP API: a resource of its own, or the implicit one that `Globals.HttpApi` describes.
    fn api(&self) -> Result<Api, Fault> {
        let mut apis = self.scope.resources().filter(|(_, resource)| resource["Type"] == "AWS::Serverless::HttpApi");
        let (properties, at) = match (apis.next(), apis.next()) {
            (None, _) => (&self.globals["HttpApi"], "Globals.HttpApi".to_owned()),
            (Some((id, resource)), None) => (&resource["Properties"], format!("Resources.{id}.Properties")),
            (Some(_), Some((id, _))) => {
                return Err(Fault::new(format!("Resources.{id}"), "a second HttpApi; only one can run here"));
            }
        };
        known(properties, &at, &API, &API_ELSEWHERE)?;
        let cors = self.property(properties, "CorsConfiguration", &at)?;
        let auth: ApiAuth = self.property(properties, "Auth", &at)?.unwrap_or_default();
        let authorizers = auth
            .authorizers
            .into_iter()
            .map(|(name, value)| {
                let at = format!("{at}.Auth.Authorizers.{name}");
                Ok((name, self.authorizer(value, &at)?))
            })
            .collect::<Result<_, Fault>>()?;
        Ok((authorizers, auth.default_authorizer, cors))
    }

    fn authorizer(&self, value: Value, at: &str) -> Result<Authorizer, Fault> {
        let authorizer: LambdaAuthorizer = typed(value, at)?;
        if !authorizer.enable_simple_responses || scalar(&authorizer.payload_format).as_deref() != Some("2.0") {
            return Err(Fault::new(at, "only payload format \"2.0\" with EnableSimpleResponses can run here"));
        }
        Ok(Authorizer {
            function: self
                .scope
                .function_of(&authorizer.function_arn)
                .ok_or_else(|| Fault::new(format!("{at}.FunctionArn"), "is not the ARN of a function of this template"))?
                .to_owned(),
            headers: authorizer.identity.headers.iter().map(|name| name.to_ascii_lowercase()).collect(),
            reuse: Duration::from_secs(authorizer.identity.reauthorize_every),
        })
    }

    fn function(&self, id: &str, resource: &Value) -> Result<Function, Fault> {
        let at = format!("Resources.{id}.Properties");
        let properties = &resource["Properties"];
        known(properties, &at, &FUNCTION, &FUNCTION_ELSEWHERE)?;
        let binary = resource.pointer("/Metadata/BuildProperties/Binary").and_then(Value::as_str).ok_or_else(|| {
            Fault::new(format!("Resources.{id}.Metadata.BuildProperties.Binary"), "missing; it names the function's binary")
        })?;
        let mut variables = self.variables(&self.globals["Function"], "Globals.Function")?;
        variables.extend(self.variables(properties, &at)?);
        let policies: Value = self.property(properties, "Policies", &at)?.unwrap_or_else(|| Value::Array(Vec::new()));
        Ok(Function {
            id: id.to_owned(),
            name: self.scope.reference(id, &at)?,
            arn: self.scope.arn(id, &at)?,
            binary: binary.to_owned(),
            timeout: Duration::from_secs(self.number(properties, "Timeout", &at)?.unwrap_or(3)),
            memory: self.number(properties, "MemorySize", &at)?.unwrap_or(128),
            variables,
            statements: Statement::read(&policies, &format!("{at}.Policies"))?,
            boundary: self.boundary(properties, &at)?,
        })
    }

    /// What the managed policy that bounds a function's rights allows: the function's own, or else that of `Globals`.
    fn boundary(&self, properties: &Value, at: &str) -> Result<Option<Vec<Statement>>, Fault> {
        let own = properties.get("PermissionsBoundary").map(|named| (named, at));
        let global = || self.globals["Function"].get("PermissionsBoundary").map(|named| (named, "Globals.Function"));
        let Some((named, at)) = own.or_else(global) else {
            return Ok(None);
        };
        let at = format!("{at}.PermissionsBoundary");
        let id = named["Ref"].as_str().filter(|id| self.scope.properties(id).get("PolicyDocument").is_some());
        let id = id.ok_or_else(|| Fault::new(&at, "only a !Ref of a managed policy of this template can be enforced here"))?;
        let at = format!("Resources.{id}.Properties");
        let document: Option<Value> = self.property(self.scope.properties(id), "PolicyDocument", &at)?;
        Statement::read(&document.unwrap_or_default(), &format!("{at}.PolicyDocument")).map(Some)
    }

    fn variables(&self, properties: &Value, at: &str) -> Result<BTreeMap<String, String>, Fault> {
        let environment: Value = self.property(properties, "Environment", at)?.unwrap_or_default();
        known(&environment, &format!("{at}.Environment"), &["Variables"], &[])?;
        let Some(variables) = environment.get("Variables").and_then(Value::as_object) else {
            return Ok(BTreeMap::new());
        };
        variables
            .iter()
            .map(|(name, value)| {
                let value =
                    scalar(value).ok_or_else(|| Fault::new(format!("{at}.Environment.Variables.{name}"), "is not a text"))?;
                Ok((name.clone(), value))
            })
            .collect()
    }

    /// A number of the function itself or else of `Globals`.
    fn number<T: std::str::FromStr>(&self, properties: &Value, key: &str, at: &str) -> Result<Option<T>, Fault> {
        let (value, at): (Option<Value>, _) = match self.property(properties, key, at)? {
            Some(value) => (Some(value), at),
            None => (self.property(&self.globals["Function"], key, "Globals.Function")?, "Globals.Function"),
        };
        value
            .map(|value| {
                scalar(&value)
                    .and_then(|text| text.parse().ok())
                    .ok_or_else(|| Fault::new(format!("{at}.{key}"), "is not a number"))
            })
            .transpose()
    }

    /// What calls the function: routes and schedules.
    fn events(&self, id: &str, resource: &Value, default_authorizer: Option<&str>, template: &mut Template) -> Result<(), Fault> {
        let Some(events) = resource.pointer("/Properties/Events").and_then(Value::as_object) else {
            return Ok(());
        };
        for (name, event) in events {
            let at = format!("Resources.{id}.Properties.Events.{name}");
            match event["Type"].as_str() {
                Some("HttpApi") => {
                    let event: HttpEvent = self.property(event, "Properties", &at)?.unwrap_or_default();
                    let authorizer = match event.auth.authorizer.as_deref() {
                        Some("NONE") => None,
                        named => named.or(default_authorizer).map(str::to_owned),
                    };
                    template.routes.push(Route {
                        key: route_key(event.path, event.method, &at)?,
                        function: id.to_owned(),
                        authorizer,
                    });
                }
                Some("Schedule" | "ScheduleV2") => {
                    let event: ScheduleEvent =
                        self.property(event, "Properties", &at)?.ok_or_else(|| Fault::new(&at, "has no Properties"))?;
                    let rate = event
                        .schedule
                        .parse()
                        .map_err(|reason: String| Fault::new(format!("{at}.Properties.Schedule"), reason))?;
                    if event.enabled && event.state.as_deref() != Some("DISABLED") {
                        template.schedules.push(Schedule {
                            function: id.to_owned(),
                            name: name.clone(),
                            expression: event.schedule,
                            rate,
                            input: event.input,
                        });
                    }
                }
                kind => {
                    let kind = kind.unwrap_or("an event without a Type");
                    return Err(Fault::new(at, format!("{kind}: only HttpApi and Schedule can call a function here")));
                }
            }
        }
        Ok(())
    }

    fn table(&self, id: &str) -> Result<Table, Fault> {
        let at = format!("Resources.{id}.Properties");
        let properties = self.scope.properties(id);
        known(properties, &at, &[&TABLE[..], &TABLE_TOO].concat(), &TABLE_ELSEWHERE)?;
        let name = self.scope.reference(id, &at)?;
        let mut create = Map::from_iter([("TableName".to_owned(), Value::from(name.clone()))]);
        for key in TABLE {
            if let Some(value) = self.property(properties, key, &at)? {
                create.insert(key.to_owned(), value);
            }
        }
        let indexes = create.get_mut("GlobalSecondaryIndexes").and_then(Value::as_array_mut);
        for (number, index) in indexes.into_iter().flatten().enumerate() {
            known(index, &format!("{at}.GlobalSecondaryIndexes[{number}]"), &INDEX, &INDEX_ELSEWHERE)?;
            for key in INDEX_ELSEWHERE {
                index.as_object_mut().map(|index| index.remove(key));
            }
        }
        let stream: Option<Map<String, Value>> = self.property(properties, "StreamSpecification", &at)?;
        if let Some(mut stream) = stream {
            // CloudFormation leaves out what `CreateTable` insists on.
            stream.insert("StreamEnabled".to_owned(), true.into());
            create.insert("StreamSpecification".to_owned(), stream.into());
        }
        let expires: Option<TimeToLive> = self.property(properties, "TimeToLiveSpecification", &at)?;
        Ok(Table {
            name,
            create: create.into(),
            expires: expires.filter(|expires| expires.enabled).map(|expires| expires.attribute_name),
        })
    }

    fn secret(&self, id: &str) -> Result<Secret, Fault> {
        let at = format!("Resources.{id}.Properties");
        let properties = self.scope.properties(id);
        known(properties, &at, &SECRET, &SECRET_ELSEWHERE)?;
        let value = match self.property(properties, "SecretString", &at)? {
            Some(text) => SecretValue::Given(text),
            None => SecretValue::Generated(self.property(properties, "GenerateSecretString", &at)?.unwrap_or_default()),
        };
        Ok(Secret { id: id.to_owned(), name: self.scope.name(id, &at)?, arn: self.scope.arn(id, &at)?, value })
    }
}

fn route_key(path: Option<String>, method: Option<String>, at: &str) -> Result<String, Fault> {
    match (path.as_deref(), method) {
        (None | Some("$default"), _) => Ok("$default".to_owned()),
        (Some(path), method) if path.starts_with('/') => {
            let method = method.map_or_else(|| "ANY".to_owned(), |method| method.to_ascii_uppercase());
            let method = if method == "X-AMAZON-APIGATEWAY-ANY-METHOD" { "ANY" } else { &method };
            Ok(format!("{method} {path}"))
        }
        _ => Err(Fault::new(format!("{at}.Properties.Path"), "must start with a slash")),
    }
}

/// A value read as what it must be.
pub fn typed<T: DeserializeOwned>(value: Value, at: &str) -> Result<T, Fault> {
    serde_json::from_value(value).map_err(|error| Fault::new(at, error.to_string()))
}

/// The text of a text, number or boolean: templates do not tell them apart.
pub fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn parsed<'de, D: Deserializer<'de>, T: std::str::FromStr>(deserializer: D, wanted: &str) -> Result<T, D::Error> {
    let value = Value::deserialize(deserializer)?;
    scalar(&value).and_then(|text| text.parse().ok()).ok_or_else(|| D::Error::custom(format!("{value} is not a {wanted}")))
}

fn number<'de, D: Deserializer<'de>, T: std::str::FromStr>(deserializer: D) -> Result<T, D::Error> {
    parsed(deserializer, "number")
}

fn maybe_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    number(deserializer).map(Some)
}

fn boolean<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    parsed(deserializer, "boolean")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "
Parameters:
  Seconds: {Type: Number, Default: 0}
  Origin: {Type: String, Default: ''}
Conditions:
  Cors: !Not [!Equals [!Ref Origin, '']]
Globals:
  Function:
    Timeout: 10
    Environment: {Variables: {TABLE: !Ref Table, PORT: 80}}
Resources:
  Api:
    Type: AWS::Serverless::HttpApi
    Properties:
      Auth:
        DefaultAuthorizer: Tokens
        Authorizers:
          Tokens:
            FunctionArn: !GetAtt Guard.Arn
            AuthorizerPayloadFormatVersion: '2.0'
            EnableSimpleResponses: true
            Identity: {Headers: [Authorization], ReauthorizeEvery: !Ref Seconds}
      CorsConfiguration: !If [Cors, {AllowOrigins: [!Ref Origin], MaxAge: '600'}, !Ref AWS::NoValue]
  Guard:
    Type: AWS::Serverless::Function
    Metadata: {BuildProperties: {Binary: guard}}
    Properties:
      Timeout: 5
      Policies: [{Statement: [{Effect: Allow, Action: dynamodb:GetItem, Resource: !GetAtt Table.Arn}]}]
      Description: !Select [0, !Ref Nothing]
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      DeletionProtectionEnabled: true
      TimeToLiveSpecification: {AttributeName: expires_at, Enabled: 'true'}
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
  Key:
    Type: AWS::SecretsManager::Secret
    Properties: {GenerateSecretString: {PasswordLength: 64, ExcludePunctuation: true}}
";

    fn read(more: &str, parameters: &[(&str, &str)]) -> Result<Template, Fault> {
        let document = yaml::parse(&format!("{HEAD}{more}")).unwrap();
        let parameters = parameters.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        Template::from_document(&document, "shop", &parameters)
    }

    fn function(events: &str) -> String {
        format!(
            "  F:\n    Type: AWS::Serverless::Function\n    Metadata: {{BuildProperties: {{Binary: f}}}}\n    \
             Properties: {{Environment: {{Variables: {{PORT: 81, KEY: !Ref Key}}}}, Events: {events}}}\n"
        )
    }

    #[test]
    fn functions_inherit_from_globals() {
        let template = read(&function("{}"), &[]).unwrap();
        let [f, guard] = template.functions.as_slice() else { panic!("two functions, not {:?}", template.functions) };
        assert_eq!(f.name, "shop-F");
        assert_eq!(f.arn, "arn:aws:lambda:us-east-1:000000000000:function:shop-F");
        assert_eq!((f.timeout.as_secs(), f.memory), (10, 128));
        assert_eq!(f.variables["TABLE"], "shop-Table");
        assert_eq!(f.variables["PORT"], "81");
        assert_eq!(f.variables["KEY"], template.secrets[0].arn);
        assert_eq!(guard.timeout.as_secs(), 5);
        assert_eq!(guard.variables["PORT"], "80");
    }

    #[test]
    fn events_become_routes() {
        for (event, key, authorizer) in [
            ("{Path: /a/{id}, Method: get}", "GET /a/{id}", Some("Tokens")),
            ("{Path: /a, Method: ANY}", "ANY /a", Some("Tokens")),
            ("{Path: /a}", "ANY /a", Some("Tokens")),
            ("{Auth: {Authorizer: NONE}}", "$default", None),
            ("{Path: $default, Method: any}", "$default", Some("Tokens")),
        ] {
            let event = event.replace("/a/{id}", "'/a/{id}'");
            let template = read(&function(&format!("{{E: {{Type: HttpApi, Properties: {event}}}}}")), &[]).unwrap();
            let route = &template.routes[0];
            assert_eq!((route.key.as_str(), route.authorizer.as_deref()), (key, authorizer), "{event}");
        }
    }

    #[test]
    fn parameters_decide() {
        let closed = read("", &[]).unwrap();
        assert_eq!(closed.cors, None);
        assert_eq!(closed.authorizers["Tokens"].reuse, Duration::ZERO);
        assert_eq!(closed.authorizers["Tokens"].headers, ["authorization"]);

        let open = read("", &[("Origin", "https://shop.example"), ("Seconds", "5")]).unwrap();
        let cors = open.cors.unwrap();
        assert_eq!(cors.allow_origins, ["https://shop.example"]);
        assert_eq!(cors.max_age, Some(600));
        assert_eq!(open.authorizers["Tokens"].reuse, Duration::from_secs(5));
    }

    #[test]
    fn tables_keep_what_an_emulator_takes() {
        let table = &read("", &[]).unwrap().tables[0];
        assert_eq!(table.expires.as_deref(), Some("expires_at"));
        assert_eq!(
            table.create,
            serde_json::json!({
                "TableName": "shop-Table",
                "BillingMode": "PAY_PER_REQUEST",
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            })
        );
    }

    #[test]
    fn the_shops_own_template_is_understood() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
        let template = Template::read(&path, "shop", &BTreeMap::new()).unwrap();
        assert!(template.routes.iter().any(|route| route.key == "GET /products"), "{:?}", template.routes);
    }

    #[test]
    fn schedules_are_read() {
        let template = read(&function("{E: {Type: Schedule, Properties: {Schedule: rate(5 minutes)}}}"), &[]).unwrap();
        let [schedule] = template.schedules.as_slice() else { panic!("one schedule, not {:?}", template.schedules) };
        assert_eq!((schedule.function.as_str(), schedule.name.as_str()), ("F", "E"));
        assert_eq!(schedule.expression, "rate(5 minutes)");
        assert_eq!(schedule.rate.period(), Duration::from_mins(5));
        for off in ["Enabled: false", "State: DISABLED"] {
            let event = format!("{{E: {{Type: Schedule, Properties: {{Schedule: rate(1 day), {off}}}}}}}");
            assert_eq!(read(&function(&event), &[]).unwrap().schedules, [], "{off}");
        }
    }

    #[test]
    fn what_a_template_says_is_understood_or_refused() {
        for (from, to, place) in [
            ("Resources:\n", "Mappings: {}\nResources:\n", "the template"),
            ("Globals:\n", "Transform: [AWS::LanguageExtensions]\nGlobals:\n", "Transform"),
            ("  Function:\n", "  Api: {}\n  Function:\n", "Globals"),
            ("    Timeout: 10\n", "    Timeout: 10\n    Layers: []\n", "Globals.Function"),
            ("      Auth:\n", "      DefinitionBody: {}\n      Auth:\n", "Resources.Api.Properties"),
            (
                "        DefaultAuthorizer",
                "        EnableIamAuthorizer: true\n        DefaultAuthorizer",
                "Resources.Api.Properties.Auth",
            ),
            ("Headers: [Authorization],", "Context: [x],", "Resources.Api.Properties.Auth.Authorizers.Tokens"),
            ("{Variables: {TABLE", "{Colour: red, Variables: {TABLE", "Globals.Function.Environment"),
        ] {
            let text = HEAD.replacen(from, to, 1);
            assert_ne!(text, HEAD, "{from}");
            let fault = Template::from_document(&yaml::parse(&text).unwrap(), "shop", &BTreeMap::new()).unwrap_err();
            assert_eq!(fault.place, place, "{to}: {}", fault.reason);
        }
    }

    #[test]
    fn faults_name_their_place() {
        for (more, place) in [
            (function("{E: {Type: HttpApi, Properties: {Path: a}}}"), "Resources.F.Properties.Events.E.Properties.Path"),
            (
                function("{E: {Type: HttpApi, Properties: {Path: !Select [0, x]}}}"),
                "Resources.F.Properties.Events.E.Properties.Path",
            ),
            (
                function("{E: {Type: HttpApi, Properties: {Path: /a, Auth: {Authorizer: Nobody}}}}"),
                "Resources.F.Properties.Events",
            ),
            (
                function("{E: {Type: Schedule, Properties: {Schedule: cron(0 12 * * ? *)}}}"),
                "Resources.F.Properties.Events.E.Properties.Schedule",
            ),
            ("  F: {Type: AWS::Serverless::Function}\n".into(), "Resources.F.Metadata.BuildProperties.Binary"),
            (
                "  S: {Type: AWS::SecretsManager::Secret, Properties: {GenerateSecretString: {PasswordLength: long}}}\n".into(),
                "Resources.S.Properties.GenerateSecretString",
            ),
            ("  Second: {Type: AWS::Serverless::HttpApi}\n".into(), "Resources.Second"),
            ("  Queue: {Type: AWS::SQS::Queue}\n".into(), "Resources.Queue"),
            ("  Table2: {Type: AWS::DynamoDB::Table, CreationPolicy: {}}\n".into(), "Resources.Table2"),
            ("  T: {Type: AWS::DynamoDB::Table, Properties: {ImportSourceSpecification: {}}}\n".into(), "Resources.T.Properties"),
            ("  S: {Type: AWS::SecretsManager::Secret, Properties: {ReplicaRegions: []}}\n".into(), "Resources.S.Properties"),
            (
                "  S: {Type: AWS::SecretsManager::Secret, Properties: {GenerateSecretString: {Colour: red}}}\n".into(),
                "Resources.S.Properties.GenerateSecretString",
            ),
            (function("{E: {Type: SQS, Properties: {Queue: x}}}"), "Resources.F.Properties.Events.E"),
            (function("{E: {Type: DynamoDB}}"), "Resources.F.Properties.Events.E"),
            (function("{E: {}}"), "Resources.F.Properties.Events.E"),
            (
                function("{E: {Type: HttpApi, Properties: {Path: /a, TimeoutInMillis: 5}}}"),
                "Resources.F.Properties.Events.E.Properties",
            ),
            (
                function("{E: {Type: HttpApi, Properties: {Path: /a, Auth: {AuthorizationScopes: [x]}}}}"),
                "Resources.F.Properties.Events.E.Properties",
            ),
            (
                function("{E: {Type: Schedule, Properties: {Schedule: rate(1 day), DeadLetterConfig: {}}}}"),
                "Resources.F.Properties.Events.E.Properties",
            ),
            (function("{}, VpcConfig: {}"), "Resources.F.Properties"),
            (function("{}, PermissionsBoundary: arn:aws:iam::aws:policy/X"), "Resources.F.Properties.PermissionsBoundary"),
        ] {
            assert_eq!(read(&more, &[]).unwrap_err().place, place, "{more}");
        }
    }
}
