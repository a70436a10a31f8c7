//! Who is asking.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::id::{SessionId, UserId};
use crate::{Error, Result};

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
