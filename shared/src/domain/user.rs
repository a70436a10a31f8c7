//! Accounts, what they may do, and who is asking.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{
    fields::{Fields, FromFields, FromJson, Json},
    folded::Folded,
    id::{SessionId, UserId},
    text::is_joiner_or_selector,
    timestamp::Timestamp,
};
use crate::{Error, Result};

/// An account, without its password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    pub user_id: UserId,
    pub email: Email,
    pub username: Username,
    pub role: Role,
    /// Whether the account may log in.
    pub is_active: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl User {
    /// A new account is always a customer: only an operator makes admins.
    pub fn register(user_id: UserId, email: Email, username: Username, now: Timestamp) -> Self {
        Self { user_id, email, username, role: Role::Customer, is_active: true, created_at: now, updated_at: now }
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

/// An e-mail address as it was given. Whether mail arrives there is for a mail to find out; only what cannot be one is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Email(String);

impl Email {
    /// The longest address that fits a mail's envelope (RFC 5321, 4.5.3.1.3).
    pub const MAX_CHARS: usize = 254;

    pub fn parse(text: &str) -> Result<Self, String> {
        let email = text.trim();
        let well_formed = email.rsplit_once('@').is_some_and(|(local, domain)| {
            !local.is_empty()
                && !domain.starts_with('.')
                && !domain.ends_with('.')
                && domain.contains('.')
                && !domain.contains("..")
                && domain.chars().all(|c| c.is_alphanumeric() || c == '.' || c == '-')
        });
        let plain = !email.chars().any(|c| c.is_control() || c.is_whitespace());
        let short = email.chars().count() <= Self::MAX_CHARS && Folded::new(email).as_str().len() <= Folded::MAX_BYTES;
        if well_formed && plain && short {
            Ok(Self(email.to_owned()))
        } else {
            Err(format!("must be an e-mail address of at most {} characters", Self::MAX_CHARS))
        }
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
        let folded = Folded::new(text.trim());
        let name = folded.as_str();
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        // Folding leaves these out, and a username has none to begin with.
        let plain = !text.chars().any(is_joiner_or_selector);
        if plain && (3..=32).contains(&name.len()) && name.bytes().all(allowed) {
            Ok(Self(name.to_owned()))
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
pub struct AccountOrder {
    pub account: AccountName,
    /// `None` leaves it as it is, as it does for `is_active`. One of the two is set.
    pub role: Option<Role>,
    pub is_active: Option<bool>,
}

impl FromFields for AccountOrder {
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
        let order = Self { account, role: role?, is_active: is_active? };
        if order.role.is_none() && order.is_active.is_none() {
            fields.fault("must set role or is_active");
        }
        Some(order)
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
            Role::Customer => Err(Error::Forbidden("only an admin may do this")),
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

    /// Whether an order of this customer exists for the actor.
    pub fn may_see(&self, customer: UserId) -> bool {
        self.is_admin() || self.user_id() == Some(customer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_an_address_is_refused() {
        for good in ["ada@example.com", " Ada.Lovelace+shop@Example.CO.UK ", "ünï@bücher.example", "\"a@b\"@example.com"] {
            assert!(Email::parse(good).is_ok(), "{good}");
        }
        let long = format!("{}@example.com", "x".repeat(250));
        for bad in [
            "",
            "ada",
            "@example.com",
            "ada@",
            "ada@localhost",
            "a da@example.com",
            "ada@.com",
            "ada@a..b",
            "ada@a.",
            &long,
            "a\n@b.c",
        ] {
            assert!(Email::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn usernames_are_made_small() {
        assert_eq!(Username::parse("Ada_99").unwrap().as_str(), "ada_99");
        for bad in
            ["", "ab", "a b c", "ada!", "a\u{200d}da", "ada\u{fe0f}", "ada\u{200b}", "ädа", &"x".repeat(33), "ada@example.com"]
        {
            assert!(Username::parse(bad).is_err(), "{bad}");
        }
    }
}
