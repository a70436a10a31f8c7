//! Placing an order.

use futures_util::future::try_join;

use super::{
    super::{
        expression::Expression,
        idempotency::{Idempotency, Idempotent, unless_repeated},
        key::Key,
        retry::{Round, until_done},
        stock,
        table::Table,
        transaction::{Outcome, Transaction},
        users,
    },
    list::count_open,
    row::Row,
    sale::Sale,
};
use crate::{
    Error, Result,
    domain::{Actor, Order, OrderDetails, OrderDraft, OrderPolicy, Refusal, Status},
    telemetry::record,
};

/// Places an order with all its lines and takes their stock, or does none of it.
pub async fn place(
    table: &Table,
    draft: &OrderDraft,
    actor: &Actor,
    policy: &OrderPolicy,
    idempotency: Option<&Idempotency<'_, OrderDetails>>,
) -> Result<Idempotent<OrderDetails>> {
    unless_repeated(table, idempotency, try_to_place(table, draft, actor, policy, idempotency).await).await
}

async fn try_to_place(
    table: &Table,
    draft: &OrderDraft,
    actor: &Actor,
    policy: &OrderPolicy,
    idempotency: Option<&Idempotency<'_, OrderDetails>>,
) -> Result<Idempotent<OrderDetails>> {
    table.raise_order_shards().await?;
    let products = draft.products();
    let limit = policy.open_orders_limit(actor);
    let open = async {
        match limit {
            Some(max) => count_open(table, draft.customer_id, policy.oldest_pending(draft.now), max.into()).await,
            None => Ok(0),
        }
    };
    let (offers, open) = try_join(stock::offers(table, &products), open).await?;
    if let Some(limit) = limit.filter(|limit| open >= u64::from(*limit)) {
        return Err(Refusal::TooManyOpenOrders { limit }.into());
    }
    // The order, the record and the customer are in the transaction beside the stock.
    let mut sale = Sale::new(offers, 3);
    until_done(async |backoff| {
        sale.find_depleted(table).await?;
        let details = draft.priced(&sale.offers)?;
        let Order { order_id, customer_id, created_at: now, .. } = details.order;

        let mut transaction = Transaction::new(table).idempotent(idempotency, &details)?;
        // An account that is closed or erased at this instant places nothing more.
        let active = Expression::default().equal("is_active", true).lacks("is_erasing");
        let for_oneself = actor.user_id() == Some(customer_id);
        let must_be_verified = for_oneself && policy.verified_email;
        let active = if must_be_verified { active.equal("email_verified", true) } else { active };
        transaction = transaction.check(Key::User(customer_id), &active, move |found| match found.map(users::from_stored) {
            Some(Ok(user)) if must_be_verified && user.is_active && !user.email_verified => Error::EmailNotVerified,
            _ if for_oneself => Error::TokenRevoked,
            _ => Refusal::UnknownCustomer.into(),
        });
        // The id is as new as the request, and there is an order with it only if an attempt came late that had been given up.
        transaction = transaction.insert(Key::Order(order_id), &Row::new(table, &details), |_| Error::Contended);
        for ((product_id, _), quantity) in details.demand() {
            transaction = sale.reserve(transaction, product_id, quantity, now, draft.pointer(product_id));
        }
        match transaction.attempt(backoff).await? {
            Outcome::Done => {
                record(|metrics| metrics.order(Status::Pending));
                Ok(Round::Done(Idempotent::Done(details)))
            }
            Outcome::Cancelled(conditions) => sale.learn(table, conditions).await,
        }
    })
    .await
}
