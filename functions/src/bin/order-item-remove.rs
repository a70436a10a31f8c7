//! `DELETE /orders/{order_id}/items/{item_id}`: a line is taken off an order while it is PENDING.

use shared::{
    App, Result,
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
    let item_id = request.path_id("item_id", "order item")?;

    orders::remove_item(&app.table, order_id, item_id, &caller.into(), app.now()).await?;

    http::no_content()
}
