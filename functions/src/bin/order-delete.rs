//! `DELETE /orders/{order_id}`: an order goes, with its lines; what it held goes back on the shelf.

use shared::{
    App, Result,
    domain::Resource,
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
    let order_id = request.path_id("order_id", Resource::Order)?;

    orders::delete(&app.table, order_id, &caller.into(), request.if_match()?.as_deref(), app.now()).await?;

    http::no_content()
}
