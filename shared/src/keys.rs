//! Where the signing keys come from: one secret in AWS Secrets Manager. Another key service would be another file like this.

use std::sync::{Arc, Mutex, PoisonError};

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
    auth::{Grant, Key, Keyring, Kind, Refused},
    aws::fault,
    domain::Timestamp,
};

/// In seconds.
const DAY: i64 = 24 * 60 * 60;

/// Keys are asked for again after this many milliseconds, so that a rotated secret comes to sign without a restart.
const MAX_AGE: i64 = 5 * 60 * 1000;

/// The least time between two refetches for tokens with a key that we do not know, in milliseconds: anybody can send such tokens.
const COOL_DOWN: i64 = 30 * 1000;

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
        Self { client, secret_id, rotation_days, known: Mutex::new(None), surprised: Mutex::new(None) }
    }

    /// The keys to sign with.
    pub async fn ring(&self, now: Timestamp) -> Result<Arc<Keyring>> {
        match self.known() {
            Some(known) if now.millis() - known.fetched.millis() < MAX_AGE => Ok(known.ring),
            Some(known) => match self.fetch(now).await {
                Ok(ring) => Ok(ring),
                // What we have still verifies: better than nothing while the key service is away.
                Err(Error::Unavailable(_)) => Ok(known.ring),
                Err(error) => Err(error),
            },
            None => self.fetch(now).await,
        }
    }

    /// Checks a token. One signed with a key that we do not know may be newer than what we know: the keys are read once more.
    pub async fn verify(&self, kind: Kind, token: &str, now: Timestamp) -> Result<Result<Grant, Refused>> {
        let verdict = self.ring(now).await?.verify(kind, token, now);
        if verdict != Err(Refused::UnknownKey) {
            return Ok(verdict);
        }
        {
            let mut surprised = self.surprised.lock().unwrap_or_else(PoisonError::into_inner);
            if surprised.is_some_and(|last| now.millis() - last.millis() < COOL_DOWN) {
                return Ok(Err(Refused::NeverIssued));
            }
            *surprised = Some(now);
        }
        Ok(self.fetch(now).await?.verify(kind, token, now))
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
