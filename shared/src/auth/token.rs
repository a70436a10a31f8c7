//! Access and refresh tokens: JWTs (RFC 7519) signed with HS256, in the manner of RFC 9068.

use std::{fmt, sync::Once};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::ErrorKind,
};
use ring::{
    hmac,
    rand::{SecureRandom, SystemRandom},
};
use serde::{Deserialize, Serialize};
use signature::{Signer, Verifier};
use zeroize::Zeroizing;

use crate::{
    Error, Result,
    domain::{LEEWAY_SECONDS, Role, Session, SessionId, Timestamp, Tokens, UserId},
};

/// Who signs, and whom the tokens are for. Stacks are told apart by their keys.
const ISSUER: &str = "stockroom";
const AUDIENCE: &str = "stockroom-api";

/// No token of ours is longer, in bytes.
const MAX_TOKEN: usize = 2_048;

/// What a token is good for. The two can not stand in for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// Shown with every request.
    Access,
    /// Exchanged for the next pair of tokens.
    Refresh,
}

impl TokenKind {
    /// The `typ` of the token's header.
    fn typ(self) -> &'static str {
        match self {
            Self::Access => "at+jwt",
            Self::Refresh => "rt+jwt",
        }
    }
}

/// What a token says about its bearer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenClaims {
    pub user_id: UserId,
    pub session_id: SessionId,
    pub role: Role,
    /// How often the session had been refreshed when the token was made.
    pub counter: u64,
}

/// Why a token is not accepted.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// We did not make this token: it is forged, altered, of another kind, or no token at all.
    NeverIssued,
    /// It names a key that we do not have (any more, or yet).
    UnknownKey,
    /// We made it, and its time is over.
    Expired,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    iss: String,
    aud: String,
    sub: UserId,
    sid: SessionId,
    role: Role,
    /// Refreshes of the session so far.
    cnt: u64,
    jti: String,
    iat: i64,
    nbf: i64,
    exp: i64,
}

/// One version of the secret that signs.
pub struct Key {
    kid: String,
    encoding: EncodingKey,
    decoding: DecodingKey,
}

impl Key {
    /// `kid` is the version's name; `secret` is copied into memory that is wiped when the key goes.
    pub fn new(kid: impl Into<String>, secret: &[u8]) -> Self {
        Self { kid: kid.into(), encoding: EncodingKey::from_secret(secret), decoding: DecodingKey::from_secret(secret) }
    }

    /// A new secret: 64 characters that stand for 384 random bits, more than HS256 has use for (RFC 7518, 3.2).
    pub fn generate() -> Result<Zeroizing<String>> {
        let mut bits = Zeroizing::new([0_u8; 48]);
        SystemRandom::new().fill(&mut bits[..]).map_err(|_| Error::Internal("the system has no random bits".into()))?;
        Ok(Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(&bits[..])))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.kid)
    }
}

/// The keys that are good at the moment: one signs, both verify.
#[derive(Debug)]
pub struct Keyring {
    signing: Key,
    other: Option<Key>,
}

impl Keyring {
    pub fn new(signing: Key, other: Option<Key>) -> Self {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| {
            // It fails only if there is a provider already, and nobody else installs one.
            let _ = HS256_OVER_RING.install_default();
        });
        Self { signing, other }
    }

    /// Makes a token. `jti` names it; the same arguments make the same token.
    pub fn mint(
        &self,
        kind: TokenKind,
        claims: &TokenClaims,
        jti: String,
        issued: Timestamp,
        expires: Timestamp,
    ) -> Result<String> {
        let claims = Payload {
            iss: ISSUER.into(),
            aud: AUDIENCE.into(),
            sub: claims.user_id,
            sid: claims.session_id,
            role: claims.role,
            cnt: claims.counter,
            jti,
            iat: issued.seconds(),
            nbf: issued.seconds(),
            exp: expires.seconds(),
        };
        jsonwebtoken::encode(&header(kind, &self.signing.kid), &claims, &self.signing.encoding)
            .map_err(|error| Error::Internal(format!("a token cannot be signed: {error}")))
    }

    /// Makes the pair of tokens that a session has at this moment. The refresh token is the same whenever it is asked for.
    pub fn mint_pair(&self, session: &Session, role: Role, jti: String, now: Timestamp) -> Result<Tokens> {
        let claims = TokenClaims { user_id: session.user_id, session_id: session.session_id, role, counter: session.counter };
        let access_expires = session.access_expires(now);
        let refresh_jti = format!("{}.{}", session.session_id, session.counter);
        Ok(Tokens {
            access_token: self.mint(TokenKind::Access, &claims, jti, now, access_expires)?,
            refresh_token: self.mint(TokenKind::Refresh, &claims, refresh_jti, session.rotated_at(), session.expires_at)?,
            token_type: "Bearer",
            expires_in: access_expires.seconds() - now.seconds(),
        })
    }

    /// Checks a token: one algorithm, a key of ours, its kind, every claim, and the time.
    pub fn verify(&self, kind: TokenKind, token: &str, now: Timestamp) -> Result<TokenClaims, Refused> {
        if token.len() > MAX_TOKEN {
            return Err(Refused::NeverIssued);
        }
        let shown = jsonwebtoken::decode_header(token).map_err(|_| Refused::NeverIssued)?;
        let kid = shown.kid.as_deref().ok_or(Refused::NeverIssued)?;
        // Exactly the header that we write: no other algorithm, no key that the token brings along, nothing critical to ignore.
        if shown != header(kind, kid) {
            return Err(Refused::NeverIssued);
        }
        let keys = [Some(&self.signing), self.other.as_ref()];
        let key = keys.into_iter().flatten().find(|key| key.kid == kid).ok_or(Refused::UnknownKey)?;

        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp", "nbf"]);
        // Times are checked below, against the caller's clock, so that expired and forged can be told apart.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let claims = jsonwebtoken::decode::<Payload>(token, &key.decoding, &validation).map_err(|_| Refused::NeverIssued)?.claims;

        let now = now.seconds();
        if claims.iat > now + LEEWAY_SECONDS || claims.nbf > now + LEEWAY_SECONDS {
            return Err(Refused::NeverIssued);
        }
        if claims.exp <= now {
            return Err(Refused::Expired);
        }
        Ok(TokenClaims { user_id: claims.sub, session_id: claims.sid, role: claims.role, counter: claims.cnt })
    }
}

fn header(kind: TokenKind, kid: &str) -> Header {
    let mut header = Header::new(Algorithm::HS256);
    header.typ = Some(kind.typ().into());
    header.kid = Some(kid.into());
    header
}

/// HMAC with SHA-256 over `ring`, which the functions link for TLS anyway; the providers that come with `jsonwebtoken`
/// bring RSA and elliptic curves along.
static HS256_OVER_RING: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| {
        only_hs256(*algorithm)?;
        Ok(Box::new(Mac(hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()))))
    },
    verifier_factory: |algorithm, key| {
        only_hs256(*algorithm)?;
        Ok(Box::new(Mac(hmac::Key::new(hmac::HMAC_SHA256, key.try_get_as_bytes()?))))
    },
    key_utils: KeyUtils::new_unimplemented(),
};

fn only_hs256(algorithm: Algorithm) -> jsonwebtoken::errors::Result<()> {
    match algorithm {
        Algorithm::HS256 => Ok(()),
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    }
}

struct Mac(hmac::Key);

impl Signer<Vec<u8>> for Mac {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        Ok(hmac::sign(&self.0, message).as_ref().to_vec())
    }
}

impl JwtSigner for Mac {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl Verifier<Vec<u8>> for Mac {
    /// Takes the same time whether the first or the last byte is wrong.
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        hmac::verify(&self.0, message, signature).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Mac {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_342_350_120);

    fn later(seconds: i64) -> Timestamp {
        Timestamp::from_millis(NOW.millis() + seconds * 1000)
    }

    fn claims() -> TokenClaims {
        TokenClaims {
            user_id: "0197a2b4-7c1e-7d3a-9f00-5a6b7c8d9e0f".parse().unwrap(),
            session_id: "0197a2b4-7c1e-7d3a-9f00-5a6b7c8d9e10".parse().unwrap(),
            role: Role::Customer,
            counter: 3,
        }
    }

    fn mint(ring: &Keyring, kind: TokenKind) -> String {
        ring.mint(kind, &claims(), "one".into(), NOW, later(900)).unwrap()
    }

    #[test]
    fn a_token_is_good_for_its_kind_and_its_time() {
        let ring = Keyring::new(Key::new("1", b"secret"), None);
        let token = mint(&ring, TokenKind::Access);
        assert_eq!(ring.verify(TokenKind::Access, &token, NOW), Ok(claims()));
        assert_eq!(ring.verify(TokenKind::Access, &token, later(899)), Ok(claims()));
        assert_eq!(ring.verify(TokenKind::Access, &token, later(900)), Err(Refused::Expired));
        assert_eq!(ring.verify(TokenKind::Access, &token, later(-5)), Ok(claims()));
        assert_eq!(ring.verify(TokenKind::Access, &token, later(-6)), Err(Refused::NeverIssued));
        assert_eq!(ring.verify(TokenKind::Refresh, &token, NOW), Err(Refused::NeverIssued));
    }

    #[test]
    fn the_previous_key_verifies_and_does_not_sign() {
        let before = Keyring::new(Key::new("1", b"old"), None);
        let after = Keyring::new(Key::new("2", b"new"), Some(Key::new("1", b"old")));
        let (old, new) = (mint(&before, TokenKind::Access), mint(&after, TokenKind::Access));
        assert_eq!(after.verify(TokenKind::Access, &old, NOW), Ok(claims()));
        assert_eq!(after.verify(TokenKind::Access, &new, NOW), Ok(claims()));
        assert_eq!(before.verify(TokenKind::Access, &new, NOW), Err(Refused::UnknownKey));
        // The right name on the wrong secret.
        let forger = Keyring::new(Key::new("2", b"guess"), None);
        assert_eq!(after.verify(TokenKind::Access, &mint(&forger, TokenKind::Access), NOW), Err(Refused::NeverIssued));
    }

    #[test]
    fn keys_do_not_show_their_secret() {
        let ring = Keyring::new(Key::new("1", b"canary"), None);
        let shown = format!("{ring:?}");
        assert!(shown.contains("Key(1)") && !shown.contains("canary") && !shown.contains("99, 97, 110"), "{shown}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever is sent as a token: no panic, and nothing gets in. `PROPTEST_CASES` makes it look harder.
        #[test]
        fn no_text_is_a_token(text in ".{0,300}") {
            let ring = Keyring::new(Key::new("1", b"secret"), None);
            prop_assert!(ring.verify(TokenKind::Access, &text, NOW).is_err());
        }

        #[test]
        fn no_three_parts_are_a_token(header in any_json(), claims in any_json(), signature in any::<Vec<u8>>()) {
            let ring = Keyring::new(Key::new("1", b"secret"), None);
            let encode = |part: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(part);
            let token = format!("{}.{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()), encode(&signature));
            prop_assert!(ring.verify(TokenKind::Access, &token, NOW).is_err());

            // With our own header and signature, so that the claims are read at all.
            let message = format!("{}.{}", encode(br#"{"typ":"at+jwt","alg":"HS256","kid":"1"}"#), encode(claims.as_bytes()));
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, b"secret"), message.as_bytes());
            let token = format!("{message}.{}", encode(tag.as_ref()));
            prop_assert!(ring.verify(TokenKind::Access, &token, NOW).is_err());
        }

        #[test]
        fn no_altered_token_is_one(at in 0_usize..400, byte in any::<u8>()) {
            let ring = Keyring::new(Key::new("1", b"secret"), None);
            let token = mint(&ring, TokenKind::Access);
            let mut altered = token.clone().into_bytes();
            let at = at % altered.len();
            altered[at] = byte;
            let altered = String::from_utf8_lossy(&altered);
            prop_assert!(altered == token || ring.verify(TokenKind::Access, &altered, NOW).is_err(), "{at}: {altered}");
        }
    }

    /// Objects with the members that tokens have, and values that they may or may not have; and things that are no objects.
    fn any_json() -> impl Strategy<Value = String> {
        const NAMES: &[&str] =
            &["typ", "alg", "kid", "jwk", "iss", "aud", "sub", "sid", "role", "cnt", "jti", "iat", "nbf", "exp"];
        const VALUES: &[&str] = &[
            "1",
            "-1",
            "1e400",
            "0.5",
            "null",
            "[]",
            "{}",
            "\"\"",
            "\"HS256\"",
            "\"none\"",
            "\"stockroom\"",
            "true",
            "\"\\ud800\"",
        ];
        let member = (select(NAMES), select(VALUES)).prop_map(|(name, value)| format!("\"{name}\":{value}"));
        prop_oneof![
            4 => vec(member, 0..14).prop_map(|members| format!("{{{}}}", members.join(","))),
            1 => ".{0,40}",
        ]
    }
}
