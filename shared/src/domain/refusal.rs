//! What the shop's rules say no to.

use std::fmt;

use super::{id::ProductId, status::Status};
use crate::fault::Fault;

/// Shorthand for what a rule returns.
pub type Result<T = (), E = Refusal> = std::result::Result<T, E>;

/// Why something is not done that was asked for in a way that could be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// One or more fields of the request cannot be accepted.
    #[error("{} of the request cannot be accepted", if .0.len() == 1 { "a field" } else { "fields" })]
    Invalid(Vec<Fault>),

    /// The caller is known and may not do this.
    #[error("{0}")]
    Forbidden(&'static str),

    /// What was asked for does not exist, or not for this caller.
    #[error("there is no such {0}")]
    NotFound(Resource),

    /// Orders hold stock of the product.
    #[error("{reserved} of this product are reserved by orders")]
    ProductInUse { reserved: u64 },

    /// There is not as much of a product as is asked for.
    #[error("{available} of this product are available")]
    OutOfStock { product_id: ProductId, available: u64 },

    /// A line names a product that there is not; the faults say which.
    #[error("there is no such product")]
    UnknownProduct(Vec<Fault>),

    /// An order is for a customer that there is not, or whose account is closed.
    #[error("there is no such active account")]
    UnknownCustomer,

    /// The customer has as many PENDING orders as the shop allows.
    #[error("a customer may have {limit} orders that are PENDING at a time")]
    TooManyOpenOrders { limit: u32 },

    /// No order goes from the one status to the other.
    #[error("an order does not go from {from} to {to}")]
    IllegalTransition { from: Status, to: Status },

    /// There is nothing on the order.
    #[error("an order without items cannot be confirmed")]
    EmptyOrder,

    /// The order is past the point where it may change otherwise than by a step.
    #[error("an order that is {status} cannot be changed")]
    OrderNotEditable { status: Status },

    /// The order is past the point, or not yet at it, where it may be deleted.
    #[error("an order that is {status} cannot be deleted")]
    OrderNotDeletable { status: Status },

    /// An account has orders that are on their way.
    #[error("an order of this account is CONFIRMED or SHIPPED")]
    OpenOrders,

    /// Without this admin, nobody would be one.
    #[error("this is the last active admin")]
    LastAdmin,

    /// The order has as many lines as an order may have.
    #[error("an order has at most {max} items")]
    TooManyItems { max: usize },
}

impl Refusal {
    /// The lines at these pointers are of products that the shop does not have.
    pub fn unknown_products(pointers: impl IntoIterator<Item = String>) -> Self {
        Self::UnknownProduct(pointers.into_iter().map(|pointer| Fault::new(pointer, "is no product of this shop")).collect())
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Invalid(vec![fault])
    }
}

/// A kind of thing that is asked for by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    Account,
    Order,
    OrderItem,
    Page,
    Path,
    Product,
    Session,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Account => "account",
            Self::Order => "order",
            Self::OrderItem => "order item",
            Self::Page => "page",
            Self::Path => "path",
            Self::Product => "product",
            Self::Session => "session",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_of_what() {
        for (resource, text) in [
            (Resource::Account, "account"),
            (Resource::Order, "order"),
            (Resource::OrderItem, "order item"),
            (Resource::Page, "page"),
            (Resource::Path, "path"),
            (Resource::Product, "product"),
            (Resource::Session, "session"),
        ] {
            assert_eq!(Refusal::NotFound(resource).to_string(), format!("there is no such {text}"));
        }
        let fault = || Fault::new("/a", "is wrong");
        assert_eq!(Refusal::from(fault()), Refusal::Invalid(vec![fault()]));
        assert_eq!(Refusal::from(fault()).to_string(), "a field of the request cannot be accepted");
        assert_eq!(Refusal::Invalid(vec![fault(), fault()]).to_string(), "fields of the request cannot be accepted");
        let unknown = Refusal::unknown_products(["/items/1/product_id".to_owned()]);
        assert_eq!(unknown, Refusal::UnknownProduct(vec![Fault::new("/items/1/product_id", "is no product of this shop")]));
    }
}
