//! The only place that spells a key.
//!
//! | item | `pk` | `sk` | `gsi1pk` / `gsi1sk` |
//! |---|---|---|---|
//! | product | `PRODUCT#<product id>` | `PRODUCT` | `PRODUCTS` / `<folded name>` |
//! | product name | `PRODUCT_NAME#<folded name>` | `OWNER` | |
//! | idempotency record | `IDEMPOTENCY#<user id>#<key>` | `IDEMPOTENCY` | |
//!
//! | question | answered by |
//! |---|---|
//! | this product | `GetItem` of its key |
//! | the catalogue by name, names with a prefix | `Query` of `gsi1` for `PRODUCTS`, `begins_with` |
//! | is this name taken | the condition on the name's `OWNER` item |
//! | was this request carried out before | the condition on its idempotency record |

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::domain::{Folded, ProductId, UserId};

/// An item as DynamoDB hands it over.
pub type Item = HashMap<String, AttributeValue>;

/// Index of products by name, and later of each customer's orders.
pub const GSI1: &str = "gsi1";

/// `gsi1pk` of all products: their collection is sorted by folded name.
pub const PRODUCTS: &str = "PRODUCTS";

/// Names one item of the table.
#[derive(Debug, Clone, Copy)]
pub enum Key<'a> {
    Product(ProductId),
    /// Whoever owns the name; there while the product is.
    ProductName(&'a Folded),
    Idempotency {
        user_id: UserId,
        key: &'a str,
    },
}

impl Key<'_> {
    pub fn pk(&self) -> String {
        match self {
            Self::Product(id) => format!("PRODUCT#{id}"),
            Self::ProductName(name) => format!("PRODUCT_NAME#{name}"),
            Self::Idempotency { user_id, key } => format!("IDEMPOTENCY#{user_id}#{key}"),
        }
    }

    pub fn sk(&self) -> String {
        match self {
            Self::Product(_) => "PRODUCT",
            Self::ProductName(_) => "OWNER",
            Self::Idempotency { .. } => "IDEMPOTENCY",
        }
        .to_owned()
    }

    /// The product that a `pk` names.
    pub fn product_of(pk: &str) -> Option<ProductId> {
        pk.strip_prefix("PRODUCT#")?.parse().ok()
    }

    /// The two key attributes, as every call wants them.
    pub fn attributes(&self) -> Item {
        HashMap::from([("pk".to_owned(), AttributeValue::S(self.pk())), ("sk".to_owned(), AttributeValue::S(self.sk()))])
    }
}
