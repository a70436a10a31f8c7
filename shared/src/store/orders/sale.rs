//! The stock of an order that is being written: at which prices, and from which shards.

use std::collections::BTreeMap;

use super::super::{
    idempotency::Idempotent,
    retry::Round,
    stock::{self, Moved, Source, Survey, Wanted},
    table::Table,
    transaction::{Cancellation, Transaction},
};
use crate::{
    Result,
    domain::{Offer, ProductId, Timestamp},
};

/// Actions that one transaction can have.
pub(super) const MAX_ACTIONS: usize = 100;

/// At what prices products are sold, and from where their pieces are taken.
pub(super) struct Sale {
    pub offers: BTreeMap<ProductId, Offer>,
    /// Pieces that are moved to the shard of the offer; none is the ordinary case.
    moved: BTreeMap<ProductId, Moved>,
    /// Products whose shard had too few pieces: others are looked for.
    depleted: Vec<Wanted>,
    /// Actions of the transaction that are about something else.
    others: usize,
}

impl Sale {
    pub fn new(offers: BTreeMap<ProductId, Offer>, others: usize) -> Self {
        Self { offers, moved: BTreeMap::new(), depleted: Vec::new(), others }
    }

    /// Adds to a transaction what takes the pieces of one product.
    pub fn reserve<'a>(
        &self,
        transaction: Transaction<'a>,
        product_id: ProductId,
        quantity: u64,
        now: Timestamp,
        pointer: String,
    ) -> Transaction<'a> {
        let Some(Offer { price, shard }) = self.offers.get(&product_id).copied() else { return transaction };
        let source = Source { shard, moved: self.moved.get(&product_id).cloned().unwrap_or_default() };
        stock::reserve_at_price(transaction, product_id, &source, quantity, price, now, pointer)
    }

    /// Takes note of what stood in the way, all of it at once: prices that have changed, and shards that have too few pieces.
    ///
    /// # Errors
    ///
    /// The first condition that refuses the request; for products whose stock is spread, all shards are looked at to know.
    pub async fn learn<T>(&mut self, table: &Table, conditions: Vec<Cancellation>) -> Result<Round<Idempotent<T>>> {
        for condition in conditions {
            match condition {
                Cancellation::PriceChanged { product_id, price } => {
                    self.offers.entry(product_id).and_modify(|offer| offer.price = price);
                }
                Cancellation::ShardDepleted { product_id, wanted } => {
                    if self.depleted.iter().all(|before| before.product_id != product_id) {
                        self.depleted.push(Wanted { product_id, pieces: wanted, shard: None });
                    }
                }
                Cancellation::Repeated(response) => return Ok(Round::Done(Idempotent::Repeated(response))),
                Cancellation::Refused(error) => {
                    // What is sold out before it in the order of the request is told first.
                    Survey::of(table, std::mem::take(&mut self.depleted)).await?;
                    return Err(error);
                }
                Cancellation::Changed => break,
            }
        }
        // A price is tried as it was told, before it changes again; others who take the same pieces are let pass.
        Ok(if self.depleted.is_empty() { Round::Told } else { Round::Changed })
    }

    /// Looks for other shards of the products whose shard had too few pieces.
    ///
    /// # Errors
    ///
    /// [`OutOfStock`](crate::domain::Refusal::OutOfStock) for the first of which all shards together have too few.
    pub async fn find_depleted(&mut self, table: &Table) -> Result {
        if self.depleted.is_empty() {
            return Ok(());
        }
        let depleted = std::mem::take(&mut self.depleted);
        self.moved.retain(|product_id, _| depleted.iter().all(|wanted| wanted.product_id != *product_id));
        let survey = Survey::of(table, depleted).await?;
        let taken = self.others + self.offers.len() + self.moved.values().map(Vec::len).sum::<usize>();
        for (product_id, source) in survey.sources(table, MAX_ACTIONS.saturating_sub(taken)).await? {
            self.offers.entry(product_id).and_modify(|offer| offer.shard = source.shard);
            self.moved.insert(product_id, source.moved);
        }
        Ok(())
    }
}
