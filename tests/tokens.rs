//! Tokens that nobody issued, and keys that change.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use futures_util::future::join_all;
use p256::elliptic_curve::sec1::ToSec1Point as _;
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use serde_json::{Value, json};

use crate::app::{PASSWORD, TestApp};

fn encode(part: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(part.to_string())
}

fn decode(token: &str, part: usize) -> Value {
    let part = token.split('.').nth(part).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

pub fn claims_of(token: &str) -> Value {
    decode(token, 1)
}

/// The header that our own tokens have.
pub fn header(kid: &str) -> Value {
    json!({"typ": "at+jwt", "alg": "ES256", "kid": kid})
}

/// The private number and the public point that a signing secret stands for, found out in another way than the shop does it.
fn key_of(secret: &[u8]) -> ([u8; 32], Vec<u8>) {
    let extracted = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &[0; 32]), secret);
    let info = [&b"stockroom token signing key, ES256"[..], &[0], &[1]].concat();
    let private = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, extracted.as_ref()), &info);
    let private: [u8; 32] = private.as_ref().try_into().unwrap();
    let point = p256::SecretKey::from_slice(&private).unwrap().public_key().to_sec1_point(false);
    (private, point.as_bytes().to_vec())
}

/// A token with this header and these claims, signed with ES256 whatever the header says.
pub fn sign(header: &Value, claims: &Value, secret: &[u8]) -> String {
    let (private, point) = key_of(secret);
    let random = SystemRandom::new();
    let pair = EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_FIXED_SIGNING, &private, &point, &random);
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature = pair.unwrap().sign(&random, message.as_bytes()).unwrap();
    format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

fn sign_with(algorithm: hmac::Algorithm, header: &Value, claims: &Value, key: &[u8]) -> String {
    let message = format!("{}.{}", encode(header), encode(claims));
    let tag = hmac::sign(&hmac::Key::new(algorithm, key), message.as_bytes());
    format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(tag))
}

#[tokio::test]
async fn a_token_says_what_it_must() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let ada = app.customer("ada").await;
    let (kid, secret) = app.signing_key().await;
    let access = ada.token.clone().unwrap();
    let user_id = ada.get("/auth/me").await["user_id"].clone();

    assert_eq!(decode(&access, 0), header(&kid));
    assert_eq!(decode(&ada.refresh_token, 0), json!({"typ": "rt+jwt", "alg": "ES256", "kid": kid}));
    for (token, lifetime) in [(&access, 15 * 60), (&ada.refresh_token, 7 * 24 * 60 * 60)] {
        let claims = claims_of(token);
        let names: Vec<_> = claims.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["aud", "cnt", "exp", "iat", "iss", "jti", "nbf", "role", "sid", "sub"]);
        assert_eq!((&claims["iss"], &claims["aud"], &claims["sub"]), (&json!("stockroom"), &json!("stockroom-api"), &user_id));
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), lifetime);
        assert_eq!(claims["role"], "customer");
    }
    assert_eq!(
        app.bearer(sign(&header(&kid), &claims_of(&access), secret.as_bytes())).get("/auth/me").await.status,
        200,
        "the tests sign as we do"
    );
}

#[tokio::test]
async fn hostile_tokens_are_refused() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let admin = app.admin().await;
    let (kid, secret) = app.signing_key().await;
    let key = secret.as_bytes();
    let public = key_of(key).1;
    let another = "x".repeat(64);
    let good = admin.token.clone().unwrap();
    let (head, claims) = (header(&kid), claims_of(&good));
    let parts: Vec<_> = good.split('.').collect();
    let now = claims["iat"].as_i64().unwrap();

    let with_header = |changes: Value| {
        let mut head = head.clone();
        head.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        head
    };
    let headed = |changes: Value| sign(&with_header(changes), &claims, key);
    let claiming = |changes: Value| {
        let mut claims = claims.clone();
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        sign(&head, &claims, key)
    };
    let lacking = |name: &str| {
        let (mut head, mut claims) = (head.clone(), claims.clone());
        head.as_object_mut().unwrap().remove(name);
        claims.as_object_mut().unwrap().remove(name);
        sign(&head, &claims, key)
    };
    let mine = key_of(another.as_bytes()).1;
    let coordinate = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let jwk = json!({"kty": "EC", "crv": "P-256", "x": coordinate(&mine[1..33]), "y": coordinate(&mine[33..])});
    let unsigned = |algorithm: &str| format!("{}.{}.", encode(&with_header(json!({"alg": algorithm}))), parts[1]);
    let mut escalated = claims.clone();
    escalated["sub"] = json!("0197a2b4-7c1e-7d3a-9f00-5a6b7c8d9e0f");

    let mut hostile: Vec<(&str, String)> = vec![
        ("alg none", unsigned("none")),
        ("alg None", unsigned("None")),
        ("alg NONE, with a signature", format!("{}{}", unsigned("NONE"), parts[2])),
        ("alg empty", unsigned("")),
        ("HS256 with the secret", sign_with(hmac::HMAC_SHA256, &with_header(json!({"alg": "HS256"})), &claims, key)),
        ("HS256 with the public key", sign_with(hmac::HMAC_SHA256, &with_header(json!({"alg": "HS256"})), &claims, &public)),
        (
            "HS256 with its coordinates",
            sign_with(hmac::HMAC_SHA256, &with_header(json!({"alg": "HS256"})), &claims, &public[1..]),
        ),
        ("HS512 with the secret", sign_with(hmac::HMAC_SHA512, &with_header(json!({"alg": "HS512"})), &claims, key)),
        ("a MAC of the public key as ES256", sign_with(hmac::HMAC_SHA512, &head, &claims, &public)),
        ("HS256 signed as ES256", headed(json!({"alg": "HS256"}))),
        ("ES384 signed as ES256", headed(json!({"alg": "ES384"}))),
        ("RS256", headed(json!({"alg": "RS256"}))),
        ("PS256", headed(json!({"alg": "PS256"}))),
        ("EdDSA", headed(json!({"alg": "EdDSA"}))),
        ("alg a number", headed(json!({"alg": 256}))),
        ("another key", sign(&head, &claims, another.as_bytes())),
        ("a signature of zeros", format!("{}.{}.{}", parts[0], parts[1], BASE64_URL_SAFE_NO_PAD.encode([0; 64]))),
        ("the signature as DER begins", format!("{}.{}.{}", parts[0], parts[1], BASE64_URL_SAFE_NO_PAD.encode([0x30; 70]))),
        ("kid a path", sign(&with_header(json!({"kid": "../../../../dev/null"})), &claims, another.as_bytes())),
        ("kid a query", sign(&with_header(json!({"kid": "x' UNION SELECT 'a"})), &claims, another.as_bytes())),
        ("kid a stage", headed(json!({"kid": "AWSCURRENT"}))),
        ("kid null", headed(json!({"kid": null}))),
        ("kid a list", headed(json!({"kid": [kid]}))),
        ("embedded jwk", sign(&with_header(json!({"jwk": jwk})), &claims, another.as_bytes())),
        ("embedded jwk, good signature", headed(json!({"jwk": jwk}))),
        ("jku", headed(json!({"jku": "https://example.com/keys"}))),
        ("x5u", headed(json!({"x5u": "https://example.com/cert"}))),
        ("crit", headed(json!({"crit": ["exp"]}))),
        ("b64 false", headed(json!({"b64": false, "crit": ["b64"]}))),
        ("an unknown header", headed(json!({"admin": true}))),
        ("typ of a refresh token", headed(json!({"typ": "rt+jwt"}))),
        ("typ JWT", headed(json!({"typ": "JWT"}))),
        ("typ in capitals", headed(json!({"typ": "AT+JWT"}))),
        ("another aud", claiming(json!({"aud": "another-api"}))),
        ("a list of auds", claiming(json!({"aud": ["stockroom-api"]}))),
        ("another iss", claiming(json!({"iss": "elsewhere"}))),
        ("iat far ahead", claiming(json!({"iat": now + 60, "nbf": now + 60}))),
        ("nbf far ahead", claiming(json!({"nbf": now + 60}))),
        ("iat after the end of time", claiming(json!({"iat": 1e300}))),
        ("exp a text", claiming(json!({"exp": "9999999999"}))),
        ("exp a fraction", claiming(json!({"exp": 9_999_999_999.5}))),
        ("exp null", claiming(json!({"exp": null}))),
        ("sub no id", claiming(json!({"sub": "admin"}))),
        ("sid no id", claiming(json!({"sid": "*"}))),
        ("an unknown role", claiming(json!({"role": "owner"}))),
        ("an unknown claim", claiming(json!({"scope": "everything"}))),
        ("claims of another, the old signature", format!("{}.{}.{}", parts[0], encode(&escalated), parts[2])),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("half a signature", good[..good.len() - 20].to_owned()),
        ("a longer signature", format!("{good}AAAA")),
        ("padding", format!("{good}=")),
        ("two parts", format!("{}.{}", parts[0], parts[1])),
        ("four parts", format!("{good}.{}", parts[2])),
        ("five parts, as encrypted ones have", format!("{0}.{0}.{0}.{0}.{0}", parts[0])),
        ("dots", "..".to_owned()),
        ("the refresh token", admin.refresh_token.clone()),
        ("standard base64", good.replace('-', "+").replace('_', "/") + "+/"),
        ("a blank inside", format!("{} {}", &good[..50], &good[50..])),
        ("twice", format!("{good},{good}")),
        ("very long", format!("{good}{}", "A".repeat(5_000))),
        ("JSON", claims.to_string()),
    ];
    hostile.extend(
        ["typ", "alg", "kid", "iss", "aud", "sub", "sid", "role", "cnt", "jti", "iat", "nbf", "exp"]
            .map(|name| (name, lacking(name))),
    );

    assert_eq!(admin.get("/auth/me").await.status, 200);
    for (what, token) in &hostile {
        let refused = app.bearer(token.clone()).get("/auth/me").await;
        assert_eq!((refused.status, &refused["message"]), (403, &json!("Forbidden")), "{what}");
    }
    for scheme in ["Basic", "Token", "Bearer:", "JWT"] {
        let request = app.anyone().request(reqwest::Method::GET, "/auth/me").header("authorization", format!("{scheme} {good}"));
        assert_eq!(app.anyone().send(request).await.status, 403, "{scheme}");
    }
    for blank in ["", " ", "Bearer", "Bearer "] {
        let request = app.anyone().request(reqwest::Method::GET, "/auth/me").header("authorization", blank);
        assert!([401, 403].contains(&app.anyone().send(request).await.status), "{blank:?}");
    }
    let query = app.anyone().get(format!("/auth/me?access_token={good}&authorization=Bearer%20{good}")).await;
    assert_eq!(query.status, 401, "tokens are read from the header only");
}

/// Makes a public key look as if it had been public for so long.
async fn age_key(app: &TestApp, kid: &str, ago: Duration) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    app.dynamodb(
        "UpdateItem",
        json!({
            "TableName": app.table(),
            "Key": {"pk": {"S": "SIGNING_KEYS"}, "sk": {"S": "SIGNING_KEYS"}},
            "UpdateExpression": "SET #keys.#kid.published_at = :then",
            "ExpressionAttributeNames": {"#keys": "keys", "#kid": kid},
            "ExpressionAttributeValues": {":then": {"N": now.saturating_sub(ago).as_millis().to_string()}},
        }),
    )
    .await;
}

async fn rotate(app: &TestApp, input: Value) -> bool {
    match app.shop().invoke("secret-rotate", input).await.outcome {
        emulator::Outcome::Payload(report) => serde_json::from_slice::<Value>(&report).unwrap()["rotated"].as_bool().unwrap(),
        other => panic!("{other:?}"),
    }
}

fn kid_of(token: Option<&String>) -> String {
    decode(token.unwrap(), 0)["kid"].as_str().unwrap().to_owned()
}

fn days(days: u64) -> Duration {
    Duration::from_hours(days * 24)
}

/// The names of the public keys, as other services see them.
async fn public_keys(app: &TestApp) -> BTreeSet<String> {
    let answer = app.anyone().get("/.well-known/jwks.json").await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, "public, max-age=300"));
    answer["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn changing_the_key_under_load_refuses_nobody() {
    let Some(app) = TestApp::start_local(|options| options.limit = 4).await else { return };
    let (email, _) = app.register("ada").await;
    let before = app.login(&email, PASSWORD).await;
    let old = kid_of(before.token.as_ref());
    age_key(&app, &old, days(90)).await;

    // At once: the old key goes on signing until everybody can know the new one, whatever strangers send.
    assert!(rotate(&app, json!({})).await);
    let stranger = sign(&header("no-such-key"), &claims_of(before.token.as_ref().unwrap()), &[b'x'; 64]);
    join_all((0..8).map(|_| async {
        assert_eq!(app.bearer(stranger.clone()).get("/auth/me").await.status, 403);
        assert_eq!(before.get("/auth/me").await.status, 200);
        let after = app.login(&email, PASSWORD).await;
        assert_eq!(after.get("/auth/me").await.status, 200);
        assert_eq!(app.holder_of(&after.refresh().await).get("/auth/me").await.status, 200);
        assert_eq!(kid_of(after.token.as_ref()), old);
    }))
    .await;
    assert_eq!(public_keys(&app).await.len(), 2);
}

#[tokio::test]
async fn a_new_key_takes_over_from_the_old_one() {
    let Some(app) = TestApp::start_local(|options| options.limit = 8).await else { return };
    let (email, _) = app.register("ada").await;
    let before = app.login(&email, PASSWORD).await;
    let old = kid_of(before.token.as_ref());
    age_key(&app, &old, days(90)).await;

    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let load = async || {
        while !stop.load(Ordering::Relaxed) {
            assert_eq!(before.get("/auth/me").await.status, 200, "a token of the old key");
            answered.fetch_add(1, Ordering::Relaxed);
        }
    };
    let rotation = async {
        assert!(rotate(&app, json!({})).await);
        let (new, _) = app.signing_key().await;
        age_key(&app, &new, Duration::from_mins(11)).await;
        for session in join_all((0..8).map(|_| app.login(&email, PASSWORD))).await {
            assert_eq!(kid_of(session.token.as_ref()), new);
            assert_eq!(session.get("/auth/me").await.status, 200, "a token of the new key");
            assert_eq!(app.holder_of(&session.refresh().await).get("/auth/me").await.status, 200);
        }
        stop.store(true, Ordering::Relaxed);
    };
    futures_util::future::join3(rotation, load(), load()).await;
    assert!(answered.load(Ordering::Relaxed) > 0);
    assert_eq!(before.refresh().await.status, 200, "refresh tokens outlive the change");
}

#[tokio::test]
async fn the_secret_is_replaced_when_it_is_old_and_nobody_notices() {
    let Some(app) = TestApp::start_local(|options| options.limit = 1).await else { return };
    let (email, _) = app.register("ada").await;
    let event = std::fs::read(crate::app::workspace().join("events/secret-rotate.json")).unwrap();
    let scheduled: Value = serde_json::from_slice(&event).unwrap();

    assert_eq!(public_keys(&app).await, BTreeSet::new());
    assert!(!rotate(&app, scheduled.clone()).await, "a new shop has a new secret");
    let (young, _) = app.signing_key().await;
    assert_eq!(public_keys(&app).await, BTreeSet::from([young.clone()]));
    assert!(!rotate(&app, scheduled.clone()).await);

    age_key(&app, &young, days(89)).await;
    assert!(!rotate(&app, scheduled.clone()).await, "no older than SigningSecretRotationDays");
    age_key(&app, &young, days(90)).await;
    let ada = app.login(&email, PASSWORD).await;
    let (old, old_secret) = app.signing_key().await;
    assert!(rotate(&app, scheduled.clone()).await);
    let (new, new_secret) = app.signing_key().await;
    assert!(new != old && new_secret != old_secret && new_secret.len() == 64, "{new}");
    assert!(!rotate(&app, scheduled.clone()).await, "a run that is repeated changes nothing");
    assert_eq!(ada.get("/auth/me").await.status, 200);
    assert_eq!(public_keys(&app).await, BTreeSet::from([old.clone(), new.clone()]));

    // The old one stays for as long as tokens of it live, and goes with the rotation after that.
    age_key(&app, &new, days(90)).await;
    assert!(rotate(&app, scheduled.clone()).await);
    let (newest, _) = app.signing_key().await;
    assert_eq!(public_keys(&app).await, BTreeSet::from([new.clone(), newest.clone()]));
}

/// After a leak: no token of before is good any more, once environments have forgotten the old key, and logging in again helps at once.
#[tokio::test]
async fn a_forced_key_is_the_only_one_at_once() {
    let Some(app) = TestApp::start_local(|options| options.limit = 1).await else { return };
    let (email, _) = app.register("ada").await;
    let before = app.login(&email, PASSWORD).await;
    let (leaked, secret) = app.signing_key().await;
    assert!(rotate(&app, json!({"force": true})).await);
    let (new, _) = app.signing_key().await;
    assert_eq!(public_keys(&app).await, BTreeSet::from([new.clone()]));
    assert_eq!(before.refresh().await.problem(), (401, "invalid-refresh-token"));

    let after = app.login(&email, PASSWORD).await;
    assert_eq!(kid_of(after.token.as_ref()), new);
    // The authorizer meets a key that it does not know, and reads again.
    assert_eq!(after.get("/auth/me").await.status, 200);
    assert_eq!(before.get("/auth/me").await.status, 403);
    let forged = sign(&header(&leaked), &claims_of(after.token.as_ref().unwrap()), secret.as_bytes());
    assert_eq!(app.bearer(forged).get("/auth/me").await.status, 403);
}

#[tokio::test]
async fn two_rotations_at_once_make_one_new_secret() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    assert!(!rotate(&app, json!({})).await);
    for _ in 0..8 {
        let old = app.signing_key().await;
        age_key(&app, &old.0, days(90)).await;
        futures_util::future::join3(rotate(&app, json!({})), rotate(&app, json!({})), rotate(&app, json!({}))).await;
        assert_ne!(app.signing_key().await, old);
        assert_eq!(app.signing_secret("AWSPREVIOUS").await, old, "a second rotation would have thrown it away");
    }
}

/// A run that made a secret and was cut short before its key was public: the next one goes on with it.
#[tokio::test]
async fn a_rotation_that_was_cut_short_is_finished_by_the_next() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (email, _) = app.register("ada").await;
    let ada = app.login(&email, PASSWORD).await;
    let old = kid_of(ada.token.as_ref());
    let body = json!({"SecretId": "SigningSecret", "SecretString": "y".repeat(64), "ClientRequestToken": "z".repeat(32)});
    let put = app.anyone().aws(app.shop().aws_url(), "secretsmanager.PutSecretValue", &body).await;
    assert_eq!(put["VersionId"], "z".repeat(32));

    assert_eq!(kid_of(app.login(&email, PASSWORD).await.token.as_ref()), old, "nobody knows the new key yet");
    assert!(rotate(&app, json!({})).await);
    assert_eq!(public_keys(&app).await, BTreeSet::from([old, "z".repeat(32)]));
    assert_eq!(ada.get("/auth/me").await.status, 200);
}

/// Whoever wants to check a token by themselves needs nothing but what is public.
#[tokio::test]
async fn another_service_checks_a_token_with_the_public_key_alone() {
    let app = TestApp::start().await;
    let ada = app.customer("ada").await;
    let token = ada.token.clone().unwrap();
    let keys = app.anyone().get("/.well-known/jwks.json").await;
    let kid = kid_of(Some(&token));
    let key = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == kid.as_str()).unwrap();
    for (name, value) in [("kty", "EC"), ("crv", "P-256"), ("alg", "ES256"), ("use", "sig")] {
        assert_eq!(key[name], value);
    }
    let coordinate = |name: &str| BASE64_URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
    let point = [&[4], &coordinate("x")[..], &coordinate("y")[..]].concat();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
    let key = ring::signature::UnparsedPublicKey::new(&ring::signature::ECDSA_P256_SHA256_FIXED, point);
    assert!(key.verify(message.as_bytes(), &signature).is_ok());
    assert!(key.verify(&message.as_bytes()[1..], &signature).is_err());
}
