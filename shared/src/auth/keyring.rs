//! The public keys that tokens are checked with, and which of them signs.

use std::collections::BTreeMap;

use serde::Serialize;

use super::token::{PublicKey, Refused, TokenClaims, TokenKind, Unverified};
use crate::domain::{SESSION, Timestamp};

/// A key signs when it has been public for this long, in milliseconds: twice as long as anybody may keep the public keys (five
/// minutes, as the answer of `GET /.well-known/jwks.json` says), so that whoever checks a token has its key.
const SETTLED: i64 = 10 * 60 * 1000;

/// How long a key is public after another has taken its place, in milliseconds: a day longer than a refresh token lives.
const KEPT: i64 = (SESSION + 24 * 60 * 60) * 1000;

/// A public key, and since when it is public.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    pub key: PublicKey,
    pub at: Timestamp,
}

/// All keys that are public at the moment, by name (`kid`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keyring {
    keys: BTreeMap<String, Published>,
}

impl Keyring {
    pub fn new(keys: impl IntoIterator<Item = (String, Published)>) -> Self {
        Self { keys: keys.into_iter().collect() }
    }

    /// The keys with their names, in the order in which they became public.
    pub fn keys(&self) -> Vec<(&str, &Published)> {
        let mut keys: Vec<_> = self.keys.iter().map(|(kid, key)| (kid.as_str(), key)).collect();
        keys.sort_by_key(|(_, key)| key.at);
        keys
    }

    /// The name of the key that signs: the newest that everybody can know by now, or the oldest if there is none. `None` if there are
    /// no keys.
    pub fn signer(&self, now: Timestamp) -> Option<&str> {
        let keys = self.keys();
        let settled = |(_, key): &&(&str, &Published)| now.millis() - key.at.millis() >= SETTLED;
        keys.iter().rev().find(settled).or(keys.first()).map(|(kid, _)| *kid)
    }

    /// The keys that no token can need any more: others took their place longer ago than tokens live.
    pub fn outlived(&self, now: Timestamp) -> Vec<&str> {
        let keys = self.keys();
        let successors = keys.iter().skip(1).map(|(_, successor)| successor.at);
        let outlived = keys.iter().zip(successors).filter(|(_, since)| now.millis() - since.millis() > KEPT + SETTLED);
        outlived.map(|((kid, _), _)| *kid).collect()
    }

    /// Checks a token: a key of ours, one algorithm, its kind, every claim, and the time.
    pub fn verify(&self, kind: TokenKind, token: &Unverified<'_>, now: Timestamp) -> Result<TokenClaims, Refused> {
        let published = self.keys.get(token.kid()).ok_or(Refused::UnknownKey)?;
        published.key.verify(kind, token, now)
    }
}

/// The public keys as others read them: a JWK Set (RFC 7517, 5).
#[derive(Debug, Serialize)]
pub struct KeySet {
    keys: Vec<Jwk>,
}

/// One key (RFC 7517, 4, and RFC 7518, 6.2).
#[derive(Debug, Serialize)]
struct Jwk {
    kty: &'static str,
    r#use: &'static str,
    alg: &'static str,
    crv: &'static str,
    kid: String,
    x: String,
    y: String,
}

impl From<&Keyring> for KeySet {
    fn from(ring: &Keyring) -> Self {
        let jwk = |(kid, published): (&str, &Published)| {
            let (x, y) = published.key.coordinates();
            Jwk { kty: "EC", r#use: "sig", alg: "ES256", crv: "P-256", kid: kid.to_owned(), x, y }
        };
        Self { keys: ring.keys().into_iter().map(jwk).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::SigningKey;

    const NOW: Timestamp = Timestamp::from_millis(1_795_342_350_120);
    const DAY: i64 = 24 * 60 * 60;

    fn ago(seconds: i64) -> Timestamp {
        Timestamp::from_millis(NOW.millis() - seconds * 1000)
    }

    /// Keys by name, with how many seconds ago each became public.
    fn ring(keys: &[(&str, i64)]) -> Keyring {
        let public = |kid: &str| SigningKey::derive(kid, kid.repeat(32).as_bytes()).unwrap().public().clone();
        Keyring::new(keys.iter().map(|(kid, seconds)| ((*kid).to_owned(), Published { key: public(kid), at: ago(*seconds) })))
    }

    #[test]
    fn a_new_key_signs_when_everybody_can_know_it() {
        for (keys, signer) in [
            (&[][..], None),
            // The first of all, which nobody else can sign for.
            (&[("b", 0)], Some("b")),
            (&[("b", 90 * DAY), ("a", 599)], Some("b")),
            (&[("b", 90 * DAY), ("a", 600)], Some("a")),
            (&[("c", 180 * DAY), ("b", 90 * DAY), ("a", 3)], Some("b")),
            // Made public by a clock that is ahead.
            (&[("b", 90 * DAY), ("a", -600)], Some("b")),
        ] {
            assert_eq!(ring(keys).signer(NOW), signer, "{keys:?}");
        }
    }

    #[test]
    fn a_key_goes_when_no_token_of_it_can_be_good() {
        for (keys, outlived) in [
            (&[("b", 900 * DAY)][..], &[][..]),
            (&[("b", 900 * DAY), ("a", 8 * DAY)], &[]),
            (&[("b", 900 * DAY), ("a", 8 * DAY + 600)], &[]),
            (&[("b", 900 * DAY), ("a", 8 * DAY + 601)], &["b"]),
            (&[("c", 900 * DAY), ("b", 90 * DAY), ("a", 1)], &["c"]),
        ] {
            assert_eq!(ring(keys).outlived(NOW), outlived, "{keys:?}");
        }
    }

    #[test]
    fn a_token_is_checked_with_the_key_that_it_names() {
        let claims = TokenClaims {
            user_id: "0197a2b4-7c1e-7d3a-9f00-5a6b7c8d9e0f".parse().unwrap(),
            session_id: "0197a2b4-7c1e-7d3a-9f00-5a6b7c8d9e10".parse().unwrap(),
            role: crate::domain::Role::Customer,
            counter: 3,
        };
        let mint = |kid: &str, secret: &str| {
            let key = SigningKey::derive(kid, secret.repeat(32).as_bytes()).unwrap();
            key.mint(TokenKind::Access, &claims, "one".into(), NOW, ago(-900)).unwrap()
        };
        let verify = |ring: &Keyring, token: &str| {
            ring.verify(TokenKind::Access, &Unverified::parse(TokenKind::Access, token).unwrap(), NOW)
        };
        let both = ring(&[("b", 9), ("a", 99)]);
        assert_eq!(verify(&both, &mint("a", "a")), Ok(claims));
        assert_eq!(verify(&both, &mint("b", "b")), Ok(claims));
        assert_eq!(verify(&both, &mint("b", "a")), Err(Refused::NeverIssued), "the name of another key");
        assert_eq!(verify(&ring(&[("a", 99)]), &mint("b", "b")), Err(Refused::UnknownKey));
    }

    #[test]
    fn the_public_keys_are_told_in_the_order_in_which_they_became_public() {
        let ring = ring(&[("a", 9), ("b", 99)]);
        let told = serde_json::to_value(KeySet::from(&ring)).unwrap();
        let names: Vec<_> = told["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap()).collect();
        assert_eq!(names, ["b", "a"]);
        for (key, (_, published)) in told["keys"].as_array().unwrap().iter().zip(ring.keys()) {
            assert_eq!([&key["kty"], &key["use"], &key["alg"], &key["crv"]], ["EC", "sig", "ES256", "P-256"]);
            let (x, y) = (key["x"].as_str().unwrap(), key["y"].as_str().unwrap());
            assert_eq!(PublicKey::from_coordinates(x, y).unwrap(), published.key);
        }
    }
}
