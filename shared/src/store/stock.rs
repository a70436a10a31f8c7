//! The stock of a product: in the product's own item, or spread over several, so that many may take from it at one instant.
//!
//! One transaction at a time can have an item in its hands; another that wants it is refused. So a product that hundreds buy at
//! once has its pieces in `stock_shards` items of its collection, each with a copy of the price. The product's own item is shard
//! 0. A sale takes from one shard and its line remembers which; what is on the shelf is the sum of all. No item of stock ever
//! goes below zero, and none is deleted while its product exists: one that is not used any more may still hold what lines have
//! reserved.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, ReturnConsumedCapacity};
use serde::{Deserialize, Serialize};

use super::{
    Table,
    expression::Expression,
    key::{Item, Key},
    retry::Backoff,
    table::from_item,
    transaction::Transaction,
};
use crate::{
    Error, Result,
    aws::fault,
    domain::{Money, Offer, ProductId, Timestamp},
    error::Fault,
};

/// A shard of a product's stock as it is stored. Its number is in the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Shard {
    pub sk: String,
    /// Minor units; the same as the product's.
    pub price: i64,
    pub quantity: u64,
    pub reserved: u64,
    pub version: u64,
    /// Milliseconds since the epoch.
    pub updated_at: i64,
}

impl Shard {
    pub fn number(&self) -> Result<u32> {
        Key::shard_of(&self.sk).ok_or_else(|| Error::Internal(format!("{}: a stored shard has no number", self.sk)))
    }
}

/// The shards of a product, its own item not included.
pub(super) async fn shards(table: &Table, product_id: ProductId) -> Result<Vec<Shard>> {
    let output = table
        .client
        .query()
        .table_name(&table.name)
        .key_condition_expression("pk = :pk AND begins_with(sk, :stock)")
        .expression_attribute_values(":pk", AttributeValue::S(Key::Product(product_id).pk()))
        .expression_attribute_values(":stock", AttributeValue::S(Key::STOCK_PREFIX.into()))
        .return_consumed_capacity(ReturnConsumedCapacity::Total)
        .send()
        .await
        .map_err(fault)?;
    output.items.unwrap_or_default().into_iter().map(from_item).collect()
}

/// What a sale needs to know of a product.
#[derive(Deserialize)]
struct OfferRow {
    pk: String,
    price: i64,
    stock_shards: Option<u32>,
}

/// Reads the prices of products, each with a shard to take from; those that there are not are left out.
pub(super) async fn offers(table: &Table, products: &BTreeSet<ProductId>) -> Result<BTreeMap<ProductId, Offer>> {
    let mut offers = BTreeMap::new();
    if products.is_empty() {
        return Ok(offers);
    }
    let keys = products.iter().map(|id| Key::Product(*id).attributes()).collect();
    let mut wanted = KeysAndAttributes::builder()
        .set_keys(Some(keys))
        .projection_expression("pk, price, stock_shards")
        .consistent_read(true)
        .build()
        .map_err(|error| Error::Internal(error.to_string()))?;
    let mut backoff = Backoff::new();
    loop {
        let output = table
            .client
            .batch_get_item()
            .request_items(&table.name, wanted)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(fault)?;
        for item in output.responses.unwrap_or_default().into_values().flatten() {
            let row: OfferRow = from_item(item)?;
            if let (Some(id), Some(price)) = (Key::product_of(&row.pk), Money::from_minor(row.price)) {
                offers.insert(id, Offer { price, shard: fastrand::u32(0..row.stock_shards.unwrap_or(1).max(1)) });
            }
        }
        match output.unprocessed_keys.unwrap_or_default().remove(&table.name) {
            None => return Ok(offers),
            Some(rest) if backoff.again().await => wanted = rest,
            Some(_) => return Err(Error::Contended),
        }
    }
}

/// What there is in one item of stock, be it a product's own or another shard of it.
#[derive(Deserialize)]
struct StockRow {
    sk: String,
    price: i64,
    quantity: u64,
    stock_shards: Option<u32>,
}

impl StockRow {
    /// Whether there may be pieces in other items.
    fn is_spread(&self) -> bool {
        self.stock_shards.is_some() || Key::shard_of(&self.sk).is_some()
    }
}

/// Looks through all the shards of a product for `wanted` pieces in one; gathers them in one if they are scattered.
///
/// # Errors
///
/// [`Error::OutOfStock`] if all together do not have them.
pub(super) async fn find(table: &Table, product_id: ProductId, wanted: u64) -> Result<u32> {
    let stocked = all(table, product_id).await?;
    let mut enough = stocked.iter().filter(|(_, quantity)| *quantity >= wanted);
    let count = enough.clone().count();
    if count > 0 {
        // Not the fullest, which everybody would find.
        return Ok(enough.nth(fastrand::usize(0..count)).map_or(0, |(shard, _)| *shard));
    }
    let fullest = stocked.iter().max_by_key(|(_, quantity)| *quantity).map_or(0, |(shard, _)| *shard);
    gather(table, product_id, &stocked, fullest, wanted).await?;
    Ok(fullest)
}

/// Brings what other shards have into one of them, until there are `wanted` pieces in it.
///
/// # Errors
///
/// [`Error::OutOfStock`] if all together do not have them.
pub(super) async fn bring(table: &Table, product_id: ProductId, shard: u32, wanted: u64) -> Result {
    let stocked = all(table, product_id).await?;
    gather(table, product_id, &stocked, shard, wanted).await
}

/// The pieces in each shard, as they are after every write that was answered before.
async fn all(table: &Table, product_id: ProductId) -> Result<Vec<(u32, u64)>> {
    let items = table.collection(Key::Product(product_id)).await?;
    let rows = items.into_iter().map(from_item::<StockRow>).collect::<Result<Vec<_>>>()?;
    Ok(rows.iter().map(|row| (Key::shard_of(&row.sk).unwrap_or(0), row.quantity)).collect())
}

async fn gather(table: &Table, product_id: ProductId, stocked: &[(u32, u64)], into: u32, wanted: u64) -> Result {
    let available = stocked.iter().map(|(_, quantity)| quantity).sum();
    if available < wanted {
        return Err(Error::OutOfStock { product_id, available });
    }
    let has = stocked.iter().find(|(shard, _)| *shard == into).map_or(0, |(_, quantity)| *quantity);
    let mut missing = wanted.saturating_sub(has);
    let mut others: Vec<_> = stocked.iter().filter(|(shard, quantity)| *shard != into && *quantity > 0).collect();
    others.sort_by_key(|(_, quantity)| std::cmp::Reverse(*quantity));

    let moved = Expression::exists().add("version", 1).add("quantity", signed(missing));
    let mut transaction = Transaction::new(table).update(Key::Stock(product_id, into), &moved, |_| Error::Stale);
    for (shard, quantity) in others {
        let taken = missing.min(*quantity);
        if taken == 0 {
            break;
        }
        missing -= taken;
        let less = Expression::exists().at_least("quantity", taken).add("version", 1).add("quantity", -signed(taken));
        transaction = transaction.update(Key::Stock(product_id, *shard), &less, |_| Error::Stale);
    }
    match transaction.commit().await {
        // Sold or moved by somebody else since. Whoever asked looks again.
        Err(Error::Stale) => Ok(()),
        refused_or_done => refused_or_done,
    }
}

/// The update of stock that moves.
pub(super) fn touched(now: Timestamp) -> Expression {
    Expression::exists().set("updated_at", now.millis()).add("version", 1)
}

/// From the shelf to an order.
pub(super) fn hold(quantity: u64, now: Timestamp) -> Expression {
    touched(now).at_least("quantity", quantity).add("quantity", -signed(quantity)).add("reserved", signed(quantity))
}

/// From the shelf to an order, at a price that must still be the product's.
pub(super) fn reserve(quantity: u64, price: Money, now: Timestamp) -> Expression {
    hold(quantity, now).equal("price", price.minor())
}

/// From an order back to the shelf.
pub(super) fn release(quantity: u64, now: Timestamp) -> Expression {
    touched(now).at_least("reserved", quantity).add("quantity", signed(quantity)).add("reserved", -signed(quantity))
}

/// From an order out of the shop.
pub(super) fn ship(quantity: u64, now: Timestamp) -> Expression {
    touched(now).at_least("reserved", quantity).add("reserved", -signed(quantity))
}

/// From outside back to the shelf.
pub(super) fn restock(quantity: u64, now: Timestamp) -> Expression {
    touched(now).add("quantity", signed(quantity))
}

/// [`Error::Elsewhere`] if other shards may have what this one has not.
pub(super) fn why_not_held(old: Option<Item>, product_id: ProductId, wanted: u64) -> Error {
    match old.map(from_item::<StockRow>) {
        Some(Ok(row)) if row.quantity < wanted => missing(&row, product_id, wanted),
        None | Some(Ok(_)) => broken(),
        Some(Err(error)) => error,
    }
}

/// [`Error::Elsewhere`] if other shards may have what this one has not.
pub(super) fn why_not_reserved(old: Option<Item>, product_id: ProductId, wanted: u64, price: Money, pointer: String) -> Error {
    let row = match old.map(from_item::<StockRow>) {
        None => return Error::UnknownProduct(unknown(pointer)),
        Some(Err(error)) => return error,
        Some(Ok(row)) => row,
    };
    match Money::from_minor(row.price) {
        _ if row.quantity < wanted => missing(&row, product_id, wanted),
        Some(new) if new != price => Error::PriceChanged { product_id, price: new },
        Some(_) => Error::Internal("a product was not reserved for no reason".into()),
        None => Error::Internal(format!("{}: the stored price breaks its rules", row.sk)),
    }
}

fn missing(row: &StockRow, product_id: ProductId, wanted: u64) -> Error {
    if row.is_spread() {
        Error::Elsewhere { product_id, wanted }
    } else {
        Error::OutOfStock { product_id, available: row.quantity }
    }
}

pub(super) fn unknown(pointer: String) -> Vec<Fault> {
    vec![Fault::new(pointer, "is no product of this shop")]
}

pub(super) fn broken() -> Error {
    Error::Internal("a product does not hold the stock of an order's line".into())
}

fn signed(quantity: u64) -> i64 {
    i64::try_from(quantity).unwrap_or(i64::MAX)
}
