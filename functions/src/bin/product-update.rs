//! `PUT /products/{product_id}`: an admin changes some or all fields of a product.

use shared::{
    App, Result,
    domain::{ProductChange, Resource},
    entry,
    http::{self, Request, Response},
    store::products,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), entry::StartupError> {
    entry::http::serve(handle).await
}

async fn handle(app: &App, request: Request) -> Result<Response> {
    let caller = request.caller()?;
    caller.require_admin()?;
    let product_id = request.path_id("product_id", Resource::Product)?;
    let change: ProductChange = request.json()?;

    let (if_match, by) = (request.if_match()?, (caller.user_id, app.new_id()));
    let product = products::update(&app.table, product_id, &change, if_match.as_deref(), by, app.now()).await?;

    http::ok(&product)
}
