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
use crate::{Error, Result, aws::fault};

/// Turns the item that made a condition fail (`None`: there was no item) into the refusal of the request.
type Refusal<'a> = Box<dyn FnOnce(Option<Item>) -> Error + Send + 'a>;

/// One `TransactWriteItems`, put together write by write.
///
/// When conditions fail, the refusal of the first such write in the order they were added is answered: add first what
/// should be told first.
pub struct Transaction<'a> {
    table: &'a Table,
    writes: Result<Vec<TransactWriteItem>>,
    refusals: Vec<Refusal<'a>>,
    backoff: Backoff,
}

impl<'a> Transaction<'a> {
    pub fn new(table: &'a Table) -> Self {
        Self { table, writes: Ok(Vec::new()), refusals: Vec::new(), backoff: Backoff::new() }
    }

    /// For items that others write to all the time: more attempts.
    pub fn patient(self) -> Self {
        Self { backoff: Backoff::patient(), ..self }
    }

    /// Writes a new item; refused if there is one with its key.
    pub fn insert(self, key: Key<'_>, row: &impl Serialize, refusal: impl FnOnce(Option<Item>) -> Error + Send + 'a) -> Self {
        self.put(key, row, &Expression::absent(), refusal)
    }

    /// Writes a whole item under conditions.
    pub fn put(
        self,
        key: Key<'_>,
        row: &impl Serialize,
        expression: &Expression,
        refusal: impl FnOnce(Option<Item>) -> Error + Send + 'a,
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
    pub fn update(self, key: Key<'_>, expression: &Expression, refusal: impl FnOnce(Option<Item>) -> Error + Send + 'a) -> Self {
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
    pub fn delete(self, key: Key<'_>, expression: &Expression, refusal: impl FnOnce(Option<Item>) -> Error + Send + 'a) -> Self {
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
    pub fn check(self, key: Key<'_>, expression: &Expression, refusal: impl FnOnce(Option<Item>) -> Error + Send + 'a) -> Self {
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

    fn with(mut self, write: Result<TransactWriteItem>, refusal: impl FnOnce(Option<Item>) -> Error + Send + 'a) -> Self {
        self.writes = self.writes.and_then(|mut writes| {
            writes.push(write?);
            Ok(writes)
        });
        self.refusals.push(Box::new(refusal));
        self
    }

    /// Carries all writes out, or none.
    ///
    /// Repeats while the only reason against it is other writes to the same items at the same instant. Every attempt has the
    /// same token, so that one whose answer was lost is not carried out twice.
    ///
    /// # Errors
    ///
    /// The refusal of the first write whose condition failed; [`Error::Unavailable`] if DynamoDB is away or the items stay
    /// contended.
    pub async fn commit(self) -> Result {
        let request = self
            .table
            .client
            .transact_write_items()
            .set_transact_items(Some(self.writes?))
            .client_request_token(Uuid::now_v7().to_string())
            .return_consumed_capacity(ReturnConsumedCapacity::Total);

        let mut backoff = self.backoff;
        loop {
            let Err(error) = request.clone().send().await else { return Ok(()) };
            let reasons = match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => canceled.cancellation_reasons(),
                _ => return Err(fault(error)),
            };
            if let Some(position) = reasons.iter().position(|reason| reason.code() == Some("ConditionalCheckFailed")) {
                let found = reasons[position].item().cloned();
                return Err(match self.refusals.into_iter().nth(position) {
                    Some(refusal) => refusal(found),
                    None => Error::Internal("DynamoDB refuses a write that was not asked for".into()),
                });
            }
            if !reasons.iter().all(passes_by_itself) {
                return Err(fault(error));
            }
            if !backoff.again().await {
                return Err(Error::Contended);
            }
        }
    }
}

/// Whether the same write may well succeed a moment later.
fn passes_by_itself(reason: &CancellationReason) -> bool {
    matches!(reason.code(), None | Some("None" | "TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded"))
}
