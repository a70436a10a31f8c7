//! The lines of an order, while it is PENDING.

use std::collections::BTreeMap;

use super::{
    super::{
        expression::Expression,
        idempotency::{Idempotency, Idempotent, unless_repeated},
        key::{Item, Key},
        retry::{Round, until_done},
        stock::{self, Moved, Source, Survey, Wanted, release},
        table::{Table, from_item, require_version},
        transaction::{Cancellation, Outcome, Transaction},
    },
    list::{find, visible},
    row::{LineRow, Row, line_path, to_value},
    sale::{MAX_ACTIONS, Sale},
};
use crate::{
    Error, Result,
    domain::{Actor, Edit, NewItem, Order, OrderId, OrderItem, OrderItemId, Quantity, Refusal, Resource, Status, Timestamp},
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
    unless_repeated(table, idempotency, try_to_add_item(table, of, item_id, wanted, idempotency).await).await
}

async fn try_to_add_item(
    table: &Table,
    of: LinesOf<'_>,
    item_id: OrderItemId,
    wanted: &NewItem,
    idempotency: Option<&Idempotency<'_, Written>>,
) -> Result<Idempotent<Written>> {
    let LinesOf { order_id, actor, if_match, now } = of;
    let product_id = wanted.product_id;
    let (mut found, mut offers) = (None, BTreeMap::new());
    for item in table.batch_get([Key::Order(order_id), Key::Stock(product_id, 0)]).await? {
        match Key::sk_of(&item) {
            Key::ORDER => found = Some(from_item::<Row>(item)?),
            _ => offers.extend([stock::offer(item)?]),
        }
    }
    if !offers.contains_key(&product_id) {
        return Err(Refusal::unknown_products(["/product_id".to_owned()]).into());
    }
    let Order { version, created_at, .. } = visible(found, actor)?.order;
    require_version(if_match, &version)?;
    let mut sale = Sale::new(offers, 3);
    until_done(async |backoff| {
        sale.find_depleted(table).await?;
        let Some(offer) = sale.offers.get(&product_id).copied() else {
            return Err(Error::Internal("a product that is being sold has lost its price".into()));
        };
        let item = OrderItem::new(item_id, order_id, wanted, offer, now);
        let written = (item, version + 1);
        let (item, _) = &written;
        let room =
            editable(if_match.map(|_| version), now).below("item_count", Order::MAX_ITEMS as u64).lacks(&line_path(item_id));
        let line = to_value(&LineRow::new(item, created_at))?;
        let more = room.set(&line_path(item_id), line).add("total", item.line_total.minor()).add("item_count", 1);
        let transaction = Transaction::new(table)
            .idempotent(idempotency, &written)?
            .update(Key::Order(order_id), &more, |old| why_not_added(old, item_id, actor));
        let transaction = sale.reserve(transaction, product_id, wanted.quantity.get(), now, "/product_id".into());
        match transaction.attempt(backoff).await? {
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
        let (order_version, mut item) = find_item(table, of, item_id).await?;
        let (before, after) = (item.quantity.get(), quantity.get());
        if after == before {
            return Ok(Round::Done((item, order_version)));
        }
        let raise = item.price.times(after).minor() - item.line_total.minor();
        let path = line_path(item_id);
        let order = as_read(editable(if_match.map(|_| order_version), now), &item)
            .set(&format!("{path}.quantity"), after)
            .set(&format!("{path}.updated_at"), now.millis())
            .add("total", raise);
        // The order before the stock: if the line is not as it was read, what the stock says to the difference means nothing.
        let mut transaction =
            Transaction::new(table).update(Key::Order(order_id), &order, |old| why_not_editable(old, actor, Edit::Change));
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
                Ok(Round::Done((item, order_version + 1)))
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
        let (order_version, item) = find_item(table, of, item_id).await?;
        let order = as_read(editable(if_match.map(|_| order_version), now), &item).remove(&line_path(item_id));
        let less = order.add("total", -item.line_total.minor()).add("item_count", -1);
        let transaction = Transaction::new(table)
            .update(Key::Order(order_id), &less, |old| why_not_editable(old, actor, Edit::Change))
            .update(Key::Stock(item.product_id, item.shard), &release(item.quantity.get(), now), |_| stock::broken());
        Ok(transaction.attempt(backoff).await?.into_round()?.map(|()| order_version + 1))
    })
    .await
}

/// Reads a line that may be changed, and the version of its order.
async fn find_item(table: &Table, of: LinesOf<'_>, item_id: OrderItemId) -> Result<(u64, OrderItem)> {
    let LinesOf { order_id, actor, if_match, .. } = of;
    let details = find(table, order_id, actor).await?;
    let item = details.items.into_iter().find(|item| item.order_item_id == item_id);
    let item = item.ok_or(Refusal::NotFound(Resource::OrderItem))?;
    require_version(if_match, &details.order.version)?;
    details.order.require_editable(Edit::Change, actor)?;
    Ok((details.order.version, item))
}

/// Condition: the line is as it was read; whoever changes its quantity in between wins.
fn as_read(order: Expression, item: &OrderItem) -> Expression {
    order.equal(&format!("{}.quantity", line_path(item.order_item_id)), item.quantity.get())
}

/// The update of an order whose lines change; only while it is PENDING. `pinned`: only from this version; otherwise changes of several
/// lines at once do not disturb each other. Whose it is was read with it, and never changes.
fn editable(pinned: Option<u64>, now: Timestamp) -> Expression {
    let expression =
        Expression::default().equal("status", Status::Pending.as_str()).set("updated_at", now.millis()).add("version", 1);
    match pinned {
        Some(version) => expression.equal("version", version),
        None => expression,
    }
}

/// Why a line was not added. If it is there, an attempt before this one, with another token, has arrived after all, and to call the
/// addition refused would be wrong.
fn why_not_added(old: Option<Item>, item_id: OrderItemId, actor: &Actor) -> Cancellation {
    let lines = old.as_ref().and_then(|order| order.get("lines")?.as_m().ok());
    if lines.is_some_and(|lines| lines.contains_key(&item_id.to_string())) {
        return Error::Contended.into();
    }
    why_not_editable(old, actor, Edit::Add)
}

fn why_not_editable(old: Option<Item>, actor: &Actor, edit: Edit) -> Cancellation {
    match old.map(|item| from_item::<Row>(item).and_then(Order::try_from)) {
        None => Refusal::NotFound(Resource::Order).into(),
        Some(Err(error)) => error.into(),
        Some(Ok(order)) => order.require_editable(edit, actor).map_or_else(Cancellation::from, |()| Cancellation::Changed),
    }
}
