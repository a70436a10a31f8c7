//! `PUT /orders/{order_id}/items/{item_id}`: a line gets another quantity, at the price it was written with.

use shared::{
    App, Result,
    domain::{ItemChange, Resource},
    entry,
    http::{self, Request, Response},
    store::orders::{self, LinesOf},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), entry::StartupError> {
    entry::http::serve(handle).await
}

async fn handle(app: &App, request: Request) -> Result<Response> {
    let caller = request.caller()?;
    let order_id = request.path_id("order_id", Resource::Order)?;
    let item_id = request.path_id("item_id", Resource::OrderItem)?;
    let ItemChange { quantity } = request.json()?;

    let (if_match, actor) = (request.if_match()?, caller.into());
    let of = LinesOf { order_id, actor: &actor, if_match: if_match.as_deref(), now: app.now() };
    let (item, version) = orders::change_item(&app.table, of, item_id, quantity).await?;

    http::part(&item, version)
}
