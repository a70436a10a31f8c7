//! The end of an account: whom it was of is nowhere in the table afterwards. Its orders stay, under an id that names nobody.

use std::time::Duration;

use futures_util::future::try_join_all;
use serde::Deserialize;

use super::{
    expression::Expression,
    key::{GSI1, Item, Key},
    orders,
    query::Query,
    retry::until_done,
    sessions::{Account, LoginAttempt},
    table::{Table, Write},
    transaction::{Cancellation, Transaction},
    users::{self, LastAdmin},
};
use crate::{
    Error, Result,
    domain::{Actor, OrderId, Purpose, Refusal, Status, Timestamp, Topic, UserId},
};

/// How long an index may take to show an order that was placed before the account was closed to new ones. It is far less as a rule.
const INDEX_LAG: Duration = Duration::from_secs(1);

/// Orders that are looked at at once.
const AT_ONCE: usize = 10;

/// What is read of a user here.
#[derive(Deserialize)]
struct Row {}

/// Erases an account whose owner has proven that they know its password: cancels its PENDING orders, takes the metadata from all of
/// them, and deletes whatever names the person. If it is cut short, the same again goes on with it.
///
/// # Errors
///
/// [`Refusal::OpenOrders`] while orders are on their way, [`Refusal::LastAdmin`]: then the account is as it was.
pub async fn erase(table: &Table, attempt: &LoginAttempt<'_>, account: &Account, now: Timestamp) -> Result {
    let user_id = account.user.user_id;
    // First without any trace: most refusals are found here.
    if orders_of(table, user_id).await?.iter().any(|(_, status)| is_on_its_way(*status)) {
        return Err(Refusal::OpenOrders.into());
    }
    close(table, user_id, true).await?;
    let erased = erase_closed(table, attempt, account, now).await;
    if erased.is_err() {
        // What matters more is why. An account that cannot be opened now either is gone, or its owner tries again.
        let _ = close(table, user_id, false).await;
    }
    erased
}

async fn erase_closed(table: &Table, attempt: &LoginAttempt<'_>, account: &Account, now: Timestamp) -> Result {
    let user_id = account.user.user_id;
    tokio::time::sleep(INDEX_LAG).await;
    let orders = orders_of(table, user_id).await?;
    let owner = Actor::Customer(user_id);
    for some in orders.chunks(AT_ONCE) {
        try_join_all(some.iter().map(|(order_id, _)| orders::forget(table, *order_id, &owner, now))).await?;
    }

    until_done(async |backoff| {
        let user = users::find(table, user_id).await?.ok_or(Error::TokenRevoked)?;
        let (email, username) = (user.email.folded(), user.username.folded());
        let own = Expression::default().equal("user_id", user_id.to_string());
        // Still closed: another request for the same may have opened it.
        let as_read = Expression::default().equal("version", user.version).equal("is_erasing", true);
        let anyhow = Expression::default();
        let known = Expression::default().equal("password", account.password.as_phc());
        let transaction = users::keep_admins(Transaction::new(table), &user, None, LastAdmin::Stays)
            .delete(Key::User(user_id), &as_read, |_| Cancellation::Changed)
            .delete(Key::Password(user_id), &known, |_| Error::InvalidCredentials)
            .delete(Key::Email(&email), &own, |_| Cancellation::Changed)
            .delete(Key::Username(&username), &own, |_| Cancellation::Changed)
            .delete(Key::Sessions(user_id), &anyhow, |_| Cancellation::Changed);
        let mut transaction = attempt.clear(transaction, now);
        for key in Purpose::ALL.map(|purpose| Key::Ticket(user_id, purpose)) {
            transaction = transaction.delete(key, &anyhow, |_| Cancellation::Changed);
        }
        for key in Topic::ALL.map(|topic| Key::Notice(user_id, topic)) {
            transaction = transaction.delete(key, &anyhow, |_| Cancellation::Changed);
        }
        transaction.attempt(backoff).await?.into_round()
    })
    .await
}

/// Closes an account to new orders, or opens it again.
async fn close(table: &Table, user_id: UserId, closed: bool) -> Result {
    let change = if closed { Expression::exists().set("is_erasing", true) } else { Expression::exists().remove("is_erasing") };
    match table.update::<Row>(Key::User(user_id), &change).await? {
        Write::Done(_) => Ok(()),
        // Another request has erased it.
        Write::Refused(_) => Err(Error::TokenRevoked),
    }
}

fn is_on_its_way(status: Status) -> bool {
    matches!(status, Status::Confirmed | Status::Shipped)
}

/// All orders of a customer with their status, as the index has them.
async fn orders_of(table: &Table, user_id: UserId) -> Result<Vec<(OrderId, Status)>> {
    let order = |item: &Item| {
        let status = item.get("status")?.as_s().ok()?.parse().ok()?;
        Some((Key::order_of_item(item)?, status))
    };
    let mut orders = Vec::new();
    let take = |items: Vec<Item>| {
        for item in &items {
            orders.push(order(item).ok_or_else(|| Error::Internal("an order in the index cannot be read".into()))?);
        }
        Ok(())
    };
    table.query_all(|| Query::of_index(GSI1, Key::orders_of(user_id)), take).await?;
    Ok(orders)
}
