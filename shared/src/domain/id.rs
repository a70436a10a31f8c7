//! Identifiers: UUIDs, one type per entity so that they cannot be mixed up.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::json::{FromJson, Json};

/// The text is no UUID in the usual form of 36 characters.
#[derive(Debug, PartialEq, Eq)]
pub struct NotAnId;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl $name {
            /// The id as a number, whose lowest bits are random.
            pub fn bits(self) -> u128 {
                self.0.as_u128()
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                // `Uuid` reads braces, URNs and bare hex too; one thing should have one path.
                if text.len() != 36 {
                    return Err(NotAnId);
                }
                Uuid::try_parse(text).map(Self).map_err(|_| NotAnId)
            }
        }

        impl FromJson for $name {
            fn from_json(json: Json<'_>) -> Result<Self, String> {
                match json {
                    Json::String(text) => text.parse().ok(),
                    _ => None,
                }
                .ok_or_else(|| "must be a UUID".into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

ids! {
    /// Names a product.
    ProductId
    /// Names a movement of pieces into the shop or out of it.
    MovementId
    /// Names an order.
    OrderId
    /// Names a line of an order.
    OrderItemId
    /// Names a user account.
    UserId
    /// Names one login of an account, until it logs out or seven days have passed.
    SessionId
    /// Names what makes a mailed token good.
    TicketId
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The id with this number.
    pub(in crate::domain) fn id<T: From<Uuid>>(n: u128) -> T {
        Uuid::from_u128(n).into()
    }

    #[test]
    fn only_the_usual_form_is_an_id() {
        let good = "0197a2b4-7c1e-7d3a-9f00-5a6b7c8d9e0f";
        assert_eq!(good.parse::<ProductId>().unwrap().to_string(), good);
        assert_eq!(good.to_uppercase().parse::<ProductId>().unwrap().to_string(), good);

        for bad in [
            "",
            "1",
            "0197a2b47c1e7d3a9f005a6b7c8d9e0f",
            "{0197a2b4-7c1e-7d3a-9f00-5a6b7c8d9e0f}",
            "urn:uuid:0197a2b4-7c1e-7d3a-9f00-5a6b7c8d9e0f",
            "0197a2b4-7c1e-7d3a-9f00-5a6b7c8d9e0g",
            "0197a2b4-7c1e-7d3a-9f00-5a6b7c8d9e0f ",
        ] {
            assert_eq!(bad.parse::<ProductId>(), Err(NotAnId), "{bad:?}");
        }
    }
}
