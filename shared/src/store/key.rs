//! The only place that spells a key.
//!
//! | item | `pk` | `sk` | `gsi1pk` / `gsi1sk` | `gsi2pk` / `gsi2sk` |
//! |---|---|---|---|---|
//! | product | `PRODUCT#<product id>` | `PRODUCT` | `PRODUCTS` / `<folded name>` | |
//! | stock of a product, but for shard 0 | `PRODUCT#<product id>` | `STOCK#<shard>` | | |
//! | product name | `PRODUCT_NAME#<folded name>` | `OWNER` | | |
//! | order | `ORDER#<order id>` | `ORDER` | `CUSTOMER#<user id>` / `<order id>` | `ORDERS#<status>#<shard>` / `<order id>` |
//! | order item | `ORDER#<order id>` | `ITEM#<order item id>` | | |
//! | order history | `ORDER#<order id>` | `HISTORY#<version>` | | |
//! | user | `USER#<user id>` | `USER` | | |
//! | e-mail address, username | `EMAIL#<folded>`, `USERNAME#<folded>` | `OWNER` | | |
//! | sessions of a user | `SESSIONS#<user id>` | `SESSIONS` | | |
//! | failed logins of an account, in total and from one address | `ATTEMPTS#<user id>` | `TOTAL`, `FROM#<address>` | | |
//! | failed logins with a name that nobody has | `ATTEMPTS#EMAIL#<folded>`, `ATTEMPTS#USERNAME#<folded>` | `TOTAL`, `FROM#<address>` | | |
//! | failed logins and registrations from one address | `ADDRESS#<address>` | `LOGINS`, `REGISTRATIONS` | | |
//! | parts of the admins' list, if more than one | `SETTINGS` | `ORDER_SHARDS` | | |
//! | idempotency record | `IDEMPOTENCY#<user id>#<role>#<key>` | `IDEMPOTENCY` | | |
//!
//! | question | answered by |
//! |---|---|
//! | this product, with its stock | `Query` of `PRODUCT#<product id>` |
//! | the catalogue by name, names with a prefix | `Query` of `gsi1` for `PRODUCTS`, `begins_with` |
//! | this order, with lines and history | `Query` of `ORDER#<order id>` |
//! | a customer's orders, newest first | `Query` of `gsi1` for `CUSTOMER#<user id>` |
//! | all orders, or those of a status, newest first | `Query` of `gsi2` for each status and shard, merged by id |
//! | orders that have been PENDING for long | `Query` of `gsi2` for `ORDERS#PENDING#<shard>`, oldest first |
//! | is this name taken | the condition on the name's `OWNER` item |
//! | whose login is this | `GetItem` of the name's `OWNER` item |
//! | may it be tried, and with which password | `BatchGetItem` of the user, its sessions and the attempts |
//! | is this session alive; all sessions of a user | `GetItem` of the user's sessions |
//! | was this request carried out before | the condition on its idempotency record |

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::domain::{Folded, Login, OrderId, OrderItemId, ProductId, Role, SourceAddress, Status, UserId};

/// An item as DynamoDB hands it over.
pub type Item = HashMap<String, AttributeValue>;

/// Index of products by name, and of each customer's orders.
pub const GSI1: &str = "gsi1";

/// Index of orders by status.
pub const GSI2: &str = "gsi2";

/// `gsi1pk` of all products: their collection is sorted by folded name.
pub const PRODUCTS: &str = "PRODUCTS";

/// Whose failed logins are counted.
#[derive(Debug, Clone, Copy)]
pub enum Attempted<'a> {
    /// An account's, whatever name was used for it.
    Account(UserId),
    /// Those with a name that no account has.
    Nobody(&'a Login),
}

/// Names one item of the table.
#[derive(Debug, Clone, Copy)]
pub enum Key<'a> {
    Product(ProductId),
    /// A part of what there is of a product; the first is in the product's own item.
    Stock(ProductId, u32),
    /// Whoever owns the name; there while the product is.
    ProductName(&'a Folded),
    Order(OrderId),
    OrderItem(OrderId, OrderItemId),
    /// The change of status that made this version of the order.
    History(OrderId, u64),
    User(UserId),
    /// Whoever owns the e-mail address.
    Email(&'a Folded),
    /// Whoever owns the username.
    Username(&'a Folded),
    /// All sessions of a user.
    Sessions(UserId),
    /// Failed logins from all addresses.
    FailuresInTotal(Attempted<'a>),
    /// Failed logins from one address.
    FailuresFrom(Attempted<'a>, &'a SourceAddress),
    /// Failed logins from one address over all accounts.
    LoginsFrom(&'a SourceAddress),
    /// Registrations from one address.
    RegistrationsFrom(&'a SourceAddress),
    /// How many parts the admins' list of orders has.
    OrderShards,
    Idempotency {
        user_id: UserId,
        role: Role,
        key: &'a str,
    },
}

impl<'a> Key<'a> {
    /// `sk` of an order's own item.
    pub const ORDER: &'static str = "ORDER";
    pub const STOCK_PREFIX: &'static str = "STOCK#";
    pub const ITEM_PREFIX: &'static str = "ITEM#";
    pub const HISTORY_PREFIX: &'static str = "HISTORY#";

    /// `gsi1pk` of a customer's orders.
    pub fn orders_of(customer: UserId) -> String {
        format!("CUSTOMER#{customer}")
    }

    /// `gsi2pk` of the orders with a status, or of the part of them in one shard.
    pub fn orders_in(status: Status, shard: u32) -> String {
        format!("ORDERS#{status}#{shard}")
    }

    /// The item that says whose e-mail address or username it is.
    pub fn owner(login: &'a Login) -> Self {
        match login {
            Login::Email(email) => Self::Email(email),
            Login::Username(username) => Self::Username(username),
        }
    }

    pub fn pk(&self) -> String {
        match self {
            Self::Product(id) | Self::Stock(id, _) => format!("PRODUCT#{id}"),
            Self::ProductName(name) => format!("PRODUCT_NAME#{name}"),
            Self::Order(id) | Self::OrderItem(id, _) | Self::History(id, _) => format!("ORDER#{id}"),
            Self::User(id) => format!("USER#{id}"),
            Self::Sessions(id) => format!("SESSIONS#{id}"),
            Self::Email(email) => format!("EMAIL#{email}"),
            Self::Username(username) => format!("USERNAME#{username}"),
            Self::FailuresInTotal(Attempted::Account(id)) | Self::FailuresFrom(Attempted::Account(id), _) => {
                format!("ATTEMPTS#{id}")
            }
            Self::FailuresInTotal(Attempted::Nobody(login)) | Self::FailuresFrom(Attempted::Nobody(login), _) => {
                format!("ATTEMPTS#{}", Self::owner(login).pk())
            }
            Self::LoginsFrom(address) | Self::RegistrationsFrom(address) => format!("ADDRESS#{address}"),
            Self::OrderShards => "SETTINGS".to_owned(),
            Self::Idempotency { user_id, role, key } => format!("IDEMPOTENCY#{user_id}#{}#{key}", role.as_str()),
        }
    }

    pub fn sk(&self) -> String {
        match self {
            Self::Product(_) | Self::Stock(_, 0) => "PRODUCT",
            Self::Stock(_, shard) => return format!("{}{shard:02}", Self::STOCK_PREFIX),
            Self::ProductName(_) | Self::Email(_) | Self::Username(_) => "OWNER",
            Self::Order(_) => Self::ORDER,
            Self::OrderItem(_, id) => return format!("{}{id}", Self::ITEM_PREFIX),
            // With leading zeros, so that texts sort as numbers do.
            Self::History(_, version) => return format!("{}{version:010}", Self::HISTORY_PREFIX),
            Self::User(_) => "USER",
            Self::Sessions(_) => "SESSIONS",
            Self::FailuresInTotal(_) => "TOTAL",
            Self::FailuresFrom(_, address) => return format!("FROM#{address}"),
            Self::LoginsFrom(_) => "LOGINS",
            Self::RegistrationsFrom(_) => "REGISTRATIONS",
            Self::OrderShards => "ORDER_SHARDS",
            Self::Idempotency { .. } => "IDEMPOTENCY",
        }
        .to_owned()
    }

    /// The `sk` of an item, which tells what kind of item it is.
    pub fn kind_of(item: &Item) -> &str {
        item.get("sk").and_then(|sk| sk.as_s().ok()).map_or("", String::as_str)
    }

    /// The product that a `pk` names.
    pub fn product_of(pk: &str) -> Option<ProductId> {
        pk.strip_prefix("PRODUCT#")?.parse().ok()
    }

    /// The shard that an `sk` names; `None` for the product's own item.
    pub fn shard_of(sk: &str) -> Option<u32> {
        sk.strip_prefix(Self::STOCK_PREFIX)?.parse().ok()
    }

    /// The order that a `pk` names.
    pub fn order_of(pk: &str) -> Option<OrderId> {
        pk.strip_prefix("ORDER#")?.parse().ok()
    }

    /// The order whose item, or whose entry in an index, this is.
    pub fn order_of_item(item: &Item) -> Option<OrderId> {
        Self::order_of(item.get("pk")?.as_s().ok()?)
    }

    /// The line that an `sk` names.
    pub fn order_item_of(sk: &str) -> Option<OrderItemId> {
        sk.strip_prefix(Self::ITEM_PREFIX)?.parse().ok()
    }

    /// The version that an `sk` of an order's history names.
    pub fn version_of(sk: &str) -> Option<u64> {
        sk.strip_prefix(Self::HISTORY_PREFIX)?.parse().ok()
    }

    /// The user that a `pk` names.
    pub fn user_of(pk: &str) -> Option<UserId> {
        pk.strip_prefix("USER#")?.parse().ok()
    }

    /// The two key attributes, as every call wants them.
    pub fn attributes(&self) -> Item {
        HashMap::from([("pk".to_owned(), AttributeValue::S(self.pk())), ("sk".to_owned(), AttributeValue::S(self.sk()))])
    }
}
