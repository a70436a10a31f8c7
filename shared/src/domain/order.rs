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

#[cfg(test)]
mod tests {
    use super::{
        super::{id::tests::id, refusal::Resource, user::Role},
        *,
    };
    use crate::json::tests::faults;

    /// Milliseconds after an instant.
    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_795_342_350_120 + millis)
    }

    fn order(status: Status, item_count: u64) -> Order {
        let total_price = Money::ZERO;
        Order {
            order_id: id(1),
            customer_id: id(2),
            status,
            total_price,
            item_count,
            created_at: at(0),
            updated_at: at(0),
            version: 1,
        }
    }

    fn wanted(product: u128, pieces: u64) -> NewItem {
        NewItem { product_id: id(product), quantity: Quantity::new(pieces).unwrap() }
    }

    fn draft(items: &[NewItem]) -> OrderDraft {
        let items = items.iter().zip(20..).map(|(item, n)| (id(n), item.clone())).collect();
        OrderDraft { order_id: id(1), customer_id: id(2), items, metadata: Metadata::default(), now: at(0) }
    }

    fn owner() -> Actor {
        Actor::Customer(id(2))
    }

    fn admin() -> Actor {
        Actor::Admin(id(3))
    }

    #[test]
    fn who_may_do_what_to_an_order_depends_on_its_status() {
        for status in Status::ALL {
            let (pending, cancelled) = (status == Status::Pending, status == Status::Cancelled);
            let order = order(status, 1);
            let deletion = |actor| order.deletion(&actor);
            let refused = Err(Refusal::OrderNotDeletable { status });
            let released = || Ok(StockEffect::Released);
            assert_eq!(deletion(owner()), if pending { released() } else { refused.clone() });
            let by_an_admin = if cancelled { Ok(StockEffect::None) } else { refused };
            assert_eq!(deletion(admin()), if pending { released() } else { by_an_admin });

            let refused = Err(Refusal::OrderNotEditable { status });
            let unless_gone = if pending { Ok(()) } else { refused };
            for (actor, edit) in [(owner(), Edit::Add), (owner(), Edit::Change), (admin(), Edit::Add), (admin(), Edit::Change)] {
                assert_eq!(order.require_editable(edit, &actor), unless_gone);
            }
            let unknown = Err(Refusal::NotFound(Resource::Order));
            assert_eq!(order.require_editable(Edit::Change, &Actor::Customer(id(4))), unknown, "somebody else's");
            assert_eq!(order.require_metadata_editable(&owner()), unless_gone);
            assert_eq!(order.require_metadata_editable(&admin()), Ok(()));
        }
    }

    #[test]
    fn an_order_with_as_many_lines_as_it_may_have_gets_no_other() {
        let editable = |lines, edit| order(Status::Pending, lines).require_editable(edit, &owner());
        assert_eq!(editable(39, Edit::Add), Ok(()));
        assert_eq!(editable(40, Edit::Add), Err(Refusal::TooManyItems { max: 40 }));
        assert_eq!(editable(40, Edit::Change), Ok(()));
    }

    #[test]
    fn an_order_is_the_sum_of_its_lines() {
        let offers = [(10, 250, 3), (11, 5, 0)]
            .map(|(product, price, shard)| (id(product), Offer { price: Money::from_minor(price).unwrap(), shard }));
        let draft = draft(&[wanted(10, 2), wanted(11, 3), wanted(10, 4)]);
        assert_eq!(draft.products(), BTreeSet::from([id(10), id(11)]));
        let details = draft.priced(&offers.into()).unwrap();
        let Order { order_id, customer_id, status, total_price, item_count, version, .. } = details.order;
        assert_eq!((order_id, customer_id, status, version), (id(1), id(2), Status::Pending, 1));
        assert_eq!((total_price.minor(), item_count), (1_515, 3));
        let lines: Vec<_> = details.items.iter().map(|item| (item.price.minor(), item.line_total.minor())).collect();
        assert_eq!(lines, [(250, 500), (5, 15), (250, 1_000)]);
        assert_eq!(total(&details.items), total_price);
        assert_eq!(details.demand(), [((id(10), 3), 6), ((id(11), 0), 3)], "both lines of a product together");
        let [first, _, last] = &details.items[..] else { panic!("three lines") };
        let elsewhere = OrderItem { shard: 4, ..last.clone() };
        assert_eq!(demand(&[first.clone(), elsewhere]), [((id(10), 3), 2), ((id(10), 4), 4)], "each shard for itself");
    }

    #[test]
    fn every_line_with_an_unknown_product_is_named() {
        let draft = draft(&[wanted(12, 1), wanted(10, 1), wanted(13, 1)]);
        let offers = BTreeMap::from([(id(10), Offer { price: Money::ZERO, shard: 0 })]);
        let Err(Refusal::UnknownProduct(faults)) = draft.priced(&offers) else { panic!("an unknown product") };
        let pointers: Vec<_> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
        assert_eq!(pointers, ["/items/0/product_id", "/items/2/product_id"]);
        assert_eq!(draft.pointer(id(13)), "/items/2/product_id");
    }

    #[test]
    fn a_quantity_is_a_whole_number_from_one() {
        let read = |text| Quantity::from_json(Json::Number(text)).ok().map(Quantity::get);
        assert_eq!([read("1"), read("7.0"), read("10000")], [Some(1), Some(7), Some(10_000)]);
        assert_eq!([read("0"), read("10001"), read("-1"), read("1.5")], [None; 4]);
        assert!(Quantity::from_json(Json::String("1".into())).is_err());
    }

    #[test]
    fn only_admins_order_for_others() {
        let caller = |role| Caller { user_id: id(2), role, session_id: id(9) };
        let order_for = |customer_id, role| {
            NewOrder { customer_id, items: Vec::new(), metadata: Metadata::default() }.customer(&caller(role))
        };
        assert_eq!(order_for(None, Role::Customer), Ok(id(2)));
        assert_eq!(order_for(Some(id(2)), Role::Customer), Ok(id(2)));
        assert!(matches!(order_for(Some(id(4)), Role::Customer), Err(Refusal::Forbidden(_))));
        assert_eq!(order_for(Some(id(4)), Role::Admin), Ok(id(4)));
    }

    #[test]
    fn an_order_is_read_with_its_lines() {
        let (customer, product) = ("0197a2b4-7c1e-7d3a-9f00-000000000002", "0197a2b4-7c1e-7d3a-9f00-000000000010");
        let body = format!(
            r#"{{"customer_id": "{customer}", "items": [{{"product_id": "{product}", "quantity": 3}}], "metadata": {{"to": "x"}}}}"#
        );
        let order: NewOrder = Fields::parse(body.as_bytes()).unwrap();
        let [NewItem { product_id, quantity }] = order.items[..] else { panic!("one line") };
        assert_eq!((product_id.to_string().as_str(), quantity.get()), (product, 3));
        assert_eq!(order.customer_id.map(|id| id.to_string()).as_deref(), Some(customer));
        assert!(!order.metadata.is_empty());
        let least: NewOrder = Fields::parse(br#"{"items": []}"#).unwrap();
        assert!(least.customer_id.is_none() && least.items.is_empty() && least.metadata.is_empty());
        assert_eq!(faults::<NewOrder>(r#"{"items": [{"quantity": 0}]}"#), ["/items/0/product_id", "/items/0/quantity"]);
        let change: ItemChange = Fields::parse(br#"{"quantity": 4}"#).unwrap();
        assert_eq!(change.quantity.get(), 4);
        assert_eq!(faults::<ItemChange>("{}"), ["/quantity"]);
        assert_eq!(faults::<Expiry>(r#"{"source": "aws.scheduler"}"#), [""; 0], "whatever the schedule sends");
    }

    #[test]
    fn a_change_is_a_step_or_other_metadata() {
        for (body, expected) in [
            ("{}", &[""][..]),
            (r#"{"status": "CONFIRMED"}"#, &[]),
            (r#"{"metadata": {}}"#, &[]),
            (r#"{"status": "CANCELLED", "reason": "broken", "restock": true, "metadata": {"a": "b"}}"#, &[]),
            (r#"{"metadata": {}, "reason": "broken"}"#, &["/reason"]),
            (r#"{"metadata": {}, "restock": false}"#, &["/restock"]),
            (r#"{"reason": "broken"}"#, &[""]),
            (r#"{"status": "LOST"}"#, &["/status"]),
        ] {
            assert_eq!(faults::<OrderChange>(body), expected, "{body}");
        }
        let change: OrderChange = Fields::parse(br#"{"status": "CANCELLED", "reason": "broken", "restock": true}"#).unwrap();
        let step = change.step.unwrap();
        assert_eq!((step.status, step.reason.unwrap().as_str(), step.restock), (Status::Cancelled, "broken", true));
        assert_eq!(change.metadata, None);
        let change: OrderChange = Fields::parse(br#"{"metadata": null}"#).unwrap();
        assert!(change.step.is_none() && change.metadata.unwrap().is_empty(), "null clears it");
    }

    #[test]
    fn a_hold_ends_after_its_hours_and_three_times_as_many_at_most() {
        const HOUR: i64 = 60 * 60 * 1000;
        let policy =
            |hold_hours| OrderPolicy { customers_confirm: true, max_open_orders: Some(5), hold_hours, verified_email: false };
        assert!(policy(None).ended_holds(at(0)).is_none() && policy(None).oldest_pending(at(0)).is_none());
        let policy = policy(Some(2));
        assert_eq!(policy.oldest_pending(at(0)), Some(at(-8 * HOUR)));
        let ended = policy.ended_holds(at(0)).unwrap();
        for (created, updated, expected) in [
            (-2 * HOUR, -2 * HOUR, false),
            (-2 * HOUR - 1, -2 * HOUR - 1, true),
            (-6 * HOUR, -1, false),
            (-6 * HOUR - 1, -1, true),
            (-7 * HOUR, -3 * HOUR, true),
        ] {
            let pending = Order { created_at: at(created), updated_at: at(updated), ..order(Status::Pending, 1) };
            assert_eq!(ended.include(&pending), expected, "{created} {updated}");
            assert!(!ended.include(&Order { status: Status::Confirmed, ..pending }), "it holds them as long as it takes");
        }
        assert_eq!((policy.open_orders_limit(&owner()), policy.open_orders_limit(&admin())), (Some(5), None));
    }

    #[test]
    fn a_filter_is_by_status_and_by_customer() {
        let customer = "0197a2b4-7c1e-7d3a-9f00-000000000002";
        let filter = OrderFilter::parse(Ok(Some("SHIPPED")), Ok(Some(customer))).unwrap();
        assert_eq!(filter.status, Some(Status::Shipped));
        let id_of_customer: UserId = customer.parse().unwrap();
        assert_eq!(filter.only_of(id_of_customer), Ok(id_of_customer));
        assert!(matches!(filter.only_of(id(4)), Err(Refusal::Forbidden(_))));
        assert_eq!(filter.name(filter.customer_id), format!("orders SHIPPED {customer}"));
        let all = OrderFilter::parse::<&str>(Ok(None), Ok(None)).unwrap();
        assert_eq!((all.only_of(id(4)), all.name(None).as_str()), (Ok(id(4)), "orders  "));
        let Err(Refusal::Invalid(faults)) = OrderFilter::parse(Ok(Some("shipped")), Ok(Some("x"))) else { panic!("two faults") };
        let pointers: Vec<_> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
        assert_eq!(pointers, ["?status", "?customer_id"]);
    }
}
