//! Accounts, what they may do, and who is asking.

use std::{fmt, str::FromStr};

use email_address::{EmailAddress, Options};
use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use serde::{Deserialize, Serialize};

use super::{
    folded::Folded,
    id::{SessionId, UserId},
    refusal::{Refusal, Resource, Result},
    timestamp::Timestamp,
};
use crate::json::{Fields, FromFields, FromJson, Json};

/// An account, without its password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    pub user_id: UserId,
    pub email: Email,
    /// Whether a mail to this address has been answered.
    pub email_verified: bool,
    /// The address that takes its place once a mail to it has been answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending_email: Option<Email>,
    pub username: Username,
    pub role: Role,
    /// Whether the account may log in.
    pub is_active: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Grows with every change of what stands above.
    #[serde(skip)]
    pub version: u64,
}

impl User {
    /// A new account is always a customer: only an operator makes admins.
    pub fn register(user_id: UserId, email: Email, username: Username, now: Timestamp) -> Self {
        Self {
            user_id,
            email,
            email_verified: false,
            pending_email: None,
            username,
            role: Role::Customer,
            is_active: true,
            created_at: now,
            updated_at: now,
            version: 1,
        }
    }
}

/// What an account may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Customer,
    Admin,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Role {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "customer" => Ok(Self::Customer),
            "admin" => Ok(Self::Admin),
            _ => Err(()),
        }
    }
}

impl FromJson for Role {
    fn from_json(json: Json<'_>) -> Result<Self, String> {
        match json {
            Json::String(text) => text.parse().ok(),
            _ => None,
        }
        .ok_or_else(|| "must be \"customer\" or \"admin\"".into())
    }
}

/// One e-mail address as WHATWG's HTML defines it, with a dot in its domain and no dots in a row or at the ends of what stands
/// before the `@`. An international domain is kept in IDNA's ASCII form. Whether mail arrives there is for a mail to find out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Email(String);

impl Email {
    /// The longest address that fits a mail's envelope (RFC 5321, 4.5.3.1.3).
    pub const MAX_CHARS: usize = 254;

    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        // Before anything that takes time: this may be as long as a body.
        let short = text.len() <= 4 * Self::MAX_CHARS;
        short.then(|| Self::normalized(text)).flatten().ok_or_else(|| {
            format!("must be one e-mail address of at most {} characters, with nothing but ASCII before the @", Self::MAX_CHARS)
        })
    }

    fn normalized(text: &str) -> Option<Self> {
        let (local, domain) = text.rsplit_once('@')?;
        let domain =
            Uts46::new().to_ascii(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Verify).ok()?;
        let address = format!("{local}@{domain}");
        let options = Options::default().with_required_tld().without_domain_literal().without_display_text();
        // The crate takes more than HTML does: quoted text, and characters beyond ASCII.
        let plain = address.is_ascii() && !address.contains('"') && address.len() <= Self::MAX_CHARS;
        (plain && EmailAddress::parse_with_options(&address, options).is_ok()).then_some(Self(address))
    }

    /// From the table, where it was written by [`Email::as_str`].
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn folded(&self) -> Folded {
        Folded::new(&self.0)
    }
}

impl FromJson for Email {
    fn from_json(json: Json<'_>) -> Result<Self, String> {
        match json {
            Json::String(text) => Self::parse(&text),
            _ => Err("must be a string".into()),
        }
    }
}

/// A name to log in with: 3 to 32 of `a-z 0-9 . _ -`. Capitals are taken and made small.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Username(String);

impl Username {
    pub fn parse(text: &str) -> Result<Self, String> {
        let name = text.trim();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if (3..=32).contains(&name.len()) && name.bytes().all(allowed) {
            Ok(Self(name.to_ascii_lowercase()))
        } else {
            Err("must be 3 to 32 of the characters a-z, 0-9, dot, underscore and hyphen".into())
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn folded(&self) -> Folded {
        Folded::new(&self.0)
    }
}

impl FromJson for Username {
    fn from_json(json: Json<'_>) -> Result<Self, String> {
        match json {
            Json::String(text) => Self::parse(&text),
            _ => Err("must be a string".into()),
        }
    }
}

/// What somebody logs in with.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    Email(Folded),
    Username(Folded),
}

impl fmt::Debug for Login {
    /// Shows the kind only: what people type here ends up in no log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Email(_) => "Login::Email(…)",
            Self::Username(_) => "Login::Username(…)",
        })
    }
}

/// Names an account to an operator.
#[derive(Debug)]
pub enum AccountName {
    Id(UserId),
    Login(Login),
}

/// What an operator decides about an account.
#[derive(Debug)]
pub struct AccountUpdate {
    pub account: AccountName,
    /// `None` leaves it as it is, as it does for `is_active`. One of the two is set.
    pub role: Option<Role>,
    pub is_active: Option<bool>,
}

impl FromFields for AccountUpdate {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let user_id = fields.optional::<UserId>("user_id");
        let email = fields.optional::<Email>("email");
        let username = fields.optional::<Username>("username");
        let role = fields.optional("role");
        let is_active = fields.optional("is_active");
        let account = match (user_id?, email?, username?) {
            (Some(id), None, None) => AccountName::Id(id),
            (None, Some(email), None) => AccountName::Login(Login::Email(email.folded())),
            (None, None, Some(username)) => AccountName::Login(Login::Username(username.folded())),
            _ => {
                fields.fault("must have one of user_id, email and username");
                return None;
            }
        };
        let update = Self { account, role: role?, is_active: is_active? };
        if update.role.is_none() && update.is_active.is_none() {
            fields.fault("must set role or is_active");
        }
        Some(update)
    }
}

/// For what the shop wants to know that an address is its owner's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifiedEmail {
    ForNothing,
    ToOrder,
    ToLogIn,
}

/// The other names that somebody wants for their own account; `None` leaves one as it is, and one of the two is set.
#[derive(Debug, Clone)]
pub struct NameChange {
    pub username: Option<Username>,
    pub email: Option<Email>,
}

impl NameChange {
    /// Reads it beside what else a body has.
    pub fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let username = fields.optional("username");
        let email = fields.optional("email");
        let change = Self { username: username?, email: email? };
        if change.username.is_none() && change.email.is_none() {
            fields.fault("must have email or username");
        }
        Some(change)
    }
}

/// What an admin decides about an account.
#[derive(Debug)]
pub struct UserUpdate {
    /// `None` leaves it as it is, as it does for `is_active`. One of the two is set.
    pub role: Option<Role>,
    pub is_active: Option<bool>,
}

impl FromFields for UserUpdate {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let role = fields.optional("role");
        let is_active = fields.optional("is_active");
        let update = Self { role: role?, is_active: is_active? };
        if update.role.is_none() && update.is_active.is_none() {
            fields.fault("must set role or is_active");
        }
        Some(update)
    }
}

/// The authenticated account behind a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    pub user_id: UserId,
    pub role: Role,
    pub session_id: SessionId,
}

impl Caller {
    /// Refuses everybody but admins.
    pub fn require_admin(&self) -> Result {
        match self.role {
            Role::Admin => Ok(()),
            Role::Customer => Err(Refusal::Forbidden("only an admin may do this")),
        }
    }
}

/// Who does something to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    Customer(UserId),
    Admin(UserId),
    /// Nobody in particular: a schedule.
    Shop,
}

impl From<Caller> for Actor {
    fn from(caller: Caller) -> Self {
        match caller.role {
            Role::Customer => Self::Customer(caller.user_id),
            Role::Admin => Self::Admin(caller.user_id),
        }
    }
}

impl Actor {
    pub fn user_id(&self) -> Option<UserId> {
        match self {
            Self::Customer(user_id) | Self::Admin(user_id) => Some(*user_id),
            Self::Shop => None,
        }
    }

    /// Whose rights it has.
    pub fn role(&self) -> Role {
        match self {
            Self::Customer(_) => Role::Customer,
            Self::Admin(_) | Self::Shop => Role::Admin,
        }
    }

    pub fn is_admin(&self) -> bool {
        self.role() == Role::Admin
    }

    /// Refuses an order of this customer that does not exist for the actor: it is somebody else's.
    pub fn require_sight(&self, customer: UserId) -> Result {
        if self.is_admin() || self.user_id() == Some(customer) { Ok(()) } else { Err(Refusal::NotFound(Resource::Order)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::tests::id;

    #[test]
    fn what_cannot_be_an_address_is_refused() {
        for (text, kept) in [
            ("ada@example.com", "ada@example.com"),
            (" Ada.Lovelace+shop@Example.CO.UK ", "Ada.Lovelace+shop@example.co.uk"),
            ("ada@b\u{fc}cher.example", "ada@xn--bcher-kva.example"),
            ("ada@bu\u{308}cher.example", "ada@xn--bcher-kva.example"),
            ("ada@B\u{dc}CHER.example", "ada@xn--bcher-kva.example"),
            ("ada@xn--bcher-kva.example", "ada@xn--bcher-kva.example"),
            ("ada@my--shop.example", "ada@my--shop.example"),
            ("!#$%&'*+/=?^_`{|}~-@example.com", "!#$%&'*+/=?^_`{|}~-@example.com"),
            (
                &format!("{}@{}.example", "x".repeat(64), "y".repeat(63)),
                &format!("{}@{}.example", "x".repeat(64), "y".repeat(63)),
            ),
        ] {
            assert_eq!(Email::parse(text).unwrap().as_str(), kept, "{text}");
        }
        // Longer than an address may be, until it is one.
        let long = format!("ada@{}.example", vec!["日".repeat(40); 3].join("."));
        assert!(long.len() > 360 && Email::parse(&long).unwrap().as_str().len() < 160);
        let labels = format!("{}.example", vec!["y".repeat(63); 4].join("."));
        for bad in [
            "",
            "ada",
            "@example.com",
            "ada@",
            "ada@localhost",
            "a da@example.com",
            "a\n@b.c",
            "a@b@x.org",
            "ada@example.com,evil@example.com",
            "Ada <ada@example.com>",
            "<ada@example.com>",
            "<script>ada@example.com",
            "(a comment)ada@example.com",
            "\"a@b\"@example.com",
            "\"ada\"@example.com",
            ".ada@example.com",
            "ada.@example.com",
            "ada..x@example.com",
            "ada@.com",
            "ada@a..b",
            "ada@a.",
            "ada@-example.com",
            "ada@example-.com",
            "ada@exa_mple.com",
            "ada@[127.0.0.1]",
            "ada@xn--a.example",
            "\u{fc}n\u{ef}@example.com",
            "a\u{200b}da@example.com",
            "ada\u{feff}@example.com",
            "a\u{ad}da@example.com",
            "\u{202e}ada@example.com",
            "ada@exam\u{202e}ple.com",
            "ada@exam\u{0}ple.com",
            &format!("ada@{}.example", "y".repeat(64)),
            &format!("{}@example.com", "x".repeat(65)),
            &format!("ada@{labels}"),
            &format!("{}@example.com", "x".repeat(60_000)),
            &format!("ada@{}.com", "\u{fdfa}".repeat(20_000)),
        ] {
            assert!(Email::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn usernames_are_made_small() {
        assert_eq!(Username::parse("Ada_99").unwrap().as_str(), "ada_99");
        for bad in [
            "",
            "ab",
            "a b c",
            "ada!",
            "ädа",
            &"x".repeat(33),
            "ada@example.com",
            "a\u{200b}da",
            "ad\u{ad}a",
            "\u{212a}ada",
            "\u{ff41}da9",
        ] {
            assert!(Username::parse(bad).is_err(), "{bad}");
        }
    }

    fn caller(role: Role) -> Caller {
        Caller { user_id: id(1), role, session_id: id(9) }
    }

    #[test]
    fn a_role_is_read_as_it_is_written() {
        for (role, word) in [(Role::Customer, "customer"), (Role::Admin, "admin")] {
            assert_eq!((role.as_str(), word.parse()), (word, Ok(role)));
            assert_eq!(serde_json::to_value(role).unwrap(), word);
            assert_eq!(Role::from_json(Json::String(word.into())), Ok(role));
        }
        assert_eq!("Admin".parse::<Role>(), Err(()));
        assert!(Role::from_json(Json::Null).is_err());
    }

    #[test]
    fn names_are_folded_and_only_texts() {
        assert_eq!(Email::parse("Ada@Example.com").unwrap().folded().as_str(), "ada@example.com");
        assert_eq!(Email::from_json(Json::String("ada@example.com".into())), Email::parse("ada@example.com"));
        assert_eq!(Username::from_json(Json::String("Ada".into())).unwrap().folded().as_str(), "ada");
        assert!(Email::from_json(Json::Null).is_err() && Username::from_json(Json::Number("123")).is_err());
        let login = Login::Email(Email::parse("ada@example.com").unwrap().folded());
        assert_eq!(format!("{login:?}"), "Login::Email(…)");
        let login = Login::Username(Username::parse("ada").unwrap().folded());
        assert_eq!(format!("{login:?}"), "Login::Username(…)");
    }

    #[test]
    fn an_operator_names_one_account_and_what_becomes_of_it() {
        let read = |body: &str| Fields::parse::<AccountUpdate>(body.as_bytes()).ok();
        let one = "0197a2b4-7c1e-7d3a-9f00-000000000001";
        let update = read(&format!(r#"{{"user_id": "{one}", "role": "admin"}}"#)).unwrap();
        assert!(matches!(update.account, AccountName::Id(id) if id.to_string() == one));
        assert_eq!((update.role, update.is_active), (Some(Role::Admin), None));
        let update = read(r#"{"email": "ADA@example.com", "is_active": false}"#).unwrap();
        assert!(matches!(update.account, AccountName::Login(Login::Email(email)) if email.as_str() == "ada@example.com"));
        assert_eq!((update.role, update.is_active), (None, Some(false)));
        let update = read(r#"{"username": "Ada", "role": "customer", "is_active": true}"#).unwrap();
        assert!(matches!(update.account, AccountName::Login(Login::Username(name)) if name.as_str() == "ada"));
        for bad in [
            r#"{"role": "admin"}"#,
            r#"{"email": "ada@example.com"}"#,
            r#"{"email": "ada@example.com", "username": "ada", "role": "admin"}"#,
        ] {
            assert!(read(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn an_admin_decides_something_about_an_account() {
        let read = |body: &str| Fields::parse::<UserUpdate>(body.as_bytes()).ok().map(|update| (update.role, update.is_active));
        assert_eq!(read(r#"{"role": "admin"}"#), Some((Some(Role::Admin), None)));
        assert_eq!(read(r#"{"is_active": false}"#), Some((None, Some(false))));
        assert_eq!(read("{}"), None);
    }

    #[test]
    fn somebody_wants_another_name() {
        struct Body(NameChange);
        impl FromFields for Body {
            fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
                NameChange::read(fields).map(Self)
            }
        }
        let read = |body: &str| Fields::parse::<Body>(body.as_bytes()).ok().map(|Body(change)| (change.username, change.email));
        assert_eq!(read(r#"{"username": "ada"}"#), Some((Username::parse("ada").ok(), None)));
        assert_eq!(read(r#"{"email": "ada@example.com"}"#), Some((None, Email::parse("ada@example.com").ok())));
        assert_eq!(read("{}"), None);
    }

    #[test]
    fn an_actor_has_the_rights_of_a_role() {
        assert_eq!(caller(Role::Admin).require_admin(), Ok(()));
        assert!(matches!(caller(Role::Customer).require_admin(), Err(Refusal::Forbidden(_))));
        let (customer, admin) = (Actor::from(caller(Role::Customer)), Actor::from(caller(Role::Admin)));
        assert_eq!((customer, admin), (Actor::Customer(id(1)), Actor::Admin(id(1))));
        for (actor, user_id, role) in
            [(customer, Some(id(1)), Role::Customer), (admin, Some(id(1)), Role::Admin), (Actor::Shop, None, Role::Admin)]
        {
            assert_eq!((actor.user_id(), actor.role(), actor.is_admin()), (user_id, role, role == Role::Admin));
        }
        for actor in [customer, admin, Actor::Shop] {
            assert_eq!(actor.require_sight(id(1)), Ok(()));
        }
        assert_eq!(customer.require_sight(id(2)), Err(Refusal::NotFound(Resource::Order)));
        assert_eq!((admin.require_sight(id(2)), Actor::Shop.require_sight(id(2))), (Ok(()), Ok(())));
    }

    #[test]
    fn a_new_account_is_a_customers() {
        let (email, username) = (Email::parse("ada@example.com").unwrap(), Username::parse("ada").unwrap());
        let user = User::register(id(1), email.clone(), username.clone(), Timestamp::from_millis(7));
        assert_eq!((user.user_id, &user.email, &user.username), (id(1), &email, &username));
        assert_eq!((user.role, user.is_active, user.email_verified, user.version), (Role::Customer, true, false, 1));
    }
}
