//! `DELETE /orders/{order_id}/items/{item_id}`: a line is taken off an order while it is PENDING.

use shared::{
    App, Result,
    http::{self, Request, Response},
    store::orders,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), http::StartupError> {
    http::serve(handle).await
}

async fn handle(app: &App, request: Request) -> Result<Response> {
    let caller = request.caller()?;
    let order_id = request.path_id("order_id", "order")?;
    let item_id = request.path_id("item_id", "order item")?;

    let (if_match, now) = (request.if_match()?, app.now());
    let version = orders::remove_item(&app.table, order_id, item_id, &caller.into(), if_match.as_deref(), now).await?;

    http::part_gone(version)
}
