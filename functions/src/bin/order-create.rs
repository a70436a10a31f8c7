//! `POST /orders`: a customer places an order, or an admin does for a customer; it takes all its stock or none.

use shared::{
    App, Result,
    domain::{NewOrder, OrderDetails, OrderDraft},
    entry,
    http::{self, Request, Response},
    store::orders,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), entry::StartupError> {
    entry::http::serve(handle).await
}

async fn handle(app: &App, request: Request) -> Result<Response> {
    let caller = request.caller()?;
    let new: NewOrder = request.json()?;
    let customer_id = new.customer(&caller)?;

    let items = new.items.into_iter().map(|item| (app.new_id(), item)).collect();
    let draft = OrderDraft { order_id: app.new_id(), customer_id, items, metadata: new.metadata, now: app.now() };
    let respond = |order: &OrderDetails| http::created(&format!("/orders/{}", order.order.order_id), order);
    let idempotency = request.idempotency(&caller, draft.now, respond)?;
    let placed = orders::place(&app.table, &draft, &caller.into(), &app.order_policy, idempotency.as_ref()).await?;

    http::idempotent(placed, respond)
}
