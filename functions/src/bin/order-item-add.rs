//! `POST /orders/{order_id}/items`: a line is added to an order while it is PENDING.

use shared::{
    App, Result,
    domain::NewItem,
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
    let wanted: NewItem = request.json()?;

    let (if_match, now, actor) = (request.if_match()?, app.now(), caller.into());
    let save_response =
        |(item, version): &orders::Written| request.idempotency(&caller, &http::part_created(item, *version)?, now);
    let (item, version) =
        orders::add_item(&app.table, order_id, app.new_id(), &wanted, &actor, if_match.as_deref(), now, save_response).await?;

    http::part_created(&item, version)
}
