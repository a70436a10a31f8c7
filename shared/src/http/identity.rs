//! Who is asking: what the authorizer decides, and how that reaches the functions.

use std::collections::BTreeMap;

use crate::{Error, Result, auth::TokenClaims, domain::Caller};

/// What the authorizer decides about a token.
#[derive(Debug)]
pub enum Decision {
    /// A caller with a session.
    Allow(Caller),
    /// A token that we issued and that is good no more, or cannot be checked now. The request is let through to its function
    /// without a caller, and the function answers this error: the gateway alone could only say 403.
    AllowUnauthenticated(Error),
    /// Not a token of ours: the gateway answers 403.
    Deny,
}

impl From<TokenClaims> for Caller {
    fn from(claims: TokenClaims) -> Self {
        Self { user_id: claims.user_id, role: claims.role, session_id: claims.session_id }
    }
}

impl Decision {
    /// What the functions find in `requestContext.authorizer.lambda`.
    pub fn context(&self) -> Option<BTreeMap<&'static str, String>> {
        match self {
            Self::Allow(caller) => Some(BTreeMap::from([
                ("user_id", caller.user_id.to_string()),
                ("role", caller.role.as_str().to_owned()),
                ("session_id", caller.session_id.to_string()),
            ])),
            Self::AllowUnauthenticated(error) => {
                let reason = match error {
                    Error::TokenExpired => "expired",
                    Error::TokenRevoked => "revoked",
                    _ => "unavailable",
                };
                Some(BTreeMap::from([("refused", reason.to_owned())]))
            }
            Self::Deny => None,
        }
    }

    /// Reads the caller back out of that context. Anything but a whole caller is nobody.
    pub fn from_context<'a>(field: impl Fn(&'static str) -> Option<&'a str>) -> Result<Caller> {
        match field("refused") {
            Some("expired") => return Err(Error::TokenExpired),
            Some("revoked") => return Err(Error::TokenRevoked),
            Some("unavailable") => return Err(Error::Unavailable("the token could not be checked".into())),
            Some(_) => return Err(Error::Unauthenticated),
            None => {}
        }
        let caller = || {
            Some(Caller {
                user_id: field("user_id")?.parse().ok()?,
                role: field("role")?.parse().ok()?,
                session_id: field("session_id")?.parse().ok()?,
            })
        };
        caller().ok_or(Error::Unauthenticated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Role;

    fn read_back(decision: &Decision) -> Result<Caller> {
        let context = decision.context().unwrap_or_default();
        Decision::from_context(|name| context.get(name).map(String::as_str))
    }

    #[test]
    fn only_a_whole_caller_comes_through() {
        let caller = Caller {
            user_id: "0197a2b4-7c1e-7d3a-9f00-5a6b7c8d9e0f".parse().unwrap(),
            role: Role::Admin,
            session_id: "0197a2b4-7c1e-7d3a-9f00-5a6b7c8d9e10".parse().unwrap(),
        };
        assert_eq!(read_back(&Decision::Allow(caller)).unwrap(), caller);
        assert!(matches!(read_back(&Decision::AllowUnauthenticated(Error::TokenExpired)), Err(Error::TokenExpired)));
        assert!(matches!(read_back(&Decision::AllowUnauthenticated(Error::TokenRevoked)), Err(Error::TokenRevoked)));
        assert!(matches!(read_back(&Decision::AllowUnauthenticated(Error::Internal(String::new()))), Err(Error::Unavailable(_))));
        assert!(matches!(read_back(&Decision::Deny), Err(Error::Unauthenticated)));

        let whole = Decision::Allow(caller).context().unwrap();
        for missing in whole.keys() {
            let part = |name| whole.get(name).map(String::as_str).filter(|_| name != *missing);
            assert!(matches!(Decision::from_context(part), Err(Error::Unauthenticated)), "without {missing}");
        }
    }
}
