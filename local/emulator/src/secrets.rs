//! Secrets Manager as far as functions use it: the template's secrets, generated once, read and rotated.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{HeaderMap, Response, StatusCode};
use rand::seq::IndexedRandom as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::answer::{json_1_1, refuse};
use crate::error::{Error, Result};
use crate::files;
use crate::iam::{AuthorizationRequest, Principals};
use crate::ids;
use crate::signature;
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
            Some(path) => files::read(path).map_err(|source| Error::File { path: path.clone(), source })?,
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
        let fault = |source| Error::File { path: path.clone(), source };
        let text = serde_json::to_string_pretty(stored).map_err(|error| fault(error.into()))?;
        files::replace(path, &text).map_err(fault)
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

/// Answers a call to Secrets Manager.
pub fn answer(secrets: &Secrets, principals: &Principals, headers: &HeaderMap, body: &[u8]) -> Response<Full<Bytes>> {
    let operation = headers.get("x-amz-target").and_then(|target| target.to_str().ok()?.rsplit('.').next()).unwrap_or_default();
    if let Some(denial) = denial(secrets, principals, headers, operation, body) {
        return refuse("AccessDeniedException", &denial);
    }
    match operation {
        "GetSecretValue" => get_secret_value(secrets, body),
        "PutSecretValue" => put_secret_value(secrets, body),
        _ => refuse("UnknownOperationException", "only GetSecretValue and PutSecretValue are known here"),
    }
}

/// Why AWS would not let a function do this.
fn denial(secrets: &Secrets, principals: &Principals, headers: &HeaderMap, operation: &str, body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let secret = secrets.find(body["SecretId"].as_str()?)?;
    let action = format!("secretsmanager:{operation}");
    let request = AuthorizationRequest { action, resource: secret.arn.clone(), keys: Vec::new() };
    principals.denial(signature::access_key(headers)?, vec![request])
}

fn put_secret_value(secrets: &Secrets, body: &[u8]) -> Response<Full<Bytes>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase", deny_unknown_fields)]
    struct Given {
        secret_id: String,
        secret_string: String,
        /// The version's id; the same call sent again has the same.
        client_request_token: Option<String>,
    }
    let given: Given = match serde_json::from_slice(body) {
        Ok(given) => given,
        Err(error) => return refuse("SerializationException", &error.to_string()),
    };
    let Some(secret) = secrets.find(&given.secret_id) else {
        return refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret.");
    };
    let id = given.client_request_token.unwrap_or_else(ids::uuid);
    let known = secrets.lock().get(&secret.arn).and_then(|versions| {
        let versions = [Some(&versions.current), versions.previous.as_ref()];
        versions.into_iter().flatten().find(|version| version.id == id).map(|version| version.value == given.secret_string)
    });
    if known == Some(false) {
        return refuse("ResourceExistsException", "A version with this token already exists and has a different value.");
    }
    if known.is_none() {
        let version = Version { id: id.clone(), value: given.secret_string, created: ids::now_millis() };
        if let Err(error) = secrets.replace(secret, version) {
            return refuse("InternalServiceError", &error.to_string());
        }
    }
    let body = json!({"ARN": secret.arn, "Name": secret.name, "VersionId": id, "VersionStages": ["AWSCURRENT"]});
    json_1_1(StatusCode::OK, &body)
}

fn get_secret_value(secrets: &Secrets, body: &[u8]) -> Response<Full<Bytes>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase", deny_unknown_fields)]
    struct Wanted {
        secret_id: String,
        version_stage: Option<String>,
        version_id: Option<String>,
    }
    let wanted: Wanted = match serde_json::from_slice(body) {
        Ok(wanted) => wanted,
        Err(error) => return refuse("SerializationException", &error.to_string()),
    };
    let not_found = |message| refuse("ResourceNotFoundException", message);
    let Some(secret) = secrets.find(&wanted.secret_id) else {
        return not_found("Secrets Manager can't find the specified secret.");
    };
    let stored = secrets.lock();
    let Some(versions) = stored.get(&secret.arn) else {
        return not_found("Secrets Manager can't find the specified secret.");
    };
    let by_default = wanted.version_id.is_none().then_some("AWSCURRENT");
    let stage = wanted.version_stage.as_deref().or(by_default);
    let found = [(Some(&versions.current), "AWSCURRENT"), (versions.previous.as_ref(), "AWSPREVIOUS")]
        .into_iter()
        .filter_map(|(version, stage)| version.map(|version| (version, stage)))
        .find(|(version, its)| {
            stage.is_none_or(|stage| stage == *its) && wanted.version_id.as_ref().is_none_or(|id| *id == version.id)
        });
    match found {
        Some((version, stage)) => json_1_1(
            StatusCode::OK,
            &json!({
                "ARN": secret.arn,
                "Name": secret.name,
                "VersionId": version.id,
                "SecretString": version.value,
                "VersionStages": [stage],
                "CreatedDate": version.created / 1000,
            }),
        ),
        None => not_found("Secrets Manager can't find the specified secret value for the version or stage asked for."),
    }
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
            put_secret_value(&again, body.to_string().as_bytes()).status()
        };
        let new = "x".repeat(64);
        assert_eq!(put("7", &new), StatusCode::OK);
        assert_eq!(put("7", &new), StatusCode::OK, "the same call, sent again");
        assert_eq!(put("7", &old), StatusCode::BAD_REQUEST, "one token, one version");

        let last = Secrets::open(vec![secret()], Some(file)).unwrap();
        let versions = last.lock().values().next().unwrap().clone();
        assert_eq!(versions.current.value, new);
        assert_eq!(versions.previous.unwrap().value, old);
        assert!(last.value("Other").is_err());
    }
}
