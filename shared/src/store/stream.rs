//! The table's stream: every write that was committed, in order for each item, with the item before and after it.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, stream};
use serde::Deserialize;

use super::{
    key::{Item, Key},
    levels, movements, orders, products,
    schema::{self, ItemKind},
    stock::Shard,
    table::{Table, from_item},
    tickets, users,
};
use crate::{
    Error, Result,
    domain::{Event, Level, Movement, Notice, OrderDetails, Product, ProductId, Ticket, Timestamp, User, UserId},
};

/// One write to one item, as Lambda hands it over.
#[derive(Debug, Deserialize)]
pub struct Record {
    dynamodb: Images,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Images {
    /// Seconds since the epoch.
    approximate_creation_date_time: f64,
    sequence_number: String,
    old_image: Option<serde_dynamo::Item>,
    new_image: Option<serde_dynamo::Item>,
}

impl Record {
    /// What tells it from all others of its shard.
    pub fn sequence_number(&self) -> &str {
        &self.dynamodb.sequence_number
    }

    /// The mail that it makes due, if it does.
    pub fn due_mail(&self) -> Result<Option<DueMail>> {
        let Some(new) = self.dynamodb.new_image.clone().map(Item::from) else { return Ok(None) };
        let key = |name: &str| new.get(name).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default();
        let kind = ItemKind::of(&key("pk"), &key("sk"));
        Ok(if kind == Some(&schema::TICKET) {
            Some(DueMail::Ticket(tickets::from_stored(new)?))
        } else if kind == Some(&schema::NOTICE) {
            Some(DueMail::Notice(tickets::notice_from_stored(new)?))
        } else {
            None
        })
    }

    /// When it was written, to the second.
    fn at(&self) -> Timestamp {
        #[expect(clippy::cast_possible_truncation, reason = "seconds of this age of the world")]
        Timestamp::from_millis((self.dynamodb.approximate_creation_date_time * 1000.0) as i64)
    }

    /// What it means to the shop; `None` if that is nothing.
    fn change(&self) -> Result<Option<Change>> {
        let image = |item: &Option<serde_dynamo::Item>| item.clone().map(Item::from);
        let (old, new) = (image(&self.dynamodb.old_image), image(&self.dynamodb.new_image));
        let key = |name: &str| {
            let item = new.as_ref().or(old.as_ref());
            item.and_then(|item| item.get(name)?.as_s().ok()).cloned().unwrap_or_default()
        };
        let (pk, kind) = (key("pk"), ItemKind::of(&key("pk"), &key("sk")));
        Ok(if kind == Some(&schema::PRODUCT) {
            Some(Change::Product(BeforeAfter::of(old, new, products::without_stock)?))
        } else if kind == Some(&schema::STOCK) {
            let BeforeAfter { old, new } = BeforeAfter::of(old, new, from_item::<Shard>)?;
            let pieces = |shard: Option<Shard>| shard.map(|shard| shard.quantity);
            Key::product_of(&pk).filter(|_| pieces(old) != pieces(new)).map(Change::Pieces)
        } else if kind == Some(&schema::LEVEL) {
            new.map(levels::from_stored).transpose()?.map(Change::Level)
        } else if kind == Some(&schema::MOVEMENT) {
            new.filter(|_| old.is_none()).map(movements::from_stored).transpose()?.map(Change::Movement)
        } else if kind == Some(&schema::ORDER) {
            Some(Change::Order(BeforeAfter::of(old, new, orders::from_stored)?))
        } else if kind == Some(&schema::USER) {
            Some(Change::Account(BeforeAfter::of(old, new, users::from_stored)?))
        } else {
            None
        })
    }
}

/// A mail that is due because of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DueMail {
    Ticket(Ticket),
    Notice(Notice),
}

impl DueMail {
    pub fn user_id(&self) -> UserId {
        match self {
            Self::Ticket(ticket) => ticket.user_id,
            Self::Notice(notice) => notice.user_id,
        }
    }

    /// Whether anybody still has use for it.
    pub fn is_due(&self, now: Timestamp) -> bool {
        match self {
            Self::Ticket(ticket) => ticket.is_good(now),
            Self::Notice(notice) => notice.expires_at > now,
        }
    }
}

/// What a write means to the shop.
#[derive(Debug)]
enum Change {
    /// What is said of a product.
    Product(BeforeAfter<Product>),
    /// How many pieces of a product can be sold from one of its shards.
    Pieces(ProductId),
    Level(Level),
    Movement(Movement),
    Order(BeforeAfter<OrderDetails>),
    Account(BeforeAfter<User>),
}

/// A thing before a write and after it.
#[derive(Debug)]
struct BeforeAfter<T> {
    old: Option<T>,
    new: Option<T>,
}

impl<T> BeforeAfter<T> {
    fn of(old: Option<Item>, new: Option<Item>, read: impl Fn(Item) -> Result<T>) -> Result<Self> {
        Ok(Self { old: old.map(&read).transpose()?, new: new.map(&read).transpose()? })
    }
}

/// What follows from records of the stream.
pub struct Told {
    /// In the order of the records, each with the position of its own.
    pub events: Vec<(usize, Event)>,
    /// The position of the first record of which nothing can be told, and why; nothing is told of those after it either.
    pub failed: Option<(usize, Error)>,
}

/// How many products are looked at side by side: each is a connection of its own.
const SIDE_BY_SIDE: usize = 8;

/// Tells what has happened, and writes down what is new of the levels of stock.
///
/// What is said of a product lies in one item and is told as it was. What there is of it lies in others, and is told as it is now.
pub async fn tell(table: &Table, records: &[Record], now: Timestamp) -> Told {
    let (mut changes, mut failed) = (Vec::new(), None);
    for (position, record) in records.iter().enumerate() {
        match record.change() {
            Ok(change) => changes.extend(change.map(|change| (position, change))),
            Err(error) => {
                failed = Some((position, error));
                break;
            }
        }
    }
    let products: BTreeSet<_> = changes.iter().filter_map(|(_, change)| change.product()).collect();
    let looked = stream::iter(products).map(async |id| (id, levels::watch(table, id, now).await));
    let mut products: BTreeMap<_, _> = looked.buffer_unordered(SIDE_BY_SIDE).collect().await;

    let mut events = Vec::new();
    for (position, change) in changes {
        let product = match change.product().and_then(|id| products.remove_entry(&id)) {
            Some((_, Err(error))) => {
                failed = Some((position, error));
                break;
            }
            // Others may be about the same.
            Some((id, Ok(product))) => {
                products.insert(id, Ok(product.clone()));
                product
            }
            None => None,
        };
        events.extend(change.event(product, records[position].at()).map(|event| (position, event)));
    }
    Told { events, failed }
}

impl Change {
    /// The product that has to be looked at.
    fn product(&self) -> Option<ProductId> {
        match self {
            Self::Product(BeforeAfter { new: Some(product), .. }) => Some(product.product_id),
            // What is left of its stock's level goes with it.
            Self::Product(BeforeAfter { old, .. }) => old.as_ref().map(|product| product.product_id),
            Self::Pieces(id) => Some(*id),
            Self::Level(level) => Some(level.product_id),
            Self::Movement(_) | Self::Order(_) | Self::Account(_) => None,
        }
    }

    /// `product`: as it is now. `at`: when it was written.
    fn event(self, product: Option<Product>, at: Timestamp) -> Option<Event> {
        match self {
            Self::Product(BeforeAfter { old, new }) => {
                let with_stock = |new: Product| match &product {
                    Some(now) => new.with_stock_of(now),
                    None => new,
                };
                Event::of_product(old, new.map(with_stock), at)
            }
            Self::Pieces(_) => None,
            Self::Level(level) => Some(Event::of_level(&level, product)),
            Self::Movement(movement) => Some(Event::of_movement(movement)),
            Self::Order(BeforeAfter { old, new }) => Event::of_order(old, new, at),
            Self::Account(BeforeAfter { old, new }) => Event::of_account(old.as_ref(), new.as_ref(), at),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::{Purpose, Topic};

    const ID: &str = "0197a2b4-7c1e-7d3a-9f00-5a6b7c8d9e0f";
    const OTHER: &str = "0197a2b4-7c1e-7d3a-9f00-000000000001";

    fn record(old: Value, new: Value) -> Record {
        let images = json!({"ApproximateCreationDateTime": 9.0, "SequenceNumber": "1", "OldImage": old, "NewImage": new});
        serde_json::from_value(json!({"eventID": "1", "eventName": "MODIFY", "dynamodb": images})).unwrap()
    }

    fn item(pk: &str, sk: &str, numbers: &[(&str, u64)], texts: &[(&str, &str)]) -> Value {
        let mut item = json!({"pk": {"S": pk}, "sk": {"S": sk}, "created_at": {"N": "1000"}, "updated_at": {"N": "2000"}});
        for (name, number) in numbers {
            item[name] = json!({"N": number.to_string()});
        }
        for (name, text) in texts {
            item[name] = json!({"S": text});
        }
        item
    }

    fn order(status: &str, version: u64) -> Value {
        let numbers = [("version", version), ("total", 1990), ("item_count", 1)];
        let mut order = item(&format!("ORDER#{ID}"), "ORDER", &numbers, &[("status", status), ("customer_id", OTHER)]);
        order["lines"] = json!({"M": {OTHER: {"M": {"product_id": {"S": ID}, "quantity": {"N": "1"}, "price": {"N": "1990"}}}}});
        order["history"] = json!({"M": {}});
        order
    }

    fn user(version: u64, more: &str) -> Value {
        let texts = [("email", "ada@example.com"), ("username", "ada"), ("more", more), ("role", "customer")];
        let mut user = item(&format!("USER#{ID}"), "USER", &[("version", version)], &texts);
        user["is_active"] = json!({"BOOL": true});
        user["email_verified"] = json!({"BOOL": false});
        user
    }

    /// What follows from one record, without looking at the table.
    fn told(old: Value, new: Value) -> Option<Value> {
        let record = record(old, new);
        let change = record.change().unwrap()?;
        change.event(None, record.at()).map(|event| serde_json::to_value(event).unwrap())
    }

    #[test]
    fn images_become_events() {
        let product = |version: u64| {
            let texts = [("gsi1pk", "PRODUCTS"), ("gsi1sk", "pen"), ("name", "Pen"), ("description", "Blue")];
            item(&format!("PRODUCT#{ID}"), "PRODUCT", &[("version", version), ("price", 1990)], &texts)
        };
        let stock = |quantity: u64| {
            item(&format!("PRODUCT#{ID}"), "STOCK#00", &[("quantity", quantity), ("reserved", 0), ("version", 1)], &[])
        };
        let level =
            |state: &str, version: u64| item(&format!("LEVEL#{ID}"), "LEVEL", &[("version", version)], &[("state", state)]);
        let movement = |kind: &str| item(&format!("MOVEMENTS#{ID}"), OTHER, &[("amount", 5)], &[("kind", kind), ("by", OTHER)]);
        let none = Value::Null;
        for (old, new, expected) in [
            (none.clone(), product(1), "product.created@1"),
            (product(1), product(2), "product.changed@2"),
            (product(2), none.clone(), "product.deleted@3"),
            (none.clone(), order("PENDING", 1), "order.placed@1"),
            (order("PENDING", 1), order("PENDING", 2), "order.changed@2"),
            (order("PENDING", 2), order("CONFIRMED", 3), "order.confirmed@3"),
            (order("CONFIRMED", 3), order("SHIPPED", 4), "order.shipped@4"),
            (order("SHIPPED", 4), order("DELIVERED", 5), "order.delivered@5"),
            (order("DELIVERED", 5), order("CANCELLED", 6), "order.cancelled@6"),
            (order("CANCELLED", 6), none.clone(), "order.deleted@7"),
            (none.clone(), movement("initial"), "stock.received@1"),
            (none.clone(), movement("received"), "stock.received@1"),
            (none.clone(), movement("removed"), "stock.removed@1"),
            (none.clone(), movement("counted"), "stock.counted@1"),
            (none.clone(), level("low", 1), "stock.low@1"),
            (level("low", 1), level("out", 2), "stock.out@2"),
            (level("out", 2), level("in", 3), "stock.back@3"),
            (none.clone(), user(1, "one"), "account.registered@1"),
            (user(1, "one"), user(2, "one"), "account.changed@2"),
            (user(2, "one"), none.clone(), "account.erased@3"),
            // Nothing that anybody outside should hear of.
            (user(2, "one"), user(2, "two"), ""),
            (order("PENDING", 2), order("PENDING", 2), ""),
            (level("in", 3), none.clone(), ""),
            (stock(5), stock(4), ""),
            (none.clone(), item(&format!("SESSIONS#{ID}"), "SESSIONS", &[], &[]), ""),
            (none.clone(), item("ELSE#1", "ELSE", &[], &[]), ""),
        ] {
            let event = told(old.clone(), new.clone());
            let named =
                event.as_ref().map_or(String::new(), |event| format!("{}@{}", event["type"].as_str().unwrap(), event["version"]));
            assert_eq!(named, expected, "{old} {new}");
            let text = event.unwrap_or_default().to_string();
            assert!(!text.contains("ada@example.com") && !text.contains("\"one\""), "{text}");
        }
    }

    #[test]
    fn a_ticket_and_a_notice_are_mails() {
        let ticket = |id: &str| {
            let times = [("created_at", 2_000), ("expires_at", 9)];
            item(&format!("TICKETS#{ID}"), "recovery", &times, &[("ticket_id", id)])
        };
        let notice = item(&format!("NOTICES#{ID}"), "password-changed", &[("expires_at", 9)], &[("email", "ada@example.com")]);
        let due = |old: Value, new: Value| record(old, new).due_mail().unwrap();
        let mail = due(Value::Null, ticket(ID)).unwrap();
        assert!(matches!(&mail, DueMail::Ticket(ticket) if ticket.purpose == Purpose::Recovery && ticket.email.is_none()));
        assert_eq!(mail.user_id().to_string(), ID);
        assert!(mail.is_due(Timestamp::from_millis(8_999)) && !mail.is_due(Timestamp::from_millis(9_000)));
        assert!(due(ticket(ID), ticket(ID)).is_some(), "one that takes the place of another");
        assert!(
            matches!(due(Value::Null, notice.clone()), Some(DueMail::Notice(notice)) if notice.topic == Topic::PasswordChanged)
        );
        assert_eq!(due(ticket(ID), Value::Null), None, "it was used");
        assert_eq!(due(notice, Value::Null), None);
        assert_eq!(due(Value::Null, user(1, "one")), None);
        assert!(told(Value::Null, ticket(ID)).is_none(), "no event tells of it");
    }

    #[test]
    fn an_order_is_told_as_the_api_shows_it() {
        let event = told(order("PENDING", 1), order("PENDING", 2)).unwrap();
        assert_eq!((&event["subject"], &event["time"]), (&json!(format!("/orders/{ID}")), &json!("1970-01-01T00:00:02.000Z")));
        let (total, line) = (&event["data"]["total_price"], &event["data"]["items"][0]);
        assert_eq!((total, &line["line_total"], &line["product_id"]), (&json!("19.90"), &json!("19.90"), &json!(ID)));
        assert!(line.get("shard").is_none() && event["data"].get("gsi1pk").is_none());
        let deleted = told(order("PENDING", 2), Value::Null).unwrap();
        assert_eq!((&deleted["time"], &deleted["data"]["status"]), (&json!("1970-01-01T00:00:09.000Z"), &json!("PENDING")));
    }

    /// A sale is told by its order. The number of pieces matters where it may cross a level.
    #[test]
    fn stock_is_looked_at_when_pieces_come_or_go() {
        let stock = |quantity: u64, price: u64| {
            let numbers = [("quantity", quantity), ("reserved", 0), ("version", 1), ("price", price)];
            item(&format!("PRODUCT#{ID}"), "STOCK#07", &numbers, &[])
        };
        let looks = |old: Value, new: Value| record(old, new).change().unwrap().and_then(|change| change.product());
        assert_eq!(looks(stock(5, 1), stock(4, 1)).map(|id| id.to_string()).as_deref(), Some(ID));
        assert!(looks(Value::Null, stock(5, 1)).is_some() && looks(stock(5, 1), Value::Null).is_some());
        assert_eq!(looks(stock(5, 1), stock(5, 2)), None, "another price");
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        let mut broken = order("PENDING", 1);
        broken["status"] = json!({"S": "LOST"});
        assert!(record(Value::Null, broken).change().is_err());
    }
}
