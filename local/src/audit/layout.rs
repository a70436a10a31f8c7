//! What the audit knows of the table's layout: which items there are, which of them belong together, and which of their
//! attributes its rules look at. The rules themselves are in `order`, `product` and `owner`.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};
use shared::domain::{Folded, StockShards};
use shared::store::SavedResponse;
use shared::store::schema::{self, ItemKind, Naming};
pub use shared::store::schema::{stock_gsi1sk, stock_sk};

/// Subjects of orders, movements, products and users begin with these.
pub const ORDERS: &str = schema::ORDER.pk.prefix();
pub const MOVEMENTS: &str = schema::MOVEMENT.pk.prefix();
pub const PRODUCTS: &str = schema::PRODUCT.pk.prefix();
pub const USERS: &str = schema::USER.pk.prefix();

/// Shards that the stock of a product can have.
pub const MAX_SHARDS: u64 = StockShards::MAX as u64;

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

    /// The parts of a map in it by their ids, each as if it were an item: its `sk` is the path to it.
    pub fn parts(&self, map: &str) -> Vec<(&str, Self)> {
        let parts = self.attributes[map]["M"].as_object().into_iter().flatten();
        let path = |id| format!("{} {map}.{id}", self.sk);
        parts.map(|(id, part)| (id.as_str(), Self { pk: self.pk.clone(), sk: path(id), attributes: part["M"].clone() })).collect()
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
    /// A shard of a product's stock; `None`: its key has no number that a shard can have.
    Stock(Option<u64>),
    /// Says who owns a name that only one may have.
    Owner,
    Movement,
    Order,
    User,
    /// How the user proves who it is.
    Password,
    /// Who the active admins are.
    Admins,
    Sessions,
    Record,
    /// Stands for itself and expires.
    Attempts,
    /// What goes out by mail. Expires, and may be for an account that there is not.
    Mail,
    /// Stands for itself.
    Settings,
    /// What was last told of a product's stock: later than the stock itself, and for as long as it takes to be told that it is gone.
    Level,
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
                Self::Stock(number.filter(|number| *number < MAX_SHARDS && stock_sk(*number) == sk))
            }
            schema::MOVEMENT => Self::Movement,
            schema::ORDER => Self::Order,
            schema::USER => Self::User,
            schema::PASSWORD => Self::Password,
            schema::ADMINS => Self::Admins,
            schema::SESSIONS => Self::Sessions,
            schema::IDEMPOTENCY => Self::Record,
            schema::FAILURES_IN_TOTAL | schema::FAILURES_FROM | schema::LOGINS_FROM | schema::REGISTRATIONS_FROM => {
                Self::Attempts
            }
            schema::ORDER_SHARDS | schema::SIGNING_KEYS => Self::Settings,
            schema::TICKET | schema::NOTICE => Self::Mail,
            schema::LEVEL => Self::Level,
            _ => return None,
        })
    }

    /// The attributes that rules look at, or that a repair must find as they were.
    fn kept(self) -> &'static [&'static str] {
        match self {
            Self::Product => &["gsi1pk", "gsi1sk", "price", "version", "updated_at"],
            Self::Stock(_) => &[
                "gsi1pk",
                "gsi1sk",
                "price",
                "quantity",
                "reserved",
                "shipped",
                "received",
                "stock_shards",
                "shards",
                "version",
                "updated_at",
            ],
            Self::Movement => &["amount", "created_at"],
            Self::Order => &[
                "gsi1pk",
                "gsi1sk",
                "gsi2pk",
                "gsi2sk",
                "customer_id",
                "status",
                "total",
                "item_count",
                "lines",
                "history",
                "version",
                "created_at",
                "updated_at",
            ],
            Self::User => &["role", "is_active", "updated_at"],
            Self::Sessions => &["sessions", "expires_at"],
            Self::Owner => &["product_id", "user_id"],
            Self::Record => &["fingerprint", "expires_at"],
            Self::Admins | Self::Password | Self::Attempts | Self::Mail | Self::Settings | Self::Level => &[],
        }
    }
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
            let made = made_by(item["answer"]["B"].as_str().unwrap_or_default());
            let subject = made.as_ref().map(|made| subject(&made.pk, &made.sk));
            if let Some(Made { pk, sk, line }) = made {
                let named = [("made_pk", Some(pk)), ("made_sk", Some(sk)), ("made_line", line)];
                kept.extend(named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), text(value?)))));
            }
            subject.into_iter().collect()
        }
        Kind::Attempts | Kind::Mail | Kind::Settings | Kind::Level => vec![],
        // Beside each that it lists.
        Kind::Admins => {
            let listed = item["admins"]["SS"].as_array().into_iter().flatten();
            listed.filter_map(|id| Some(schema::USER.pk.with(&[&id.as_str()?]))).collect()
        }
        // Beside the account that they are of.
        Kind::Sessions | Kind::Password => vec![schema::USER.pk.with(&[&id_of(&pk)])],
        Kind::Stock(_) | Kind::Owner | Kind::Movement | Kind::Order => vec![subject(&pk, &sk)],
    };
    Ok((Item { pk, sk, attributes: Value::Object(kept) }, subjects))
}

/// What an item belongs to. A movement stands for itself: a product may have had any number of them.
fn subject(pk: &str, sk: &str) -> String {
    if pk.starts_with(MOVEMENTS) { format!("{pk}#{sk}") } else { pk.to_owned() }
}

/// What a saved response says was made: an item, or a line in it.
#[derive(Debug, PartialEq)]
struct Made {
    pk: String,
    sk: String,
    line: Option<String>,
}

/// `answer`: as a record has it, in Base64.
fn made_by(answer: &str) -> Option<Made> {
    let bytes = BASE64_STANDARD.decode(answer).ok()?;
    let response: Value = serde_json::from_str(&SavedResponse::unpacked(&bytes)?.0).ok()?;
    let body: Value = serde_json::from_str(response["body"].as_str()?).ok()?;
    let id = |name: &str| body[name].as_str();
    let (kind, pk, sk, line) = match (id("order_id"), id("movement_id"), id("product_id")) {
        (Some(order), _, _) => (&schema::ORDER, order, "", id("order_item_id")),
        (None, Some(movement), Some(product)) => (&schema::MOVEMENT, product, movement, None),
        (None, None, Some(product)) => (&schema::PRODUCT, product, "", None),
        _ => return None,
    };
    Some(Made { pk: kind.pk.with(&[&pk]), sk: kind.sk.with(&[&sk]), line: line.map(str::to_owned) })
}

/// The latest moment that an item tells of, in milliseconds since the epoch.
pub fn moment(item: &Item) -> Option<u64> {
    ["updated_at", "created_at"].iter().filter_map(|name| item.number(name)).max()
}
