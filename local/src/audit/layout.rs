//! What the audit knows of the table's layout: which items there are, which of them belong together, and which of their
//! attributes its rules look at. The rules themselves are in `order`, `product` and `owner`.

use serde_json::{Map, Value, json};
use shared::domain::Folded;
use shared::store::schema::{self, ItemKind, Naming};
pub use shared::store::schema::{history_sk, stock_sk};

/// Subjects of products, orders and users begin with these.
pub const ORDERS: &str = schema::ORDER.pk.prefix();
pub const PRODUCTS: &str = schema::PRODUCT.pk.prefix();
pub const USERS: &str = schema::USER.pk.prefix();

/// Seconds that an idempotency record is kept.
pub const RECORD_KEPT: u64 = 24 * 60 * 60;

/// An item with those of its attributes that matter here, as DynamoDB writes them in JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    pub pk: String,
    pub sk: String,
    pub attributes: Value,
}

impl Item {
    /// What stands behind the first `#` of the partition key.
    pub fn id(&self) -> &str {
        id_of(&self.pk)
    }

    pub fn kind(&self) -> Option<Kind> {
        Kind::of(&self.pk, &self.sk)
    }

    /// Empty if there is no such text.
    pub fn text(&self, name: &str) -> &str {
        self.attributes[name]["S"].as_str().unwrap_or_default()
    }

    /// A whole number that is not negative.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.attributes[name]["N"].as_str()?.parse().ok()
    }

    pub fn has(&self, name: &str) -> bool {
        !self.attributes[name].is_null()
    }

    /// The condition that these attributes are as they were read.
    pub fn as_read(&self, names: &[&'static str]) -> Vec<(&'static str, Option<Value>)> {
        names.iter().map(|name| (*name, Some(self.attributes[name].clone()).filter(|value| !value.is_null()))).collect()
    }
}

/// A number as DynamoDB writes it.
pub fn number(value: impl ToString) -> Value {
    json!({"N": value.to_string()})
}

/// A text as DynamoDB writes it.
pub fn text(value: impl Into<String>) -> Value {
    json!({"S": value.into()})
}

fn id_of(pk: &str) -> &str {
    pk.split_once('#').map_or("", |(_, id)| id)
}

/// What an item is, which its key says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Product,
    /// A shard of a product's stock, but for the first; `None`: its number is none from 1 up.
    Stock(Option<u64>),
    /// Says who owns a name that only one may have.
    Owner,
    Order,
    Line,
    History,
    User,
    Sessions,
    Record,
    /// Stands for itself and expires.
    Attempts,
    /// Stands for itself.
    Settings,
}

impl Kind {
    pub fn of(pk: &str, sk: &str) -> Option<Self> {
        Self::within(ItemKind::of(pk, sk)?, sk)
    }

    fn within(kind: &ItemKind, sk: &str) -> Option<Self> {
        Some(match *kind {
            _ if kind.naming.is_some() => Self::Owner,
            schema::PRODUCT => Self::Product,
            schema::STOCK => {
                let number = schema::STOCK.sk.part(sk).and_then(|number| number.parse().ok());
                Self::Stock(number.filter(|number| *number > 0))
            }
            schema::ORDER => Self::Order,
            schema::ORDER_ITEM => Self::Line,
            schema::HISTORY => Self::History,
            schema::USER => Self::User,
            schema::SESSIONS => Self::Sessions,
            schema::IDEMPOTENCY => Self::Record,
            schema::FAILURES_IN_TOTAL | schema::FAILURES_FROM | schema::LOGINS_FROM | schema::REGISTRATIONS_FROM => {
                Self::Attempts
            }
            schema::ORDER_SHARDS => Self::Settings,
            _ => return None,
        })
    }

    /// The attributes that rules look at, or that a repair must find as they were.
    fn kept(self) -> &'static [&'static str] {
        match self {
            Self::Product => &["gsi1pk", "gsi1sk", "price", "quantity", "reserved", "stock_shards", "version", "updated_at"],
            Self::Stock(_) => &["price", "quantity", "reserved", "version", "updated_at"],
            Self::Order => &[
                "gsi1pk",
                "gsi1sk",
                "gsi2pk",
                "gsi2sk",
                "customer_id",
                "status",
                "total",
                "item_count",
                "version",
                "created_at",
                "updated_at",
            ],
            Self::Line => &["product_id", "quantity", "price", "shard", "updated_at"],
            Self::History => &["at", "from", "to", "stock"],
            Self::User => &["updated_at"],
            Self::Sessions => &["sessions", "expires_at"],
            Self::Owner => &["product_id", "user_id"],
            Self::Record => &["fingerprint", "expires_at"],
            Self::Attempts | Self::Settings => &[],
        }
    }
}

pub fn history_version(sk: &str) -> Option<u64> {
    schema::HISTORY.sk.part(sk)?.parse().ok()
}

/// `gsi2pk` of the orders with a status in the part of the list that an order is in.
pub fn moved_to(gsi2pk: &str, status: &str) -> String {
    let shard = gsi2pk.rsplit('#').next().unwrap_or_default();
    schema::ORDERS_BY_STATUS.with(&[&status, &shard])
}

/// An item as the audit keeps it, and the subjects that it belongs to: nothing else must be known to judge a subject, but what
/// orders hold of a product and whether another item exists.
pub fn sort(item: &Value) -> Result<(Item, Vec<String>), Item> {
    let of = |name: &str| item[name]["S"].as_str().unwrap_or_default();
    let (pk, sk) = (of("pk").to_owned(), of("sk").to_owned());
    let known = ItemKind::of(&pk, &sk).and_then(|item_kind| Some((item_kind, Kind::within(item_kind, &sk)?)));
    let Some((item_kind, kind)) = known else {
        return Err(Item { pk, sk, attributes: Value::Null });
    };
    let namings: Vec<_> = item_kind.namings().collect();
    let names = kind.kept().iter().copied().chain(namings.iter().map(|(_, naming)| naming.attribute));
    let mut kept: Map<_, _> = names.filter_map(|name| Some((name.to_owned(), item.get(name)?.clone()))).collect();
    let subjects = match kind {
        // Each is found by what it is the name of, so that whoever should own it and whoever does meet.
        Kind::Product | Kind::User => {
            let named = |(its, naming): &(&ItemKind, &Naming)| {
                let name = item[naming.attribute]["S"].as_str()?;
                Some(its.pk.with(&[&Folded::new(name)]))
            };
            [pk.clone()].into_iter().chain(namings.iter().filter_map(named)).collect()
        }
        Kind::Record => {
            let (made, within) = effect(of("answer"));
            if let Some(sk) = within {
                kept.insert("effect".to_owned(), text(sk));
            }
            made.into_iter().collect()
        }
        Kind::Attempts | Kind::Settings => vec![],
        // Beside the account that they are of.
        Kind::Sessions => vec![schema::USER.pk.with(&[&id_of(&pk)])],
        Kind::Stock(_) | Kind::Owner | Kind::Order | Kind::Line | Kind::History => {
            vec![pk.clone()]
        }
    };
    Ok((Item { pk, sk, attributes: Value::Object(kept) }, subjects))
}

/// The key of what a remembered answer says was made.
fn effect(answer: &str) -> (Option<String>, Option<String>) {
    let answer: Value = serde_json::from_str(answer).unwrap_or_default();
    let body: Value = answer["body"].as_str().and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default();
    let id = |name: &str| body[name].as_str();
    match (id("order_id"), id("order_item_id"), id("product_id")) {
        (Some(order), Some(line), _) => (Some(schema::ORDER.pk.with(&[&order])), Some(schema::ORDER_ITEM.sk.with(&[&line]))),
        (Some(order), None, _) => (Some(schema::ORDER.pk.with(&[&order])), Some(schema::ORDER.sk.with(&[]))),
        (None, None, Some(product)) => (Some(schema::PRODUCT.pk.with(&[&product])), Some(schema::PRODUCT.sk.with(&[]))),
        _ => (None, None),
    }
}

/// The latest moment that an item tells of, in milliseconds since the epoch.
pub fn moment(item: &Item) -> Option<u64> {
    ["updated_at", "at", "created_at"].iter().filter_map(|name| item.number(name)).max()
}
