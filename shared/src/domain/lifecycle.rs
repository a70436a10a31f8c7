//! The life of an order: which status follows which, who may bring it there, and what that does to the stock.
//!
//! [`LIFECYCLE`] is the one source: the functions act by it, the tests walk it, and the table of docs/api.md is made from it.

use serde::{Deserialize, Serialize};

use super::{
    refusal::{Refusal, Result},
    status::Status,
    text::Text,
    user::Role,
};
use crate::{
    fault::Fault,
    json::{FromJson, Json},
};

/// A status to bring an order to.
#[derive(Debug, Clone)]
pub struct StatusChange {
    pub status: Status,
    pub reason: Option<Reason>,
    /// Whether what comes back goes on the shelf again.
    pub restock: bool,
}

/// Why an order was brought to a status: text of 1 to 500 characters without surrounding space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason(Text);

impl Reason {
    pub const MAX_CHARS: usize = 500;

    pub fn parse(text: &str) -> Result<Self, String> {
        Text::parse(text.trim(), 1..=Self::MAX_CHARS).map(Self)
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromJson for Reason {
    fn from_json(json: Json<'_>) -> Result<Self, String> {
        Self::parse(&json.text()?)
    }
}

/// What a step does to the stock of the products on the order's lines, with *n* the quantity of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StockEffect {
    /// Nothing.
    None,
    /// `quantity += n, reserved -= n`.
    Released,
    /// `reserved -= n, shipped += n`: it leaves the shop.
    Shipped,
    /// `shipped -= n, quantity += n`, where the product still exists: it is back on the shelf.
    Restocked,
}

/// Who may take a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    OwnerOrAdmin,
    Admin,
}

/// One step that an order may take.
struct Step {
    from: Status,
    to: Status,
    who: Who,
    stock: StockEffect,
    /// What else the step needs, for people.
    needs: Needs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    /// An order without lines cannot be confirmed.
    Line,
    /// What has left the shop comes back for a reason, and on the shelf only if the request says so.
    Reason,
}

const fn step(from: Status, to: Status, who: Who, stock: StockEffect, needs: Needs) -> Step {
    Step { from, to, who, stock, needs }
}

/// Every step that there is.
const LIFECYCLE: &[Step] = &[
    step(Status::Pending, Status::Confirmed, Who::OwnerOrAdmin, StockEffect::None, Needs::Line),
    step(Status::Pending, Status::Cancelled, Who::OwnerOrAdmin, StockEffect::Released, Needs::Nothing),
    step(Status::Confirmed, Status::Shipped, Who::Admin, StockEffect::Shipped, Needs::Nothing),
    step(Status::Confirmed, Status::Cancelled, Who::OwnerOrAdmin, StockEffect::Released, Needs::Nothing),
    step(Status::Shipped, Status::Delivered, Who::Admin, StockEffect::None, Needs::Nothing),
    step(Status::Shipped, Status::Cancelled, Who::Admin, StockEffect::Restocked, Needs::Reason),
    step(Status::Delivered, Status::Cancelled, Who::Admin, StockEffect::Restocked, Needs::Reason),
];

/// Judges a step of an order with `item_count` lines, and tells what it does to the stock. `Ok(None)`: the order is there already.
///
/// `customers_confirm`: whether the shop lets an order's owner confirm it.
pub fn take_step(
    from: Status,
    change: &StatusChange,
    role: Role,
    item_count: u64,
    customers_confirm: bool,
) -> Result<Option<StockEffect>> {
    let to = change.status;
    if from == to {
        return Ok(None);
    }
    let step = LIFECYCLE.iter().find(|step| (step.from, step.to) == (from, to)).ok_or(Refusal::IllegalTransition { from, to })?;
    if step.who == Who::Admin && role != Role::Admin {
        return Err(Refusal::Forbidden("only an admin may do this"));
    }
    if to == Status::Confirmed && !customers_confirm && role != Role::Admin {
        return Err(Refusal::Forbidden("only an admin confirms orders in this shop"));
    }
    if step.needs == Needs::Line && item_count == 0 {
        return Err(Refusal::EmptyOrder);
    }
    if step.needs == Needs::Reason && change.reason.is_none() {
        return Err(Fault::new("/reason", "is required to cancel an order that has left the shop").into());
    }
    if change.restock && step.stock != StockEffect::Restocked {
        return Err(Fault::new("/restock", "is for orders that have left the shop").into());
    }
    match step.stock {
        StockEffect::Restocked if !change.restock => Ok(Some(StockEffect::None)),
        stock => Ok(Some(stock)),
    }
}

/// The lifecycle as the table of docs/api.md.
pub fn markdown() -> String {
    let mut table = String::from("| from | to | who | stock of each line |\n|---|---|---|---|\n");
    for Step { from, to, who, stock, needs } in LIFECYCLE {
        let who = match who {
            Who::OwnerOrAdmin => "owner, admin",
            Who::Admin => "admin",
        };
        let needs = match needs {
            Needs::Nothing => "",
            Needs::Line => "; needs a line",
            Needs::Reason => "; needs a `reason`",
        };
        let stock = match stock {
            StockEffect::None => "–",
            StockEffect::Released => "released: `quantity += n, reserved -= n`",
            StockEffect::Shipped => "leaves: `reserved -= n, shipped += n`",
            StockEffect::Restocked => "with `\"restock\": true`: `shipped -= n, quantity += n`, where the product still exists",
        };
        table += &format!("| {from} | {to} | {who}{needs} | {stock} |\n");
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_lifecycle() {
        let mut table = String::new();
        for from in Status::ALL {
            for to in Status::ALL {
                table += &format!("{from:9} {to:9}");
                for role in [Role::Customer, Role::Admin] {
                    for (lines, reason, restock) in [(0, false, false), (1, false, false), (1, true, false), (1, true, true)] {
                        let reason = reason.then(|| Reason::parse("broken").unwrap());
                        let outcome = match take_step(from, &StatusChange { status: to, reason, restock }, role, lines, true) {
                            Ok(None) => "stays",
                            Ok(Some(StockEffect::None)) => "none",
                            Ok(Some(StockEffect::Released)) => "release",
                            Ok(Some(StockEffect::Shipped)) => "ship",
                            Ok(Some(StockEffect::Restocked)) => "restock",
                            Err(Refusal::IllegalTransition { .. }) => "409",
                            Err(Refusal::EmptyOrder) => "empty",
                            Err(Refusal::Forbidden(_)) => "403",
                            Err(Refusal::Invalid(faults)) if faults[0].pointer == "/reason" => "reason?",
                            Err(Refusal::Invalid(_)) => "restock?",
                            Err(error) => panic!("{error}"),
                        };
                        table += &format!(" {outcome:8}");
                    }
                    table += if role == Role::Customer { " |" } else { "\n" };
                }
            }
        }
        insta::assert_snapshot!(table, @"
        PENDING   PENDING   stays    stays    stays    stays    | stays    stays    stays    stays   
        PENDING   CONFIRMED empty    none     none     restock? | empty    none     none     restock?
        PENDING   SHIPPED   409      409      409      409      | 409      409      409      409     
        PENDING   DELIVERED 409      409      409      409      | 409      409      409      409     
        PENDING   CANCELLED release  release  release  restock? | release  release  release  restock?
        CONFIRMED PENDING   409      409      409      409      | 409      409      409      409     
        CONFIRMED CONFIRMED stays    stays    stays    stays    | stays    stays    stays    stays   
        CONFIRMED SHIPPED   403      403      403      403      | ship     ship     ship     restock?
        CONFIRMED DELIVERED 409      409      409      409      | 409      409      409      409     
        CONFIRMED CANCELLED release  release  release  restock? | release  release  release  restock?
        SHIPPED   PENDING   409      409      409      409      | 409      409      409      409     
        SHIPPED   CONFIRMED 409      409      409      409      | 409      409      409      409     
        SHIPPED   SHIPPED   stays    stays    stays    stays    | stays    stays    stays    stays   
        SHIPPED   DELIVERED 403      403      403      403      | none     none     none     restock?
        SHIPPED   CANCELLED 403      403      403      403      | reason?  reason?  none     restock 
        DELIVERED PENDING   409      409      409      409      | 409      409      409      409     
        DELIVERED CONFIRMED 409      409      409      409      | 409      409      409      409     
        DELIVERED SHIPPED   409      409      409      409      | 409      409      409      409     
        DELIVERED DELIVERED stays    stays    stays    stays    | stays    stays    stays    stays   
        DELIVERED CANCELLED 403      403      403      403      | reason?  reason?  none     restock 
        CANCELLED PENDING   409      409      409      409      | 409      409      409      409     
        CANCELLED CONFIRMED 409      409      409      409      | 409      409      409      409     
        CANCELLED SHIPPED   409      409      409      409      | 409      409      409      409     
        CANCELLED DELIVERED 409      409      409      409      | 409      409      409      409     
        CANCELLED CANCELLED stays    stays    stays    stays    | stays    stays    stays    stays
        ");
    }

    #[test]
    fn a_shop_may_leave_confirming_to_its_admins() {
        let confirm = StatusChange { status: Status::Confirmed, reason: None, restock: false };
        let asked = |role, customers_confirm| take_step(Status::Pending, &confirm, role, 1, customers_confirm);
        assert!(matches!(asked(Role::Customer, false), Err(Refusal::Forbidden(_))));
        assert!(asked(Role::Admin, false).is_ok() && asked(Role::Customer, true).is_ok());
        // Whoever may not confirm may still cancel, and an order that is confirmed already stays so for everybody.
        let cancel = StatusChange { status: Status::Cancelled, ..confirm.clone() };
        assert!(take_step(Status::Confirmed, &cancel, Role::Customer, 1, false).is_ok());
        assert!(matches!(take_step(Status::Confirmed, &confirm, Role::Customer, 1, false), Ok(None)));
    }

    #[test]
    fn a_reason_is_kept_without_the_space_around_it() {
        assert_eq!(Reason::parse("  broken in two \n").unwrap().as_str(), "broken in two");
        assert!(Reason::parse("   ").is_err());
    }
}
