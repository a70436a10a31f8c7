//! `PUT /orders/{order_id}`: its customer or an admin takes an order one step on in its life, or says what is to be remembered with it.

use shared::{
    App, Result,
    domain::{OrderChange, Resource},
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
    let change: OrderChange = request.json()?;

    let (if_match, now) = (request.if_match()?, app.now());
    let (actor, policy) = (caller.into(), &app.order_policy);
    let order = orders::change(&app.table, order_id, &change, &actor, policy, if_match.as_deref(), now).await?;

    http::ok(&order)
}
