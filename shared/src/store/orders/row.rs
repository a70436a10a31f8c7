//! An order as it is stored: one item, with its lines and its history in it.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};

use super::super::{key::Key, table::Table};
use crate::{
    Error, Result,
    domain::{
        HistoryEntry, Metadata, Money, Order, OrderDetails, OrderId, OrderItem, OrderItemId, ProductId, Quantity, Status,
        StockEffect, Timestamp, UserId,
    },
};

/// An order as it is stored. Its id is in the key. An entry of an index has no keys of the other, no lines, no history and no metadata.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Row {
    pk: String,
    #[serde(skip_deserializing)]
    gsi1pk: String,
    #[serde(skip_deserializing)]
    gsi1sk: String,
    #[serde(skip_deserializing)]
    gsi2pk: String,
    #[serde(skip_deserializing)]
    gsi2sk: String,
    customer_id: UserId,
    status: Status,
    /// Minor units.
    total: i64,
    item_count: u64,
    version: u64,
    /// Milliseconds since the epoch, as is `updated_at`.
    created_at: i64,
    updated_at: i64,
    /// By id.
    #[serde(default)]
    lines: BTreeMap<String, LineRow>,
    /// By the version of the order that each change of status has made.
    #[serde(default)]
    history: BTreeMap<String, HistoryRow>,
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    metadata: Metadata,
}

/// A line as it is stored. Its id is its key among the lines.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct LineRow {
    product_id: ProductId,
    quantity: u64,
    /// Minor units.
    price: i64,
    /// Left out for the first shard.
    #[serde(default, skip_serializing_if = "is_zero")]
    shard: u32,
    /// Left out where it is the order's.
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<i64>,
    /// Left out while it is `created_at`.
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<i64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_zero(shard: &u32) -> bool {
    *shard == 0
}

/// One change of status as it is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct HistoryRow {
    at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<UserId>,
    from: Status,
    to: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    stock: StockEffect,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    not_restocked: Vec<ProductId>,
}

/// The path of a line in its order's item.
pub(super) fn line_path(id: OrderItemId) -> String {
    format!("lines.{id}")
}

/// The path of the entry in an order's history that made this version of it.
pub(super) fn history_path(version: u64) -> String {
    format!("history.{version}")
}

/// A part of an order's item.
pub(super) fn to_value(row: &impl Serialize) -> Result<AttributeValue> {
    serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value(row)
        .map_err(|error| Error::Internal(format!("a part of an order cannot be written: {error}")))
}

impl Row {
    pub fn new(table: &Table, details: &OrderDetails) -> Self {
        let OrderDetails { order, metadata, items, .. } = details;
        Self {
            pk: Key::Order(order.order_id).pk(),
            gsi1pk: Key::orders_of(order.customer_id),
            gsi1sk: order.order_id.to_string(),
            gsi2pk: Key::orders_in(order.status, shard(table, order.order_id)),
            gsi2sk: order.order_id.to_string(),
            customer_id: order.customer_id,
            status: order.status,
            total: order.total_price.minor(),
            item_count: order.item_count,
            version: order.version,
            created_at: order.created_at.millis(),
            updated_at: order.updated_at.millis(),
            lines: items.iter().map(|item| (item.order_item_id.to_string(), LineRow::new(item, order.created_at))).collect(),
            history: BTreeMap::new(),
            metadata: metadata.clone(),
        }
    }
}

impl TryFrom<Row> for Order {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let broken = |what: &str| Error::Internal(format!("{}: the stored {what} breaks its rules", row.pk));
        Ok(Self {
            order_id: Key::order_of(&row.pk).ok_or_else(|| broken("id"))?,
            customer_id: row.customer_id,
            status: row.status,
            total_price: Money::from_minor(row.total).ok_or_else(|| broken("total"))?,
            item_count: row.item_count,
            created_at: Timestamp::from_millis(row.created_at),
            updated_at: Timestamp::from_millis(row.updated_at),
            version: row.version,
        })
    }
}

impl TryFrom<Row> for OrderDetails {
    type Error = Error;

    fn try_from(mut row: Row) -> Result<Self> {
        let (lines, history) = (std::mem::take(&mut row.lines), std::mem::take(&mut row.history));
        let metadata = std::mem::take(&mut row.metadata);
        let order = Order::try_from(row)?;
        let items = lines.into_iter().map(|(id, line)| line.into_item(&id, &order)).collect::<Result<_>>()?;
        let mut history =
            history.into_iter().map(|(version, entry)| entry.into_entry(&version, &order)).collect::<Result<Vec<_>>>()?;
        history.sort_by_key(|entry| entry.version);
        Ok(Self { order, metadata, items, history })
    }
}

impl LineRow {
    /// `order_created_at`: when the order was made that it is on.
    pub fn new(item: &OrderItem, order_created_at: Timestamp) -> Self {
        Self {
            product_id: item.product_id,
            quantity: item.quantity.get(),
            price: item.price.minor(),
            shard: item.shard,
            created_at: (item.created_at != order_created_at).then_some(item.created_at.millis()),
            updated_at: (item.updated_at != item.created_at).then_some(item.updated_at.millis()),
        }
    }

    fn into_item(self, id: &str, order: &Order) -> Result<OrderItem> {
        let broken = |what: &str| Error::Internal(format!("line {id} of {}: the stored {what} breaks its rules", order.order_id));
        let price = Money::from_minor(self.price).ok_or_else(|| broken("price"))?;
        let quantity = Quantity::new(self.quantity).ok_or_else(|| broken("quantity"))?;
        let created_at = self.created_at.map_or(order.created_at, Timestamp::from_millis);
        Ok(OrderItem {
            order_item_id: id.parse().map_err(|_| broken("id"))?,
            order_id: order.order_id,
            product_id: self.product_id,
            quantity,
            price,
            line_total: price.times(quantity.get()),
            created_at,
            updated_at: self.updated_at.map_or(created_at, Timestamp::from_millis),
            shard: self.shard,
        })
    }
}

impl From<&HistoryEntry> for HistoryRow {
    fn from(entry: &HistoryEntry) -> Self {
        Self {
            at: entry.at.millis(),
            by: entry.by,
            from: entry.from,
            to: entry.to,
            reason: entry.reason.clone(),
            stock: entry.stock,
            not_restocked: entry.not_restocked.clone(),
        }
    }
}

impl HistoryRow {
    fn into_entry(self, version: &str, order: &Order) -> Result<HistoryEntry> {
        let broken = |_| Error::Internal(format!("{}: its history has no version {version:?}", order.order_id));
        Ok(HistoryEntry {
            at: Timestamp::from_millis(self.at),
            by: self.by,
            from: self.from,
            to: self.to,
            version: version.parse().map_err(broken)?,
            reason: self.reason,
            stock: self.stock,
            not_restocked: self.not_restocked,
        })
    }
}

/// The part of the admins' list that an order is in. Raising the number of shards moves no order: it moves when it is written.
pub(super) fn shard(table: &Table, id: OrderId) -> u32 {
    u32::try_from(id.bits() % u128::from(table.order_shards)).unwrap_or_default()
}
