//! Accounts and their sessions.

use serde_json::{Value, json};

use super::{
    Id, Resource, Route,
    conventions::{page, times},
    examples::{SESSION_ID, USER_ID},
    schema::{answer, change, field, id, input, instead, merged, query, reference, strictly, text, with},
};
use crate::{
    auth::Password,
    domain::{self, Email, Role, Session, UserAgent},
};

pub(super) const ACCOUNTS: Resource =
    Resource { tag: "auth", description: "Accounts and sessions", routes: ROUTES, ids: IDS, parameters, schemas };

const IDS: &[Id] = &[
    Id { name: "user_id", of: domain::Resource::Account, description: "The account", example: USER_ID },
    Id { name: "session_id", of: domain::Resource::Session, description: "The session", example: SESSION_ID },
];

const ROUTES: &[Route] = &[
    Route {
        key: "POST /auth/register",
        function: "auth-register",
        operation_id: "register",
        summary: "Open an account",
        description: "A customer's. Passwords are judged by how easily they are guessed, also by somebody who knows the names of the account and of the shop. One address may make 60 accounts in a quarter of an hour, unless the shop sets another limit. A mail asks whether the address is theirs.",
        what: "opens a customer's account; a mail asks whether the address is theirs",
        body: Some("Registration"),
        success: (201, Some("User")),
        problems: &["email-taken", "username-taken", "weak-password", "invalid-request", "too-many-attempts"],
        ..Route::PLAIN
    },
    Route {
        key: "POST /auth/login",
        function: "auth-login",
        operation_id: "login",
        summary: "Log in",
        description: "Ten failures from one address close an account to that address for a quarter of an hour, a hundred from all addresses to those without a session of it. One address may fail 60 times over all accounts, unless the shop sets another limit.",
        what: "access and refresh token for e-mail address or username, and password",
        body: Some("Credentials"),
        success: (200, Some("Tokens")),
        problems: &["invalid-credentials", "email-not-verified", "too-many-attempts", "invalid-request"],
        ..Route::PLAIN
    },
    Route {
        key: "GET /auth/me",
        function: "auth-me",
        operation_id: "me",
        summary: "Get one's own account",
        who: "any account",
        what: "the caller's own account",
        caller: Some(Role::Customer),
        success: (200, Some("User")),
        ..Route::PLAIN
    },
    Route {
        key: "PUT /auth/me",
        function: "auth-me-update",
        operation_id: "updateMe",
        summary: "Change one's own names",
        description: "Needs the password; failures count as failed logins do. Another address takes the place of the one so far when a mail to it is answered (until then it is `pending_email`), and the one so far is told. The address that the account has already calls off the other.",
        who: "any account",
        what: "another username, or an address that takes effect when a mail to it is answered, for who knows the password",
        caller: Some(Role::Customer),
        body: Some("OwnChange"),
        success: (200, Some("User")),
        problems: &[
            "invalid-credentials",
            "email-taken",
            "username-taken",
            "too-many-attempts",
            "mail-not-configured",
            "invalid-request",
        ],
        ..Route::PLAIN
    },
    Route {
        key: "POST /auth/recovery",
        function: "auth-recovery-start",
        operation_id: "startRecovery",
        summary: "Ask for a mail with which to set another password",
        description: "The answer is the same, and takes as long, whether or not there is such an account. One address may ask as often as it may open accounts, and an account is sent one mail in a minute.",
        what: "a mail with a token for another password, if there is such an account",
        body: Some("RecoveryRequest"),
        success: (202, None),
        problems: &["too-many-attempts", "mail-not-configured", "invalid-request"],
        ..Route::PLAIN
    },
    Route {
        key: "PUT /auth/recovery",
        function: "auth-recovery",
        operation_id: "recover",
        summary: "Set another password with a mailed token",
        description: "A token is good once, for 30 minutes, and until a newer one is sent. Every session ends, failed logins are forgotten, and the address counts as verified.",
        what: "another password, for who has a mailed token; every session ends",
        body: Some("Recovery"),
        success: (204, None),
        problems: &["invalid-token", "weak-password", "invalid-request"],
        ..Route::PLAIN
    },
    Route {
        key: "POST /auth/verification",
        function: "auth-verification-send",
        operation_id: "sendVerification",
        summary: "Ask for another mail with which to verify one's address",
        description: "One goes out in a minute at most.",
        who: "any account",
        what: "another mail that asks whether the address is theirs",
        caller: Some(Role::Customer),
        success: (202, None),
        problems: &["already-verified", "mail-not-configured"],
        ..Route::PLAIN
    },
    Route {
        key: "PUT /auth/verification",
        function: "auth-verification",
        operation_id: "verify",
        summary: "Verify an address with a mailed token",
        description: "A token is good once, for 24 hours, and until a newer one is sent.",
        what: "the address is verified, for who has a mailed token",
        body: Some("Verification"),
        success: (204, None),
        problems: &["invalid-token", "email-taken", "invalid-request"],
        ..Route::PLAIN
    },
    Route {
        key: "PUT /auth/password",
        function: "auth-password",
        operation_id: "changePassword",
        summary: "Change one's password",
        description: "Needs the one so far; failures count as failed logins do. Every other session of the account ends.",
        who: "any account",
        what: "another password, for who knows the one so far; every other session ends",
        caller: Some(Role::Customer),
        body: Some("PasswordChange"),
        success: (204, None),
        problems: &["invalid-credentials", "weak-password", "too-many-attempts", "invalid-request"],
        ..Route::PLAIN
    },
    Route {
        key: "GET /auth/sessions",
        function: "auth-session-list",
        operation_id: "listSessions",
        summary: "List one's own sessions",
        description: "The last used first; there are at most 20.",
        who: "any account",
        what: "where the caller is logged in",
        caller: Some(Role::Customer),
        success: (200, Some("SessionList")),
        ..Route::PLAIN
    },
    Route {
        key: "DELETE /auth/sessions/{session_id}",
        function: "auth-session-end",
        operation_id: "endSession",
        summary: "End one of one's own sessions",
        description: "Its access and refresh tokens are dead at once.",
        who: "any account",
        what: "ends one of the caller's sessions",
        caller: Some(Role::Customer),
        success: (204, None),
        problems: &["not-found"],
        ..Route::PLAIN
    },
    Route {
        key: "GET /users",
        function: "user-list",
        operation_id: "listUsers",
        summary: "List accounts",
        description: "By e-mail address.",
        who: "admin",
        what: "the accounts by e-mail address; `?prefix=`",
        caller: Some(Role::Admin),
        parameters: &["addressPrefix", "limit", "cursor"],
        success: (200, Some("UserList")),
        problems: &["forbidden", "invalid-request", "invalid-cursor"],
        ..Route::PLAIN
    },
    Route {
        key: "GET /users/{user_id}",
        function: "user-get",
        operation_id: "getUser",
        summary: "Get an account",
        who: "admin",
        what: "one account",
        caller: Some(Role::Admin),
        success: (200, Some("User")),
        problems: &["forbidden", "not-found"],
        ..Route::PLAIN
    },
    Route {
        key: "PUT /users/{user_id}",
        function: "user-update",
        operation_id: "updateUser",
        summary: "Set the role of an account, or whether it is active",
        description: "Its sessions end. The last active admin stays one.",
        who: "admin",
        what: "role and activity of an account; its sessions end, and the last active admin stays one",
        caller: Some(Role::Admin),
        body: Some("UserUpdate"),
        success: (200, Some("User")),
        problems: &["forbidden", "not-found", "last-admin", "invalid-request"],
        ..Route::PLAIN
    },
    Route {
        key: "GET /.well-known/jwks.json",
        function: "auth-keys",
        operation_id: "keys",
        summary: "Get the keys that access tokens are checked with",
        description: "A JWK Set (RFC 7517), with which any service can check an access token by itself: ES256, `iss` is `stockroom`, `aud` is `stockroom-api`, `typ` is `at+jwt`. Whether its session has ended, only this API knows. A new key is here for ten minutes before it signs.",
        what: "the public keys of access tokens, for other services",
        success: (200, Some("KeySet")),
        ..Route::PLAIN
    },
    Route {
        key: "DELETE /auth/me",
        function: "auth-me-delete",
        operation_id: "eraseMe",
        summary: "Erase one's own account",
        description: "Needs the password; failures count as failed logins do. PENDING orders are cancelled, all sessions end, the names are free again, and the orders stay without metadata under an id that names nobody. Not while orders are CONFIRMED or SHIPPED.",
        who: "any account",
        what: "erases the account, for who knows its password",
        caller: Some(Role::Customer),
        body: Some("Confirmation"),
        success: (204, None),
        problems: &["invalid-credentials", "open-orders", "last-admin", "too-many-attempts", "invalid-request"],
        ends: true,
        ..Route::PLAIN
    },
    Route {
        key: "POST /auth/refresh",
        function: "auth-refresh",
        operation_id: "refresh",
        summary: "Exchange a refresh token for the next pair",
        description: "Each is good once, and for 30 seconds more after it was replaced: then it gets the current one. One that is shown later ends the session.",
        what: "the next pair of tokens for a refresh token",
        body: Some("RefreshRequest"),
        success: (200, Some("Tokens")),
        problems: &["invalid-refresh-token", "invalid-request"],
        ends: true,
        ..Route::PLAIN
    },
    Route {
        key: "POST /auth/logout",
        function: "auth-logout",
        operation_id: "logout",
        summary: "Log out",
        description: "Ends this session, or with `all` every one of the account. Access and refresh tokens are dead at once. The body may be left out.",
        who: "any account",
        what: "ends this session, or with `{\"all\": true}` every one; an account has at most 20",
        caller: Some(Role::Customer),
        body: Some("LogoutRequest"),
        body_required: false,
        success: (204, None),
        problems: &["invalid-request"],
        ends: true,
        ..Route::PLAIN
    },
];

/// An address as WHATWG's HTML has it, with a dot in the domain, and no dots in a row or at the ends before the `@`.
const EMAIL: &str = "^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\\.)+[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$";

const USERNAME: &str = "^[a-z0-9._-]{3,32}$";

const EXAMPLE_EMAIL: &str = "ada@example.com";
const EXAMPLE_USERNAME: &str = "ada";
const EXAMPLE_PASSWORD: &str = "Zwetschgenmus mit Zimt";
/// The login of the admin of a shop that `cargo run -p local` has filled, who may do everything.
pub(super) const ADMIN_LOGIN: &str = r#"{"email": "admin@example.com", "password": "keep-this-one-local"}"#;

fn parameters() -> Value {
    json!({
        "addressPrefix": query("prefix", json!({"type": "string", "maxLength": 200}), "Only those whose e-mail address begins with this, whatever the case"),
    })
}

/// A password that there is.
fn password(description: &str) -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": Password::MAX_CHARS, "format": "password", "description": description, "examples": [EXAMPLE_PASSWORD]})
}

/// One that is to be.
fn new_password(example: &str) -> Value {
    json!({"type": "string", "minLength": Password::MIN_CHARS, "maxLength": Password::MAX_CHARS, "format": "password", "description": "8 to 128 characters of any kind", "examples": [example]})
}

/// A token, which strictly may be any text: what is none of ours is refused with a code of its own.
fn token(max: usize, description: &str, example: &str) -> Value {
    let token = json!({"type": "string", "description": description, "examples": [example]});
    instead(token.clone(), with(token, "maxLength", max.into()))
}

fn mailed_token() -> Value {
    let tag = "bm90IG9uZSBvZiBvdXJz";
    token(200, "Of the mail", &format!("{USER_ID}.recovery.{SESSION_ID}.{tag}"))
}

fn email(description: &str) -> Value {
    let email = json!({"type": "string", "format": "email", "maxLength": Email::MAX_CHARS, "description": description, "examples": [EXAMPLE_EMAIL]});
    strictly(email, json!({"pattern": EMAIL}))
}

fn username(description: &str) -> Value {
    json!({"type": "string", "maxLength": 32, "pattern": USERNAME, "description": description, "examples": [EXAMPLE_USERNAME]})
}

/// An account is named by one of its two names.
fn credentials() -> Value {
    let name = |description: &str, example: &str| json!({"type": "string", "minLength": 1, "maxLength": Email::MAX_CHARS, "description": description, "examples": [example]});
    let whole = |which: &str, other: &str| {
        let mut properties = json!({"password": password("Of the account"), which: name("", "")});
        properties[other] = json!({"type": "null"});
        input(properties, &[other])
    };
    let properties = json!({
        "email": name("Of the account, or its `username`", EXAMPLE_EMAIL),
        "username": name("Of the account, or its `email`", EXAMPLE_USERNAME),
        "password": password("Of the account"),
    });
    let described = |schema: Value| {
        let example: Value = serde_json::from_str(ADMIN_LOGIN).unwrap_or_default();
        merged(
            schema,
            json!({"description": "An e-mail address or a username, one of them, and the password", "examples": [example]}),
        )
    };
    instead(
        described(json!({"oneOf": [whole("email", "username"), whole("username", "email")]})),
        described(input(properties, &["email", "username"])),
    )
}

fn schemas() -> Value {
    let jwt = |description: &str| text(2_048, description, "eyJhbGciOiJFUzI1NiJ9.e30.x");
    let fixed = |value: &str, description: &str| json!({"type": "string", "const": value, "description": description});
    let coordinate = || text(43, "A coordinate, in Base64 for URLs", "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU");
    let flag = |description: &str, example: bool| json!({"type": "boolean", "description": description, "examples": [example]});
    json!({
        "Role": {"type": "string", "enum": [Role::Customer, Role::Admin], "description": "What an account may do", "examples": [Role::Customer]},
        "User": answer(
            merged(
                json!({
                    "user_id": id(USER_ID, "The account"),
                    "email": text(Email::MAX_CHARS, "Unique whatever the case", EXAMPLE_EMAIL),
                    "email_verified": flag("Whether a mail to this address has been answered", false),
                    "pending_email": {"type": "string", "maxLength": Email::MAX_CHARS, "description": "The address that takes its place when a mail to it is answered"},
                    "username": text(32, "Unique whatever the case", EXAMPLE_USERNAME),
                    "role": reference("schemas", "Role"),
                    "is_active": flag("Whether it may log in", true),
                }),
                times(),
            ),
            &["pending_email"],
        ),
        "UserList": page("users", "User"),
        "UserUpdate": change(
            with(
                input(json!({"role": reference("schemas", "Role"), "is_active": flag("Whether it may log in", true)}), &["role", "is_active"]),
                "examples",
                json!([{"is_active": true}]),
            ),
            &[("role", Some(json!("string"))), ("is_active", Some(json!("boolean")))],
        ),
        "PasswordChange": input(json!({"password": password("The one so far"), "new_password": new_password("Quittengelee mit Nelken")}), &[]),
        "OwnChange": change(
            input(
                json!({
                    "username": username("Another one"),
                    "email": email("Another one"),
                    "password": password("Of the account"),
                }),
                &["username", "email"],
            ),
            &[("username", Some(json!("string"))), ("email", Some(json!("string")))],
        ),
        "RecoveryRequest": input(json!({"email": text(Email::MAX_CHARS, "Of the account", EXAMPLE_EMAIL)}), &[]),
        "Recovery": input(json!({"token": mailed_token(), "new_password": new_password("Quittengelee mit Nelken")}), &[]),
        "Verification": input(json!({"token": mailed_token()}), &[]),
        "Confirmation": input(json!({"password": password("Of the account")}), &[]),
        "Session": answer(
            json!({
                "session_id": id(SESSION_ID, "The session"),
                "created_at": field("Time", "When it began, with a login"),
                "last_used_at": field("Time", "When it was last refreshed"),
                "expires_at": with(field("Time", "When it ends at the latest"), "examples", json!(["2026-11-29T10:12:30.123Z"])),
                "user_agent": {"type": ["string", "null"], "maxLength": UserAgent::MAX_CHARS, "description": "What logged in, as it called itself", "examples": ["curl/8.5.0"]},
                "current": flag("Whether it is the one that asks", true),
            }),
            &[],
        ),
        "SessionList": answer(json!({"sessions": {"type": "array", "maxItems": Session::MAX_PER_ACCOUNT, "items": reference("schemas", "Session"), "description": "The last used first"}}), &[]),
        "PublicKey": answer(
            json!({
                "kty": fixed("EC", "Elliptic curve"),
                "use": fixed("sig", "For signatures"),
                "alg": fixed("ES256", "ECDSA with SHA-256"),
                "crv": fixed("P-256", "The curve"),
                "kid": text(64, "As in the header of tokens", "2026-11-22"),
                "x": coordinate(),
                "y": coordinate(),
            }),
            &[],
        ),
        "KeySet": answer(json!({"keys": {"type": "array", "maxItems": 16, "items": reference("schemas", "PublicKey"), "description": "Those that sign, or have signed a token that is still good"}}), &[]),
        "Registration": input(
            json!({
                "email": email("An international domain may be sent in Unicode too, and is answered in IDNA's ASCII form"),
                "username": username("Capitals are taken and made small"),
                "password": new_password(EXAMPLE_PASSWORD),
            }),
            &[],
        ),
        "Credentials": credentials(),
        "RefreshRequest": input(json!({"refresh_token": token(2_048, "Of `login` or the last `refresh`", "eyJhbGciOiJFUzI1NiJ9.e30.x")}), &[]),
        "LogoutRequest": input(json!({"all": {"type": "boolean", "default": false, "description": "Whether to end every session of the account"}}), &["all"]),
        "Tokens": answer(
            json!({
                "access_token": jwt("For `Authorization: Bearer …`"),
                "refresh_token": jwt("For `refresh`; good for 7 days from login"),
                "token_type": fixed("Bearer", "How the access token is sent"),
                "expires_in": {"type": "integer", "format": "int32", "minimum": 1, "description": "Seconds that the access token is good for", "examples": [900]},
            }),
            &[],
        ),
    })
}
