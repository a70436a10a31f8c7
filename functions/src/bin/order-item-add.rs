//! `POST /orders/{order_id}/items`: a line is added to an order while it is PENDING.

use shared::{
    App, Result,
    domain::{NewItem, Resource},
    entry,
    http::{self, Request, Response},
    store::orders::{self, LinesOf, Written},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), entry::StartupError> {
    entry::http::serve(handle).await
}

async fn handle(app: &App, request: Request) -> Result<Response> {
    let caller = request.caller()?;
    let order_id = request.path_id("order_id", Resource::Order)?;
    let wanted: NewItem = request.json()?;

    let (if_match, actor) = (request.if_match()?, caller.into());
    let of = LinesOf { order_id, actor: &actor, if_match: if_match.as_deref(), now: app.now() };
    let respond = |(item, version): &Written| http::part_created(item, *version);
    let idempotency = request.idempotency(&caller, of.now, respond)?;
    let added = orders::add_item(&app.table, of, app.new_id(), &wanted, idempotency.as_ref()).await?;

    http::idempotent(added, respond)
}
