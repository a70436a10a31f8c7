//! The lines of an order, while it is PENDING.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    super::{
        expression::Expression,
        idempotency::{Idempotency, Idempotent, refuse_unless_repeated},
        key::{Item, Key},
        retry::{Round, until_done},
        stock::{self, Moved, Source, Survey, Wanted, release},
        table::{Table, from_item, require_version},
        transaction::{Cancellation, Outcome, Transaction},
    },
    row::{ItemRow, insert_item, unchanged},
    sale::{MAX_ACTIONS, Sale},
};
use crate::{
    Error, Result,
    domain::{
        Actor, Edit, NewItem, Order, OrderId, OrderItem, OrderItemId, Quantity, Refusal, Resource, Status, Timestamp, UserId,
    },
};

/// A line as it was written, and the version that its order has since, as far as nobody else has changed it meanwhile.
pub type Written = (OrderItem, u64);

/// Whose lines are written, by whom and when.
#[derive(Debug, Clone, Copy)]
pub struct LinesOf<'a> {
    pub order_id: OrderId,
    pub actor: &'a Actor,
    /// Only while the order has one of these versions; `None` is any.
    pub if_match: Option<&'a [u64]>,
    pub now: Timestamp,
}

/// Adds a line: takes its stock and raises the order's total, or does neither.
pub async fn add_item(
    table: &Table,
    of: LinesOf<'_>,
    item_id: OrderItemId,
    wanted: &NewItem,
    idempotency: Option<&Idempotency<'_, Written>>,
) -> Result<Idempotent<Written>> {
    let LinesOf { order_id, actor, if_match, now } = of;
    let product_id = wanted.product_id;
    let (mut head, mut offers) = (None, BTreeMap::new());
    let attributes = [&stock::OFFER[..], &Head::ATTRIBUTES].concat();
    for item in table.batch_get([Key::Order(order_id), Key::Product(product_id)], &attributes).await? {
        match Key::sk_of(&item) {
            Key::ORDER => head = Some(from_item::<Head>(item)?),
            _ => offers.extend([stock::offer(item)?]),
        }
    }
    if !offers.contains_key(&product_id) {
        return refuse_unless_repeated(table, idempotency, Refusal::unknown_products(["/product_id".to_owned()])).await;
    }
    let version = match Head::require(head, actor).and_then(|head| require_version(if_match, head.version).map(|()| head.version))
    {
        Ok(version) => version,
        Err(refusal) => return refuse_unless_repeated(table, idempotency, refusal).await,
    };
    let mut sale = Sale::new(offers, 3);
    until_done(async |backoff| {
        sale.find_depleted(table).await?;
        let Some(offer) = sale.offers.get(&product_id).copied() else {
            return Err(Error::Internal("a product that is being sold has lost its price".into()));
        };
        let item = OrderItem::new(item_id, order_id, wanted, offer, now);
        let written = (item, version + 1);
        let (item, _) = &written;
        let room = editable(actor, if_match.map(|_| version), now).below("item_count", Order::MAX_ITEMS as u64);
        let more = room.add("total", item.line_total.minor()).add("item_count", 1);
        let transaction = Transaction::new(table)
            .idempotent(idempotency, &written)?
            .update(Key::Order(order_id), &more, |old| why_not_editable(old, actor, Edit::Add));
        let transaction = sale.reserve(transaction, product_id, wanted.quantity.get(), now, "/product_id".into());
        match insert_item(transaction, item).attempt(backoff).await? {
            Outcome::Done => Ok(Round::Done(Idempotent::Done(written))),
            // Only a pinned order can be another than was read, and then it is no more the one that the caller means.
            Outcome::Cancelled(conditions) if matches!(conditions.first(), Some(Cancellation::Changed)) => {
                Err(Error::PreconditionFailed)
            }
            Outcome::Cancelled(conditions) => sale.learn(table, conditions).await,
        }
    })
    .await
}

/// Changes a line's quantity: moves the difference between the shelf and the order, and the order's total with it. A quantity
/// that the line has already changes nothing.
pub async fn change_item(table: &Table, of: LinesOf<'_>, item_id: OrderItemId, quantity: Quantity) -> Result<Written> {
    let LinesOf { order_id, actor, if_match, now } = of;
    // Pieces that are moved to the line's shard to be held with the others, and those that it lacked at the last attempt.
    let mut depleted: Option<Wanted> = None;
    until_done(async |backoff| {
        let mut moved = Moved::new();
        if let Some(wanted) = depleted.take() {
            let sources = Survey::of(table, vec![wanted]).await?.sources(table, MAX_ACTIONS).await?;
            moved = sources.into_iter().next().map(|(_, source)| source.moved).unwrap_or_default();
        }
        let (head, mut item) = find_item(table, of, item_id).await?;
        let (before, after) = (item.quantity.get(), quantity.get());
        if after == before {
            return Ok(Round::Done((item, head.version)));
        }
        let raise = item.price.times(after).minor() - item.line_total.minor();
        let order = editable(actor, if_match.map(|_| head.version), now).add("total", raise);
        let changed = unchanged(&item).set("quantity", after).set("updated_at", now.millis());
        // The line before the product: if it is not as it was read, what the product says to the difference means nothing.
        let mut transaction = Transaction::new(table)
            .update(Key::Order(order_id), &order, |old| why_not_editable(old, actor, Edit::Change))
            .update(Key::OrderItem(order_id, item_id), &changed, |_| Cancellation::Changed);
        let (product_id, shard) = (item.product_id, item.shard);
        if after > before {
            let source = Source { shard, moved };
            transaction = stock::reserve(transaction, product_id, &source, after - before, now);
        } else {
            let less = release(before - after, now);
            transaction = transaction.update(Key::Stock(product_id, shard), &less, |_| stock::broken());
        }
        match transaction.attempt(backoff).await? {
            Outcome::Done => {
                item.quantity = quantity;
                item.line_total = item.price.times(after);
                item.updated_at = now;
                Ok(Round::Done((item, head.version + 1)))
            }
            Outcome::Cancelled(conditions) => match conditions.into_iter().next() {
                Some(Cancellation::Refused(error)) => Err(error),
                Some(Cancellation::ShardDepleted { product_id, wanted }) => {
                    depleted = Some(Wanted { product_id, pieces: wanted, shard: Some(shard) });
                    Ok(Round::Changed)
                }
                // Changed or removed by somebody else since.
                _ => Ok(Round::Changed),
            },
        }
    })
    .await
}

/// Removes a line: its stock goes back on the shelf, and the order's total falls. Tells the order's version since.
pub async fn remove_item(table: &Table, of: LinesOf<'_>, item_id: OrderItemId) -> Result<u64> {
    let LinesOf { order_id, actor, if_match, now } = of;
    until_done(async |backoff| {
        let (head, item) = find_item(table, of, item_id).await?;
        let order = editable(actor, if_match.map(|_| head.version), now);
        let less = order.add("total", -item.line_total.minor()).add("item_count", -1);
        let transaction = Transaction::new(table)
            .update(Key::Order(order_id), &less, |old| why_not_editable(old, actor, Edit::Change))
            .delete(Key::OrderItem(order_id, item_id), &unchanged(&item), |_| Cancellation::Changed)
            .update(Key::Stock(item.product_id, item.shard), &release(item.quantity.get(), now), |_| stock::broken());
        Ok(transaction.attempt(backoff).await?.into_round()?.map(|()| head.version + 1))
    })
    .await
}

/// What the writes to an order's lines look at.
#[derive(Deserialize)]
struct Head {
    customer_id: UserId,
    status: Status,
    item_count: u64,
    version: u64,
}

impl Head {
    const ATTRIBUTES: [&str; 5] = ["sk", "customer_id", "status", "item_count", "version"];

    /// An order that there is, and that exists for the actor.
    fn require(head: Option<Self>, actor: &Actor) -> Result<Self> {
        let head = head.ok_or(Refusal::NotFound(Resource::Order))?;
        actor.require_sight(head.customer_id)?;
        Ok(head)
    }

    fn require_allowed(&self, edit: Edit, actor: &Actor) -> Result<(), Refusal> {
        edit.require_allowed(actor, self.customer_id, self.status, self.item_count)
    }
}

/// Reads a line that may be changed, and what there is to know of its order.
async fn find_item(table: &Table, of: LinesOf<'_>, item_id: OrderItemId) -> Result<(Head, OrderItem)> {
    let LinesOf { order_id, actor, if_match, .. } = of;
    let (mut head, mut line) = (None, None);
    for item in table.batch_get([Key::Order(order_id), Key::OrderItem(order_id, item_id)], &[]).await? {
        match Key::sk_of(&item) {
            Key::ORDER => head = Some(from_item::<Head>(item)?),
            _ => line = Some(from_item::<ItemRow>(item)?),
        }
    }
    let head = Head::require(head, actor)?;
    let line = line.ok_or(Refusal::NotFound(Resource::OrderItem))?.try_into()?;
    require_version(if_match, head.version)?;
    head.require_allowed(Edit::Change, actor)?;
    Ok((head, line))
}

/// The update of an order whose lines change; only while it is PENDING, and only by whom it belongs to. `pinned`: only from this
/// version; otherwise changes of several lines at once do not disturb each other.
fn editable(actor: &Actor, pinned: Option<u64>, now: Timestamp) -> Expression {
    let mut expression =
        Expression::default().equal("status", Status::Pending.as_str()).set("updated_at", now.millis()).add("version", 1);
    if let Actor::Customer(user_id) = actor {
        expression = expression.equal("customer_id", user_id.to_string());
    }
    match pinned {
        Some(version) => expression.equal("version", version),
        None => expression,
    }
}

fn why_not_editable(old: Option<Item>, actor: &Actor, edit: Edit) -> Cancellation {
    match old.map(from_item::<Head>) {
        None => Refusal::NotFound(Resource::Order).into(),
        Some(Err(error)) => error.into(),
        Some(Ok(head)) => head.require_allowed(edit, actor).map_or_else(Cancellation::from, |()| Cancellation::Changed),
    }
}
