//! Products and their names.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};

use super::{
    Idempotency, Table,
    expression::Expression,
    key::{GSI1, Item, Key, PRODUCTS},
    stock::{self, Shard},
    table::{Write, from_item, require_version},
    transaction::Transaction,
};
use crate::{
    Error, Result,
    aws::fault,
    domain::{
        Description, Folded, Money, NamePrefix, Product, ProductChange, ProductId, ProductName, Stock, StockShards, Timestamp,
    },
};

/// How often a rename or delete starts over because somebody else renamed the product in between.
const ATTEMPTS: u32 = 5;

/// A product as it is stored. Its id is in the key, its folded name in the index.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Row {
    pk: String,
    gsi1pk: String,
    gsi1sk: String,
    name: String,
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

/// What a product's name item holds.
#[derive(Serialize)]
struct NameRow {
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
            gsi1pk: PRODUCTS.to_owned(),
            gsi1sk: product.name.folded().to_string(),
            name: product.name.as_str().to_owned(),
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
    for item in table.collection(Key::Product(id)).await? {
        let sk = item.get("sk").and_then(|sk| sk.as_s().ok()).map_or("", String::as_str);
        if sk.starts_with(Key::STOCK_PREFIX) {
            shards.push(from_item(item)?);
        } else {
            row = Some(from_item(item)?);
        }
    }
    Ok(Stored { row: row.ok_or(Error::NotFound("product"))?, shards })
}

/// Reads up to `limit` products in the order of their folded names, starting after a position, and the position to go on
/// from if there are more.
pub async fn list(table: &Table, prefix: &NamePrefix, limit: u16, after: Option<&str>) -> Result<(Vec<Product>, Option<String>)> {
    let limit = usize::from(limit);
    let prefix = prefix.as_str();
    let mut request = table
        .client
        .query()
        .table_name(&table.name)
        .index_name(GSI1)
        .key_condition_expression("gsi1pk = :products")
        .expression_attribute_values(":products", AttributeValue::S(PRODUCTS.into()))
        // One more than asked for tells whether there is a next page, so that no page is empty.
        .limit(i32::try_from(limit + 1).unwrap_or(i32::MAX))
        .return_consumed_capacity(ReturnConsumedCapacity::Total);
    if !prefix.is_empty() {
        request = request
            .key_condition_expression("gsi1pk = :products AND begins_with(gsi1sk, :prefix)")
            .expression_attribute_values(":prefix", AttributeValue::S(prefix.into()));
    }
    if let Some(position) = after {
        request = request.set_exclusive_start_key(Some(start_key(position, prefix)?));
    }

    let output = request.send().await.map_err(fault)?;
    let cut = output.last_evaluated_key.is_some();
    let mut rows: Vec<Row> = output.items.unwrap_or_default().into_iter().map(from_item).collect::<Result<_>>()?;
    let more = cut || rows.len() > limit;
    rows.truncate(limit);
    let products = try_join_all(rows.into_iter().map(|row| with_shards(table, row))).await?;
    let next = products.last().filter(|_| more).map(position);
    Ok((products, next))
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
    key.insert("gsi1pk".into(), AttributeValue::S(PRODUCTS.into()));
    key.insert("gsi1sk".into(), AttributeValue::S(folded.into()));
    Ok(key)
}

/// Adds a product and takes its name, or does neither.
pub async fn create(table: &Table, product: &Product, idempotency: Option<&Idempotency>) -> Result {
    let name = product.name.folded();
    let mut transaction = Transaction::new(table)
        .once(idempotency)
        .insert(Key::ProductName(&name), &owned_by(product.product_id), |_| Error::NameTaken)
        .insert(Key::Product(product.product_id), &Row::from(product), |_| {
            Error::Internal("a new product has the id of another".into())
        });
    for number in 1..product.stock_shards.get() {
        let key = Key::Stock(product.product_id, number);
        let quantity = product.stock_shards.share(product.quantity.get(), number);
        let shard = new_shard(key, product.price.minor(), quantity, product.created_at);
        transaction = transaction.insert(key, &shard, |_| Error::Internal("a new product has the id of another".into()));
    }
    transaction.commit().await
}

fn new_shard(key: Key<'_>, price: i64, quantity: u64, now: Timestamp) -> Shard {
    Shard { sk: key.sk(), price, quantity, reserved: 0, version: 0, updated_at: now.millis() }
}

/// Changes a product. `if_match`: only if it has one of these versions.
///
/// One call, unless the name changes: then the refused first call brings the product as it is, and a transaction moves the name.
/// And unless its stock is spread, or is going to be.
pub async fn update(
    table: &Table,
    id: ProductId,
    change: &ProductChange,
    if_match: Option<&[u64]>,
    now: Timestamp,
) -> Result<Product> {
    if change.stock_shards.is_some_and(|shards| !shards.is_one()) {
        return update_spread(table, id, change, if_match, now).await;
    }
    let name = change.name.as_ref().map(ProductName::folded);
    for _ in 0..ATTEMPTS {
        let mut expression = changed(change, if_match, now).lacks("stock_shards");
        if let Some(name) = &name {
            expression = expression.equal("gsi1sk", name.as_str());
        }
        let found: Row = match table.update(Key::Product(id), &expression).await? {
            Write::Done(row) => return Stored::from(row).try_into(),
            Write::Refused(None) => return Err(Error::NotFound("product")),
            Write::Refused(Some(found)) => found,
        };
        if found.stock_shards.is_some() {
            return update_spread(table, id, change, if_match, now).await;
        }
        // The answer to an earlier attempt of this very write may have been lost.
        if is_outcome_of(&found, change, if_match, now) {
            return Stored::from(found).try_into();
        }
        require_version(if_match, found.version)?;
        let Some(name) = &name else {
            return Err(Error::Internal("a product was not updated for no reason".into()));
        };

        match rename(table, id, &found, name, change, if_match, now).await {
            Err(Error::Stale) if if_match.is_none() => {} // Renamed by somebody else since; look again.
            refused_or_done => return refused_or_done,
        }
    }
    Err(Error::Contended)
}

/// Moves a product to another name, with the rest of the change. [`Error::Stale`] if it is not as found any more.
async fn rename(
    table: &Table,
    id: ProductId,
    found: &Row,
    name: &Folded,
    change: &ProductChange,
    if_match: Option<&[u64]>,
    now: Timestamp,
) -> Result<Product> {
    let before = Folded::new(&found.name);
    let expression =
        changed(change, if_match, now).set("gsi1sk", name.as_str()).equal("version", found.version).lacks("stock_shards");
    let transaction = Transaction::new(table)
        .update(Key::Product(id), &expression, |old| if old.is_some() { Error::Stale } else { Error::NotFound("product") })
        .insert(Key::ProductName(name), &owned_by(id), |_| Error::NameTaken);
    free_name(transaction, id, &before).commit().await?;

    // The version was pinned, so that what was found and what was changed is all there is.
    let product = Row { version: found.version + 1, ..with(found, change, now) };
    Stored::from(product).try_into()
}

/// Changes a product whose stock is spread over several items, or is going to be.
///
/// Sales go on meanwhile: what is moved from one shard to another is moved by differences, and only if it is still there.
async fn update_spread(
    table: &Table,
    id: ProductId,
    change: &ProductChange,
    if_match: Option<&[u64]>,
    now: Timestamp,
) -> Result<Product> {
    for _ in 0..ATTEMPTS {
        let stored = read(table, id).await?;
        require_version(if_match, stored.version())?;
        match respread(table, id, &stored, change, if_match.is_some(), now).await {
            Err(Error::Stale) => {} // Changed by somebody else since; look again.
            Ok(()) => return find(table, id).await,
            Err(refusal) => return Err(refusal),
        }
    }
    Err(Error::Contended)
}

/// [`Error::Stale`] if it is not as it was read any more. `pinned`: in every respect, its stock included.
async fn respread(table: &Table, id: ProductId, stored: &Stored, change: &ProductChange, pinned: bool, now: Timestamp) -> Result {
    let Stored { row, shards } = stored;
    let before = row.shards();
    let after = change.stock_shards.unwrap_or(before);
    // What each shard is to have, if that changes.
    let pieces = match change.quantity {
        Some(quantity) => Some(quantity.get()),
        None => (after != before).then(|| stored.quantity()),
    };
    let redistributed = |expression: Expression, number: u32, has: u64| match pieces.map(|pieces| after.share(pieces, number)) {
        Some(share) if change.quantity.is_some() => expression.set("quantity", share),
        Some(share) if share > has => expression.add("quantity", difference(share, has)),
        Some(share) if share < has => expression.at_least("quantity", has - share).add("quantity", difference(share, has)),
        _ => expression,
    };

    // The number of shards holds the list of them still, and the price what new ones are given.
    let mut own = described(stock::touched(now), change).equal("gsi1sk", row.gsi1sk.as_str());
    own = match row.stock_shards {
        Some(shards) => own.equal("stock_shards", u64::from(shards)),
        None => own.lacks("stock_shards"),
    };
    own = redistributed(own.equal("price", row.price).set("stock_shards", u64::from(after.get())), 0, row.quantity);
    if pinned {
        own = own.equal("version", row.version);
    }
    let name = change.name.as_ref().map(ProductName::folded).filter(|name| name.as_str() != row.gsi1sk);
    if let Some(name) = &name {
        own = own.set("gsi1sk", name.as_str());
    }
    let mut transaction = Transaction::new(table)
        .patient()
        .update(Key::Product(id), &own, |old| if old.is_some() { Error::Stale } else { Error::NotFound("product") });
    let old_name = Folded::new(&row.name);
    if let Some(name) = &name {
        transaction = transaction.insert(Key::ProductName(name), &owned_by(id), |_| Error::NameTaken);
        transaction = free_name(transaction, id, &old_name);
    }
    for shard in shards {
        let number = shard.number()?;
        let mut expression = stock::touched(now);
        if let Some(price) = change.price {
            expression = expression.set("price", price.minor());
        }
        expression = redistributed(expression, number, shard.quantity);
        if pinned {
            expression = expression.equal("version", shard.version);
        }
        // One that stays as it is need not be in the way of the sales from it.
        if pinned || change.price.is_some() || pieces.is_some() {
            transaction = transaction.update(Key::Stock(id, number), &expression, |_| Error::Stale);
        }
    }
    let price = change.price.map_or(row.price, Money::minor);
    let known = u32::try_from(shards.len()).unwrap_or(u32::MAX).saturating_add(1);
    for number in known..after.get() {
        let key = Key::Stock(id, number);
        let quantity = pieces.map_or(0, |pieces| after.share(pieces, number));
        transaction = transaction.insert(key, &new_shard(key, price, quantity, now), |_| Error::Stale);
    }
    transaction.commit().await
}

fn difference(after: u64, before: u64) -> i64 {
    let signed = |pieces| i64::try_from(pieces).unwrap_or(i64::MAX);
    signed(after) - signed(before)
}

/// Deletes a product that no order holds, and frees its name. `if_match`: only if it has one of these versions.
pub async fn delete(table: &Table, id: ProductId, if_match: Option<&[u64]>) -> Result {
    for _ in 0..ATTEMPTS {
        let stored = read(table, id).await?;
        require_version(if_match, stored.version())?;
        if stored.reserved() > 0 {
            return Err(Error::ProductInUse { reserved: stored.reserved() });
        }
        let Stored { row, shards } = stored;
        let name = Folded::new(&row.name);
        // No write has touched it since: then nothing is reserved, and there is no other shard.
        let unchanged = |version: u64| Expression::exists().equal("version", version);
        let transaction = Transaction::new(table).delete(Key::Product(id), &unchanged(row.version), |_| Error::Stale);
        let mut transaction = free_name(transaction, id, &name);
        for shard in &shards {
            transaction = transaction.delete(Key::Stock(id, shard.number()?), &unchanged(shard.version), |_| Error::Stale);
        }
        match transaction.commit().await {
            Err(Error::Stale) => {} // Changed by somebody else since; look again.
            refused_or_done => return refused_or_done,
        }
    }
    Err(Error::Contended)
}

/// The update that makes `change`, and the condition that the product is one that the caller means.
fn changed(change: &ProductChange, if_match: Option<&[u64]>, now: Timestamp) -> Expression {
    let mut expression = Expression::exists().set("updated_at", now.millis()).add("version", 1);
    if let Some(versions) = if_match {
        expression = expression.one_of("version", versions.iter().copied());
    }
    expression = described(expression, change);
    if let Some(quantity) = change.quantity {
        expression = expression.set("quantity", quantity.get());
    }
    expression
}

/// The part of `change` that is about the product, and not about its stock.
fn described(mut expression: Expression, change: &ProductChange) -> Expression {
    if let Some(name) = &change.name {
        expression = expression.set("name", name.as_str());
    }
    expression = match change.description.as_ref().map(Description::as_deref) {
        Some(Some(text)) => expression.set("description", text),
        Some(None) => expression.remove("description"),
        None => expression,
    };
    if let Some(price) = change.price {
        expression = expression.set("price", price.minor());
    }
    expression
}

/// `row` with the change made, its version untouched.
fn with(row: &Row, change: &ProductChange, now: Timestamp) -> Row {
    let name = change.name.as_ref().map_or(row.name.as_str(), ProductName::as_str);
    Row {
        pk: row.pk.clone(),
        gsi1pk: row.gsi1pk.clone(),
        gsi1sk: Folded::new(name).to_string(),
        name: name.to_owned(),
        description: match &change.description {
            Some(description) => description.as_deref().map(str::to_owned),
            None => row.description.clone(),
        },
        price: change.price.map_or(row.price, Money::minor),
        quantity: change.quantity.map_or(row.quantity, Stock::get),
        reserved: row.reserved,
        stock_shards: row.stock_shards,
        version: row.version,
        created_at: row.created_at,
        updated_at: now.millis(),
    }
}

/// Whether the product is what this change makes of one of the versions it may be made to.
fn is_outcome_of(row: &Row, change: &ProductChange, if_match: Option<&[u64]>, now: Timestamp) -> bool {
    let follows = |versions: &[u64]| versions.iter().any(|version| version + 1 == row.version);
    row.updated_at == now.millis() && if_match.is_some_and(follows) && *row == with(row, change, now)
}

/// Gives up a product's name.
fn free_name<'a>(transaction: Transaction<'a>, id: ProductId, name: &Folded) -> Transaction<'a> {
    transaction.delete(Key::ProductName(name), &Expression::exists().equal("product_id", id.to_string()), |_| {
        Error::Internal("a product does not own its name".into())
    })
}

fn owned_by(id: ProductId) -> NameRow {
    NameRow { product_id: id.to_string() }
}
