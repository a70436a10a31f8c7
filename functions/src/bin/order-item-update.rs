//! `PUT /orders/{order_id}/items/{item_id}`: a line gets another quantity, at the price it was written with.

use shared::{
    App, Result,
    domain::ItemChange,
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
    let ItemChange { quantity } = request.json()?;

    let (if_match, now, actor) = (request.if_match()?, app.now(), caller.into());
    let (item, version) = orders::change_item(&app.table, order_id, item_id, quantity, &actor, if_match.as_deref(), now).await?;

    http::part(&item, version)
}
