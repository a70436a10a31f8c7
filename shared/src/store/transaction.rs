//! Writes that happen together or not at all, each with what its failed condition means.

use aws_sdk_dynamodb::{
    operation::transact_write_items::TransactWriteItemsError,
    types::{
        ConditionCheck, Delete, Put, ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
    },
};
use serde::Serialize;
use uuid::Uuid;

use super::{
    expression::Expression,
    key::{Item, Key},
    mutant::{Part, is_left_out},
    retry::{Backoff, Round, passes_by_itself},
    table::{Table, to_item},
};
use crate::{
    Error, Result,
    aws::fault,
    domain::{Money, ProductId, Refusal},
};

/// The reason of a write whose condition did not hold.
const FAILED_CONDITION: &str = "ConditionalCheckFailed";

/// What a failed condition means.
#[derive(Debug)]
pub enum Cancellation {
    /// The request is refused with this.
    Refused(Error),
    /// The request was carried out before, and this response was saved.
    Repeated(SavedResponse),
    /// The item is not as it was read: the operation starts over.
    Changed,
    /// The product's price is another than the one that was read.
    PriceChanged { product_id: ProductId, price: Money },
    /// This shard of the product's stock has fewer pieces than `wanted`; other shards may have them.
    ShardDepleted { product_id: ProductId, wanted: u64 },
}

impl From<Error> for Cancellation {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<Refusal> for Cancellation {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal.into())
    }
}

/// The response to a request that was carried out, as `http` wrote it down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedResponse(pub String);

/// What became of a transaction.
#[derive(Debug)]
#[must_use]
pub enum Outcome {
    Done,
    /// Nothing was written. What every failed condition means, in the order in which the writes were added.
    Cancelled(Vec<Cancellation>),
}

impl Outcome {
    /// For an operation that reads everything again when an item is not as it was read.
    ///
    /// # Errors
    ///
    /// The first failed condition, if that refuses the request.
    pub fn into_round(self) -> Result<Round<()>> {
        match self {
            Self::Done => Ok(Round::Done(())),
            Self::Cancelled(conditions) => match conditions.into_iter().next() {
                Some(Cancellation::Refused(error)) => Err(error),
                _ => Ok(Round::Changed),
            },
        }
    }
}

/// Tells from the item that made a condition fail (`None`: there was no item) what that means.
type Meaning<'a> = Box<dyn FnOnce(Option<Item>) -> Cancellation + 'a>;

/// One `TransactWriteItems`, put together write by write.
///
/// When several conditions fail, the first such write in the order they were added counts most: add first what should be told
/// first.
pub struct Transaction<'a> {
    table: &'a Table,
    actions: Result<Vec<TransactWriteItem>>,
    meanings: Vec<Meaning<'a>>,
}

/// What all four kinds of action have in common.
macro_rules! action {
    ($builder:expr, $table:expr, $expression:expr) => {
        $builder
            .table_name(&$table.name)
            .set_condition_expression($expression.condition())
            .set_expression_attribute_names($expression.names())
            .set_expression_attribute_values($expression.values())
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(|error| Error::Internal(error.to_string()))
    };
}

impl<'a> Transaction<'a> {
    pub fn new(table: &'a Table) -> Self {
        Self { table, actions: Ok(Vec::new()), meanings: Vec::new() }
    }

    /// Writes a new item; cancelled if there is one with its key.
    #[track_caller]
    pub fn insert<C: Into<Cancellation>>(
        self,
        key: Key<'_>,
        row: &impl Serialize,
        meaning: impl FnOnce(Option<Item>) -> C + 'a,
    ) -> Self {
        self.put(key, row, &Expression::absent(), meaning)
    }

    /// Writes a whole item under conditions.
    #[track_caller]
    pub fn put<C: Into<Cancellation>>(
        self,
        key: Key<'_>,
        row: &impl Serialize,
        expression: &Expression,
        meaning: impl FnOnce(Option<Item>) -> C + 'a,
    ) -> Self {
        if is_left_out(Part::Write) {
            return self;
        }
        let put = to_item(row).and_then(|mut item| {
            item.extend(key.attributes());
            action!(Put::builder().set_item(Some(item)), self.table, expression)
        });
        self.with(put.map(|put| TransactWriteItem::builder().put(put).build()), meaning)
    }

    /// Changes an item under conditions. What changes nothing is a check of them.
    #[track_caller]
    pub fn update<C: Into<Cancellation>>(
        self,
        key: Key<'_>,
        expression: &Expression,
        meaning: impl FnOnce(Option<Item>) -> C + 'a,
    ) -> Self {
        if !expression.changes() {
            return self.check(key, expression, meaning);
        }
        if is_left_out(Part::Write) {
            return self;
        }
        let update = Update::builder().set_key(Some(key.attributes())).update_expression(expression.update());
        let update = action!(update, self.table, expression);
        self.with(update.map(|update| TransactWriteItem::builder().update(update).build()), meaning)
    }

    /// Deletes an item under conditions.
    #[track_caller]
    pub fn delete<C: Into<Cancellation>>(
        self,
        key: Key<'_>,
        expression: &Expression,
        meaning: impl FnOnce(Option<Item>) -> C + 'a,
    ) -> Self {
        if is_left_out(Part::Write) {
            return self;
        }
        let delete = action!(Delete::builder().set_key(Some(key.attributes())), self.table, expression);
        self.with(delete.map(|delete| TransactWriteItem::builder().delete(delete).build()), meaning)
    }

    /// Changes nothing, under conditions; without one it is nothing at all.
    #[track_caller]
    pub fn check<C: Into<Cancellation>>(
        self,
        key: Key<'_>,
        expression: &Expression,
        meaning: impl FnOnce(Option<Item>) -> C + 'a,
    ) -> Self {
        if is_left_out(Part::Write) || expression.condition().is_none() {
            return self;
        }
        let check = action!(ConditionCheck::builder().set_key(Some(key.attributes())), self.table, expression);
        self.with(check.map(|check| TransactWriteItem::builder().condition_check(check).build()), meaning)
    }

    fn with<C: Into<Cancellation>>(
        mut self,
        action: Result<TransactWriteItem>,
        meaning: impl FnOnce(Option<Item>) -> C + 'a,
    ) -> Self {
        self.actions = self.actions.and_then(|mut actions| {
            actions.push(action?);
            Ok(actions)
        });
        self.meanings.push(Box::new(|found| meaning(found).into()));
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
        let token = (!is_left_out(Part::Token)).then(|| Uuid::now_v7().to_string());
        let request = self
            .table
            .client
            .transact_write_items()
            .set_transact_items(Some(self.actions?))
            .set_client_request_token(token)
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
                let meant = self.meanings.into_iter().zip(reasons);
                let failed = meant.filter(|(_, reason)| reason.code() == Some(FAILED_CONDITION));
                return Ok(Outcome::Cancelled(failed.map(|(meaning, reason)| meaning(reason.item().cloned())).collect()));
            }
            if !reasons.iter().all(passes_by_itself) {
                return Err(fault(error));
            }
            if !backoff.again().await {
                return Err(Error::Contended);
            }
        }
    }

    /// Carries out what is based on nothing that was read.
    ///
    /// # Errors
    ///
    /// What the first failed condition refuses with; [`Error::Unavailable`] or [`Error::Contended`] as [`Transaction::attempt`]
    /// has them.
    pub async fn commit(self) -> Result {
        match self.attempt(&mut Backoff::new()).await?.into_round()? {
            Round::Done(()) => Ok(()),
            _ => Err(Error::Internal("a write that was based on no read met a change".into())),
        }
    }
}
