//! What an audit finds: what contradicts what, whether half of one transaction could have made it, and what puts it right.

use std::fmt;

use serde_json::{Map, Value};

use super::layout::Item;

/// One thing that is wrong with one item.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    pub pk: String,
    pub sk: String,
    pub what: String,
}

impl Violation {
    pub fn of(item: &Item, what: impl Into<String>) -> Self {
        Self { pk: item.pk.clone(), sk: item.sk.clone(), what: what.into() }
    }
}

/// `PRODUCT#… STOCK#00: 2 are reserved, but orders hold 3`
impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.pk, self.sk, self.what)
    }
}

/// A state that one transaction leaves when only some of its writes are there, named by what is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tear {
    /// Everything that moves stock between the shelf and an order, or out of the shop.
    ReservationWithoutLine,
    /// Everything that moves stock between the shelf and an order, or out of the shop.
    LineWithoutReservation,
    /// Creating, renaming or deleting a product; registering.
    OwnerWithoutEntity,
    /// Creating, renaming or deleting a product; registering.
    EntityWithoutOwner,
    /// Creating or deleting a product.
    StockWithoutProduct,
    /// Creating or deleting a product; spreading its stock.
    ProductWithoutStock,
    /// Spreading the stock of a product.
    UncountedStock,
    /// Changing the name or the price of a product.
    StockUnlikeProduct,
    /// Creating or counting a product, a movement of its stock; everything that moves pieces between its shards.
    MovementWithoutStock,
    /// Registering, and logging in at the same instant.
    SessionWithoutUser,
    /// Registering, and erasing an account.
    PasswordWithoutUser,
    /// Registering, and erasing an account.
    UserWithoutPassword,
    /// Setting the role or the activity of an account, and erasing it.
    AdminWithoutUser,
    /// Setting the role or the activity of an account.
    UnlistedAdmin,
    /// Creating something under an idempotency key.
    RecordWithoutEffect,
}

impl fmt::Display for Tear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReservationWithoutLine => "a reservation without its line",
            Self::LineWithoutReservation => "a line without its reservation",
            Self::OwnerWithoutEntity => "an owner item without its entity",
            Self::EntityWithoutOwner => "an entity without its owner item",
            Self::StockWithoutProduct => "stock without its product",
            Self::ProductWithoutStock => "a product without some of its stock",
            Self::UncountedStock => "stock that its product does not count",
            Self::StockUnlikeProduct => "stock without its product's name or price",
            Self::MovementWithoutStock => "a movement without its stock, or stock without its movement",
            Self::SessionWithoutUser => "a session without its user",
            Self::PasswordWithoutUser => "a password without its user",
            Self::UserWithoutPassword => "a user without its password",
            Self::AdminWithoutUser => "one listed as an active admin who is none",
            Self::UnlistedAdmin => "an active admin who is not listed",
            Self::RecordWithoutEffect => "an idempotency record without its effect",
        })
    }
}

/// How a finding can have come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Half of one transaction leaves exactly this.
    Torn(Tear),
    /// No part of any transaction leaves this.
    Broken,
    /// Half of a transaction would leave this, and so would a later request that is all right. No violation.
    Doubtful(Tear),
}

/// `torn: a line without its reservation`
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Torn(tear) => write!(f, "torn: {tear}"),
            Self::Broken => f.write_str("broken"),
            Self::Doubtful(tear) => write!(f, "in doubt: {tear}"),
        }
    }
}

/// What puts a finding right.
#[derive(Clone, Debug, PartialEq)]
pub enum Remedy {
    /// Writes that happen together or not at all. `note`: what a person should look at nevertheless.
    Write { writes: Vec<Write>, note: Option<&'static str> },
    /// The remedy of another finding puts this one right as well.
    Elsewhere,
    /// What a person has to decide.
    Decide(&'static str),
}

impl Remedy {
    pub fn write(writes: Vec<Write>) -> Self {
        Self::Write { writes, note: None }
    }
}

/// A contradiction: everything that is wrong because of it, and what to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub cause: Cause,
    pub violations: Vec<Violation>,
    pub remedy: Remedy,
}

impl Finding {
    pub fn torn(tear: Tear, violations: Vec<Violation>, remedy: Remedy) -> Self {
        Self { cause: Cause::Torn(tear), violations, remedy }
    }

    pub fn broken(violations: Vec<Violation>, decide: &'static str) -> Self {
        Self { cause: Cause::Broken, violations, remedy: Remedy::Decide(decide) }
    }

    /// Whether it contradicts what the writes promise.
    pub fn is_violation(&self) -> bool {
        !matches!(self.cause, Cause::Doubtful(_))
    }
}

/// `PRODUCT#… STOCK#00: 3 are reserved, but orders hold 2 [torn: …]`, a line per violation.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, violation) in self.violations.iter().enumerate() {
            let end = if n == 0 { "" } else { "\n" };
            write!(f, "{end}{violation} [{}]", self.cause)?;
        }
        Ok(())
    }
}

/// Attributes as they were read; `None`: there was none.
pub type AsRead = Vec<(&'static str, Option<Value>)>;

/// One write of a transaction, conditional on what was read.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    Update {
        pk: String,
        sk: String,
        set: Vec<(&'static str, Value)>,
        as_read: AsRead,
    },
    /// A new item: refused if there is one with its key.
    Put {
        pk: String,
        sk: String,
        attributes: Map<String, Value>,
    },
    Delete {
        pk: String,
        sk: String,
        as_read: AsRead,
    },
    /// Changes nothing.
    Check {
        pk: String,
        sk: String,
        as_read: AsRead,
    },
    /// Changes nothing: there must be no such item.
    Absent {
        pk: String,
        sk: String,
    },
}

impl Write {
    pub fn update(item: &Item, set: Vec<(&'static str, Value)>, as_read: AsRead) -> Self {
        Self::Update { pk: item.pk.clone(), sk: item.sk.clone(), set, as_read }
    }

    pub fn delete(item: &Item, as_read: AsRead) -> Self {
        Self::Delete { pk: item.pk.clone(), sk: item.sk.clone(), as_read }
    }

    pub fn check(item: &Item, as_read: AsRead) -> Self {
        Self::Check { pk: item.pk.clone(), sk: item.sk.clone(), as_read }
    }

    pub fn absent(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self::Absent { pk: pk.into(), sk: sk.into() }
    }
}

/// `update PRODUCT#… STOCK#00: price = 2; if price = 5 and gsi1sk = "pen"`
impl fmt::Display for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let conditions = |as_read: &AsRead| {
            let each = as_read.iter().map(|(name, value)| match value {
                Some(value) => format!("{name} = {}", plain(value)),
                None => format!("there is no {name}"),
            });
            each.collect::<Vec<_>>().join(" and ")
        };
        match self {
            Self::Update { pk, sk, set, as_read } => {
                let set: Vec<_> = set.iter().map(|(name, value)| format!("{name} = {}", plain(value))).collect();
                write!(f, "update {pk} {sk}: {}; if {}", set.join(", "), conditions(as_read))
            }
            Self::Put { pk, sk, attributes } => {
                let set: Vec<_> = attributes.iter().map(|(name, value)| format!("{name} = {}", plain(value))).collect();
                write!(f, "put {pk} {sk}: {}; if it does not exist", set.join(", "))
            }
            Self::Delete { pk, sk, as_read } => write!(f, "delete {pk} {sk}; if {}", conditions(as_read)),
            Self::Check { pk, sk, as_read } => write!(f, "leave {pk} {sk}; if {}", conditions(as_read)),
            Self::Absent { pk, sk } => write!(f, "leave {pk} {sk}; if it does not exist"),
        }
    }
}

/// `{"N":"5"}` as `5`, `{"S":"a"}` as `"a"`.
fn plain(attribute: &Value) -> String {
    match (attribute["N"].as_str(), attribute["S"].as_str()) {
        (Some(number), _) => number.to_owned(),
        (_, Some(text)) => format!("{text:?}"),
        _ => attribute.to_string(),
    }
}
