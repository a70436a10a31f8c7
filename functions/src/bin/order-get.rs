//! `GET /orders/{order_id}`: its customer or an admin sees an order, its lines and its history.

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

    let order = orders::find(&app.table, order_id, &caller.into()).await?;

    http::ok_unless_known(&request, &order)
}
