//! Products and their names.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, ReturnConsumedCapacity};
use serde::{Deserialize, Serialize};

use super::{
    Idempotency, Table,
    expression::Expression,
    key::{GSI1, Item, Key, PRODUCTS},
    retry::Backoff,
    table::{Write, from_item},
    transaction::Transaction,
};
use crate::{
    Error, Result,
    aws::fault,
    domain::{Description, Folded, Money, NamePrefix, Product, ProductChange, ProductId, ProductName, Stock, Timestamp},
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

impl From<&Product> for Row {
    fn from(product: &Product) -> Self {
        Self {
            pk: Key::Product(product.product_id).pk(),
            gsi1pk: PRODUCTS.to_owned(),
            gsi1sk: product.name.folded().to_string(),
            name: product.name.as_str().to_owned(),
            description: product.description.as_deref().map(str::to_owned),
            price: product.price.minor(),
            quantity: product.quantity.get(),
            reserved: product.reserved,
            version: product.version,
            created_at: product.created_at.millis(),
            updated_at: product.updated_at.millis(),
        }
    }
}

impl TryFrom<Row> for Product {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let broken = |what: &str| Error::Internal(format!("{}: the stored {what} breaks its rules", row.pk));
        Ok(Self {
            product_id: Key::product_of(&row.pk).ok_or_else(|| broken("id"))?,
            name: ProductName::parse(&row.name).map_err(|_| broken("name"))?,
            description: Description::parse(row.description.clone()).map_err(|_| broken("description"))?,
            price: Money::from_minor(row.price).ok_or_else(|| broken("price"))?,
            quantity: Stock::stored(row.quantity),
            reserved: row.reserved,
            created_at: Timestamp::from_millis(row.created_at),
            updated_at: Timestamp::from_millis(row.updated_at),
            version: row.version,
        })
    }
}

/// Reads one product.
pub async fn find(table: &Table, id: ProductId) -> Result<Product> {
    match table.read::<Row>(Key::Product(id)).await? {
        Some(row) => row.try_into(),
        None => Err(Error::NotFound("product")),
    }
}

/// What an order needs to know of a product.
#[derive(Deserialize)]
struct PriceRow {
    pk: String,
    price: i64,
}

/// Reads the prices of products; those that there are not are left out.
pub(super) async fn prices(table: &Table, products: &BTreeSet<ProductId>) -> Result<BTreeMap<ProductId, Money>> {
    let mut prices = BTreeMap::new();
    if products.is_empty() {
        return Ok(prices);
    }
    let keys = products.iter().map(|id| Key::Product(*id).attributes()).collect();
    let mut wanted = KeysAndAttributes::builder()
        .set_keys(Some(keys))
        .projection_expression("pk, price")
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
            let row: PriceRow = from_item(item)?;
            if let (Some(id), Some(price)) = (Key::product_of(&row.pk), Money::from_minor(row.price)) {
                prices.insert(id, price);
            }
        }
        match output.unprocessed_keys.unwrap_or_default().remove(&table.name) {
            None => return Ok(prices),
            Some(rest) if backoff.again().await => wanted = rest,
            Some(_) => return Err(Error::Contended),
        }
    }
}

/// What is available of a product, and its price, from an item that a failed condition has brought.
pub(super) fn stock(found: Option<Item>) -> Result<Option<(u64, Money)>> {
    let Some(row) = found.map(from_item::<Row>).transpose()? else {
        return Ok(None);
    };
    let price =
        Money::from_minor(row.price).ok_or_else(|| Error::Internal(format!("{}: the stored price breaks its rules", row.pk)))?;
    Ok(Some((row.quantity, price)))
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
    let products = rows.into_iter().map(Product::try_from).collect::<Result<Vec<_>>>()?;
    let next = products.last().filter(|_| more).map(position);
    Ok((products, next))
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
    Transaction::new(table)
        .once(idempotency)
        .insert(Key::ProductName(&name), &owned_by(product.product_id), |_| Error::NameTaken)
        .insert(Key::Product(product.product_id), &Row::from(product), |_| {
            Error::Internal("a new product has the id of another".into())
        })
        .commit()
        .await
}

/// Changes a product. `if_match`: only if it has one of these versions.
///
/// One call, unless the name changes: then the refused first call brings the product as it is, and a transaction moves the name.
pub async fn update(
    table: &Table,
    id: ProductId,
    change: &ProductChange,
    if_match: Option<&[u64]>,
    now: Timestamp,
) -> Result<Product> {
    let name = change.name.as_ref().map(ProductName::folded);
    for _ in 0..ATTEMPTS {
        let mut expression = changed(change, if_match, now);
        if let Some(name) = &name {
            expression = expression.equal("gsi1sk", name.as_str());
        }
        let found: Row = match table.update(Key::Product(id), &expression).await? {
            Write::Done(row) => return Product::try_from(row),
            Write::Refused(None) => return Err(Error::NotFound("product")),
            Write::Refused(Some(found)) => found,
        };
        // The answer to an earlier attempt of this very write may have been lost.
        if is_outcome_of(&found, change, if_match, now) {
            return found.try_into();
        }
        if if_match.is_some_and(|versions| !versions.contains(&found.version)) {
            return Err(Error::Stale);
        }
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
    let expression = changed(change, if_match, now).set("gsi1sk", name.as_str()).equal("version", found.version);
    Transaction::new(table)
        .update(Key::Product(id), &expression, |old| if old.is_some() { Error::Stale } else { Error::NotFound("product") })
        .insert(Key::ProductName(name), &owned_by(id), |_| Error::NameTaken)
        .delete(Key::ProductName(&before), &Expression::exists().equal("product_id", id.to_string()), |_| {
            Error::Internal("a product does not own its name".into())
        })
        .commit()
        .await?;

    // The version was pinned, so that what was found and what was changed is all there is.
    let product = Row { version: found.version + 1, ..with(found, change, now) };
    product.try_into()
}

/// Deletes a product that no order holds, and frees its name. `if_match`: only if it has one of these versions.
pub async fn delete(table: &Table, id: ProductId, if_match: Option<&[u64]>) -> Result {
    for _ in 0..ATTEMPTS {
        let found: Row = table.read(Key::Product(id)).await?.ok_or(Error::NotFound("product"))?;
        let name = Folded::new(&found.name);
        let mut expression = Expression::exists().equal("gsi1sk", name.as_str()).equal("reserved", 0_u64);
        if let Some(versions) = if_match {
            expression = expression.one_of("version", versions.iter().copied());
        }
        let versions = if_match.map(<[u64]>::to_vec);
        let deleted = Transaction::new(table)
            .delete(Key::Product(id), &expression, move |old| why_not_deleted(old, versions.as_deref()))
            .delete(Key::ProductName(&name), &Expression::exists().equal("product_id", id.to_string()), |_| {
                Error::Internal("a product does not own its name".into())
            })
            .commit()
            .await;
        match deleted {
            Err(Error::Stale) if if_match.is_none() => {} // Renamed by somebody else since; look again.
            refused_or_done => return refused_or_done,
        }
    }
    Err(Error::Contended)
}

fn why_not_deleted(old: Option<Item>, if_match: Option<&[u64]>) -> Error {
    match old.map(from_item::<Row>) {
        None => Error::NotFound("product"),
        Some(Err(error)) => error,
        Some(Ok(row)) if if_match.is_some_and(|versions| !versions.contains(&row.version)) => Error::Stale,
        Some(Ok(row)) if row.reserved > 0 => Error::ProductInUse { reserved: row.reserved },
        Some(Ok(_)) => Error::Stale,
    }
}

/// The update that makes `change`, and the condition that the product is one that the caller means.
fn changed(change: &ProductChange, if_match: Option<&[u64]>, now: Timestamp) -> Expression {
    let mut expression = Expression::exists().set("updated_at", now.millis()).add("version", 1);
    if let Some(versions) = if_match {
        expression = expression.one_of("version", versions.iter().copied());
    }
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
    if let Some(quantity) = change.quantity {
        expression = expression.set("quantity", quantity.get());
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

fn owned_by(id: ProductId) -> NameRow {
    NameRow { product_id: id.to_string() }
}
