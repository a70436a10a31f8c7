//! `POST /orders`: a customer places an order, or an admin does for a customer; it takes all its stock or none.

use shared::{
    App, Error, Result,
    domain::{NewOrder, OrderDraft, Role},
    http::{self, Request, Response},
    store::orders,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), http::StartupError> {
    http::serve(handle).await
}

async fn handle(app: &App, request: Request) -> Result<Response> {
    let caller = request.caller()?;
    let NewOrder { customer_id, items } = request.json()?;
    let customer_id = customer_id.unwrap_or(caller.user_id);
    if customer_id != caller.user_id && caller.role != Role::Admin {
        return Err(Error::Forbidden("only an admin may order for somebody else"));
    }

    let items = items.into_iter().map(|item| (app.new_id(), item)).collect();
    let draft = OrderDraft { order_id: app.new_id(), customer_id, items, now: app.now() };
    let path = format!("/orders/{}", draft.order_id);
    let order = orders::place(&app.table, &draft, &caller.into(), &app.order_policy, |order| {
        request.idempotency(&caller, &http::created(&path, order)?, draft.now)
    })
    .await?;

    http::created(&path, &order)
}
