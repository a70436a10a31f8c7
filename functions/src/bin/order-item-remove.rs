//! `DELETE /orders/{order_id}/items/{item_id}`: a line is taken off an order while it is PENDING.

use shared::{
    App, Result,
    domain::Resource,
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

    let (if_match, actor) = (request.if_match()?, caller.into());
    let of = LinesOf { order_id, actor: &actor, if_match: if_match.as_deref(), now: app.now() };
    let version = orders::remove_item(&app.table, of, item_id).await?;

    http::part_gone(version)
}
