//! The steps of an order's life, what is remembered with it, and its end.

use std::collections::BTreeSet;

use super::{
    super::{
        expression::Expression,
        key::Key,
        retry::{Backoff, Round, until_done},
        stock::{self, release, restock, ship, why_not_restocked},
        table::{Table, require_version},
        transaction::{Cancellation, Transaction},
    },
    list::find,
    row::{HistoryRow, history_path, shard, to_value},
};
use crate::{
    Error, Result,
    domain::{
        Actor, Demand, EndedHolds, HistoryEntry, Metadata, OrderChange, OrderDetails, OrderId, OrderItem, OrderPolicy, ProductId,
        Reason, Refusal, Status, StatusChange, StockEffect, Timestamp, demand, take_step,
    },
    telemetry::record,
};

/// Takes one step of the lifecycle, with what it does to the stock and a record of it; replaces the metadata; or does both, or nothing
/// if all is so already. `if_match`: only from one of these versions.
pub async fn change(
    table: &Table,
    id: OrderId,
    change: &OrderChange,
    actor: &Actor,
    policy: &OrderPolicy,
    if_match: Option<&[u64]>,
    now: Timestamp,
) -> Result<OrderDetails> {
    table.raise_order_shards().await?;
    until_done(async |backoff| {
        let details = find(table, id, actor).await?;
        let order = &details.order;
        require_version(if_match, &order.version)?;
        let metadata = change.metadata.as_ref().filter(|metadata| **metadata != details.metadata);
        if metadata.is_some() {
            order.require_metadata_editable(actor)?;
        }
        let step = match &change.step {
            Some(step) => take_step(order.status, step, actor.role(), order.item_count, policy.customers_confirm)?
                .map(|stock| (step, stock)),
            None => None,
        };
        if step.is_none() && metadata.is_none() {
            return Ok(Round::Done(details));
        }
        write(table, details, step, metadata.cloned(), actor, now, backoff).await
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
        let step = Some((&cancel, StockEffect::Released));
        let expired = write(table, details, step, None, &Actor::Shop, now, backoff).await?;
        Ok(expired.map(|_| true))
    })
    .await
}

/// Takes from an order whatever its customer wrote to it who leaves the shop, and cancels it while it is PENDING.
///
/// # Errors
///
/// [`Refusal::OpenOrders`] if it is on its way.
pub async fn forget(table: &Table, id: OrderId, actor: &Actor, now: Timestamp) -> Result {
    let cancel = StatusChange { status: Status::Cancelled, reason: None, restock: false };
    table.raise_order_shards().await?;
    until_done(async |backoff| {
        let details = match find(table, id, actor).await {
            Err(Error::Refused(Refusal::NotFound(_))) => return Ok(Round::Done(())),
            found => found?,
        };
        let step = match details.order.status {
            Status::Pending => Some((&cancel, StockEffect::Released)),
            Status::Confirmed | Status::Shipped => return Err(Refusal::OpenOrders.into()),
            Status::Delivered | Status::Cancelled => None,
        };
        let metadata = (!details.metadata.is_empty()).then(Metadata::default);
        if step.is_none() && metadata.is_none() {
            return Ok(Round::Done(()));
        }
        Ok(write(table, details, step, metadata, actor, now, backoff).await?.map(|_| ()))
    })
    .await
}

/// Writes what is allowed, unless the order or a shard of stock is not as it was read. Whoever writes to an order changes its version,
/// and so its lines hold still.
async fn write(
    table: &Table,
    mut details: OrderDetails,
    step: Option<(&StatusChange, StockEffect)>,
    metadata: Option<Metadata>,
    actor: &Actor,
    now: Timestamp,
    backoff: &mut Backoff,
) -> Result<Round<OrderDetails>> {
    let stock = step.map_or(StockEffect::None, |(_, stock)| stock);
    let (demand, not_restocked) = moved(table, &details.items, stock).await?;
    let order = &mut details.order;
    let (id, from, version) = (order.order_id, order.status, order.version);
    order.updated_at = now;
    order.version += 1;
    let mut update = Expression::default().equal("version", version).set("updated_at", now.millis()).add("version", 1);
    if let Some((change, stock)) = step {
        order.status = change.status;
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
        update = update
            .set("status", change.status.as_str())
            .set("gsi2pk", Key::orders_in(change.status, shard(table, id)))
            .set(&history_path(entry.version), to_value(&HistoryRow::from(&entry))?);
        details.history.push(entry);
    }
    if let Some(metadata) = metadata {
        let stored = if metadata.is_empty() { None } else { Some(to_value(&metadata)?) };
        update = update.set_or_remove("metadata", stored);
        details.metadata = metadata;
    }
    let transaction = Transaction::new(table).update(Key::Order(id), &update, |_| Cancellation::Changed);
    let round = with_stock(transaction, demand, stock, now).attempt(backoff).await?.into_round()?;
    Ok(round.map(|()| {
        if step.is_some() {
            record(|metrics| metrics.order(details.order.status));
        }
        details
    }))
}

/// What an effect moves, and the products that it leaves out because they are gone.
async fn moved(table: &Table, items: &[OrderItem], stock: StockEffect) -> Result<(Demand, Vec<ProductId>)> {
    match stock {
        StockEffect::None => Ok((Demand::new(), Vec::new())),
        StockEffect::Released | StockEffect::Shipped => Ok((demand(items), Vec::new())),
        StockEffect::Restocked => {
            // What has left the shop holds no product: it may have been deleted since, and its shards with it.
            let mut demand = demand(items);
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
            StockEffect::Restocked => transaction.update(key, &restock(quantity, now), why_not_restocked),
        };
    }
    transaction
}

/// Deletes an order; the stock that it holds goes back on the shelf.
pub async fn delete(table: &Table, id: OrderId, actor: &Actor, if_match: Option<&[u64]>, now: Timestamp) -> Result {
    until_done(async |backoff| {
        let details = find(table, id, actor).await?;
        let order = &details.order;
        require_version(if_match, &order.version)?;
        let stock = order.deletion(actor)?;
        let (demand, _) = moved(table, &details.items, stock).await?;
        let unchanged = Expression::default().equal("version", order.version);
        let transaction = Transaction::new(table).delete(Key::Order(id), &unchanged, |_| Cancellation::Changed);
        with_stock(transaction, demand, stock, now).attempt(backoff).await?.into_round()
    })
    .await
}
