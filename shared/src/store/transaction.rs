//! Writes that happen together or not at all, each with the refusal that its failed condition means.

use aws_sdk_dynamodb::{
    operation::transact_write_items::TransactWriteItemsError,
    types::{
        CancellationReason, ConditionCheck, Delete, Put, ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure,
        TransactWriteItem, Update,
    },
};
use serde::Serialize;
use uuid::Uuid;

use super::{
    expression::Expression,
    key::{Item, Key},
    retry::Backoff,
    table::{Table, to_item},
};
use crate::{
    Error, Result,
    aws::fault,
    domain::{Money, ProductId},
};

/// The reason of a write whose condition did not hold.
const FAILED_CONDITION: &str = "ConditionalCheckFailed";

/// What a failed condition means.
#[derive(Debug)]
pub enum Refusal {
    /// The request is refused with this.
    Final(Error),
    /// The item is not as it was read: the operation starts over.
    Changed,
    /// The product's price is another than the one that was read.
    PriceChanged { product_id: ProductId, price: Money },
    /// This shard of the product's stock has fewer pieces than `wanted`; other shards may have them.
    ShardDepleted { product_id: ProductId, wanted: u64 },
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

/// What became of a transaction.
#[derive(Debug)]
#[must_use]
pub enum Outcome {
    Done,
    /// Nothing was written. What every failed condition means, in the order in which the writes were added.
    Refused(Vec<Refusal>),
}

impl Outcome {
    /// Whether it was done; `false` if an item was not as it was read.
    ///
    /// # Errors
    ///
    /// The first refusal, if that is final.
    pub fn done_or_changed(self) -> Result<bool> {
        match self {
            Self::Done => Ok(true),
            Self::Refused(refusals) => match refusals.into_iter().next() {
                Some(Refusal::Final(error)) => Err(error),
                _ => Ok(false),
            },
        }
    }
}

/// Tells from the item that made a condition fail (`None`: there was no item) what that means.
type Reading<'a> = Box<dyn FnOnce(Option<Item>) -> Refusal + Send + 'a>;

/// One `TransactWriteItems`, put together write by write.
///
/// When several conditions fail, the refusal of the first such write in the order they were added counts most: add first what
/// should be told first.
pub struct Transaction<'a> {
    table: &'a Table,
    writes: Result<Vec<TransactWriteItem>>,
    readings: Vec<Reading<'a>>,
}

impl<'a> Transaction<'a> {
    pub fn new(table: &'a Table) -> Self {
        Self { table, writes: Ok(Vec::new()), readings: Vec::new() }
    }

    /// Writes a new item; refused if there is one with its key.
    pub fn insert<R: Into<Refusal>>(
        self,
        key: Key<'_>,
        row: &impl Serialize,
        refusal: impl FnOnce(Option<Item>) -> R + Send + 'a,
    ) -> Self {
        self.put(key, row, &Expression::absent(), refusal)
    }

    /// Writes a whole item under conditions.
    pub fn put<R: Into<Refusal>>(
        self,
        key: Key<'_>,
        row: &impl Serialize,
        expression: &Expression,
        refusal: impl FnOnce(Option<Item>) -> R + Send + 'a,
    ) -> Self {
        let write = to_item(row).and_then(|mut item| {
            item.extend(key.attributes());
            Put::builder()
                .table_name(&self.table.name)
                .set_item(Some(item))
                .set_condition_expression(expression.condition())
                .set_expression_attribute_names(expression.names())
                .set_expression_attribute_values(expression.values())
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
                .build()
                .map(|put| TransactWriteItem::builder().put(put).build())
                .map_err(|error| Error::Internal(error.to_string()))
        });
        self.with(write, refusal)
    }

    /// Changes an item under conditions.
    pub fn update<R: Into<Refusal>>(
        self,
        key: Key<'_>,
        expression: &Expression,
        refusal: impl FnOnce(Option<Item>) -> R + Send + 'a,
    ) -> Self {
        let write = Update::builder()
            .table_name(&self.table.name)
            .set_key(Some(key.attributes()))
            .update_expression(expression.update())
            .set_condition_expression(expression.condition())
            .set_expression_attribute_names(expression.names())
            .set_expression_attribute_values(expression.values())
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map(|update| TransactWriteItem::builder().update(update).build())
            .map_err(|error| Error::Internal(error.to_string()));
        self.with(write, refusal)
    }

    /// Deletes an item under conditions.
    pub fn delete<R: Into<Refusal>>(
        self,
        key: Key<'_>,
        expression: &Expression,
        refusal: impl FnOnce(Option<Item>) -> R + Send + 'a,
    ) -> Self {
        let write = Delete::builder()
            .table_name(&self.table.name)
            .set_key(Some(key.attributes()))
            .set_condition_expression(expression.condition())
            .set_expression_attribute_names(expression.names())
            .set_expression_attribute_values(expression.values())
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map(|delete| TransactWriteItem::builder().delete(delete).build())
            .map_err(|error| Error::Internal(error.to_string()));
        self.with(write, refusal)
    }

    /// Changes nothing, under conditions.
    pub fn check<R: Into<Refusal>>(
        self,
        key: Key<'_>,
        expression: &Expression,
        refusal: impl FnOnce(Option<Item>) -> R + Send + 'a,
    ) -> Self {
        let write = ConditionCheck::builder()
            .table_name(&self.table.name)
            .set_key(Some(key.attributes()))
            .set_condition_expression(expression.condition())
            .set_expression_attribute_names(expression.names())
            .set_expression_attribute_values(expression.values())
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map(|check| TransactWriteItem::builder().condition_check(check).build())
            .map_err(|error| Error::Internal(error.to_string()));
        self.with(write, refusal)
    }

    fn with<R: Into<Refusal>>(
        mut self,
        write: Result<TransactWriteItem>,
        refusal: impl FnOnce(Option<Item>) -> R + Send + 'a,
    ) -> Self {
        self.writes = self.writes.and_then(|mut writes| {
            writes.push(write?);
            Ok(writes)
        });
        self.readings.push(Box::new(|found| refusal(found).into()));
        self
    }

    /// Carries all writes out, or none, and tells every condition that was in the way.
    ///
    /// Repeats while the only reason against it is other writes to the same items at the same instant. Every attempt has the
    /// same token, so that one whose answer was lost is not carried out twice.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] if DynamoDB is away, [`Error::Contended`] if the items stay contended.
    pub async fn attempt(self, backoff: &mut Backoff) -> Result<Outcome> {
        let request = self
            .table
            .client
            .transact_write_items()
            .set_transact_items(Some(self.writes?))
            .client_request_token(Uuid::now_v7().to_string())
            .return_consumed_capacity(ReturnConsumedCapacity::Total);

        loop {
            let Err(error) = request.clone().send().await else { return Ok(Outcome::Done) };
            let reasons = match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => canceled.cancellation_reasons(),
                // Our own attempt before this one, whose answer was late.
                Some(TransactWriteItemsError::TransactionInProgressException(_)) => &[],
                _ => return Err(fault(error)),
            };
            if reasons.iter().any(|reason| reason.code() == Some(FAILED_CONDITION)) {
                let read = self.readings.into_iter().zip(reasons);
                let failed = read.filter(|(_, reason)| reason.code() == Some(FAILED_CONDITION));
                return Ok(Outcome::Refused(failed.map(|(reading, reason)| reading(reason.item().cloned())).collect()));
            }
            if !reasons.iter().all(passes_by_itself) {
                return Err(fault(error));
            }
            if !backoff.again().await {
                return Err(Error::Contended);
            }
        }
    }

    /// Carries out what needs no second plan.
    ///
    /// # Errors
    ///
    /// The first refusal; [`Error::Unavailable`] or [`Error::Contended`] as [`Transaction::attempt`] has them.
    pub async fn commit(self) -> Result {
        if self.attempt(&mut Backoff::new()).await?.done_or_changed()? {
            return Ok(());
        }
        Err(Error::Internal("a write that was based on no read met a change".into()))
    }
}

/// Whether the same write may well succeed a moment later.
fn passes_by_itself(reason: &CancellationReason) -> bool {
    matches!(reason.code(), None | Some("None" | "TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded"))
}
