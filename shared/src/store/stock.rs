//! The stock of a product: in the product's own item, or spread over several, so that many may take from it at one instant.
//!
//! One transaction at a time can have an item in its hands; another that wants it is refused. So a product that hundreds buy at
//! once has its pieces in `stock_shards` items of its collection, each with a copy of the price. The product's own item is shard
//! 0. A sale takes from one shard and its line remembers which; what is on the shelf is the sum of all. No item of stock ever
//! goes below zero, and none is deleted while its product exists: one that is not used any more may still hold what lines have
//! reserved.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use super::{
    expression::Expression,
    key::{Item, Key},
    query::Query,
    retry::Backoff,
    table::{Table, from_item},
    transaction::{Cancellation, Transaction},
};
use crate::{
    Error, Result,
    domain::{Money, Offer, ProductId, Refusal, Timestamp},
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
    let shards = Query::of(Key::Product(product_id)).beginning_with(Key::STOCK_PREFIX).eventually();
    table.query(shards).await?.items.into_iter().map(from_item).collect()
}

/// What a sale needs to know of a product.
#[derive(Deserialize)]
struct OfferRow {
    pk: String,
    price: i64,
    stock_shards: Option<u32>,
}

/// The attributes of [`OfferRow`].
pub(super) const OFFER: [&str; 3] = ["pk", "price", "stock_shards"];

/// Reads the prices of products, each with a shard to take from; those that there are not are left out.
pub(super) async fn offers(table: &Table, products: &BTreeSet<ProductId>) -> Result<BTreeMap<ProductId, Offer>> {
    if products.is_empty() {
        return Ok(BTreeMap::new());
    }
    let items = table.batch_get(products.iter().map(|id| Key::Product(*id)), &OFFER).await?;
    items.into_iter().map(offer).collect()
}

/// A product's price, and one of its shards at random.
pub(super) fn offer(item: Item) -> Result<(ProductId, Offer)> {
    let row: OfferRow = from_item(item)?;
    let broken = |what: &str| Error::Internal(format!("{}: the stored {what} breaks its rules", row.pk));
    let id = Key::product_of(&row.pk).ok_or_else(|| broken("id"))?;
    let price = Money::from_minor(row.price).ok_or_else(|| broken("price"))?;
    Ok((id, Offer { price, shard: fastrand::u32(0..row.stock_shards.unwrap_or(1).max(1)) }))
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

/// Pieces of a product that are to be in one shard.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub product_id: ProductId,
    pub pieces: u64,
    /// The shard that they must be in; any will do if it is `None`.
    pub shard: Option<u32>,
}

/// How many products are looked at side by side: each is a connection of its own.
const SIDE_BY_SIDE: usize = 8;

/// Products, what is wanted of them, and where they have it.
pub(super) struct Survey(Vec<(Wanted, Pieces)>);

impl Survey {
    /// Looks at all shards of these products.
    ///
    /// # Errors
    ///
    /// [`Refusal::OutOfStock`] for the first of which all shards together have too few.
    pub async fn of(table: &Table, wanted: Vec<Wanted>) -> Result<Self> {
        let read = wanted.iter().map(|wanted| pieces(table, wanted.product_id));
        let read: Vec<Pieces> = stream::iter(read).buffered(SIDE_BY_SIDE).try_collect().await?;
        let seen: Vec<_> = wanted.into_iter().zip(read).collect();
        for (Wanted { product_id, pieces: wanted, .. }, pieces) in &seen {
            let available = pieces.values().sum();
            if available < *wanted {
                return Err(Refusal::OutOfStock { product_id: *product_id, available }.into());
            }
        }
        Ok(Self(seen))
    }

    /// Tells for each product from where to take the wanted pieces. Others may be faster: whoever asked tries, and looks again if
    /// it must.
    ///
    /// `room` is the number of moves that the caller's transaction can take along. What does not fit is moved before, in
    /// transactions of their own, and changes nothing that a client can see.
    pub async fn sources(self, table: &Table, mut room: usize) -> Result<Vec<(ProductId, Source)>> {
        let mut sources = Vec::new();
        let mut before = Vec::new();
        for (wanted, pieces) in self.0 {
            let shard = wanted.shard.unwrap_or_else(|| pick_shard(&pieces, wanted.pieces));
            let moved = missing(&pieces, shard, wanted.pieces);
            let product_id = wanted.product_id;
            if let Some(rest) = room.checked_sub(moved.len()) {
                room = rest;
                sources.push((product_id, Source { shard, moved }));
            } else {
                before.push(consolidate(table, product_id, shard, moved));
                sources.push((product_id, Source { shard, moved: Moved::new() }));
            }
        }
        stream::iter(before).buffered(SIDE_BY_SIDE).try_collect::<()>().await?;
        Ok(sources)
    }
}

/// How many pieces are moved from which other shards.
pub(super) type Moved = Vec<(u32, u64)>;

/// The shard that pieces are sold from, and those that are moved there from others to be sold with them.
#[derive(Debug, Clone, Default)]
pub(super) struct Source {
    pub shard: u32,
    pub moved: Moved,
}

impl Source {
    /// Pieces that are moved here.
    fn more(&self) -> u64 {
        total(&self.moved)
    }

    /// How many of these pieces the shard must have by itself.
    fn here(&self, quantity: u64) -> u64 {
        quantity.saturating_sub(self.more())
    }
}

fn total(moved: &Moved) -> u64 {
    moved.iter().map(|(_, pieces)| pieces).sum()
}

/// The pieces in each shard of a product.
type Pieces = BTreeMap<u32, u64>;

/// The pieces in each shard, as they are after every write that was answered before.
async fn pieces(table: &Table, product_id: ProductId) -> Result<Pieces> {
    let items = table.query(Query::of(Key::Product(product_id))).await?.items;
    let rows = items.into_iter().map(from_item::<StockRow>).collect::<Result<Vec<_>>>()?;
    Ok(rows.iter().map(|row| (Key::shard_of(&row.sk).unwrap_or(0), row.quantity)).collect())
}

/// A shard that has the wanted pieces, or else one that misses the fewest: one of them at random, so that those who look at the
/// same time do not all find the same.
fn pick_shard(pieces: &Pieces, wanted: u64) -> u32 {
    let most = pieces.values().copied().max().unwrap_or_default().min(wanted);
    let best: Vec<_> = pieces.iter().filter(|(_, pieces)| **pieces >= most).map(|(shard, _)| *shard).collect();
    fastrand::choice(best).unwrap_or_default()
}

/// What has to come from other shards so that one has the wanted pieces.
fn missing(pieces: &Pieces, into: u32, wanted: u64) -> Moved {
    let mut missing = wanted.saturating_sub(pieces.get(&into).copied().unwrap_or_default());
    let mut others: Vec<_> = pieces.iter().filter(|(shard, pieces)| **shard != into && **pieces > 0).collect();
    // The fullest first, to disturb as few as possible; among equals at random, to disturb different ones each time.
    fastrand::shuffle(&mut others);
    others.sort_by_key(|(_, pieces)| std::cmp::Reverse(**pieces));
    let mut moved = Moved::new();
    for (shard, pieces) in others {
        if missing == 0 {
            break;
        }
        let taken = missing.min(*pieces);
        missing -= taken;
        moved.push((*shard, taken));
    }
    moved
}

/// Moves pieces into one shard. One attempt, which others may foil.
async fn consolidate(table: &Table, product_id: ProductId, into: u32, moved: Moved) -> Result {
    // Neither a version nor a time: for whoever looks at the product, nothing has changed.
    let more = Expression::exists().add("quantity", signed(total(&moved)));
    let transaction = Transaction::new(table).update(Key::Stock(product_id, into), &more, |_| Cancellation::Changed);
    match take_from(transaction, product_id, &moved, 0).attempt(&mut Backoff::none()).await {
        Ok(_) | Err(Error::Contended) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Takes pieces from shards, to be added to another. `wanted`: for what, if one of them has fewer by now.
fn take_from<'a>(mut transaction: Transaction<'a>, product_id: ProductId, moved: &Moved, wanted: u64) -> Transaction<'a> {
    for (shard, pieces) in moved {
        let less = Expression::default().at_least("quantity", *pieces).add("quantity", -signed(*pieces));
        let depleted = move |_| Cancellation::ShardDepleted { product_id, wanted };
        transaction = transaction.update(Key::Stock(product_id, *shard), &less, depleted);
    }
    transaction
}

/// Moves pieces from the shelf to an order, at a price that must still be the product's.
pub(super) fn reserve_at_price<'a>(
    transaction: Transaction<'a>,
    product_id: ProductId,
    source: &Source,
    quantity: u64,
    price: Money,
    now: Timestamp,
    pointer: String,
) -> Transaction<'a> {
    let here = source.here(quantity);
    let key = Key::Stock(product_id, source.shard);
    let reserved = hold(quantity, source, now).equal("price", price.minor());
    let transaction =
        transaction.update(key, &reserved, move |old| why_not_reserved(old, product_id, quantity, here, price, pointer));
    take_from(transaction, product_id, &source.moved, quantity)
}

/// Moves pieces from the shelf to a line that has its price already.
pub(super) fn reserve<'a>(
    transaction: Transaction<'a>,
    product_id: ProductId,
    source: &Source,
    quantity: u64,
    now: Timestamp,
) -> Transaction<'a> {
    let here = source.here(quantity);
    let key = Key::Stock(product_id, source.shard);
    let transaction =
        transaction.update(key, &hold(quantity, source, now), move |old| why_not_held(old, product_id, quantity, here));
    take_from(transaction, product_id, &source.moved, quantity)
}

/// The update of stock that moves. The condition on what there is of it, which each move adds, is one on its existence too.
pub(super) fn touched(now: Timestamp) -> Expression {
    Expression::default().set("updated_at", now.millis()).add("version", 1)
}

/// From the shelf to an order, while the rest is moved here from other shards.
fn hold(quantity: u64, source: &Source, now: Timestamp) -> Expression {
    let left = signed(source.more()) - signed(quantity);
    touched(now).at_least("quantity", source.here(quantity)).add("quantity", left).add("reserved", signed(quantity))
}

/// From an order back to the shelf.
pub(super) fn release(quantity: u64, now: Timestamp) -> Expression {
    touched(now).at_least("reserved", quantity).add("quantity", signed(quantity)).add("reserved", -signed(quantity))
}

/// From an order out of the shop.
pub(super) fn ship(quantity: u64, now: Timestamp) -> Expression {
    touched(now).at_least("reserved", quantity).add("reserved", -signed(quantity))
}

/// From outside back to the shelf, where there is one.
pub(super) fn restock(quantity: u64, now: Timestamp) -> Expression {
    touched(now).existing().add("quantity", signed(quantity))
}

/// Why pieces were not held, of which so many were to be `here`.
fn why_not_held(old: Option<Item>, product_id: ProductId, wanted: u64, here: u64) -> Cancellation {
    match old.map(from_item::<StockRow>) {
        Some(Ok(row)) if row.quantity < here => too_few(&row, product_id, wanted),
        None | Some(Ok(_)) => broken().into(),
        Some(Err(error)) => error.into(),
    }
}

/// Why pieces were not reserved, of which so many were to be `here`.
fn why_not_reserved(
    old: Option<Item>,
    product_id: ProductId,
    wanted: u64,
    here: u64,
    price: Money,
    pointer: String,
) -> Cancellation {
    let row = match old.map(from_item::<StockRow>) {
        None => return Refusal::unknown_products([pointer]).into(),
        Some(Err(error)) => return error.into(),
        Some(Ok(row)) => row,
    };
    match Money::from_minor(row.price) {
        _ if row.quantity < here => too_few(&row, product_id, wanted),
        Some(new) if new != price => Cancellation::PriceChanged { product_id, price: new },
        Some(_) => Error::Internal("a product was not reserved for no reason".into()).into(),
        None => Error::Internal(format!("{}: the stored price breaks its rules", row.sk)).into(),
    }
}

fn too_few(row: &StockRow, product_id: ProductId, wanted: u64) -> Cancellation {
    if row.is_spread() {
        Cancellation::ShardDepleted { product_id, wanted }
    } else {
        Refusal::OutOfStock { product_id, available: row.quantity }.into()
    }
}

pub(super) fn broken() -> Error {
    Error::Internal("a product does not hold the stock of an order's line".into())
}

fn signed(quantity: u64) -> i64 {
    i64::try_from(quantity).unwrap_or(i64::MAX)
}
