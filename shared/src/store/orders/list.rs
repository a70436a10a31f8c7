//! Orders one by one and in lists.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;

use super::{
    super::{
        expression::Expression,
        key::{GSI1, GSI2, Item, Key},
        query::Query,
        table::{Table, from_item},
    },
    row::Row,
};
use crate::{
    Error, Result,
    domain::{Actor, EndedHolds, Order, OrderDetails, OrderId, Refusal, Resource, Status, Timestamp, UserId},
};

/// The queries that one page of a filtered list may take, and how many orders each looks at: what DynamoDB filters out counts, too.
/// Where a page is not full after the first, few orders pass, and the second looks at as many as there are in 1 MB.
const FILTERED: [Option<usize>; 2] = [Some(500), None];

/// Reads an order with its lines and its history, if the actor may see it.
pub async fn find(table: &Table, id: OrderId, actor: &Actor) -> Result<OrderDetails> {
    visible(table.read(Key::Order(id)).await?, actor)
}

/// An order as an item that was read.
pub fn from_stored(item: Item) -> Result<OrderDetails> {
    from_item::<Row>(item)?.try_into()
}

/// Reads orders with their lines and their history, up to 100, in no order; those that there are not are left out.
pub async fn find_all(table: &Table, ids: impl IntoIterator<Item = OrderId>) -> Result<Vec<OrderDetails>> {
    table.batch_get(ids.into_iter().map(Key::Order)).await?.into_iter().map(from_stored).collect()
}

/// An order that there is, and that exists for the actor.
pub(super) fn visible(found: Option<Row>, actor: &Actor) -> Result<OrderDetails> {
    let found = OrderDetails::try_from(found.ok_or(Refusal::NotFound(Resource::Order))?)?;
    actor.require_sight(found.order.customer_id)?;
    Ok(found)
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
    for looked_at in if status.is_some() { FILTERED } else { [Some(limit + 1); 2] } {
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
    // A page may be short, or empty, when almost nothing passes the filter: the walk goes on from where the queries stopped.
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
        let shards = (0..parts).map(|shard| newest(table, GSI2, Key::orders_in(status, shard), None, before, Some(limit + 1)));
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

/// The newest orders of one collection of an index, those with a status if one is named. `limit` orders are looked at, or what 1 MB
/// holds.
async fn newest(
    table: &Table,
    index: &'static str,
    collection: String,
    status: Option<Status>,
    before: Option<OrderId>,
    limit: Option<usize>,
) -> Result<Newest> {
    let mut query = Query::of_index(index, collection).descending().limit(limit);
    if let Some(id) = before {
        query = query.before(id.to_string());
    }
    if let Some(status) = status {
        query = query.filter(Expression::default().equal("status", status.as_str()));
    }
    let found = table.query(query).await?;
    let rows = found.items.into_iter().map(from_item::<Row>);
    let orders = rows.map(|row| row.and_then(Order::try_from)).collect::<Result<_>>()?;
    Ok(Newest { orders, last: found.last.as_ref().and_then(Key::order_of_item) })
}

/// How many PENDING orders a customer has that were made since a time, as the index has them; no more than `max` are counted.
pub(super) async fn count_open(table: &Table, customer: UserId, since: Option<Timestamp>, max: u64) -> Result<u64> {
    let since = since.map_or("0".into(), least_id);
    let (mut count, mut start) = (0, None);
    loop {
        let pending = Expression::default().equal("status", Status::Pending.as_str());
        let query = Query::of_index(GSI1, Key::orders_of(customer)).from(since.clone()).filter(pending).count_only();
        let found = table.query(query.after(start)).await?;
        count += found.count;
        start = found.last;
        if start.is_none() || count >= max {
            return Ok(count.min(max));
        }
    }
}

/// How an id begins that was made at this time, and less than all that were made later.
fn least_id(time: Timestamp) -> String {
    format!("{:08x}-{:04x}", time.millis() >> 16, time.millis() & 0xffff)
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
    // No order made later can have been changed before that time.
    let query = Query::of_index(GSI2, Key::orders_in(Status::Pending, shard)).before(least_id(ended.changed_before)).after(start);
    let over = Expression::default()
        .either_below(("updated_at", ended.changed_before.millis()), ("created_at", ended.created_before.millis()));
    let found = table.query(query.filter(over)).await?;
    let ids = found.items.iter().filter_map(Key::order_of_item).collect();
    let next = match found.last {
        Some(start) => Some(Walk { shard, start: Some(start) }),
        None => (shard + 1 < table.order_shards().await?).then_some(Walk { shard: shard + 1, start: None }),
    };
    Ok((ids, next))
}
