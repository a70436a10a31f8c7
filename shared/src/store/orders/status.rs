//! The steps of an order's life, and its end.

use std::collections::BTreeSet;

use super::{
    super::{
        expression::Expression,
        key::Key,
        retry::{Backoff, Round, until_done},
        stock::{self, release, restock, ship},
        table::{Table, require_version},
        transaction::{Cancellation, Transaction},
    },
    list::find,
    row::{HistoryRow, shard},
};
use crate::{
    Error, Result,
    domain::{
        Actor, Demand, EndedHolds, HistoryEntry, OrderDetails, OrderId, OrderItem, OrderPolicy, ProductId, Reason, Refusal,
        Status, StatusChange, StockEffect, Timestamp, demand, take_step, total,
    },
    telemetry::record,
};

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
    until_done(async |backoff| {
        let details = find(table, id, actor).await?;
        require_version(if_match, details.order.version)?;
        let order = &details.order;
        match take_step(order.status, change, actor.role(), order.item_count, policy.customers_confirm)? {
            Some(stock) => step(table, details, change, stock, actor, now, backoff).await,
            None => Ok(Round::Done(details)),
        }
    })
    .await
}

/// Cancels an order whose hold on its stock has ended. `false` if it is PENDING no more, or was changed after all.
pub async fn expire(table: &Table, id: OrderId, ended: &EndedHolds, now: Timestamp) -> Result<bool> {
    let reason = Reason::parse("expired").map_err(Error::Internal)?;
    let cancel = StatusChange { status: Status::Cancelled, reason: Some(reason), restock: false };
    table.raise_order_shards().await?;
    until_done(async |backoff| {
        let details = match find(table, id, &Actor::Shop).await {
            Err(Error::Refused(Refusal::NotFound(_))) => return Ok(Round::Done(false)),
            found => found?,
        };
        if !ended.include(&details.order) {
            return Ok(Round::Done(false));
        }
        let expired = step(table, details, &cancel, StockEffect::Released, &Actor::Shop, now, backoff).await?;
        Ok(expired.map(|_| true))
    })
    .await
}

/// Takes a step that is allowed, unless the order or a product is not as it was read.
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
) -> Result<Round<OrderDetails>> {
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
    let transaction = Transaction::new(table).update(Key::Order(id), &step, |_| Cancellation::Changed).insert(
        history,
        &HistoryRow::new(history, &entry),
        |_| Error::Internal("an order's history has two entries for one version".into()),
    );
    let round = with_stock(transaction, demand, stock, now).attempt(backoff).await?.into_round()?;
    Ok(round.map(|()| {
        record(|metrics| metrics.order(change.status));
        details.history.push(entry);
        details
    }))
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
            StockEffect::Restocked => transaction.update(key, &restock(quantity, now), |_| Cancellation::Changed),
        };
    }
    transaction
}

/// Deletes an order with its lines and its history; the stock that it holds goes back on the shelf.
pub async fn delete(table: &Table, id: OrderId, actor: &Actor, if_match: Option<&[u64]>, now: Timestamp) -> Result {
    until_done(async |backoff| {
        let details = find(table, id, actor).await?;
        let order = &details.order;
        require_version(if_match, order.version)?;
        let stock = order.deletion(actor)?;
        let (demand, _) = moved(table, &details.items, stock).await?;
        // Whoever adds, changes or removes a line or takes a step changes the version: lines and history hold still with it.
        let unchanged = Expression::default().equal("version", order.version);
        let mut transaction = Transaction::new(table).delete(Key::Order(id), &unchanged, |_| Cancellation::Changed);
        for item in &details.items {
            let key = Key::OrderItem(id, item.order_item_id);
            transaction = transaction.delete(key, &Expression::default(), |_| Cancellation::Changed);
        }
        for entry in &details.history {
            let key = Key::History(id, entry.version);
            transaction = transaction.delete(key, &Expression::default(), |_| Cancellation::Changed);
        }
        with_stock(transaction, demand, stock, now).attempt(backoff).await?.into_round()
    })
    .await
}
