//! Tokens that nobody issued, and keys that change.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use futures_util::future::join_all;
use ring::{digest, hmac};
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
    json!({"typ": "at+jwt", "alg": "HS256", "kid": kid})
}

/// A token with this header and these claims, signed with HS256 whatever the header says.
pub fn sign(header: &Value, claims: &Value, key: &[u8]) -> String {
    sign_with(hmac::HMAC_SHA256, header, claims, key)
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
    assert_eq!(decode(&ada.refresh_token, 0), json!({"typ": "rt+jwt", "alg": "HS256", "kid": kid}));
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
    let jwk = json!({"kty": "oct", "k": BASE64_URL_SAFE_NO_PAD.encode("mine")});
    let unsigned = |algorithm: &str| format!("{}.{}.", encode(&with_header(json!({"alg": algorithm}))), parts[1]);
    let mut escalated = claims.clone();
    escalated["sub"] = json!("0197a2b4-7c1e-7d3a-9f00-5a6b7c8d9e0f");

    let mut hostile: Vec<(&str, String)> = vec![
        ("alg none", unsigned("none")),
        ("alg None", unsigned("None")),
        ("alg NONE, with a signature", format!("{}{}", unsigned("NONE"), parts[2])),
        ("alg empty", unsigned("")),
        ("HS512 with the key", sign_with(hmac::HMAC_SHA512, &with_header(json!({"alg": "HS512"})), &claims, key)),
        ("HS384 with the key", sign_with(hmac::HMAC_SHA384, &with_header(json!({"alg": "HS384"})), &claims, key)),
        ("HS512 signed as HS256", headed(json!({"alg": "HS512"}))),
        ("RS256 with the secret as key", headed(json!({"alg": "RS256"}))),
        ("ES256", headed(json!({"alg": "ES256"}))),
        ("EdDSA", headed(json!({"alg": "EdDSA"}))),
        ("alg a number", headed(json!({"alg": 256}))),
        ("empty key", sign(&head, &claims, b"")),
        ("the kid as key", sign(&head, &claims, kid.as_bytes())),
        ("a hash of the key as key", sign(&head, &claims, digest::digest(&digest::SHA256, key).as_ref())),
        ("kid a path", sign(&with_header(json!({"kid": "../../../../dev/null"})), &claims, b"")),
        ("kid a query", sign(&with_header(json!({"kid": "x' UNION SELECT 'a"})), &claims, b"a")),
        ("kid a stage", headed(json!({"kid": "AWSCURRENT"}))),
        ("kid null", headed(json!({"kid": null}))),
        ("kid a list", headed(json!({"kid": [kid]}))),
        ("embedded jwk", sign(&with_header(json!({"jwk": jwk})), &claims, b"mine")),
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

#[tokio::test]
async fn changing_the_key_under_load_refuses_nobody() {
    let Some(app) = TestApp::start_local(|options| options.limit = 4).await else { return };
    let (email, _) = app.register("ada").await;
    let before = app.login(&email, PASSWORD).await;
    let kid_of = |token: &Option<String>| decode(token.as_ref().unwrap(), 0)["kid"].as_str().unwrap().to_owned();

    // At once: the old key goes on signing until everybody can know the new one, whatever strangers send.
    app.shop().rotate_secret("SigningSecret", Duration::ZERO).unwrap();
    let stranger = sign(&header("no-such-key"), &claims_of(before.token.as_ref().unwrap()), b"x");
    join_all((0..8).map(|_| async {
        assert_eq!(app.bearer(stranger.clone()).get("/auth/me").await.status, 403);
        assert_eq!(before.get("/auth/me").await.status, 200);
        let after = app.login(&email, PASSWORD).await;
        assert_eq!(after.get("/auth/me").await.status, 200);
        assert_eq!(app.holder_of(&after.refresh().await).get("/auth/me").await.status, 200);
        assert_eq!(kid_of(&after.token), kid_of(&before.token));
    }))
    .await;
}

#[tokio::test]
async fn a_new_key_takes_over_from_the_old_one() {
    let Some(app) = TestApp::start_local(|options| options.limit = 8).await else { return };
    let (email, _) = app.register("ada").await;
    let before = app.login(&email, PASSWORD).await;
    let (old, _) = app.signing_key().await;

    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let load = async || {
        while !stop.load(Ordering::Relaxed) {
            assert_eq!(before.get("/auth/me").await.status, 200, "a token of the old key");
            answered.fetch_add(1, Ordering::Relaxed);
        }
    };
    let rotation = async {
        app.shop().rotate_secret("SigningSecret", Duration::from_mins(2)).unwrap();
        let (new, _) = app.signing_key().await;
        // Environments that were there go on with the old key for a while; those that these logins start have the new one.
        let logins = join_all((0..8).map(|_| app.login(&email, PASSWORD))).await;
        let mut kids = BTreeSet::new();
        for session in logins {
            assert_eq!(session.get("/auth/me").await.status, 200, "a token of either key");
            assert_eq!(app.holder_of(&session.refresh().await).get("/auth/me").await.status, 200);
            kids.insert(decode(session.token.as_ref().unwrap(), 0)["kid"].as_str().unwrap().to_owned());
        }
        assert!(kids.contains(&new) && kids.iter().all(|kid| *kid == new || *kid == old), "{kids:?}");
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
    let rotate = async |input: &Value| match app.shop().invoke("secret-rotate", input.clone()).await.outcome {
        emulator::Outcome::Payload(report) => serde_json::from_slice::<Value>(&report).unwrap()["rotated"].clone(),
        other => panic!("{other:?}"),
    };

    let (young, _) = app.signing_key().await;
    assert_eq!(rotate(&scheduled).await, false);
    assert_eq!(app.signing_key().await.0, young);

    let days = |days: u64| Duration::from_hours(days * 24);
    app.shop().rotate_secret("SigningSecret", days(89)).unwrap();
    assert_eq!(rotate(&scheduled).await, false, "no older than SigningSecretRotationDays");
    app.shop().rotate_secret("SigningSecret", days(90)).unwrap();
    let (old, old_secret) = app.signing_key().await;
    let ada = app.login(&email, PASSWORD).await;
    assert_eq!(rotate(&scheduled).await, true);
    let (new, new_secret) = app.signing_key().await;
    assert!(new != old && new_secret != old_secret && new_secret.len() == 64, "{new}");
    assert_eq!(rotate(&scheduled).await, false, "a run that is repeated changes nothing");
    assert_eq!(ada.get("/auth/me").await.status, 200);

    // After a leak: twice, and no token of before is good any more, whatever environments remember.
    assert_eq!(rotate(&json!({"force": true})).await, true);
    assert_ne!(app.signing_key().await.0, new);
}

#[tokio::test]
async fn two_rotations_at_once_make_one_new_secret() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    for _ in 0..8 {
        app.shop().rotate_secret("SigningSecret", Duration::from_hours(90 * 24)).unwrap();
        let old = app.signing_key().await;
        let rotate = || app.shop().invoke("secret-rotate", json!({}));
        futures_util::future::join3(rotate(), rotate(), rotate()).await;
        assert_ne!(app.signing_key().await, old);
        assert_eq!(app.signing_secret("AWSPREVIOUS").await, old, "a second rotation would have thrown it away");
    }
}
