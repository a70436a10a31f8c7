//! Orders with their lines and history, and the stock they hold.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity, Select};
use futures_util::future::{try_join, try_join_all};
use serde::{Deserialize, Serialize};

use super::{
    Idempotency, Table,
    expression::Expression,
    idempotency,
    key::{GSI1, GSI2, Item, Key},
    retry::Backoff,
    stock::{self, Moved, Source, Survey, Wanted, release, restock, ship, unknown},
    table::{from_item, require_version},
    transaction::{Outcome, Refusal, Transaction},
};
use crate::{
    Error, Result,
    aws::fault,
    domain::{
        Actor, Demand, EndedHolds, HistoryEntry, Money, NewItem, Offer, Order, OrderDetails, OrderDraft, OrderId, OrderItem,
        OrderItemId, OrderPolicy, ProductId, Quantity, Reason, Status, StatusChange, StockEffect, Timestamp, UserId, demand,
        take_step, total,
    },
    telemetry::record,
};

/// Queries that one page of a filtered list may take, and orders that each looks at.
const MAX_QUERIES: u32 = 10;
const FILTERED: usize = 500;

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
        let sk = Key::kind_of(&item);
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
        // What DynamoDB filters out counts too: one large query instead of many small ones.
        let looked_at = if status.is_some() { FILTERED } else { limit + 1 };
        let found = newest(table, GSI1, Key::orders_of(customer), status, before, looked_at).await?;
        orders.extend(found.orders);
        if orders.len() > limit {
            orders.truncate(limit);
            let next = orders.last().map(|last| last.order_id.to_string());
            return Ok((orders, next));
        }
        before = found.last;
        if before.is_none() {
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
        let shards = (0..parts).map(|shard| newest(table, GSI2, Key::orders_in(status, shard), None, before, limit + 1));
        for found in try_join_all(shards).await? {
            merged.extend(found.orders.into_iter().map(|order| (order.order_id, order)));
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

/// Orders of one collection of an index.
struct Newest {
    orders: Vec<Order>,
    /// The last order that was looked at, if there are more.
    last: Option<OrderId>,
}

/// The newest orders of one collection of an index, those with a status if one is named. `limit` orders are looked at.
async fn newest(
    table: &Table,
    index: &str,
    collection: String,
    status: Option<Status>,
    before: Option<OrderId>,
    limit: usize,
) -> Result<Newest> {
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
    if let Some(status) = status {
        request = request
            .filter_expression("#status = :status")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":status", AttributeValue::S(status.as_str().to_owned()));
    }
    let output = request.send().await.map_err(fault)?;
    let rows = output.items.unwrap_or_default().into_iter().map(from_item::<Row>);
    let orders = rows.map(|row| row.and_then(Order::try_from)).collect::<Result<_>>()?;
    let last = output.last_evaluated_key.and_then(|key| Key::order_of(key.get("pk")?.as_s().ok()?));
    Ok(Newest { orders, last })
}

/// How many PENDING orders a customer has that were made since a time, as the index has them; no more than `max` are counted.
async fn count_open(table: &Table, customer: UserId, since: Option<Timestamp>, max: u64) -> Result<u64> {
    let mut count = 0;
    let mut start = None;
    loop {
        let output = table
            .client
            .query()
            .table_name(&table.name)
            .index_name(GSI1)
            .key_condition_expression("gsi1pk = :orders AND gsi1sk >= :since")
            .filter_expression("#status = :pending")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":orders", AttributeValue::S(Key::orders_of(customer)))
            .expression_attribute_values(":since", AttributeValue::S(since.map_or("0".into(), least_id)))
            .expression_attribute_values(":pending", AttributeValue::S(Status::Pending.as_str().to_owned()))
            .select(Select::Count)
            .set_exclusive_start_key(start)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(fault)?;
        count += u64::try_from(output.count).unwrap_or_default();
        start = output.last_evaluated_key;
        if start.is_none() || count >= max {
            return Ok(count.min(max));
        }
    }
}

/// How an id begins that was made at this time, and less than all that were made later.
fn least_id(time: Timestamp) -> String {
    format!("{:08x}-{:04x}", time.millis() >> 16, time.millis() & 0xffff)
}

/// Places an order with all its lines and takes their stock, or does none of it.
///
/// `save_response` makes the record of the answer; it is asked again if prices change while the order is being placed.
pub async fn place(
    table: &Table,
    draft: &OrderDraft,
    actor: &Actor,
    policy: &OrderPolicy,
    save_response: impl Fn(&OrderDetails) -> Result<Option<Idempotency>>,
) -> Result<OrderDetails> {
    table.raise_order_shards().await?;
    let products = draft.products();
    // Admins may go beyond it: they order for others too.
    let limit = policy.max_open_orders.filter(|_| !actor.is_admin());
    let open = async {
        match limit {
            Some(max) => count_open(table, draft.customer_id, policy.oldest_pending(draft.now), max.into()).await,
            None => Ok(0),
        }
    };
    let (offers, open) = try_join(stock::offers(table, &products), open).await?;
    // The order, the record, the customer and the lines are in the transaction beside the stock.
    let mut sale = Sale::new(offers, 3 + draft.items.len());
    let mut backoff = Backoff::new();
    loop {
        let details = draft.priced(&sale.offers);
        let idempotency = save_response(&details)?;
        let unknown = draft.unknown(&sale.offers);
        let refusal = match limit {
            Some(limit) if open >= u64::from(limit) => Some(Error::TooManyOpenOrders { limit }),
            _ if !unknown.is_empty() => Some(Error::UnknownProduct(unknown)),
            _ => None,
        };
        if let Some(refusal) = refusal {
            // A repetition is answered as the first time, whatever has changed since.
            idempotency::recall(table, idempotency.as_ref()).await?;
            return Err(refusal);
        }
        let Order { order_id, customer_id, .. } = details.order;
        let now = details.order.created_at;

        let mut transaction = Transaction::new(table).idempotent(idempotency.as_ref());
        if actor.user_id() != Some(customer_id) {
            let active = Expression::default().equal("is_active", true);
            transaction = transaction.check(Key::User(customer_id), &active, |_| Error::UnknownCustomer);
        }
        transaction = transaction.insert(Key::Order(order_id), &Row::new(table, &details.order), |_| {
            Error::Internal("a new order has the id of another".into())
        });
        for ((product_id, _), quantity) in details.demand() {
            transaction = sale.reserve(transaction, product_id, quantity, now, draft.pointer(product_id));
        }
        for item in &details.items {
            transaction = insert_item(transaction, item);
        }
        match transaction.attempt(&mut backoff).await? {
            Outcome::Done => {
                record(|metrics| metrics.order(Status::Pending));
                return Ok(details);
            }
            Outcome::Refused(refusals) => sale.mend(table, refusals, &mut backoff).await?,
        }
    }
}

/// At what prices products are sold, and from where their pieces are taken.
struct Sale {
    offers: BTreeMap<ProductId, Offer>,
    /// Pieces that are moved to the shard of the offer; none is the ordinary case.
    moved: BTreeMap<ProductId, Moved>,
    /// Actions of the transaction that are about something else.
    others: usize,
}

/// Actions that one transaction can have.
const MAX_ACTIONS: usize = 100;

impl Sale {
    fn new(offers: BTreeMap<ProductId, Offer>, others: usize) -> Self {
        Self { offers, moved: BTreeMap::new(), others }
    }

    /// Adds to a transaction what takes the pieces of one product.
    fn reserve<'a>(
        &self,
        transaction: Transaction<'a>,
        product_id: ProductId,
        quantity: u64,
        now: Timestamp,
        pointer: String,
    ) -> Transaction<'a> {
        let Some(Offer { price, shard }) = self.offers.get(&product_id).copied() else { return transaction };
        let source = Source { shard, moved: self.moved.get(&product_id).cloned().unwrap_or_default() };
        stock::reserve_at_price(transaction, product_id, &source, quantity, price, now, pointer)
    }

    /// Mends what stood in the way, all of it at once: takes over prices that have changed, and finds other shards.
    ///
    /// # Errors
    ///
    /// The first refusal that is final; for products whose stock is spread, all shards are looked at to know.
    async fn mend(&mut self, table: &Table, refusals: Vec<Refusal>, backoff: &mut Backoff) -> Result {
        let mut depleted: Vec<Wanted> = Vec::new();
        let mut refused = None;
        for refusal in refusals {
            match refusal {
                Refusal::PriceChanged { product_id, price } => {
                    self.offers.entry(product_id).and_modify(|offer| offer.price = price);
                }
                Refusal::ShardDepleted { product_id, wanted } => {
                    if depleted.iter().all(|before| before.product_id != product_id) {
                        depleted.push(Wanted { product_id, pieces: wanted, shard: None });
                    }
                }
                Refusal::Final(error) => {
                    refused = Some(error);
                    break;
                }
                Refusal::Changed => break,
            }
        }
        // A price is tried as it was told, before it changes again; others who take the same pieces are let pass.
        match &refused {
            None if depleted.is_empty() => return backoff.at_once(),
            None => backoff.after_change().await?,
            Some(_) => {}
        }
        // What is sold out before it in the order of the request is told first.
        self.moved.retain(|product_id, _| depleted.iter().all(|wanted| wanted.product_id != *product_id));
        let survey = Survey::of(table, depleted).await?;
        if let Some(error) = refused {
            return Err(error);
        }
        let taken = self.others + self.offers.len() + self.moved.values().map(Vec::len).sum::<usize>();
        for (product_id, source) in survey.sources(table, MAX_ACTIONS.saturating_sub(taken)).await? {
            self.offers.entry(product_id).and_modify(|offer| offer.shard = source.shard);
            self.moved.insert(product_id, source.moved);
        }
        Ok(())
    }
}

/// A line as it was written, and the version that its order has since, as far as nobody else has changed it meanwhile.
pub type Written = (OrderItem, u64);

/// Adds a line: takes its stock and raises the order's total, or does neither. `if_match`: only to one of these versions.
#[expect(clippy::too_many_arguments, reason = "all of them are what the request says")]
pub async fn add_item(
    table: &Table,
    order_id: OrderId,
    item_id: OrderItemId,
    wanted: &NewItem,
    actor: &Actor,
    if_match: Option<&[u64]>,
    now: Timestamp,
    save_response: impl Fn(&Written) -> Result<Option<Idempotency>>,
) -> Result<Written> {
    let product_id = wanted.product_id;
    let (mut head, mut offers) = (None, BTreeMap::new());
    let attributes = [&stock::OFFER[..], &Head::ATTRIBUTES].concat();
    for item in table.batch([Key::Order(order_id), Key::Product(product_id)], &attributes).await? {
        match Key::kind_of(&item) {
            Key::ORDER => head = Some(from_item::<Head>(item)?),
            _ => offers.extend([stock::offer(item)?]),
        }
    }
    let head = head.filter(|head: &Head| actor.may_see(head.customer_id));
    let version = head.as_ref().map_or(0, |head| head.version);
    let pinned = if_match.map(|_| version);
    let mut sale = Sale::new(offers, 3);
    let mut backoff = Backoff::new();
    loop {
        let offer = sale.offers.get(&product_id).copied();
        let item = OrderItem::new(item_id, order_id, wanted, offer.unwrap_or(Offer { price: Money::ZERO, shard: 0 }), now);
        let written = (item, version + 1);
        let idempotency = save_response(&written)?;
        let refusal = match &head {
            None => Err(Error::NotFound("order")),
            Some(_) => require_version(if_match, version),
        };
        let known = offer.ok_or_else(|| Error::UnknownProduct(unknown("/product_id".into())));
        if let Err(refusal) = known.and(refusal) {
            // A repetition is answered as the first time, whatever has changed since.
            idempotency::recall(table, idempotency.as_ref()).await?;
            return Err(refusal);
        }
        let (item, _) = &written;
        let room = editable(actor, pinned, now).below("item_count", Order::MAX_ITEMS as u64);
        let more = room.add("total", item.line_total.minor()).add("item_count", 1);
        let transaction = Transaction::new(table)
            .idempotent(idempotency.as_ref())
            .update(Key::Order(order_id), &more, |old| why_not_editable(old, actor, true));
        let transaction = sale.reserve(transaction, product_id, wanted.quantity.get(), now, "/product_id".into());
        match insert_item(transaction, item).attempt(&mut backoff).await? {
            Outcome::Done => return Ok(written),
            // Only a pinned order can be another than was read, and then it is no more the one that the caller means.
            Outcome::Refused(refusals) if matches!(refusals.first(), Some(Refusal::Changed)) => {
                return Err(Error::PreconditionFailed);
            }
            Outcome::Refused(refusals) => sale.mend(table, refusals, &mut backoff).await?,
        }
    }
}

/// Changes a line's quantity: moves the difference between the shelf and the order, and the order's total with it. A quantity
/// that the line has already changes nothing. `if_match`: only while the order has one of these versions.
pub async fn change_item(
    table: &Table,
    order_id: OrderId,
    item_id: OrderItemId,
    quantity: Quantity,
    actor: &Actor,
    if_match: Option<&[u64]>,
    now: Timestamp,
) -> Result<Written> {
    let mut backoff = Backoff::new();
    let mut moved = Moved::new();
    loop {
        let (head, mut item) = find_item(table, order_id, item_id, actor, if_match).await?;
        let (before, after) = (item.quantity.get(), quantity.get());
        if after == before {
            return Ok((item, head.version));
        }
        let raise = item.price.times(after).minor() - item.line_total.minor();
        let order = editable(actor, if_match.map(|_| head.version), now).add("total", raise);
        let changed = unchanged(&item).set("quantity", after).set("updated_at", now.millis());
        // The line before the product: if it is not as it was read, what the product says to the difference means nothing.
        let mut transaction = Transaction::new(table)
            .update(Key::Order(order_id), &order, |old| why_not_editable(old, actor, false))
            .update(Key::OrderItem(order_id, item_id), &changed, |_| Refusal::Changed);
        let (product_id, shard) = (item.product_id, item.shard);
        if after > before {
            let source = Source { shard, moved: std::mem::take(&mut moved) };
            transaction = stock::reserve(transaction, product_id, &source, after - before, now);
        } else {
            let less = release(before - after, now);
            transaction = transaction.update(Key::Stock(product_id, shard), &less, |_| stock::broken());
        }
        match transaction.attempt(&mut backoff).await? {
            Outcome::Done => {
                item.quantity = quantity;
                item.line_total = item.price.times(after);
                item.updated_at = now;
                return Ok((item, head.version + 1));
            }
            Outcome::Refused(refusals) => match refusals.into_iter().next() {
                Some(Refusal::Final(error)) => return Err(error),
                Some(Refusal::ShardDepleted { product_id, wanted }) => {
                    backoff.after_change().await?;
                    let wanted = Wanted { product_id, pieces: wanted, shard: Some(shard) };
                    let sources = Survey::of(table, vec![wanted]).await?.sources(table, MAX_ACTIONS).await?;
                    moved = sources.into_iter().next().map(|(_, source)| source.moved).unwrap_or_default();
                }
                // Changed or removed by somebody else since.
                _ => backoff.after_change().await?,
            },
        }
    }
}

/// Removes a line: its stock goes back on the shelf, and the order's total falls. Tells the order's version since.
/// `if_match`: only while the order has one of these versions.
pub async fn remove_item(
    table: &Table,
    order_id: OrderId,
    item_id: OrderItemId,
    actor: &Actor,
    if_match: Option<&[u64]>,
    now: Timestamp,
) -> Result<u64> {
    let mut backoff = Backoff::new();
    loop {
        let (head, item) = find_item(table, order_id, item_id, actor, if_match).await?;
        let order = editable(actor, if_match.map(|_| head.version), now);
        let less = order.add("total", -item.line_total.minor()).add("item_count", -1);
        let transaction = Transaction::new(table)
            .update(Key::Order(order_id), &less, |old| why_not_editable(old, actor, false))
            .delete(Key::OrderItem(order_id, item_id), &unchanged(&item), |_| Refusal::Changed)
            .update(Key::Stock(item.product_id, item.shard), &release(item.quantity.get(), now), |_| stock::broken());
        if transaction.attempt(&mut backoff).await?.done_or_changed()? {
            return Ok(head.version + 1);
        }
        backoff.after_change().await?;
    }
}

/// Takes one step of the lifecycle, with what it does to the stock and a record of it. `if_match`: only from one of these versions.
pub async fn change_status(
    table: &Table,
    id: OrderId,
    change: &StatusChange,
    actor: &Actor,
    policy: &OrderPolicy,
    if_match: Option<&[u64]>,
    now: Timestamp,
) -> Result<OrderDetails> {
    table.raise_order_shards().await?;
    let mut backoff = Backoff::new();
    loop {
        let details = find(table, id, actor).await?;
        require_version(if_match, details.order.version)?;
        let order = &details.order;
        let Some(stock) = take_step(order.status, change, actor.role(), order.item_count, policy.customers_confirm)? else {
            return Ok(details);
        };
        if let Some(done) = step(table, details, change, stock, actor, now, &mut backoff).await? {
            return Ok(done);
        }
        backoff.after_change().await?;
    }
}

/// Cancels an order whose hold on its stock has ended. `false` if it is PENDING no more, or was changed after all.
pub async fn expire(table: &Table, id: OrderId, ended: &EndedHolds, now: Timestamp) -> Result<bool> {
    let reason = Reason::parse("expired").map_err(Error::Internal)?;
    let cancel = StatusChange { status: Status::Cancelled, reason: Some(reason), restock: false };
    table.raise_order_shards().await?;
    let mut backoff = Backoff::new();
    loop {
        let details = match find(table, id, &Actor::Shop).await {
            Err(Error::NotFound(_)) => return Ok(false),
            found => found?,
        };
        if !ended.include(&details.order) {
            return Ok(false);
        }
        let expired = step(table, details, &cancel, StockEffect::Released, &Actor::Shop, now, &mut backoff).await?;
        if expired.is_some() {
            return Ok(true);
        }
        backoff.after_change().await?;
    }
}

/// Takes a step that is allowed; `None` if the order or a product is not as it was read.
///
/// The order's version holds its lines still: whoever changes one changes it.
async fn step(
    table: &Table,
    mut details: OrderDetails,
    change: &StatusChange,
    stock: StockEffect,
    actor: &Actor,
    now: Timestamp,
    backoff: &mut Backoff,
) -> Result<Option<OrderDetails>> {
    let (demand, not_restocked) = moved(table, &details.items, stock).await?;
    let order = &mut details.order;
    let (id, from, version) = (order.order_id, order.status, order.version);
    order.status = change.status;
    order.total_price = total(&details.items);
    order.updated_at = now;
    order.version += 1;
    let entry = HistoryEntry {
        at: now,
        by: actor.user_id(),
        from,
        to: change.status,
        version: order.version,
        reason: change.reason.as_ref().map(|reason| reason.as_str().to_owned()),
        stock,
        not_restocked,
    };
    let step = Expression::default()
        .equal("version", version)
        .set("status", change.status.as_str())
        .set("gsi2pk", Key::orders_in(change.status, shard(table, id)))
        .set("total", order.total_price.minor())
        .set("updated_at", now.millis())
        .add("version", 1);
    let history = Key::History(id, entry.version);
    let transaction = Transaction::new(table).update(Key::Order(id), &step, |_| Refusal::Changed).insert(
        history,
        &HistoryRow::new(history, &entry),
        |_| Error::Internal("an order's history has two entries for one version".into()),
    );
    if !with_stock(transaction, demand, stock, now).attempt(backoff).await?.done_or_changed()? {
        return Ok(None);
    }
    record(|metrics| metrics.order(change.status));
    details.history.push(entry);
    Ok(Some(details))
}

/// What an effect moves, and the products that it leaves out because they are gone.
async fn moved(table: &Table, items: &[OrderItem], stock: StockEffect) -> Result<(Demand, Vec<ProductId>)> {
    match stock {
        StockEffect::None => Ok((Demand::new(), Vec::new())),
        StockEffect::Released | StockEffect::Shipped => Ok((demand(items), Vec::new())),
        StockEffect::Restocked => {
            // What has left the shop holds no product: it may have been deleted since, and its line's shard with it.
            let on_first_shard: Vec<_> = items.iter().map(|item| OrderItem { shard: 0, ..item.clone() }).collect();
            let mut demand = demand(&on_first_shard);
            let products: BTreeSet<_> = items.iter().map(|item| item.product_id).collect();
            let existing = stock::offers(table, &products).await?;
            demand.retain(|((product_id, _), _)| existing.contains_key(product_id));
            Ok((demand, products.into_iter().filter(|product_id| !existing.contains_key(product_id)).collect()))
        }
    }
}

/// Adds what a step does to the stock of the products in `demand`.
fn with_stock(mut transaction: Transaction<'_>, demand: Demand, stock: StockEffect, now: Timestamp) -> Transaction<'_> {
    for ((product_id, shard), quantity) in demand {
        let key = Key::Stock(product_id, shard);
        transaction = match stock {
            StockEffect::None => transaction,
            StockEffect::Released => transaction.update(key, &release(quantity, now), |_| stock::broken()),
            StockEffect::Shipped => transaction.update(key, &ship(quantity, now), |_| stock::broken()),
            StockEffect::Restocked => transaction.update(key, &restock(quantity, now), |_| Refusal::Changed),
        };
    }
    transaction
}

/// Deletes an order with its lines and its history; the stock that it holds goes back on the shelf.
pub async fn delete(table: &Table, id: OrderId, actor: &Actor, if_match: Option<&[u64]>, now: Timestamp) -> Result {
    let mut backoff = Backoff::new();
    loop {
        let details = find(table, id, actor).await?;
        let order = &details.order;
        require_version(if_match, order.version)?;
        let stock = match order.status {
            Status::Pending => StockEffect::Released,
            Status::Cancelled if actor.is_admin() => StockEffect::None,
            status => return Err(Error::OrderNotDeletable { status }),
        };
        let (demand, _) = moved(table, &details.items, stock).await?;
        // Whoever adds, changes or removes a line or takes a step changes the version: lines and history hold still with it.
        let unchanged = Expression::default().equal("version", order.version);
        let mut transaction = Transaction::new(table).delete(Key::Order(id), &unchanged, |_| Refusal::Changed);
        for item in &details.items {
            let key = Key::OrderItem(id, item.order_item_id);
            transaction = transaction.delete(key, &Expression::default(), |_| Refusal::Changed);
        }
        for entry in &details.history {
            transaction = transaction.delete(Key::History(id, entry.version), &Expression::default(), |_| Refusal::Changed);
        }
        if with_stock(transaction, demand, stock, now).attempt(&mut backoff).await?.done_or_changed()? {
            return Ok(());
        }
        backoff.after_change().await?;
    }
}

/// Where a walk through the PENDING orders stands.
#[derive(Debug, Default)]
pub struct Walk {
    shard: u32,
    start: Option<Item>,
}

/// The next PENDING orders whose hold has ended, as the index has them, and where to go on; oldest first within a shard of the
/// index. What else there is to know of them is for whoever cancels them to read.
pub async fn ended(table: &Table, ended: &EndedHolds, walk: Walk) -> Result<(Vec<OrderId>, Option<Walk>)> {
    let Walk { shard, start } = walk;
    let output = table
        .client
        .query()
        .table_name(&table.name)
        .index_name(GSI2)
        // No order made later can have been changed before that time.
        .key_condition_expression("gsi2pk = :pending AND gsi2sk < :newest")
        .filter_expression("updated_at < :changed_before OR created_at < :created_before")
        .expression_attribute_values(":pending", AttributeValue::S(Key::orders_in(Status::Pending, shard)))
        .expression_attribute_values(":newest", AttributeValue::S(least_id(ended.changed_before)))
        .expression_attribute_values(":changed_before", AttributeValue::N(ended.changed_before.millis().to_string()))
        .expression_attribute_values(":created_before", AttributeValue::N(ended.created_before.millis().to_string()))
        .set_exclusive_start_key(start)
        .return_consumed_capacity(ReturnConsumedCapacity::Total)
        .send()
        .await
        .map_err(fault)?;
    let items = output.items.unwrap_or_default();
    let ids = items.iter().filter_map(|item| Key::order_of(item.get("pk")?.as_s().ok()?)).collect();
    let next = match output.last_evaluated_key {
        Some(start) => Some(Walk { shard, start: Some(start) }),
        None => (shard + 1 < table.order_shards().await?).then_some(Walk { shard: shard + 1, start: None }),
    };
    Ok((ids, next))
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

    /// Why lines may not change; `adds`: why none may be added.
    fn refusal(&self, actor: &Actor, adds: bool) -> Option<Error> {
        match self.status {
            _ if !actor.may_see(self.customer_id) => Some(Error::NotFound("order")),
            Status::Pending if adds && self.item_count >= Order::MAX_ITEMS as u64 => Some(Error::TooManyItems),
            Status::Pending => None,
            status => Some(Error::OrderNotEditable { status }),
        }
    }
}

/// Reads a line that may be changed, and what there is to know of its order.
async fn find_item(
    table: &Table,
    order_id: OrderId,
    item_id: OrderItemId,
    actor: &Actor,
    if_match: Option<&[u64]>,
) -> Result<(Head, OrderItem)> {
    let (mut head, mut line) = (None, None);
    for item in table.batch([Key::Order(order_id), Key::OrderItem(order_id, item_id)], &[]).await? {
        match Key::kind_of(&item) {
            Key::ORDER => head = Some(from_item::<Head>(item)?),
            _ => line = Some(from_item::<ItemRow>(item)?),
        }
    }
    let head = head.filter(|head| actor.may_see(head.customer_id)).ok_or(Error::NotFound("order"))?;
    let line = line.ok_or(Error::NotFound("order item"))?.try_into()?;
    require_version(if_match, head.version)?;
    match head.refusal(actor, false) {
        Some(refusal) => Err(refusal),
        None => Ok((head, line)),
    }
}

/// The part of the admins' list that an order is in. Raising the number of shards moves no order: it moves when it is written.
fn shard(table: &Table, id: OrderId) -> u32 {
    u32::try_from(id.bits() % u128::from(table.order_shards)).unwrap_or_default()
}

fn insert_item<'a>(transaction: Transaction<'a>, item: &OrderItem) -> Transaction<'a> {
    transaction.insert(Key::OrderItem(item.order_id, item.order_item_id), &ItemRow::from(item), |_| {
        Error::Internal("a new order item has the id of another".into())
    })
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

fn why_not_editable(old: Option<Item>, actor: &Actor, adds: bool) -> Refusal {
    match old.map(from_item::<Head>) {
        None => Error::NotFound("order").into(),
        Some(Err(error)) => error.into(),
        Some(Ok(head)) => head.refusal(actor, adds).map_or(Refusal::Changed, Refusal::Final),
    }
}

/// The line as it was read: whoever changes its quantity in between wins.
fn unchanged(item: &OrderItem) -> Expression {
    Expression::default().equal("quantity", item.quantity.get())
}
