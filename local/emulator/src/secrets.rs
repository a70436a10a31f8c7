//! Secrets Manager as far as functions use it: the template's secrets, generated once, read and rotated.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rand::seq::IndexedRandom as _;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::files;
use crate::iam::AuthorizationRequest;
use crate::ids;
use crate::names::arn;
use crate::protocol::{Call, Refusal, page, read};
use crate::template::{Password, Secret, SecretValue};

pub struct Secrets {
    templates: Vec<Secret>,
    /// Where they outlive this process, if they do.
    file: Option<PathBuf>,
    /// By ARN.
    stored: Mutex<BTreeMap<String, Versions>>,
}

#[derive(Clone, Deserialize, Serialize)]
struct Versions {
    current: Version,
    previous: Option<Version>,
}

const CURRENT: &str = "AWSCURRENT";
const PREVIOUS: &str = "AWSPREVIOUS";

impl Versions {
    /// Each with its stage.
    fn staged(&self) -> impl Iterator<Item = (&Version, &'static str)> {
        let previous = self.previous.as_ref().map(|previous| (previous, PREVIOUS));
        [(&self.current, CURRENT)].into_iter().chain(previous)
    }
}

#[derive(Clone, Deserialize, Serialize)]
struct Version {
    id: String,
    value: String,
    /// In milliseconds since 1970.
    created: u64,
}

impl Secrets {
    /// Reads the secrets kept in `file` and makes up those that are missing.
    pub fn open(templates: Vec<Secret>, file: Option<PathBuf>) -> Result<Self> {
        let mut stored: BTreeMap<String, Versions> = match &file {
            Some(path) => files::read(path)?,
            None => BTreeMap::new(),
        };
        for secret in &templates {
            if !stored.contains_key(&secret.arn) {
                let versions = Versions { current: Version::new(secret), previous: None };
                stored.insert(secret.arn.clone(), versions);
            }
        }
        let secrets = Self { templates, file, stored: Mutex::new(stored) };
        secrets.save(&secrets.lock())?;
        Ok(secrets)
    }

    /// The current value of a secret, by logical id, name or ARN.
    pub fn value(&self, name: &str) -> Result<String> {
        let secret = self.find(name).ok_or_else(|| Error::UnknownSecret(name.to_owned()))?;
        let stored = self.lock();
        let versions = stored.get(&secret.arn);
        versions.map(|versions| versions.current.value.clone()).ok_or_else(|| Error::UnknownSecret(name.to_owned()))
    }

    /// Makes this the current version, and the one before the previous.
    fn replace(&self, secret: &Secret, current: Version) -> Result {
        let mut stored = self.lock();
        let previous = stored.remove(&secret.arn).map(|versions| versions.current);
        stored.insert(secret.arn.clone(), Versions { current, previous });
        self.save(&stored)
    }

    fn find(&self, name: &str) -> Option<&Secret> {
        self.templates.iter().find(|secret| [&secret.id, &secret.name, &secret.arn].into_iter().any(|its| its == name))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Versions>> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn save(&self, stored: &BTreeMap<String, Versions>) -> Result {
        let Some(path) = &self.file else {
            return Ok(());
        };
        let fault = |error: serde_json::Error| Error::File { path: path.clone(), source: error.into() };
        files::replace(path, &serde_json::to_string_pretty(stored).map_err(fault)?)
    }
}

impl Version {
    fn new(secret: &Secret) -> Self {
        Self {
            id: ids::uuid(),
            value: match &secret.value {
                SecretValue::Given(text) => text.clone(),
                SecretValue::Generated(password) => password.generate(),
            },
            created: ids::now_millis(),
        }
    }
}

impl Password {
    /// A random text of the characters that are not excluded.
    fn generate(&self) -> String {
        const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
        let alphabet: Vec<char> = [
            (self.exclude_lowercase, "abcdefghijklmnopqrstuvwxyz"),
            (self.exclude_uppercase, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
            (self.exclude_numbers, "0123456789"),
            (self.exclude_punctuation, PUNCTUATION),
            (!self.include_space, " "),
        ]
        .into_iter()
        .filter(|(excluded, _)| !excluded)
        .flat_map(|(_, characters)| characters.chars())
        .filter(|character| !self.exclude_characters.contains(*character))
        .collect();
        let mut random = rand::rng();
        let password: String = std::iter::repeat_with(|| alphabet.choose(&mut random)).take(self.length).flatten().collect();
        let object = self.template.as_deref().map(serde_json::from_str::<Value>);
        match (object, &self.key) {
            (Some(Ok(Value::Object(mut object))), Some(key)) => {
                object.insert(key.clone(), password.into());
                Value::Object(object).to_string()
            }
            _ => password,
        }
    }
}

const OPERATIONS: &[&str] = &["DescribeSecret", "GetSecretValue", "ListSecretVersionIds", "ListSecrets", "PutSecretValue"];

/// How many secrets one answer has.
const PAGE: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Named {
    secret_id: String,
}

impl Secrets {
    /// What a call must be allowed to do.
    pub fn authorization_requests(&self, operation: &str, input: &Value) -> Vec<AuthorizationRequest> {
        let resource = match input["SecretId"].as_str() {
            None => "*".to_owned(),
            Some(name) => {
                self.find(name).map_or_else(|| arn("secretsmanager", &format!("secret:{name}")), |secret| secret.arn.clone())
            }
        };
        vec![AuthorizationRequest { action: format!("secretsmanager:{operation}"), resource, keys: Vec::new() }]
    }

    pub fn answer(&self, call: &Call, input: &Value) -> Result<Value, Refusal> {
        match call.operation.as_str() {
            "GetSecretValue" => self.get_secret_value(input),
            "PutSecretValue" => self.put_secret_value(input),
            "ListSecrets" => {
                #[derive(Deserialize)]
                #[serde(rename_all = "PascalCase", deny_unknown_fields)]
                struct Wanted {
                    max_results: Option<usize>,
                    next_token: Option<String>,
                }
                let wanted: Wanted = read(input)?;
                let stored = self.lock();
                let secrets =
                    self.templates.iter().map(|secret| described(secret, stored.get(&secret.arn), "SecretVersionsToStages"));
                let (secrets, next) = page(secrets.collect(), wanted.next_token.as_deref(), wanted.max_results.unwrap_or(PAGE))?;
                Ok(json!({"SecretList": secrets, "NextToken": next}))
            }
            "DescribeSecret" => {
                let Named { secret_id } = read(input)?;
                let secret = self.find(&secret_id).ok_or_else(unknown)?;
                Ok(described(secret, self.lock().get(&secret.arn), "VersionIdsToStages"))
            }
            "ListSecretVersionIds" => {
                let Named { secret_id } = read(input)?;
                let secret = self.find(&secret_id).ok_or_else(unknown)?;
                let stored = self.lock();
                let versions = stored.get(&secret.arn).into_iter().flat_map(Versions::staged).map(
                    |(version, stage)| json!({"VersionId": version.id, "VersionStages": [stage], "CreatedDate": version.created / 1000}),
                );
                Ok(json!({"ARN": secret.arn, "Name": secret.name, "Versions": versions.collect::<Vec<_>>()}))
            }
            _ => Err(call.not_served(OPERATIONS)),
        }
    }

    fn put_secret_value(&self, input: &Value) -> Result<Value, Refusal> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase", deny_unknown_fields)]
        struct Given {
            secret_id: String,
            secret_string: String,
            /// The version's id; the same call sent again has the same.
            client_request_token: Option<String>,
        }
        let given: Given = read(input)?;
        let secret = self.find(&given.secret_id).ok_or_else(unknown)?;
        let id = given.client_request_token.unwrap_or_else(ids::uuid);
        let known = self.lock().get(&secret.arn).and_then(|versions| {
            versions.staged().find(|(version, _)| version.id == id).map(|(version, _)| version.value == given.secret_string)
        });
        if known == Some(false) {
            let message = "A version with this token already exists and has a different value.";
            return Err(Refusal::new("ResourceExistsException", message));
        }
        if known.is_none() {
            let version = Version { id: id.clone(), value: given.secret_string, created: ids::now_millis() };
            self.replace(secret, version).map_err(|error| Refusal::new("InternalServiceError", error.to_string()))?;
        }
        Ok(json!({"ARN": secret.arn, "Name": secret.name, "VersionId": id, "VersionStages": [CURRENT]}))
    }

    fn get_secret_value(&self, input: &Value) -> Result<Value, Refusal> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase", deny_unknown_fields)]
        struct Wanted {
            secret_id: String,
            version_stage: Option<String>,
            version_id: Option<String>,
        }
        let wanted: Wanted = read(input)?;
        let secret = self.find(&wanted.secret_id).ok_or_else(unknown)?;
        let stored = self.lock();
        let versions = stored.get(&secret.arn).ok_or_else(unknown)?;
        let by_default = wanted.version_id.is_none().then_some(CURRENT);
        let stage = wanted.version_stage.as_deref().or(by_default);
        let found = versions.staged().find(|(version, its)| {
            stage.is_none_or(|stage| stage == *its) && wanted.version_id.as_ref().is_none_or(|id| *id == version.id)
        });
        let (version, stage) = found.ok_or_else(|| {
            let message = "Secrets Manager can't find the specified secret value for the version or stage asked for.";
            Refusal::new("ResourceNotFoundException", message)
        })?;
        Ok(json!({
            "ARN": secret.arn,
            "Name": secret.name,
            "VersionId": version.id,
            "SecretString": version.value,
            "VersionStages": [stage],
            "CreatedDate": version.created / 1000,
        }))
    }
}

fn unknown() -> Refusal {
    Refusal::new("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
}

/// All but the value; lists and descriptions call the versions differently.
fn described(secret: &Secret, versions: Option<&Versions>, key: &str) -> Value {
    let stages: Map<String, Value> =
        versions.into_iter().flat_map(Versions::staged).map(|(version, stage)| (version.id.clone(), json!([stage]))).collect();
    let changed = versions.map(|versions| versions.current.created / 1000);
    json!({"ARN": secret.arn, "Name": secret.name, "LastChangedDate": changed, key: stages})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> Secret {
        Secret {
            id: "Key".into(),
            name: "demo-Key".into(),
            arn: "arn:aws:secretsmanager:us-east-1:000000000000:secret:demo-Key-000000".into(),
            value: SecretValue::Generated(Password { length: 64, exclude_punctuation: true, ..Password::default() }),
        }
    }

    #[test]
    fn passwords_follow_their_rules() {
        let password = Password {
            length: 200,
            exclude_punctuation: true,
            exclude_lowercase: true,
            exclude_characters: "0".into(),
            ..Password::default()
        };
        let text = password.generate();
        assert_eq!(text.len(), 200);
        assert!(text.chars().all(|c| matches!(c, 'A'..='Z' | '1'..='9')), "{text}");
        assert_ne!(text, password.generate());

        let object = Password { template: Some(r#"{"user": "a"}"#.into()), key: Some("password".into()), ..Password::default() };
        let object: Value = serde_json::from_str(&object.generate()).unwrap();
        assert_eq!(object["user"], "a");
        assert_eq!(object["password"].as_str().unwrap().chars().count(), 32);
    }

    #[test]
    fn secrets_survive_and_rotate() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("secrets.json");
        let first = Secrets::open(vec![secret()], Some(file.clone())).unwrap();
        let old = first.value("Key").unwrap();
        assert_eq!(old.len(), 64);

        let again = Secrets::open(vec![secret()], Some(file.clone())).unwrap();
        assert_eq!(again.value("demo-Key").unwrap(), old);
        let put = |token: &str, value: &str| {
            let body = json!({"SecretId": "Key", "SecretString": value, "ClientRequestToken": token});
            again.put_secret_value(&body).map(|_| ()).map_err(|refusal| refusal.code)
        };
        let new = "x".repeat(64);
        assert_eq!(put("7", &new), Ok(()));
        assert_eq!(put("7", &new), Ok(()), "the same call, sent again");
        assert_eq!(put("7", &old), Err("ResourceExistsException"), "one token, one version");

        let last = Secrets::open(vec![secret()], Some(file)).unwrap();
        let versions = last.lock().values().next().unwrap().clone();
        assert_eq!(versions.current.value, new);
        assert_eq!(versions.previous.unwrap().value, old);
        assert!(last.value("Other").is_err());
    }

    #[test]
    fn secrets_are_told_without_their_values() {
        let secrets = Secrets::open(vec![secret()], None).unwrap();
        let value = secrets.value("Key").unwrap();
        let ask = |operation: &str, input: Value| {
            let request = hyper::Request::post("/").header("x-amz-target", format!("secretsmanager.{operation}"));
            let call = Call::of(&request.body(()).unwrap().into_parts().0, b"");
            secrets.answer(&call, &input).map_err(|refusal| refusal.code)
        };
        let id = ask("GetSecretValue", json!({"SecretId": "Key"})).unwrap()["VersionId"].as_str().unwrap().to_owned();
        let list = ask("ListSecrets", json!({})).unwrap();
        assert_eq!((&list["SecretList"][0]["Name"], &list["NextToken"]), (&json!("demo-Key"), &Value::Null));
        let described = ask("DescribeSecret", json!({"SecretId": "demo-Key"})).unwrap();
        assert_eq!(described["VersionIdsToStages"], json!({&id: ["AWSCURRENT"]}));
        let versions = ask("ListSecretVersionIds", json!({"SecretId": "demo-Key"})).unwrap();
        assert_eq!(versions["Versions"][0]["VersionId"], id.as_str());
        assert!(![list, described, versions].iter().any(|told| told.to_string().contains(&value)));
        assert_eq!(ask("DescribeSecret", json!({"SecretId": "other"})), Err("ResourceNotFoundException"));
        assert_eq!(ask("DeleteSecret", json!({"SecretId": "Key"})), Err("NotServedLocally"));
    }
}
