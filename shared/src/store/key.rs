//! The keys of items, as [`schema`](super::schema) spells them.
//!
//! | question | answered by |
//! |---|---|
//! | this product, with its stock | `Query` of `PRODUCT#<product id>` |
//! | at which price, and from how many shards is it sold | `BatchGetItem` of the first shards of stock |
//! | the catalogue by name, names with a prefix | `Query` of `gsi1` for `PRODUCTS` and for `STOCK`, `begins_with` |
//! | how the pieces of a product came to be | `Query` of `MOVEMENTS#<product id>`, newest first |
//! | this order, with lines and history | `GetItem` of `ORDER#<order id>` |
//! | a customer's orders, newest first | `Query` of `gsi1` for `CUSTOMER#<user id>` |
//! | all orders, or those of a status, newest first | `Query` of `gsi2` for each status and shard, merged by id |
//! | orders that have been PENDING for long | `Query` of `gsi2` for `ORDERS#PENDING#<shard>`, oldest first |
//! | is this name taken | the condition on the name's `OWNER` item |
//! | whose login is this | `GetItem` of the name's `OWNER` item |
//! | may it be tried, with which password, and which key signs | `BatchGetItem` of the user, its password, its sessions, the attempts and the signing keys |
//! | accounts by e-mail address, addresses with a prefix | `Query` of `gsi2` for `USERS`, `begins_with` |
//! | may this admin stop being one | the condition on the set of admins |
//! | is this session alive; all sessions of a user | `GetItem` of the user's sessions |
//! | was this request carried out before | the condition on its idempotency record |

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::schema::{self, ItemKind};
use crate::domain::{Folded, Login, MovementId, OrderId, ProductId, Purpose, Role, SourceAddress, Status, Topic, UserId};

/// An item as DynamoDB hands it over.
pub type Item = HashMap<String, AttributeValue>;

/// Index of products by name, and of each customer's orders.
pub const GSI1: &str = "gsi1";

/// Index of orders by status, and of accounts by e-mail address.
pub const GSI2: &str = "gsi2";

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
    /// A part of what there is of a product, 0 for the first.
    Stock(ProductId, u32),
    /// Whoever owns the name; there while the product is.
    ProductName(&'a Folded),
    /// Whoever owns the SKU; there while the product has it.
    ProductSku(&'a Folded),
    Movement(ProductId, MovementId),
    /// What was last told of a product's stock.
    Level(ProductId),
    Order(OrderId),
    User(UserId),
    /// The hash of a user's password.
    Password(UserId),
    /// Who the active admins are.
    Admins,
    /// The public keys of tokens.
    SigningKeys,
    /// What makes the latest mailed token of this purpose good.
    Ticket(UserId, Purpose),
    /// What an owner is told by mail.
    Notice(UserId, Topic),
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
    pub const ORDER: &'static str = schema::ORDER.sk.prefix();
    pub const STOCK_PREFIX: &'static str = schema::STOCK.sk.prefix();

    /// `gsi1pk` of all products.
    pub const CATALOGUE: &'static str = schema::CATALOGUE.prefix();
    /// `gsi1pk` of the stock of all products.
    pub const STOCKS: &'static str = schema::STOCKS.prefix();
    /// `gsi2pk` of all accounts.
    pub const USERS: &'static str = schema::USERS.prefix();

    /// `pk` of a product's movements.
    pub fn movements_of(product_id: ProductId) -> String {
        schema::MOVEMENT.pk.with(&[&product_id])
    }

    /// `gsi1pk` of a customer's orders.
    pub fn orders_of(customer: UserId) -> String {
        schema::ORDERS_OF_CUSTOMER.with(&[&customer])
    }

    /// `gsi2pk` of the orders with a status, or of the part of them in one shard.
    pub fn orders_in(status: Status, shard: u32) -> String {
        schema::ORDERS_BY_STATUS.with(&[&status, &shard])
    }

    /// The item that says whose e-mail address or username it is.
    pub fn owner(login: &'a Login) -> Self {
        match login {
            Login::Email(email) => Self::Email(email),
            Login::Username(username) => Self::Username(username),
        }
    }

    pub fn kind(&self) -> &'static ItemKind {
        match self {
            Self::Product(_) => &schema::PRODUCT,
            Self::Stock(..) => &schema::STOCK,
            Self::ProductName(_) => &schema::PRODUCT_NAME,
            Self::ProductSku(_) => &schema::PRODUCT_SKU,
            Self::Movement(..) => &schema::MOVEMENT,
            Self::Level(_) => &schema::LEVEL,
            Self::Order(_) => &schema::ORDER,
            Self::User(_) => &schema::USER,
            Self::Password(_) => &schema::PASSWORD,
            Self::Admins => &schema::ADMINS,
            Self::SigningKeys => &schema::SIGNING_KEYS,
            Self::Ticket(..) => &schema::TICKET,
            Self::Notice(..) => &schema::NOTICE,
            Self::Email(_) => &schema::EMAIL,
            Self::Username(_) => &schema::USERNAME,
            Self::Sessions(_) => &schema::SESSIONS,
            Self::FailuresInTotal(_) => &schema::FAILURES_IN_TOTAL,
            Self::FailuresFrom(..) => &schema::FAILURES_FROM,
            Self::LoginsFrom(_) => &schema::LOGINS_FROM,
            Self::RegistrationsFrom(_) => &schema::REGISTRATIONS_FROM,
            Self::OrderShards => &schema::ORDER_SHARDS,
            Self::Idempotency { .. } => &schema::IDEMPOTENCY,
        }
    }

    pub fn pk(&self) -> String {
        let pattern = self.kind().pk;
        match self {
            Self::Product(id) | Self::Stock(id, _) | Self::Movement(id, _) | Self::Level(id) => pattern.with(&[id]),
            Self::Order(id) => pattern.with(&[id]),
            Self::User(id) | Self::Password(id) | Self::Sessions(id) | Self::Ticket(id, _) | Self::Notice(id, _) => {
                pattern.with(&[id])
            }
            Self::ProductName(folded) | Self::ProductSku(folded) | Self::Email(folded) | Self::Username(folded) => {
                pattern.with(&[folded])
            }
            Self::FailuresInTotal(who) | Self::FailuresFrom(who, _) => match who {
                Attempted::Account(id) => pattern.with(&[id]),
                Attempted::Nobody(login) => pattern.with(&[&Self::owner(login).pk()]),
            },
            Self::LoginsFrom(address) | Self::RegistrationsFrom(address) => pattern.with(&[address]),
            Self::OrderShards | Self::Admins | Self::SigningKeys => pattern.with(&[]),
            Self::Idempotency { user_id, role, key } => pattern.with(&[user_id, &role.as_str(), key]),
        }
    }

    pub fn sk(&self) -> String {
        let pattern = self.kind().sk;
        match self {
            Self::Stock(_, shard) => schema::stock_sk((*shard).into()),
            Self::Movement(_, id) => pattern.with(&[id]),
            Self::Ticket(_, purpose) => pattern.with(&[&purpose.as_str()]),
            Self::Notice(_, topic) => pattern.with(&[&topic.as_str()]),
            Self::FailuresFrom(_, address) => pattern.with(&[address]),
            _ => pattern.with(&[]),
        }
    }

    /// The `sk` of an item, which tells what kind of item it is within its collection.
    pub fn sk_of(item: &Item) -> &str {
        item.get("sk").and_then(|sk| sk.as_s().ok()).map_or("", String::as_str)
    }

    /// The product that a `pk` names.
    pub fn product_of(pk: &str) -> Option<ProductId> {
        schema::PRODUCT.pk.part(pk)?.parse().ok()
    }

    /// The shard that an `sk` names.
    pub fn shard_of(sk: &str) -> Option<u32> {
        schema::STOCK.sk.part(sk)?.parse().ok()
    }

    /// The order that a `pk` names.
    pub fn order_of(pk: &str) -> Option<OrderId> {
        schema::ORDER.pk.part(pk)?.parse().ok()
    }

    /// The order whose item, or whose entry in an index, this is.
    pub fn order_of_item(item: &Item) -> Option<OrderId> {
        Self::order_of(item.get("pk")?.as_s().ok()?)
    }

    /// The product whose movements a `pk` names.
    pub fn product_of_movements(pk: &str) -> Option<ProductId> {
        schema::MOVEMENT.pk.part(pk)?.parse().ok()
    }

    /// The product whose level a `pk` names.
    pub fn product_of_level(pk: &str) -> Option<ProductId> {
        schema::LEVEL.pk.part(pk)?.parse().ok()
    }

    /// The user that a `pk` names.
    pub fn user_of(pk: &str) -> Option<UserId> {
        schema::USER.pk.part(pk)?.parse().ok()
    }

    /// The user and the purpose that the key of a ticket names.
    pub fn ticket_of(pk: &str, sk: &str) -> Option<(UserId, Purpose)> {
        Some((schema::TICKET.pk.part(pk)?.parse().ok()?, sk.parse().ok()?))
    }

    /// The user and the topic that the key of a notice names.
    pub fn notice_of(pk: &str, sk: &str) -> Option<(UserId, Topic)> {
        Some((schema::NOTICE.pk.part(pk)?.parse().ok()?, sk.parse().ok()?))
    }

    /// The two key attributes, as every call wants them.
    pub fn attributes(&self) -> Item {
        HashMap::from([("pk".to_owned(), AttributeValue::S(self.pk())), ("sk".to_owned(), AttributeValue::S(self.sk()))])
    }
}
