//! The table, and the calls to single items.

use std::sync::{Arc, atomic::AtomicBool};

use aws_sdk_dynamodb::{
    Client,
    operation::{delete_item::DeleteItemError, transact_get_items::TransactGetItemsError, update_item::UpdateItemError},
    types::{Get, KeysAndAttributes, ReturnConsumedCapacity, ReturnValue, ReturnValuesOnConditionCheckFailure, TransactGetItem},
};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    expression::Expression,
    key::{Item, Key},
    mutant::{Part, is_left_out},
    retry::{Backoff, passes_by_itself},
};
use crate::{Error, Result, aws::fault};

/// The one DynamoDB table, and a connection to it.
#[derive(Debug, Clone)]
pub struct Table {
    pub(super) client: Client,
    pub(super) name: String,
    /// Parts that this function writes the admins' list of orders to, at least 1.
    pub(super) order_shards: u32,
    /// Whether the table is known to say that there are as many.
    pub(super) order_shards_raised: Arc<AtomicBool>,
}

/// What became of a write under conditions.
pub(super) enum Write<T> {
    /// The item as it is now.
    Done(T),
    /// A condition failed; the item as it was found, if there was one.
    Refused(Option<T>),
}

impl Table {
    /// `order_shards` is the number of parts that the admins' list of orders is written to, at least 1.
    pub fn new(client: Client, name: String, order_shards: u32) -> Self {
        // One part is what a table has that says nothing.
        let order_shards_raised = Arc::new(AtomicBool::new(order_shards <= 1));
        Self { client, name, order_shards: order_shards.max(1), order_shards_raised }
    }

    /// Reads one item, as it is after every write that was answered before.
    pub(super) async fn read<T: DeserializeOwned>(&self, key: Key<'_>) -> Result<Option<T>> {
        self.get(key, true).await
    }

    /// Reads one item, for half as much, as it is or was a moment ago. Lists of an index are no newer.
    pub(super) async fn read_eventually<T: DeserializeOwned>(&self, key: Key<'_>) -> Result<Option<T>> {
        self.get(key, false).await
    }

    async fn get<T: DeserializeOwned>(&self, key: Key<'_>, consistent: bool) -> Result<Option<T>> {
        let output = self
            .client
            .get_item()
            .table_name(&self.name)
            .set_key(Some(key.attributes()))
            .consistent_read(consistent)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(fault)?;
        output.item.map(from_item).transpose()
    }

    /// Reads up to 100 items, in no order, each as it is after every write that was answered before, though not all as they were
    /// at one instant; those that there are not are left out.
    pub(super) async fn batch_get(&self, keys: impl IntoIterator<Item = Key<'_>>) -> Result<Vec<Item>> {
        let keys: Vec<_> = keys.into_iter().map(|key| key.attributes()).collect();
        if keys.is_empty() {
            // DynamoDB refuses a call that asks for nothing.
            return Ok(Vec::new());
        }
        let wanted = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true);
        let mut wanted = wanted.build().map_err(|error| Error::Internal(error.to_string()))?;
        let mut items = Vec::new();
        let mut backoff = Backoff::new();
        loop {
            let output = self
                .client
                .batch_get_item()
                .request_items(&self.name, wanted)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map_err(fault)?;
            items.extend(output.responses.unwrap_or_default().into_values().flatten());
            match output.unprocessed_keys.unwrap_or_default().remove(&self.name) {
                None => return Ok(items),
                Some(rest) if backoff.again().await => wanted = rest,
                Some(_) => return Err(Error::Contended),
            }
        }
    }

    /// Reads up to 100 items as they were together at one instant; those that there are not are left out. It costs twice as much as
    /// [`Table::batch_get`] and waits for writes to these items: for what must not be told from items of different instants.
    pub(super) async fn snapshot(&self, keys: impl IntoIterator<Item = Key<'_>>) -> Result<Vec<Item>> {
        let gets = keys.into_iter().map(|key| {
            let get = Get::builder().table_name(&self.name).set_key(Some(key.attributes())).build();
            get.map(|get| TransactGetItem::builder().get(get).build()).map_err(|error| Error::Internal(error.to_string()))
        });
        let request = self
            .client
            .transact_get_items()
            .set_transact_items(Some(gets.collect::<Result<_>>()?))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);

        let mut backoff = Backoff::new();
        loop {
            match request.clone().send().await {
                Ok(output) => {
                    return Ok(output.responses.unwrap_or_default().into_iter().filter_map(|response| response.item).collect());
                }
                Err(error) => match error.as_service_error() {
                    Some(TransactGetItemsError::TransactionCanceledException(canceled))
                        if canceled.cancellation_reasons().iter().all(passes_by_itself) =>
                    {
                        if !backoff.again().await {
                            return Err(Error::Contended);
                        }
                    }
                    _ => return Err(fault(error)),
                },
            }
        }
    }

    /// Changes one item if the conditions hold.
    pub(super) async fn update<T: DeserializeOwned>(&self, key: Key<'_>, expression: &Expression) -> Result<Write<T>> {
        let request = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key.attributes()))
            .update_expression(expression.update())
            .set_condition_expression(expression.condition())
            .set_expression_attribute_names(expression.names())
            .set_expression_attribute_values(expression.values())
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);

        let mut backoff = Backoff::new();
        loop {
            match request.clone().send().await {
                Ok(output) => return from_item(output.attributes.unwrap_or_default()).map(Write::Done),
                Err(error) => match error.as_service_error() {
                    Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                        return failed.item.clone().map(from_item).transpose().map(Write::Refused);
                    }
                    Some(UpdateItemError::TransactionConflictException(_)) if backoff.again().await => {}
                    Some(UpdateItemError::TransactionConflictException(_)) => return Err(Error::Contended),
                    _ => return Err(fault(error)),
                },
            }
        }
    }

    /// Deletes one item; one that is not there already stays so.
    pub(super) async fn delete(&self, key: Key<'_>) -> Result {
        let request = self
            .client
            .delete_item()
            .table_name(&self.name)
            .set_key(Some(key.attributes()))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);

        let mut backoff = Backoff::new();
        loop {
            match request.clone().send().await {
                Ok(_) => return Ok(()),
                Err(error) => match error.as_service_error() {
                    Some(DeleteItemError::TransactionConflictException(_)) if backoff.again().await => {}
                    Some(DeleteItemError::TransactionConflictException(_)) => return Err(Error::Contended),
                    _ => return Err(fault(error)),
                },
            }
        }
    }
}

/// Refuses a version that the caller has not named; `None` names all.
#[track_caller]
pub(super) fn require_version<V: PartialEq>(if_match: Option<&[V]>, version: &V) -> Result {
    let is_named = is_left_out(Part::Condition) || if_match.is_none_or(|versions| versions.contains(version));
    if is_named { Ok(()) } else { Err(Error::PreconditionFailed) }
}

/// An item as its row type. A failure means that somebody else wrote to the table.
pub(super) fn from_item<T: DeserializeOwned>(item: Item) -> Result<T> {
    serde_dynamo::aws_sdk_dynamodb_1::from_item(item).map_err(|error| Error::Internal(format!("an item cannot be read: {error}")))
}

/// A row as an item.
pub(super) fn to_item(row: impl Serialize) -> Result<Item> {
    serde_dynamo::aws_sdk_dynamodb_1::to_item(row).map_err(|error| Error::Internal(format!("an item cannot be written: {error}")))
}
