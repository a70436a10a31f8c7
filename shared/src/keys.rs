//! Where the signing keys come from: one secret in AWS Secrets Manager. Another key service would be another file like this.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_sdk_secretsmanager::{
    Client,
    error::SdkError,
    operation::{get_secret_value::GetSecretValueError, put_secret_value::PutSecretValueError},
};
use sha2::{Digest, Sha256};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{
    Error, Result,
    auth::{Key, Keyring, Refused, TokenClaims, TokenKind},
    aws::fault,
    domain::Timestamp,
};

/// In seconds.
const DAY: i64 = 24 * 60 * 60;

/// Keys are asked for again after this many milliseconds, so that a rotated secret comes to sign without a restart.
const MAX_AGE: i64 = 5 * 60 * 1000;

/// The least time between two refetches for tokens with a key that we do not know, in milliseconds: anybody can send such tokens.
/// And the least time after a fetch that failed, while there are keys to go on with.
const COOL_DOWN: i64 = 30 * 1000;

/// How long a request waits for keys that are newer than those at hand.
const REFETCH: Duration = Duration::from_secs(1);

/// A new version signs when it is this old, in milliseconds, and its predecessor until then. Longer than the cool-down, so that
/// whoever verifies can have read the new version before the first token that needs it.
const SETTLED: i64 = 2 * COOL_DOWN;

/// The signing keys, read once per environment and again when there is a reason to.
#[derive(Debug)]
pub struct Keys {
    client: Client,
    secret_id: String,
    /// How old the current version may become.
    rotation_days: u32,
    known: Mutex<Option<Known>>,
    /// When a token with an unknown key last made us read again.
    surprised: Mutex<Option<Timestamp>>,
    /// When the keys could last not be read.
    failed: Mutex<Option<Timestamp>>,
}

#[derive(Debug, Clone)]
struct Known {
    ring: Arc<Keyring>,
    fetched: Timestamp,
}

/// One version of the secret.
struct Version {
    id: String,
    key: Key,
    created: Timestamp,
}

impl Keys {
    /// A secret that is `rotation_days` old is replaced.
    pub fn new(client: Client, secret_id: String, rotation_days: u32) -> Self {
        let (known, surprised, failed) = (Mutex::new(None), Mutex::new(None), Mutex::new(None));
        Self { client, secret_id, rotation_days, known, surprised, failed }
    }

    /// The keys to sign with.
    pub async fn ring(&self, now: Timestamp) -> Result<Arc<Keyring>> {
        match self.known() {
            // What we have still verifies: better than to wait for a key service that is away.
            Some(known) if known.fetched.is_within(MAX_AGE, now) || self.has_failed_lately(now) => Ok(known.ring),
            Some(known) => match tokio::time::timeout(REFETCH, self.fetch(now)).await {
                Ok(Err(Error::Unavailable(_))) | Err(_) => {
                    self.note_failure(now);
                    Ok(known.ring)
                }
                Ok(fetched) => fetched,
            },
            None => self.fetch(now).await,
        }
    }

    /// Checks a token. One signed with a key that we do not know may be newer than what we know: the keys are read once more.
    pub async fn verify(&self, kind: TokenKind, token: &str, now: Timestamp) -> Result<Result<TokenClaims, Refused>> {
        let verdict = self.ring(now).await?.verify(kind, token, now);
        if verdict != Err(Refused::UnknownKey) {
            return Ok(verdict);
        }
        {
            let mut surprised = self.surprised.lock().unwrap_or_else(PoisonError::into_inner);
            if surprised.is_some_and(|last| last.is_within(COOL_DOWN, now)) {
                return Ok(Err(Refused::NeverIssued));
            }
            *surprised = Some(now);
        }
        if self.has_failed_lately(now) {
            return Err(Error::Unavailable("the signing keys could not be read a moment ago".into()));
        }
        let fetched = self.fetch(now).await.inspect_err(|_| self.note_failure(now))?;
        Ok(fetched.verify(kind, token, now))
    }

    fn has_failed_lately(&self, now: Timestamp) -> bool {
        let failed = *self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.is_some_and(|last| last.is_within(COOL_DOWN, now))
    }

    fn note_failure(&self, now: Timestamp) {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    /// Gives the secret a new version if the current one is old, or at once if it is forced; tells whether it has one.
    ///
    /// What counts as old is more than the life of a refresh token, so that no valid token has a key that is gone. Two runs at once make one
    /// new version: it is named after the one that it follows.
    pub async fn rotate(&self, force: bool, now: Timestamp) -> Result<bool> {
        let current = self.version("AWSCURRENT").await?;
        let current = current.ok_or_else(|| Error::Internal("the signing secret has no current version".into()))?;
        let age = now.seconds() - current.created.seconds();
        if age < i64::from(self.rotation_days) * DAY && !force {
            return Ok(false);
        }
        // A token must have 32 to 64 characters, whatever an id looks like.
        let digest = Sha256::digest(&current.id);
        let token = Uuid::from_slice(&digest[..16]).map_err(|error| Error::Internal(error.to_string()))?.to_string();
        let secret = Key::generate()?;
        let put = self.client.put_secret_value().secret_id(&self.secret_id).secret_string(secret.as_str());
        match put.client_request_token(token).send().await {
            Ok(_) => Ok(true),
            // Another run has made the version that follows this one.
            Err(error) if matches!(error.as_service_error(), Some(PutSecretValueError::ResourceExistsException(_))) => Ok(true),
            Err(error) => Err(fault(error)),
        }
    }

    fn known(&self) -> Option<Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn fetch(&self, now: Timestamp) -> Result<Arc<Keyring>> {
        let current = self.version("AWSCURRENT").await?;
        let current = current.ok_or_else(|| Error::Internal("the signing secret has no current version".into()))?;
        let settled = now.millis() - current.created.millis() >= SETTLED;
        let ring = Arc::new(match self.version("AWSPREVIOUS").await? {
            Some(previous) if settled => Keyring::new(current.key, Some(previous.key)),
            Some(previous) => Keyring::new(previous.key, Some(current.key)),
            None => Keyring::new(current.key, None),
        });
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(Known { ring: Arc::clone(&ring), fetched: now });
        Ok(ring)
    }

    /// The version of the secret with this label; `None` if there is none, as before the first rotation.
    async fn version(&self, stage: &str) -> Result<Option<Version>> {
        let answer = self.client.get_secret_value().secret_id(&self.secret_id).version_stage(stage).send().await;
        match answer {
            Ok(output) => {
                let secret = Zeroizing::new(output.secret_string.unwrap_or_default());
                // HMAC keys shorter than the hash weaken it (RFC 7518, 3.2).
                if secret.len() < 32 {
                    return Err(Error::Internal("the signing secret has fewer than 32 characters".into()));
                }
                let id = output.version_id.unwrap_or_default();
                Ok(Some(Version {
                    key: Key::new(id.clone(), secret.as_bytes()),
                    id,
                    created: Timestamp::from_millis(
                        output.created_date.and_then(|date| date.to_millis().ok()).unwrap_or_default(),
                    ),
                }))
            }
            Err(SdkError::ServiceError(error)) if matches!(error.err(), GetSecretValueError::ResourceNotFoundException(_)) => {
                Ok(None)
            }
            Err(error) => Err(fault(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, AtomicUsize, Ordering},
        time::Instant,
    };

    use aws_sdk_secretsmanager::config::{BehaviorVersion, Config, Credentials, Region, timeout::TimeoutConfig};
    use tokio::{
        io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
        net::{TcpListener, TcpStream},
    };

    use super::*;
    use crate::tls;

    /// As much of Secrets Manager as is needed here: one secret without a previous version.
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
                .http_client(tls::client())
                .timeout_config(timeouts)
                .endpoint_url(url);
            (service, Keys::new(Client::from_conf(config.build()), "SigningSecret".into(), 90))
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
                let current = String::from_utf8(body).unwrap().contains("AWSCURRENT");
                let (status, answer) = if current {
                    let secret = "x".repeat(64);
                    ("200 OK", format!(r#"{{"VersionId": "1", "SecretString": "{secret}", "CreatedDate": 1.0}}"#))
                } else {
                    ("400 Bad Request", r#"{"__type": "ResourceNotFoundException"}"#.to_owned())
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

    const START: i64 = 1_795_342_350;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis((START + seconds) * 1000)
    }

    #[tokio::test]
    async fn a_key_service_that_hangs_is_waited_for_once_while_keys_are_held() {
        let (service, keys) = Service::start().await;
        keys.ring(at(0)).await.unwrap();
        let asked = || service.asked.load(Ordering::SeqCst);
        let fetched = asked();
        keys.ring(at(299)).await.unwrap();
        assert_eq!(asked(), fetched, "keys are good for five minutes");

        service.hangs.store(true, Ordering::SeqCst);
        let start = Instant::now();
        keys.ring(at(301)).await.unwrap();
        let waited = start.elapsed();
        assert!(waited < Duration::from_millis(1500), "{waited:?}");
        let (start, failed) = (Instant::now(), asked());
        for second in 301..331 {
            keys.ring(at(second)).await.unwrap();
        }
        // A token with a key that we do not know cannot be judged, and is told so at once.
        let stranger = Keyring::new(Key::new("2", b"another"), None);
        let claims = TokenClaims {
            user_id: "0197a2b4-7c1e-7d3a-9f00-5a6b7c8d9e0f".parse().unwrap(),
            session_id: "0197a2b4-7c1e-7d3a-9f00-5a6b7c8d9e10".parse().unwrap(),
            role: crate::domain::Role::Customer,
            counter: 0,
        };
        let token = stranger.mint(TokenKind::Access, &claims, "1".into(), at(310), at(900)).unwrap();
        let judged = keys.verify(TokenKind::Access, &token, at(310)).await;
        assert!(matches!(judged, Err(Error::Unavailable(_))), "{judged:?}");
        assert!(start.elapsed() < Duration::from_millis(200), "{:?}", start.elapsed());
        assert_eq!(asked(), failed, "the failure is remembered");

        service.hangs.store(false, Ordering::SeqCst);
        keys.ring(at(332)).await.unwrap();
        assert!(asked() > failed, "for half a minute");
    }

    #[tokio::test]
    async fn keys_from_the_future_are_read_again() {
        let (service, keys) = Service::start().await;
        keys.ring(at(600)).await.unwrap();
        let asked = service.asked.load(Ordering::SeqCst);
        keys.ring(at(0)).await.unwrap();
        assert!(service.asked.load(Ordering::SeqCst) > asked, "the clock was set back");
    }
}
