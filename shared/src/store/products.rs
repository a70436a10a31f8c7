//! Products and their names.

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};

use super::{
    expression::Expression,
    idempotency::{Idempotency, Idempotent},
    key::{GSI1, Item, Key},
    query::Query,
    retry::until_done,
    stock::{self, Shard},
    table::{Table, from_item, require_version},
    transaction::{Cancellation, Transaction},
};
use crate::{
    Error, Result,
    domain::{
        Description, Folded, Money, NamePrefix, Product, ProductChange, ProductId, ProductName, Refusal, Resource, Sku, Stock,
        StockShards, Timestamp,
    },
};

/// Products on one page of the list whose stock is spread: each costs a call of its own.
const MAX_SPREAD: usize = 10;

/// A product as it is stored. Its id is in the key, its folded name in the index.
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
    quantity: u64,
    reserved: u64,
    /// Left out while the product's own item has all of its stock, and always has had.
    #[serde(skip_serializing_if = "Option::is_none")]
    stock_shards: Option<u32>,
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

impl Row {
    fn shards(&self) -> StockShards {
        self.stock_shards.and_then(StockShards::new).unwrap_or_default()
    }
}

impl From<&Product> for Row {
    fn from(product: &Product) -> Self {
        let shards = product.stock_shards;
        Self {
            pk: Key::Product(product.product_id).pk(),
            gsi1pk: Key::CATALOGUE.to_owned(),
            gsi1sk: product.name.folded().to_string(),
            name: product.name.as_str().to_owned(),
            sku: product.sku.as_deref().map(str::to_owned),
            description: product.description.as_deref().map(str::to_owned),
            price: product.price.minor(),
            quantity: shards.share(product.quantity.get(), 0),
            reserved: product.reserved,
            stock_shards: (!shards.is_one()).then_some(shards.get()),
            version: product.version,
            created_at: product.created_at.millis(),
            updated_at: product.updated_at.millis(),
        }
    }
}

/// A product with all the items that its stock is in.
#[derive(Debug)]
struct Stored {
    row: Row,
    shards: Vec<Shard>,
}

impl Stored {
    /// What is on the shelf, in all shards together.
    fn quantity(&self) -> u64 {
        self.row.quantity + self.shards.iter().map(|shard| shard.quantity).sum::<u64>()
    }

    fn reserved(&self) -> u64 {
        self.row.reserved + self.shards.iter().map(|shard| shard.reserved).sum::<u64>()
    }

    /// Grows with every write to any of the items, none of which is ever deleted alone.
    fn version(&self) -> u64 {
        self.row.version + self.shards.iter().map(|shard| shard.version).sum::<u64>()
    }
}

impl From<Row> for Stored {
    fn from(row: Row) -> Self {
        Self { row, shards: Vec::new() }
    }
}

impl TryFrom<Stored> for Product {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self> {
        let row = &stored.row;
        let broken = |what: &str| Error::Internal(format!("{}: the stored {what} breaks its rules", row.pk));
        let updated_at = stored.shards.iter().map(|shard| shard.updated_at).fold(row.updated_at, i64::max);
        Ok(Self {
            product_id: Key::product_of(&row.pk).ok_or_else(|| broken("id"))?,
            name: ProductName::stored(row.name.clone()),
            sku: Sku::stored(row.sku.clone()),
            description: Description::stored(row.description.clone()),
            price: Money::from_minor(row.price).ok_or_else(|| broken("price"))?,
            quantity: Stock::stored(stored.quantity()),
            reserved: stored.reserved(),
            stock_shards: row.shards(),
            created_at: Timestamp::from_millis(row.created_at),
            updated_at: Timestamp::from_millis(updated_at),
            version: stored.version(),
        })
    }
}

/// Reads one product.
pub async fn find(table: &Table, id: ProductId) -> Result<Product> {
    read(table, id).await?.try_into()
}

async fn read(table: &Table, id: ProductId) -> Result<Stored> {
    let (mut row, mut shards) = (None, Vec::new());
    for item in table.query(Query::of(Key::Product(id))).await?.items {
        let sk = Key::sk_of(&item);
        if sk.starts_with(Key::STOCK_PREFIX) {
            shards.push(from_item(item)?);
        } else {
            row = Some(from_item(item)?);
        }
    }
    Ok(Stored { row: row.ok_or(Refusal::NotFound(Resource::Product))?, shards })
}

/// Reads up to `limit` products in the order of their folded names, starting after a position, and the position to go on
/// from if there are more.
pub async fn list(table: &Table, prefix: &NamePrefix, limit: u16, after: Option<&str>) -> Result<(Vec<Product>, Option<String>)> {
    let limit = usize::from(limit);
    let prefix = prefix.as_str();
    let start = after.map(|position| start_key(position, prefix)).transpose()?;
    // One more than asked for tells whether there is a next page, so that no page is empty.
    let mut query = Query::of_index(GSI1, Key::CATALOGUE).after(start).limit(limit + 1);
    if !prefix.is_empty() {
        query = query.beginning_with(prefix);
    }
    let found = table.query(query).await?;
    let cut = found.last.is_some();
    let mut rows: Vec<Row> = found.items.into_iter().map(from_item).collect::<Result<_>>()?;
    let more = cut || rows.len() > limit;
    rows.truncate(limit);
    let before = rows.len();
    cut_after_spread(&mut rows);
    let more = more || rows.len() < before;
    let products = try_join_all(rows.into_iter().map(|row| with_shards(table, row))).await?;
    let next = products.last().filter(|_| more).map(position);
    Ok((products, next))
}

/// Ends a page after the last product that may still be asked for: no request makes a hundred calls.
fn cut_after_spread(rows: &mut Vec<Row>) {
    let spread = rows.iter().enumerate().filter(|(_, row)| row.stock_shards.is_some());
    if let Some((last, _)) = spread.take(MAX_SPREAD + 1).nth(MAX_SPREAD) {
        rows.truncate(last);
    }
}

/// A product from the index, which has its own item alone: what is in other shards is asked for.
async fn with_shards(table: &Table, row: Row) -> Result<Product> {
    let shards = match (row.stock_shards, Key::product_of(&row.pk)) {
        (Some(_), Some(id)) => stock::shards(table, id).await?,
        _ => Vec::new(),
    };
    Stored { row, shards }.try_into()
}

/// Where a walk through the catalogue stands when this product was the last.
fn position(last: &Product) -> String {
    format!("{} {}", last.product_id, last.name.folded())
}

/// The key that a position stands for. Clients can make positions up, and DynamoDB refuses those outside of what is asked for.
fn start_key(position: &str, prefix: &str) -> Result<Item> {
    let (id, folded) = position.split_once(' ').ok_or(Error::InvalidCursor)?;
    let id: ProductId = id.parse().map_err(|_| Error::InvalidCursor)?;
    if folded.is_empty() || folded.len() > Folded::MAX_BYTES || !folded.starts_with(prefix) {
        return Err(Error::InvalidCursor);
    }
    let mut key = Key::Product(id).attributes();
    key.insert("gsi1pk".into(), AttributeValue::S(Key::CATALOGUE.to_owned()));
    key.insert("gsi1sk".into(), AttributeValue::S(folded.into()));
    Ok(key)
}

/// Adds a product and takes its name and SKU, or does none of it.
pub async fn create(
    table: &Table,
    product: Product,
    idempotency: Option<&Idempotency<'_, Product>>,
) -> Result<Idempotent<Product>> {
    let (name, sku) = (product.name.folded(), product.sku.folded());
    let mut transaction = Transaction::new(table).idempotent(idempotency, &product)?.insert(
        Key::ProductName(&name),
        &owned_by(product.product_id),
        |_| Error::NameTaken,
    );
    if let Some(sku) = &sku {
        transaction = transaction.insert(Key::ProductSku(sku), &owned_by(product.product_id), |_| Error::SkuTaken);
    }
    transaction = transaction.insert(Key::Product(product.product_id), &Row::from(&product), |_| {
        Error::Internal("a new product has the id of another".into())
    });
    for number in 1..product.stock_shards.get() {
        let key = Key::Stock(product.product_id, number);
        let quantity = product.stock_shards.share(product.quantity.get(), number);
        let shard = new_shard(key, product.price.minor(), quantity, product.created_at);
        transaction = transaction.insert(key, &shard, |_| Error::Internal("a new product has the id of another".into()));
    }
    transaction.commit_idempotent(product).await
}

fn new_shard(key: Key<'_>, price: i64, quantity: u64, now: Timestamp) -> Shard {
    Shard { sk: key.sk(), price, quantity, reserved: 0, version: 0, updated_at: now.millis() }
}

/// Changes a product, and answers what was written. `if_match`: only if it has one of these versions.
///
/// Sales go on meanwhile from all shards but the product's own item, unless `if_match` names what they would change.
pub async fn update(
    table: &Table,
    id: ProductId,
    change: &ProductChange,
    if_match: Option<&[u64]>,
    now: Timestamp,
) -> Result<Product> {
    let changed = until_done(async |backoff| {
        let stored = read(table, id).await?;
        require_version(if_match, stored.version())?;
        let (transaction, changed) = changed(table, id, stored, change, if_match.is_some(), now)?;
        Ok(transaction.attempt(backoff).await?.into_round()?.map(|()| changed))
    });
    changed.await?.try_into()
}

/// The transaction that makes a change, and the product after it.
///
/// The version of the product's own item pins everything but what the other shards have. From those, pieces are moved by
/// differences and only if they are still there; `pinned`: their versions must be as they were read too.
fn changed<'a>(
    table: &'a Table,
    id: ProductId,
    mut stored: Stored,
    change: &ProductChange,
    pinned: bool,
    now: Timestamp,
) -> Result<(Transaction<'a>, Stored)> {
    let Stored { row, shards } = &mut stored;
    let shards_before = row.shards();
    let shards_after = change.stock_shards.unwrap_or(shards_before);
    // What all shards are to have together, if the pieces move at all.
    let pieces = match change.quantity {
        Some(quantity) => Some(quantity.get()),
        None => (shards_after != shards_before).then(|| row.quantity + shards.iter().map(|shard| shard.quantity).sum::<u64>()),
    };
    let reshard = |expression: Expression, number: u32, has: &mut u64| {
        let Some(share) = pieces.map(|pieces| shards_after.share(pieces, number)) else { return expression };
        let had = std::mem::replace(has, share);
        match difference(share, had) {
            _ if change.quantity.is_some() => expression.set("quantity", share),
            0 => expression,
            more_or_less if more_or_less > 0 => expression.add("quantity", more_or_less),
            less => expression.at_least("quantity", had - share).add("quantity", less),
        }
    };

    let mut own = stock::touched(now).equal("version", row.version);
    row.version += 1;
    row.updated_at = now.millis();
    let mut renamed = None;
    if let Some(name) = &change.name {
        own = own.set("name", name.as_str());
        let (before, after) = (Folded::new(&row.name), name.folded());
        name.as_str().clone_into(&mut row.name);
        if after != before {
            own = own.set("gsi1sk", after.as_str());
            row.gsi1sk = after.to_string();
            renamed = Some((before, after));
        }
    }
    let mut relabelled = None;
    if let Some(sku) = &change.sku {
        let (before, after) = (row.sku.as_deref().map(Folded::new), sku.folded());
        row.sku = sku.as_deref().map(str::to_owned);
        own = match sku.as_deref() {
            Some(text) => own.set("sku", text),
            None => own.remove("sku"),
        };
        relabelled = (before != after).then_some((before, after));
    }
    if let Some(description) = &change.description {
        row.description = description.as_deref().map(str::to_owned);
        own = match description.as_deref() {
            Some(text) => own.set("description", text),
            None => own.remove("description"),
        };
    }
    if let Some(price) = change.price {
        own = own.set("price", price.minor());
        row.price = price.minor();
    }
    // Once there is another shard, it may hold pieces for ever: then the number is said even if it is one.
    if row.stock_shards.is_some() || !shards_after.is_one() {
        own = own.set("stock_shards", u64::from(shards_after.get()));
        row.stock_shards = Some(shards_after.get());
    }
    own = reshard(own, 0, &mut row.quantity);
    let mut transaction = Transaction::new(table).update(Key::Product(id), &own, |_| Cancellation::Changed);
    if let Some((before, after)) = renamed {
        transaction = transaction.insert(Key::ProductName(&after), &owned_by(id), |_| Error::NameTaken);
        transaction = free(transaction, id, Key::ProductName(&before));
    }
    if let Some((before, after)) = relabelled {
        if let Some(after) = after {
            transaction = transaction.insert(Key::ProductSku(&after), &owned_by(id), |_| Error::SkuTaken);
        }
        if let Some(before) = before {
            transaction = free(transaction, id, Key::ProductSku(&before));
        }
    }

    // A shard that stays as it is need not be in the way of the sales from it.
    let touches_shards = pinned || change.price.is_some() || pieces.is_some();
    for shard in shards.iter_mut().filter(|_| touches_shards) {
        let number = shard.number()?;
        let mut expression = stock::touched(now);
        if pinned {
            expression = expression.equal("version", shard.version);
        } else {
            expression = expression.existing();
        }
        if let Some(price) = change.price {
            expression = expression.set("price", price.minor());
            shard.price = price.minor();
        }
        expression = reshard(expression, number, &mut shard.quantity);
        shard.version += 1;
        shard.updated_at = now.millis();
        transaction = transaction.update(Key::Stock(id, number), &expression, |_| Cancellation::Changed);
    }
    let known = u32::try_from(shards.len()).unwrap_or(u32::MAX).saturating_add(1);
    for number in known..shards_after.get() {
        let key = Key::Stock(id, number);
        let shard = new_shard(key, row.price, pieces.map_or(0, |pieces| shards_after.share(pieces, number)), now);
        transaction = transaction.insert(key, &shard, |_| Cancellation::Changed);
        shards.push(shard);
    }
    Ok((transaction, stored))
}

fn difference(after: u64, before: u64) -> i64 {
    let signed = |pieces| i64::try_from(pieces).unwrap_or(i64::MAX);
    signed(after) - signed(before)
}

/// Deletes a product that no order holds, and frees its name and SKU. `if_match`: only if it has one of these versions.
pub async fn delete(table: &Table, id: ProductId, if_match: Option<&[u64]>) -> Result {
    until_done(async |backoff| {
        let stored = read(table, id).await?;
        require_version(if_match, stored.version())?;
        Product::require_deletable(stored.reserved())?;
        let Stored { row, shards } = stored;
        let name = Folded::new(&row.name);
        // No write has touched it since: then nothing is reserved, and there is no other shard.
        let unchanged = |version: u64| Expression::default().equal("version", version);
        let transaction = Transaction::new(table).delete(Key::Product(id), &unchanged(row.version), |_| Cancellation::Changed);
        let mut transaction = free(transaction, id, Key::ProductName(&name));
        if let Some(sku) = row.sku.as_deref().map(Folded::new) {
            transaction = free(transaction, id, Key::ProductSku(&sku));
        }
        for shard in &shards {
            let key = Key::Stock(id, shard.number()?);
            transaction = transaction.delete(key, &unchanged(shard.version), |_| Cancellation::Changed);
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
