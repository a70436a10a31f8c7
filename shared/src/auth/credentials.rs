//! What clients send to get an account, to log in, and to stay logged in.

use zeroize::Zeroizing;

use super::Password;
use crate::{
    domain::{Email, Folded, Login, NameChange, Username},
    json::{Fields, FromFields, FromJson, Json},
};

/// What an account is made from.
#[derive(Debug)]
pub struct Registration {
    pub email: Email,
    pub username: Username,
    pub password: Password,
}

impl FromFields for Registration {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let email = fields.required("email");
        let username = fields.required("username");
        let password = fields.required("password");
        Some(Self { email: email?, username: username?, password: password? })
    }
}

/// A login: an e-mail address or a username, and the password.
#[derive(Debug)]
pub struct Credentials {
    pub login: Login,
    pub password: Password,
}

impl FromFields for Credentials {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let email = fields.optional::<TypedEmail>("email");
        let username = fields.optional::<Typed>("username");
        let password = fields.required("password");
        let login = match (email?, username?) {
            (Some(TypedEmail(email)), None) => Login::Email(email),
            (None, Some(Typed(username))) => Login::Username(username),
            _ => {
                fields.fault("must have either email or username");
                return None;
            }
        };
        Some(Self { login, password: password? })
    }
}

/// What somebody typed for a name. It need not be a valid one: then there is no such account, like any other.
struct Typed(Folded);

impl FromJson for Typed {
    fn from_json(json: Json<'_>) -> Result<Self, String> {
        typed(json)
            .map(|text| Self(Folded::new(text.trim())))
            .and_then(|typed| if typed.0.as_str().len() > Folded::MAX_BYTES { Err(too_long()) } else { Ok(typed) })
    }
}

/// What somebody typed for an e-mail address. One that is valid is found in either spelling of its domain.
struct TypedEmail(Folded);

impl FromJson for TypedEmail {
    fn from_json(json: Json<'_>) -> Result<Self, String> {
        let text = typed(json)?;
        match Email::parse(&text) {
            Ok(email) => Ok(Self(email.folded())),
            Err(_) => Typed::from_json(Json::String(text)).map(|Typed(folded)| Self(folded)),
        }
    }
}

/// A text that is not too long: folding takes time, and a body may be much longer than a name.
fn typed(json: Json<'_>) -> Result<String, String> {
    match json {
        Json::String(text) if text.chars().count() <= Email::MAX_CHARS => Ok(text),
        Json::String(_) => Err(too_long()),
        _ => Err("must be a string".into()),
    }
}

fn too_long() -> String {
    format!("must have at most {} characters", Email::MAX_CHARS)
}

/// The body of a refresh.
pub struct RefreshRequest {
    pub refresh_token: Zeroizing<String>,
}

impl FromFields for RefreshRequest {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let Token(refresh_token) = fields.required("refresh_token")?;
        Some(Self { refresh_token })
    }
}

/// A change of one's own password.
#[derive(Debug)]
pub struct PasswordChange {
    /// The one so far.
    pub password: Password,
    pub new_password: Password,
}

impl FromFields for PasswordChange {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let password = fields.required("password");
        let new_password = fields.required("new_password");
        Some(Self { password: password?, new_password: new_password? })
    }
}

/// What the owner of an account proves before something that cannot be taken back.
#[derive(Debug)]
pub struct Confirmation {
    pub password: Password,
}

impl FromFields for Confirmation {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self { password: fields.required("password")? })
    }
}

/// A change of one's own names.
#[derive(Debug)]
pub struct OwnChange {
    pub names: NameChange,
    pub password: Password,
}

impl FromFields for OwnChange {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let names = NameChange::read(fields);
        let password = fields.required("password");
        Some(Self { names: names?, password: password? })
    }
}

/// Somebody has forgotten a password.
#[derive(Debug)]
pub struct RecoveryRequest {
    pub email: Folded,
}

impl FromFields for RecoveryRequest {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let TypedEmail(email) = fields.required("email")?;
        Some(Self { email })
    }
}

/// Whoever has a mailed token sets another password.
pub struct Recovery {
    pub token: Zeroizing<String>,
    pub new_password: Password,
}

impl FromFields for Recovery {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let token = fields.required::<Token>("token");
        let new_password = fields.required("new_password");
        Some(Self { token: token?.0, new_password: new_password? })
    }
}

/// Whoever has a mailed token shows that the address is theirs.
pub struct Verification {
    pub token: Zeroizing<String>,
}

impl FromFields for Verification {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self { token: fields.required::<Token>("token")?.0 })
    }
}

struct Token(Zeroizing<String>);

impl FromJson for Token {
    fn from_json(json: Json<'_>) -> Result<Self, String> {
        match json {
            Json::String(text) => Ok(Self(Zeroizing::new(text))),
            _ => Err("must be a string".into()),
        }
    }
}

/// The body of a logout; may be left out.
#[derive(Debug, Default)]
pub struct LogoutRequest {
    /// Whether every session of the account ends, not only this one.
    pub all: bool,
}

impl FromFields for LogoutRequest {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self { all: fields.optional("all")?.unwrap_or_default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::tests::faults;

    fn read<T: FromFields>(body: &str) -> T {
        Fields::parse(body.as_bytes()).unwrap_or_else(|_| panic!("{body}"))
    }

    #[test]
    fn an_account_is_made_from_three_things() {
        let body = r#"{"email": "ada@example.com", "username": "Ada", "password": "correct horse battery"}"#;
        let Registration { email, username, .. } = read(body);
        assert_eq!((email.as_str(), username.as_str()), ("ada@example.com", "ada"));
        assert_eq!(faults::<Registration>("{}"), ["/email", "/username", "/password"]);
    }

    #[test]
    fn a_login_is_by_one_name_whatever_was_typed() {
        let login = |body: &str| read::<Credentials>(body).login;
        let (email, username) = (|text| Login::Email(Folded::new(text)), |text| Login::Username(Folded::new(text)));
        for (body, expected) in [
            (r#"{"email": " ADA@b\u00fccher.example ", "password": "x"}"#, email("ada@xn--bcher-kva.example")),
            (r#"{"email": " No Address ", "password": "x"}"#, email("no address")),
            (r#"{"username": " Ada! ", "password": "x"}"#, username("ada!")),
        ] {
            assert_eq!(login(body), expected, "{body}");
        }
        let of = |name: &str, text: String| format!(r#"{{"{name}": "{text}", "password": "x"}}"#);
        assert_eq!(login(&of("username", "x".repeat(254))), username(&"x".repeat(254)));
        assert_eq!(faults::<Credentials>(&of("username", "x".repeat(255))), ["/username"]);
        assert_eq!(faults::<Credentials>(&of("email", "x".repeat(255))), ["/email"]);
        for (body, pointer) in [
            (r#"{"password": "x"}"#, ""),
            (r#"{"email": "ada@example.com", "username": "ada", "password": "x"}"#, ""),
            (r#"{"email": 1, "password": "x"}"#, "/email"),
            (r#"{"username": "ada"}"#, "/password"),
        ] {
            assert_eq!(faults::<Credentials>(body), [pointer], "{body}");
        }
    }

    /// Some characters fold to many.
    #[test]
    fn a_name_that_is_too_long_when_it_is_folded_is_refused() {
        let of = |times| format!(r#"{{"username": "{}", "password": "x"}}"#, "\u{fdfa}".repeat(times));
        let bytes = Folded::new("\u{fdfa}").as_str().len();
        let most = Folded::MAX_BYTES / bytes;
        assert!(most < 254, "or it were too long as it is");
        let Credentials { login, .. } = read(&of(most));
        assert!(matches!(login, Login::Username(_)));
        assert_eq!(faults::<Credentials>(&of(most + 1)), ["/username"]);
        let to_the_byte = "\u{fdfa}".repeat(most) + &"x".repeat(Folded::MAX_BYTES - most * bytes);
        assert!(Typed::from_json(Json::String(to_the_byte)).is_ok());
    }

    #[test]
    fn what_cannot_be_a_name_is_told_why() {
        let refused = |json| Typed::from_json(json).err();
        assert_eq!(refused(Json::String("x".repeat(255))).as_deref(), Some("must have at most 254 characters"));
        assert_eq!(refused(Json::Number("1")).as_deref(), Some("must be a string"));
    }

    #[tokio::test]
    async fn both_passwords_of_a_change_are_read() {
        let change: PasswordChange = read(r#"{"password": "the old one", "new_password": "the new one"}"#);
        let hash = change.new_password.hash().await.unwrap();
        assert!(change.password.verify(Some(hash)).await.unwrap().is_none(), "they are not the same");
        assert_eq!(faults::<PasswordChange>("{}"), ["/password", "/new_password"]);
        read::<Confirmation>(r#"{"password": "the old one"}"#);
        assert_eq!(faults::<Confirmation>("{}"), ["/password"]);
    }

    #[test]
    fn names_change_with_the_password() {
        let OwnChange { names, .. } = read(r#"{"username": "ada", "password": "x"}"#);
        assert_eq!((names.username.unwrap().as_str(), names.email), ("ada", None));
        assert_eq!(faults::<OwnChange>(r#"{"username": "ada"}"#), ["/password"]);
    }

    #[test]
    fn tokens_are_texts() {
        assert_eq!(read::<RefreshRequest>(r#"{"refresh_token": "a.b.c"}"#).refresh_token.as_str(), "a.b.c");
        assert_eq!(faults::<RefreshRequest>(r#"{"refresh_token": 1}"#), ["/refresh_token"]);
        assert_eq!(read::<Verification>(r#"{"token": "a.b.c.d"}"#).token.as_str(), "a.b.c.d");
        assert_eq!(faults::<Verification>("{}"), ["/token"]);
        assert_eq!(read::<Recovery>(r#"{"token": "a.b.c.d", "new_password": "x"}"#).token.as_str(), "a.b.c.d");
        assert_eq!(faults::<Recovery>("{}"), ["/token", "/new_password"]);
        assert_eq!(read::<RecoveryRequest>(r#"{"email": "ADA@example.com"}"#).email.as_str(), "ada@example.com");
        assert_eq!(faults::<RecoveryRequest>("{}"), ["/email"]);
    }

    #[test]
    fn a_logout_is_of_one_session_unless_all_are_asked_for() {
        assert_eq!([read::<LogoutRequest>("{}").all, read::<LogoutRequest>(r#"{"all": true}"#).all], [false, true]);
        assert_eq!(faults::<LogoutRequest>(r#"{"all": "yes"}"#), ["/all"]);
    }
}
