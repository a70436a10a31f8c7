//! `POST /products/{product_id}/movements`: an admin says how many pieces came in or were taken out.

use shared::{
    App, Result,
    domain::{Movement, NewMovement, Resource},
    entry,
    http::{self, Request, Response},
    store::movements,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), entry::StartupError> {
    entry::http::serve(handle).await
}

async fn handle(app: &App, request: Request) -> Result<Response> {
    let caller = request.caller()?;
    caller.require_admin()?;
    let product_id = request.path_id("product_id", Resource::Product)?;
    let new: NewMovement = request.json()?;

    let movement = Movement::sent(app.new_id(), product_id, new, caller.user_id, app.now());
    let respond = |movement: &Movement| http::plainly_created(movement);
    let idempotency = request.idempotency(&caller, movement.created_at, respond)?;
    let carried_out = movements::carry_out(&app.table, movement, idempotency.as_ref()).await?;

    http::idempotent(carried_out, respond)
}
