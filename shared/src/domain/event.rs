//! What has happened in the shop, as it leaves it: the events that follow from what a thing was before and is now.
//!
//! An event says which thing it is about (its subject), which version of it, and what the thing looks like. `id` is made of subject
//! and version, so that the same change is the same event however often it is delivered.

use serde::{Serialize, Serializer};

use super::{
    id::UserId,
    level::{Level, StockState},
    movement::{Movement, MovementKind},
    order::OrderDetails,
    product::Product,
    status::Status,
    timestamp::Timestamp,
    user::{Role, User},
};
use crate::json::{Fields, FromFields, FromJson, Json};

/// Where all events come from, as EventBridge calls it.
pub const SOURCE: &str = "stockroom";

/// What kind of thing has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventType {
    ProductCreated,
    ProductChanged,
    ProductDeleted,
    StockReceived,
    StockRemoved,
    StockCounted,
    StockLow,
    StockOut,
    StockBack,
    OrderPlaced,
    OrderChanged,
    OrderConfirmed,
    OrderShipped,
    OrderDelivered,
    OrderCancelled,
    OrderDeleted,
    AccountRegistered,
    AccountVerified,
    AccountChanged,
    AccountErased,
}

impl EventType {
    pub const ALL: [Self; 20] = [
        Self::ProductCreated,
        Self::ProductChanged,
        Self::ProductDeleted,
        Self::StockReceived,
        Self::StockRemoved,
        Self::StockCounted,
        Self::StockLow,
        Self::StockOut,
        Self::StockBack,
        Self::OrderPlaced,
        Self::OrderChanged,
        Self::OrderConfirmed,
        Self::OrderShipped,
        Self::OrderDelivered,
        Self::OrderCancelled,
        Self::OrderDeleted,
        Self::AccountRegistered,
        Self::AccountVerified,
        Self::AccountChanged,
        Self::AccountErased,
    ];

    /// As EventBridge's `detail-type` has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ProductCreated => "product.created",
            Self::ProductChanged => "product.changed",
            Self::ProductDeleted => "product.deleted",
            Self::StockReceived => "stock.received",
            Self::StockRemoved => "stock.removed",
            Self::StockCounted => "stock.counted",
            Self::StockLow => "stock.low",
            Self::StockOut => "stock.out",
            Self::StockBack => "stock.back",
            Self::OrderPlaced => "order.placed",
            Self::OrderChanged => "order.changed",
            Self::OrderConfirmed => "order.confirmed",
            Self::OrderShipped => "order.shipped",
            Self::OrderDelivered => "order.delivered",
            Self::OrderCancelled => "order.cancelled",
            Self::OrderDeleted => "order.deleted",
            Self::AccountRegistered => "account.registered",
            Self::AccountVerified => "account.verified",
            Self::AccountChanged => "account.changed",
            Self::AccountErased => "account.erased",
        }
    }
}

impl Serialize for EventType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Something that has happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// The same however often the event is delivered, and no other event's.
    pub id: String,
    #[serde(rename = "type")]
    pub kind: EventType,
    pub time: Timestamp,
    /// The path of the thing that it is about.
    pub subject: String,
    /// The version of the thing that this has made: 1 at first, then one more each time.
    pub version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Data>,
    /// Why there are no data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<&'static str>,
}

/// The thing itself, as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Data {
    Product(Box<Product>),
    Movement(Box<Movement>),
    Order(Box<OrderDetails>),
    Account(AccountFacts),
}

/// What an event tells of an account: nothing that names a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccountFacts {
    pub user_id: UserId,
    pub role: Role,
    pub is_active: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl From<&User> for AccountFacts {
    fn from(user: &User) -> Self {
        let User { user_id, role, is_active, created_at, updated_at, .. } = *user;
        Self { user_id, role, is_active, created_at, updated_at }
    }
}

impl Event {
    fn new(kind: EventType, subject: String, version: u64, time: Timestamp, data: Data) -> Self {
        Self { id: format!("{subject}@{version}"), kind, time, subject, version, data: Some(data), note: None }
    }

    /// The same without its data, for an event that is too large for whoever carries it.
    pub fn cut(self) -> Self {
        Self { data: None, note: Some("The data are too large for an event. Read them from the API."), ..self }
    }

    /// What a change of a product's texts or price is. `at`: when one was deleted. `None` if nothing that the API shows has changed.
    pub fn of_product(old: Option<Product>, new: Option<Product>, at: Timestamp) -> Option<Self> {
        let (kind, version, time, product) = match (old, new) {
            (None, Some(new)) => (EventType::ProductCreated, new.version.edits, new.updated_at, new),
            (Some(old), Some(new)) if old.version.edits == new.version.edits => return None,
            (Some(_), Some(new)) => (EventType::ProductChanged, new.version.edits, new.updated_at, new),
            (Some(old), None) => (EventType::ProductDeleted, old.version.edits + 1, at, old),
            (None, None) => return None,
        };
        Some(Self::product(kind, product, version, time))
    }

    /// A product as it is now, for those who have missed what became of it.
    pub fn state_of_product(product: Product) -> Self {
        let (version, time) = (product.version.edits, product.updated_at);
        Self::product(EventType::ProductChanged, product, version, time)
    }

    fn product(kind: EventType, product: Product, version: u64, time: Timestamp) -> Self {
        Self::new(kind, format!("/products/{}", product.product_id), version, time, Data::Product(Box::new(product)))
    }

    /// Pieces that came in, went out or were counted.
    pub fn of_movement(movement: Movement) -> Self {
        let kind = match movement.kind {
            MovementKind::Initial | MovementKind::Received => EventType::StockReceived,
            MovementKind::Removed => EventType::StockRemoved,
            MovementKind::Counted => EventType::StockCounted,
        };
        let subject = format!("/products/{}/movements/{}", movement.product_id, movement.movement_id);
        // A movement is written once.
        Self::new(kind, subject, 1, movement.created_at, Data::Movement(Box::new(movement)))
    }

    /// There is little of a product, or nothing, or enough again. `product`: as it is now, `None` if it has gone since.
    pub fn of_level(level: &Level, product: Option<Product>) -> Self {
        let kind = match level.state {
            StockState::Low => EventType::StockLow,
            StockState::Out => EventType::StockOut,
            StockState::In => EventType::StockBack,
        };
        let subject = format!("/products/{}/stock", level.product_id);
        let id = format!("{subject}@{}", level.version);
        let note = product.is_none().then_some("The product is no longer in the shop.");
        let data = product.map(|product| Data::Product(Box::new(product)));
        Self { id, kind, time: level.updated_at, subject, version: level.version, data, note }
    }

    /// What a change of an order is. `at`: when one was deleted. `None` if nothing that the API shows has changed.
    pub fn of_order(old: Option<OrderDetails>, new: Option<OrderDetails>, at: Timestamp) -> Option<Self> {
        let reached = |status| match status {
            Status::Pending => EventType::OrderPlaced,
            Status::Confirmed => EventType::OrderConfirmed,
            Status::Shipped => EventType::OrderShipped,
            Status::Delivered => EventType::OrderDelivered,
            Status::Cancelled => EventType::OrderCancelled,
        };
        let (kind, version, time, details) = match (old, new) {
            (Some(old), Some(new)) if old.order.version == new.order.version => return None,
            (Some(old), Some(new)) if old.order.status == new.order.status => {
                (EventType::OrderChanged, new.order.version, new.order.updated_at, new)
            }
            (_, Some(new)) => (reached(new.order.status), new.order.version, new.order.updated_at, new),
            (Some(old), None) => (EventType::OrderDeleted, old.order.version + 1, at, old),
            (None, None) => return None,
        };
        Some(Self::order(kind, details, version, time))
    }

    /// An order as it is now, for those who have missed what became of it.
    pub fn state_of_order(details: OrderDetails) -> Self {
        let (version, time) = (details.order.version, details.order.updated_at);
        Self::order(EventType::OrderChanged, details, version, time)
    }

    fn order(kind: EventType, details: OrderDetails, version: u64, time: Timestamp) -> Self {
        Self::new(kind, format!("/orders/{}", details.order.order_id), version, time, Data::Order(Box::new(details)))
    }

    /// What a change of an account is. `at`: when one was erased. `None` if nothing that the API shows has changed.
    pub fn of_account(old: Option<&User>, new: Option<&User>, at: Timestamp) -> Option<Self> {
        let (kind, version, time, user) = match (old, new) {
            (None, Some(new)) => (EventType::AccountRegistered, new.version, new.updated_at, new),
            (Some(old), Some(new)) if old.version == new.version => return None,
            (Some(old), Some(new)) if !old.email_verified && new.email_verified => {
                (EventType::AccountVerified, new.version, new.updated_at, new)
            }
            (Some(_), Some(new)) => (EventType::AccountChanged, new.version, new.updated_at, new),
            (Some(old), None) => (EventType::AccountErased, old.version + 1, at, old),
            (None, None) => return None,
        };
        Some(Self::account(kind, user, version, time))
    }

    /// An account as it is now, for those who have missed what became of it.
    pub fn state_of_account(user: &User) -> Self {
        Self::account(EventType::AccountChanged, user, user.version, user.updated_at)
    }

    fn account(kind: EventType, user: &User, version: u64, time: Timestamp) -> Self {
        Self::new(kind, format!("/users/{}", user.user_id), version, time, Data::Account(user.into()))
    }
}

/// What an operator wants to be told again, as it is now.
#[derive(Debug, Clone)]
pub struct Replay {
    pub kind: Replayed,
    /// Where the run before left off.
    pub cursor: Option<ReplayCursor>,
}

/// A position in what is told again, as a run has answered it.
#[derive(Debug, Clone)]
pub struct ReplayCursor(pub String);

impl FromJson for ReplayCursor {
    fn from_json(json: Json<'_>) -> Result<Self, String> {
        json.text().map(Self)
    }
}

/// A kind of things that can be told again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replayed {
    Products,
    Orders,
    Movements,
    Accounts,
}

impl FromJson for Replayed {
    fn from_json(json: Json<'_>) -> Result<Self, String> {
        match json {
            Json::String(text) if text == "products" => Ok(Self::Products),
            Json::String(text) if text == "orders" => Ok(Self::Orders),
            Json::String(text) if text == "movements" => Ok(Self::Movements),
            Json::String(text) if text == "accounts" => Ok(Self::Accounts),
            _ => Err("must be one of products, orders, movements and accounts".into()),
        }
    }
}

impl FromFields for Replay {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let kind = fields.required("kind");
        let cursor = fields.optional("cursor");
        Some(Self { kind: kind?, cursor: cursor? })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::{
        Description, Metadata, Money, Order, ProductName, ProductVersion, Sku, Stock, StockLevel, StockShards, id::tests::id,
    };

    const AT: Timestamp = Timestamp::from_millis(9_000);

    fn product(edits: u64) -> Product {
        Product {
            product_id: id(1),
            name: ProductName::stored("Pen".into()),
            sku: Sku::stored(None),
            description: Description::stored(None),
            price: Money::from_minor(150).unwrap(),
            quantity: Stock::stored(7),
            reserved: 2,
            low_stock_at: StockLevel::stored(None),
            stock_shards: StockShards::default(),
            created_at: Timestamp::from_millis(0),
            updated_at: Timestamp::from_millis(1_000 * i64::try_from(edits).unwrap()),
            version: ProductVersion { edits, stock: 41 },
        }
    }

    fn order(status: Status, version: u64) -> OrderDetails {
        let order = Order {
            order_id: id(2),
            customer_id: id(3),
            status,
            total_price: Money::ZERO,
            item_count: 0,
            created_at: Timestamp::from_millis(0),
            updated_at: Timestamp::from_millis(1_000 * i64::try_from(version).unwrap()),
            version,
        };
        OrderDetails { order, metadata: Metadata::default(), items: Vec::new(), history: Vec::new() }
    }

    /// Type, version and second of an event.
    fn told(event: Option<&Event>) -> Option<(&'static str, u64, i64)> {
        event.map(|event| (event.kind.as_str(), event.version, event.time.seconds()))
    }

    #[test]
    fn what_becomes_of_an_order_is_told() {
        use Status::{Cancelled, Confirmed, Delivered, Pending, Shipped};
        for (old, new, expected) in [
            (None, Some((Pending, 1)), Some(("order.placed", 1, 1))),
            (Some((Pending, 1)), Some((Pending, 2)), Some(("order.changed", 2, 2))),
            (Some((Pending, 2)), Some((Confirmed, 3)), Some(("order.confirmed", 3, 3))),
            (Some((Confirmed, 3)), Some((Shipped, 4)), Some(("order.shipped", 4, 4))),
            (Some((Shipped, 4)), Some((Delivered, 5)), Some(("order.delivered", 5, 5))),
            (Some((Pending, 2)), Some((Cancelled, 3)), Some(("order.cancelled", 3, 3))),
            (Some((Cancelled, 3)), Some((Cancelled, 4)), Some(("order.changed", 4, 4))),
            (Some((Cancelled, 4)), None, Some(("order.deleted", 5, 9))),
            // Nothing that the API shows: another shard of the admins' list, say.
            (Some((Pending, 2)), Some((Pending, 2)), None),
            (None, None, None),
        ] {
            let details = |image: Option<(Status, u64)>| image.map(|(status, version)| order(status, version));
            let event = Event::of_order(details(old), details(new), AT);
            assert_eq!(told(event.as_ref()), expected, "{old:?} {new:?}");
        }
    }

    #[test]
    fn what_becomes_of_a_product_is_told() {
        for (old, new, expected) in [
            (None, Some(1), Some(("product.created", 1, 1))),
            (Some(1), Some(2), Some(("product.changed", 2, 2))),
            (Some(2), Some(2), None),
            (Some(2), None, Some(("product.deleted", 3, 9))),
        ] {
            let event = Event::of_product(old.map(product), new.map(product), AT);
            assert_eq!(told(event.as_ref()), expected, "{old:?} {new:?}");
        }
    }

    #[test]
    fn every_kind_of_movement_is_told() {
        for (kind, expected) in [
            (MovementKind::Initial, "stock.received"),
            (MovementKind::Received, "stock.received"),
            (MovementKind::Removed, "stock.removed"),
            (MovementKind::Counted, "stock.counted"),
        ] {
            let movement =
                Movement { movement_id: id(5), product_id: id(1), kind, amount: -3, reason: None, by: id(3), created_at: AT };
            assert_eq!(told(Some(&Event::of_movement(movement))), Some((expected, 1, 9)));
        }
    }

    #[test]
    fn what_becomes_of_an_account_is_told_without_a_name() {
        let user = |version: u64| {
            let (email, username) = ("ada@example.com", "ada");
            let user = User::register(
                id(3),
                crate::domain::Email::from_stored(email.into()),
                crate::domain::Username::parse(username).unwrap(),
                Timestamp::from_millis(0),
            );
            User { version, ..user }
        };
        let told_of = |old: Option<u64>, new: Option<u64>| {
            let (old, new) = (old.map(user), new.map(user));
            Event::of_account(old.as_ref(), new.as_ref(), AT)
        };
        assert_eq!(told(told_of(None, Some(1)).as_ref()), Some(("account.registered", 1, 0)));
        assert_eq!(told(told_of(Some(1), Some(2)).as_ref()), Some(("account.changed", 2, 0)));
        assert_eq!(told_of(Some(2), Some(2)), None, "another hash of its password");
        let verified = |version, email_verified| User { email_verified, ..user(version) };
        for (before, after, expected) in [(false, true, "account.verified"), (true, true, "account.changed")] {
            let event = Event::of_account(Some(&verified(2, before)), Some(&verified(3, after)), AT);
            assert_eq!(told(event.as_ref()), Some((expected, 3, 0)));
        }
        assert_eq!(told(told_of(Some(2), None).as_ref()), Some(("account.erased", 3, 9)));
        let text = serde_json::to_string(&told_of(None, Some(1))).unwrap();
        assert!(!text.contains("ada"), "{text}");
    }

    #[test]
    fn what_is_to_be_told_again_is_one_of_four_kinds() {
        for (kind, expected) in [
            ("products", Some(Replayed::Products)),
            ("orders", Some(Replayed::Orders)),
            ("movements", Some(Replayed::Movements)),
            ("accounts", Some(Replayed::Accounts)),
            ("sessions", None),
        ] {
            let request = json!({"kind": kind, "cursor": "here"}).to_string();
            let replay = Fields::parse::<Replay>(request.as_bytes()).ok();
            assert_eq!(replay.as_ref().map(|replay| replay.kind), expected, "{kind}");
            assert_eq!(replay.map(|replay| replay.cursor.unwrap().0), expected.map(|_| "here".to_owned()));
        }
        assert!(Fields::parse::<Replay>(b"{}").is_err());
    }

    #[test]
    fn a_level_is_told_even_if_its_product_has_gone() {
        let level = |state, version| Level { product_id: id(1), state, version, updated_at: AT };
        for (state, expected) in [(StockState::Low, "stock.low"), (StockState::Out, "stock.out"), (StockState::In, "stock.back")]
        {
            let event = Event::of_level(&level(state, 4), Some(product(1)));
            assert_eq!(told(Some(&event)), Some((expected, 4, 9)));
            assert!(event.data.is_some() && event.note.is_none());
        }
        let event = Event::of_level(&level(StockState::Out, 4), None);
        assert!(event.data.is_none() && event.note.is_some());
    }

    #[test]
    fn an_event_is_written_as_cloudevents_names_its_parts() {
        let event = Event::of_product(None, Some(product(1)), AT).unwrap();
        let written = serde_json::to_value(&event).unwrap();
        let subject = "/products/00000000-0000-0000-0000-000000000001";
        assert_eq!(
            written,
            json!({
                "id": format!("{subject}@1"),
                "type": "product.created",
                "time": "1970-01-01T00:00:01.000Z",
                "subject": subject,
                "version": 1,
                "data": {
                    "product_id": "00000000-0000-0000-0000-000000000001",
                    "name": "Pen",
                    "sku": null,
                    "description": null,
                    "price": "1.50",
                    "quantity": 7,
                    "reserved": 2,
                    "low_stock_at": null,
                    "created_at": "1970-01-01T00:00:00.000Z",
                    "updated_at": "1970-01-01T00:00:01.000Z",
                },
            })
        );
        let cut = serde_json::to_value(event.cut()).unwrap();
        assert_eq!((&cut["id"], &cut["version"], &cut["data"]), (&written["id"], &written["version"], &Value::Null));
        assert!(cut["note"].is_string());
        for kind in EventType::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}
