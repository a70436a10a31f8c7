//! Orders, their lines and their history as they are stored.

use serde::{Deserialize, Serialize};

use super::super::{
    expression::Expression,
    key::{Item, Key},
    table::{Table, from_item},
    transaction::Transaction,
};
use crate::{
    Error, Result,
    domain::{
        HistoryEntry, Money, Order, OrderDetails, OrderId, OrderItem, ProductId, Quantity, Status, StockEffect, Timestamp, UserId,
    },
};

/// An order as it is stored. Its id is in the key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Row {
    pk: String,
    gsi1pk: String,
    gsi1sk: String,
    gsi2pk: String,
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
}

/// A line as it is stored. Its id is in the key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ItemRow {
    pk: String,
    sk: String,
    product_id: ProductId,
    quantity: u64,
    /// Minor units.
    price: i64,
    /// Left out for the product's own item.
    #[serde(default, skip_serializing_if = "is_zero")]
    shard: u32,
    created_at: i64,
    updated_at: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_zero(shard: &u32) -> bool {
    *shard == 0
}

/// One change of status as it is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct HistoryRow {
    sk: String,
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

impl Row {
    pub fn new(table: &Table, order: &Order) -> Self {
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

impl From<&OrderItem> for ItemRow {
    fn from(item: &OrderItem) -> Self {
        let key = Key::OrderItem(item.order_id, item.order_item_id);
        Self {
            pk: key.pk(),
            sk: key.sk(),
            product_id: item.product_id,
            quantity: item.quantity.get(),
            price: item.price.minor(),
            shard: item.shard,
            created_at: item.created_at.millis(),
            updated_at: item.updated_at.millis(),
        }
    }
}

impl TryFrom<ItemRow> for OrderItem {
    type Error = Error;

    fn try_from(row: ItemRow) -> Result<Self> {
        let broken = |what: &str| Error::Internal(format!("{} {}: the stored {what} breaks its rules", row.pk, row.sk));
        let price = Money::from_minor(row.price).ok_or_else(|| broken("price"))?;
        let quantity = Quantity::new(row.quantity).ok_or_else(|| broken("quantity"))?;
        Ok(Self {
            order_item_id: Key::order_item_of(&row.sk).ok_or_else(|| broken("id"))?,
            order_id: Key::order_of(&row.pk).ok_or_else(|| broken("order"))?,
            product_id: row.product_id,
            quantity,
            price,
            line_total: price.times(quantity.get()),
            created_at: Timestamp::from_millis(row.created_at),
            updated_at: Timestamp::from_millis(row.updated_at),
            shard: row.shard,
        })
    }
}

impl HistoryRow {
    pub fn new(key: Key<'_>, entry: &HistoryEntry) -> Self {
        Self {
            sk: key.sk(),
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

impl TryFrom<HistoryRow> for HistoryEntry {
    type Error = Error;

    fn try_from(row: HistoryRow) -> Result<Self> {
        let broken = || Error::Internal(format!("{}: a stored history breaks its rules", row.sk));
        Ok(Self {
            at: Timestamp::from_millis(row.at),
            by: row.by,
            from: row.from,
            to: row.to,
            version: Key::version_of(&row.sk).ok_or_else(broken)?,
            reason: row.reason,
            stock: row.stock,
            not_restocked: row.not_restocked,
        })
    }
}

/// An order with its lines and its history, from the items of its collection; `None` if there is no order among them.
pub(super) fn details(items: Vec<Item>) -> Result<Option<OrderDetails>> {
    let (mut order, mut lines, mut history) = (None, Vec::new(), Vec::new());
    for item in items {
        let sk = Key::sk_of(&item);
        if sk.starts_with(Key::ITEM_PREFIX) {
            lines.push(OrderItem::try_from(from_item::<ItemRow>(item)?)?);
        } else if sk.starts_with(Key::HISTORY_PREFIX) {
            history.push(from_item::<HistoryRow>(item)?.try_into()?);
        } else {
            order = Some(Order::try_from(from_item::<Row>(item)?)?);
        }
    }
    Ok(order.map(|order| OrderDetails { order, items: lines, history }))
}

/// The part of the admins' list that an order is in. Raising the number of shards moves no order: it moves when it is written.
pub(super) fn shard(table: &Table, id: OrderId) -> u32 {
    u32::try_from(id.bits() % u128::from(table.order_shards)).unwrap_or_default()
}

pub(super) fn insert_item<'a>(transaction: Transaction<'a>, item: &OrderItem) -> Transaction<'a> {
    transaction.insert(Key::OrderItem(item.order_id, item.order_item_id), &ItemRow::from(item), |_| {
        Error::Internal("a new order item has the id of another".into())
    })
}

/// The line as it was read: whoever changes its quantity in between wins.
pub(super) fn unchanged(item: &OrderItem) -> Expression {
    Expression::default().equal("quantity", item.quantity.get())
}
