//! The public keys of tokens, all in one item: whoever checks a token reads them here and holds no secret.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};

use super::{
    expression::Expression,
    key::{Item, Key},
    table::{Table, Write, from_item},
};
use crate::{
    Error, Result,
    auth::{Keyring, PublicKey, Published, Refused, SigningKey, TokenClaims, TokenKind, Unverified},
    domain::Timestamp,
    keys::Keys,
};

/// How long keys that were read are good without being read again, in milliseconds: as long as a key that leaked can go on letting
/// people in after it was dropped.
const MAX_AGE: i64 = 60 * 1000;

/// The least time between two reads because of tokens with a key that we do not know, in milliseconds: anybody can send such tokens.
const COOL_DOWN: i64 = 30 * 1000;

/// In seconds.
const DAY: i64 = 24 * 60 * 60;

/// The item of all keys.
#[derive(Debug, Default, Deserialize)]
struct Row {
    /// By name.
    #[serde(default)]
    keys: BTreeMap<String, Entry>,
}

/// A point of the curve by its coordinates, in Base64 for URLs.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    x: String,
    y: String,
    /// Milliseconds since the epoch.
    published_at: i64,
}

impl Entry {
    fn new(key: &PublicKey, now: Timestamp) -> Self {
        let (x, y) = key.coordinates();
        Self { x, y, published_at: now.millis() }
    }

    fn value(&self) -> Result<AttributeValue> {
        serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value(self)
            .map_err(|error| Error::Internal(format!("a public key cannot be written: {error}")))
    }
}

impl TryFrom<Row> for Keyring {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let key = |(kid, Entry { x, y, published_at }): (String, Entry)| {
            let key = PublicKey::from_coordinates(&x, &y)?;
            Ok((kid, Published { key, at: Timestamp::from_millis(published_at) }))
        };
        Ok(Self::new(row.keys.into_iter().map(key).collect::<Result<Vec<_>>>()?))
    }
}

/// The keys as an item that was read; none if there was no item.
pub(super) fn from_stored(item: Option<Item>) -> Result<Keyring> {
    item.map(from_item::<Row>).transpose()?.unwrap_or_default().try_into()
}

/// Reads the keys, as they are or were a moment ago.
pub async fn read(table: &Table) -> Result<Keyring> {
    table.read_eventually::<Row>(Key::SigningKeys).await?.unwrap_or_default().try_into()
}

/// The private key that signs at the moment, of the public ones that were just read. `None` if the secret has lost it.
pub async fn signer(keys: &Keys, ring: &Keyring, now: Timestamp) -> Result<Option<Arc<SigningKey>>> {
    match ring.signer(now) {
        Some(kid) => keys.version(kid).await,
        None => Ok(None),
    }
}

/// The same, and if there is none, the key of the secret becomes public: the first of a shop, or of one whose table was restored.
pub async fn signer_or_first(table: &Table, keys: &Keys, ring: &Keyring, now: Timestamp) -> Result<Arc<SigningKey>> {
    if let Some(key) = signer(keys, ring, now).await? {
        return Ok(key);
    }
    let key = keys.current().await?;
    publish(table, &key, ring, &[], now).await?;
    Ok(key)
}

/// Makes a key public beside those of `ring`, if it is not, and takes some of them back.
async fn publish(table: &Table, key: &SigningKey, ring: &Keyring, dropped: &[&str], now: Timestamp) -> Result {
    let path = |kid: &str| format!("keys.{kid}");
    let entry = Entry::new(key.public(), now).value()?;
    let mut more = Expression::exists().set_if_absent(&path(key.kid()), entry.clone());
    for kid in dropped {
        more = more.remove(&path(kid));
    }
    let first = Expression::absent().set("keys", AttributeValue::M([(key.kid().to_owned(), entry)].into()));
    // Of two who are the first, the second finds what the other has written.
    let attempts = if ring.keys().is_empty() { [&first, &more] } else { [&more, &first] };
    for expression in attempts {
        if let Write::Done(Row { .. }) = table.update(Key::SigningKeys, expression).await? {
            return Ok(());
        }
    }
    Err(Error::Contended)
}

/// Gives the shop a new key if the newest is `days` old, or at once if it is forced; tells whether it has one.
///
/// A new key is public for ten minutes before it signs, and its predecessor stays for as long as tokens of it live, so that nobody
/// notices. A forced one is for a secret that leaked: it is the only one at once, and everybody has to log in again. Two runs at once
/// make one key.
pub async fn rotate(table: &Table, keys: &Keys, days: u32, force: bool, now: Timestamp) -> Result<bool> {
    let ring: Keyring = table.read::<Row>(Key::SigningKeys).await?.unwrap_or_default().try_into()?;
    let current = keys.current().await?;
    if force {
        let key = keys.succeed(current.kid()).await?;
        let others: Vec<_> = ring.keys().into_iter().map(|(kid, _)| kid).filter(|kid| *kid != key.kid()).collect();
        publish(table, &key, &ring, &others, now).await?;
        return Ok(true);
    }
    let Some((_, published)) = ring.keys().into_iter().find(|(kid, _)| *kid == current.kid()) else {
        // Nobody has logged in yet, or a run before this one was cut short.
        publish(table, &current, &ring, &ring.outlived(now), now).await?;
        return Ok(ring.signer(now).is_some());
    };
    let age = now.seconds() - published.at.seconds();
    if age < i64::from(days) * DAY {
        return Ok(false);
    }
    let key = keys.succeed(current.kid()).await?;
    publish(table, &key, &ring, &ring.outlived(now), now).await?;
    Ok(true)
}

/// The public keys, as an environment that checks tokens remembers them.
#[derive(Debug, Default)]
pub struct KnownKeys {
    known: Mutex<Option<Known>>,
    /// When a token with an unknown key last made us read again.
    surprised: Mutex<Option<Timestamp>>,
}

#[derive(Debug, Clone)]
struct Known {
    ring: Arc<Keyring>,
    read: Timestamp,
}

/// What can be said of a token before anything is read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    Final(Result<TokenClaims, Refused>),
    /// The keys have to be read for it.
    NeedsKeys,
}

impl KnownKeys {
    /// Checks an access token with the keys that are known.
    pub(super) fn judge(&self, token: &Unverified<'_>, now: Timestamp) -> Judgement {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(known) = known.filter(|known| known.read.is_within(MAX_AGE, now)) else {
            return Judgement::NeedsKeys;
        };
        let verdict = known.ring.verify(TokenKind::Access, token, now);
        if verdict != Err(Refused::UnknownKey) {
            return Judgement::Final(verdict);
        }
        // It may be newer than what we know.
        let mut surprised = self.surprised.lock().unwrap_or_else(PoisonError::into_inner);
        if surprised.is_some_and(|last| last.is_within(COOL_DOWN, now)) {
            return Judgement::Final(verdict);
        }
        *surprised = Some(now);
        Judgement::NeedsKeys
    }

    /// Checks it with keys that were just read, which are known from now on.
    pub(super) fn learn(&self, ring: Keyring, token: &Unverified<'_>, now: Timestamp) -> Result<TokenClaims, Refused> {
        let verdict = ring.verify(TokenKind::Access, token, now);
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(Known { ring: Arc::new(ring), read: now });
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Role;

    const START: i64 = 1_795_342_350;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis((START + seconds) * 1000)
    }

    fn key(kid: &str) -> SigningKey {
        SigningKey::derive(kid, kid.repeat(32).as_bytes()).unwrap()
    }

    fn ring(kids: &[&str]) -> Keyring {
        Keyring::new(kids.iter().map(|kid| ((*kid).to_owned(), Published { key: key(kid).public().clone(), at: at(0) })))
    }

    fn token(kid: &str) -> String {
        let claims = TokenClaims {
            user_id: "0197a2b4-7c1e-7d3a-9f00-5a6b7c8d9e0f".parse().unwrap(),
            session_id: "0197a2b4-7c1e-7d3a-9f00-5a6b7c8d9e10".parse().unwrap(),
            role: Role::Customer,
            counter: 0,
        };
        key(kid).mint(TokenKind::Access, &claims, "1".into(), at(0), at(900)).unwrap()
    }

    #[test]
    fn keys_are_read_again_when_they_are_old_or_a_token_has_another() {
        let known = KnownKeys::default();
        let (a, b) = (token("a"), token("b"));
        let (a, b) = (Unverified::parse(TokenKind::Access, &a).unwrap(), Unverified::parse(TokenKind::Access, &b).unwrap());
        assert_eq!(known.judge(&a, at(0)), Judgement::NeedsKeys);
        assert!(known.learn(ring(&["a"]), &a, at(0)).is_ok());
        assert!(matches!(known.judge(&a, at(60)), Judgement::Final(Ok(_))));
        assert_eq!(known.judge(&a, at(61)), Judgement::NeedsKeys, "a key may have been dropped");
        assert!(known.learn(ring(&["a"]), &a, at(61)).is_ok());

        assert_eq!(known.judge(&b, at(62)), Judgement::NeedsKeys);
        assert_eq!(known.learn(ring(&["a"]), &b, at(62)), Err(Refused::UnknownKey));
        for second in 62..=92 {
            assert_eq!(known.judge(&b, at(second)), Judgement::Final(Err(Refused::UnknownKey)), "anybody can send such tokens");
        }
        assert_eq!(known.judge(&b, at(93)), Judgement::NeedsKeys);
        assert!(known.learn(ring(&["b"]), &b, at(93)).is_ok());
        assert_eq!(known.judge(&a, at(94)), Judgement::Final(Err(Refused::UnknownKey)));
        assert_eq!(known.judge(&b, at(0)), Judgement::NeedsKeys, "the clock was set back");
    }

    #[test]
    fn keys_are_stored_as_they_are() {
        let key = key("a");
        let entry = Entry::new(key.public(), at(7)).value().unwrap();
        let item = Item::from([("keys".to_owned(), AttributeValue::M([("a".to_owned(), entry)].into()))]);
        let published = Published { key: key.public().clone(), at: at(7) };
        assert_eq!(from_stored(Some(item)).unwrap(), Keyring::new([("a".to_owned(), published)]));
        assert_eq!(from_stored(None).unwrap(), Keyring::default());
    }
}
