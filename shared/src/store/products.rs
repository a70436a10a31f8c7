//! Products: what is said of them, their names, and lists of them with what there is of each.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::{try_join, try_join_all};
use serde::{Deserialize, Serialize};

use super::{
    expression::Expression,
    idempotency::{Idempotency, Idempotent},
    key::{GSI1, Item, Key},
    movements,
    query::{Found, Query},
    retry::{Backoff, Round, until_done_with},
    schema,
    stock::{self, NewShard, Shard, moving, signed, touched},
    table::{Table, from_item, require_version},
    transaction::{Cancellation, Transaction},
};
use crate::{
    Error, Result,
    domain::{
        Description, Folded, Money, Movement, MovementId, MovementKind, NamePrefix, Product, ProductChange, ProductId,
        ProductName, ProductVersion, Refusal, Resource, Sku, Stock, StockLevel, StockShards, Timestamp, UserId,
    },
};

/// A product as it is stored. Its id is in the key, its folded name in the index, and how much there is of it in other items.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Row {
    pk: String,
    gsi1pk: String,
    gsi1sk: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sku: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Minor units.
    price: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    low_stock_at: Option<u64>,
    version: u64,
    /// Milliseconds since the epoch, as is `updated_at`.
    created_at: i64,
    updated_at: i64,
}

/// What the item of a product's name or SKU holds.
#[derive(Serialize)]
struct OwnerRow {
    product_id: String,
}

impl From<&Product> for Row {
    fn from(product: &Product) -> Self {
        Self {
            pk: Key::Product(product.product_id).pk(),
            gsi1pk: Key::CATALOGUE.to_owned(),
            gsi1sk: product.name.folded().to_string(),
            name: product.name.as_str().to_owned(),
            sku: product.sku.as_deref().map(str::to_owned),
            description: product.description.as_deref().map(str::to_owned),
            price: product.price.minor(),
            low_stock_at: product.low_stock_at.get(),
            version: product.version.edits,
            created_at: product.created_at.millis(),
            updated_at: product.updated_at.millis(),
        }
    }
}

/// A product with all shards of its stock, in the order of their numbers.
#[derive(Debug)]
struct Stored {
    row: Row,
    shards: Vec<Shard>,
}

impl Stored {
    /// What is on the shelf, in all shards together.
    fn quantity(&self) -> u64 {
        self.shards.iter().map(|shard| shard.quantity).sum()
    }

    fn reserved(&self) -> u64 {
        self.shards.iter().map(|shard| shard.reserved).sum()
    }

    /// Grows with every write to any of the items, none of which is ever deleted alone.
    fn version(&self) -> ProductVersion {
        ProductVersion { edits: self.row.version, stock: self.shards.iter().map(|shard| shard.version).sum() }
    }

    /// How many shards sales take from, if there is another than the first or ever was.
    fn sold_from(&self) -> Option<StockShards> {
        StockShards::new(self.shards.first()?.stock_shards?)
    }
}

impl TryFrom<Stored> for Product {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self> {
        let row = &stored.row;
        let broken = |what: &str| Error::Internal(format!("{}: the stored {what} breaks its rules", row.pk));
        let updated_at = stored.shards.iter().map(|shard| shard.updated_at).fold(row.updated_at, i64::max);
        Ok(Self {
            product_id: row.id()?,
            name: ProductName::stored(row.name.clone()),
            sku: Sku::stored(row.sku.clone()),
            description: Description::stored(row.description.clone()),
            price: Money::from_minor(row.price).ok_or_else(|| broken("price"))?,
            quantity: Stock::stored(stored.quantity()),
            reserved: stored.reserved(),
            low_stock_at: StockLevel::stored(row.low_stock_at),
            stock_shards: stored.sold_from().unwrap_or_default(),
            created_at: Timestamp::from_millis(row.created_at),
            updated_at: Timestamp::from_millis(updated_at),
            version: stored.version(),
        })
    }
}

/// What the item of a product says, without what there is of it: none and nothing reserved.
pub(super) fn without_stock(item: Item) -> Result<Product> {
    Stored { row: from_item(item)?, shards: Vec::new() }.try_into()
}

/// Reads one product.
pub async fn find(table: &Table, id: ProductId) -> Result<Product> {
    read(table, id).await?.try_into()
}

async fn read(table: &Table, id: ProductId) -> Result<Stored> {
    let (mut row, mut shards) = (None, Vec::new());
    for item in table.query(Query::of(Key::Product(id))).await?.items {
        if Key::sk_of(&item).starts_with(Key::STOCK_PREFIX) {
            shards.push(from_item(item)?);
        } else {
            row = Some(from_item(item)?);
        }
    }
    // A query that meets a product as it comes or goes may see some of its items: as long as one is missing, so is the product.
    let row = row.filter(|_| !shards.is_empty()).ok_or(Refusal::NotFound(Resource::Product))?;
    Ok(Stored { row, shards })
}

/// Reads up to `limit` products in the order of their folded names, starting after a position, and the position to go on
/// from if there are more.
pub async fn list(table: &Table, prefix: &NamePrefix, limit: u16, after: Option<&str>) -> Result<(Vec<Product>, Option<String>)> {
    let limit = usize::from(limit);
    let prefix = prefix.as_str();
    let position = after.map(|position| Position::parse(position, prefix)).transpose()?;
    let collection = |name: &'static str| {
        let query = Query::of_index(GSI1, name);
        if prefix.is_empty() { query } else { query.beginning_with(prefix) }
    };
    // One more than asked for tells whether there is a next page, so that no page is empty. Stock is in the same order, and most of it
    // in one shard for each product.
    let products = collection(Key::CATALOGUE).after(position.as_ref().map(Position::product)).limit(limit + 1);
    let shards = collection(Key::STOCKS).after(position.as_ref().map(Position::stock)).limit(limit);
    let (found, seen) = try_join(table.query(products), table.query(shards)).await?;
    let mut rows: Vec<Row> = found.items.into_iter().map(from_item).collect::<Result<_>>()?;
    let more = found.last.is_some() || rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(Position::at).transpose()?;
    Ok((with_stock(table, rows, seen).await?, next))
}

/// Where a walk through the catalogue stands: at the last product that was shown.
struct Position {
    id: ProductId,
    folded_name: String,
}

impl Position {
    /// How a cursor has it.
    fn at(row: &Row) -> Result<String> {
        Ok(format!("{} {}", row.id()?, row.gsi1sk))
    }

    /// Clients can make positions up, and DynamoDB refuses those outside of what is asked for.
    fn parse(text: &str, prefix: &str) -> Result<Self> {
        let (id, folded) = text.split_once(' ').ok_or(Error::InvalidCursor)?;
        let id = id.parse().map_err(|_| Error::InvalidCursor)?;
        if folded.is_empty() || folded.len() > Folded::MAX_BYTES || !folded.starts_with(prefix) {
            return Err(Error::InvalidCursor);
        }
        Ok(Self { id, folded_name: folded.to_owned() })
    }

    /// Its key in the collection of products.
    fn product(&self) -> Item {
        Self::key(Key::Product(self.id), Key::CATALOGUE, self.folded_name.clone())
    }

    /// The last key that its stock can have in the collection of stock.
    fn stock(&self) -> Item {
        let last = StockShards::MAX;
        Self::key(Key::Stock(self.id, last), Key::STOCKS, schema::stock_gsi1sk(&self.folded_name, last.into()))
    }

    fn key(key: Key<'_>, collection: &str, sort: String) -> Item {
        let mut attributes = key.attributes();
        attributes.insert("gsi1pk".into(), AttributeValue::S(collection.to_owned()));
        attributes.insert("gsi1sk".into(), AttributeValue::S(sort));
        attributes
    }
}

/// The shards of products by their `pk`, by number.
type Stocks = BTreeMap<String, BTreeMap<u32, Shard>>;

/// The products of a page with their stock, of which `seen` is the beginning in the index.
async fn with_stock(table: &Table, rows: Vec<Row>, seen: Found) -> Result<Vec<Product>> {
    let mut stocks = Stocks::new();
    let reached = seen.last.as_ref().and_then(|key| key.get("gsi1sk")?.as_s().ok()).cloned();
    collect(&mut stocks, seen.items)?;
    if let (Some(reached), Some(last)) = (reached, rows.last())
        && let Some(first) = rows.iter().find(|row| !row.is_in(&stocks, &reached))
    {
        // Where stock is spread, there is more of it than of products: all the rest at once.
        let rest = || Query::of_index(GSI1, Key::STOCKS).between(first.first_stock(), last.behind_stock());
        table.query_all(rest, |items| collect(&mut stocks, items)).await?;
    }
    // What the index does not have yet, the table has, unless it is gone again.
    let missing = rows.iter().filter(|row| !stocks.contains_key(&row.pk)).map(Row::id).collect::<Result<Vec<_>>>()?;
    for items in try_join_all(missing.into_iter().map(|id| table.query(stock::shards_of(id)))).await? {
        collect(&mut stocks, items.items)?;
    }
    let products = rows.into_iter().filter_map(|row| {
        let shards = stocks.remove(&row.pk)?.into_values().collect();
        Some(Stored { row, shards }.try_into())
    });
    products.collect()
}

fn collect(stocks: &mut Stocks, items: Vec<Item>) -> Result {
    for item in items {
        let shard: Shard = from_item(item)?;
        stocks.entry(shard.pk.clone()).or_default().insert(shard.number()?, shard);
    }
    Ok(())
}

impl Row {
    fn id(&self) -> Result<ProductId> {
        Key::product_of(&self.pk).ok_or_else(|| Error::Internal(format!("{}: the stored id breaks its rules", self.pk)))
    }

    fn first_stock(&self) -> String {
        schema::stock_gsi1sk(&self.gsi1sk, 0)
    }

    /// What sorts after all of its stock, and before that of every other product.
    fn behind_stock(&self) -> String {
        format!("{}\n", self.gsi1sk)
    }

    /// Whether all of its stock is among what was found until the collection was `reached`.
    fn is_in(&self, stocks: &Stocks, reached: &str) -> bool {
        let first = || stocks.get(&self.pk).and_then(|shards| shards.get(&0));
        reached > self.behind_stock().as_str() || first().is_some_and(|shard| shard.stock_shards.is_none())
    }
}

/// Adds a product with its stock and takes its name and SKU, or does none of it. `by`: the admin, with an id for the movement that it
/// begins with.
pub async fn create(
    table: &Table,
    product: Product,
    by: (UserId, MovementId),
    idempotency: Option<&Idempotency<'_, Product>>,
) -> Result<Idempotent<Product>> {
    let (id, name, shards) = (product.product_id, product.name.folded(), product.stock_shards);
    let exists = |_| Error::Internal("a new product has the id of another".into());
    let mut transaction =
        Transaction::new(table)
            .idempotent(idempotency, &product)?
            .insert(Key::ProductName(&name), &owned_by(id), |_| Error::NameTaken);
    let sku = product.sku.folded();
    if let Some(sku) = &sku {
        transaction = transaction.insert(Key::ProductSku(sku), &owned_by(id), |_| Error::SkuTaken);
    }
    transaction = transaction.insert(Key::Product(id), &Row::from(&product), exists);
    for number in 0..shards.get() {
        let spread = (number == 0 && !shards.is_one()).then_some(shards);
        let quantity = shards.share(product.quantity.get(), number);
        let shard = NewShard::new(number, &name, product.price, quantity, spread, product.created_at);
        transaction = transaction.insert(Key::Stock(id, number), &shard, exists);
    }
    let (by, movement_id) = by;
    if let Some(movement) = Movement::initial(movement_id, &product, by) {
        transaction = movements::insert(transaction, &movement);
    }
    transaction.commit_idempotent(product).await
}

/// Changes a product, and answers what was written. `if_match`: only if it has one of these versions; a change that does not say how
/// many pieces there are needs only the first part of one to be as it is, however much is sold meanwhile. `by`: the admin, with an
/// id for the movement that a new quantity makes.
pub async fn update(
    table: &Table,
    id: ProductId,
    change: &ProductChange,
    if_match: Option<&[ProductVersion]>,
    by: (UserId, MovementId),
    now: Timestamp,
) -> Result<Product> {
    let changed = until_done_with(Backoff::steady(), async |backoff| {
        let stored = read(table, id).await?;
        if !stock::are_all(&stored.shards) {
            return Ok(Round::Changed);
        }
        let version = stored.version();
        match (change.quantity, if_match) {
            (None, Some(versions)) => {
                let edits: Vec<_> = versions.iter().map(|version| version.edits).collect();
                require_version(Some(&edits), &version.edits)?;
            }
            (_, versions) => require_version(versions, &version)?,
        }
        let (transaction, changed) = changed(table, id, stored, change, if_match.is_some(), by, now)?;
        Ok(transaction.attempt(backoff).await?.into_round()?.map(|()| changed))
    });
    changed.await?.try_into()
}
/// The transaction that makes a change, and the product after it. `pinned`: nothing that the caller has seen may be different.
///
/// Sales from shards that stay as they are go on meanwhile. Pieces move between shards by differences, and only if they are still
/// there, so that together they stay as many as they were.
fn changed<'a>(
    table: &'a Table,
    id: ProductId,
    mut stored: Stored,
    change: &ProductChange,
    pinned: bool,
    (by, movement_id): (UserId, MovementId),
    now: Timestamp,
) -> Result<(Transaction<'a>, Stored)> {
    let (before, old_name) = (stored.quantity(), stored.row.gsi1sk.clone());
    let known = u32::try_from(stored.shards.len()).unwrap_or(u32::MAX);
    let sold_from = change.stock_shards.or(stored.sold_from()).unwrap_or_default();
    let pieces = change.quantity.map(Stock::get).or(change.stock_shards.map(|_| before));
    let Stored { row, shards } = &mut stored;

    let mut transaction = Transaction::new(table);
    if change.is_edit() {
        transaction = edit(transaction, id, row, change, now);
    } else if pinned {
        let unchanged = Expression::default().equal("version", row.version);
        transaction = transaction.check(Key::Product(id), &unchanged, |_| Cancellation::Changed);
    }
    let name = Folded::new(&row.name);
    let renamed = name.as_str() != old_name;
    for shard in shards.iter_mut() {
        let number = shard.number()?;
        let share = pieces.map_or(shard.quantity, |pieces| sold_from.share(pieces, number));
        let difference = signed(share) - signed(shard.quantity);
        let mut expression = match change.quantity {
            // A count is of all shards at one instant, and is answered with what they hold then: pieces that are moved together change
            // no version, and those that are shipped no quantity.
            Some(_) => touched(now).equal("quantity", shard.quantity).equal("version", shard.version),
            None if difference < 0 => Expression::default().at_least("quantity", difference.unsigned_abs()),
            None => Expression::exists(),
        };
        if change.quantity.is_some() {
            shard.version += 1;
            shard.updated_at = now.millis();
        }
        if difference != 0 {
            expression = moving(expression, difference);
            shard.quantity = share;
        }
        if let Some(price) = change.price {
            expression = expression.set("price", price.minor());
        }
        if renamed {
            expression = expression.set("gsi1sk", stock::gsi1sk(&name, number));
        }
        // Once there is another shard, it may hold pieces for ever: then the numbers are said even if one is sold from.
        if number == 0 && change.stock_shards.is_some() && (shard.stock_shards.is_some() || !sold_from.is_one()) {
            let there = sold_from.get().max(known);
            expression = expression.set("stock_shards", u64::from(sold_from.get())).set("shards", u64::from(there));
            shard.stock_shards = Some(sold_from.get());
        }
        if number == 0 {
            expression = expression.unchanged("shards", shard.shards);
        }
        if expression.changes() {
            transaction = transaction.update(Key::Stock(id, number), &expression, |_| Cancellation::Changed);
        }
    }
    let price =
        Money::from_minor(row.price).ok_or_else(|| Error::Internal(format!("{}: the stored price breaks its rules", row.pk)))?;
    for number in known..sold_from.get() {
        let quantity = sold_from.share(pieces.unwrap_or_default(), number);
        let new = NewShard::new(number, &name, price, quantity, None, now);
        transaction = transaction.insert(Key::Stock(id, number), &new, |_| Cancellation::Changed);
        shards.push(new.shown(Key::Stock(id, number)));
    }
    if let Some(amount) = change.quantity.map(|counted| signed(counted.get()) - signed(before)).filter(|amount| *amount != 0) {
        let kind = MovementKind::Counted;
        let movement = Movement { movement_id, product_id: id, kind, amount, reason: None, by, created_at: now };
        transaction = movements::insert(transaction, &movement);
    }
    Ok((transaction, stored))
}

/// Changes what is said of a product, under its version, and with it the items of its name and its SKU.
fn edit<'a>(
    mut transaction: Transaction<'a>,
    id: ProductId,
    row: &mut Row,
    change: &ProductChange,
    now: Timestamp,
) -> Transaction<'a> {
    let mut own = touched(now).equal("version", row.version);
    row.version += 1;
    row.updated_at = now.millis();
    let (old_name, old_sku) = (Folded::new(&row.name), row.sku.as_deref().map(Folded::new));
    if let Some(name) = &change.name {
        let folded = name.folded();
        own = own.set("name", name.as_str()).set("gsi1sk", folded.as_str());
        name.as_str().clone_into(&mut row.name);
        row.gsi1sk = folded.to_string();
    }
    if let Some(sku) = &change.sku {
        own = own.set_or_remove("sku", sku.as_deref());
        row.sku = sku.as_deref().map(str::to_owned);
    }
    if let Some(description) = &change.description {
        own = own.set_or_remove("description", description.as_deref());
        row.description = description.as_deref().map(str::to_owned);
    }
    if let Some(price) = change.price {
        own = own.set("price", price.minor());
        row.price = price.minor();
    }
    if let Some(level) = change.low_stock_at {
        own = own.set_or_remove("low_stock_at", level.get());
        row.low_stock_at = level.get();
    }
    transaction = transaction.update(Key::Product(id), &own, |_| Cancellation::Changed);
    let (new_name, new_sku) = (Folded::new(&row.name), row.sku.as_deref().map(Folded::new));
    if new_name != old_name {
        transaction = transaction.insert(Key::ProductName(&new_name), &owned_by(id), |_| Error::NameTaken);
        transaction = free(transaction, id, Key::ProductName(&old_name));
    }
    if new_sku != old_sku {
        if let Some(sku) = &new_sku {
            transaction = transaction.insert(Key::ProductSku(sku), &owned_by(id), |_| Error::SkuTaken);
        }
        if let Some(sku) = &old_sku {
            transaction = free(transaction, id, Key::ProductSku(sku));
        }
    }
    transaction
}

/// Deletes a product that no order holds, and frees its name and SKU. `if_match`: only if it has one of these versions.
pub async fn delete(table: &Table, id: ProductId, if_match: Option<&[ProductVersion]>) -> Result {
    until_done_with(Backoff::steady(), async |backoff| {
        let stored = read(table, id).await?;
        if !stock::are_all(&stored.shards) {
            return Ok(Round::Changed);
        }
        require_version(if_match, &stored.version())?;
        Product::require_deletable(stored.reserved())?;
        let Stored { row, shards } = stored;
        // Its version holds its names still.
        let unchanged = Expression::default().equal("version", row.version);
        let transaction = Transaction::new(table).delete(Key::Product(id), &unchanged, |_| Cancellation::Changed);
        let mut transaction = free(transaction, id, Key::ProductName(&Folded::new(&row.name)));
        if let Some(sku) = row.sku.as_deref().map(Folded::new) {
            transaction = free(transaction, id, Key::ProductSku(&sku));
        }
        for shard in &shards {
            let mut unused = Expression::default().equal("reserved", 0_u64).unchanged("shards", shard.shards);
            if if_match.is_some() {
                unused = unused.equal("version", shard.version);
            }
            transaction = transaction.delete(Key::Stock(id, shard.number()?), &unused, |_| Cancellation::Changed);
        }
        transaction.attempt(backoff).await?.into_round()
    })
    .await
}

/// Gives up a product's name or SKU.
fn free<'a>(transaction: Transaction<'a>, id: ProductId, key: Key<'_>) -> Transaction<'a> {
    let owned = Expression::default().equal("product_id", id.to_string());
    transaction.delete(key, &owned, |_| Error::Internal("a product does not own its name or SKU".into()))
}

fn owned_by(id: ProductId) -> OwnerRow {
    OwnerRow { product_id: id.to_string() }
}
