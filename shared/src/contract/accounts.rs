//! Accounts and their sessions.

use serde_json::{Value, json};

use super::{
    Resource, Route,
    conventions::times,
    schema::{field, input, merged, object, text, with},
};
use crate::domain::{Email, Role};

pub(super) const ACCOUNTS: Resource =
    Resource { tag: "auth", description: "Accounts and sessions", routes: ROUTES, ids: &[], parameters: || json!({}), schemas };

const ROUTES: &[Route] = &[
    Route {
        key: "POST /auth/register",
        function: "auth-register",
        operation_id: "register",
        summary: "Open an account",
        description: "A customer's. Passwords are judged by how easily they are guessed, also by somebody who knows the names of the account and of the shop. One address may make 60 accounts in a quarter of an hour, unless the shop sets another limit.",
        what: "opens a customer's account",
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
        problems: &["invalid-credentials", "too-many-attempts", "invalid-request"],
        // The admin of a shop that `cargo run -p local` has filled, who may do everything.
        request: Some(r#"{"email": "admin@example.com", "password": "keep-this-one-local"}"#),
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
        key: "POST /auth/refresh",
        function: "auth-refresh",
        operation_id: "refresh",
        summary: "Exchange a refresh token for the next pair",
        description: "Each is good once, and for 30 seconds more after it was replaced: then it gets the current one. One that is shown later ends the session.",
        what: "the next pair of tokens for a refresh token",
        body: Some("RefreshRequest"),
        success: (200, Some("Tokens")),
        problems: &["invalid-refresh-token", "invalid-request"],
        request: Some(r#"{"refresh_token": "{{login.response.body.$.refresh_token}}"}"#),
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

const EXAMPLE_EMAIL: &str = "ada@example.com";
const EXAMPLE_USERNAME: &str = "ada";
const EXAMPLE_PASSWORD: &str = "Zwetschgenmus mit Zimt";

/// The body of a login that names the account by one of its two names.
fn login(which: &str) -> Value {
    let mut properties = json!({"password": {"type": "string", "minLength": 1, "maxLength": 128, "format": "password", "examples": [EXAMPLE_PASSWORD]}});
    let (other, example) = if which == "email" { ("username", EXAMPLE_EMAIL) } else { ("email", EXAMPLE_USERNAME) };
    properties[which] = json!({"type": "string", "minLength": 1, "maxLength": Email::MAX_CHARS, "examples": [example]});
    properties[other] = json!({"type": "null"});
    object(properties, &[other])
}

fn schemas() -> Value {
    json!({
        "User": object(
            merged(
                json!({
                    "user_id": field("Id", "The account"),
                    "email": with(text("Unique whatever the case"), "examples", json!([EXAMPLE_EMAIL])),
                    "username": with(text("Unique whatever the case"), "examples", json!([EXAMPLE_USERNAME])),
                    "role": {"type": "string", "enum": [Role::Customer, Role::Admin]},
                    "is_active": {"type": "boolean", "description": "Whether it may log in"},
                }),
                times(),
            ),
            &[],
        ),
        "Registration": object(
            json!({
                "email": {"type": "string", "format": "email", "maxLength": Email::MAX_CHARS, "pattern": EMAIL, "description": "An international domain may be sent in Unicode too, and is answered in IDNA's ASCII form", "examples": [EXAMPLE_EMAIL]},
                "username": {"type": "string", "pattern": "^[a-z0-9._-]{3,32}$", "description": "Capitals are taken and made small", "examples": [EXAMPLE_USERNAME]},
                "password": {"type": "string", "minLength": 8, "maxLength": 128, "format": "password", "description": "8 to 128 characters of any kind", "examples": [EXAMPLE_PASSWORD]},
            }),
            &[],
        ),
        "Credentials": {
            "oneOf": [login("email"), login("username")],
            "description": "An e-mail address or a username, and the password",
            "examples": [{"email": EXAMPLE_EMAIL, "password": EXAMPLE_PASSWORD}],
        },
        "RefreshRequest": object(json!({"refresh_token": with(text("Of `login` or the last `refresh`"), "examples", json!(["eyJhbGciOiJIUzI1NiJ9.e30.x"]))}), &[]),
        "LogoutRequest": input(json!({"all": {"type": "boolean", "default": false, "description": "Whether to end every session of the account"}}), &["all"]),
        "Tokens": object(
            json!({
                "access_token": text("A JWT, for `Authorization: Bearer …`"),
                "refresh_token": text("A JWT, for `refresh`; good for 7 days from login"),
                "token_type": {"const": "Bearer"},
                "expires_in": {"type": "integer", "minimum": 1, "description": "Seconds that the access token is good for", "examples": [900]},
            }),
            &[],
        ),
    })
}
