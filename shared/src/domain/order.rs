//! Orders, their lines, and what is asked for with them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{
    id::{OrderId, OrderItemId, ProductId, UserId},
    lifecycle::{StatusChange, StockEffect},
    metadata::Metadata,
    money::Money,
    product::Offer,
    refusal::{Refusal, Result},
    status::Status,
    timestamp::Timestamp,
    user::{Actor, Caller},
};
use crate::{
    fault::Fault,
    json::{Fields, FromFields, FromJson, Json, whole},
};

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
    /// Lines that an order may have. Placing one writes the order, a shard of each line's product and what is gathered there, and
    /// a record: all within the hundred actions of one transaction.
    pub const MAX_ITEMS: usize = 40;

    /// What deleting it does to the stock: whoever may see it may delete it while it is PENDING, and an admin when it is CANCELLED too.
    /// That somebody else's order does not exist for a customer is the rule of [`Actor::require_sight`].
    ///
    /// # Errors
    ///
    /// [`Refusal::OrderNotDeletable`].
    pub fn deletion(&self, actor: &Actor) -> Result<StockEffect> {
        match self.status {
            Status::Pending => Ok(StockEffect::Released),
            Status::Cancelled if actor.is_admin() => Ok(StockEffect::None),
            status => Err(Refusal::OrderNotDeletable { status }),
        }
    }

    /// Refuses a change of its lines: its customer and admins may change them, while it is PENDING. Somebody else's order does not
    /// exist for a customer.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`], [`Refusal::OrderNotEditable`], [`Refusal::TooManyItems`].
    pub fn require_editable(&self, edit: Edit, actor: &Actor) -> Result {
        actor.require_sight(self.customer_id)?;
        match self.status {
            Status::Pending if edit == Edit::Add && self.item_count >= Self::MAX_ITEMS as u64 => {
                Err(Refusal::TooManyItems { max: Self::MAX_ITEMS })
            }
            Status::Pending => Ok(()),
            status => Err(Refusal::OrderNotEditable { status }),
        }
    }

    /// Refuses a change of its metadata: its customer may make one while it is PENDING, and an admin always.
    ///
    /// # Errors
    ///
    /// [`Refusal::OrderNotEditable`].
    pub fn require_metadata_editable(&self, actor: &Actor) -> Result {
        if self.status == Status::Pending || actor.is_admin() {
            Ok(())
        } else {
            Err(Refusal::OrderNotEditable { status: self.status })
        }
    }
}

/// A change of an order's lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edit {
    /// One more line.
    Add,
    /// Another quantity, or one line less.
    Change,
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
    pub metadata: Metadata,
    /// In the order in which they were added.
    pub items: Vec<OrderItem>,
    /// Oldest first.
    pub history: Vec<HistoryEntry>,
}

impl OrderDetails {
    /// A new order with these lines.
    pub fn place(order_id: OrderId, customer_id: UserId, items: Vec<OrderItem>, metadata: Metadata, now: Timestamp) -> Self {
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
        Self { order, metadata, items, history: Vec::new() }
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
    pub metadata: Metadata,
}

impl NewOrder {
    /// The customer whose order it is to be.
    ///
    /// # Errors
    ///
    /// [`Refusal::Forbidden`] if it is somebody else's and the caller is no admin.
    pub fn customer(&self, caller: &Caller) -> Result<UserId> {
        match self.customer_id {
            Some(customer) if customer != caller.user_id => {
                caller.require_admin().map_err(|_| Refusal::Forbidden("only an admin may order for somebody else"))?;
                Ok(customer)
            }
            _ => Ok(caller.user_id),
        }
    }
}

impl FromFields for NewOrder {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let customer_id = fields.optional("customer_id");
        let items = fields.list("items", Order::MAX_ITEMS);
        let metadata = fields.clearable_object("metadata");
        Some(Self { customer_id: customer_id?, items: items?, metadata: metadata?.unwrap_or_default() })
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
    /// Whether customers order only with an e-mail address that is verified.
    pub verified_email: bool,
}

impl OrderPolicy {
    /// Times `hold_hours` that an order holds its stock at most, from when it was made and however often it is changed.
    const MAX_HOLDS: i64 = 3;

    /// How many PENDING orders a customer may have if it is this actor who places one. Admins may go beyond the limit: they order
    /// for others too.
    pub fn open_orders_limit(&self, actor: &Actor) -> Option<u32> {
        self.max_open_orders.filter(|_| !actor.is_admin())
    }

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
    pub metadata: Metadata,
    pub now: Timestamp,
}

impl OrderDraft {
    /// The products of all lines, each once.
    pub fn products(&self) -> BTreeSet<ProductId> {
        self.items.iter().map(|(_, item)| item.product_id).collect()
    }

    /// The order at these prices.
    ///
    /// # Errors
    ///
    /// [`Refusal::UnknownProduct`] with all lines whose product has no price, because there is no such product.
    pub fn priced(&self, offers: &BTreeMap<ProductId, Offer>) -> Result<OrderDetails> {
        let (mut items, mut unknown) = (Vec::with_capacity(self.items.len()), Vec::new());
        for (index, (id, wanted)) in self.items.iter().enumerate() {
            match offers.get(&wanted.product_id) {
                Some(offer) => items.push(OrderItem::new(*id, self.order_id, wanted, *offer, self.now)),
                None => unknown.push(Self::pointer_to(index)),
            }
        }
        if !unknown.is_empty() {
            return Err(Refusal::unknown_products(unknown));
        }
        Ok(OrderDetails::place(self.order_id, self.customer_id, items, self.metadata.clone(), self.now))
    }

    /// JSON pointer to the first line with a product.
    pub fn pointer(&self, product_id: ProductId) -> String {
        let index = self.items.iter().position(|(_, item)| item.product_id == product_id).unwrap_or_default();
        Self::pointer_to(index)
    }

    fn pointer_to(index: usize) -> String {
        format!("/items/{index}/product_id")
    }
}

/// A step to take, other metadata, or both.
#[derive(Debug, Clone)]
pub struct OrderChange {
    pub step: Option<StatusChange>,
    pub metadata: Option<Metadata>,
}

impl FromFields for OrderChange {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let status = fields.optional("status");
        let reason = fields.optional("reason");
        let restock = fields.optional("restock");
        let metadata = fields.clearable_object("metadata");
        let (status, reason, restock, metadata) = (status?, reason?, restock?, metadata?);
        if status.is_none() && fields.is_sound() {
            let for_a_step = [("reason", reason.is_some()), ("restock", restock.is_some())];
            match metadata {
                None => fields.fault("must set at least one of status and metadata"),
                Some(_) => for_a_step.iter().filter(|(_, is_there)| *is_there).for_each(|(name, _)| {
                    fields.fault_of(name, "is for a change of status");
                }),
            }
        }
        let step = status.map(|status| StatusChange { status, reason, restock: restock.unwrap_or_default() });
        Some(Self { step, metadata })
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
            (status, customer_id) => Err(Refusal::Invalid(status.err().into_iter().chain(customer_id.err()).collect())),
        }
    }

    /// The customer whose list it is, when it can only be the caller's own.
    pub fn only_of(&self, caller: UserId) -> Result<UserId> {
        match self.customer_id {
            None => Ok(caller),
            Some(customer) if customer == caller => Ok(caller),
            Some(_) => Err(Refusal::Forbidden("only an admin may see the orders of others")),
        }
    }

    /// A name for the list, which its cursors are tied to.
    pub fn name(&self, customer: Option<UserId>) -> String {
        let status = self.status.map_or("", Status::as_str);
        format!("orders {status} {}", customer.map_or(String::new(), |id| id.to_string()))
    }
}
