//! Movements of stock: pieces that come in or go out otherwise than by an order, each written down with what it did.

use futures_util::future::try_join;
use serde::{Deserialize, Serialize};

use super::{
    expression::Expression,
    idempotency::{Idempotency, Idempotent, unless_repeated},
    key::{Item, Key},
    query::Query,
    retry::{Backoff, Round, until_done_with},
    stock::{self, Shard, StockRow, moving, signed, touched},
    table::{Table, from_item},
    transaction::{Cancellation, Outcome, Transaction},
};
use crate::{
    Error, Result,
    domain::{Books, Movement, MovementId, MovementKind, ProductId, Refusal, Resource, Stock, StockShards, Timestamp, UserId},
    fault::Fault,
};

/// A movement as it is stored. Its id is in the key.
#[derive(Debug, Serialize, Deserialize)]
struct Row {
    pk: String,
    sk: String,
    kind: MovementKind,
    amount: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    by: UserId,
    /// Milliseconds since the epoch.
    created_at: i64,
}

impl From<&Movement> for Row {
    fn from(movement: &Movement) -> Self {
        let key = Key::Movement(movement.product_id, movement.movement_id);
        Self {
            pk: key.pk(),
            sk: key.sk(),
            kind: movement.kind,
            amount: movement.amount,
            reason: movement.reason.clone(),
            by: movement.by,
            created_at: movement.created_at.millis(),
        }
    }
}

impl TryFrom<Row> for Movement {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let broken = || Error::Internal(format!("{} {}: a stored movement has no id", row.pk, row.sk));
        Ok(Self {
            movement_id: row.sk.parse().map_err(|_| broken())?,
            product_id: Key::product_of_movements(&row.pk).ok_or_else(broken)?,
            kind: row.kind,
            amount: row.amount,
            reason: row.reason,
            by: row.by,
            created_at: Timestamp::from_millis(row.created_at),
        })
    }
}

/// A movement as an item that was read.
pub(super) fn from_stored(item: Item) -> Result<Movement> {
    from_item::<Row>(item)?.try_into()
}

/// Writes a movement down, in the transaction that carries it out.
pub(super) fn insert<'a>(transaction: Transaction<'a>, movement: &Movement) -> Transaction<'a> {
    let key = Key::Movement(movement.product_id, movement.movement_id);
    // The id is as new as the request: see `orders::place`.
    transaction.insert(key, &Row::from(movement), |_| Error::Contended)
}

/// Carries a movement out and writes it down, or does neither.
pub async fn carry_out(
    table: &Table,
    movement: Movement,
    idempotency: Option<&Idempotency<'_, Movement>>,
) -> Result<Idempotent<Movement>> {
    unless_repeated(table, idempotency, try_to_carry_out(table, movement, idempotency).await).await
}

async fn try_to_carry_out(
    table: &Table,
    movement: Movement,
    idempotency: Option<&Idempotency<'_, Movement>>,
) -> Result<Idempotent<Movement>> {
    let Movement { product_id, amount, created_at: now, .. } = movement;
    // Most stock lies in one shard, and then nothing has to be read.
    let mut shares: Option<Shares> = None;
    until_done_with(Backoff::steady(), async |backoff| {
        let mut transaction = Transaction::new(table).idempotent(idempotency, &movement)?;
        match &shares {
            None => {
                let alone = within_bounds(touched(now).lacks("stock_shards"), amount);
                let moved = moving(alone, amount);
                transaction = transaction.update(Key::Stock(product_id, 0), &moved, |old| why_not_moved(old, product_id, amount));
            }
            Some(shares) => {
                for (shard, share) in shares {
                    let moved = moving(within_bounds(touched(now), *share), *share);
                    transaction = transaction.update(Key::Stock(product_id, *shard), &moved, |_| Cancellation::Changed);
                }
            }
        }
        match insert(transaction, &movement).attempt(backoff).await? {
            Outcome::Done => Ok(Round::Done(Idempotent::Done(movement.clone()))),
            Outcome::Cancelled(conditions) => match conditions.into_iter().next() {
                Some(Cancellation::Repeated(response)) => Ok(Round::Done(Idempotent::Repeated(response))),
                Some(Cancellation::Refused(error)) => Err(error),
                _ => {
                    shares = Some(spread(table, product_id, amount).await?);
                    Ok(Round::Changed)
                }
            },
        }
    })
    .await
}

/// How many pieces come to which shard, or leave it.
type Shares = Vec<(u32, i64)>;

/// How a movement of a product whose stock is spread is spread: what comes goes to all shards that are sold from, and what leaves is
/// taken from as few as have it.
async fn spread(table: &Table, product_id: ProductId, amount: i64) -> Result<Shares> {
    let pieces = amount.unsigned_abs();
    if amount < 0 {
        let on_shelf = stock::on_shelf(table, product_id, pieces).await?;
        let available = on_shelf.values().sum();
        if on_shelf.is_empty() {
            return Err(Refusal::NotFound(Resource::Product).into());
        }
        if available < pieces {
            return Err(Refusal::OutOfStock { product_id, available }.into());
        }
        return Ok(stock::taken(on_shelf, pieces).into_iter().map(|(shard, taken)| (shard, -signed(taken))).collect());
    }
    let shards = table.query(stock::shards_of(product_id)).await?.items;
    let shards = shards.into_iter().map(from_item::<Shard>).collect::<Result<Vec<_>>>()?;
    let first = shards.first().ok_or(Refusal::NotFound(Resource::Product))?;
    if shards.iter().map(|shard| shard.quantity).sum::<u64>() + pieces > Stock::MAX {
        return Err(too_many().into());
    }
    let sold_from = first.stock_shards.and_then(StockShards::new).unwrap_or_default();
    let shares = (0..sold_from.get()).map(|shard| (shard, signed(sold_from.share(pieces, shard))));
    Ok(shares.filter(|(_, share)| *share > 0).collect())
}

/// A shard has as many as leave it, and never more than a product may have.
fn within_bounds(expression: Expression, amount: i64) -> Expression {
    let pieces = amount.unsigned_abs();
    if amount < 0 { expression.at_least("quantity", pieces) } else { expression.below("quantity", Stock::MAX - pieces + 1) }
}

/// Why the first shard did not take a movement alone.
fn why_not_moved(old: Option<Item>, product_id: ProductId, amount: i64) -> Cancellation {
    match old.map(from_item::<StockRow>) {
        None => Refusal::NotFound(Resource::Product).into(),
        Some(Err(error)) => error.into(),
        Some(Ok(row)) if row.is_spread() => Cancellation::Changed,
        Some(Ok(row)) if amount < 0 => Refusal::OutOfStock { product_id, available: row.quantity }.into(),
        Some(Ok(_)) => too_many().into(),
    }
}

fn too_many() -> Refusal {
    Fault::new("/amount", format!("must not bring the quantity above {}", Stock::MAX)).into()
}

/// Reads up to `limit` movements of a product, newest first, those older than `before`; and the last one if there are more.
pub async fn list(
    table: &Table,
    product_id: ProductId,
    limit: u16,
    before: Option<&str>,
) -> Result<(Vec<Movement>, Option<String>)> {
    let limit = usize::from(limit);
    let before: Option<MovementId> = before.map(|id| id.parse().map_err(|_| Error::InvalidCursor)).transpose()?;
    let mut query = Query::of_movements(product_id).descending().limit(limit + 1);
    if let Some(id) = before {
        query = query.before(id.to_string());
    }
    // They stay when their product goes.
    let (product, found) = try_join(table.read::<StockRow>(Key::Stock(product_id, 0)), table.query(query)).await?;
    product.ok_or(Refusal::NotFound(Resource::Product))?;
    let mut movements = found.items.into_iter().map(from_stored).collect::<Result<Vec<_>>>()?;
    let more = movements.len() > limit;
    movements.truncate(limit);
    let next = movements.last().filter(|_| more).map(|last| last.movement_id.to_string());
    Ok((movements, next))
}

/// Reads where the pieces of a product are.
pub async fn books(table: &Table, product_id: ProductId) -> Result<Books> {
    let shards = table.query(stock::shards_of(product_id)).await?.items;
    let shards = shards.into_iter().map(stock::pieces).collect::<Result<Vec<_>>>()?;
    if shards.is_empty() {
        return Err(Refusal::NotFound(Resource::Product).into());
    }
    Ok(Books::new(product_id, shards))
}
