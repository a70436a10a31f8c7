//! Orders, their lines, and what is asked for with them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{
    fields::{Fields, FromFields, FromJson, Json, whole},
    id::{OrderId, OrderItemId, ProductId, UserId},
    lifecycle::{Status, StockEffect},
    money::Money,
    product::Offer,
    text::Text,
    timestamp::Timestamp,
};
use crate::{Error, Result, error::Fault};

/// An order, without its lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Order {
    pub order_id: OrderId,
    pub customer_id: UserId,
    pub status: Status,
    /// The sum of all lines.
    pub total_price: Money,
    pub item_count: u64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Grows with every write to the order or one of its lines; what the `ETag` is made of.
    #[serde(skip)]
    pub version: u64,
}

impl Order {
    /// Lines that an order may have. A status change writes the order, each line's product and a record: all within the hundred
    /// actions of one transaction.
    pub const MAX_ITEMS: usize = 40;
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OrderItem {
    pub order_item_id: OrderItemId,
    pub order_id: OrderId,
    pub product_id: ProductId,
    pub quantity: Quantity,
    /// The product's price at the instant the line was written. Later prices do not change it.
    pub price: Money,
    /// Price times quantity.
    pub line_total: Money,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// The shard of the product's stock that holds these pieces.
    #[serde(skip)]
    pub shard: u32,
}

impl OrderItem {
    pub fn new(id: OrderItemId, order_id: OrderId, wanted: &NewItem, offer: Offer, now: Timestamp) -> Self {
        let Offer { price, shard } = offer;
        Self {
            order_item_id: id,
            order_id,
            product_id: wanted.product_id,
            quantity: wanted.quantity,
            price,
            line_total: price.times(wanted.quantity.get()),
            created_at: now,
            updated_at: now,
            shard,
        }
    }
}

/// One change of an order's status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HistoryEntry {
    pub at: Timestamp,
    /// Who did it; `None` was the shop itself, when an order expired.
    pub by: Option<UserId>,
    pub from: Status,
    pub to: Status,
    /// The version of the order that it made.
    #[serde(skip)]
    pub version: u64,
    pub reason: Option<String>,
    /// What it did to the stock of the lines' products.
    pub stock: StockEffect,
    /// Products that were to come back on the shelf and are no longer in the shop.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_restocked: Vec<ProductId>,
}

/// An order with its lines and its history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OrderDetails {
    #[serde(flatten)]
    pub order: Order,
    /// In the order in which they were added.
    pub items: Vec<OrderItem>,
    /// Oldest first.
    pub history: Vec<HistoryEntry>,
}

impl OrderDetails {
    /// A new order with these lines.
    pub fn place(order_id: OrderId, customer_id: UserId, items: Vec<OrderItem>, now: Timestamp) -> Self {
        let order = Order {
            order_id,
            customer_id,
            status: Status::Pending,
            total_price: total(&items),
            item_count: items.len() as u64,
            created_at: now,
            updated_at: now,
            version: 1,
        };
        Self { order, items, history: Vec::new() }
    }

    /// How many of each product the lines need, by the shard of its stock that they come from.
    pub fn demand(&self) -> Demand {
        demand(&self.items)
    }
}

/// The sum of the lines.
pub fn total(items: &[OrderItem]) -> Money {
    items.iter().fold(Money::ZERO, |sum, item| sum.plus(item.line_total))
}

/// How many pieces of each shard of a product, in the order in which the lines name them first.
pub type Demand = Vec<((ProductId, u32), u64)>;

/// What the lines need together. DynamoDB allows one action per item in a transaction.
pub fn demand(items: &[OrderItem]) -> Demand {
    let mut demand = Demand::new();
    for item in items {
        let (stock, pieces) = ((item.product_id, item.shard), item.quantity.get());
        match demand.iter_mut().find(|(its, _)| *its == stock) {
            Some((_, needed)) => *needed += pieces,
            None => demand.push((stock, pieces)),
        }
    }
    demand
}

/// Pieces on one line: 1 to 10,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Quantity(u64);

impl Quantity {
    pub const MAX: u64 = 10_000;

    pub fn new(pieces: u64) -> Option<Self> {
        (1..=Self::MAX).contains(&pieces).then_some(Self(pieces))
    }

    pub fn get(self) -> u64 {
        self.0
    }
}

impl FromJson for Quantity {
    fn from_json(json: Json<'_>) -> Result<Self, String> {
        match json {
            Json::Number(text) => whole(text).and_then(Self::new),
            _ => None,
        }
        .ok_or_else(|| format!("must be an integer from 1 to {}", Self::MAX))
    }
}

/// A line to add.
#[derive(Debug, Clone)]
pub struct NewItem {
    pub product_id: ProductId,
    pub quantity: Quantity,
}

impl FromFields for NewItem {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let product_id = fields.required("product_id");
        let quantity = fields.required("quantity");
        Some(Self { product_id: product_id?, quantity: quantity? })
    }
}

/// What an order is asked to be.
#[derive(Debug, Clone)]
pub struct NewOrder {
    /// Whom it is for, if that is not the caller.
    pub customer_id: Option<UserId>,
    pub items: Vec<NewItem>,
}

impl FromFields for NewOrder {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let customer_id = fields.optional("customer_id");
        let items = fields.list("items", Order::MAX_ITEMS);
        Some(Self { customer_id: customer_id?, items: items? })
    }
}

/// What a shop lets its customers do with orders.
#[derive(Debug, Clone, Copy)]
pub struct OrderPolicy {
    /// Whether a customer may confirm an order; if not, an admin does, such as a payment service.
    pub customers_confirm: bool,
    /// PENDING orders that a customer may have at a time; `None` is any number.
    pub max_open_orders: Option<u32>,
    /// Hours that a PENDING order holds its stock after its last change; `None` is for ever.
    pub hold_hours: Option<u32>,
}

impl OrderPolicy {
    /// Times `hold_hours` that an order holds its stock at most, from when it was made and however often it is changed.
    const MAX_HOLDS: i64 = 3;

    /// Which PENDING orders hold their stock no more at this time; `None` if none ever lets go of it.
    pub fn ended_holds(&self, now: Timestamp) -> Option<EndedHolds> {
        let before = |holds| self.hours_before(now, holds);
        Some(EndedHolds { changed_before: before(1)?, created_before: before(Self::MAX_HOLDS)? })
    }

    /// Since when the PENDING orders have been made that there can be at this time; `None` if they may be of any age. An hour
    /// of grace and more for whoever cancels them.
    pub fn oldest_pending(&self, now: Timestamp) -> Option<Timestamp> {
        self.hours_before(now, Self::MAX_HOLDS + 1)
    }

    fn hours_before(&self, now: Timestamp, holds: i64) -> Option<Timestamp> {
        let hours = i64::from(self.hold_hours?);
        Some(Timestamp::from_millis(now.millis() - holds * hours * 60 * 60 * 1000))
    }
}

/// PENDING orders that have held their stock for long enough.
#[derive(Debug, Clone, Copy)]
pub struct EndedHolds {
    /// All that were last changed before this time,
    pub changed_before: Timestamp,
    /// and all that were made before this time, whether or not they were changed since.
    pub created_before: Timestamp,
}

impl EndedHolds {
    pub fn include(&self, order: &Order) -> bool {
        let ended = order.updated_at < self.changed_before || order.created_at < self.created_before;
        order.status == Status::Pending && ended
    }
}

/// An order to place: all of it but the prices.
#[derive(Debug, Clone)]
pub struct OrderDraft {
    pub order_id: OrderId,
    pub customer_id: UserId,
    pub items: Vec<(OrderItemId, NewItem)>,
    pub now: Timestamp,
}

impl OrderDraft {
    /// The products of all lines, each once.
    pub fn products(&self) -> BTreeSet<ProductId> {
        self.items.iter().map(|(_, item)| item.product_id).collect()
    }

    /// The order at these prices; what has none is free.
    pub fn priced(&self, offers: &BTreeMap<ProductId, Offer>) -> OrderDetails {
        let priced = |(id, wanted): &(OrderItemId, NewItem)| {
            let offer = offers.get(&wanted.product_id).copied().unwrap_or(Offer { price: Money::ZERO, shard: 0 });
            OrderItem::new(*id, self.order_id, wanted, offer, self.now)
        };
        OrderDetails::place(self.order_id, self.customer_id, self.items.iter().map(priced).collect(), self.now)
    }

    /// The lines whose product has no price, because there is no such product.
    pub fn unknown(&self, offers: &BTreeMap<ProductId, Offer>) -> Vec<Fault> {
        let lines = self.items.iter().enumerate().filter(|(_, (_, item))| !offers.contains_key(&item.product_id));
        lines.map(|(index, _)| Fault::new(format!("/items/{index}/product_id"), "is no product of this shop")).collect()
    }

    /// JSON pointer to the first line with a product.
    pub fn pointer(&self, product_id: ProductId) -> String {
        let index = self.items.iter().position(|(_, item)| item.product_id == product_id).unwrap_or_default();
        format!("/items/{index}/product_id")
    }
}

/// A line's new quantity.
#[derive(Debug, Clone)]
pub struct ItemChange {
    pub quantity: Quantity,
}

impl FromFields for ItemChange {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self { quantity: fields.required("quantity")? })
    }
}

/// A status to bring an order to.
#[derive(Debug, Clone)]
pub struct StatusChange {
    pub status: Status,
    pub reason: Option<Reason>,
    /// Whether what comes back goes on the shelf again.
    pub restock: bool,
}

impl FromFields for StatusChange {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let status = fields.required("status");
        let reason = fields.optional("reason");
        let restock = fields.optional("restock");
        Some(Self { status: status?, reason: reason?, restock: restock?.unwrap_or_default() })
    }
}

/// The input of the schedule that cancels forgotten orders: whatever EventBridge sends, none of it matters.
#[derive(Debug)]
pub struct Expiry;

impl FromFields for Expiry {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        fields.ignore_rest();
        Some(Self)
    }
}

/// Which orders a list is about.
#[derive(Debug, Clone)]
pub struct OrderFilter {
    pub status: Option<Status>,
    pub customer_id: Option<UserId>,
}

impl OrderFilter {
    /// From the parameters `status` and `customer_id` of a query, each of which may be faulty already.
    pub fn parse<T: AsRef<str>>(status: Result<Option<T>, Fault>, customer_id: Result<Option<T>, Fault>) -> Result<Self> {
        let status = status.and_then(|text| {
            let fault = |()| Fault::new("?status", format!("must be one of {}", Status::ALL.map(Status::as_str).join(", ")));
            text.map(|text| text.as_ref().parse().map_err(fault)).transpose()
        });
        let customer_id = customer_id.and_then(|text| {
            let parsed = text.map(|text| text.as_ref().parse()).transpose();
            parsed.map_err(|_| Fault::new("?customer_id", "must be a UUID"))
        });
        match (status, customer_id) {
            (Ok(status), Ok(customer_id)) => Ok(Self { status, customer_id }),
            (status, customer_id) => Err(Error::Invalid(status.err().into_iter().chain(customer_id.err()).collect())),
        }
    }

    /// The customer whose list it is, when it can only be the caller's own.
    pub fn only_of(&self, caller: UserId) -> Result<UserId> {
        match self.customer_id {
            None => Ok(caller),
            Some(customer) if customer == caller => Ok(caller),
            Some(_) => Err(Error::Forbidden("only an admin may see the orders of others")),
        }
    }

    /// A name for the list, which its cursors are tied to.
    pub fn name(&self, customer: Option<UserId>) -> String {
        let status = self.status.map_or("", Status::as_str);
        format!("orders {status} {}", customer.map_or(String::new(), |id| id.to_string()))
    }
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
