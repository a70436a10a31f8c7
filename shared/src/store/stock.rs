//! The stock of a product: in one item, or spread over several, so that many may take from it at one instant.
//!
//! One transaction at a time can have an item in its hands; another that wants it is refused. So a product that hundreds buy at
//! once has its pieces in several shards, each an item of its collection with a copy of the price: a sale needs no other item of the
//! product, and costs the same however long its description is. A sale takes from one shard and its line remembers which; what is on
//! the shelf is the sum of all. The first shard says how many there are.
//!
//! In every shard, `received = quantity + reserved + shipped`: pieces that move from shard to shard take what was received with them.
//! None of the four ever goes below zero. No shard is deleted while its product exists: one that is not used any more may still hold
//! what lines have reserved, and takes back what was shipped from it.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use super::{
    expression::Expression,
    key::{Item, Key},
    query::Query,
    retry::Backoff,
    schema,
    table::{Table, from_item},
    transaction::{Cancellation, Transaction},
};
use crate::{
    Error, Result,
    domain::{Folded, Money, Offer, Pieces, ProductId, Refusal, ShardPieces, StockShards, Timestamp},
};

/// A shard of a product's stock as readers see it, of the table or of the index. Its number is in the key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Shard {
    pub pk: String,
    pub sk: String,
    pub quantity: u64,
    pub reserved: u64,
    /// In the first shard: how many of them sales take from. Left out while there is no other, and never was.
    pub stock_shards: Option<u32>,
    /// In the first shard, and left out with `stock_shards`: how many there are, which only grows. Whoever writes to all of them makes
    /// sure that it is as it was read: a query that meets a new shard as it comes may not see it.
    pub shards: Option<u32>,
    pub version: u64,
    /// Milliseconds since the epoch.
    pub updated_at: i64,
}

/// Whether these, in the order of their numbers, are all shards that there were when the first of them was read.
pub(super) fn are_all(shards: &[Shard]) -> bool {
    shards.first().is_some_and(|first| first.shards.unwrap_or(1) as usize == shards.len())
}

impl Shard {
    pub fn number(&self) -> Result<u32> {
        number(&self.sk)
    }
}

fn number(sk: &str) -> Result<u32> {
    Key::shard_of(sk).ok_or_else(|| Error::Internal(format!("{sk}: a stored shard has no number")))
}

/// A shard that is new.
#[derive(Debug, Serialize)]
pub(super) struct NewShard {
    gsi1pk: &'static str,
    gsi1sk: String,
    price: i64,
    quantity: u64,
    reserved: u64,
    shipped: u64,
    received: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    stock_shards: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shards: Option<u32>,
    version: u64,
    updated_at: i64,
}

impl NewShard {
    /// `shards`: how many there are, for the first of more than one.
    pub fn new(number: u32, name: &Folded, price: Money, quantity: u64, shards: Option<StockShards>, now: Timestamp) -> Self {
        Self {
            gsi1pk: Key::STOCKS,
            gsi1sk: gsi1sk(name, number),
            price: price.minor(),
            quantity,
            reserved: 0,
            shipped: 0,
            received: quantity,
            stock_shards: shards.map(StockShards::get),
            shards: shards.map(StockShards::get),
            version: 0,
            updated_at: now.millis(),
        }
    }

    /// As readers see it once it is there.
    pub fn shown(self, key: Key<'_>) -> Shard {
        let Self { quantity, reserved, stock_shards, shards, version, updated_at, .. } = self;
        Shard { pk: key.pk(), sk: key.sk(), quantity, reserved, stock_shards, shards, version, updated_at }
    }
}

pub(super) fn gsi1sk(name: &Folded, shard: u32) -> String {
    schema::stock_gsi1sk(name.as_str(), shard.into())
}

/// Question for the shards of a product.
pub(super) fn shards_of(product_id: ProductId) -> Query {
    Query::of(Key::Product(product_id)).beginning_with(Key::STOCK_PREFIX)
}

/// A shard with all of its pieces.
#[derive(Deserialize)]
struct BooksRow {
    sk: String,
    received: u64,
    quantity: u64,
    reserved: u64,
    shipped: u64,
}

/// The pieces of a shard.
pub(super) fn pieces(shard: Item) -> Result<ShardPieces> {
    let BooksRow { sk, received, quantity, reserved, shipped } = from_item(shard)?;
    Ok(ShardPieces { shard: number(&sk)?, pieces: Pieces { received, quantity, reserved, shipped } })
}

/// What a sale needs to know of a product, from its first shard.
#[derive(Deserialize)]
struct OfferRow {
    pk: String,
    price: i64,
    stock_shards: Option<u32>,
}

/// Reads the prices of products, each with a shard to take from; those that there are not are left out.
pub(super) async fn offers(table: &Table, products: &BTreeSet<ProductId>) -> Result<BTreeMap<ProductId, Offer>> {
    if products.is_empty() {
        return Ok(BTreeMap::new());
    }
    let items = table.batch_get(products.iter().map(|id| Key::Stock(*id, 0))).await?;
    items.into_iter().map(offer).collect()
}

/// A product's price, and one of its shards at random.
pub(super) fn offer(first_shard: Item) -> Result<(ProductId, Offer)> {
    let row: OfferRow = from_item(first_shard)?;
    let broken = |what: &str| Error::Internal(format!("{}: the stored {what} breaks its rules", row.pk));
    let id = Key::product_of(&row.pk).ok_or_else(|| broken("id"))?;
    let price = Money::from_minor(row.price).ok_or_else(|| broken("price"))?;
    Ok((id, Offer { price, shard: fastrand::u32(0..row.stock_shards.unwrap_or(1).max(1)) }))
}

/// What there is in one shard.
#[derive(Deserialize)]
pub(super) struct StockRow {
    pub sk: String,
    pub price: i64,
    pub quantity: u64,
    stock_shards: Option<u32>,
}

impl StockRow {
    /// Whether there may be pieces in other shards.
    pub fn is_spread(&self) -> bool {
        self.stock_shards.is_some() || Key::shard_of(&self.sk) != Some(0)
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
pub(super) struct Survey(Vec<(Wanted, OnShelf)>);

impl Survey {
    /// Looks at all shards of these products.
    ///
    /// # Errors
    ///
    /// [`Refusal::OutOfStock`] for the first of which all shards together have too few.
    pub async fn of(table: &Table, wanted: Vec<Wanted>) -> Result<Self> {
        let read = wanted.iter().map(|wanted| on_shelf(table, wanted.product_id, wanted.pieces));
        let read: Vec<OnShelf> = stream::iter(read).buffered(SIDE_BY_SIDE).try_collect().await?;
        let seen: Vec<_> = wanted.into_iter().zip(read).collect();
        for (Wanted { product_id, pieces: wanted, .. }, on_shelf) in &seen {
            let available = on_shelf.values().sum();
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
        for (wanted, on_shelf) in self.0 {
            let shard = wanted.shard.unwrap_or_else(|| pick_shard(&on_shelf, wanted.pieces));
            let moved = missing(&on_shelf, shard, wanted.pieces);
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

/// The pieces in each shard of a product that can be sold.
pub(super) type OnShelf = BTreeMap<u32, u64>;

/// The pieces in each shard that can be sold. If they are fewer than `wanted`, they were so together at one instant: a query may see
/// pieces that move from shard to shard in neither of the two.
pub(super) async fn on_shelf(table: &Table, product_id: ProductId, wanted: u64) -> Result<OnShelf> {
    let read = |items: Vec<Item>| items.into_iter().map(from_item::<Shard>).collect::<Result<Vec<_>>>();
    let mut shards = read(table.query(shards_of(product_id)).await?.items)?;
    let mut at_one_instant = shards.len() < 2;
    while let Some(first) = shards.first() {
        let enough = shards.iter().map(|shard| shard.quantity).sum::<u64>() >= wanted;
        if enough || at_one_instant && are_all(&shards) {
            break;
        }
        let keys = (0..first.shards.unwrap_or(1)).map(|shard| Key::Stock(product_id, shard));
        shards = read(table.snapshot(keys).await?)?;
        at_one_instant = true;
    }
    shards.iter().map(|shard| Ok((shard.number()?, shard.quantity))).collect()
}

/// A shard that has the wanted pieces, or else one that misses the fewest: one of them at random, so that those who look at the
/// same time do not all find the same.
fn pick_shard(pieces: &OnShelf, wanted: u64) -> u32 {
    let most = pieces.values().copied().max().unwrap_or_default().min(wanted);
    let best: Vec<_> = pieces.iter().filter(|(_, pieces)| **pieces >= most).map(|(shard, _)| *shard).collect();
    fastrand::choice(best).unwrap_or_default()
}

/// What has to come from other shards so that one has the wanted pieces.
fn missing(pieces: &OnShelf, into: u32, wanted: u64) -> Moved {
    let others = pieces.iter().filter(|(shard, _)| **shard != into).map(|(shard, pieces)| (*shard, *pieces));
    taken(others, wanted.saturating_sub(pieces.get(&into).copied().unwrap_or_default()))
}

/// From which shards so many pieces are taken; fewer if there are not as many.
pub(super) fn taken(shards: impl IntoIterator<Item = (u32, u64)>, mut missing: u64) -> Moved {
    let mut others: Vec<_> = shards.into_iter().filter(|(_, pieces)| *pieces > 0).collect();
    // The fullest first, to disturb as few as possible; among equals at random, to disturb different ones each time.
    fastrand::shuffle(&mut others);
    others.sort_by_key(|(_, pieces)| std::cmp::Reverse(*pieces));
    let mut moved = Moved::new();
    for (shard, pieces) in others {
        if missing == 0 {
            break;
        }
        let taken = missing.min(pieces);
        missing -= taken;
        moved.push((shard, taken));
    }
    moved
}

/// Moves pieces into one shard. One attempt, which others may foil.
async fn consolidate(table: &Table, product_id: ProductId, into: u32, moved: Moved) -> Result {
    // Neither a version nor a time: for whoever looks at the product, nothing has changed.
    let more = moving(Expression::exists(), signed(total(&moved)));
    let transaction = Transaction::new(table).update(Key::Stock(product_id, into), &more, |_| Cancellation::Changed);
    match take_from(transaction, product_id, &moved, 0).attempt(&mut Backoff::none()).await {
        Ok(_) | Err(Error::Contended) => Ok(()),
        Err(error) => Err(error),
    }
}

/// More pieces on the shelf of a shard, or fewer, that it counts as received.
pub(super) fn moving(expression: Expression, pieces: i64) -> Expression {
    expression.add("quantity", pieces).add("received", pieces)
}

/// Takes pieces from shards, to be added to another. `wanted`: for what, if one of them has fewer by now.
fn take_from<'a>(mut transaction: Transaction<'a>, product_id: ProductId, moved: &Moved, wanted: u64) -> Transaction<'a> {
    for (shard, pieces) in moved {
        let less = moving(Expression::default().at_least("quantity", *pieces), -signed(*pieces));
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
    let more = signed(source.more());
    let held = touched(now)
        .at_least("quantity", source.here(quantity))
        .add("quantity", more - signed(quantity))
        .add("reserved", signed(quantity));
    if more == 0 { held } else { held.add("received", more) }
}

/// From an order back to the shelf.
pub(super) fn release(quantity: u64, now: Timestamp) -> Expression {
    touched(now).at_least("reserved", quantity).add("quantity", signed(quantity)).add("reserved", -signed(quantity))
}

/// From an order out of the shop.
pub(super) fn ship(quantity: u64, now: Timestamp) -> Expression {
    touched(now).at_least("reserved", quantity).add("reserved", -signed(quantity)).add("shipped", signed(quantity))
}

/// From outside back to the shelf.
pub(super) fn restock(quantity: u64, now: Timestamp) -> Expression {
    touched(now).at_least("shipped", quantity).add("shipped", -signed(quantity)).add("quantity", signed(quantity))
}

/// Why pieces did not come back to the shelf: there is none any more.
pub(super) fn why_not_restocked(old: Option<Item>) -> Cancellation {
    if old.is_none() { Cancellation::Changed } else { broken().into() }
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

pub(super) fn signed(quantity: u64) -> i64 {
    i64::try_from(quantity).unwrap_or(i64::MAX)
}
