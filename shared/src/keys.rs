//! Where private keys come from: AWS Secrets Manager. Another key service would be another file like this.
//!
//! Of one secret, each version is a signing key; which of them signs is said by the table, where the public keys are. Another is the key
//! of mailed tokens.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use aws_sdk_secretsmanager::{
    Client,
    error::SdkError,
    operation::{get_secret_value::GetSecretValueError, put_secret_value::PutSecretValueError},
};
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{
    Error, Result,
    auth::{MailKey, SigningKey},
    aws::fault,
};

/// As many keys as are kept in memory: the one that signs, and the one that will or did.
const MAX_KNOWN: usize = 2;

/// The private signing keys, each read once per environment.
#[derive(Debug)]
pub struct Keys {
    client: Client,
    secret_id: String,
    /// By the id of the version.
    known: Mutex<BTreeMap<String, Arc<SigningKey>>>,
}

impl Keys {
    pub fn new(client: Client, secret_id: String) -> Self {
        Self { client, secret_id, known: Mutex::default() }
    }

    /// The key of the version with this id; `None` if there is none.
    pub async fn version(&self, id: &str) -> Result<Option<Arc<SigningKey>>> {
        let known = self.known().get(id).cloned();
        if known.is_some() { Ok(known) } else { self.read(Some(id)).await }
    }

    /// The key of the newest version. It signs from the moment on at which its public key says so.
    pub async fn current(&self) -> Result<Arc<SigningKey>> {
        let current = self.read(None).await?;
        current.ok_or_else(|| Error::Internal("the signing secret has no current version".into()))
    }

    /// Reads the key that most probably signs, while something else is read that says which. A failure is met again by whoever needs
    /// the key.
    pub async fn look_ahead(&self) {
        if self.known().is_empty() {
            let _ = self.read(None).await;
        }
    }

    /// A new key, in place of the one with this name. Two runs at once make one: its name follows from that of the one before.
    pub async fn succeed(&self, kid: &str) -> Result<Arc<SigningKey>> {
        // A token must have 32 to 64 characters, whatever an id looks like.
        let digest = Sha256::digest(kid);
        let next = Uuid::from_slice(&digest[..16]).map_err(|error| Error::Internal(error.to_string()))?.to_string();
        let secret = SigningKey::generate_secret()?;
        let put = self.client.put_secret_value().secret_id(&self.secret_id).secret_string(secret.as_str());
        match put.client_request_token(&next).send().await {
            Ok(_) => {}
            // Another run has made the version that follows this one.
            Err(error) if matches!(error.as_service_error(), Some(PutSecretValueError::ResourceExistsException(_))) => {}
            Err(error) => return Err(fault(error)),
        }
        let made = self.read(Some(&next)).await?;
        made.ok_or_else(|| Error::Internal("a version of the signing secret that was made is not there".into()))
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<SigningKey>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The version with this id, or the current one.
    async fn read(&self, id: Option<&str>) -> Result<Option<Arc<SigningKey>>> {
        let wanted = self.client.get_secret_value().secret_id(&self.secret_id).set_version_id(id.map(str::to_owned));
        let output = match wanted.send().await {
            Ok(output) => output,
            Err(SdkError::ServiceError(error)) if matches!(error.err(), GetSecretValueError::ResourceNotFoundException(_)) => {
                return Ok(None);
            }
            Err(error) => return Err(fault(error)),
        };
        let secret = Zeroizing::new(output.secret_string.unwrap_or_default());
        let id = output.version_id.unwrap_or_default();
        let key = Arc::new(SigningKey::derive(id.clone(), secret.as_bytes())?);
        let mut known = self.known();
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(id, Arc::clone(&key));
        Ok(Some(key))
    }
}

/// The key of mailed tokens, read once per environment: whoever changes it makes the mails worthless that are under way.
#[derive(Debug)]
pub struct MailSecret {
    client: Client,
    secret_id: String,
    known: OnceCell<MailKey>,
}

impl MailSecret {
    pub fn new(client: Client, secret_id: String) -> Self {
        Self { client, secret_id, known: OnceCell::new() }
    }

    pub async fn key(&self) -> Result<&MailKey> {
        self.known.get_or_try_init(|| self.read()).await
    }

    async fn read(&self) -> Result<MailKey> {
        let output = self.client.get_secret_value().secret_id(&self.secret_id).send().await.map_err(fault)?;
        let secret = Zeroizing::new(output.secret_string.unwrap_or_default());
        // HMAC keys shorter than the hash weaken it (RFC 2104, 3).
        if secret.len() < 32 {
            return Err(Error::Internal("the secret of mailed tokens has fewer than 32 characters".into()));
        }
        Ok(MailKey::new(secret.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, AtomicUsize, Ordering},
        time::Duration,
    };

    use aws_sdk_secretsmanager::config::{BehaviorVersion, Config, Credentials, Region, timeout::TimeoutConfig};
    use tokio::{
        io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
        net::{TcpListener, TcpStream},
    };

    use super::*;
    use crate::https;

    /// As much of Secrets Manager as is needed here: one secret with one version.
    #[derive(Default)]
    struct Service {
        hangs: AtomicBool,
        asked: AtomicUsize,
    }

    impl Service {
        async fn start() -> (Arc<Self>, Keys) {
            let service = Arc::new(Self::default());
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let listening = Arc::clone(&service);
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(Arc::clone(&listening).answer(stream));
                }
            });
            let timeouts = TimeoutConfig::builder().operation_timeout(Duration::from_secs(3)).build();
            let config = Config::builder()
                .behavior_version(BehaviorVersion::v2026_01_12())
                .region(Region::new("us-east-1"))
                .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
                .http_client(https::Client::new().shared())
                .timeout_config(timeouts)
                .endpoint_url(url);
            (service, Keys::new(Client::from_conf(config.build()), "SigningSecret".into()))
        }

        async fn answer(self: Arc<Self>, stream: TcpStream) {
            let mut stream = BufReader::new(stream);
            loop {
                let (mut length, mut line) = (0, String::new());
                while stream.read_line(&mut line).await.unwrap_or_default() > 2 {
                    if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    line.clear();
                }
                let mut body = vec![0; length];
                if length == 0 || stream.read_exact(&mut body).await.is_err() {
                    return;
                }
                self.asked.fetch_add(1, Ordering::SeqCst);
                if self.hangs.load(Ordering::SeqCst) {
                    std::future::pending::<()>().await;
                }
                let other = String::from_utf8(body).unwrap().contains(r#""VersionId":"2""#);
                let (status, answer) = if other {
                    ("400 Bad Request", r#"{"__type": "ResourceNotFoundException"}"#.to_owned())
                } else {
                    let secret = "x".repeat(64);
                    ("200 OK", format!(r#"{{"VersionId": "1", "SecretString": "{secret}", "CreatedDate": 1.0}}"#))
                };
                let head = format!(
                    "HTTP/1.1 {status}\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: {}\r\n\r\n",
                    answer.len()
                );
                if stream.write_all((head + &answer).as_bytes()).await.is_err() {
                    return;
                }
            }
        }
    }

    #[tokio::test]
    async fn a_key_service_that_hangs_is_not_asked_for_a_key_that_is_held() {
        let (service, keys) = Service::start().await;
        keys.look_ahead().await;
        let asked = || service.asked.load(Ordering::SeqCst);
        assert_eq!(asked(), 1);
        service.hangs.store(true, Ordering::SeqCst);
        keys.look_ahead().await;
        let key = keys.version("1").await.unwrap().unwrap();
        assert_eq!((key.kid(), asked()), ("1", 1));
    }

    #[tokio::test]
    async fn a_version_that_is_not_there_is_none() {
        let (service, keys) = Service::start().await;
        assert!(keys.version("2").await.unwrap().is_none());
        assert_eq!(keys.current().await.unwrap().kid(), "1");
        assert_eq!(service.asked.load(Ordering::SeqCst), 2);
    }
}
