//! Orders with their lines and history, and the stock they hold.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};

use super::{
    Idempotency, Table,
    expression::Expression,
    idempotency,
    key::{GSI1, GSI2, Item, Key},
    stock::{self, hold, release, reserve, restock, ship, unknown, why_not_held, why_not_reserved},
    table::{from_item, require_version},
    transaction::Transaction,
};
use crate::{
    Error, Result,
    aws::fault,
    domain::{
        Actor, HistoryEntry, Money, NewItem, Offer, Order, OrderDetails, OrderDraft, OrderId, OrderItem, OrderItemId, ProductId,
        Quantity, Status, StatusChange, StockEffect, Timestamp, UserId, demand, take_step, total,
    },
    telemetry::note,
};

/// How often a write starts over because what it was based on has changed.
const ATTEMPTS: u32 = 5;

/// Queries that one page of a filtered list may take.
const MAX_QUERIES: u32 = 10;

/// An order as it is stored. Its id is in the key.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Row {
    pk: String,
    gsi1pk: String,
    gsi1sk: String,
    gsi2pk: String,
    gsi2sk: String,
    customer_id: UserId,
    status: Status,
    /// Minor units.
    total: i64,
    item_count: u64,
    version: u64,
    /// Milliseconds since the epoch, as is `updated_at`.
    created_at: i64,
    updated_at: i64,
}

/// A line as it is stored. Its id is in the key.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct ItemRow {
    pk: String,
    sk: String,
    product_id: ProductId,
    quantity: u64,
    /// Minor units.
    price: i64,
    /// Left out for the product's own item.
    #[serde(default, skip_serializing_if = "is_zero")]
    shard: u32,
    created_at: i64,
    updated_at: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_zero(shard: &u32) -> bool {
    *shard == 0
}

/// One change of status as it is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct HistoryRow {
    sk: String,
    at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<UserId>,
    from: Status,
    to: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    stock: StockEffect,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    not_restocked: Vec<ProductId>,
}

impl Row {
    fn new(table: &Table, order: &Order) -> Self {
        Self {
            pk: Key::Order(order.order_id).pk(),
            gsi1pk: Key::orders_of(order.customer_id),
            gsi1sk: order.order_id.to_string(),
            gsi2pk: Key::orders_in(order.status, shard(table, order.order_id)),
            gsi2sk: order.order_id.to_string(),
            customer_id: order.customer_id,
            status: order.status,
            total: order.total_price.minor(),
            item_count: order.item_count,
            version: order.version,
            created_at: order.created_at.millis(),
            updated_at: order.updated_at.millis(),
        }
    }
}

impl TryFrom<Row> for Order {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let broken = |what: &str| Error::Internal(format!("{}: the stored {what} breaks its rules", row.pk));
        Ok(Self {
            order_id: Key::order_of(&row.pk).ok_or_else(|| broken("id"))?,
            customer_id: row.customer_id,
            status: row.status,
            total_price: Money::from_minor(row.total).ok_or_else(|| broken("total"))?,
            item_count: row.item_count,
            created_at: Timestamp::from_millis(row.created_at),
            updated_at: Timestamp::from_millis(row.updated_at),
            version: row.version,
        })
    }
}

impl From<&OrderItem> for ItemRow {
    fn from(item: &OrderItem) -> Self {
        let key = Key::OrderItem(item.order_id, item.order_item_id);
        Self {
            pk: key.pk(),
            sk: key.sk(),
            product_id: item.product_id,
            quantity: item.quantity.get(),
            price: item.price.minor(),
            shard: item.shard,
            created_at: item.created_at.millis(),
            updated_at: item.updated_at.millis(),
        }
    }
}

impl TryFrom<ItemRow> for OrderItem {
    type Error = Error;

    fn try_from(row: ItemRow) -> Result<Self> {
        let broken = |what: &str| Error::Internal(format!("{} {}: the stored {what} breaks its rules", row.pk, row.sk));
        let price = Money::from_minor(row.price).ok_or_else(|| broken("price"))?;
        let quantity = Quantity::new(row.quantity).ok_or_else(|| broken("quantity"))?;
        Ok(Self {
            order_item_id: Key::order_item_of(&row.sk).ok_or_else(|| broken("id"))?,
            order_id: Key::order_of(&row.pk).ok_or_else(|| broken("order"))?,
            product_id: row.product_id,
            quantity,
            price,
            line_total: price.times(quantity.get()),
            created_at: Timestamp::from_millis(row.created_at),
            updated_at: Timestamp::from_millis(row.updated_at),
            shard: row.shard,
        })
    }
}

impl HistoryRow {
    fn new(key: Key<'_>, entry: &HistoryEntry) -> Self {
        Self {
            sk: key.sk(),
            at: entry.at.millis(),
            by: entry.by,
            from: entry.from,
            to: entry.to,
            reason: entry.reason.clone(),
            stock: entry.stock,
            not_restocked: entry.not_restocked.clone(),
        }
    }
}

impl TryFrom<HistoryRow> for HistoryEntry {
    type Error = Error;

    fn try_from(row: HistoryRow) -> Result<Self> {
        let broken = || Error::Internal(format!("{}: a stored history breaks its rules", row.sk));
        Ok(Self {
            at: Timestamp::from_millis(row.at),
            by: row.by,
            from: row.from,
            to: row.to,
            version: Key::version_of(&row.sk).ok_or_else(broken)?,
            reason: row.reason,
            stock: row.stock,
            not_restocked: row.not_restocked,
        })
    }
}

/// Reads an order with its lines and its history, if the actor may see it.
pub async fn find(table: &Table, id: OrderId, actor: &Actor) -> Result<OrderDetails> {
    let (mut order, mut items, mut history) = (None, Vec::new(), Vec::new());
    for item in table.collection(Key::Order(id)).await? {
        let sk = item.get("sk").and_then(|sk| sk.as_s().ok()).map_or("", String::as_str);
        if sk.starts_with(Key::ITEM_PREFIX) {
            items.push(OrderItem::try_from(from_item::<ItemRow>(item)?)?);
        } else if sk.starts_with(Key::HISTORY_PREFIX) {
            history.push(from_item::<HistoryRow>(item)?.try_into()?);
        } else {
            order = Some(Order::try_from(from_item::<Row>(item)?)?);
        }
    }
    let order = order.filter(|order| actor.may_see(order.customer_id)).ok_or(Error::NotFound("order"))?;
    Ok(OrderDetails { order, items, history })
}

/// Reads up to `limit` orders of one customer, newest first, those older than `before`; and the last one if there are more.
pub async fn list_of_customer(
    table: &Table,
    customer: UserId,
    status: Option<Status>,
    limit: u16,
    before: Option<&str>,
) -> Result<(Vec<Order>, Option<String>)> {
    let limit = usize::from(limit);
    let mut before = position(before)?;
    let mut orders: Vec<Order> = Vec::new();
    for _ in 0..MAX_QUERIES {
        let (found, more) = newest(table, GSI1, Key::orders_of(customer), before, limit + 1 - orders.len()).await?;
        before = found.last().map(|order| order.order_id);
        orders.extend(found.into_iter().filter(|order| status.is_none_or(|status| order.status == status)));
        if orders.len() > limit {
            orders.truncate(limit);
            let next = orders.last().map(|last| last.order_id.to_string());
            return Ok((orders, next));
        }
        if !more {
            return Ok((orders, None));
        }
    }
    // A page may be short when almost nothing passes the filter: the walk goes on from where the queries stopped.
    Ok((orders, before.map(|id| id.to_string())))
}

/// Reads up to `limit` orders of all customers, newest first, those older than `before`; and the last one if there are more.
pub async fn list_all(
    table: &Table,
    status: Option<Status>,
    limit: u16,
    before: Option<&str>,
) -> Result<(Vec<Order>, Option<String>)> {
    let limit = usize::from(limit);
    let before = position(before)?;
    let statuses = status.map_or(Status::ALL.to_vec(), |status| vec![status]);
    let parts = table.order_shards().await?;
    let mut merged: BTreeMap<OrderId, Order> = BTreeMap::new();
    // One status after the other, in the direction that orders go: one that moves on meanwhile is met twice rather than never.
    for status in statuses {
        let shards = (0..parts).map(|shard| newest(table, GSI2, Key::orders_in(status, shard), before, limit + 1));
        for (orders, _) in try_join_all(shards).await? {
            merged.extend(orders.into_iter().map(|order| (order.order_id, order)));
        }
    }
    let more = merged.len() > limit;
    let orders: Vec<_> = merged.into_values().rev().take(limit).collect();
    let next = orders.last().filter(|_| more).map(|last| last.order_id.to_string());
    Ok((orders, next))
}

/// Reads a position that a client has sent back.
fn position(text: Option<&str>) -> Result<Option<OrderId>> {
    text.map(|text| text.parse().map_err(|_| Error::InvalidCursor)).transpose()
}

/// The newest orders of one collection of an index, and whether it has more.
async fn newest(
    table: &Table,
    index: &str,
    collection: String,
    before: Option<OrderId>,
    limit: usize,
) -> Result<(Vec<Order>, bool)> {
    let mut request = table
        .client
        .query()
        .table_name(&table.name)
        .index_name(index)
        .key_condition_expression(format!("{index}pk = :collection"))
        .expression_attribute_values(":collection", AttributeValue::S(collection))
        .scan_index_forward(false)
        .limit(i32::try_from(limit).unwrap_or(i32::MAX))
        .return_consumed_capacity(ReturnConsumedCapacity::Total);
    if let Some(id) = before {
        request = request
            .key_condition_expression(format!("{index}pk = :collection AND {index}sk < :before"))
            .expression_attribute_values(":before", AttributeValue::S(id.to_string()));
    }
    let output = request.send().await.map_err(fault)?;
    let rows = output.items.unwrap_or_default().into_iter().map(from_item::<Row>);
    let orders = rows.map(|row| row.and_then(Order::try_from)).collect::<Result<_>>()?;
    Ok((orders, output.last_evaluated_key.is_some()))
}

/// Places an order with all its lines and takes their stock, or does none of it.
///
/// `remember` makes the record of the answer; it is asked again if prices change while the order is being placed.
pub async fn place(
    table: &Table,
    draft: &OrderDraft,
    actor: &Actor,
    remember: impl Fn(&OrderDetails) -> Result<Option<Idempotency>>,
) -> Result<OrderDetails> {
    table.raise_order_shards().await?;
    let mut offers = stock::offers(table, &draft.products()).await?;
    for _ in 0..ATTEMPTS {
        let details = draft.priced(&offers);
        let once = remember(&details)?;
        let unknown = draft.unknown(&offers);
        if !unknown.is_empty() {
            // A repetition is answered as the first time, even if a product has gone since.
            idempotency::recall(table, once.as_ref()).await?;
            return Err(Error::UnknownProduct(unknown));
        }
        let Order { order_id, customer_id, .. } = details.order;
        let now = details.order.created_at;

        let mut transaction = Transaction::new(table).once(once.as_ref());
        if actor.user_id() != Some(customer_id) {
            let active = Expression::exists().equal("is_active", true);
            transaction = transaction.check(Key::User(customer_id), &active, |_| Error::UnknownCustomer);
        }
        transaction = transaction.insert(Key::Order(order_id), &Row::new(table, &details.order), |_| {
            Error::Internal("a new order has the id of another".into())
        });
        for ((product_id, shard), quantity) in details.demand() {
            let price = offers[&product_id].price;
            transaction = transaction.update(Key::Stock(product_id, shard), &reserve(quantity, price, now), move |old| {
                let pointer = draft.pointer(product_id);
                why_not_reserved(old, product_id, quantity, price, pointer)
            });
        }
        for item in &details.items {
            transaction = insert_item(transaction, item);
        }
        match transaction.commit().await {
            Err(Error::PriceChanged { product_id, price }) => {
                offers.entry(product_id).and_modify(|offer| offer.price = price);
            }
            Err(Error::Elsewhere { product_id, wanted }) => {
                let shard = stock::find(table, product_id, wanted).await?;
                offers.entry(product_id).and_modify(|offer| offer.shard = shard);
            }
            refused_or_done => {
                refused_or_done?;
                note(|tally| tally.order(Status::Pending));
                return Ok(details);
            }
        }
    }
    Err(Error::Contended)
}

/// Adds a line: takes its stock and raises the order's total, or does neither.
pub async fn add_item(
    table: &Table,
    order_id: OrderId,
    item_id: OrderItemId,
    wanted: &NewItem,
    actor: &Actor,
    now: Timestamp,
    remember: impl Fn(&OrderItem) -> Result<Option<Idempotency>>,
) -> Result<OrderItem> {
    let product_id = wanted.product_id;
    let mut offer = stock::offers(table, &BTreeSet::from([product_id])).await?.remove(&product_id);
    for _ in 0..ATTEMPTS {
        let item = OrderItem::new(item_id, order_id, wanted, offer.unwrap_or(Offer { price: Money::ZERO, shard: 0 }), now);
        let once = remember(&item)?;
        let Some(Offer { price, shard }) = offer else {
            idempotency::recall(table, once.as_ref()).await?;
            return Err(Error::UnknownProduct(unknown("/product_id".into())));
        };
        let room = editable(actor, now).below("item_count", Order::MAX_ITEMS as u64);
        let more = room.add("total", item.line_total.minor()).add("item_count", 1);
        let quantity = wanted.quantity.get();
        let transaction = Transaction::new(table)
            .once(once.as_ref())
            .update(Key::Order(order_id), &more, |old| why_not_editable(old, actor))
            .update(Key::Stock(product_id, shard), &reserve(quantity, price, now), |old| {
                why_not_reserved(old, product_id, quantity, price, "/product_id".into())
            });
        match insert_item(transaction, &item).commit().await {
            Err(Error::PriceChanged { price, .. }) => offer = Some(Offer { price, shard }),
            Err(Error::Elsewhere { .. }) => {
                offer = Some(Offer { price, shard: stock::find(table, product_id, quantity).await? });
            }
            refused_or_done => return refused_or_done.map(|()| item),
        }
    }
    Err(Error::Contended)
}

/// Changes a line's quantity: moves the difference between the shelf and the order, and the order's total with it.
pub async fn change_item(
    table: &Table,
    order_id: OrderId,
    item_id: OrderItemId,
    quantity: Quantity,
    actor: &Actor,
    now: Timestamp,
) -> Result<OrderItem> {
    for _ in 0..ATTEMPTS {
        let mut item = find_item(table, order_id, item_id).await?;
        let (before, after) = (item.quantity.get(), quantity.get());
        let raise = item.price.times(after).minor() - item.line_total.minor();
        let changed = unchanged(&item).set("quantity", after).set("updated_at", now.millis());
        // The line before the product: if it is not as it was read, what the product says to the difference means nothing.
        let mut transaction = Transaction::new(table)
            .update(Key::Order(order_id), &editable(actor, now).add("total", raise), |old| why_not_editable(old, actor))
            .update(Key::OrderItem(order_id, item_id), &changed, |_| Error::Stale);
        let (product_id, shard) = (item.product_id, item.shard);
        let key = Key::Stock(product_id, shard);
        if after > before {
            let more = after - before;
            transaction = transaction.update(key, &hold(more, now), move |old| why_not_held(old, product_id, more));
        } else if after < before {
            transaction = transaction.update(key, &release(before - after, now), |_| stock::broken());
        }
        match transaction.commit().await {
            Err(Error::Stale) => {} // Changed or removed by somebody else since; look again.
            Err(Error::Elsewhere { wanted, .. }) => stock::bring(table, product_id, shard, wanted).await?,
            refused_or_done => {
                item.quantity = quantity;
                item.line_total = item.price.times(after);
                item.updated_at = now;
                return refused_or_done.map(|()| item);
            }
        }
    }
    Err(Error::Contended)
}

/// Removes a line: its stock goes back on the shelf, and the order's total falls.
pub async fn remove_item(table: &Table, order_id: OrderId, item_id: OrderItemId, actor: &Actor, now: Timestamp) -> Result {
    for _ in 0..ATTEMPTS {
        let item = find_item(table, order_id, item_id).await?;
        let less = editable(actor, now).add("total", -item.line_total.minor()).add("item_count", -1);
        let removed = Transaction::new(table)
            .update(Key::Order(order_id), &less, |old| why_not_editable(old, actor))
            .delete(Key::OrderItem(order_id, item_id), &unchanged(&item), |_| Error::Stale)
            .update(Key::Stock(item.product_id, item.shard), &release(item.quantity.get(), now), |_| stock::broken())
            .commit()
            .await;
        match removed {
            Err(Error::Stale) => {} // Changed or removed by somebody else since; look again.
            refused_or_done => return refused_or_done,
        }
    }
    Err(Error::Contended)
}

/// Takes one step of the lifecycle, with what it does to the stock and a record of it. `if_match`: only from one of these versions.
///
/// The order's version holds its lines still: whoever changes one changes it.
pub async fn change_status(
    table: &Table,
    id: OrderId,
    change: &StatusChange,
    actor: &Actor,
    if_match: Option<&[u64]>,
    now: Timestamp,
) -> Result<OrderDetails> {
    table.raise_order_shards().await?;
    for _ in 0..ATTEMPTS {
        let mut details = find(table, id, actor).await?;
        let order = &details.order;
        require_version(if_match, order.version)?;
        let Some(stock) = take_step(order.status, change, actor.role(), order.item_count)? else {
            return Ok(details);
        };
        let (demand, not_restocked) = moved(table, &details.items, stock).await?;
        let order = &mut details.order;
        let entry = HistoryEntry {
            at: now,
            by: actor.user_id(),
            from: order.status,
            to: change.status,
            version: order.version + 1,
            reason: change.reason.as_ref().map(|reason| reason.as_str().to_owned()),
            stock,
            not_restocked,
        };
        let step = Expression::exists()
            .equal("version", order.version)
            .set("status", change.status.as_str())
            .set("gsi2pk", Key::orders_in(change.status, shard(table, id)))
            .set("total", total(&details.items).minor())
            .set("updated_at", now.millis())
            .add("version", 1);
        order.status = change.status;
        order.total_price = total(&details.items);
        order.updated_at = now;
        order.version += 1;

        let history = Key::History(id, entry.version);
        let transaction = Transaction::new(table).update(Key::Order(id), &step, |_| Error::Stale).insert(
            history,
            &HistoryRow::new(history, &entry),
            |_| Error::Internal("an order's history has two entries for one version".into()),
        );
        match with_stock(transaction, demand, stock, now).commit().await {
            Ok(()) => {
                note(|tally| tally.order(change.status));
                details.history.push(entry);
                return Ok(details);
            }
            Err(Error::Stale) => {} // The order or a product was changed by somebody else since; look again.
            Err(refusal) => return Err(refusal),
        }
    }
    Err(Error::Contended)
}

/// How many pieces of each shard of a product.
type Moved = BTreeMap<(ProductId, u32), u64>;

/// What an effect moves, and the products that it leaves out because they are gone.
async fn moved(table: &Table, items: &[OrderItem], stock: StockEffect) -> Result<(Moved, Vec<ProductId>)> {
    match stock {
        StockEffect::None => Ok((BTreeMap::new(), Vec::new())),
        StockEffect::Released | StockEffect::Shipped => Ok((demand(items), Vec::new())),
        StockEffect::Restocked => {
            // What has left the shop holds no product: it may have been deleted since, and its line's shard with it.
            let mut demand: Moved = BTreeMap::new();
            for item in items {
                *demand.entry((item.product_id, 0)).or_default() += item.quantity.get();
            }
            let products: BTreeSet<_> = demand.keys().map(|(product_id, _)| *product_id).collect();
            let existing = stock::offers(table, &products).await?;
            demand.retain(|(product_id, _), _| existing.contains_key(product_id));
            Ok((demand, products.into_iter().filter(|product_id| !existing.contains_key(product_id)).collect()))
        }
    }
}

/// Adds what a step does to the stock of the products in `demand`.
fn with_stock(mut transaction: Transaction<'_>, demand: Moved, stock: StockEffect, now: Timestamp) -> Transaction<'_> {
    for ((product_id, shard), quantity) in demand {
        let key = Key::Stock(product_id, shard);
        transaction = match stock {
            StockEffect::None => transaction,
            StockEffect::Released => transaction.update(key, &release(quantity, now), |_| stock::broken()),
            StockEffect::Shipped => transaction.update(key, &ship(quantity, now), |_| stock::broken()),
            StockEffect::Restocked => transaction.update(key, &restock(quantity, now), |_| Error::Stale),
        };
    }
    transaction
}

/// Deletes an order with its lines and its history; the stock that it holds goes back on the shelf.
pub async fn delete(table: &Table, id: OrderId, actor: &Actor, if_match: Option<&[u64]>, now: Timestamp) -> Result {
    for _ in 0..ATTEMPTS {
        let details = find(table, id, actor).await?;
        let order = &details.order;
        require_version(if_match, order.version)?;
        let stock = match order.status {
            Status::Pending => StockEffect::Released,
            Status::Cancelled if actor.is_admin() => StockEffect::None,
            status => return Err(Error::OrderNotDeletable { status }),
        };
        let (demand, _) = moved(table, &details.items, stock).await?;
        let unchanged = Expression::exists().equal("version", order.version);
        let mut transaction = Transaction::new(table).delete(Key::Order(id), &unchanged, |_| Error::Stale);
        for item in &details.items {
            transaction = transaction.delete(Key::OrderItem(id, item.order_item_id), &Expression::exists(), |_| Error::Stale);
        }
        for entry in &details.history {
            transaction = transaction.delete(Key::History(id, entry.version), &Expression::exists(), |_| Error::Stale);
        }
        match with_stock(transaction, demand, stock, now).commit().await {
            Err(Error::Stale) => {} // Changed by somebody else since; look again.
            refused_or_done => return refused_or_done,
        }
    }
    Err(Error::Contended)
}

/// Up to `max` orders that are PENDING and were not touched since `cutoff`, as the index has them.
pub async fn forgotten(table: &Table, cutoff: Timestamp, max: usize) -> Result<Vec<Order>> {
    // An id begins with the time it was made: no order older than the cutoff lies beyond this one.
    let newest = format!("{:08x}-{:04x}", cutoff.millis() >> 16, cutoff.millis() & 0xffff);
    let mut orders: Vec<Order> = Vec::new();
    for shard in 0..table.order_shards().await? {
        let mut start = None;
        loop {
            let output = table
                .client
                .query()
                .table_name(&table.name)
                .index_name(GSI2)
                .key_condition_expression("gsi2pk = :pending AND gsi2sk < :newest")
                .filter_expression("updated_at < :cutoff")
                .expression_attribute_values(":pending", AttributeValue::S(Key::orders_in(Status::Pending, shard)))
                .expression_attribute_values(":newest", AttributeValue::S(newest.clone()))
                .expression_attribute_values(":cutoff", AttributeValue::N(cutoff.millis().to_string()))
                .set_exclusive_start_key(start)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map_err(fault)?;
            for item in output.items.unwrap_or_default() {
                orders.push(from_item::<Row>(item)?.try_into()?);
                if orders.len() == max {
                    return Ok(orders);
                }
            }
            start = output.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
    }
    Ok(orders)
}

async fn find_item(table: &Table, order_id: OrderId, item_id: OrderItemId) -> Result<OrderItem> {
    let row: Option<ItemRow> = table.read(Key::OrderItem(order_id, item_id)).await?;
    row.ok_or(Error::NotFound("order item"))?.try_into()
}

/// The part of the admins' list that an order is in. Raising the number of shards moves no order: it moves when it is written.
fn shard(table: &Table, id: OrderId) -> u32 {
    u32::try_from(id.bits() % u128::from(table.order_shards.setting)).unwrap_or_default()
}

fn insert_item<'a>(transaction: Transaction<'a>, item: &OrderItem) -> Transaction<'a> {
    transaction.insert(Key::OrderItem(item.order_id, item.order_item_id), &ItemRow::from(item), |_| {
        Error::Internal("a new order item has the id of another".into())
    })
}

/// The update of an order whose lines change; only while it is PENDING, and only by whom it belongs to.
fn editable(actor: &Actor, now: Timestamp) -> Expression {
    let expression =
        Expression::exists().equal("status", Status::Pending.as_str()).set("updated_at", now.millis()).add("version", 1);
    match actor {
        Actor::Customer(user_id) => expression.equal("customer_id", user_id.to_string()),
        Actor::Admin(_) | Actor::Shop => expression,
    }
}

fn why_not_editable(old: Option<Item>, actor: &Actor) -> Error {
    match old.map(from_item::<Row>) {
        None => Error::NotFound("order"),
        Some(Err(error)) => error,
        Some(Ok(row)) if !actor.may_see(row.customer_id) => Error::NotFound("order"),
        Some(Ok(row)) if row.status != Status::Pending => Error::OrderNotEditable { status: row.status },
        Some(Ok(row)) if row.item_count >= Order::MAX_ITEMS as u64 => Error::TooManyItems,
        Some(Ok(_)) => Error::Internal("an order was not edited for no reason".into()),
    }
}

/// The line as it was read: whoever changes its quantity in between wins.
fn unchanged(item: &OrderItem) -> Expression {
    Expression::exists().equal("quantity", item.quantity.get())
}
