//! What was last told of how much there is of each product, so that each crossing is told once: whoever looks writes down what is new,
//! and that write is in the table's stream, as all others are.

use futures_util::future::try_join;
use serde::{Deserialize, Serialize};

use super::{
    expression::Expression,
    key::{Item, Key},
    products,
    retry::{Round, until_done},
    stock,
    table::{Table, Write, from_item},
};
use crate::{
    Error, Result,
    domain::{Level, Product, ProductId, Refusal, Resource, StockState, Timestamp},
};

/// A level as it is stored. Its product is in the key.
#[derive(Debug, Serialize, Deserialize)]
struct Row {
    pk: String,
    state: StockState,
    version: u64,
    /// Milliseconds since the epoch.
    updated_at: i64,
}

/// A level as an item that was read.
pub(super) fn from_stored(item: Item) -> Result<Level> {
    let row: Row = from_item(item)?;
    let product_id = Key::product_of_level(&row.pk);
    Ok(Level {
        product_id: product_id.ok_or_else(|| Error::Internal(format!("{}: a stored level has no product", row.pk)))?,
        state: row.state,
        version: row.version,
        updated_at: Timestamp::from_millis(row.updated_at),
    })
}

/// Looks how much there is of a product and writes down what is new; gives the product as it is now, if it is still there.
pub async fn watch(table: &Table, id: ProductId, now: Timestamp) -> Result<Option<Product>> {
    until_done(async |_| {
        let (product, level) = try_join(find(table, id), table.read::<Row>(Key::Level(id))).await?;
        let Some(product) = product else {
            if level.is_some() {
                table.delete(Key::Level(id)).await?;
            }
            return Ok(Round::Done(None));
        };
        let low_stock_at = product.low_stock_at.get();
        let (mut state, mut version) = level.map_or((StockState::In, 0), |row| (row.state, row.version));
        let mut quantity = product.quantity.get();
        if state.next(quantity, low_stock_at).is_some() {
            // A sum of shards is no alarm until it was so at one instant.
            quantity = stock::on_shelf(table, id, low_stock_at.unwrap_or_default() + 1).await?.values().sum();
        }
        while let Some(next) = state.next(quantity, low_stock_at) {
            let as_read = if version == 0 { Expression::absent() } else { Expression::default().equal("version", version) };
            let told = as_read.set("state", next.as_str()).set("version", version + 1).set("updated_at", now.millis());
            match table.update::<Row>(Key::Level(id), &told).await? {
                Write::Done(row) => (state, version) = (row.state, row.version),
                Write::Refused(_) => return Ok(Round::Changed),
            }
        }
        Ok(Round::Done(Some(product)))
    })
    .await
}

async fn find(table: &Table, id: ProductId) -> Result<Option<Product>> {
    match products::find(table, id).await {
        Ok(product) => Ok(Some(product)),
        Err(Error::Refused(Refusal::NotFound(Resource::Product))) => Ok(None),
        Err(error) => Err(error),
    }
}
