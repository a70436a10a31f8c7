//! `PUT /orders/{order_id}`: its customer or an admin takes an order one step on in its life.

use shared::{
    App, Result,
    domain::StatusChange,
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
    let change: StatusChange = request.json()?;

    let if_match = request.if_match()?;
    let order = orders::change_status(&app.table, order_id, &change, &caller.into(), if_match.as_deref(), app.now()).await?;

    http::ok(&order)
}
