//! `POST /orders/{order_id}/items`: a line is added to an order while it is PENDING.

use shared::{
    App, Result,
    domain::NewItem,
    http::{self, Request, Response},
    store::orders,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), http::Fatal> {
    http::serve(handle).await
}

async fn handle(app: &App, request: Request) -> Result<Response> {
    let caller = request.caller()?;
    let order_id = request.path_id("order_id", "order")?;
    let wanted: NewItem = request.json()?;

    let now = app.now();
    let item = orders::add_item(&app.table, order_id, app.new_id(), &wanted, &caller.into(), now, |item| {
        request.idempotency(&caller, &http::plainly_created(item)?, now)
    })
    .await?;

    http::plainly_created(&item)
}
